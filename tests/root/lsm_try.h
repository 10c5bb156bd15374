/* SPDX-License-Identifier: Apache-2.0 */
/* What the probes of the LSM plane share: entering a cgroup, and saying what a call answered. */
#ifndef CUSTODY_TESTS_LSM_TRY_H
#define CUSTODY_TESTS_LSM_TRY_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* A probe that could not try: never taken for a denial. */
static inline int probe_broken(const char *what)
{
	(void)fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	return 2;
}

/* Prints "0" or the name of errno. */
static inline int probe_result(long r)
{
	const char *name = r < 0 ? strerrorname_np(errno) : "0";

	(void)printf("%s\n", name ? name : "?");
	return 0;
}

/* "-" stays outside. */
static inline void probe_enter(const char *cgroup)
{
	cleanup_fd int fd = -1;
	char path[512];

	if (strcmp(cgroup, "-") == 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		exit(probe_broken(cgroup));
}

#endif
