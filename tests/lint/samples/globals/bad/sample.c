static int calls;
int sample(void) { return ++calls; }
