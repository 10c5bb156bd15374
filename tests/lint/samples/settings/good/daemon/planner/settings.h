#define SETTINGS(SETTING) \
	SETTING("files", "read", PATHS, read, "none", "what may be read")
