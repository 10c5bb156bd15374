/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named sets of ioctl requests ([gpu] ioctls) as seccomp compares them: the whole 32-bit value,
 * because seccomp does not see which driver is behind the descriptor and some drivers look at
 * parts of the value only. The numbers that the lsm plane compares, node by node, are
 * ioctl_set.c's. Linked into custody-jail. Pure; constants only.
 */
#ifndef CUSTODY_LIB_IOCTL_REQUEST_H
#define CUSTODY_LIB_IOCTL_REQUEST_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/policy.h"

/* A request is allowed when (request & mask) == value. */
struct ioctl_request {
	__u32 class;		/* enum policy_ioctls, never POLICY_IOCTLS_ANY */
	__u32 value;
	__u32 mask;		/* all ones but where the table says why not */
};

/* The set `compute`. */
extern const struct ioctl_request ioctl_request_compute[];
extern const size_t ioctl_request_compute_n;

#endif
