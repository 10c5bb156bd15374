/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one thing with files from inside a cgroup and prints what came of it: see lsm_action.h.
 * Run as root by tests/root/7*.sh. No seccomp filter: what the system call filter of a real jail
 * would refuse first is tried here against the LSM plane alone.
 *
 *   lsm_probe CGROUP ACTION ARGUMENT...      CGROUP: directory, or "-" to stay where we are
 *   lsm_probe CGROUP in DIRECTORY ACTION ARGUMENT...    from there on, by names relative to it
 */
#include <dirent.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "lsm_action.h"

#define PROBE_FCHMODAT2 452	/* too new for these headers */

static int probe_flags(const char *mode)
{
	int flags = O_CLOEXEC;

	flags |= strchr(mode, 'b') ? O_RDWR : strchr(mode, 'w') ? O_WRONLY : O_RDONLY;
	flags |= strchr(mode, 't') ? O_TRUNC : 0;
	flags |= strchr(mode, 'c') ? O_CREAT : 0;
	flags |= strchr(mode, 'm') ? O_TMPFILE : 0;
	flags |= strchr(mode, 'd') ? O_DIRECTORY : 0;
	return flags;
}

/* ---- opening: argv[0] path, argv[1] mode ---- */

static int probe_open(char **argv)
{
	return open(argv[0], probe_flags(argv[1]), 0600);
}

static int probe_openat2(char **argv)
{
	struct open_how how = { .flags = (__u64)probe_flags(argv[1]) };

	return (int)syscall(SYS_openat2, AT_FDCWD, argv[0], &how, sizeof(how));
}

static int probe_open_fd(int fd, const char *mode)
{
	char path[64];

	if (fd < 0)
		return PROBE_BROKEN;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, probe_flags(mode));
}

/* O_PATH asks nobody; opening that again does. */
static int probe_opath(char **argv)
{
	return probe_open_fd(open(argv[0], O_PATH | O_CLOEXEC), argv[1]);
}

static int probe_relative(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fchdir(fd) < 0)
		return PROBE_BROKEN;
	return open(argv[1], probe_flags(argv[2]));
}

static int probe_handle(char **argv)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	/* Says which mount, and may not be O_PATH: opened outside. */
	cleanup_fd int mount = open(argv[0], O_RDONLY | O_CLOEXEC);
	int id;

	if (mount < 0 || name_to_handle_at(AT_FDCWD, argv[0], &u.handle, &id, 0) < 0 ||
	    probe_enter(PROBE_CGROUP(argv)) < 0)
		return PROBE_BROKEN;
	return open_by_handle_at(mount, &u.handle, probe_flags(argv[1]));
}

struct probe_ring {
	int fd;
	struct io_uring_params params;
	unsigned char *sq;
	unsigned char *cq;
	struct io_uring_sqe *sqe;
};

static int probe_start_ring(struct probe_ring *ring)
{
	const struct io_uring_params *p = &ring->params;

	ring->fd = (int)syscall(SYS_io_uring_setup, 1, &ring->params);
	if (ring->fd < 0)
		return -1;
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * sizeof(__u32),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->sqe = mmap(NULL, sizeof(*ring->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			 IORING_OFF_SQES);
	return ring->sq == MAP_FAILED || ring->cq == MAP_FAILED || ring->sqe == MAP_FAILED ?
		       PROBE_BROKEN : 0;
}

/* By a worker of the kernel's (IOSQE_ASYNC), which is no thread of ours. */
static int probe_submit(const struct io_uring_sqe *sqe)
{
	struct probe_ring ring = { .fd = -1 };
	struct io_uring_cqe *cqe;
	int r = probe_start_ring(&ring);

	if (r < 0)
		return r;
	*ring.sqe = *sqe;
	ring.sqe->flags = IOSQE_ASYNC;
	ring.sqe->fd = AT_FDCWD;
	((__u32 *)(ring.sq + ring.params.sq_off.array))[0] = 0;
	__atomic_store_n((__u32 *)(ring.sq + ring.params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return PROBE_BROKEN;
	cqe = (struct io_uring_cqe *)(ring.cq + ring.params.cq_off.cqes);
	if (cqe->res < 0)
		errno = -cqe->res;
	return cqe->res < 0 ? -1 : cqe->res;
}

static int probe_uring(char **argv)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT,
				    .addr = (__u64)(uintptr_t)argv[0],
				    .open_flags = (__u32)probe_flags(argv[1]) };

	return probe_submit(&sqe);
}

static int probe_uring2(char **argv)
{
	struct open_how how = { .flags = (__u64)probe_flags(argv[1]) };
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT2,
				    .addr = (__u64)(uintptr_t)argv[0], .len = sizeof(how),
				    .addr2 = (__u64)(uintptr_t)&how };

	return probe_submit(&sqe);
}

