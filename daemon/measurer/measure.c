/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every file of the model, read once, or not at all when it is known. Run by custody-measurer.
 * Trusts nothing of the tree: whoever owns it may change it at any moment.
 *
 * What is known: a file with fs-verity whose digest is in the table that custodyd kept, because the
 * kernel checks every byte against it; and, when custodyd says that nobody can have written since
 * (trust_known), a file whose identity is in that table.
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

#define MEASURE_TELL_MS 1000U

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

static void measure_tell(void *data, __u64 bytes)
{
	struct measurer *m = data;
	struct measure_progress progress = { .total = m->tree.bytes };
	struct timespec now = { 0 };
	__u64 ms;

	m->read += bytes;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (__u64)now.tv_sec * 1000U + (__u64)now.tv_nsec / 1000000U;
	if (ms - m->told_ms < MEASURE_TELL_MS)
		return;
	m->told_ms = ms;
	progress.done = m->read;
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

	if (!m->known || m->known->shard_size != m->found->shard_size)
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

static int measure_inspect(struct measurer *m, int fd, const char *path,
			   struct measured_file *file)
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

static int measure_read(struct measurer *m, int fd, const struct oms_file *listed,
			struct measured_file *file)
{
	const struct oms_hash hash = {
		.size = file->size,
		.shard_size = m->found->shard_size,
		.piece = measure_take_piece,
		.read = measure_tell,
		.data = m,
	};
	int r = measure_inspect(m, fd, listed->path, file);

	if (r == 0 && measure_is_listed(m, listed->path, listed)) {
		r = oms_hash_file(fd, &hash);
		file->flags |= MEASURED_FILE_READ;
	}
	if (r == -EBUSY)
		return measurer_refuse(m, r, "%s grew or shrank while it was read.",
				       measure_quote(listed->path).text);
	return r;
}

static int measure_file(struct measurer *m, size_t i)
{
	const struct oms_file *listed = &m->tree.files[i];
	struct measured_file *file = &m->files[i];
	const struct measured_file *known;
	struct measured_file after = { 0 };
	struct oms_why why = { 0 };
	cleanup_fd int fd = -1;
	int r = oms_tree_open(m->model, listed, &fd, &why);

	if (r == 0)
		r = identity_read(fd, file);
	if (r < 0)
		return measurer_refuse(m, r, "%s", why.text[0] ? why.text : strerror(-r));
	file->first_piece = m->n_pieces;
	known = measure_find_known(m, listed->path, file);
	r = known ? measure_use_known(m, known, file) : measure_read(m, fd, listed, file);
	file->n_pieces = m->n_pieces - file->first_piece;
	if (r == 0)
		r = identity_read(fd, &after);
	if (r < 0)
		return measurer_refuse(m, r, "%s cannot be read: %s.",
				       measure_quote(listed->path).text, strerror(-r));
	if (!measured_is_same(file, &after))
		return measurer_refuse(m, -EBUSY, "%s changed while it was read.",
				       measure_quote(listed->path).text);
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

int measure_files(struct measurer *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->tree.n; i++)
		r = measure_file(m, i);
	return r;
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
	measured_unmap(&m->inputs_map);
	measured_unmap(&m->known_map);
}
