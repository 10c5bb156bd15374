/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the kernel that cover the whole host at once: every process, every mount namespace,
 * and what no process holds. Run by custody-sweeper. Trusts the kernel's answers only.
 *
 * Scratch: does the superblock exist (superblock.h). Its device number may be another file
 * system's by now: then a residue is reported that is none, never the other way round. custodyd
 * asks soon after the end as well, and leaves out of the request what it has seen gone.
 *
 * Weights: a write lease is given only while nobody else has the inode open (fs/locks.c
 * check_conflicting_open(): i_readcount and i_writecount are our own). A mapping and an fd on its
 * way through a UNIX socket hold an open file too. The lease is returned at once; who opens the
 * file in that instant waits for it, and with O_NONBLOCK gets EWOULDBLOCK. Only on file systems
 * that count every opening in the inode that we see: not on those that open another inode behind
 * it (overlayfs, FUSE) or have other hosts. O_PATH counts as nothing: it reads nothing.
 *
 * Namespaces: custodyd asks (daemon/warden/nshandle.h); the answer is in the request. Linux before
 * 6.18 has none to give: then the pass looks for processes in them, and for fds and bind mounts of
 * their files. An fd on its way through a UNIX socket is not found there.
 *
 * Where the kernel cannot be asked (FACTS_UNKNOWN), the pass over /proc decides alone. What it says
 * lives is left, even if that pass finds no holder.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "procfs.h"
#include "superblock.h"
#include "sweep.h"

/* The kernel closes files and takes superblocks down a moment after the process is gone. */
#define KERNEL_WAIT_NS		20000000L
#define KERNEL_WAITS		50U

/* linux/magic.h has no name for it. */
#define KERNEL_MAGIC_XFS	0x58465342L

static bool facts_kernel_wait(struct sweep *sweep)
{
	const struct timespec pause = { .tv_nsec = KERNEL_WAIT_NS };

	if (sweep->patience == 0)
		return false;
	sweep->patience--;
	(void)nanosleep(&pause, NULL);
	return true;
}

/* ---- scratch ---- */

static enum facts_answer facts_kernel_ask_device(__u64 dev)
{
	bool alive;

	if (superblock_is_alive(dev, &alive) < 0)
		return FACTS_UNKNOWN;
	return alive ? FACTS_HELD : FACTS_FREE;
}

static void facts_kernel_ask_scratch(struct sweep *sweep, __u64 dev)
{
	enum facts_answer answer;

	do {
		answer = facts_kernel_ask_device(dev);
	} while (answer == FACTS_HELD && facts_kernel_wait(sweep));
	if (answer == FACTS_FREE)
		return;
	if (answer == FACTS_HELD)
		sweep->scratch_alive = dev;
	sweep->scratch[sweep->n_scratch++] = dev;
}

bool facts_kernel_is_scratch(const struct sweep *sweep, __u64 dev)
{
	for (unsigned int i = 0; i < sweep->n_scratch; i++) {
		if (sweep->scratch[i] == dev)
			return true;
	}
	return false;
}

/* ---- weights ---- */

/* Local file systems on which an open file is counted in the inode that was opened. */
static bool facts_kernel_counts_openings(int fd)
{
	static const long magics[] = {
		EXT4_SUPER_MAGIC, KERNEL_MAGIC_XFS, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
		TMPFS_MAGIC, SQUASHFS_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		if ((unsigned int)fs.f_type == (unsigned int)magics[i])
			return true;
	}
	return false;
}

static enum facts_answer facts_kernel_try_lease(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
		return fcntl(fd, F_SETLEASE, F_UNLCK) == 0 ? FACTS_FREE : FACTS_UNKNOWN;
	return errno == EAGAIN ? FACTS_HELD : FACTS_UNKNOWN;
}

enum facts_answer facts_kernel_ask_file(struct sweep *sweep, int dir, const char *name,
					const struct stat *seen)
{
	enum facts_answer answer;
	cleanup_fd int fd = -1;
	struct stat st;

	/* Opening a device or a FIFO is felt at its other end. */
	if (!S_ISREG(seen->st_mode))
		return FACTS_UNKNOWN;
	fd = procfs_open(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != seen->st_dev ||
	    st.st_ino != seen->st_ino || !facts_kernel_counts_openings(fd))
		return FACTS_UNKNOWN;
	do {
		answer = facts_kernel_try_lease(fd);
	} while (answer == FACTS_HELD && facts_kernel_wait(sweep));
	return answer;
}

/* ---- namespaces ---- */

bool facts_kernel_is_namespace(const struct sweep *sweep, __u64 dev, __u64 inode)
{
	if (sweep->namespaces == 0 || sweep->nsfs_dev == 0 || dev != sweep->nsfs_dev)
		return false;
	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		if ((sweep->namespaces & (1U << i)) && sweep->request->ns_inode[i] == inode)
			return true;
	}
	return false;
}

static void facts_kernel_ask_namespaces(struct sweep *sweep)
{
	const struct sweep_request *request = sweep->request;
	struct stat st;

	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		if (request->ns_inode[i] != 0 && !(request->ns_gone & (1U << i)))
			sweep->namespaces |= 1U << i;
	}
	if (sweep->namespaces == 0)
		return;
	if (fstatat(sweep->proc, "self/ns/mnt", &st, 0) < 0)
		sweep_blind(sweep, FACT_NAMESPACE_PIDS, "/proc/self/ns/mnt: %s", strerror(errno));
	else
		sweep->nsfs_dev = st.st_dev;
}

/* ---- all of them ---- */

void facts_kernel_ask(struct sweep *sweep)
{
	const struct sweep_request *request = sweep->request;

	sweep->patience = KERNEL_WAITS;
	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		if (request->scratch_dev[i] != 0)
			facts_kernel_ask_scratch(sweep, request->scratch_dev[i]);
	}
	facts_kernel_ask_namespaces(sweep);
}

void facts_kernel_conclude(struct sweep *sweep)
{
	static const char *const names[_JAIL_NS_MAX] = {
		[JAIL_NS_USER] = "user", [JAIL_NS_MNT] = "mnt", [JAIL_NS_PID] = "pid",
		[JAIL_NS_IPC] = "ipc", [JAIL_NS_UTS] = "uts", [JAIL_NS_NET] = "net",
		[JAIL_NS_CGROUP] = "cgroup", [JAIL_NS_TIME] = "time",
	};
	const __u32 alive = sweep->request->ns_alive & sweep->namespaces;

	if (alive != 0 && sweep->facts[FACT_NAMESPACE_PIDS].value == 0)
		sweep_add(sweep, FACT_NAMESPACE_PIDS, 1,
			  "the %s namespace lives, held by what /proc does not show",
			  names[__builtin_ctz(alive)]);
	if (sweep->scratch_alive != 0 && sweep->facts[FACT_SCRATCH_MOUNTS].value == 0)
		sweep_add(sweep, FACT_SCRATCH_MOUNTS, 1,
			  "device %u:%u lives, held by a process that /proc does not show",
			  major(sweep->scratch_alive), minor(sweep->scratch_alive));
	if (sweep->weights_held != 0 && sweep->facts[FACT_WEIGHTS_OPEN].value == 0)
		sweep_add(sweep, FACT_WEIGHTS_OPEN, 1,
			  "%llu files held by a process that /proc does not show",
			  (unsigned long long)sweep->weights_held);
}
