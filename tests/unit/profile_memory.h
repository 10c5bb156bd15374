/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles from an array instead of directories. For tests and fuzz targets. */
#ifndef CUSTODY_TESTS_PROFILE_MEMORY_H
#define CUSTODY_TESTS_PROFILE_MEMORY_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/planner/profile.h"

struct profile_memory {
	const char *name;	/* NULL ends the array */
	const char *text;
};

static inline int profile_memory_read(void *context, const char *name, char **ret_text,
				      size_t *ret_size, char **ret_path)
{
	for (const struct profile_memory *p = context; p->name; p++) {
		char *path = NULL;

		if (strcmp(p->name, name) != 0)
			continue;
		if (asprintf(&path, "%s.ini", name) < 0)
			return -ENOMEM;
		*ret_text = strdup(p->text);
		*ret_size = strlen(p->text);
		*ret_path = path;
		return 0;
	}
	return -ENOENT;
}

static inline void profile_memory_explain(void *context, const char *name, char *ret, size_t size)
{
	(void)context;
	(void)snprintf(ret, size, "no profile %s", name);
}

static inline struct profile_source profile_memory_source(const struct profile_memory *profiles)
{
	return (struct profile_source){ (void *)(uintptr_t)profiles, profile_memory_read,
					profile_memory_explain };
}

/* The canonical print, for the caller to free. */
static inline char *profile_memory_print(const struct settings *settings)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	settings_print(out, settings);
	(void)fclose(out);
	return text;
}

#endif
