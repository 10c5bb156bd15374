/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: INI text by inih to settings, and what a profile extends. Run by the planner on
 * untrusted text. Pure: text comes through struct profile_source.
 *
 * Stricter than inih: every line is looked at before inih gets it, so that what inih would cut,
 * skip or join silently is an error with its line.
 */
#ifndef CUSTODY_PLANNER_PROFILE_H
#define CUSTODY_PLANNER_PROFILE_H

#include "problems.h"
#include "settings.h"

#define PROFILE_LINE_MAX 198	/* characters; inih's INI_MAX_LINE less newline and NUL */
#define PROFILE_TEXT_MAX 65536	/* bytes of one file */
#define PROFILE_DEPTH_MAX 8	/* profiles in one chain of extends */

/* Where profiles come from. */
struct profile_source {
	void *context;
	/*
	 * NAME.ini: *ret_text (malloc, NUL-terminated, *ret_size bytes without the NUL) and
	 * *ret_path (malloc), its path for messages. Returns 0; -ENOENT when there is none;
	 * -errno. The path is set on -errno too when a file was there, else untouched.
	 */
	int (*read)(void *context, const char *name, char **ret_text, size_t *ret_size,
		    char **ret_path);
	/* For a name that is not there: where was looked, and names like it. */
	void (*explain)(void *context, const char *name, char *ret, size_t size);
};

struct profile {
	struct settings settings;	/* defaults, then what is extended, then the profile */
	char *files[PROFILE_DEPTH_MAX];	/* paths that the places in settings point to */
	size_t n_files;
};

/* Reads one file's text into ret (which is empty), adding problems. file outlives ret. */
void profile_parse(const char *file, const char *text, size_t size, struct settings *ret,
		   struct problems *problems);

/*
 * Loads the profile called name, and what it extends. ret is empty before, and holds nothing of
 * use when problems were added; profile_clear() in either case.
 */
void profile_load(const struct profile_source *source, const char *name, struct profile *ret,
		  struct problems *problems);

/* profile_load() for text that is at hand, of a file called path. */
void profile_load_text(const struct profile_source *source, const char *path, const char *text,
		       size_t size, struct profile *ret, struct problems *problems);

/* What this version cannot enforce, refused (CUSTODY_EXIT_REFUSED) setting by setting. */
void profile_check_support(const struct settings *settings, struct problems *problems);

void profile_clear(struct profile *profile);
#define cleanup_profile __attribute__((cleanup(profile_clear)))

#endif
