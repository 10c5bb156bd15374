/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memfds of include/custody/measured.h: mapped, checked, made. Run by custodyd and the
 * measurer. Pure but for memory and fds. Trusts no offset, size or count in them.
 */
#ifndef CUSTODY_LIB_MEASURED_H
#define CUSTODY_LIB_MEASURED_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/measured.h"

/* A file mapped for reading. */
struct measured_map {
	const void *data;	/* NULL: nothing */
	size_t size;
};

/* At most `most` bytes; an empty file is no error and maps to nothing. 0, -EFBIG or -errno. */
int measured_map_fd(int fd, size_t most, struct measured_map *ret);
void measured_unmap(struct measured_map *map);
#define cleanup_measured_map __attribute__((cleanup(measured_unmap)))

/* Every input lies inside, is of a known kind and has a name that ends. NULL when not so. */
const struct measured_inputs *measured_check_inputs(const struct measured_map *map);

/*
 * Every array lies inside; names lie one behind the other, ascending, and nothing else is there;
 * pieces lie in their files, and no two files share one. NULL when not so, or of another version.
 * Takes a time that is linear in the size: who made it may be hostile.
 */
const struct measured_table *measured_check_table(const struct measured_map *map);

/* Only after measured_check_table(). */
const struct measured_file *measured_files(const struct measured_table *table);
const struct measured_piece *measured_pieces(const struct measured_table *table);
const char *measured_name(const struct measured_table *table, const struct measured_file *file);

/* Same device, inode, generation, size and times; fs-verity's digest too, where it is in both. */
bool measured_is_same(const struct measured_file *a, const struct measured_file *b);

/* Both have fs-verity, and its digests are equal: then so is every byte, wherever they lie. */
bool measured_is_same_verity(const struct measured_file *a, const struct measured_file *b);

/* A memfd that can be sealed, close-on-exec, and the seals of one that is done. */
int measured_make_fd(const char *name, int *ret);
int measured_seal(int fd);

/* Nobody can change or shorten it any more. Whoever maps what another process made asks first: a
 * file that becomes shorter kills who reads it. */
bool measured_is_sealed(int fd);

/* All of it, in spite of short writes. 0 or -errno. */
int measured_write(int fd, const void *data, size_t n);

#endif
