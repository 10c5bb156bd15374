/* JAIL_GO is only spoken of */ int JAIL_GONE;
