/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the thread that called bind(). Run by custody-broker, confined. Trusts the kernel's
 * answers about the target, and nothing that the target's memory holds.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define TARGET_PIDFD_THREAD O_EXCL	/* PIDFD_THREAD, Linux 6.9 */
#define TARGET_SNDBUF_LOCK 1	/* SOCK_SNDBUF_LOCK of include/net/sock.h: set by SO_SNDBUF */
#define TARGET_RCVBUF_LOCK 2

void target_release(struct target *target)
{
	if (target)
		cleanup_close_fd(&target->fd);
}

/* A small file of /proc as a NUL-terminated string, cut at size - 1. Returns its length. */
static ssize_t target_read_file(int proc, const char *path, char *ret, size_t size)
{
	cleanup_fd int fd = openat(proc, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return n;
}

/* The number behind "\nNAME:" in base 10 or 8. */
static int target_find_number(const char *text, const char *name, int base, unsigned long *ret)
{
	const char *at = strstr(text, name);
	char *end;
	unsigned long value;

	if (!at)
		return -EPROTO;
	at += strlen(name);
	errno = 0;
	value = strtoul(at, &end, base);
	if (end == at || errno != 0)
		return -EPROTO;
	*ret = value;
	return 0;
}

int target_read_identity(int proc, struct target *target)
{
	char path[64];
	char text[512];
	unsigned long tgid;
	ssize_t n;
	int r;

	(void)snprintf(path, sizeof(path), "%u/status", target->tid);
	n = target_read_file(proc, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* Name: comes first and the kernel escapes newlines in it: no comm can forge this line. */
	r = target_find_number(text, "\nTgid:", 10, &tgid);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%u/comm", target->tid);
	n = target_read_file(proc, path, target->comm, sizeof(target->comm));
	if (n < 0)
		return (int)n;
	if (n > 0 && target->comm[n - 1] == '\n')
		target->comm[n - 1] = '\0';
	target->tgid = (__u32)tgid;
	return 0;
}

int target_read_memory(const struct target *target, __u64 address, void *ret, size_t len)
{
	struct iovec local = { .iov_base = ret, .iov_len = len };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)address, .iov_len = len };
	ssize_t n;

	if (len > ADDRESS_SIZE_MAX)
		return -EINVAL;
	if (len == 0)
		return 0;
	n = process_vm_readv((pid_t)target->tid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

/*
 * A pidfd of the calling thread. Before Linux 6.9 only a thread group has one; its leader shares
 * the fd table unless the program unshared it, and then the copy may be another fd of the same
 * jail: what is granted does not depend on it, only the options that are carried.
 */
static int target_open_pidfd(const struct target *target)
{
	int fd = (int)syscall(SYS_pidfd_open, target->tid, TARGET_PIDFD_THREAD);

	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_pidfd_open, target->tgid, 0);
	return fd < 0 ? -errno : fd;
}

static int target_get_int(int fd, int level, int option, int *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(fd, level, option, ret, &size) < 0 ? -errno : 0;
}

static int target_read_socket(struct target *target)
{
	socklen_t size = sizeof(target->cookie);
	int v6only = 0;
	int r = target_get_int(target->fd, SOL_SOCKET, SO_DOMAIN, &target->socket.domain);

	if (r == 0)
		r = target_get_int(target->fd, SOL_SOCKET, SO_TYPE, &target->socket.type);
	if (r == 0)
		r = target_get_int(target->fd, SOL_SOCKET, SO_PROTOCOL, &target->socket.protocol);
	if (r == 0 && target->socket.domain == AF_INET6)
		r = target_get_int(target->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only);
	if (r < 0)
		return r;
	target->socket.v6only = v6only != 0;
	if (getsockopt(target->fd, SOL_SOCKET, SO_COOKIE, &target->cookie, &size) < 0)
		return -errno;
	size = sizeof(target->netns);
	if (getsockopt(target->fd, SOL_SOCKET, SO_NETNS_COOKIE, &target->netns, &size) < 0)
		return -errno;
	return 0;
}

/* "flags:\t0102000002" of fdinfo: the octal open flags, with FD_CLOEXEC as O_CLOEXEC. */
static int target_read_cloexec(int proc, struct target *target)
{
	char path[64];
	char text[512];
	unsigned long flags;
	ssize_t n;
	int r;

	(void)snprintf(path, sizeof(path), "%u/fdinfo/%d", target->tid, target->fd_number);
	n = target_read_file(proc, path, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? -EBADF : (int)n;
	r = target_find_number(text, "\nflags:", 8, &flags);
	if (r < 0)
		return r;
	target->cloexec = (flags & O_CLOEXEC) != 0;
	return 0;
}

int target_copy_socket(int proc, struct target *target)
{
	cleanup_fd int pidfd = -1;
	int r = target_open_pidfd(target);

	if (r < 0)
		return r;
	pidfd = r;
	target->fd = (int)syscall(SYS_pidfd_getfd, pidfd, target->fd_number, 0);
	if (target->fd < 0)
		return -errno;
	r = target_read_socket(target);
	return r < 0 ? r : target_read_cloexec(proc, target);
}

/*
 * Options that a server sets before bind() and expects to hold for its listening socket. Not
 * here: SO_REUSEADDR and SO_REUSEPORT (the port is held already), IPV6_V6ONLY (matched by A3),
 * SO_BINDTODEVICE, SO_MARK and other ways out of the granted address.
 */
static const struct target_option {
	int level;
	int name;
	socklen_t size;
} target_options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, sizeof(int) },
	{ SOL_SOCKET, SO_OOBINLINE, sizeof(int) },
	{ SOL_SOCKET, SO_LINGER, sizeof(struct linger) },
	{ SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval) },
	{ SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval) },
	{ SOL_SOCKET, SO_RCVLOWAT, sizeof(int) },
	{ SOL_SOCKET, SO_PASSCRED, sizeof(int) },
	{ IPPROTO_IP, IP_PKTINFO, sizeof(int) },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, sizeof(int) },
	{ IPPROTO_TCP, TCP_NODELAY, sizeof(int) },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, sizeof(int) },
	{ IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int) },
	{ IPPROTO_TCP, TCP_KEEPINTVL, sizeof(int) },
	{ IPPROTO_TCP, TCP_KEEPCNT, sizeof(int) },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, sizeof(int) },
};

