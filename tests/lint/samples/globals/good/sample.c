const char *const names[] = { "a", "b" };
int log_level = 6;
int sample(int i) { return names[i][0] + log_level; }
