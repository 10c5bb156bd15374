/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a cgroup directory: what cgroup.c and cgroup_limit.c share. As those two. */
#ifndef CUSTODY_CGROUP_INTERNAL_H
#define CUSTODY_CGROUP_INTERNAL_H

#include <stddef.h>

#define CGROUP_FILE_SIZE 4096	/* of the small files that are read whole */

/* fd or -errno. */
int cgroup_open_directory(const char *path);

/* Reads a small file into text, NUL-terminated. -EOVERFLOW: it is longer. */
int cgroup_read_file(int dir, const char *name, char *text, size_t size);

int cgroup_write_file(int dir, const char *name, const char *text);

#endif
