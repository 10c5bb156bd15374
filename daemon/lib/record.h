/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of the ledger in memory: check, hash, encode, decode (custody/evidence.h is the
 * format). The recorder writes only what record_check() accepts, and every reader accepts only
 * that: there is one way to write each record. Pure. Trusts nothing.
 */
#ifndef CUSTODY_RECORD_H
#define CUSTODY_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/evidence.h"

union record_payload {
	struct ledger_opened opened;
	struct custody_event event;
	struct ledger_launch launch;
	struct ledger_state state;
	struct ledger_gap gap;
	struct ledger_counter counter;
	struct ledger_fact fact;
	struct ledger_retire retire;
	struct ledger_verdict verdict;
	struct ledger_measured measured;
	struct ledger_model model;
	struct ledger_checked checked;
};

#define RECORD_SIZE_MAX (sizeof(struct ledger_record) + sizeof(union record_payload))

struct record_entry {
	struct ledger_record head;
	union record_payload payload;
	size_t size;		/* on disk: head and payload */
};

/* "launch", "event", ...; "unknown". */
const char *record_type_name(__u32 type);

/* Bytes of the payload; 0 for a type that does not exist. */
size_t record_payload_size(__u32 type);

/*
 * True when the payload of `type` is well formed for a record about jail_id: every enum, flag
 * and count in range, text fields NUL-terminated and filled up with NULs, pads zero. Otherwise
 * *ret_why is a static text.
 */
bool record_check(__u32 type, __u32 jail_id, const union record_payload *payload,
		  const char **ret_why);

/* The part of record_check() that is about a kernel or broker event. */
bool record_check_event(const struct custody_event *event, const char **ret_why);

/* [a-z0-9][a-z0-9._-]*: names of models and profiles, which become names of directories. */
bool record_check_name(const char *name, size_t size);

/* Zeroes what follows the first NUL of every text field of the payload. */
void record_clean_texts(__u32 type, union record_payload *payload);

/* hash(n) of custody/evidence.h. entry->head.hash is not read. 0 or -EIO. */
int record_hash(const __u8 previous[CUSTODY_DIGEST_SIZE], const struct record_entry *entry,
		__u8 ret[CUSTODY_DIGEST_SIZE]);

/* Copies head and payload, as they lie on disk, into ret (entry->size bytes). */
void record_encode(const struct record_entry *entry, __u8 ret[RECORD_SIZE_MAX]);

/*
 * Decodes the record at bytes. 0 with *ret; -EAGAIN when it begins well but n bytes are not all
 * of it; -EBADMSG with *ret_why when it is wrong: header, payload, sequence number, or, where
 * previous is not NULL, hash.
 */
int record_decode(const void *bytes, size_t n, const __u8 *previous, __u64 seq,
		  struct record_entry *ret, const char **ret_why);

#endif
