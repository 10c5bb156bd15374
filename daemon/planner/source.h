/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles in directories: the files that profile.h asks for. Run by the planner; the system
 * calls of the planner are here and in serve.c and inspect.c. Trusts the directories' names,
 * no file in them.
 */
#ifndef CUSTODY_PLANNER_SOURCE_H
#define CUSTODY_PLANNER_SOURCE_H

#include "profile.h"

#define SOURCE_DIRECTORIES 3 /* beside the file that is looked at, /etc, /usr/share */

struct source_directory {
	int fd;		/* open directory, or -1: it is not there */
	char path[512]; /* for messages */
};

/* Searched in order. */
struct source {
	struct source_directory directories[SOURCE_DIRECTORIES];
	size_t n;
};

/* Reads a whole regular file of at most PROFILE_TEXT_MAX bytes. Returns 0 or -errno. */
int source_read_fd(int fd, char **ret_text, size_t *ret_size);

/* Reads a regular file of the directory, likewise; -ENOENT when it is not there. */
int source_read_at(int directory, const char *name, char **ret_text, size_t *ret_size);

/* Where an open directory is, by /proc; fallback when that cannot be told. */
void source_name_directory(struct source_directory *directory, const char *fallback);

/* For struct profile_source; context is a struct source. */
int source_read(void *context, const char *name, char **ret_text, size_t *ret_size,
		char **ret_path);
void source_explain(void *context, const char *name, char *ret, size_t size);

/*
 * Nothing but reading below the directories and what is open already: Landlock, then seccomp.
 * *ret_abi is the Landlock ABI, 0 when the kernel has none. Returns 0 or -errno.
 */
int source_confine(const struct source *source, int *ret_abi);

#endif
