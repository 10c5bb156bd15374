/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as an index of fingerprints, and as content. Input beginning with 's' is
 * an index without its digest, which is put right, so that the checks behind it are reached. What
 * is accepted is written again as the same bytes, and each of its values can be found. Content that
 * comes in pieces has the candidates that it has whole. Trusts nothing.
 */
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_index(const uint8_t *bytes, size_t n)
{
	struct fingerprint_index index = { 0 };
	const char *why = NULL;
	__u8 *again = NULL;
	size_t again_n = 0;
	size_t which = 0;

	if (fingerprint_decode(bytes, n, &index, &why) < 0) {
		if (!why || !*why || index.values)
			abort();
		return;
	}
	if (fingerprint_encode(&index, &again, &again_n) < 0 || again_n != n ||
	    memcmp(again, bytes, n) != 0)
		abort();
	for (size_t i = 0; i < index.n; i++) {
		if (!fingerprint_index_find(&index, index.values[i], &which) || which != i)
			abort();
	}
	free(again);
	fingerprint_index_free(&index);
}

static void add_up(void *data, const __u8 *window, __u64 at)
{
	__u64 *sum = data;

	*sum = *sum * 31 + fingerprint_value(window) + at + fingerprint_is_telling(window);
}

static void check_content(const uint8_t *bytes, size_t n)
{
	for (unsigned int of_index = 0; of_index < 2; of_index++) {
		struct fingerprint_stream whole = { .of_index = of_index };
		struct fingerprint_stream pieces = { .of_index = of_index };
		__u64 a = 0;
		__u64 b = 0;

		fingerprint_stream_add(&whole, bytes, n, add_up, &a);
		for (size_t at = 0, len = 0; at < n; at += len) {
			len = bytes[at] < n - at ? bytes[at] + 1U : n - at;
			len = len < n - at ? len : n - at;
			fingerprint_stream_add(&pieces, bytes + at, len, add_up, &b);
		}
		if (a != b)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_index(data, n);
	check_content(data, n);
	if (n > 0 && data[0] == 's') {
		size_t body = n - 1;
		uint8_t *sealed = malloc(body + SHA256_DIGEST_LENGTH);

		if (!sealed)
			return 0;
		memcpy(sealed, data + 1, body);
		(void)SHA256(sealed, body, sealed + body);
		check_index(sealed, body + SHA256_DIGEST_LENGTH);
		free(sealed);
	}
	return 0;
}
