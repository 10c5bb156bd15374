/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model has sent, on disk: one file for each name, kept until the model is retired. Run by
 * custodyd only. A file is one fixed-size struct with its own digest; one that does not hold is
 * refused, never repaired: it would be a way to begin the account anew.
 */
#ifndef CUSTODY_WARDEN_CEILING_FILE_H
#define CUSTODY_WARDEN_CEILING_FILE_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/limits.h"

#define CEILING_FILE_MAGIC	0x4c494543U	/* "CEIL" */
#define CEILING_FILE_VERSION	1
#define CEILING_FILE_ROWS	64
#define CEILING_FILE_ENDPOINT	128

/* No byte more than `used` has been sent there, whatever happens after the file was written. */
struct ceiling_row {
	char endpoint[CEILING_FILE_ENDPOINT];	/* "tcp:10.0.0.5:443"; "": the model as a whole */
	__u64 used;
};

struct ceiling_file {
	__u32 magic;
	__u32 version;
	__u32 size;
	__u32 n_rows;
	char name[CUSTODY_NAME_SIZE];
	struct ceiling_row rows[CEILING_FILE_ROWS];
	__u8 digest[CUSTODY_DIGEST_SIZE];	/* SHA-256 of everything before it */
};

_Static_assert(sizeof(struct ceiling_file) == 80 + CEILING_FILE_ROWS * 136 + 32, "ceiling_file");

/* An account without rows. */
void ceiling_file_begin(struct ceiling_file *file, const char *name);

/* 0 when the n bytes are a whole file of that model, else -EPROTO with *ret_why in words. Pure. */
int ceiling_file_check(const void *bytes, size_t n, const char *name, const char **ret_why);

/*
 * Reads DIR/NAME into *ret. 0, -ENOENT when there is none, -EPROTO with *ret_why when it is not
 * what ceiling_file_save() writes, or -errno.
 */
int ceiling_file_load(const char *dir, const char *name, struct ceiling_file *ret,
		      const char **ret_why);

/* Puts it in place of DIR/NAME: when this returns 0 it is on disk, else the old one still is. */
int ceiling_file_save(const char *dir, struct ceiling_file *file);

/* 0 also when there is none. */
int ceiling_file_remove(const char *dir, const char *name);

/* The row of an endpoint, added with 0 when there is none; NULL: no room, or too long a name. */
struct ceiling_row *ceiling_file_find(struct ceiling_file *file, const char *endpoint);

#endif
