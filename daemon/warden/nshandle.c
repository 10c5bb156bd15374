/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File handles of a jail's namespaces. Run by custodyd. Trusts the kernel's nsfs, not the jail's
 * report: every namespace is compared with it and with custodyd's own.
 */
#include "nshandle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* linux/fcntl.h since 6.18: the root of nsfs, which is mounted nowhere. */
#define NSHANDLE_FD_NSFS_ROOT (-10003)

/* struct file_handle with room behind it, which glibc's flexible member cannot have. */
struct nshandle_kernel {
	__u32 size;
	__s32 type;
	__u8 bytes[NSHANDLE_SIZE];
};

static int nshandle_open(const struct nshandle *handle)
{
	struct nshandle_kernel kernel = { .size = handle->size, .type = handle->type };
	long fd;

	memcpy(kernel.bytes, handle->bytes, sizeof(kernel.bytes));
	fd = syscall(SYS_open_by_handle_at, NSHANDLE_FD_NSFS_ROOT, &kernel, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

/* The handle, if it leads back to the same namespace. */
static void nshandle_take_one(const char *path, __u64 inode, struct nshandle *ret)
{
	struct nshandle_kernel kernel = { .size = NSHANDLE_SIZE };
	struct nshandle handle = { 0 };
	cleanup_fd int fd = -1;
	struct stat st;
	int mount_id;

	if (syscall(SYS_name_to_handle_at, AT_FDCWD, path, &kernel, &mount_id,
		    AT_SYMLINK_FOLLOW) < 0 || kernel.size > NSHANDLE_SIZE)
		return;
	handle.type = kernel.type;
	handle.size = kernel.size;
	memcpy(handle.bytes, kernel.bytes, sizeof(handle.bytes));
	fd = nshandle_open(&handle);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == inode)
		*ret = handle;
}

int nshandle_take(pid_t pid, const __u64 inode[_JAIL_NS_MAX], struct nshandle ret[_JAIL_NS_MAX])
{
	static const char *const names[_JAIL_NS_MAX] = {
		[JAIL_NS_USER] = "user", [JAIL_NS_MNT] = "mnt", [JAIL_NS_PID] = "pid",
		[JAIL_NS_IPC] = "ipc", [JAIL_NS_UTS] = "uts", [JAIL_NS_NET] = "net",
		[JAIL_NS_CGROUP] = "cgroup", [JAIL_NS_TIME] = "time",
	};
	struct nshandle taken[_JAIL_NS_MAX] = { 0 };

	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		struct stat own;
		struct stat st;
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		if (stat(path, &own) < 0)
			return -errno;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, names[i]);
		if (stat(path, &st) < 0)
			return -errno;
		if (st.st_ino == own.st_ino && st.st_dev == own.st_dev)
			return -EPERM;
		if (st.st_ino != inode[i])
			return -EXDEV;
		nshandle_take_one(path, inode[i], &taken[i]);
	}
	memcpy(ret, taken, sizeof(taken));
	return 0;
}

void nshandle_ask(const struct nshandle handles[_JAIL_NS_MAX], __u32 *ret_gone, __u32 *ret_alive)
{
	__u32 gone = 0;
	__u32 alive = 0;

	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		cleanup_fd int fd = -1;

		if (handles[i].size == 0)
			continue;
		fd = nshandle_open(&handles[i]);
		if (fd >= 0)
			alive |= 1U << i;
		else if (fd == -ESTALE)
			gone |= 1U << i;
	}
	*ret_gone = gone;
	*ret_alive = alive;
}
