/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed heads of the ledger: C2SP signed-note with one Ed25519 signature (type 0x01).
 *
 *   <origin>\n<records, decimal>\n<base64 of the last record's hash>\n
 *   \n
 *   — <origin> <base64 of key id and signature>\n
 *
 * The third line is the head of a hash chain (custody/evidence.h), not a Merkle tree's root:
 * the origin says so by ending in "/chain-v1". Pure. Trusts nothing.
 */
#ifndef CUSTODY_NOTE_H
#define CUSTODY_NOTE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/limits.h"
#include "key.h"

#define NOTE_SIZE_MAX 512

struct note_head {
	char origin[CUSTODY_NAME_SIZE];
	__u64 size;			/* records under this head */
	__u8 hash[CUSTODY_DIGEST_SIZE];	/* of record size - 1 */
};

/* Printable ASCII without space and '+', not empty: what signed-note allows as a key name here. */
bool note_check_origin(const char *origin);

/* The note as text with a NUL. 0, -EINVAL for a bad origin, -ENOBUFS, -EIO. */
int note_sign(const struct note_head *head, const struct key *key, char *ret, size_t size);

/*
 * Reads one note that is exactly n bytes, in the one way of writing it. The signature is checked
 * when key is not NULL; a key read from a vkey must also carry the origin as its name. 0 with
 * *ret, or -EBADMSG with *ret_why and *ret_offset, the byte where it went wrong.
 */
int note_parse(const char *text, size_t n, const struct key *key, struct note_head *ret,
	       const char **ret_why, size_t *ret_offset);

/*
 * A file of heads: notes, each followed by one empty line. Bytes of the note at `text` without
 * that line, 0 when there is no whole note (the end, or a torn last one).
 */
size_t note_find_end(const char *text, size_t n);

#endif