/* uringchange WHAT FIRST SECOND */
static int probe_uringchange(char **argv)
{
	static const struct {
		const char *name;
		__u8 opcode;
		bool second;
		__u32 len;	/* the directory of the second name, or a mode */
	} operations[] = { { "unlink", IORING_OP_UNLINKAT, false, 0 },
			   { "mkdir", IORING_OP_MKDIRAT, false, 0700 },
			   { "rename", IORING_OP_RENAMEAT, true, (__u32)AT_FDCWD },
			   { "symlink", IORING_OP_SYMLINKAT, true, 0 },
			   { "link", IORING_OP_LINKAT, true, (__u32)AT_FDCWD } };
	struct io_uring_sqe sqe = { .addr = (__u64)(uintptr_t)argv[1] };

	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strcmp(argv[0], operations[i].name) != 0)
			continue;
		sqe.opcode = operations[i].opcode;
		sqe.len = operations[i].len;
		if (operations[i].second)
			sqe.addr2 = (__u64)(uintptr_t)argv[2];
	}
	return sqe.opcode ? probe_submit(&sqe) : PROBE_BROKEN;
}

/* write PATH TEXT: what the model would do with a file of /sys that it was given */
static int probe_write(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : write(fd, argv[1], strlen(argv[1])) < 0 ? -1 : 0;
}

/* list PATH N: a directory of N entries, "." and ".." left out */
static int probe_list(char **argv)
{
	cleanup_dir DIR *stream = opendir(argv[0]);
	const struct dirent *entry;
	int n = 0;

	if (!stream)
		return -1;
	errno = 0;
	while ((entry = readdir(stream)))
		n += entry->d_name[0] != '.';
	if (errno == 0 && n != atoi(argv[1]))
		errno = ENOENT;
	return errno ? -1 : 0;
}

/* ---- changing ---- */

static int probe_mkdir(char **argv)
{
	return mkdir(argv[0], 0700);
}

static int probe_rmdir(char **argv)
{
	return rmdir(argv[0]);
}

static int probe_unlink(char **argv)
{
	return unlink(argv[0]);
}

static int probe_mkfifo(char **argv)
{
	return mknod(argv[0], S_IFIFO | 0600, 0);
}

static int probe_mkfile(char **argv)
{
	return mknod(argv[0], S_IFREG | 0600, 0);
}

static int probe_symlink(char **argv)
{
	return symlink("target", argv[0]);
}

static int probe_link(char **argv)
{
	return link(argv[0], argv[1]);
}

static int probe_linkfd(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? PROBE_BROKEN : linkat(fd, "", AT_FDCWD, argv[1], AT_EMPTY_PATH);
}

static int probe_rename(char **argv)
{
	return rename(argv[0], argv[1]);
}

static int probe_exchange(char **argv)
{
	return renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE);
}

static int probe_truncate(char **argv)
{
	return truncate(argv[0], 1);
}

/* Through an fd that was opened for writing outside. */
static int probe_ftruncate(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : ftruncate(fd, 1);
}

/* The name of a UNIX socket is a node. */
static int probe_bindunix(char **argv)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0 || strlen(argv[0]) >= sizeof(address.sun_path))
		return PROBE_BROKEN;
	memcpy(address.sun_path, argv[0], strlen(argv[0]) + 1);
	return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

/* fchmodat2(2), from 6.6 on: by an O_PATH fd, which fchmod() takes none of. */
static int probe_chmodpath(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? PROBE_BROKEN : (int)syscall(PROBE_FCHMODAT2, fd, "", 0644, AT_EMPTY_PATH);
}

static int probe_chownpath(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? PROBE_BROKEN : fchownat(fd, "", 0, 0, AT_EMPTY_PATH);
}

