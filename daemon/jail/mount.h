/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount API of Linux 5.2 and later, one verb each, by fd and never by path. Run by
 * custody-jail as root inside its own mount namespace. Trusts only fds that its caller opened.
 * Every fd returned is close-on-exec and the caller's; every function returns 0 or -errno.
 */
#ifndef CUSTODY_JAIL_MOUNT_H
#define CUSTODY_JAIL_MOUNT_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

struct mount_tmpfs {
	__u64 size;		/* bytes */
	__u64 inodes;
	mode_t mode;
	uid_t owner;		/* and group */
	bool noswap;		/* asked for; see ret_noswap */
};

/* Detached tmpfs. *ret_noswap (may be NULL) says whether the kernel knows noswap (6.4). */
int mount_make_tmpfs(const struct mount_tmpfs *options, int *ret_fd, bool *ret_noswap);

/* Detached procfs of the caller's pid namespace, which hides what may not be ptraced. */
int mount_make_proc(int *ret_fd);

/*
 * Detached copy of the mount that shows `fd` (O_PATH), from there down. Not recursive: what is
 * mounted below on the host does not come along, the directories under it show empty.
 */
int mount_clone_path(int fd, int *ret_fd);

/* Sets MOUNT_ATTR_* flags; never clears one, so that what the host forbids stays forbidden. */
int mount_restrict(int fd, __u64 attributes);

/*
 * Shows the owners of files as the user namespace maps them. Only before the mount is attached.
 * -EINVAL: not with this file system; -EPERM: the host's own mount is mapped already.
 */
int mount_map_ids(int fd, int user_namespace);

/* Attaches a detached mount on the directory or file behind target_fd. */
int mount_attach(int fd, int target_fd);

/* The mount id that mountinfo, statx and BPF agree on. */
int mount_read_id(int fd, __u64 *ret);

/* openat2() with O_PATH below dir, no magic link, and none at all when `links` is false. */
int mount_open_path(int dir, const char *path, bool links, int *ret_fd);

/*
 * Directory (or empty file) at `path` below the root directory, made where it is missing, no
 * symlink followed. may_make(arg, mount id) says whether something may be made in that mount;
 * -EXDEV when it is missing in one where it may not.
 */
int mount_make_target(int root, const char *path, bool directory,
		      bool (*may_make)(const void *arg, __u64 mount_id), const void *arg,
		      int *ret_fd);

/* New file with this content and mode 0444 in a directory that the caller made. */
int mount_write_file(int dir, const char *name, const char *content);

#endif
