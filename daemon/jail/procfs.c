/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail's /proc: a fresh one of its pid namespace, in which the model sees its own processes
 * only, with the host-wide parts read-only or hidden. Run by custody-jail's init as root while
 * it builds.
 *
 * Not subset=pid: libraries size themselves by /proc/cpuinfo and /proc/meminfo. The mount of
 * /proc stays writable, because CUDA writes /proc/self/task/TID/comm; who may use that is
 * Landlock's (model_writes_proc()). Every file outside the pid directories belongs to the host's
 * root, whom no id of the jail maps to, and what is dangerous is covered by a mount besides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "jail.h"
#include "mount.h"

#define PROCFS_OOM_SCORE "500"	/* of 1000 */
#define PROCFS_CORE_NOTHING "0"
#define PROCFS_ORIGIN	"custody's own /proc"
#define PROCFS_MASK	".mask"	/* name of the empty file and directory while they are mounted */

enum procfs_cover {
	PROCFS_READ_ONLY,	/* visible, not writable */
	PROCFS_EMPTY_FILE,
	PROCFS_EMPTY_DIRECTORY,
};

/* Only what this kernel has is covered; a file that does not exist needs no cover. */
static const struct {
	const char *path;
	enum procfs_cover cover;
} procfs_covers[] = {
	{ "/proc/sys", PROCFS_READ_ONLY },
	{ "/proc/bus", PROCFS_READ_ONLY },
	{ "/proc/fs", PROCFS_READ_ONLY },
	{ "/proc/irq", PROCFS_READ_ONLY },
	{ "/proc/acpi", PROCFS_EMPTY_DIRECTORY },
	{ "/proc/asound", PROCFS_EMPTY_DIRECTORY },
	{ "/proc/scsi", PROCFS_EMPTY_DIRECTORY },
	/* Facts of the host that no server needs: boot secrets, disks, swap, locks, keystrokes. */
	{ "/proc/bootconfig", PROCFS_EMPTY_FILE },
	{ "/proc/cmdline", PROCFS_EMPTY_FILE },
	{ "/proc/diskstats", PROCFS_EMPTY_FILE },
	{ "/proc/interrupts", PROCFS_EMPTY_FILE },
	{ "/proc/key-users", PROCFS_EMPTY_FILE },
	{ "/proc/locks", PROCFS_EMPTY_FILE },
	{ "/proc/partitions", PROCFS_EMPTY_FILE },
	{ "/proc/kallsyms", PROCFS_EMPTY_FILE },
	{ "/proc/kcore", PROCFS_EMPTY_FILE },
	{ "/proc/keys", PROCFS_EMPTY_FILE },
	{ "/proc/kmsg", PROCFS_EMPTY_FILE },
	{ "/proc/latency_stats", PROCFS_EMPTY_FILE },
	{ "/proc/modules", PROCFS_EMPTY_FILE },
	{ "/proc/sched_debug", PROCFS_EMPTY_FILE },
	{ "/proc/swaps", PROCFS_EMPTY_FILE },
	{ "/proc/sysrq-trigger", PROCFS_EMPTY_FILE },
	{ "/proc/timer_list", PROCFS_EMPTY_FILE },
};

/*
 * Detached mount of an empty file or directory, which is made in the new root for the moment.
 * The file's mode is 0, so that opening it is a denial that shows, not an empty answer.
 */
static int procfs_clone_mask(int root, bool directory, int *ret_fd)
{
	cleanup_fd int fd = -1;
	int r;

	if (directory)
		r = mkdirat(root, PROCFS_MASK, 0555) < 0 ? -errno : 0;
	else
		r = mknodat(root, PROCFS_MASK, S_IFREG, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = mount_open_path(root, PROCFS_MASK, false, &fd);
	return r == 0 ? mount_clone_path(fd, ret_fd) : r;
}

static int procfs_add_cover(struct jail *jail, const char *path, int clone)
{
	return root_add_mount(jail, clone, path, CUSTODY_LABEL_PROC, CUSTODY_RIGHT_READ,
			      root_attributes(CUSTODY_LABEL_PROC, CUSTODY_RIGHT_READ),
			      PROCFS_ORIGIN);
}

static int procfs_cover_one(struct jail *jail, const char *path, enum procfs_cover cover)
{
	const bool directory = cover == PROCFS_EMPTY_DIRECTORY;
	cleanup_fd int at = -1;
	int clone = -1;
	int r = mount_open_path(jail->root, path, false, &at);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && cover == PROCFS_READ_ONLY)
		r = mount_clone_path(at, &clone);
	else if (r == 0)
		r = procfs_clone_mask(jail->root, directory, &clone);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot cover %s: %s", path,
				   strerror(-r));
	r = procfs_add_cover(jail, path, clone);
	if (r < 0 || cover == PROCFS_READ_ONLY)
		return r;
	/* Its name goes once it is mounted: the kernel mounts nothing that has none. */
	if (unlinkat(jail->root, PROCFS_MASK, directory ? AT_REMOVEDIR : 0) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot remove /%s: %m",
				   PROCFS_MASK);
	return 0;
}

