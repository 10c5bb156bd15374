/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a file of the model, of the scratch file system or of a namespace: by fd or by
 * mapping. Run by custody-sweeper. A file is known by device and inode, never by path: a rename
 * hides nothing.
 *
 * Looked for are the files that the kernel did not already answer for (facts_kernel.c): those that
 * it says are held, to name who holds them, and those that it cannot be asked about.
 *
 * What this cannot see: on overlayfs before Linux 6.8, a mapping shows the inode of the layer
 * below; an fd that is queued in a UNIX socket belongs to no process until it is received. And a
 * file that is no longer below the model's directory is not looked for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "procfs.h"
#include "sweep.h"

static int facts_weights_walk(struct sweep *sweep, int dir, unsigned int depth);

/* A file that nobody has open is not looked for. A symbolic link holds nothing of the model. */
static int facts_weights_add(struct sweep *sweep, int dir, const char *name, const struct stat *st)
{
	enum facts_answer answer;

	if (S_ISLNK(st->st_mode))
		return 0;
	if (++sweep->weights_asked > SWEEP_FILES_MAX)
		return -E2BIG;
	answer = facts_kernel_ask_file(sweep, dir, name, st);
	if (answer == FACTS_FREE)
		return 0;
	sweep->weights_held += answer == FACTS_HELD;
	return sweep_files_add(&sweep->weights, st->st_dev, st->st_ino);
}

static int facts_weights_take(struct sweep *sweep, int dir, const char *name, unsigned int depth)
{
	cleanup_fd int child = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return facts_weights_add(sweep, dir, name, &st);
	child = procfs_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (child < 0)
		return child == -ENOENT ? 0 : child;
	return facts_weights_walk(sweep, child, depth + 1);
}

static int facts_weights_walk(struct sweep *sweep, int dir, unsigned int depth)
{
	cleanup_dir DIR *list = NULL;
	int r;

	if (depth > SWEEP_DEPTH_MAX)
		return -ELOOP;
	r = procfs_open_dir(dir, ".", &list);
	if (r < 0)
		return r;
	for (;;) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(list);
		if (!entry)
			return -errno;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = facts_weights_take(sweep, dir, entry->d_name, depth);
		if (r < 0)
			return r;
	}
}

/* maps shows the superblock's device; st_dev may be another one (btrfs subvolumes). */
static int facts_weights_find_map_dev(struct sweep *sweep, int root)
{
	cleanup_file FILE *file = NULL;
	cleanup_ptr char *line = NULL;
	struct statx stx;
	size_t room = 0;
	int r;

	if (statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return -errno;
	sweep->weights_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	sweep->weights_map_dev = sweep->weights_dev;
	r = procfs_open_file(sweep->proc, "self/mountinfo", &file);
	if (r < 0)
		return r;
	while (getline(&line, &room, file) > 0) {
		unsigned int major;
		unsigned int minor;
		__u64 id;

		if (procfs_parse_mount(line, &id, &major, &minor) && id == stx.stx_mnt_id)
			sweep->weights_map_dev = makedev(major, minor);
	}
	return 0;
}

void facts_weights_collect(struct sweep *sweep)
{
	const char *path = sweep->request->model;
	cleanup_fd int root = -1;
	struct stat st;
	int r;

	if (path[0] == '\0')
		return;
	root = procfs_open(AT_FDCWD, path, O_PATH);
	r = root;
	if (r >= 0)
		r = facts_weights_find_map_dev(sweep, root);
	if (r >= 0 && fstat(root, &st) < 0)
		r = -errno;
	if (r >= 0 && S_ISDIR(st.st_mode)) {
		cleanup_fd int dir = procfs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);

		r = dir < 0 ? dir : facts_weights_walk(sweep, dir, 0);
	} else if (r >= 0) {
		r = facts_weights_add(sweep, AT_FDCWD, path, &st);
	}
	sweep_files_sort(&sweep->weights);
	if (r < 0)
		sweep_blind(sweep, FACT_WEIGHTS_OPEN, "model '%s': %s", path, strerror(-r));
}

static bool facts_file_is_weights_device(const struct sweep *sweep, __u64 dev)
{
	for (size_t i = 0; i < sweep->weights.n; i++) {
		if (sweep->weights.at[i].dev == dev)
			return true;
	}
	return false;
}

static void facts_file_compare(const struct sweep *sweep, __u64 dev, __u64 inode,
			       struct facts_held *held)
{
	if (sweep_files_has(&sweep->weights, dev, inode))
		held->weights = true;
	if (facts_kernel_is_scratch(sweep, dev))
		held->scratch = true;
	if (facts_kernel_is_namespace(sweep, dev, inode))
		held->namespace = true;
}

/*
 * One link of a task: an fd, cwd, root or exe. DONT_SYNC: a dead server of a network or FUSE file
 * system is not asked. A FUSE file of somebody else tells its device only; another device than
 * those looked for is an answer.
 */
static void facts_file_look_link(const struct sweep *sweep, int dir, const char *name,
				 struct facts_held *held)
{
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
	struct statx stx;
	__u64 dev;

	if (statx(dir, name, flags, STATX_INO, &stx) == 0) {
		facts_file_compare(sweep, makedev(stx.stx_dev_major, stx.stx_dev_minor),
				   stx.stx_ino, held);
		return;
	}
	if (sweep_is_gone(-errno))
		return;
	if (statx(dir, name, flags, 0, &stx) < 0) {
		if (!sweep_is_gone(-errno))
			held->missed = true;
		return;
	}
	dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	if (facts_file_is_weights_device(sweep, dev) || facts_kernel_is_scratch(sweep, dev))
		held->missed = true;
}

static void facts_file_look_table(const struct sweep *sweep, int task, struct facts_held *held)
{
	cleanup_dir DIR *list = NULL;
	struct dirent *entry;
	int r = procfs_open_dir(task, "fd", &list);

	if (r < 0) {
		if (!sweep_is_gone(r))
			held->missed = true;
		return;
	}
	while ((entry = readdir(list))) {
		unsigned int number;

		if (procfs_parse_number(entry->d_name, &number))
			facts_file_look_link(sweep, dirfd(list), entry->d_name, held);
	}
}

static void facts_file_look_maps(const struct sweep *sweep, int task, struct facts_held *held)
{
	cleanup_file FILE *file = NULL;
	cleanup_ptr char *line = NULL;
	size_t room = 0;
	int r = procfs_open_file(task, "maps", &file);

	if (r < 0) {
		if (!sweep_is_gone(r))
			held->missed = true;
		return;
	}
	while (getline(&line, &room, file) > 0) {
		unsigned int major;
		unsigned int minor;
		__u64 inode;
		__u64 dev;

		if (!procfs_parse_map(line, &major, &minor, &inode) || inode == 0)
			continue;
		dev = makedev(major, minor);
		if (dev == sweep->weights_map_dev && sweep->weights.n > 0)
			dev = sweep->weights_dev;
		facts_file_compare(sweep, dev, inode, held);
	}
	if (ferror(file) && !sweep_is_gone(-errno))
		held->missed = true;
}

void facts_file_look_task(const struct sweep *sweep, int task, bool maps, struct facts_held *held)
{
	if (sweep->weights.n == 0 && sweep->n_scratch == 0 && sweep->namespaces == 0)
		return;
	facts_file_look_table(sweep, task, held);
	facts_file_look_link(sweep, task, "cwd", held);
	facts_file_look_link(sweep, task, "root", held);
	if (maps)
		facts_file_look_maps(sweep, task, held);
}
