/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what was measured, for custodyd to keep and to give to the next measurer; and the
 * index of fingerprints, for the registry. Run by custody-measurer. Pure but for the memfds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "measurer.h"

static int table_write(int fd, const struct measurer *m, const struct measured_table *head,
		       const struct measured_file *files)
{
	int r = measured_write(fd, head, sizeof(*head));

	if (r == 0)
		r = measured_write(fd, files, head->n_files * sizeof(*files));
	if (r == 0)
		r = measured_write(fd, m->pieces, head->n_pieces * sizeof(*m->pieces));
	for (size_t i = 0; r == 0 && i < m->tree.n; i++)
		r = measured_write(fd, m->tree.files[i].path, strlen(m->tree.files[i].path) + 1);
	return r;
}

int table_make(const struct measurer *m, int *ret_fd)
{
	struct measured_table head = {
		.magic = MEASURED_TABLE_MAGIC,
		.version = MEASURED_TABLE_VERSION,
		.shard_size = m->found->shard_size,
		.n_files = m->tree.n,
		.n_pieces = m->n_pieces,
	};
	cleanup_ptr struct measured_file *files = malloc(m->tree.n * sizeof(*files));
	cleanup_fd int fd = -1;
	int r;

	if (!files)
		return -ENOMEM;
	memcpy(files, m->files, m->tree.n * sizeof(*files));
	for (size_t i = 0; i < m->tree.n; i++) {
		files[i].name = head.names_size;
		head.names_size += strlen(m->tree.files[i].path) + 1;
	}
	head.files_off = sizeof(head);
	head.pieces_off = head.files_off + head.n_files * sizeof(*files);
	head.names_off = head.pieces_off + head.n_pieces * sizeof(*m->pieces);
	head.size = head.names_off + head.names_size;
	if (head.size > MEASURED_TABLE_MAX)
		return -EFBIG;
	r = measured_make_fd("measured", &fd);
	if (r == 0)
		r = table_write(fd, m, &head, files);
	if (r == 0)
		r = measured_seal(fd);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int table_make_index(const struct measurer *m, int *ret_fd)
{
	cleanup_ptr __u8 *bytes = NULL;
	cleanup_fd int fd = -1;
	size_t n = 0;
	int r = m->fingerprinted ? fingerprint_encode(&m->fingerprints, &bytes, &n) : 0;

	if (r == 0)
		r = measured_make_fd("fingerprints", &fd);
	if (r == 0)
		r = measured_write(fd, bytes, n);
	if (r == 0)
		r = measured_seal(fd);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}