int procfs_make_tree(struct jail *jail)
{
	const __u32 rights = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE;
	int fd = -1;
	int r = mount_make_proc(&fd);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot make the jail's /proc: %s", strerror(-r));
	r = root_add_mount(jail, fd, "/proc", CUSTODY_LABEL_PROC, rights,
			   root_attributes(CUSTODY_LABEL_PROC, rights), PROCFS_ORIGIN);
	/* Opened before it is covered: the sysctls that init sets are written through it. */
	if (r == 0) {
		r = mount_open_path(jail->root, "/proc/sys", false, &jail->proc_sys);
		if (r < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
					   "cannot open the jail's /proc/sys: %s", strerror(-r));
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(procfs_covers); i++)
		r = procfs_cover_one(jail, procfs_covers[i].path, procfs_covers[i].cover);
	return r;
}

static int procfs_write_setting(struct jail *jail, int dir, const char *path, const char *value)
{
	cleanup_fd int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	const size_t n = strlen(value);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || write(fd, value, n) != (ssize_t)n)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot set %s of the jail: %m", path);
	return 0;
}

/*
 * vm.memfd_noexec of the pid namespace: 2 refuses executable memfds, 1 makes them only when asked.
 * They are programs that the model wrote itself, and need both settings.
 */
int procfs_forbid_memfd_exec(struct jail *jail)
{
	const __u32 both = PLAN_FLAG_MEMFD | PLAN_FLAG_JIT;
	const char *value = (jail->plan->flags & both) == both ? "1\n" : "2\n";
	int r = procfs_write_setting(jail, jail->proc_sys, "vm/memfd_noexec", value);

	/* Linux before 6.3 has no such setting; there seccomp alone refuses memfd_create(). */
	return r == -ENOENT ? 0 : r;
}

/*
 * kernel.shmall of the ipc namespace, in pages: System V shared memory is in no rlimit and would
 * otherwise be as large as the host's memory. Nothing where the kernel has none of it.
 */
int procfs_limit_shm(struct jail *jail)
{
	const long page = sysconf(_SC_PAGESIZE);
	char value[32];
	int r;

	(void)snprintf(value, sizeof(value), "%llu\n",
		       (unsigned long long)device_shm_size(jail->plan) / (unsigned long long)page);
	r = procfs_write_setting(jail, jail->proc_sys, "kernel/shmall", value);
	return r == -ENOENT ? 0 : r;
}

/*
 * When the host runs out of memory, the jail goes before anything of the host's. Without this the
 * model would inherit custodyd's own -900, and with it every process of the host would go first.
 * Written by root, it is also the least that the jail's processes may set for themselves.
 */
int procfs_offer_to_oom(struct jail *jail)
{
	cleanup_fd int proc = -1;
	int r = mount_open_path(jail->root, "/proc/1", false, &proc);

	if (r == 0)
		r = procfs_write_setting(jail, proc, "oom_score_adj", PROCFS_OOM_SCORE "\n");
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot set oom_score_adj of the jail: %s", strerror(-r));
	return 0;
}

/*
 * RLIMIT_CORE does not bind a core dump that goes to a socket (core_pattern "@/path", Linux 6.16:
 * fs/coredump.c), so that one has nothing in it either: no mapping of any kind. The model inherits
 * it over fork and exec. Where the kernel dumps nothing there is no such file.
 */
int procfs_empty_core(struct jail *jail)
{
	cleanup_fd int proc = -1;
	int r = mount_open_path(jail->root, "/proc/1", false, &proc);

	if (r == 0)
		r = procfs_write_setting(jail, proc, "coredump_filter", PROCFS_CORE_NOTHING "\n");
	if (r < 0 && r != -ENOENT)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot set coredump_filter of the jail: %s", strerror(-r));
	return 0;
}
