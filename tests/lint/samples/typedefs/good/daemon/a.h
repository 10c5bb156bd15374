typedef int (*sample_fn)(struct sample *sample);
