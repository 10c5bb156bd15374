/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every file of the model, read once, or not at all when it is known. Run by custody-measurer.
 * Trusts nothing of the tree: whoever owns it may change it at any moment.
 *
 * What is known: a file with fs-verity whose digest is in the table that custodyd kept, because the
 * kernel checks every byte against it; and, when custodyd says that nobody can have written since
 * (trust_known), a file whose identity is in that table. When the fingerprints are asked for, all
 * is read: digests and fingerprints come of one pass.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "escape.h"
#include "format.h"
#include "measurer.h"
#include "message.h"

#define MEASURE_TELL_MS 250U

/* A path that the model's owner chose, for a sentence. */
struct measure_quoted {
	char text[256];
};

static struct measure_quoted measure_quote(const char *path)
{
	struct measure_quoted q;

	(void)escape_text(path, strlen(path) + 1, false, q.text, sizeof(q.text));
	return q;
}

static bool measure_is_signature(const struct measurer *m, const struct oms_file *file)
{
	const struct oms_identity *skip = &m->signature.identity;

	return m->signature.text && file->ino == skip->ino && file->dev == skip->dev;
}

bool measure_is_listed(const struct measurer *m, const char *path, const struct oms_file *file)
{
	const struct oms_manifest *how = m->signed_ ? m->signed_ : m->found;

	if (measure_is_signature(m, file))
		return false;
	for (size_t i = 0; i < how->n_ignore; i++) {
		const size_t n = strlen(how->ignore[i]);

		if (strncmp(path, how->ignore[i], n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return false;
	}
	return true;
}

int measure_list(struct measurer *m)
{
	const struct oms_model model = { .dirfd = m->model };
	struct oms_why why = { 0 };
	int r = oms_tree_list(&model, &m->tree, &why);

	if (r < 0)
		return measurer_refuse(m, r, "%s", why.text[0] ? why.text : strerror(-r));
	if (m->tree.n == 0)
		return measurer_refuse(m, -ENOENT, "The model's directory holds no file.");
	m->files = calloc(m->tree.n, sizeof(*m->files));
	return m->files ? 0 : measurer_refuse(m, -ENOMEM, "Out of memory.");
}

static int measure_take_piece(void *data, __u64 start, __u64 end,
			      const __u8 digest[OMS_DIGEST_SIZE])
{
	struct measurer *m = data;
	struct measured_piece *piece;

	if (m->n_pieces == m->room) {
		size_t room = m->room ? m->room * 2 : 64;

		piece = reallocarray(m->pieces, room, sizeof(*piece));
		if (!piece)
			return -ENOMEM;
		m->pieces = piece;
		m->room = room;
	}
	piece = &m->pieces[m->n_pieces++];
	*piece = (struct measured_piece){ .start = start, .end = end };
	memcpy(piece->digest, digest, OMS_DIGEST_SIZE);
	return 0;
}

static void measure_tell(void *data, __u64 done, __u64 total)
{
	struct measurer *m = data;
	struct measure_progress progress = { .done = done, .total = total };
	struct timespec now = { 0 };
	__u64 ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (__u64)now.tv_sec * 1000U + (__u64)now.tv_nsec / 1000000U;
	if (ms - m->told_ms < MEASURE_TELL_MS)
		return;
	m->told_ms = ms;
	/* custodyd gone: the next message fails too, and that one is looked at */
	(void)MESSAGE_SEND(m->channel, ROLE_MEASURER, MEASURE_PROGRESS, m->id, &progress);
}

/* The file of that path in the table, which is sorted by paths as this tree is; NULL: none. */
static const struct measured_file *measure_find_path(const struct measured_table *table,
						     const char *path)
{
	const struct measured_file *files = measured_files(table);
	__u64 low = 0, high = table->n_files;

	while (low < high) {
		const __u64 middle = low + (high - low) / 2;
		const int order = strcmp(path, measured_name(table, &files[middle]));

		if (order == 0)
			return &files[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* What was measured before and is the same now, with pieces of the size that is needed. */
static const struct measured_file *measure_find_known(const struct measurer *m, const char *path,
						      const struct measured_file *file)
{
	const struct measured_file *known;

	/* They are made of bytes that are read. */
	if (m->fingerprinted || !m->known || m->known->shard_size != m->found->shard_size)
		return NULL;
	known = measure_find_path(m->known, path);
	if (!known || !(known->flags & MEASURED_FILE_READ))
		return NULL;
	if (measured_is_same_verity(known, file))
		return known;
	return m->trust_known && measured_is_same(known, file) ? known : NULL;
}

static int measure_use_known(struct measurer *m, const struct measured_file *known,
			     struct measured_file *file)
{
	const struct measured_piece *pieces = measured_pieces(m->known) + known->first_piece;
	int r = 0;

	file->format = known->format;
	file->flags = known->flags;
	for (__u64 i = 0; r == 0 && i < known->n_pieces; i++)
		r = measure_take_piece(m, pieces[i].start, pieces[i].end, pieces[i].digest);
	return r;
}

static int measure_inspect(struct measurer *m, int fd, const char *path, struct measured_file *file)
{
	struct format_finding finding = { 0 };
	int r = format_inspect(fd, file->size, &finding);

	if (r == -EBADMSG)
		return measurer_refuse(m, r, "%s: %s", measure_quote(path).text, finding.why.text);
	if (r < 0)
		return measurer_refuse(m, r, "%s cannot be looked at: %s%s%s",
				       measure_quote(path).text, strerror(-r),
				       finding.why.text[0] ? ": " : "", finding.why.text);
	file->format = finding.format;
	if (finding.pickles)
		file->flags |= MEASURED_FILE_PICKLES;
	return 0;
}

/* What is known of a file before its content is read, and all of it when that was read before. */
static int measure_look(struct measurer *m, size_t i)
{
	const struct oms_file *listed = &m->tree.files[i];
	struct measured_file *file = &m->files[i];
	const struct measured_file *known;
	struct oms_why why = { 0 };
	cleanup_fd int fd = -1;
	int r = oms_tree_open(m->model, listed, &fd, &why);

	if (r < 0)
		return measurer_refuse(m, r, "%s", why.text[0] ? why.text : strerror(-r));
	r = identity_read(fd, file);
	if (r < 0)
		return measurer_refuse(m, r, "%s: the kernel does not say which file it is: %s.",
				       measure_quote(listed->path).text, strerror(-r));
	file->first_piece = m->n_pieces;
	known = measure_find_known(m, listed->path, file);
	r = known ? measure_use_known(m, known, file) : measure_inspect(m, fd, listed->path, file);
	file->n_pieces = m->n_pieces - file->first_piece;
	if (r < 0)
		return measurer_refuse(m, r, "Out of memory.");
	m->formats |= file->format;
	m->pickles = m->pickles || (file->flags & MEASURED_FILE_PICKLES);
	if (measure_is_listed(m, listed->path, listed)) {
		m->listed++;
		m->listed_bytes += file->size;
	} else if (!measure_is_signature(m, listed)) {
		m->unlisted++;
	}
	return 0;
}

/* The files that are to be read, as a manifest that names them. */
static int measure_name_unknown(struct measurer *m, struct oms_manifest **ret)
{
	cleanup_oms_manifest struct oms_manifest *wanted = calloc(1, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	wanted->items = calloc(m->tree.n, sizeof(*wanted->items));
	if (!wanted->items)
		return -ENOMEM;
	for (size_t i = 0; i < m->tree.n; i++) {
		struct oms_item *item = &wanted->items[wanted->n_items];

		if ((m->files[i].flags & MEASURED_FILE_READ) ||
		    !measure_is_listed(m, m->tree.files[i].path, &m->tree.files[i]))
			continue;
		item->path_n = strlen(m->tree.files[i].path);
		item->name = strdup(m->tree.files[i].path);
		if (!item->name)
			return -ENOMEM;
		m->read += m->files[i].size;
		wanted->n_items++;
	}
	*ret = TAKE_PTR(wanted);
	return 0;
}

/* "path:start:end" of a shard; of a whole file, all of it. */
static void measure_parse_range(const struct oms_item *item, const struct measured_file *file,
				struct measured_piece *ret)
{
	char *end = NULL;

	*ret = (struct measured_piece){ .end = file->size };
	memcpy(ret->digest, item->digest, sizeof(ret->digest));
	if (item->name[item->path_n] != ':')
		return;
	ret->start = strtoull(item->name + item->path_n + 1, &end, 10);
	ret->end = strtoull(end + 1, NULL, 10);
}

static int measure_compare_items(const void *a, const void *b)
{
	const struct oms_item *x = a, *y = b;
	const size_t n = x->path_n < y->path_n ? x->path_n : y->path_n;
	const int order = strncmp(x->name, y->name, n);

	return order != 0 ? order : x->path_n < y->path_n ? -1 : x->path_n > y->path_n;
}

/* Pieces of a file next to each other, files in the order of the tree. */
static int measure_take_items(struct measurer *m, struct oms_manifest *got)
{
	size_t at = 0;

	if (got->n_items > 0)
		qsort(got->items, got->n_items, sizeof(*got->items), measure_compare_items);
	for (size_t i = 0; i < m->tree.n; i++) {
		struct measured_file *file = &m->files[i];
		const char *path = m->tree.files[i].path;
		const size_t n = strlen(path);

		if ((file->flags & MEASURED_FILE_READ) ||
		    !measure_is_listed(m, path, &m->tree.files[i]))
			continue;
		file->first_piece = m->n_pieces;
		for (; at < got->n_items && got->items[at].path_n == n &&
		       strncmp(got->items[at].name, path, n) == 0;
		     at++) {
			struct measured_piece piece;
			int r;

			measure_parse_range(&got->items[at], file, &piece);
			r = measure_take_piece(m, piece.start, piece.end, piece.digest);
			if (r < 0)
				return r;
		}
		file->n_pieces = m->n_pieces - file->first_piece;
		file->flags |= MEASURED_FILE_READ;
	}
	return at == got->n_items ? 0 : -EBUSY;
}

static int measure_read(struct measurer *m)
{
	cleanup_oms_manifest struct oms_manifest *wanted = NULL;
	cleanup_oms_manifest struct oms_manifest *got = NULL;
	const struct oms_model model = {
		.dirfd = m->model,
		.progress = measure_tell,
		.data = m,
		.ret_fingerprints = m->fingerprinted ? &m->fingerprints : NULL,
	};
	struct oms_why why = { 0 };
	int r = measure_name_unknown(m, &wanted);

	if (r == 0 && wanted->n_items == 0 && !m->fingerprinted)
		return 0;
	if (r == 0)
		r = oms_manifest_make(m->found->method, "", NULL, &got);
	if (r == 0) {
		got->shard_size = m->found->shard_size;
		r = oms_measure(&model, wanted, got, &why);
	}
	if (r == 0)
		r = measure_take_items(m, got);
	return r < 0 ? measurer_refuse(m, r, "%s", why.text[0] ? why.text : strerror(-r)) : 0;
}

int measure_files(struct measurer *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->tree.n; i++)
		r = measure_look(m, i);
	return r < 0 ? r : measure_read(m);
}

static bool measure_is_unchanged(const struct oms_file *listed, const struct measured_file *file)
{
	return listed->dev == file->device && listed->ino == file->inode &&
	       listed->size == file->size &&
	       (__s64)listed->mtime.tv_sec * 1000000000LL + listed->mtime.tv_nsec == file->mtime &&
	       (__s64)listed->ctime.tv_sec * 1000000000LL + listed->ctime.tv_nsec == file->ctime;
}

/* The tree as it was before the first file was read, and every file as it was when it was. */
int measure_check_again(struct measurer *m)
{
	const struct oms_model model = { .dirfd = m->model };
	cleanup_oms_tree struct oms_tree again = { 0 };
	struct oms_why why = { 0 };
	int r = oms_tree_list(&model, &again, &why);

	if (r < 0)
		return measurer_refuse(m, r, "%s", why.text[0] ? why.text : strerror(-r));
	for (size_t i = 0; i < m->tree.n || i < again.n; i++) {
		const char *path = i < m->tree.n ? m->tree.files[i].path : again.files[i].path;

		if (i < m->tree.n && i < again.n && strcmp(path, again.files[i].path) == 0 &&
		    measure_is_unchanged(&again.files[i], &m->files[i]))
			continue;
		return measurer_refuse(m, -EBUSY, "The model changed while it was read, at %s.",
				       measure_quote(path).text);
	}
	return 0;
}

void measure_free(struct measurer *m)
{
	oms_tree_free(&m->tree);
	oms_manifest_free(&m->signed_);
	oms_manifest_free(&m->found);
	free(m->files);
	free(m->pieces);
	free(m->signature.own);
	fingerprint_index_free(&m->fingerprints);
	measured_unmap(&m->inputs_map);
	measured_unmap(&m->known_map);
}
