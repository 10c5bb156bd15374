/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of the jail that no message of the kernel announces, read back by the process that
 * becomes the model, when all else is in force (EVIDENCE_STRUCTURE in custody/evidence.h). Run by
 * custody-jail. Trusts the jail's /proc. What every jail must have and this one has not refuses
 * the launch; the rest is reported, and recorded with the launch.
 *
 * Not dumpable ends with the exec: a program that its user may read is dumpable again, and no
 * kernel interface says otherwise. From then on whoever may ptrace it may read its memory: its own
 * uid, which nothing else on the host has, and whom the filters refuse ptrace(); the broker; root.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"

#define STRUCTURE_NO_MEMFD_EXEC	2	/* vm.memfd_noexec */

/* The session keyring is inherited: without this one, custodyd's, or that of who started it. */
int structure_leave_keyring(struct jail *jail)
{
	long r = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);

	if (r < 0 && errno != ENOSYS)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot make the jail's session keyring: %m; see sysctl "
				   "kernel.keys.maxkeys");
	/* How many bytes the serials of its keys would take. A kernel without keys has none. */
	if (r >= 0)
		r = syscall(SYS_keyctl, KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, NULL, 0, 0);
	if (r == 0 || errno == ENOSYS)
		jail->structure |= STRUCTURE_KEYRING;
	return 0;
}

/* The number in a file of one number; `missing` when this kernel has no such file. */
static long long structure_read_number(const char *path, int base, long long missing)
{
	cleanup_file FILE *file = fopen(path, "re");
	char text[32];

	if (!file)
		return errno == ENOENT ? missing : -1;
	return fgets(text, sizeof(text), file) ? strtoll(text, NULL, base) : -1;
}

/* A list in /proc/sysvipc that has its head and no line below it. */
static bool structure_is_empty_list(const char *path)
{
	cleanup_file FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return errno == ENOENT;
	return fgets(line, sizeof(line), file) && !fgets(line, sizeof(line), file);
}

static bool structure_has_own_ipc(const struct jail *jail)
{
	const long long pages = (long long)device_shm_size(jail->plan) / sysconf(_SC_PAGESIZE);
	struct rlimit queues;

	return structure_is_empty_list("/proc/sysvipc/shm") &&
	       structure_is_empty_list("/proc/sysvipc/sem") &&
	       structure_is_empty_list("/proc/sysvipc/msg") &&
	       structure_read_number("/proc/sys/kernel/shmall", 10, pages) == pages &&
	       getrlimit(RLIMIT_MSGQUEUE, &queues) == 0 && queues.rlim_max == 0;
}

static bool structure_dumps_nothing(void)
{
	struct rlimit core;

	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 1 && core.rlim_max == 1 &&
	       structure_read_number("/proc/self/coredump_filter", 16, 0) == 0;
}

/* True when `options`, separated by commas, has one that begins so. */
static bool structure_has_option(const char *options, const char *name)
{
	const char *found = strstr(options, name);

	return found && (found == options || found[-1] == ',');
}

void structure_begin_mounts(struct jail *jail)
{
	jail->structure |= STRUCTURE_NOSUID | STRUCTURE_SIZED | STRUCTURE_NOSWAP;
}

void structure_note_mount(struct jail *jail, __u32 zone, const char *target, const char *options,
			  const char *type, const char *super)
{
	const __u32 label = jail->built.zones[zone].label;
	struct statvfs vfs;

	if (!structure_has_option(options, "nosuid"))
		jail->structure &= ~(__u32)STRUCTURE_NOSUID;
	if (strcmp(target, "/proc") == 0 && structure_has_option(super, "hidepid=invisible"))
		jail->structure |= STRUCTURE_PROC;
	if (label == CUSTODY_LABEL_WEIGHTS && structure_has_option(options, "idmapped"))
		jail->structure |= STRUCTURE_IDMAP;
	if ((label != CUSTODY_LABEL_SCRATCH && label != CUSTODY_LABEL_SHM) ||
	    strcmp(type, "tmpfs") != 0)
		return;
	if (statvfs(target, &vfs) < 0 || vfs.f_blocks == 0 || vfs.f_files == 0)
		jail->structure &= ~(__u32)STRUCTURE_SIZED;
	if (!structure_has_option(super, "noswap"))
		jail->structure &= ~(__u32)STRUCTURE_NOSWAP;
}

int structure_check(struct jail *jail)
{
	static const char *const names[] = {
#define STRUCTURE_NAME(name, json, what) json ": " what,
		EVIDENCE_STRUCTURE(STRUCTURE_NAME)
#undef STRUCTURE_NAME
	};

	if (structure_read_number("/proc/sys/user/max_user_namespaces", 10, -1) == 0)
		jail->structure |= STRUCTURE_NESTING;
	if (structure_has_own_ipc(jail))
		jail->structure |= STRUCTURE_IPC;
	if (structure_dumps_nothing())
		jail->structure |= STRUCTURE_CORE;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		jail->structure |= STRUCTURE_DUMPABLE;
	if (structure_read_number("/proc/sys/vm/memfd_noexec", 10, 0) == STRUCTURE_NO_MEMFD_EXEC)
		jail->structure |= STRUCTURE_MEMFD;
	if (jail->landlock_abi >= CONFINE_SCOPES_ABI)
		jail->structure |= STRUCTURE_SCOPES;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (STRUCTURE_ALWAYS & ~jail->structure & (1U << i))
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
					   "self-check: the jail lacks %s", names[i]);
	}
	return 0;
}
