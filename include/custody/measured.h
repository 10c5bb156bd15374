/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custodyd and custody-measurer pass to each other in memfds, and what custodyd keeps below
 * /var/lib/custody/measured for the next launch. Fixed width, little endian, no pointers. Offsets
 * count from the start of the file. Whoever reads checks every bound.
 */
#ifndef CUSTODY_MEASURED_H
#define CUSTODY_MEASURED_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/limits.h"

/* ---- inputs: files that custodyd has read and not looked at ---- */

#define MEASURED_INPUTS_MAGIC	0x4e494d43U	/* "CMIN" */
#define MEASURED_INPUTS_MAX	128U		/* files */
#define MEASURED_INPUT_SIZE	(1U << 20)	/* bytes of a key */
#define MEASURED_STATEMENT_SIZE	(16U << 20)	/* of a statement: what a run opened is long */
#define MEASURED_STATEMENTS_SIZE (128U << 20)	/* of all of them */
#define MEASURED_SIGNATURE_SIZE	(64U << 20)

enum measured_input_kind {
	MEASURED_INPUT_SIGNATURE = 1,
	MEASURED_INPUT_KEY,		/* index into plan.keys */
	MEASURED_INPUT_ATTESTATION_KEY,	/* index into plan.attestations */
	MEASURED_INPUT_ATTESTATION,	/* index: just a number */
	_MEASURED_INPUT_KIND_MAX,
};

struct measured_input {
	__u32 kind;		/* enum measured_input_kind */
	__u32 index;
	__u64 off;
	__u64 size;
	__u64 device;		/* of the file it was read from */
	__u64 inode;
	char name[CUSTODY_NAME_SIZE * 4];	/* for people, cut */
};

struct measured_inputs {
	__u32 magic;
	__u32 n;
	struct measured_input input[MEASURED_INPUTS_MAX];
};

/* ---- the table of measured files ---- */

#define MEASURED_TABLE_MAGIC	0x424d4d43U	/* "CMMB" */
#define MEASURED_TABLE_VERSION	1
#define MEASURED_TABLE_MAX	(256U << 20)	/* bytes */

struct measured_table {
	__u32 magic;
	__u32 version;
	__u64 size;		/* of the whole table */
	__u64 shard_size;	/* of the pieces; 0: a piece is a file */
	__u64 n_files;
	__u64 n_pieces;
	__u64 files_off;	/* struct measured_file[] */
	__u64 pieces_off;	/* struct measured_piece[] */
	__u64 names_off;	/* NUL-terminated paths */
	__u64 names_size;
};

/* A file as the kernel knows it. Times in nanoseconds since 1970. */
struct measured_file {
	__u64 device;
	__u64 inode;
	__u64 generation;	/* 0 where the file system has none */
	__u64 size;
	__s64 mtime;
	__s64 ctime;
	__u64 name;		/* offset into names */
	__u64 first_piece;
	__u64 n_pieces;
	__u32 verity;		/* fs-verity's hash algorithm, 0: it has none; and its digest */
	__u32 verity_size;
	__u8 verity_digest[64];
	__u32 format;		/* enum custody_format; 0: other */
	__u32 flags;		/* enum measured_file_flag mask */
};

enum measured_file_flag {
	MEASURED_FILE_PICKLES = 1U << 0,	/* loading it may run what it says */
	MEASURED_FILE_READ = 1U << 1,		/* all of it has been read: the pieces are there */
};

struct measured_piece {
	__u64 start;
	__u64 end;
	__u8 digest[CUSTODY_DIGEST_SIZE];
};

_Static_assert(sizeof(struct measured_input) == 296, "measured_input");
_Static_assert(sizeof(struct measured_table) == 72, "measured_table");
_Static_assert(sizeof(struct measured_file) == 152, "measured_file");
_Static_assert(sizeof(struct measured_piece) == 48, "measured_piece");

#endif
