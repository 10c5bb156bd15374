/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one thing with files from inside a cgroup and prints the errno it got, "0" when it was
 * allowed. Run as root by tests/root/7*-lsm-{file,exec}.sh. Exits 2 when the thing could not be
 * tried, so that a broken probe never passes as a denial. No seccomp filter: what the system call
 * filter of a real jail would refuse first is tried here against the LSM plane alone.
 *
 *   lsm_probe CGROUP ACTION ARGUMENT...      CGROUP: directory, or "-" to stay where we are
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_BROKEN -2	/* instead of -1: no answer of the kernel's */

/* Actions get the arguments that follow their name: the cgroup stands two before. */
#define PROBE_CGROUP(ARGV) ((ARGV)[-2])

static int probe_enter(const char *cgroup)
{
	cleanup_fd int fd = -1;
	char path[512];

	if (strcmp(cgroup, "-") == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? PROBE_BROKEN : 0;
}

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
static int probe_uring(char **argv)
{
	struct probe_ring ring = { .fd = -1 };
	struct io_uring_cqe *cqe;
	int r = probe_start_ring(&ring);

	if (r < 0)
		return r;
	memset(ring.sqe, 0, sizeof(*ring.sqe));
	ring.sqe->opcode = IORING_OP_OPENAT;
	ring.sqe->flags = IOSQE_ASYNC;
	ring.sqe->fd = AT_FDCWD;
	ring.sqe->addr = (__u64)(uintptr_t)argv[0];
	ring.sqe->open_flags = (__u32)probe_flags(argv[1]);
	((__u32 *)(ring.sq + ring.params.sq_off.array))[0] = 0;
	__atomic_store_n((__u32 *)(ring.sq + ring.params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return PROBE_BROKEN;
	cqe = (struct io_uring_cqe *)(ring.cq + ring.params.cq_off.cqes);
	if (cqe->res < 0)
		errno = -cqe->res;
	return cqe->res < 0 ? -1 : cqe->res;
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

/* ---- running ---- */

static int probe_protection(const char *text)
{
	return (strchr(text, 'r') ? PROT_READ : 0) | (strchr(text, 'w') ? PROT_WRITE : 0) |
	       (strchr(text, 'x') ? PROT_EXEC : 0);
}

static int probe_exec(char **argv)
{
	(void)execv(argv[0], argv);
	return -1;
}

/* A copy in memory of the program argv[0]. */
static int probe_make_memfd(const char *path)
{
	cleanup_fd int from = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_fd int fd = memfd_create("probe", MFD_CLOEXEC);
	struct stat st;

	if (from < 0 || fd < 0 || fstat(from, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		char bytes[65536];
		ssize_t n = read(from, bytes, sizeof(bytes));

		if (n <= 0 || write(fd, bytes, (size_t)n) != n)
			return -1;
		left -= n;
	}
	return TAKE_FD(fd);
}

static int probe_exec_fd(int fd)
{
	char name[] = "program";
	char *arguments[] = { name, NULL };

	(void)syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
	return -1;
}

static int probe_execmemfd(char **argv)
{
	cleanup_fd int fd = probe_make_memfd(argv[0]);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : probe_exec_fd(fd);
}

/* Opened, unlinked, then run. */
static int probe_execunlinked(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(argv[0]) < 0 || probe_enter(PROBE_CGROUP(argv)) < 0)
		return PROBE_BROKEN;
	return probe_exec_fd(fd);
}

static int probe_map(int fd, int flags, const char *protection, const char *change)
{
	void *memory = mmap(NULL, 4096, probe_protection(protection), flags, fd, 0);

	if (memory == MAP_FAILED)
		return -1;
	return change[0] == '-' ? 0 : mprotect(memory, 4096, probe_protection(change));
}

/* map PATH p|s PROT PROT2|-: of a file that was opened outside */
static int probe_mapfile(char **argv)
{
	bool shared = argv[1][0] == 's';
	bool write = shared && (strchr(argv[2], 'w') || strchr(argv[3], 'w'));
	cleanup_fd int fd = open(argv[0], (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : probe_map(fd, shared ? MAP_SHARED : MAP_PRIVATE, argv[2], argv[3]);
}

static int probe_mapanon(char **argv)
{
	return probe_map(-1, MAP_ANONYMOUS | (argv[0][0] == 's' ? MAP_SHARED : MAP_PRIVATE),
			 argv[1], argv[2]);
}

static int probe_mapmemfd(char **argv)
{
	cleanup_fd int fd = memfd_create("probe", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return fd < 0 ? PROBE_BROKEN : -1;
	return probe_map(fd, MAP_SHARED, argv[0], argv[1]);
}

static int probe_openmemfd(char **argv)
{
	return probe_open_fd(memfd_create("probe", MFD_CLOEXEC), argv[0]);
}

/* A library's page, written privately, then made executable again. */
static int probe_patch(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));
	char *memory;

	if (r < 0)
		return r;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		return PROBE_BROKEN;
	memory[0] = 'x';
	return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static int probe_unlinkedmap(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(argv[0]) < 0 || probe_enter(PROBE_CGROUP(argv)) < 0)
		return PROBE_BROKEN;
	return probe_map(fd, MAP_PRIVATE, "rx", "-");
}

static int probe_pipe(char **argv)
{
	int fds[2];

	(void)argv;
	return pipe(fds) < 0 ? PROBE_BROKEN : probe_open_fd(fds[0], "r");
}

/* ---- many ---- */

/* Every process opens PATH N times; prints how often it was EACCES, and how often not at all. */
static int probe_burst(char **argv)
{
	long n = atol(argv[1]), denied = 0, other = 0;

	for (long i = 0; i < n; i++) {
		int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)close(fd);
		else if (errno == EACCES)
			denied++;
		else
			other++;
	}
	(void)printf("%ld %ld\n", denied, other);
	return PROBE_BROKEN;
}

static const struct {
	const char *action;
	int n_args;
	int (*run)(char **argv);
	bool enters;	/* the cgroup, by itself */
} probe_actions[] = {
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
	{ "exec", 1, probe_exec, false }, { "execmemfd", 1, probe_execmemfd, true },
	{ "execunlinked", 1, probe_execunlinked, true }, { "map", 4, probe_mapfile, true },
	{ "anon", 3, probe_mapanon, false }, { "memfd", 2, probe_mapmemfd, false },
	{ "openmemfd", 1, probe_openmemfd, false }, { "patch", 1, probe_patch, true },
	{ "unlinkedmap", 1, probe_unlinkedmap, true }, { "pipe", 0, probe_pipe, false },
	{ "burst", 2, probe_burst, false },
};

int main(int argc, char **argv)
{
	const char *name;
	int r;

	if (argc < 3)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(probe_actions); i++) {
		if (strcmp(argv[2], probe_actions[i].action) != 0 ||
		    argc - 3 != probe_actions[i].n_args)
			continue;
		r = probe_actions[i].enters ? 0 : probe_enter(argv[1]);
		if (r == 0)
			r = probe_actions[i].run(argv + 3);
		if (r == PROBE_BROKEN && strcmp(argv[2], "burst") == 0)
			return 0;
		if (r == PROBE_BROKEN) {
			(void)fprintf(stderr, "lsm_probe: %s: %s\n", argv[2], strerror(errno));
			return 2;
		}
		name = r < 0 ? strerrorname_np(errno) : "0";
		(void)printf("%s\n", name ? name : "?");
		return 0;
	}
	return 2;
}
