/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run opened and executed, found again by the names that the kernel told, and read. Run by
 * custodyctl. A name is only where to look: what lies there counts when device and inode are those
 * of the event, when it is a regular file, and when it has not changed since before the start.
 *
 * A zone is told by its files: one in which a file was found under a name below files.read,
 * files.data or the model is one of inputs; another one, in which an output was opened, is one of
 * outputs, and what was in it and is gone was the run's own. Files on file systems that none of the
 * profile's directories lies on are the jail's own (scratch, /proc, /dev).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "watch.h"

#define WATCH_BLOCK (256U << 10)
#define WATCH_TOLD_MAX 8U /* complaints of one kind; the statement has the count */

/* Events of one file. */
struct watch_group {
	const struct watch_seen *first;
	size_t n;
};

bool watch_is_before(const struct watch *watch, const struct timespec *when)
{
	if (when->tv_sec != watch->started.tv_sec)
		return when->tv_sec < watch->started.tv_sec;
	return when->tv_nsec <= watch->started.tv_nsec;
}

int watch_add_file(struct watch_files *files, const char *kind, char *path,
		   const __u8 digest[OMS_DIGEST_SIZE])
{
	cleanup_ptr char *own = path;
	struct provenance_file *file;

	if (files->n == files->room) {
		const size_t room = files->room ? 2 * files->room : 256;

		file = reallocarray(files->list, room, sizeof(*file));
		if (!file)
			return -ENOMEM;
		files->list = file;
		files->room = room;
	}
	file = &files->list[files->n++];
	*file = (struct provenance_file){ .kind = kind, .path = TAKE_PTR(own) };
	memcpy(file->digest, digest, sizeof(file->digest));
	return 0;
}

static void watch_tell(__u64 count, const char *path, const char *what)
{
	if (count <= WATCH_TOLD_MAX)
		client_complain("%s %s.", client_quote(path).text, what);
}

/* ---- one file ---- */

/* Where the event says that it lies, seen from that root; never opened for more than looking. */
static int watch_look(const struct watch_root *root, const struct watch_seen *seen)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	const char *path = seen->path + (seen->path[0] == '/');

	if (root->inode == seen->inode)
		return fcntl(root->fd, F_DUPFD_CLOEXEC, 0);
	if (!root->is_directory || seen->truncated || !path[0])
		return -1;
	return (int)syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
}

/* The file itself and the root it was found below, or false. */
static bool watch_find(struct watch *watch, const struct watch_seen *seen, int *ret_fd,
		       struct stat *ret_st, struct watch_root **ret_root)
{
	for (size_t i = 0; i < watch->n_roots; i++) {
		struct watch_root *root = &watch->roots[i];
		cleanup_fd int fd = -1;

		if (root->kind == WATCH_OUTPUT || root->device != seen->device)
			continue;
		fd = watch_look(root, seen);
		if (fd < 0 || fstat(fd, ret_st) < 0 || ret_st->st_ino != seen->inode)
			continue;
		*ret_fd = TAKE_FD(fd);
		*ret_root = root;
		return true;
	}
	return false;
}

