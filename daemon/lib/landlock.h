/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock's kernel interface up to ABI 7, by value: Debian 12's headers stop at ABI 2.
 * include/uapi/linux/landlock.h is the standard; numbers never change.
 * Remove when the oldest supported build host ships headers of Linux 6.12.
 */
#ifndef CUSTODY_LANDLOCK_H
#define CUSTODY_LANDLOCK_H

#include <linux/types.h>
#include <stddef.h>

#define LANDLOCK_VERSION_FLAG	1U
#define LANDLOCK_RULE_PATH	1

struct landlock_ruleset {
	__u64 handled_access_fs;
	__u64 handled_access_net;	/* ABI 4 */
	__u64 scoped;			/* ABI 6 */
};

struct landlock_path_rule {
	__u64 allowed_access;
	__s32 parent_fd;
} __attribute__((packed));

#define LANDLOCK_FS_EXECUTE	(1ULL << 0)
#define LANDLOCK_FS_WRITE_FILE	(1ULL << 1)
#define LANDLOCK_FS_READ_FILE	(1ULL << 2)
#define LANDLOCK_FS_READ_DIR	(1ULL << 3)
#define LANDLOCK_FS_ALL_ABI1	((1ULL << 13) - 1)
#define LANDLOCK_FS_REFER	(1ULL << 13)	/* ABI 2 */
#define LANDLOCK_FS_TRUNCATE	(1ULL << 14)	/* ABI 3 */
#define LANDLOCK_FS_IOCTL_DEV	(1ULL << 15)	/* ABI 5 */

#define LANDLOCK_FS_READ	(LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR)
/* Everything but execute, read and device ioctls; making nodes is left out on purpose. */
#define LANDLOCK_FS_MAKE_CHAR	(1ULL << 6)
#define LANDLOCK_FS_MAKE_BLOCK	(1ULL << 11)
#define LANDLOCK_FS_WRITE                                                                    \
	((LANDLOCK_FS_ALL_ABI1 | LANDLOCK_FS_REFER | LANDLOCK_FS_TRUNCATE) &                 \
	 ~(LANDLOCK_FS_EXECUTE | LANDLOCK_FS_READ | LANDLOCK_FS_MAKE_CHAR | LANDLOCK_FS_MAKE_BLOCK))
/* The rights that may be given on something that is not a directory. */
#define LANDLOCK_FS_FILE_ONLY                                                                \
	(LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_READ_FILE |              \
	 LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV)

/* Every file system right that the ABI knows. */
static inline __u64 landlock_fs_rights(int abi)
{
	__u64 rights = LANDLOCK_FS_ALL_ABI1;

	if (abi >= 2)
		rights |= LANDLOCK_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LANDLOCK_FS_IOCTL_DEV;
	return rights;
}

/* Bind and connect of classic TCP. */
static inline __u64 landlock_net_rights(int abi)
{
	return abi >= 4 ? 3ULL : 0;
}

/* Abstract UNIX sockets and signals. */
static inline __u64 landlock_scopes(int abi)
{
	return abi >= 6 ? 3ULL : 0;
}

/* The struct grew; older kernels refuse bytes that they do not know. */
static inline size_t landlock_ruleset_size(int abi)
{
	if (abi >= 6)
		return 24;
	return abi >= 4 ? 16 : 8;
}

#endif
