/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which block of uids a jail has: on the whole host no two jails have the same, whichever custodyd
 * made them. Run by custodyd. Trusts a directory that is root's alone.
 *
 * One file for each block, below a path that no --root moves. A block is in use while a custodyd
 * holds its file's lock, or while the cgroup exists that the file names: a jail outlives its
 * custodyd, and no process of a jail outlives its cgroup. Files are never removed, so that nobody
 * locks one that another has just replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "paths.h"
#include "warden.h"

struct slots_owner {
	__u64 cgroup_id;
	char cgroup[CUSTODY_PATH_SIZE];	/* absolute path of the jail's cgroup */
};

static int slots_open_directory(void)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int r = paths_make_directory(PATHS_UIDS, 0700);

	if (r < 0)
		return r;
	fd = open(PATHS_UIDS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == 0 && (st.st_mode & 0022) == 0 ? TAKE_FD(fd) : -EPERM;
}

/* The block's file with its lock; -EWOULDBLOCK when another custodyd has it. */
static int slots_lock(int dir, __u32 slot)
{
	cleanup_fd int fd = -1;
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", slot);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
}

/* Does the jail live that the file names? What cannot be told is yes. */
static bool slots_is_owned(int fd)
{
	struct slots_owner owner = { 0 };
	ssize_t n = pread(fd, &owner, sizeof(owner), 0);
	__u64 id = 0;
	int r;

	if (n == 0)
		return false;
	if (n != (ssize_t)sizeof(owner) || !memchr(owner.cgroup, '\0', sizeof(owner.cgroup)))
		return true;
	r = cgroup_read_id(owner.cgroup, &id);
	return r != -ENOENT && (r < 0 || id == owner.cgroup_id);
}

int slots_take(struct warden *warden, __u32 *ret_slot, int *ret_fd)
{
	cleanup_fd int dir = slots_open_directory();
	bool used[CUSTODY_JAILS_MAX] = { false };

	if (dir < 0)
		return dir;
	for (struct jail *j = warden->jails; j; j = j->next) {
		if (jails_is_alive(j) && j->slot < CUSTODY_JAILS_MAX)
			used[j->slot] = true;
	}
	for (__u32 slot = 0; slot < CUSTODY_JAILS_MAX; slot++) {
		cleanup_fd int fd = -1;

		if (used[slot])
			continue;
		fd = slots_lock(dir, slot);
		if (fd < 0 && fd != -EWOULDBLOCK)
			return fd;
		if (fd < 0 || slots_is_owned(fd))
			continue;
		*ret_slot = slot;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	return -ENOSPC;
}

int slots_note(const struct jail *jail)
{
	struct slots_owner owner = { 0 };
	int r = cgroup_read_id(jail->cgroup, &owner.cgroup_id);

	if (r < 0)
		return r;
	(void)snprintf(owner.cgroup, sizeof(owner.cgroup), "%s", jail->cgroup);
	if (pwrite(jail->slot_fd, &owner, sizeof(owner), 0) != (ssize_t)sizeof(owner))
		return -EIO;
	return 0;
}

void slots_adopt(struct jail *jail)
{
	cleanup_fd int dir = slots_open_directory();
	int r = dir;

	if (r >= 0)
		r = slots_lock(dir, jail->slot);
	if (r >= 0) {
		jail->slot_fd = r;
		r = slots_note(jail);
	}
	if (r < 0)
		log_error("The uids of %s (block %u) could not be taken in %s (%s): another "
			  "custodyd may give them to a model of its own.", jail->name, jail->slot,
			  PATHS_UIDS, strerror(-r));
}
