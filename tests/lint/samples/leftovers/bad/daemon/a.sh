# TODO: one day
