/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables from which the seccomp filters are made. Read by seccomp_filter.c only.
 *
 *   allow   default ENOSYS: what is not in the set does not exist; libc falls back
 *   ioctl   of ioctl() alone, default EPERM: whole request values (seccomp_ioctl.c)
 *   deny    default allow: what is known to be dangerous is refused with the errno that a
 *           person, the demo and the event log recognise
 *
 * All are in force; the kernel takes the stricter answer, and of two errnos the one of the
 * filter loaded last, which is `deny`. Nothing is permitted by the absence of a row in `deny`.
 * A call of another ABI (i386, x32) ends the process: no table below is about its numbers.
 */
#ifndef CUSTODY_JAIL_FILTER_H
#define CUSTODY_JAIL_FILTER_H

#include <linux/types.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

/* When a row applies. */
enum seccomp_when {
	SECCOMP_ALWAYS = 0,
	SECCOMP_JIT,		/* PLAN_FLAG_JIT */
	SECCOMP_NO_JIT,
	SECCOMP_MEMFD,		/* PLAN_FLAG_MEMFD */
	SECCOMP_NO_MEMFD,
	SECCOMP_BIND_NOTIFY,	/* bind() is answered by the broker */
	SECCOMP_BIND_REFUSE,	/* nothing to listen on */
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

/* A set ([syscalls] set): its groups, and the rows with conditions that every set has. */
struct seccomp_set {
	const char *name;
	const struct seccomp_group *const *groups;
	size_t n_groups;
	bool devices;		/* ioctl() of the plan's devices */
};

/* seccomp_set.c. NULL when there is no such set: not after plan_check(). */
const struct seccomp_set *seccomp_set_find(__u32 set);
extern const struct seccomp_rule seccomp_set_rules[];
extern const size_t seccomp_set_n_rules;

/* seccomp_deny.c: syscalls that are refused with EPERM whatever their arguments, and rows. */
extern const char *const seccomp_deny_syscalls[];
extern const size_t seccomp_deny_n_syscalls;
extern const struct seccomp_rule seccomp_deny_rules[];
extern const size_t seccomp_deny_n_rules;

/*
 * seccomp_ioctl.c: the filter for ioctl(), without requests of devices unless `devices`. The
 * program is the caller's to free; 0 and nothing in ret where every request is allowed; -ENOMEM.
 */
struct custody_plan;
struct jail_filter;
int ioctl_compile_filter(const struct custody_plan *plan, bool devices, struct jail_filter *ret);

#endif
