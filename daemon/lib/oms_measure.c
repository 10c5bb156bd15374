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
#include "fingerprint.h"
#include "oms_internal.h"

/* The name that a unit has in the manifest. */
static int oms_measure_name(struct oms_item *item, enum oms_method method,
			    const struct oms_unit *unit)
{
	const char *path = unit->file->path;
	int n;

	item->path_n = strlen(path);
	if (method == OMS_SHARDS)
		n = asprintf(&item->name, "%s:%llu:%llu", path, (unsigned long long)unit->start,
			     (unsigned long long)unit->end);
	else
		n = asprintf(&item->name, "%s", path);
	if (n < 0)
		item->name = NULL;
	return n < 0 ? -ENOMEM : 0;
}

static bool oms_measure_is_empty(const struct oms_manifest *manifest, const struct oms_file *file)
{
	return manifest->method == OMS_SHARDS && file->size == 0;
}

/* As many as hashed at once: all of a file, or its shards. An empty file is looked at anyway. */
static __u64 oms_measure_count(const struct oms_manifest *manifest, const struct oms_tree *tree)
{
	__u64 n = 0;

	for (size_t i = 0; i < tree->n && n <= OMS_VALUES_MAX; i++) {
		__u64 size = tree->files[i].size;

		if (manifest->method == OMS_FILES || size == 0)
			n++;
		else
			n += (size - 1) / manifest->shard_size + 1;
	}
	return n;
}

struct oms_units {
	struct oms_unit *units;
	size_t n;
};

/* The units of one file, and the manifest's items, which have their digests later. */
static int oms_measure_split(struct oms_manifest *manifest, const struct oms_file *file,
			     struct oms_units *units)
{
	__u64 step = manifest->method == OMS_SHARDS ? manifest->shard_size : file->size;
	__u64 at = 0;

	do {
		struct oms_unit *unit = &units->units[units->n++];
		struct oms_item *item = &manifest->items[manifest->n_items];

		*unit = (struct oms_unit){
			.file = file,
			.start = at,
			.end = file->size - at < step ? file->size : at + step,
		};
		at = unit->end;
		if (oms_measure_is_empty(manifest, file))
			continue;
		manifest->n_items++;
		if (oms_measure_name(item, manifest->method, unit) < 0)
			return -ENOMEM;
		unit->digest = item->digest;
	} while (at < file->size);
	return 0;
}

static int oms_measure_read(const struct oms_model *model, const struct oms_tree *tree,
			    struct fingerprint_builder *builder, struct oms_manifest *manifest,
			    struct oms_why *why)
{
	__u64 count = oms_measure_count(manifest, tree);
	struct oms_units units = { 0 };
	cleanup_ptr struct oms_unit *owner = NULL;
	int r = 0;

	if (count > OMS_VALUES_MAX)
		return oms_explain(why, -EINVAL,
				   "The model has more files or shards than the %u that a "
				   "signature may name.",
				   OMS_VALUES_MAX);
	owner = calloc(count + 1, sizeof(*owner));
	manifest->items = calloc(count + 1, sizeof(*manifest->items));
	if (!owner || !manifest->items)
		return -ENOMEM;
	units.units = owner;
	for (size_t i = 0; r == 0 && i < tree->n; i++)
		r = oms_measure_split(manifest, &tree->files[i], &units);
	return r < 0 ? r : oms_work_run(model, units.units, units.n, builder, why);
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

static void oms_measure_forget(struct oms_manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_items; i++)
		free(manifest->items[i].name);
	free(manifest->items);
	manifest->items = NULL;
	manifest->n_items = 0;
}

int oms_measure(const struct oms_model *model, const struct oms_manifest *listed,
		struct oms_manifest *manifest, struct oms_why *why)
{
	cleanup_fingerprint_builder struct fingerprint_builder *builder = NULL;
	cleanup_oms_tree struct oms_tree tree = { 0 };
	int r;

	if (manifest->items || (manifest->method == OMS_SHARDS && manifest->shard_size == 0))
		return -EINVAL;
	r = oms_measure_list(model, listed, &tree, why);
	if (r == 0 && model->ret_fingerprints)
		r = fingerprint_builder_make(tree.bytes, &builder);
	if (r == 0)
		r = oms_measure_read(model, &tree, builder, manifest, why);
	if (r == 0)
		r = oms_measure_check_again(model, listed, &tree, why);
	if (r < 0) {
		oms_measure_forget(manifest);
		return r;
	}
	qsort(manifest->items, manifest->n_items, sizeof(struct oms_item), oms_measure_compare);
	if (builder)
		fingerprint_builder_finish(builder, model->ret_fingerprints);
	return 0;
}
