/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model's directory: every regular file below it, nothing through a link. Run by
 * custodyctl and whatever measures models. Trusts the directory fd; whoever owns the tree may
 * change it at any moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "oms_internal.h"

/* Does not wait for the other end of a FIFO, and takes no terminal. */
#define OMS_TREE_READ (O_RDONLY | O_NONBLOCK | O_NOCTTY)

struct oms_walk {
	const struct oms_model *model;
	struct oms_tree *tree;
	struct oms_why *why;
	char path[4096];
	size_t n;
	int depth;
};

void oms_tree_free(struct oms_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		free(tree->files[i].path);
	free(tree->files);
	*tree = (struct oms_tree){ 0 };
}

/* Beneath dirfd, through no link of any kind. */
static int oms_tree_openat(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (__u64)(O_NOFOLLOW | O_CLOEXEC | flags),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed meanwhile, and the kernel cannot tell. */
	for (int i = 0; i < 16; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

static const char *oms_tree_name_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK: return "a symbolic link (custody follows none; copy the model with cp -rL)";
	case S_IFIFO: return "a FIFO";
	case S_IFSOCK: return "a socket";
	case S_IFBLK:
	case S_IFCHR: return "a device";
	case S_IFDIR: return "a directory";
	default: return "no regular file";
	}
}

static int oms_tree_refuse(const char *path, mode_t mode, struct oms_why *why)
{
	return oms_explain(why, -EINVAL, "%s is %s: a model is made of regular files.",
			   oms_quote(path, strlen(path)).text, oms_tree_name_type(mode));
}

static int oms_tree_report_replaced(const char *path, struct oms_why *why)
{
	return oms_explain(why, -EBUSY, "%s was replaced or removed while the model was read.",
			   oms_quote(path, strlen(path)).text);
}

static int oms_tree_append(struct oms_tree *tree, const char *path, const struct stat *st)
{
	struct oms_file *file;

	if (tree->n == tree->room) {
		size_t room = tree->room ? tree->room * 2 : 64;

		file = reallocarray(tree->files, room, sizeof(*file));
		if (!file)
			return -ENOMEM;
		tree->files = file;
		tree->room = room;
	}
	file = &tree->files[tree->n];
	*file = (struct oms_file){
		.path = strdup(path),
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (__u64)st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
	if (!file->path)
		return -ENOMEM;
	tree->bytes += file->size;
	tree->n++;
	return 0;
}

static bool oms_tree_is_ignored(const struct oms_walk *walk)
{
	for (size_t i = 0; i < walk->model->n_ignore; i++) {
		if (strcmp(walk->path, walk->model->ignore[i]) == 0)
			return true;
	}
	return false;
}

static bool oms_tree_is_skipped(const struct oms_walk *walk, const struct stat *st)
{
	const struct oms_identity *skip = walk->model->skip;

	return skip && S_ISREG(st->st_mode) && skip->dev == st->st_dev && skip->ino == st->st_ino;
}

static int oms_tree_walk(struct oms_walk *walk, int fd);

/* walk->path names an entry of parent. */
static int oms_tree_take(struct oms_walk *walk, int parent, const char *name)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (oms_tree_is_ignored(walk))
		return 0;
	if (!oms_check_path(name, strlen(name)))
		return oms_explain(walk->why, -EINVAL,
				   "%s is no name that a manifest may hold: it is "
				   "not UTF-8, or has control characters.",
				   oms_quote(walk->path, walk->n).text);
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? oms_tree_report_replaced(walk->path, walk->why)
				       : oms_explain_io(walk->why, walk->path, -errno);
	if (oms_tree_is_skipped(walk, &st))
		return 0;
	if (S_ISREG(st.st_mode))
		return oms_tree_append(walk->tree, walk->path, &st);
	if (!S_ISDIR(st.st_mode))
		return oms_tree_refuse(walk->path, st.st_mode, walk->why);
	if (walk->depth == OMS_TREE_DEPTH_MAX)
		return oms_explain(walk->why, -EINVAL, "%s lies deeper than %d directories.",
				   oms_quote(walk->path, walk->n).text, OMS_TREE_DEPTH_MAX);
	fd = oms_tree_openat(parent, name, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return oms_tree_report_replaced(walk->path, walk->why);
	if (fd < 0)
		return oms_explain_io(walk->why, walk->path, fd);
	walk->depth++;
	return oms_tree_walk(walk, TAKE_FD(fd));
}

/* Owns fd. Leaves walk->path and depth as they were before the directory was entered. */
static int oms_tree_walk(struct oms_walk *walk, int fd)
{
	cleanup_dir DIR *dir = fdopendir(fd);
	size_t n = walk->n;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(fd);
		return oms_explain_io(walk->why, n > 0 ? walk->path : "The directory", r);
	}
	while (r == 0) {
		struct dirent *e;
		size_t len;

		walk->n = n;
		walk->path[n] = '\0';
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = errno ? oms_explain_io(walk->why, n > 0 ? walk->path : "The directory",
						   -errno)
				  : 0;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		len = strlen(e->d_name);
		if (n + len + 2 > sizeof(walk->path))
			return oms_explain(walk->why, -EINVAL,
					   "A path below %s is longer than %zu.",
					   oms_quote(walk->path, n).text, sizeof(walk->path));
		walk->n = n > 0 ? n + 1 + len : len;
		if (n > 0)
			walk->path[n] = '/';
		memcpy(walk->path + walk->n - len, e->d_name, len + 1);
		r = oms_tree_take(walk, dirfd(dir), e->d_name);
	}
	walk->depth--;
	walk->n = n;
	walk->path[n] = '\0';
	return r;
}