static int watch_hash(int seen_fd, __u8 ret[OMS_DIGEST_SIZE], struct stat *ret_st)
{
	cleanup_ptr __u8 *block = malloc(WATCH_BLOCK);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	cleanup_fd int fd = -1;
	ssize_t n = -1;
	char link[64];
	bool ok;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", seen_fd);
	fd = open(link, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	ok = block && ctx && fd >= 0 && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	while (ok && (n = read(fd, block, WATCH_BLOCK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		ok = n > 0 && EVP_DigestUpdate(ctx, block, (size_t)n) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL) == 1 && fstat(fd, ret_st) == 0;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static char *watch_join(const struct watch_root *root, const struct watch_seen *seen)
{
	const char *path = seen->path + (seen->path[0] == '/');
	char *joined = NULL;

	if (root->inode == seen->inode || !path[0])
		return strdup(root->path);
	return asprintf(&joined, "%s/%s", root->path, path) < 0 ? NULL : joined;
}

/* Reads it after it was found; what changed meanwhile shows in its ctime afterwards. */
static int watch_take_input(struct watch *watch, const struct watch_seen *seen, bool executed,
			    const struct watch_root *root, int fd)
{
	const char *kind = executed ? "program" : root->kind == WATCH_RUNTIME ? "runtime" : "input";
	cleanup_ptr char *path = watch_join(root, seen);
	__u8 digest[OMS_DIGEST_SIZE];
	struct stat st;
	int r = path ? watch_hash(fd, digest, &st) : -ENOMEM;

	if (r == -EIO) {
		watch_tell(++watch->facts.unidentified, path, "was opened, and cannot be read now");
		return 0;
	}
	if (r < 0)
		return r;
	if (!watch_is_before(watch, &st.st_ctim)) {
		watch_tell(++watch->facts.changed, path, "was opened, and changed after the start");
		return 0;
	}
	return watch_add_file(&watch->inputs, kind, TAKE_PTR(path), digest);
}

/* ---- all of them ---- */

static int watch_compare_seen(const void *a, const void *b)
{
	const struct watch_seen *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static struct watch_group watch_next_group(const struct watch *watch, size_t at)
{
	struct watch_group group = { .first = &watch->seen[at], .n = 1 };

	while (at + group.n < watch->n_seen &&
	       watch_compare_seen(group.first, &watch->seen[at + group.n]) == 0)
		group.n++;
	return group;
}

/* 1: found, and read when there is something to read. 0: not found. -ENOMEM. */
static int watch_read_group(struct watch *watch, const struct watch_group *group)
{
	bool executed = false;

	for (size_t i = 0; i < group->n; i++)
		executed = executed || group->first[i].executed;
	for (size_t i = 0; i < group->n; i++) {
		const struct watch_seen *seen = &group->first[i];
		struct watch_root *root = NULL;
		cleanup_fd int fd = -1;
		struct stat st;
		int r = 0;

		if (seen->zone >= CUSTODY_ZONES_MAX || !watch_find(watch, seen, &fd, &st, &root))
			continue;
		watch->zone_is_input[seen->zone] = true;
		if (S_ISREG(st.st_mode)) {
			root->used = true;
			r = watch_take_input(watch, seen, executed, root, fd);
		} else if (!S_ISDIR(st.st_mode)) {
			watch_tell(++watch->facts.unidentified, seen->path,
				   "was opened, and is no file that can be read twice");
		}
		return r < 0 ? r : 1;
	}
	return 0;
}

static bool watch_is_on_root(const struct watch *watch, __u64 device)
{
	for (size_t i = 0; i < watch->n_roots; i++) {
		if (watch->roots[i].device == device)
			return true;
	}
	return false;
}

/* What was not found: nothing to know when it was the jail's own, or the run's. */
static void watch_count_group(struct watch *watch, const struct watch_group *group)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct watch_seen *seen = &group->first[i];

		if (seen->zone >= CUSTODY_ZONES_MAX) {
			watch_tell(++watch->facts.outside, seen->path,
				   "was opened, and lies in no zone of the profile");
			return;
		}
		if (!watch_is_on_root(watch, seen->device) || watch->zone_is_output[seen->zone])
			continue;
		watch_tell(++watch->facts.unidentified, seen->path,
			   "was opened, and is not there any more");
		return;
	}
}

static void watch_learn_outputs(struct watch *watch)
{
	for (size_t i = 0; i < watch->n_seen; i++) {
		const struct watch_seen *seen = &watch->seen[i];

		if (seen->zone < CUSTODY_ZONES_MAX && !watch->zone_is_input[seen->zone] &&
		    watch_is_made(watch, seen->device, seen->inode))
			watch->zone_is_output[seen->zone] = true;
	}
}

/*
 * Did the command write it? Only the first sight of an inode is told, and inodes are used again:
 * one that was first seen under another name may have been another file's. One that was first read
 * under the name that it has was there before it was written.
 */
static bool watch_was_written(const struct watch *watch, const struct watch_made *made)
{
	const struct watch_seen wanted = { .device = made->device, .inode = made->inode };
	const struct watch_seen *seen = watch->n_seen == 0
						? NULL
						: bsearch(&wanted, watch->seen, watch->n_seen,
							  sizeof(wanted), watch_compare_seen);

	if (!seen)
		return false;
	while (seen > watch->seen && watch_compare_seen(seen - 1, &wanted) == 0)
		seen--;
	for (; seen < watch->seen + watch->n_seen && watch_compare_seen(seen, &wanted) == 0;
	     seen++) {
		if (seen->zone < CUSTODY_ZONES_MAX && watch->zone_is_output[seen->zone] &&
		    (seen->writing || strcmp(seen->path, made->path) != 0))
			return true;
	}
	return false;
}

static void watch_count_unseen(struct watch *watch)
{
	for (size_t i = 0; i < watch->n_made; i++) {
		const struct watch_made *made = &watch->made[i];

		if (made->path && !watch_was_written(watch, made))
			watch_tell(++watch->facts.unseen, made->path,
				   "was not seen to be written by the command");
	}
}

/* ---- datasets ---- */

/* A directory of data as model sign sees it; one that no signature could be over is not named. */
static int watch_add_dataset(struct watch *watch, const struct watch_root *root)
{
	cleanup_fd int fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct oms_model model = { .dirfd = fd };
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	cleanup_oms_tree struct oms_tree tree = { 0 };
	char *path;
	int r = fd < 0 ? -errno : oms_tree_list(&model, &tree, NULL);

	for (size_t i = 0; r == 0 && i < tree.n; i++)
		r = watch_is_before(watch, &tree.files[i].ctime) ? 0 : -EBUSY;
	if (r == 0)
		r = oms_manifest_make(OMS_FILES, "dataset", "model.sig", &manifest);
	if (r == 0) {
		model.ignore = manifest->ignore;
		model.n_ignore = manifest->n_ignore;
		r = oms_measure(&model, NULL, manifest, NULL);
	}
	if (r == 0)
		r = oms_statement_digest(manifest, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	path = strdup(root->path);
	return path ? watch_add_file(&watch->inputs, "dataset", path, manifest->root) : -ENOMEM;
}

static int watch_add_datasets(struct watch *watch)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < watch->n_roots; i++) {
		const struct watch_root *root = &watch->roots[i];

		if (root->kind == WATCH_DATA && root->is_directory && root->used)
			r = watch_add_dataset(watch, root);
	}
	return r;
}

int watch_read_inputs(struct watch *watch)
{
	cleanup_ptr bool *found = calloc(watch->n_seen + 1, sizeof(*found));
	struct watch_group group;
	int r = found ? 0 : -ENOMEM;

	if (watch->n_seen > 0)
		qsort(watch->seen, watch->n_seen, sizeof(*watch->seen), watch_compare_seen);
	for (size_t i = 0; r >= 0 && i < watch->n_seen; i += group.n) {
		group = watch_next_group(watch, i);
		r = watch_read_group(watch, &group);
		if (r >= 0)
			found[i] = r == 1;
	}
	if (r >= 0)
		r = watch_add_datasets(watch);
	if (r < 0) {
		client_complain("Out of memory.");
		return CUSTODY_EXIT_INTERNAL;
	}
	watch_learn_outputs(watch);
	for (size_t i = 0; i < watch->n_seen; i += group.n) {
		group = watch_next_group(watch, i);
		if (!found[i])
			watch_count_group(watch, &group);
	}
	watch_count_unseen(watch);
	return CUSTODY_EXIT_DONE;
}
