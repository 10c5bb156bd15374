/* SPDX-License-Identifier: Apache-2.0 */
/* The mount API by fd. Run by custody-jail as root in its own mount namespace. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "custody/limits.h"

/* Debian 12's <sys/stat.h> has statx() but not this bit; include/uapi/linux/stat.h, Linux 5.8. */
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

static int mount_set_string(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

static int mount_set_number(int fs, const char *key, __u64 value, const char *format)
{
	char text[32];

	(void)snprintf(text, sizeof(text), format, (unsigned long long)value);
	return mount_set_string(fs, key, text);
}

static int mount_finish(int fs, __u64 attributes, int *ret_fd)
{
	int fd;

	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attributes);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int mount_make_tmpfs(const struct mount_tmpfs *options, int *ret_fd, bool *ret_noswap)
{
	cleanup_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	bool noswap = false;
	int r;

	if (fs < 0)
		return -errno;
	r = mount_set_number(fs, "size", options->size, "%llu");
	if (r == 0)
		r = mount_set_number(fs, "nr_inodes", options->inodes, "%llu");
	if (r == 0)
		r = mount_set_number(fs, "mode", options->mode, "%llo");
	if (r == 0)
		r = mount_set_number(fs, "uid", options->owner, "%llu");
	if (r == 0)
		r = mount_set_number(fs, "gid", options->owner, "%llu");
	if (r < 0)
		return r;
	if (options->noswap) {
		/* Unknown before 6.4: the fact is returned, the caller reports it. */
		noswap = fsconfig(fs, FSCONFIG_SET_FLAG, "noswap", NULL, 0) == 0;
		if (!noswap && errno != EINVAL)
			return -errno;
	}
	r = mount_finish(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, ret_fd);
	if (r == 0 && ret_noswap)
		*ret_noswap = noswap;
	return r;
}

int mount_make_proc(int *ret_fd)
{
	cleanup_fd int fs = fsopen("proc", FSOPEN_CLOEXEC);
	int r;

	if (fs < 0)
		return -errno;
	r = mount_set_string(fs, "hidepid", "invisible");
	if (r < 0)
		return r;
	return mount_finish(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, ret_fd);
}

int mount_clone_path(int fd, int *ret_fd)
{
	int clone = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);

	if (clone < 0)
		return -errno;
	*ret_fd = clone;
	return 0;
}

int mount_restrict(int fd, __u64 attributes)
{
	struct mount_attr attr = { .attr_set = attributes };

	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

int mount_map_ids(int fd, int user_namespace)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)user_namespace,
	};

	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

int mount_attach(int fd, int target_fd)
{
	if (move_mount(fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int mount_read_id(int fd, __u64 *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	*ret = st.stx_mnt_id;
	return 0;
}

static int mount_open_below(int dir, const char *path, __u64 flags, __u64 resolve, int *ret_fd)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	if (fd < 0)
		return -errno;
	*ret_fd = (int)fd;
	return 0;
}

int mount_open_path(int dir, const char *path, bool links, int *ret_fd)
{
	/* IN_ROOT: absolute paths, and absolute links, start at dir. */
	__u64 resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

	if (!links)
		resolve |= RESOLVE_NO_SYMLINKS;
	return mount_open_below(dir, path, O_PATH | O_CLOEXEC, resolve, ret_fd);
}

static int mount_make_one(int dir, const char *name, bool directory)
{
	cleanup_fd int fd = -1;

	if (directory)
		return mkdirat(dir, name, 0755) < 0 ? -errno : 0;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	return fd < 0 ? -errno : 0;
}

/* One component: opened, or made and opened. */
static int mount_step_into(int dir, const char *name, bool directory,
			   bool (*may_make)(const void *arg, __u64 mount_id), const void *arg,
			   int *ret_fd)
{
	const __u64 resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	const __u64 flags = O_PATH | O_CLOEXEC | (directory ? O_DIRECTORY : 0);
	__u64 id;
	int r = mount_open_below(dir, name, flags, resolve, ret_fd);

	if (r != -ENOENT)
		return r;
	r = mount_read_id(dir, &id);
	if (r < 0)
		return r;
	if (!may_make(arg, id))
		return -EXDEV;
	r = mount_make_one(dir, name, directory);
	if (r < 0)
		return r;
	return mount_open_below(dir, name, flags, resolve, ret_fd);
}

int mount_make_target(int root, const char *path, bool directory,
		      bool (*may_make)(const void *arg, __u64 mount_id), const void *arg,
		      int *ret_fd)
{
	cleanup_fd int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char copy[CUSTODY_PATH_SIZE];
	char *save = NULL;
	char *part;

	if (at < 0)
		return -errno;
	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	(void)snprintf(copy, sizeof(copy), "%s", path);
	part = strtok_r(copy, "/", &save);
	while (part) {
		char *next = strtok_r(NULL, "/", &save);
		int fd = -1;
		int r = mount_step_into(at, part, directory || next, may_make, arg, &fd);

		if (r < 0)
			return r;
		(void)close(at);
		at = fd;
		part = next;
	}
	*ret_fd = TAKE_FD(at);
	return 0;
}

int mount_write_file(int dir, const char *name, const char *content)
{
	cleanup_fd int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	size_t n = strlen(content);
	ssize_t done;

	if (fd < 0)
		return -errno;
	done = write(fd, content, n);
	if (done < 0)
		return -errno;
	return (size_t)done == n ? 0 : -EIO;
}
