/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of one evidence bundle, from the bytes of its three files and a public key. Run by
 * custody-verify. Pure: no file, no clock, no daemon. Trusts only the key.
 */
#ifndef CUSTODY_VERIFY_CHECK_H
#define CUSTODY_VERIFY_CHECK_H

#include "key.h"
#include "note.h"
#include "retirement.h"

#define CHECK_STATEMENT_MAX	(1UL << 20)
#define CHECK_HEAD_MAX		4096UL
#define CHECK_RECORDS_MAX	(2UL << 30)

struct check_bytes {
	const char *data;
	size_t n;
};

struct check_bundle {
	struct check_bytes statement;
	struct check_bytes records;
	struct check_bytes head;
	const struct key *key;
};

/* What failed first. record is the number of a record, CHECK_NO_RECORD when it is about none. */
#define CHECK_NO_RECORD (~0ULL)
struct check_failure {
	const char *file;
	unsigned long long offset;	/* byte in that file */
	unsigned long long record;
	char why[512];			/* names the check, and what it found */
};

/* What was verified; big. */
struct check_result {
	struct note_head head;
	struct retirement retirement;
	struct verdict_result verdict;	/* recomputed */
	unsigned long long records;
};

/* True when everything holds. Otherwise *ret_failure says what does not, *ret is undefined. */
bool check_bundle(const struct check_bundle *bundle, struct check_result *ret,
		  struct check_failure *ret_failure);

#endif
