/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the scratch of a running jail read-only, from inside its mount namespace. Run by custodyd,
 * in a child that enters the namespace, does this and ends. Trusts the kernel: each mount is
 * found by its path and known by its mount id; the model cannot change the tree.
 *
 * The kernel refuses (EBUSY) as long as anything on the mount is open for writing, writable
 * mappings included. So success says more than "no new opens": nothing can write there any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "warden.h"

#define REMOUNT_WAIT_MS 5000

/* What the child says before it ends. */
struct remount_answer {
	int error;
	__u32 zone;		/* at which */
};

static bool remount_is_scratch(const struct jail_zone *zone)
{
	return (zone->label == CUSTODY_LABEL_SCRATCH || zone->label == CUSTODY_LABEL_SHM) &&
	       (zone->rights & CUSTODY_RIGHT_WRITE);
}

static int remount_open_zone(const struct jail_zone *zone)
{
	cleanup_fd int fd = open(zone->target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx stx;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return -errno;
	return stx.stx_mnt_id == zone->mount_id ? TAKE_FD(fd) : -ESTALE;
}

/* 1 when it was writable and is not any more, 0 when it was read-only, -errno. */
static int remount_zone(const struct jail_zone *zone, bool read_only)
{
	struct mount_attr attr = { 0 };
	cleanup_fd int fd = remount_open_zone(zone);
	struct statvfs fs;

	if (fd < 0)
		return fd;
	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	if (read_only && (fs.f_flag & ST_RDONLY))
		return 0;
	attr.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0;
	attr.attr_clr = read_only ? 0 : MOUNT_ATTR_RDONLY;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	return !!(fs.f_flag & ST_RDONLY) == read_only ? 1 : -EIO;
}

/* In the child. When one mount refuses, those before it go back to what they were. */
static struct remount_answer remount_all(const struct jail *jail, int ns)
{
	struct remount_answer answer = { 0 };
	bool changed[CUSTODY_ZONES_MAX] = { false };
	int r = setns(ns, CLONE_NEWNS) < 0 ? -errno : 0;

	for (__u32 i = 0; r >= 0 && i < jail->n_zones; i++) {
		if (!remount_is_scratch(&jail->zones[i]))
			continue;
		r = remount_zone(&jail->zones[i], true);
		changed[i] = r > 0;
		answer.zone = i;
	}
	for (__u32 i = 0; r < 0 && i < jail->n_zones; i++) {
		if (changed[i])
			(void)remount_zone(&jail->zones[i], false);
	}
	answer.error = r < 0 ? r : 0;
	return answer;
}

/* The namespace that the jail was built with, of its init, or of what has its pid by now. */
static int remount_open_namespace(const struct jail *jail)
{
	cleanup_fd int fd = -1;
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", jail->init);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_ino == jail->ns_inode[JAIL_NS_MNT] ? TAKE_FD(fd) : -ESTALE;
}

static int remount_await(int fd, pid_t pid, struct remount_answer *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = -ETIMEDOUT;

	if (poll(&p, 1, REMOUNT_WAIT_MS) > 0)
		r = read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : -EPIPE;
	if (r < 0)
		(void)kill(pid, SIGKILL);
	spawn_wait(pid, REMOUNT_WAIT_MS);
	return r;
}

int remount_scratch(const struct jail *jail, __u32 *ret_zone)
{
	cleanup_fd int ns = remount_open_namespace(jail);
	cleanup_fd int ours = -1, theirs = -1;
	struct remount_answer answer = { 0 };
	int pipefd[2];
	pid_t pid;
	int r;

	if (ns < 0)
		return ns;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	ours = pipefd[0];
	theirs = pipefd[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		answer = remount_all(jail, ns);
		_exit(write(theirs, &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? 0 : 1);
	}
	cleanup_close_fd(&theirs);
	r = remount_await(ours, pid, &answer);
	if (r < 0)
		return r;
	*ret_zone = answer.zone;
	return answer.error;
}
