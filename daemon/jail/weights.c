/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the model read its weights, whoever owns them: the mount of the zone shows the owner and
 * the group of the model's directory as the model's own (an idmapped mount), so that weights need
 * not be readable by the world. Run by custody-jail's init as root while it builds. Trusts the
 * kernel; file names are only repeated in a message.
 *
 * W1  The mapping is in a mount that only the jail has, and that is read-only. The files on the
 *     host stay as they are.
 * W2  One owner and one group are mapped. What belongs to others is nobody's, and read only if
 *     everyone may: a link to another owner's file gives the model nothing.
 * W3  Where the kernel cannot map, every file must be readable as it is, or there is no jail.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "jail.h"
#include "mount.h"

#define WEIGHTS_NAME_SIZE 256	/* of a file in a message, cut if longer */

static bool weights_has_zone(const struct custody_plan *plan)
{
	for (__u32 i = 0; i < plan->n_zones; i++) {
		if (plan->zones[i].label == CUSTODY_LABEL_WEIGHTS)
			return true;
	}
	return false;
}

int weights_start_holder(struct jail *jail)
{
	long pid;

	if (!weights_has_zone(jail->plan))
		return 0;
	pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "cannot make a user namespace for the mount of the weights: %m; "
				   "%s",
				   errno == EPERM ? "custodyd must not run in a chroot (enter it "
						    "with pivot_root, as containers do)" :
						    "raise sysctl user.max_user_namespaces");
	if (pid > 0) {
		jail->holder = (pid_t)pid;
		return 0;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (;;)
		(void)pause();
}

int weights_end_holder(struct jail *jail)
{
	if (jail->holder <= 0)
		return 0;
	(void)kill(jail->holder, SIGKILL);
	if (waitpid(jail->holder, NULL, 0) < 0 && errno != ECHILD)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "the holder of a user namespace does not end: %m");
	jail->holder = 0;
	return 0;
}

static int weights_write_map(const struct jail *jail, const char *name, __u32 owner)
{
	cleanup_fd int fd = -1;
	char path[64];
	char map[64];
	const int n = snprintf(map, sizeof(map), "%u %u 1\n", owner, jail->uid_model);

	(void)snprintf(path, sizeof(path), "proc/%d/%s", (int)jail->holder, name);
	fd = openat(jail->root, path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, map, (size_t)n) != n ? -errno : 0;
}

/* A user namespace that serves as a table: owner and group of `st`, to the model's. */
static int weights_make_map(const struct jail *jail, const struct stat *st, int *ret_fd)
{
	char path[64];
	int r = weights_write_map(jail, "uid_map", st->st_uid);
	int fd;

	if (r == 0)
		r = weights_write_map(jail, "gid_map", st->st_gid);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "proc/%d/ns/user", (int)jail->holder);
	fd = openat(jail->root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Only of files and directories: a link leads somewhere or nowhere, and is judged there. */
static bool weights_is_readable(const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_D:
		return faccessat(AT_FDCWD, entry->fts_accpath, R_OK | X_OK, AT_EACCESS) == 0;
	case FTS_F:
		return faccessat(AT_FDCWD, entry->fts_accpath, R_OK, AT_EACCESS) == 0;
	case FTS_DNR:
	case FTS_NS:
	case FTS_ERR:
		return false;
	default:
		return true;
	}
}

/* In a process of its own, as the model: false with the first name that it cannot read. */
static bool weights_walk(char name[WEIGHTS_NAME_SIZE])
{
	char here[] = ".";
	char *const top[] = { here, NULL };
	FTS *tree = fts_open(top, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	bool readable = tree != NULL;
	FTSENT *entry;

	(void)snprintf(name, WEIGHTS_NAME_SIZE, "%s", ".");
	while (readable && (entry = fts_read(tree))) {
		readable = weights_is_readable(entry);
		if (!readable)
			(void)snprintf(name, WEIGHTS_NAME_SIZE, "%s", entry->fts_path);
	}
	if (tree)
		(void)fts_close(tree);
	return readable;
}

/* Does not return. What it cannot read goes into the pipe; nothing, if there is nothing. */
static void weights_look_as_model(const struct jail *jail, int mount_fd, int out)
{
	char name[WEIGHTS_NAME_SIZE] = ".";
	struct stat st;
	bool readable = false;

	if (fstat(mount_fd, &st) < 0 || (S_ISDIR(st.st_mode) && fchdir(mount_fd) < 0) ||
	    setgroups(0, NULL) < 0 ||
	    setresgid(jail->uid_model, jail->uid_model, jail->uid_model) < 0 ||
	    setresuid(jail->uid_model, jail->uid_model, jail->uid_model) < 0)
		_exit(EXIT_FAILURE);
	if (S_ISDIR(st.st_mode))
		readable = weights_walk(name);
	else
		readable = faccessat(mount_fd, "", R_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
	if (!readable && write(out, name, strlen(name)) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* 1 when all can be read, 0 with a name when not; -errno when nobody could tell. */
static int weights_find_unreadable(const struct jail *jail, int mount_fd,
				   char name[WEIGHTS_NAME_SIZE])
{
	cleanup_fd int in = -1;
	cleanup_fd int out = -1;
	int ends[2];
	int status = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	out = ends[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		weights_look_as_model(jail, mount_fd, out);
	cleanup_close_fd(&out);
	do {
		n = read(in, name, WEIGHTS_NAME_SIZE - 1);
	} while (n < 0 && errno == EINTR);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
	    n < 0)
		return -EIO;
	name[n] = '\0';
	return n == 0;
}

static int weights_check_readable(struct jail *jail, int mount_fd, const char *source,
				  const char *origin)
{
	char name[WEIGHTS_NAME_SIZE] = "";
	int r = weights_find_unreadable(jail, mount_fd, name);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "%s: cannot tell who may read %s: %s", origin, source,
				   strerror(-r));
	if (r == 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -EACCES,
				   "%s: %s in %s is not readable by everyone, and this kernel "
				   "cannot show files of that file system as the model's; make it "
				   "so (chmod -R a+rX), or move the model to ext4, xfs or btrfs",
				   origin, name, source);
	return 0;
}

int weights_open_to_model(struct jail *jail, int mount_fd, const char *source, const char *origin)
{
	cleanup_fd int map = -1;
	struct stat st;
	int r = fstat(mount_fd, &st) < 0 ? -errno : 0;

	if (r == 0)
		r = weights_make_map(jail, &st, &map);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "%s: cannot map the owner of %s to the model: %s", origin,
				   source, strerror(-r));
	r = mount_map_ids(mount_fd, map);
	if (r == -EINVAL || r == -EPERM)
		return weights_check_readable(jail, mount_fd, source, origin);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "%s: cannot mount %s as the model's: %s", origin, source,
				   strerror(-r));
	return 0;
}