static bool target_has_no_option(int error)
{
	return error == ENOPROTOOPT || error == EOPNOTSUPP || error == EINVAL;
}

/* Sets what differs, and only that: a default is never made explicit. */
static int target_carry_option(const struct target *target, int endpoint,
			       const struct target_option *option)
{
	union {
		int number;
		struct linger linger;
		struct timeval time;
	} want = { 0 }, have = { 0 };
	socklen_t want_size = option->size;
	socklen_t have_size = option->size;

	if (getsockopt(target->fd, option->level, option->name, &want, &want_size) < 0 ||
	    getsockopt(endpoint, option->level, option->name, &have, &have_size) < 0)
		return target_has_no_option(errno) ? 0 : -errno;
	if (want_size != have_size || memcmp(&want, &have, want_size) == 0)
		return 0;
	return setsockopt(endpoint, option->level, option->name, &want, want_size) < 0 ? -errno : 0;
}

/* A buffer size that the server chose; the kernel shows the double of what was asked for. */
static int target_carry_buffer(const struct target *target, int endpoint, int lock, int option)
{
	int locked = 0;
	int size;

	if (target_get_int(target->fd, SOL_SOCKET, SO_BUF_LOCK, &locked) < 0 || !(locked & lock))
		return 0;
	if (target_get_int(target->fd, SOL_SOCKET, option, &size) < 0)
		return -errno;
	size /= 2;
	return setsockopt(endpoint, SOL_SOCKET, option, &size, sizeof(size)) < 0 ? -errno : 0;
}

int target_carry_options(const struct target *target, int endpoint)
{
	int flags = fcntl(target->fd, F_GETFL);
	int r = 0;

	if (flags < 0)
		return -errno;
	if (fcntl(endpoint, F_SETFL, flags & O_NONBLOCK) < 0)
		r = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(target_options); i++) {
		int one = target_carry_option(target, endpoint, &target_options[i]);

		r = r < 0 ? r : one;
	}
	if (r == 0)
		r = target_carry_buffer(target, endpoint, TARGET_SNDBUF_LOCK, SO_SNDBUF);
	if (r == 0)
		r = target_carry_buffer(target, endpoint, TARGET_RCVBUF_LOCK, SO_RCVBUF);
	return r;
}
