/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custody-broker learns of the thread that called bind(): its memory, its socket, its name.
 * Run by custody-broker, confined, as the owner of the jail's user namespace: that ownership is
 * the only right used here, and it reaches the jail's processes and no others.
 *
 * Everything read may be gone or another process's by the time it is read: the caller checks
 * SECCOMP_IOCTL_NOTIF_ID_VALID after the reads and before it acts on them.
 */
#ifndef CUSTODY_BROKER_TARGET_H
#define CUSTODY_BROKER_TARGET_H

#include <linux/types.h>
#include <stdbool.h>

#include "address.h"
#include "custody/limits.h"

struct target {
	__u32 tid;
	__u32 tgid;
	char comm[CUSTODY_COMM_SIZE];	/* bytes of the model's choice, NUL-terminated */
	int fd_number;			/* args[0]: the fd in the target */
	int fd;				/* our copy of it, owned; -1 = none */
	bool cloexec;			/* FD_CLOEXEC of fd_number in the target */
	__u64 cookie;			/* SO_COOKIE */
	__u64 netns;			/* SO_NETNS_COOKIE */
	struct address_socket socket;
};

/* Closes the copy. NULL-safe. */
void target_release(struct target *target);
#define cleanup_target __attribute__((cleanup(target_release)))

/* Thread group and comm of target->tid through the /proc directory fd. 0 or -errno. */
int target_read_identity(int proc, struct target *target);

/*
 * Copies the socket target->fd_number (pidfd_getfd) and reads what it is. Returns 0, -EBADF when
 * the target has no such fd, -ENOTSOCK when it is no socket, -errno. Needs the identity.
 */
int target_copy_socket(int proc, struct target *target);

/*
 * Reads exactly len bytes, at most ADDRESS_SIZE_MAX, of the target's memory. Returns 0, -EFAULT
 * when not all of it is mapped, -EINVAL for a longer read, or -errno.
 */
int target_read_memory(const struct target *target, __u64 address, void *ret, size_t len);

/*
 * Gives the listening socket what the server had set on its own before bind(): O_NONBLOCK and
 * the options of one table in target.c. An option that one of the two sockets does not have is
 * not carried. Returns 0, or -errno when the kernel refused one that both have.
 */
int target_carry_options(const struct target *target, int endpoint);

#endif
