/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custodyd and the measurer pass in memfds: see measured.h. Trusts no offset, size or count.
 */
#include "measured.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define MEASURED_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int measured_map_fd(int fd, size_t most, struct measured_map *ret)
{
	struct stat st;
	void *data;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (size_t)st.st_size > most)
		return -EFBIG;
	*ret = (struct measured_map){ 0 };
	if (st.st_size == 0)
		return 0;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*ret = (struct measured_map){ .data = data, .size = (size_t)st.st_size };
	return 0;
}

void measured_unmap(struct measured_map *map)
{
	if (map->data)
		(void)munmap((void *)map->data, map->size);
	*map = (struct measured_map){ 0 };
}

/* n things of `each` bytes from `off` on lie within size. */
static bool measured_fits(__u64 off, __u64 n, __u64 each, __u64 size)
{
	return off <= size && n <= (size - off) / each;
}

const struct measured_inputs *measured_check_inputs(const struct measured_map *map)
{
	const struct measured_inputs *inputs = map->data;

	if (!inputs || map->size < sizeof(*inputs) || inputs->magic != MEASURED_INPUTS_MAGIC ||
	    inputs->n > MEASURED_INPUTS_MAX)
		return NULL;
	for (__u32 i = 0; i < inputs->n; i++) {
		const struct measured_input *input = &inputs->input[i];

		if (input->kind < MEASURED_INPUT_SIGNATURE ||
		    input->kind >= _MEASURED_INPUT_KIND_MAX ||
		    !measured_fits(input->off, input->size, 1, map->size) ||
		    !memchr(input->name, '\0', sizeof(input->name)))
			return NULL;
	}
	return inputs;
}

/* What has been walked through, so that no byte of a table is looked at twice. */
struct measured_walk {
	__u64 names; /* the next name begins here */
	__u64 pieces; /* so many belong to files */
	const char *last; /* path of the file before */
};

/* A name behind the other, and in order: files are looked up by bisection. */
static bool measured_check_name(const struct measured_table *table,
				const struct measured_file *file, struct measured_walk *walk)
{
	const char *name = (const char *)table + table->names_off + walk->names;
	const char *end;

	if (file->name != walk->names || file->name >= table->names_size)
		return false;
	end = memchr(name, '\0', table->names_size - file->name);
	if (!end || (walk->last && strcmp(walk->last, name) >= 0))
		return false;
	walk->names += (__u64)(end - name) + 1;
	walk->last = name;
	return true;
}

static bool measured_check_pieces(const struct measured_table *table,
				  const struct measured_file *file, struct measured_walk *walk)
{
	const struct measured_piece *pieces;

	if (!measured_fits(file->first_piece, file->n_pieces, 1, table->n_pieces) ||
	    file->n_pieces > table->n_pieces - walk->pieces)
		return false;
	walk->pieces += file->n_pieces;
	pieces = measured_pieces(table) + file->first_piece;
	for (__u64 i = 0; i < file->n_pieces; i++) {
		if (pieces[i].start > pieces[i].end || pieces[i].end > file->size)
			return false;
	}
	return true;
}

static bool measured_check_file(const struct measured_table *table,
				const struct measured_file *file, struct measured_walk *walk)
{
	return measured_check_name(table, file, walk) &&
	       measured_check_pieces(table, file, walk) &&
	       file->verity_size <= sizeof(file->verity_digest) &&
	       (file->verity != 0) == (file->verity_size != 0);
}

const struct measured_table *measured_check_table(const struct measured_map *map)
{
	const struct measured_table *table = map->data;
	struct measured_walk walk = { 0 };

	if (!table || map->size < sizeof(*table) || table->magic != MEASURED_TABLE_MAGIC ||
	    table->version != MEASURED_TABLE_VERSION || table->size != map->size)
		return NULL;
	if (table->files_off % 8 || table->pieces_off % 8 ||
	    !measured_fits(table->files_off, table->n_files, sizeof(struct measured_file),
			   map->size) ||
	    !measured_fits(table->pieces_off, table->n_pieces, sizeof(struct measured_piece),
			   map->size) ||
	    !measured_fits(table->names_off, table->names_size, 1, map->size))
		return NULL;
	for (__u64 i = 0; i < table->n_files; i++) {
		if (!measured_check_file(table, &measured_files(table)[i], &walk))
			return NULL;
	}
	return walk.names == table->names_size ? table : NULL;
}

const struct measured_file *measured_files(const struct measured_table *table)
{
	return (const void *)((const char *)table + table->files_off);
}

const struct measured_piece *measured_pieces(const struct measured_table *table)
{
	return (const void *)((const char *)table + table->pieces_off);
}

const char *measured_name(const struct measured_table *table, const struct measured_file *file)
{
	return (const char *)table + table->names_off + file->name;
}

bool measured_is_same_verity(const struct measured_file *a, const struct measured_file *b)
{
	return a->verity != 0 && a->verity == b->verity && a->verity_size == b->verity_size &&
	       a->size == b->size &&
	       memcmp(a->verity_digest, b->verity_digest, a->verity_size) == 0;
}

bool measured_is_same(const struct measured_file *a, const struct measured_file *b)
{
	return a->device == b->device && a->inode == b->inode && a->generation == b->generation &&
	       a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime &&
	       a->verity == b->verity && (a->verity == 0 || measured_is_same_verity(a, b));
}

int measured_make_fd(const char *name, int *ret)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int measured_seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, MEASURED_SEALS) < 0)
		return -errno;
	return measured_is_sealed(fd) ? 0 : -EPERM;
}

bool measured_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & MEASURED_SEALS) == MEASURED_SEALS;
}

int measured_write(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}
