typedef struct { int x; } sample_t;
