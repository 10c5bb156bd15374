/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables from which the two seccomp filters are made. Read by seccomp_filter.c only.
 *
 *   allow   default ENOSYS: what is not in the set does not exist; libc falls back
 *   deny    default allow: what is known to be dangerous is refused with the errno that a
 *           person, the demo and the event log recognise
 *
 * Both are in force; the kernel takes the stricter answer, and of two errnos the one of the
 * filter loaded last, which is `deny`. Nothing is permitted by the absence of a row in `deny`.
 */
#ifndef CUSTODY_JAIL_FILTER_H
#define CUSTODY_JAIL_FILTER_H

#include <linux/types.h>
#include <seccomp.h>
#include <stddef.h>

/* When a row applies. */
enum seccomp_when {
	SECCOMP_ALWAYS = 0,
	SECCOMP_JIT,		/* PLAN_FLAG_JIT */
	SECCOMP_NO_JIT,
	SECCOMP_MEMFD,		/* PLAN_FLAG_MEMFD */
	SECCOMP_NO_MEMFD,
	SECCOMP_DEVICES,	/* the plan has devices: their ioctls are the driver's and the */
	SECCOMP_NO_DEVICES,	/*   cgroup's to decide; without, only the known few exist */
	SECCOMP_BIND_NOTIFY,	/* bind() is answered by the broker */
	SECCOMP_BIND_REFUSE,	/* nothing to listen on */
	SECCOMP_CONNECT_NOTIFY,	/* PLAN_FLAG_CONNECT: connect() is answered by the broker */
	SECCOMP_CONNECT_KERNEL,
};

#define SECCOMP_ARGS_MAX 3

struct seccomp_rule {
	const char *syscall;
	__u32 action;		/* SCMP_ACT_* */
	enum seccomp_when when;
	unsigned int n_args;
	struct scmp_arg_cmp args[SECCOMP_ARGS_MAX];
};

/*
 * Comparisons are masked, because the kernel passes 64 bits and uses 32 of an int: a garbage
 * upper half must match as well.
 */
#define SECCOMP_BITS(n, mask, value) \
	{ .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value) }
#define SECCOMP_INT(n, value) SECCOMP_BITS(n, 0xffffffffU, (__u32)(value))

struct seccomp_group {
	const char *name;
	const char *const *syscalls;
	size_t n;
};

/* seccomp_set.c: groups of the set `model-server`, and its rows with conditions. */
extern const struct seccomp_group seccomp_set_groups[];
extern const size_t seccomp_set_n_groups;
extern const struct seccomp_rule seccomp_set_rules[];
extern const size_t seccomp_set_n_rules;

/* seccomp_deny.c: syscalls that are refused with EPERM whatever their arguments, and rows. */
extern const char *const seccomp_deny_syscalls[];
extern const size_t seccomp_deny_n_syscalls;
extern const struct seccomp_rule seccomp_deny_rules[];
extern const size_t seccomp_deny_n_rules;

#endif
