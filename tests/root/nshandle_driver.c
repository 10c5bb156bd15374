/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper, root: what custodyd asks the kernel about a jail's namespaces.
 * link: daemon/warden/nshandle.c
 *
 *   nshandle_driver PID    takes handles of the namespaces of PID, prints "taken: N handles" or
 *                          the error, then for each line on standard input what is gone and what
 *                          is alive, as options of sweeper_driver: "-g KIND", "-a KIND"
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../daemon/warden/nshandle.h"

static const char *const driver_names[_JAIL_NS_MAX] = {
	"user", "mnt", "pid", "ipc", "uts", "net", "cgroup", "time",
};

static void driver_answer(const struct nshandle handles[_JAIL_NS_MAX])
{
	__u32 gone;
	__u32 alive;

	nshandle_ask(handles, &gone, &alive);
	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		if (gone & (1U << i))
			(void)printf("-g %u ", i);
		if (alive & (1U << i))
			(void)printf("-a %u ", i);
	}
	(void)printf("\n");
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	struct nshandle handles[_JAIL_NS_MAX] = { 0 };
	__u64 inode[_JAIL_NS_MAX] = { 0 };
	pid_t pid = argc == 2 ? (pid_t)atoi(argv[1]) : 0;
	unsigned int n = 0;
	char line[16];
	int r;

	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		char path[64];
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, driver_names[i]);
		if (stat(path, &st) == 0)
			inode[i] = st.st_ino;
	}
	r = nshandle_take(pid, inode, handles);
	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++)
		n += handles[i].size != 0;
	if (r < 0)
		(void)printf("refused: %s\n", strerror(-r));
	else
		(void)printf("taken: %u handles\n", n);
	(void)fflush(stdout);
	while (r == 0 && fgets(line, sizeof(line), stdin))
		driver_answer(handles);
	return r == 0 ? 0 : 1;
}
