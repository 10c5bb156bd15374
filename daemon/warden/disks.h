/* SPDX-License-Identifier: Apache-2.0 */
/* The disks that a directory's file system lies on. Run by custodyd. Trusts the kernel's sysfs. */
#ifndef CUSTODY_WARDEN_DISKS_H
#define CUSTODY_WARDEN_DISKS_H

#include <stdbool.h>

#include "cgroup.h"

/*
 * Adds the whole disk of path's file system to those of *limits, unless it is there already; one
 * in memory has none. What io.max could not bound is refused, and *ret_why says why: -ENODEV no
 * disk of its own (network, overlay, btrfs), -EOPNOTSUPP `write`, and what is written is flushed
 * later by nobody's cgroup; -E2BIG too many disks.
 */
int disks_add(struct cgroup_limits *limits, const char *path, bool write, const char **ret_why);

#endif
