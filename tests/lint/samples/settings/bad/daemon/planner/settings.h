#define SETTINGS(SETTING) \
	SETTING("files", "read", PATHS, read, "none", "what may be read") \
	SETTING("files", "pread", PATHS, pread, "none", "a word that only ends like another")
