/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on disk made into a manifest. Run by custodyctl and whatever measures models. The tree is
 * listed, read, and listed again: whoever changed it meanwhile is noticed, unless he can set ctime
 * back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

struct oms_measurement {
	const struct oms_model *model;
	struct oms_manifest *manifest;
	const struct oms_file *file;
	size_t room;
	__u64 done;
	__u64 total;
};

static int oms_measure_take_piece(void *data, __u64 start, __u64 end,
				  const __u8 digest[OMS_DIGEST_SIZE])
{
	struct oms_measurement *m = data;
	struct oms_manifest *manifest = m->manifest;
	const char *path = m->file->path;
	struct oms_item *item;
	int n;

	if (manifest->n_items == m->room) {
		size_t room = m->room ? m->room * 2 : 64;

		item = reallocarray(manifest->items, room, sizeof(*item));
		if (!item)
			return -ENOMEM;
		manifest->items = item;
		m->room = room;
	}
	item = &manifest->items[manifest->n_items];
	*item = (struct oms_item){ .path_n = strlen(path) };
	if (manifest->method == OMS_SHARDS)
		n = asprintf(&item->name, "%s:%llu:%llu", path, (unsigned long long)start,
			     (unsigned long long)end);
	else
		n = asprintf(&item->name, "%s", path);
	if (n < 0)
		return -ENOMEM;
	memcpy(item->digest, digest, OMS_DIGEST_SIZE);
	manifest->n_items++;
	return 0;
}

static void oms_measure_count(void *data, __u64 bytes)
{
	struct oms_measurement *m = data;

	m->done += bytes;
	m->model->progress(m->model->data, m->done, m->total);
}

static int oms_measure_file(struct oms_measurement *m, struct oms_why *why)
{
	const struct oms_file *file = m->file;
	struct oms_hash hash = {
		.size = file->size,
		.shard_size = m->manifest->method == OMS_SHARDS ? m->manifest->shard_size : 0,
		.piece = oms_measure_take_piece,
		.read = m->model->progress ? oms_measure_count : NULL,
		.data = m,
	};
	cleanup_fd int fd = -1;
	int r;

	r = oms_tree_open(m->model->dirfd, file, &fd, why);
	if (r < 0)
		return r;
	r = oms_hash_file(fd, &hash);
	if (r == -EBUSY)
		return oms_explain(why, r, "%s grew or shrank while it was read.",
				   oms_quote(file->path, strlen(file->path)).text);
	return r < 0 && r != -ENOMEM ? oms_explain_io(why, file->path, r) : r;
}

struct oms_paths {
	char **paths;
	size_t n;
};

static void oms_measure_free_paths(struct oms_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->paths[i]);
	free(paths->paths);
}
#define cleanup_paths __attribute__((cleanup(oms_measure_free_paths)))

static int oms_measure_compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted; a file in shards has as many. */
static int oms_measure_name_paths(const struct oms_manifest *listed, struct oms_paths *ret)
{
	ret->paths = calloc(listed->n_items + 1, sizeof(char *));
	if (!ret->paths)
		return -ENOMEM;
	for (size_t i = 0; i < listed->n_items; i++) {
		ret->paths[i] = strndup(listed->items[i].name, listed->items[i].path_n);
		if (!ret->paths[i])
			return -ENOMEM;
		ret->n = i + 1;
	}
	qsort(ret->paths, ret->n, sizeof(char *), oms_measure_compare_paths);
	return 0;
}

/* The files that a manifest names, as far as they are there. */
static int oms_measure_list_named(const struct oms_model *model, const struct oms_manifest *listed,
				  struct oms_tree *ret, struct oms_why *why)
{
	cleanup_paths struct oms_paths paths = { 0 };
	cleanup_oms_tree struct oms_tree tree = { 0 };
	int r = oms_measure_name_paths(listed, &paths);

	for (size_t i = 0; r == 0 && i < paths.n; i++) {
		if (i > 0 && strcmp(paths.paths[i], paths.paths[i - 1]) == 0)
			continue;
		if (model->file && strcmp(paths.paths[i], model->file) != 0)
			continue;
		r = oms_tree_add(model->dirfd, paths.paths[i], &tree, why);
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0)
		return r;
	*ret = tree;
	tree = (struct oms_tree){ 0 };
	return 0;
}

static int oms_measure_list(const struct oms_model *model, const struct oms_manifest *listed,
			    struct oms_tree *ret, struct oms_why *why)
{
	return listed ? oms_measure_list_named(model, listed, ret, why)
		      : oms_tree_list(model, ret, why);
}

static bool oms_measure_is_same(const struct oms_file *a, const struct oms_file *b)
{
	return strcmp(a->path, b->path) == 0 && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec && a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

static int oms_measure_check_again(const struct oms_model *model, const struct oms_manifest *listed,
				   const struct oms_tree *tree, struct oms_why *why)
{
	cleanup_oms_tree struct oms_tree again = { 0 };
	int r = oms_measure_list(model, listed, &again, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < tree->n || i < again.n; i++) {
		const char *path = i < tree->n ? tree->files[i].path : again.files[i].path;

		if (i < tree->n && i < again.n &&
		    oms_measure_is_same(&tree->files[i], &again.files[i]))
			continue;
		return oms_explain(why, -EBUSY, "The model changed while it was read, at %s.",
				   oms_quote(path, strlen(path)).text);
	}
	return 0;
}

static int oms_measure_compare(const void *a, const void *b)
{
	return strcmp(((const struct oms_item *)a)->name, ((const struct oms_item *)b)->name);
}

int oms_measure(const struct oms_model *model, const struct oms_manifest *listed,
		struct oms_manifest *manifest, struct oms_why *why)
{
	struct oms_measurement m = { .model = model, .manifest = manifest };
	cleanup_oms_tree struct oms_tree tree = { 0 };
	int r;

	if (manifest->n_items > 0)
		return -EINVAL;
	r = oms_measure_list(model, listed, &tree, why);
	if (r < 0)
		return r;
	m.total = tree.bytes;
	for (size_t i = 0; i < tree.n; i++) {
		m.file = &tree.files[i];
		r = oms_measure_file(&m, why);
		if (r < 0)
			return r;
	}
	r = oms_measure_check_again(model, listed, &tree, why);
	if (r < 0)
		return r;
	if (manifest->n_items > 0)
		qsort(manifest->items, manifest->n_items, sizeof(struct oms_item),
		      oms_measure_compare);
	return 0;
}