static int probe_chmod(char **argv)
{
	return chmod(argv[0], 0644);
}

/* Through an fd that was opened outside. */
static int probe_fchmod(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : fchmod(fd, 0644);
}

static int probe_chown(char **argv)
{
	return chown(argv[0], 0, 0);
}

static int probe_utimes(char **argv)
{
	return utimensat(AT_FDCWD, argv[0], NULL, 0);
}

static int probe_setxattr(char **argv)
{
	return setxattr(argv[0], argv[1], "x", 1, 0);
}

/* By an fd of which the path is no more than a number. */
static int probe_fsetxattr(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : fsetxattr(fd, argv[1], "x", 1, 0);
}

static int probe_removexattr(char **argv)
{
	return removexattr(argv[0], argv[1]);
}

/* u::rw-,g::---,m::---,u:1:r: include/uapi/linux/posix_acl_xattr.h */
static int probe_setacl(char **argv)
{
	static const struct {
		__u32 version;
		struct {
			__u16 tag, perm;
			__u32 id;
		} entry[5];
	} acl = { 2,
		  { { 1, 6, -1U }, { 2, 4, 1 }, { 4, 0, -1U }, { 16, 4, -1U }, { 32, 0, -1U } } };

	return setxattr(argv[0], "system.posix_acl_access", &acl, sizeof(acl), 0);
}

/* ---- what it made itself ---- */

static int probe_openmemfd(char **argv)
{
	return probe_open_fd(memfd_create("probe", MFD_CLOEXEC), argv[0]);
}

static int probe_pipe(char **argv)
{
	int fds[2];

	(void)argv;
	return pipe(fds) < 0 ? PROBE_BROKEN : probe_open_fd(fds[0], "r");
}

/* ---- many ---- */

/* Opens PATH N times; prints how often it was refused, and how often it failed in another way. */
static int probe_burst(char **argv)
{
	long n = atol(argv[1]), denied = 0, other = 0;

	for (long i = 0; i < n; i++) {
		int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)close(fd);
		else if (errno == EACCES || errno == EPERM)
			denied++;
		else
			other++;
	}
	(void)printf("%ld %ld\n", denied, other);
	return PROBE_SAID;
}

static const struct probe_action probe_actions[] = {
	{ "open", 2, probe_open, false }, { "openat2", 2, probe_openat2, false },
	{ "opath", 2, probe_opath, false }, { "relative", 3, probe_relative, false },
	{ "handle", 2, probe_handle, true }, { "uring", 2, probe_uring, false },
	{ "mkdir", 1, probe_mkdir, false }, { "rmdir", 1, probe_rmdir, false },
	{ "unlink", 1, probe_unlink, false }, { "mkfifo", 1, probe_mkfifo, false },
	{ "mkfile", 1, probe_mkfile, false }, { "symlink", 1, probe_symlink, false },
	{ "link", 2, probe_link, false }, { "linkfd", 2, probe_linkfd, false },
	{ "rename", 2, probe_rename, false }, { "exchange", 2, probe_exchange, false },
	{ "truncate", 1, probe_truncate, false }, { "chmod", 1, probe_chmod, false },
	{ "fchmod", 1, probe_fchmod, true }, { "chown", 1, probe_chown, false },
	{ "utimes", 1, probe_utimes, false }, { "setxattr", 2, probe_setxattr, false },
	{ "removexattr", 2, probe_removexattr, false }, { "setacl", 1, probe_setacl, false },
	{ "openmemfd", 1, probe_openmemfd, false }, { "pipe", 0, probe_pipe, false },
	{ "uring2", 2, probe_uring2, false }, { "uringchange", 3, probe_uringchange, false },
	{ "ftruncate", 1, probe_ftruncate, true }, { "bindunix", 1, probe_bindunix, false },
	{ "chmodpath", 1, probe_chmodpath, false }, { "chownpath", 1, probe_chownpath, false },
	{ "fsetxattr", 2, probe_fsetxattr, true }, { "burst", 2, probe_burst, false },
	{ "list", 2, probe_list, false }, { "write", 2, probe_write, true },
};

int main(int argc, char **argv)
{
	return probe_choose(probe_actions, ARRAY_SIZE(probe_actions), argc, argv);
}