static int oms_tree_compare(const void *a, const void *b)
{
	return strcmp(((const struct oms_file *)a)->path, ((const struct oms_file *)b)->path);
}

int oms_tree_add(int dirfd, const char *path, struct oms_tree *tree, struct oms_why *why)
{
	cleanup_fd int fd = oms_tree_openat(dirfd, path, O_PATH);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	if (fd == -ELOOP)
		return oms_tree_refuse(path, S_IFLNK, why);
	if (fd < 0)
		return oms_explain_io(why, path, fd);
	if (fstat(fd, &st) < 0)
		return oms_explain_io(why, path, -errno);
	if (!S_ISREG(st.st_mode))
		return oms_tree_refuse(path, st.st_mode, why);
	return oms_tree_append(tree, path, &st);
}

static int oms_tree_list_file(const struct oms_model *model, struct oms_tree *tree,
			      struct oms_why *why)
{
	int r;

	if (!oms_check_path(model->file, strlen(model->file)) || strchr(model->file, '/'))
		return oms_explain(why, -EINVAL, "%s is no name that a manifest may hold.",
				   oms_quote(model->file, strlen(model->file)).text);
	r = oms_tree_add(model->dirfd, model->file, tree, why);
	return r == -ENOENT ? oms_explain_io(why, model->file, r) : r;
}

int oms_tree_list(const struct oms_model *model, struct oms_tree *ret, struct oms_why *why)
{
	cleanup_oms_tree struct oms_tree tree = { 0 };
	struct oms_walk walk = { .model = model, .tree = &tree, .why = why };
	int r;

	if (model->file) {
		r = oms_tree_list_file(model, &tree, why);
	} else {
		int fd = oms_tree_openat(model->dirfd, ".", O_RDONLY | O_DIRECTORY);

		r = fd < 0 ? oms_explain_io(why, "The directory", fd) : oms_tree_walk(&walk, fd);
	}
	if (r < 0)
		return r;
	if (tree.n > 0)
		qsort(tree.files, tree.n, sizeof(*tree.files), oms_tree_compare);
	*ret = tree;
	tree = (struct oms_tree){ 0 };
	return 0;
}

int oms_tree_open(int dirfd, const struct oms_file *file, int *ret_fd, struct oms_why *why)
{
	cleanup_fd int fd = oms_tree_openat(dirfd, file->path, OMS_TREE_READ);
	struct stat st;

	if (fd == -ENOENT || fd == -ELOOP || fd == -ENXIO)
		return oms_tree_report_replaced(file->path, why);
	if (fd < 0)
		return oms_explain_io(why, file->path, fd);
	if (fstat(fd, &st) < 0)
		return oms_explain_io(why, file->path, -errno);
	if (!S_ISREG(st.st_mode) || st.st_dev != file->dev || st.st_ino != file->ino)
		return oms_tree_report_replaced(file->path, why);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
