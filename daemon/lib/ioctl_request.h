/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named sets of ioctl requests ([gpu] ioctls) as seccomp compares them: the whole 32-bit value,
 * because seccomp does not see which driver is behind the descriptor and some drivers look at
 * parts of the value only. The numbers that the lsm plane compares, node by node, are
 * ioctl_set.c's. Linked into custody-jail. Pure; constants only.
 *
 * A jail with several classes has the values of all of them for each of its nodes: where there is
 * no lsm plane a number of UVM may be tried on NVIDIA's frontend, which takes its low byte for a
 * number of its own, and refuses it for its size, which is 0.
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
