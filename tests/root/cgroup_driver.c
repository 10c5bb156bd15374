/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/lib/cgroup.h, one call a run, for tests/root/25-cgroup.sh. Prints what was returned, or
 * the errno's name. Run as root.
 *
 *   cgroup_driver VERB [PATH [ARGUMENT]]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "custody/limits.h"

static int driver_print(int r, __u64 value)
{
	if (r < 0)
		(void)printf("%s\n", strerrorname_np(-r));
	else
		(void)printf("%" PRIu64 "\n", (uint64_t)value);
	return 0;
}

static int driver_run(const char *verb, const char *path, int argument)
{
	bool populated = false;
	__u32 count = 0;
	__u64 value = 0;
	int r;

	if (strcmp(verb, "make") == 0)
		return driver_print(cgroup_make(path), 0);
	if (strcmp(verb, "remove") == 0)
		return driver_print(cgroup_remove(path), 0);
	if (strcmp(verb, "kill") == 0)
		return driver_print(cgroup_kill(path, argument), 0);
	if (strcmp(verb, "freeze") == 0)
		return driver_print(cgroup_freeze(path, true, argument), 0);
	if (strcmp(verb, "thaw") == 0)
		return driver_print(cgroup_freeze(path, false, argument), 0);
	if (strcmp(verb, "populated") == 0) {
		r = cgroup_read_populated(path, &populated);
		return driver_print(r, populated);
	}
	if (strcmp(verb, "count") == 0) {
		r = cgroup_count_processes(path, &count);
		return driver_print(r, count);
	}
	if (strcmp(verb, "memory") == 0) {
		r = cgroup_read_memory(path, &value);
		return driver_print(r, value);
	}
	if (strcmp(verb, "id") == 0) {
		r = cgroup_read_id(path, &value);
		return driver_print(r, value);
	}
	return 2;
}

int main(int argc, char **argv)
{
	char mount[CUSTODY_PATH_SIZE];
	int r;

	if (argc == 2 && strcmp(argv[1], "mount") == 0) {
		r = cgroup_find_mount(mount, sizeof(mount));
		(void)printf("%s\n", r < 0 ? strerrorname_np(-r) : mount);
		return 0;
	}
	if (argc < 3)
		return 2;
	return driver_run(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 0);
}
