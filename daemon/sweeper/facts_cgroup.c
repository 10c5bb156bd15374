/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of the jail's cgroups. Run by custody-sweeper. Trusts cgroupfs, after it made sure
 * that the path is on one: a path on nothing would look like a cgroup that is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "procfs.h"
#include "sweep.h"

/* Length of the mount point when the line of mountinfo is a cgroup2 above path, else 0. */
static size_t facts_cgroup_match_mount(const char *line, const char *path)
{
	char point[CUSTODY_PATH_SIZE];
	char type[32];
	const char *tail = strstr(line, " - ");
	size_t n;

	if (!tail || sscanf(line, "%*s %*s %*s %*s %1023s", point) != 1 ||
	    sscanf(tail, " - %31s", type) != 1 || strcmp(type, "cgroup2") != 0)
		return 0;
	n = strlen(point);
	return strncmp(path, point, n) == 0 && path[n] == '/' ? n : 0;
}

int facts_cgroup_find_path(const struct sweep *sweep, const char **ret)
{
	const char *path = sweep->request->cgroup;
	cleanup_file FILE *file = NULL;
	cleanup_ptr char *line = NULL;
	size_t room = 0;
	size_t best = 0;
	int r = procfs_open_file(sweep->proc, "self/mountinfo", &file);

	if (r < 0)
		return r;
	while (getline(&line, &room, file) > 0) {
		size_t n = facts_cgroup_match_mount(line, path);

		if (n > best)
			best = n;
	}
	if (best == 0)
		return -ENOENT;
	*ret = path + best;
	return 0;
}

/* Counts the lines of cgroup.procs; the first becomes the detail. */
static int facts_cgroup_count_file(struct sweep *sweep, int dir, const char *name, __u64 *ret)
{
	cleanup_file FILE *file = NULL;
	char line[64];
	__u64 n = 0;
	int r = procfs_open_file(dir, name, &file);

	if (r < 0)
		return r;
	while (fgets(line, sizeof(line), file)) {
		n++;
		line[strcspn(line, "\n")] = '\0';
		sweep_add(sweep, FACT_CGROUP_POPULATED, 1, "pid %s in %s", line,
			  sweep->request->cgroup);
	}
	if (ferror(file))
		return errno ? -errno : -EIO;
	*ret += n;
	return 0;
}

static int facts_cgroup_count_tree(struct sweep *sweep, int dir, unsigned int depth, __u64 *ret);

static int facts_cgroup_count_children(struct sweep *sweep, int dir, unsigned int depth, __u64 *ret)
{
	cleanup_dir DIR *list = NULL;
	struct dirent *entry;
	int r = procfs_open_dir(dir, ".", &list);

	if (r < 0)
		return r;
	for (;;) {
		cleanup_fd int child = -1;

		errno = 0;
		entry = readdir(list);
		if (!entry)
			return -errno;
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = procfs_open(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		r = child;
		if (r >= 0)
			r = facts_cgroup_count_tree(sweep, child, depth + 1, ret);
		if (r < 0 && !sweep_is_gone(r))
			return r;
	}
}

/* Processes in the cgroup and in those below it. A threaded cgroup shows threads only. */
static int facts_cgroup_count_tree(struct sweep *sweep, int dir, unsigned int depth, __u64 *ret)
{
	int r;

	if (depth > SWEEP_DEPTH_MAX)
		return -ELOOP;
	r = facts_cgroup_count_file(sweep, dir, "cgroup.procs", ret);
	if (r == -EOPNOTSUPP)
		r = facts_cgroup_count_file(sweep, dir, "cgroup.threads", ret);
	if (r < 0)
		return sweep_is_gone(r) ? 0 : r;
	return facts_cgroup_count_children(sweep, dir, depth, ret);
}

/* cgroup.events says "populated 1" for as long as the kernel holds a task of the subtree. */
static int facts_cgroup_read_populated(int dir, bool *ret)
{
	cleanup_file FILE *file = NULL;
	char line[64];
	int r = procfs_open_file(dir, "cgroup.events", &file);

	if (r < 0)
		return r;
	while (fgets(line, sizeof(line), file)) {
		if (strcmp(line, "populated 1\n") == 0)
			*ret = true;
	}
	return ferror(file) ? -EIO : 0;
}

static void facts_cgroup_look_populated(struct sweep *sweep)
{
	cleanup_fd int dir = procfs_open(AT_FDCWD, sweep->request->cgroup, O_RDONLY | O_DIRECTORY);
	bool populated = false;
	__u64 n = 0;
	int r = dir;

	if (r == -ENOENT)
		return;
	if (r >= 0)
		r = facts_cgroup_count_tree(sweep, dir, 0, &n);
	if (r >= 0)
		r = facts_cgroup_read_populated(dir, &populated);
	if (r < 0 && !sweep_is_gone(r))
		sweep_blind(sweep, FACT_CGROUP_POPULATED, "%s: %s", sweep->request->cgroup,
			    strerror(-r));
	else if (populated && n == 0)
		sweep_add(sweep, FACT_CGROUP_POPULATED, 1, "%s is populated",
			  sweep->request->cgroup);
}

static void facts_cgroup_look_present(struct sweep *sweep, const char *child, __u64 id)
{
	char path[CUSTODY_PATH_SIZE + 16];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", sweep->request->cgroup, child);
	if (stat(path, &st) == 0)
		sweep_add(sweep, FACT_CGROUP_PRESENT, 1, "%s%s", path,
			  id == 0 || st.st_ino == id ? "" : " (another cgroup of that name)");
	else if (errno != ENOENT)
		sweep_blind(sweep, FACT_CGROUP_PRESENT, "%s: %s", path, strerror(errno));
}

void facts_cgroup_look(struct sweep *sweep)
{
	const char *path;
	int r = facts_cgroup_find_path(sweep, &path);

	if (r < 0) {
		sweep_blind(sweep, FACT_CGROUP_PRESENT, "'%s' lies below no cgroup2 mount",
			    sweep->request->cgroup);
		sweep_blind(sweep, FACT_CGROUP_POPULATED, "'%s' lies below no cgroup2 mount",
			    sweep->request->cgroup);
		return;
	}
	facts_cgroup_look_populated(sweep);
	facts_cgroup_look_present(sweep, "", 0);
	facts_cgroup_look_present(sweep, "/model", sweep->request->cgroup_model);
	facts_cgroup_look_present(sweep, "/broker", sweep->request->cgroup_broker);
}
