/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a log. Every record that is accepted must be one that can be written
 * again as the same bytes. Trusts nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	__u8 again[RECORD_SIZE_MAX];
	__u8 hash[CUSTODY_DIGEST_SIZE] = { 0 };
	struct record_entry entry;
	const char *why = "";
	size_t at = 0;
	__u64 seq = 0;

	if (n >= sizeof(entry.head)) {
		memcpy(&entry.head, data, sizeof(entry.head));
		seq = entry.head.seq;
	}
	(void)record_decode(data, n, hash, seq, &entry, &why);
	while (record_decode(data + at, n - at, NULL, seq++, &entry, &why) == 0) {
		if (entry.size > n - at)
			abort();
		record_encode(&entry, again);
		if (memcmp(again, data + at, entry.size) != 0)
			abort();
		record_clean_texts(entry.head.type, &entry.payload);
		if (!record_check(entry.head.type, entry.head.jail_id, &entry.payload, &why))
			abort();
		at += entry.size;
	}
	return 0;
}
