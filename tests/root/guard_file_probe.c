/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries one way to a file that root has, and prints "allowed" or the errno's name: the ways around
 * open(2), unlink(2) and chmod(2), and descriptors that are passed on. Run by tests/root/8N-*.sh
 * and by a jail's server. What it succeeds in it does not undo.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"

static long probe_handle(const char *path, const char *more)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, fd = open(more, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || name_to_handle_at(AT_FDCWD, path, &h.handle, &mount_id, 0) < 0)
		return -1;
	return open_by_handle_at(fd, &h.handle, O_WRONLY | O_CLOEXEC);
}

static long probe_relative(const char *path, const char *more)
{
	char directory[4096], name[4096];

	(void)more;
	(void)snprintf(directory, sizeof(directory), "%s", path);
	(void)snprintf(name, sizeof(name), "%s", path);
	if (chdir(dirname(directory)) < 0)
		return -1;
	return open(basename(name), O_WRONLY | O_CLOEXEC);
}

static long probe_again(const char *path, int flags)
{
	char link[64];
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return fd;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, O_WRONLY | O_CLOEXEC);
}

static long probe_path_only(const char *path, const char *more)
{
	(void)more;
	return probe_again(path, O_PATH);
}

static long probe_proc(const char *path, const char *more)
{
	(void)more;
	return probe_again(path, O_RDONLY);
}

static long probe_bind(const char *path, const char *more)
{
	int fd;

	if (mount(path, more, NULL, MS_BIND, NULL) < 0)
		return -1;
	fd = open(more, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		int error = errno;

		(void)umount2(more, MNT_DETACH);
		errno = error;
		return -1;
	}
	(void)close(fd);
	return umount2(more, MNT_DETACH);
}

static long probe_exchange(const char *path, const char *more)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, more, RENAME_EXCHANGE);
}

static long probe_times(const char *path, const char *more)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	(void)more;
	return utimensat(AT_FDCWD, path, times, 0);
}

static long probe_owner(const char *path, const char *more)
{
	(void)more;
	return chown(path, 0, 1);
}

/* user::rw-, group::r--, other::r--: the smallest list there is */
static long probe_acl(const char *path, const char *more)
{
	static const unsigned char list[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255,
					      4, 0, 4, 0, 255, 255, 255, 255,
					      32, 0, 4, 0, 255, 255, 255, 255 };

	(void)more;
	return setxattr(path, "system.posix_acl_access", list, sizeof(list), 0);
}

static long probe_ioctl(const char *path, unsigned long get, unsigned long set)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), value = 0;

	if (fd < 0 || ioctl(fd, get, &value) < 0)
		return -1;
	return ioctl(fd, set, &value);
}

static long probe_flags(const char *path, const char *more)
{
	(void)more;
	return probe_ioctl(path, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS);
}

static long probe_version(const char *path, const char *more)
{
	(void)more;
	return probe_ioctl(path, FS_IOC_GETVERSION, FS_IOC_SETVERSION);
}

/* ---- io_uring, by hand ---- */

static long probe_uring(struct io_uring_sqe *sqe)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	struct io_uring_sqe *sqes;
	char *sq, *cq;
	int result;

	if (ring < 0)
		return -1;
	sq = mmap(NULL, params.sq_off.array + sizeof(__u32), PROT_READ | PROT_WRITE, MAP_SHARED,
		  ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + 2 * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		    IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		return -1;
	sqes[0] = *sqe;
	*(__u32 *)(sq + params.sq_off.array) = 0;
	__atomic_store_n((__u32 *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	result = ((struct io_uring_cqe *)(cq + params.cq_off.cqes))->res;
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

static long probe_uring_open(const char *path, const char *more)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
				    .addr = (__u64)(uintptr_t)path, .open_flags = O_WRONLY };

	(void)more;
	return probe_uring(&sqe);
}

static long probe_uring_unlink(const char *path, const char *more)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD,
				    .addr = (__u64)(uintptr_t)path };

	(void)more;
	return probe_uring(&sqe);
}

/* ---- descriptors that are passed on ---- */

/* To ourselves: who receives is what is asked about. EPERM when the message came without it. */
static long probe_pass(const char *path, const char *more)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	int fd = open(path, O_RDONLY | O_CLOEXEC), pair[2];

	(void)more;
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -1;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(pair[0], &msg, 0) < 0)
		return -1;
	msg.msg_controllen = sizeof(control);
	if (recvmsg(pair[1], &msg, 0) < 0)
		return -1;
	if (msg.msg_controllen >= CMSG_LEN(sizeof(int)) && !(msg.msg_flags & MSG_CTRUNC))
		return 0;
	errno = EPERM;
	return -1;
}

/* From a child of ours that has it open, so that tracing is nobody's question. */
static long probe_fetch(const char *path, const char *more)
{
	int ready[2], pidfd, error;
	int fd;
	pid_t pid;
	long r;

	(void)more;
	if (pipe(ready) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		fd = open(path, O_RDONLY);
		if (write(ready[1], &fd, sizeof(fd)) != sizeof(fd))
			_exit(1);
		(void)pause();
	}
	if (pid < 0 || read(ready[0], &fd, sizeof(fd)) != sizeof(fd) || fd < 0)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	error = errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	errno = error;
	return r;
}

static const struct {
	const char *verb;
	long (*try)(const char *path, const char *more);
} probe_verbs[] = {
	{ "handle", probe_handle },	    { "relative", probe_relative },
	{ "path-only", probe_path_only },   { "proc", probe_proc },
	{ "bind-open", probe_bind },	    { "exchange", probe_exchange },
	{ "times", probe_times },	    { "owner", probe_owner },
	{ "acl", probe_acl },		    { "flags", probe_flags },
	{ "version", probe_version },	    { "uring-open", probe_uring_open },
	{ "uring-unlink", probe_uring_unlink }, { "pass", probe_pass },
	{ "fetch", probe_fetch },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 3 && i < ARRAY_SIZE(probe_verbs); i++) {
		long r;

		if (strcmp(probe_verbs[i].verb, argv[1]) != 0)
			continue;
		r = probe_verbs[i].try(argv[2], argv[3]);
		(void)printf("%s\n", r < 0 ? strerrorname_np(errno) : "allowed");
		return 0;
	}
	return 2;
}
