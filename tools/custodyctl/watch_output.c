/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run wrote: the directories of files.write, empty before it and measured after it like a
 * model. Run by custodyctl. Trusts nothing that lies there: whoever made it may have run hostile
 * code. Links, FIFOs, sockets and devices are refused, and never opened (oms.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "model_file.h"
#include "watch.h"

#define WATCH_SIGNATURE "model.sig" /* left out of the digest of a model: see custody-measurer */

static int watch_complain_root(const struct watch_root *root, const char *what)
{
	client_complain("%s (files.write) %s.", client_quote(root->path).text, what);
	return CUSTODY_EXIT_REFUSED;
}

static int watch_check_empty(const struct watch_root *root)
{
	cleanup_fd int fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir)
		return watch_complain_root(root, "is no directory that can be read");
	fd = -1;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return watch_complain_root(
				root, "is not empty: what lies there already was not made by this "
				      "run. Empty it, or name another directory");
	}
	return CUSTODY_EXIT_DONE;
}

static bool watch_is_within(const char *path, const char *directory)
{
	const size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Which zone a file was opened in says whether it is one of the outputs: they must be apart. */
static int watch_check_apart(const struct watch *watch, const struct watch_root *root)
{
	for (size_t i = 0; i < watch->n_roots; i++) {
		const struct watch_root *other = &watch->roots[i];

		if (other != root && (watch_is_within(root->path, other->path) ||
				      watch_is_within(other->path, root->path))) {
			client_complain("%s (files.write) and %s lie in one another: outputs must "
					"be apart from inputs.",
					client_quote(root->path).text,
					client_quote(other->path).text);
			return CUSTODY_EXIT_REFUSED;
		}
	}
	return CUSTODY_EXIT_DONE;
}

int watch_check_outputs(const struct watch *watch)
{
	int r = CUSTODY_EXIT_DONE;
	size_t n = 0;

	for (size_t i = 0; r == CUSTODY_EXIT_DONE && i < watch->n_roots; i++) {
		if (watch->roots[i].kind != WATCH_OUTPUT)
			continue;
		n++;
		r = watch_check_empty(&watch->roots[i]);
		if (r == CUSTODY_EXIT_DONE)
			r = watch_check_apart(watch, &watch->roots[i]);
	}
	if (r != CUSTODY_EXIT_DONE || n > 0)
		return r;
	client_complain("The profile %s has no directory for results, so there is nothing to "
			"attest: extend it, with [files] write = DIR.",
			client_quote(watch->profile).text);
	return CUSTODY_EXIT_REFUSED;
}

/* ---- after the end ---- */

static int watch_compare_made(const void *a, const void *b)
{
	const struct watch_made *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

bool watch_is_made(const struct watch *watch, __u64 device, __u64 inode)
{
	const struct watch_made wanted = { .device = device, .inode = inode };

	return watch->n_made > 0 &&
	       bsearch(&wanted, watch->made, watch->n_made, sizeof(wanted), watch_compare_made);
}

static bool watch_is_after_end(const struct watch *watch, const struct timespec *when)
{
	const __u64 end = watch->end.head.time_ns;

	return (__u64)when->tv_sec * 1000000000ULL + (__u64)when->tv_nsec > end;
}

static int watch_add_made(struct watch *watch, const struct watch_root *root,
			  const struct oms_tree *tree)
{
	struct watch_made *made =
		reallocarray(watch->made, watch->n_made + tree->n + 1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	watch->made = made;
	for (size_t i = 0; i < tree->n; i++) {
		if (watch_is_after_end(watch, &tree->files[i].ctime))
			watch->facts.unseen++;
		/* The device as events have it. */
		made = &watch->made[watch->n_made];
		*made = (struct watch_made){ .device = root->device, .inode = tree->files[i].ino };
		if (asprintf(&made->path, "/%s", tree->files[i].path) < 0)
			return -ENOMEM;
		watch->n_made++;
	}
	/* A listing of the directory itself tells its zone as well. */
	watch->made[watch->n_made++] =
		(struct watch_made){ .device = root->device, .inode = root->inode };
	return 0;
}

static int watch_add_items(struct watch *watch, const struct watch_root *root,
			   const struct oms_manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_items; i++) {
		char *path = NULL;
		int r;

		if (asprintf(&path, "%s/%s", root->path, manifest->items[i].name) < 0)
			return -ENOMEM;
		r = watch_add_file(&watch->outputs, "output", path, manifest->items[i].digest);
		if (r < 0)
			return r;
	}
	return 0;
}

static int watch_add_subject(struct watch *watch, const struct watch_root *root,
			     const struct oms_manifest *manifest)
{
	struct watch_subject *subject = &watch->subjects[watch->n_subjects];
	const char *slash = strrchr(root->path, '/');

	subject->name = strdup(slash && oms_check_path(slash + 1, strlen(slash + 1)) ? slash + 1
										     : "output");
	if (!subject->name)
		return -ENOMEM;
	memcpy(subject->digest, manifest->root, sizeof(subject->digest));
	watch->n_subjects++;
	return 0;
}

static int watch_measure_root(struct watch *watch, const struct watch_root *root, int fd,
			      const struct oms_tree *tree, struct oms_why *why)
{
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	struct client_progress progress;
	struct oms_model model = { .dirfd = fd,
				   .progress = client_show_progress,
				   .data = &progress };
	int r = oms_manifest_make(OMS_FILES, "output", WATCH_SIGNATURE, &manifest);

	if (r < 0)
		return r;
	model.ignore = manifest->ignore;
	model.n_ignore = manifest->n_ignore;
	client_start_progress(&progress, watch->options);
	r = oms_measure(&model, NULL, manifest, why);
	client_end_progress(&progress);
	if (r == 0)
		r = oms_statement_digest(manifest, why);
	if (r == 0 && manifest->n_items != tree->n) {
		(void)snprintf(why->text, sizeof(why->text),
			       "The command wrote files that the digest of a model leaves out "
			       "(" WATCH_SIGNATURE ", .git and its kin): remove them from what it "
			       "does.");
		return -EINVAL;
	}
	if (r == 0)
		r = watch_add_made(watch, root, tree);
	if (r == 0)
		r = watch_add_items(watch, root, manifest);
	return r == 0 ? watch_add_subject(watch, root, manifest) : r;
}

static int watch_read_root(struct watch *watch, const struct watch_root *root)
{
	cleanup_fd int fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct oms_model model = { .dirfd = fd };
	cleanup_oms_tree struct oms_tree tree = { 0 };
	struct oms_why why = { 0 };
	int r = fd < 0 ? -errno : oms_tree_list(&model, &tree, &why);

	if (r == 0 && tree.n > 0)
		r = watch_measure_root(watch, root, fd, &tree, &why);
	if (r == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("Nothing is signed for what was written to %s:",
			client_quote(root->path).text);
	return model_complain(root->path, r, &why);
}

int watch_read_outputs(struct watch *watch)
{
	int r = CUSTODY_EXIT_DONE;

	for (size_t i = 0; r == CUSTODY_EXIT_DONE && i < watch->n_roots; i++) {
		if (watch->roots[i].kind == WATCH_OUTPUT)
			r = watch_read_root(watch, &watch->roots[i]);
	}
	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (watch->n_subjects == 0) {
		client_complain("The command wrote no file to files.write: there is nothing to "
				"attest.");
		return CUSTODY_EXIT_INCOMPLETE;
	}
	qsort(watch->made, watch->n_made, sizeof(*watch->made), watch_compare_made);
	return CUSTODY_EXIT_DONE;
}
