/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process that becomes the model really is, read back from the kernel after the last
 * filter is in force: privileges, mounts and their flags, open fds. Run by custody-jail as the
 * model. Trusts the jail's /proc. Any difference from what was built refuses the launch.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "message.h"

#define SELFCHECK_FDS	5U	/* 0, 1, 2, the channel, and the directory that lists them */

static int selfcheck_privileges(struct jail *jail, struct jail_ready *ready)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { .cap_bounding = ~0ULL };
	int r = proc < 0 ? -errno : confine_read_status(proc, "self/status", &status);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "self-check: cannot read /proc/self/status: %s", strerror(-r));
	ready->no_new_privs = status.no_new_privs;
	ready->seccomp = status.seccomp;
	ready->cap_permitted = status.cap_permitted;
	ready->cap_effective = status.cap_effective;
	ready->cap_inheritable = status.cap_inheritable;
	ready->cap_bounding = status.cap_bounding;
	ready->cap_ambient = status.cap_ambient;
	if (status.no_new_privs != 1 || status.seccomp != 2)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: NoNewPrivs is %u and Seccomp %u, not 1 and 2",
				   status.no_new_privs, status.seccomp);
	if (status.cap_permitted | status.cap_effective | status.cap_inheritable |
	    status.cap_bounding | status.cap_ambient)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: a capability set is not empty");
	for (int i = 0; i < 4; i++) {
		if (status.uid[i] != CUSTODY_UID_MODEL_INSIDE ||
		    status.gid[i] != CUSTODY_UID_MODEL_INSIDE)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
					   "self-check: uid %u, gid %u, not the model's",
					   status.uid[i], status.gid[i]);
	}
	return 0;
}

/* The one line of uid_map or gid_map: the host's id of the model's. */
static int selfcheck_map(struct jail *jail, const char *path, __u32 *ret)
{
	cleanup_file FILE *file = fopen(path, "re");
	unsigned int inside;
	unsigned int outside;
	unsigned int count;

	if (!file || fscanf(file, "%u %u %u", &inside, &outside, &count) != 3 ||
	    inside != CUSTODY_UID_MODEL_INSIDE || outside != jail->uid_model || count != 1 ||
	    fscanf(file, "%u", &count) != EOF)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: %s is not the one line that maps %u to %u", path,
				   CUSTODY_UID_MODEL_INSIDE, jail->uid_model);
	*ret = outside;
	return 0;
}

/* One of the comma-separated options of a mountinfo line. */
static bool selfcheck_has_option(const char *options, const char *name)
{
	const size_t n = strlen(name);

	while (options) {
		if (strncmp(options, name, n) == 0 && (options[n] == ',' || options[n] == '\0'))
			return true;
		options = strchr(options, ',');
		if (options)
			options++;
	}
	return false;
}

static bool selfcheck_flags_hold(const char *options, __u64 attributes)
{
	static const struct {
		__u64 attribute;
		const char *name;
	} flags[] = {
		{ MOUNT_ATTR_RDONLY, "ro" }, { MOUNT_ATTR_NOSUID, "nosuid" },
		{ MOUNT_ATTR_NODEV, "nodev" }, { MOUNT_ATTR_NOEXEC, "noexec" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if ((attributes & flags[i].attribute) &&
		    !selfcheck_has_option(options, flags[i].name))
			return false;
	}
	return true;
}

/* The tail of a line of mountinfo: "... - TYPE SOURCE OPTIONS". */
static bool selfcheck_split_tail(char *line, char *field[3])
{
	char *tail = strstr(line, " - ");
	char *save = NULL;

	if (!tail)
		return false;
	*tail = '\0';
	for (int i = 0; i < 3; i++) {
		field[i] = strtok_r(i == 0 ? tail + 3 : NULL, " \n", &save);
		if (!field[i])
			return false;
	}
	return true;
}

/* "ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS ...": is it one of ours, as it was made? */
static int selfcheck_mount_line(struct jail *jail, char *line)
{
	char *save = NULL;
	char *field[6];
	char *tail[3];

	if (!selfcheck_split_tail(line, tail))
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPROTO,
				   "self-check: a line of mountinfo is not one");
	for (int i = 0; i < 6; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!field[i])
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPROTO,
					   "self-check: a line of mountinfo is not one");
	}
	for (__u32 i = 0; i < jail->built.n_zones; i++) {
		if (jail->built.zones[i].mount_id != strtoull(field[0], NULL, 10))
			continue;
		structure_note_mount(jail, i, field[4], field[5], tail[0], tail[2]);
		if (selfcheck_flags_hold(field[5], jail->mounts[i].attributes))
			return 0;
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: %s is mounted %s, which allows more than was built",
				   field[4], field[5]);
	}
	return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
			   "self-check: %s is mounted and was not built", field[4]);
}

static int selfcheck_mounts(struct jail *jail, struct jail_ready *ready)
{
	cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
	cleanup_ptr char *line = NULL;
	size_t size = 0;

	if (!file)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "self-check: cannot read mountinfo: %m");
	structure_begin_mounts(jail);
	while (getline(&line, &size, file) > 0) {
		int r = selfcheck_mount_line(jail, line);

		if (r < 0)
			return r;
		ready->n_mounts++;
	}
	if (ready->n_mounts != jail->built.n_zones)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: %u mounts are there, %u were built",
				   ready->n_mounts, jail->built.n_zones);
	return 0;
}

/*
 * Landlock, by two acts: the first needs a plan, and the lsm plane may refuse it too; the second
 * needs Linux 6.12. Before that the domain was counted when it was entered (model.c).
 */
static int selfcheck_landlock(struct jail *jail)
{
	cleanup_fd int fd = -1;

	if (jail->landlock_abi > 0 && !model_writes_proc(jail->plan)) {
		fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
		if (fd >= 0 || errno != EACCES)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
					   "self-check: Landlock does not refuse what it should: "
					   "/proc can be written");
	}
	/* Signal 0 to init, which is outside of the domain. */
	if (jail->landlock_abi >= CONFINE_SCOPES_ABI && (kill(1, 0) == 0 || errno != EPERM))
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: Landlock does not refuse what it should: signals "
				   "leave its domain");
	return 0;
}

static int selfcheck_fds(struct jail *jail, struct jail_ready *ready)
{
	cleanup_dir DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!dir)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "self-check: cannot list open fds: %m");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		ready->n_fds++;
		if (atoi(entry->d_name) > jail->channel && atoi(entry->d_name) != dirfd(dir))
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EBADF,
					   "self-check: fd %s is open", entry->d_name);
	}
	if (ready->n_fds != SELFCHECK_FDS)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EBADF,
				   "self-check: %u fds are open, not %u", ready->n_fds,
				   SELFCHECK_FDS);
	return 0;
}

int selfcheck_report(struct jail *jail)
{
	struct jail_ready ready = { .landlock_abi = (__u32)jail->landlock_abi };
	int r = selfcheck_privileges(jail, &ready);

	if (r == 0)
		r = selfcheck_map(jail, "/proc/self/uid_map", &ready.uid);
	if (r == 0)
		r = selfcheck_map(jail, "/proc/self/gid_map", &ready.gid);
	if (r == 0)
		r = selfcheck_mounts(jail, &ready);
	if (r == 0)
		r = selfcheck_landlock(jail);
	if (r == 0)
		r = selfcheck_fds(jail, &ready);
	if (r == 0)
		r = structure_check(jail);
	if (r < 0)
		return r;
	ready.structure = jail->structure;
	return MESSAGE_SEND(jail->channel, ROLE_JAIL, JAIL_READY, jail->build.head.id, &ready);
}
