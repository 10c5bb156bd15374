/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lsm_probe and lsm_exec_probe share: a table of actions, entering the cgroup, and printing
 * the errno that came, "0" when it was allowed. Exits 2 when the thing could not be tried, so that
 * a broken probe never passes as a denial.
 */
#ifndef CUSTODY_TESTS_LSM_ACTION_H
#define CUSTODY_TESTS_LSM_ACTION_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_BROKEN -2	/* instead of -1: no answer of the kernel's */
#define PROBE_SAID -3	/* it has printed its answer itself */

/* Actions get the arguments that follow their name: the cgroup stands two before. */
#define PROBE_CGROUP(ARGV) ((ARGV)[-2])

struct probe_action {
	const char *name;
	int n_args;
	int (*run)(char **argv);
	bool enters;	/* the cgroup, by itself */
};

static inline int probe_enter(const char *cgroup)
{
	cleanup_fd int fd = -1;
	char path[512];

	if (strcmp(cgroup, "-") == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? PROBE_BROKEN : 0;
}

/* By an O_PATH fd and fchdir(): no name of it is left. */
static inline int probe_go(const char *directory)
{
	cleanup_fd int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fchdir(fd);
}

static inline int probe_run(const struct probe_action *action, char **argv)
{
	const char *name;
	int r = action->enters ? 0 : probe_enter(argv[1]);

	if (r == 0)
		r = action->run(argv + 3);
	if (r == PROBE_SAID)
		return 0;
	if (r == PROBE_BROKEN) {
		(void)fprintf(stderr, "probe: %s: %s\n", argv[2], strerror(errno));
		return 2;
	}
	name = r < 0 ? strerrorname_np(errno) : "0";
	(void)printf("%s\n", name ? name : "?");
	return 0;
}

/* CGROUP [in DIRECTORY] ACTION ARGUMENT... */
static inline int probe_choose(const struct probe_action *actions, size_t n, int argc, char **argv)
{
	if (argc > 4 && strcmp(argv[2], "in") == 0) {
		if (probe_go(argv[3]) < 0)
			return 2;
		argv[3] = argv[1]; /* so that the cgroup stands two before again */
		argv += 2;
		argc -= 2;
	}
	for (size_t i = 0; argc > 2 && i < n; i++) {
		if (strcmp(argv[2], actions[i].name) == 0 && argc - 3 == actions[i].n_args)
			return probe_run(&actions[i], argv);
	}
	return 2;
}

#endif
