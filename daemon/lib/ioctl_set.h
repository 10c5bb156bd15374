/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named sets of ioctl numbers ([gpu] ioctls): which numbers of which driver a model may use.
 * custodyd makes map entries of them and names their counters. Pure; constants only.
 */
#ifndef CUSTODY_LIB_IOCTL_SET_H
#define CUSTODY_LIB_IOCTL_SET_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/policy.h"

/* Numbers first..last of one driver. Its index in the set is the object of its counter. */
struct ioctl_row {
	__u32 class;		/* enum policy_ioctls, never POLICY_IOCTLS_ANY */
	__u32 first;
	__u32 last;
	const char *name;	/* as the driver's header has it, without its prefix */
};

/* The set `compute`, at most POLICY_IOCTL_ROWS_MAX rows. */
extern const struct ioctl_row ioctl_set_compute[];
extern const size_t ioctl_set_compute_n;

/*
 * The driver behind a GPU node that plan_check() accepted, by its major and its path;
 * POLICY_IOCTLS_ANY when it is none that has numbers here.
 */
__u32 ioctl_set_find_class(__u32 major, const char *path);

#endif
