/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of fingerprint.c and fingerprint_index.c: candidates against their definition, copies that
 * are found wherever they lie, what is no copy, and indexes that are no indexes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/sha.h>

#include "cleanup.h"
#include "fingerprint.h"

#define MIB (1UL << 20)

/* Numbers that are the same in every run (xorshift64). */
static __u64 draw(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dULL;
}

static __u8 *make_random(size_t n, __u64 seed)
{
	__u8 *bytes = malloc(n);

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (__u8)(draw(&seed) >> 56);
	return bytes;
}

/* Sentences of some forty words. */
static __u8 *make_text(size_t n, __u64 seed)
{
	static const char *const words[] = {
		"the ",	    "model ", "of ",	 "weights ", "is ",    "a ",	 "layer ", "and ",
		"in ",	    "to ",    "server ", "answers ", "when ",  "every ", "house ", "river ",
		"morning ", "with ",  "under ",	 "for ",     "stone ", "city, ", "was ",   "her ",
		"them.\n",  "light ", "not ",	 "again ",   "three ", "could ", "been ",  "their ",
	};
	__u8 *bytes = malloc(n);

	assert_non_null(bytes);
	for (size_t at = 0; at < n;) {
		const char *word = words[draw(&seed) >> 59];
		size_t len = strlen(word) < n - at ? strlen(word) : n - at;

		memcpy(bytes + at, word, len);
		at += len;
	}
	return bytes;
}

static struct fingerprint_index make_index_of(const __u8 *bytes, size_t n, __u64 said)
{
	cleanup_fingerprint_builder struct fingerprint_builder *builder = NULL;
	struct fingerprint_index index = { 0 };
	struct fingerprint_feed feed;

	assert_int_equal(fingerprint_builder_make(said, &builder), 0);
	fingerprint_feed_begin(&feed, builder);
	fingerprint_feed_add(&feed, bytes, n);
	fingerprint_feed_end(&feed);
	fingerprint_builder_finish(builder, &index);
	return index;
}

static struct fingerprint_index make_index(const __u8 *bytes, size_t n)
{
	return make_index_of(bytes, n, n);
}

static __u64 count_hits(const struct fingerprint_index *index, const __u8 *bytes, size_t n)
{
	struct fingerprint_scan scan;

	fingerprint_scan_begin(&scan, index);
	fingerprint_scan_add(&scan, bytes, n);
	return scan.hits;
}

/* ---- candidates ---- */

struct list {
	__u64 at[65536];
	size_t n;
};

static void note(void *data, const __u8 *window, __u64 at)
{
	struct list *list = data;

	(void)window;
	assert_true(list->n < 65536);
	list->at[list->n++] = at;
}

/* The definition in fingerprint.h, word for word. */
static bool is_candidate(const __u8 *p)
{
	unsigned int sum = (p[0] | p[1] << 8) * 0x9e37U + (p[2] | p[3] << 8) * 0x85ebU +
			   (p[4] | p[5] << 8) * 0xc2b3U + (p[6] | p[7] << 8) * 0x192bU;

	return (int16_t)(sum & 0xffff) > 0x7fbf;
}

static void list_by_definition(const __u8 *bytes, size_t n, bool of_index, struct list *ret)
{
	ret->n = 0;
	for (size_t i = 0; i + FINGERPRINT_WINDOW <= n; i++) {
		if (!(of_index && i % 128 != i % 128 / 2 % 32 * 2) && is_candidate(bytes + i))
			ret->at[ret->n++] = i;
	}
}

static void expect_same(const struct list *a, const struct list *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->at, b->at, a->n * sizeof(a->at[0]));
}

/* Whole, in small pieces, in pieces around the size of a window, and in one byte at a time. */
static void test_candidates(void **state)
{
	static const size_t pieces[] = { 1, 7, 64, 126, 127, 128, 129, 191, 4096, 65537, 1 << 20 };
	const size_t n = MIB + 77;
	cleanup_ptr struct list *wanted = calloc(1, sizeof(*wanted));
	cleanup_ptr struct list *got = calloc(1, sizeof(*got));
	cleanup_ptr __u8 *bytes = make_random(n, 1);

	(void)state;
	for (unsigned int of_index = 0; of_index < 2; of_index++) {
		list_by_definition(bytes, n, of_index, wanted);
		assert_in_range(wanted->n, n / (of_index ? 4096 : 1024) * 8 / 10,
				n / (of_index ? 4096 : 1024) * 12 / 10);
		for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
			struct fingerprint_stream stream = { .of_index = of_index };

			got->n = 0;
			for (size_t at = 0; at < n; at += pieces[p]) {
				size_t len = n - at < pieces[p] ? n - at : pieces[p];

				fingerprint_stream_add(&stream, bytes + at, len, note, got);
			}
			expect_same(got, wanted);
		}
	}
}

static void test_short(void **state)
{
	cleanup_ptr struct list *got = calloc(1, sizeof(*got));
	__u8 window[FINGERPRINT_WINDOW + 1] = { 0 };
	__u16 word = 0;

	(void)state;
	while (!is_candidate(window))
		memcpy(window, &(__u16){ ++word }, sizeof(word));
	for (size_t n = 0; n <= sizeof(window); n++) {
		struct fingerprint_stream stream = { 0 };

		got->n = 0;
		fingerprint_stream_add(&stream, window, n, note, got);
		assert_int_equal(got->n, n >= FINGERPRINT_WINDOW);
	}
}

/* A window does not reach over what was not looked at, and offsets count it. */
static void test_skip(void **state)
{
	cleanup_ptr struct list *got = calloc(1, sizeof(*got));
	struct fingerprint_stream stream = { 0 };
	__u8 window[FINGERPRINT_WINDOW] = { 0 };
	__u16 word = 0;

	(void)state;
	while (!is_candidate(window))
		memcpy(window, &(__u16){ ++word }, sizeof(word));
	fingerprint_stream_add(&stream, window, 100, note, got);
	fingerprint_stream_skip(&stream, 0);
	fingerprint_stream_add(&stream, window + 100, 27, note, got);
	fingerprint_stream_skip(&stream, 1000);
	fingerprint_stream_add(&stream, window + 127, 1, note, got);
	assert_int_equal(got->n, 0);
	fingerprint_stream_add(&stream, window, sizeof(window), note, got);
	assert_int_equal(got->n, 1);
	assert_int_equal(got->at[0], 127 + 1000 + 1);
}

/* ---- copies ---- */

static __u64 place[65536]; /* where a value of the index lies in the model */

static void note_place(void *data, size_t which, __u64 at)
{
	(void)data;
	place[which] = at;
}

/* The model in a bigger file, at even and odd offsets: every value is found there. */
static void test_copy(void **state)
{
	static const size_t offsets[] = { 0, 1, 4095, 12346, 777777 };
	cleanup_ptr __u8 *model = make_random(4 * MIB, 2);
	cleanup_ptr __u8 *file = make_random(6 * MIB, 3);
	cleanup_fingerprint_index struct fingerprint_index index = make_index(model, 4 * MIB);
	__u8 seen[64];

	(void)state;
	assert_int_equal(index.n, 4 * MIB / FINGERPRINT_SPACING);
	assert_int_equal(count_hits(&index, file, 6 * MIB), 0);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		cleanup_ptr __u8 *copy = malloc(6 * MIB);
		struct fingerprint_scan scan;

		memcpy(copy, file, 6 * MIB);
		memcpy(copy + offsets[i], model, 4 * MIB);
		memset(seen, 0, sizeof(seen));
		fingerprint_scan_begin(&scan, &index);
		scan.seen = seen;
		for (size_t at = 0; at < 6 * MIB; at += 65521)
			fingerprint_scan_add(&scan, copy + at,
					     6 * MIB - at < 65521 ? 6 * MIB - at : 65521);
		assert_int_equal(scan.distinct, index.n);
		assert_int_equal(scan.hits, index.n);
	}
}

/* A piece of 1 MiB out of the middle: exactly the windows that lie in it whole. */
static void test_cut(void **state)
{
	const size_t begin = MIB + 333333;
	cleanup_ptr __u8 *model = make_random(4 * MIB, 4);
	cleanup_ptr __u8 *file = make_random(3 * MIB, 5);
	cleanup_fingerprint_index struct fingerprint_index index = make_index(model, 4 * MIB);
	struct fingerprint_scan scan;
	size_t wanted = 0;

	(void)state;
	fingerprint_scan_begin(&scan, &index);
	scan.found = note_place;
	fingerprint_scan_add(&scan, model, 4 * MIB);
	for (size_t i = 0; i < index.n; i++)
		wanted += place[i] >= begin && place[i] + FINGERPRINT_WINDOW <= begin + MIB;
	assert_in_range(wanted, 32, 128);
	memcpy(file + 1000001, model + begin, MIB);
	assert_int_equal(count_hits(&index, file, 3 * MIB), wanted);
	/* one byte of a window is another: that one is not found */
	for (size_t i = 0; i < index.n; i++) {
		if (place[i] >= begin && place[i] + FINGERPRINT_WINDOW <= begin + MIB) {
			file[1000001 + place[i] - begin + 127] ^= 1;
			break;
		}
	}
	assert_int_equal(count_hits(&index, file, 3 * MIB), wanted - 1);
}

static void test_no_copy(void **state)
{
	cleanup_ptr __u8 *model = make_random(4 * MIB, 6);
	cleanup_ptr __u8 *text = make_text(4 * MIB, 7);
	cleanup_ptr __u8 *other = make_text(4 * MIB, 8);
	cleanup_ptr __u8 *zeros = calloc(4, MIB);
	cleanup_fingerprint_index struct fingerprint_index index = make_index(model, 4 * MIB);
	cleanup_fingerprint_index struct fingerprint_index texts = make_index(text, 4 * MIB);
	cleanup_ptr __u8 *random = make_random(8 * MIB, 9);

	(void)state;
	assert_int_equal(count_hits(&index, model, 4 * MIB), index.n);
	assert_int_equal(count_hits(&index, random, 8 * MIB), 0);
	assert_int_equal(count_hits(&index, zeros, 4 * MIB), 0);
	assert_int_equal(count_hits(&index, text, 4 * MIB), 0);
	/* text is content too: it is known again, and other text of the same words is not */
	assert_true(texts.n > 100);
	assert_in_range(count_hits(&texts, text, 4 * MIB), texts.n, 4 * texts.n);
	assert_int_equal(count_hits(&texts, other, 4 * MIB), 0);
	assert_int_equal(count_hits(&texts, random, 8 * MIB), 0);
}

/* ---- what is kept ---- */

static void test_dull(void **state)
{
	cleanup_ptr __u8 *bytes = calloc(1, MIB / 16);
	__u8 window[FINGERPRINT_WINDOW];
	__u64 seed = 10;

	(void)state;
	for (unsigned int period = 1; period <= 64;
	     period = period < 12 ? period + 1 : period + 4) {
		for (size_t i = 0; i < MIB / 16; i++)
			bytes[i] = i < period ? (__u8)(draw(&seed) >> 56) : bytes[i - period];
		assert_false(fingerprint_is_telling(bytes + 99));
	}
	for (size_t i = 0; i < MIB / 128; i++)
		memcpy(bytes + i * 8, &(__u64){ i }, 8);
	for (size_t i = 0; i + FINGERPRINT_WINDOW <= MIB / 16; i += 997)
		assert_false(fingerprint_is_telling(bytes + i));
	/* six words in disorder */
	for (size_t i = 0; i < MIB / 128; i++)
		memcpy(bytes + i * 8, &(__u64){ draw(&seed) % 6 * 0x0123456789abcdefULL }, 8);
	for (size_t i = 0; i + FINGERPRINT_WINDOW <= MIB / 16; i += 8)
		assert_false(fingerprint_is_telling(bytes + i));
	for (size_t i = 0; i < sizeof(window); i++)
		window[i] = i % 8 < 5 ? 0 : (__u8)i;
	assert_true(fingerprint_is_telling(window));
	window[127] = 0;
	assert_false(fingerprint_is_telling(window));
}

/* Weights as they are stored: the index has about as many windows as of random bytes. */
static void test_weights(void **state)
{
	const size_t n = 8 * MIB;
	cleanup_ptr __u8 *bytes = malloc(n);
	__u64 seed = 11;

	(void)state;
	for (unsigned int kind = 0; kind < 3; kind++) {
		cleanup_fingerprint_index struct fingerprint_index index = { 0 };

		for (size_t i = 0; i < n; i += 4) {
			float f = 0;
			__u32 word;

			for (int k = 0; k < 12; k++)
				f += (float)(draw(&seed) >> 40) / (float)(1 << 24);
			f = (f - 6) * 0.02F;
			memcpy(&word, &f, sizeof(word));
			if (kind == 1) /* bfloat16 kept in 32 bits */
				word &= 0xffff0000;
			if (kind == 2) /* -1, 0, 1 in a byte each */
				word = (__u32)(draw(&seed) % 3 * 0x7f + draw(&seed) % 3 * 0x7f00 +
					       draw(&seed) % 3 * 0x7f0000);
			memcpy(bytes + i, &word, sizeof(word));
		}
		index = make_index(bytes, n);
		assert_in_range(index.n, fingerprint_limit(n) / 2, fingerprint_limit(n));
		assert_true(count_hits(&index, bytes, n) >= index.n);
	}
}

static int compare_values(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a;
	__u64 y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

/* More candidates than there is room for: the smallest are kept, in whatever order they come. */
static void test_smallest(void **state)
{
	const size_t n = 8 * MIB;
	cleanup_ptr __u8 *bytes = make_random(n, 12);
	cleanup_ptr struct list *all = calloc(1, sizeof(*all));
	cleanup_ptr __u64 *values = calloc(65536, sizeof(*values));
	size_t count = 0;

	(void)state;
	for (size_t half = 0; half < 2; half++) {
		const __u8 *part = bytes + half * n / 2;

		list_by_definition(part, n / 2, true, all);
		for (size_t i = 0; i < all->n; i++) {
			if (fingerprint_is_telling(part + all->at[i]))
				values[count++] = fingerprint_value(part + all->at[i]);
		}
	}
	assert_true(count > 10 * FINGERPRINT_VALUES_MIN);
	qsort(values, count, sizeof(*values), compare_values);
	for (size_t first = 0; first < 2; first++) {
		cleanup_fingerprint_builder struct fingerprint_builder *builder = NULL;
		cleanup_fingerprint_index struct fingerprint_index index = { 0 };

		assert_int_equal(fingerprint_builder_make(1000, &builder), 0);
		for (size_t i = 0; i < 3; i++) { /* one half comes twice */
			struct fingerprint_feed feed;

			fingerprint_feed_begin(&feed, builder);
			fingerprint_feed_add(&feed, bytes + (first + i) % 2 * n / 2, n / 2);
			fingerprint_feed_end(&feed);
		}
		fingerprint_builder_finish(builder, &index);
		assert_int_equal(index.n, FINGERPRINT_VALUES_MIN);
		assert_int_equal(index.ceiling, values[FINGERPRINT_VALUES_MIN - 1]);
		assert_memory_equal(index.values, values, index.n * sizeof(*values));
	}
}

/* ---- the file ---- */

static const char *refuse(const __u8 *bytes, size_t n, int wanted)
{
	struct fingerprint_index index = { .n = 7 };
	const char *why = NULL;

	assert_int_equal(fingerprint_decode(bytes, n, &index, &why), wanted);
	assert_non_null(why);
	assert_int_equal(index.n, 7);
	return why;
}

static void test_file(void **state)
{
	cleanup_ptr __u8 *model = make_random(2 * MIB, 13);
	cleanup_fingerprint_index struct fingerprint_index index = make_index(model, 2 * MIB);
	cleanup_fingerprint_index struct fingerprint_index again = { 0 };
	cleanup_ptr __u8 *bytes = NULL;
	const char *why = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(fingerprint_encode(&index, &bytes, &n), 0);
	assert_int_equal(n, 64 + 8 * 128 + 32);
	assert_true(n * 1000 < 2 * MIB);
	assert_int_equal(fingerprint_decode(bytes, n, &again, &why), 0);
	assert_int_equal(again.n, index.n);
	assert_int_equal(again.bytes, 2 * MIB);
	assert_int_equal(again.ceiling, index.ceiling);
	assert_memory_equal(again.values, index.values, index.n * 8);
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 1;
		(void)refuse(bytes, n, i >= 8 && i < 24 ? -EOPNOTSUPP : -EBADMSG);
		bytes[i] ^= 1;
		(void)refuse(bytes, i, -EBADMSG);
	}
	free(again.values);
	again = (struct fingerprint_index){ 0 };
	assert_int_equal(fingerprint_decode(bytes, n, &again, &why), 0);
}

static void seal(__u8 *bytes, size_t n)
{
	(void)SHA256(bytes, n - 32, bytes + n - 32);
}

/* The digest is right, and what it is of is not. */
static void test_malformed(void **state)
{
	__u64 values[] = { 5, 6, 9 };
	struct fingerprint_index index = { .bytes = 9, .ceiling = 9, .values = values, .n = 3 };
	const struct {
		size_t at;
		__u64 word;
		const char *why;
	} rows[] = {
		{ 32, 8, "ceiling" },
		{ 64, 6, "order" },
		{ 72, 4, "order" },
		{ 80, 10, "ceiling" },
		{ 40, 2, "size" },
		{ 40, 4, "size" },
		{ 40, 65, "more values" },
		{ 40, ~0ULL, "more values" },
		{ 40, 1ULL << 61, "more values" },
		{ 48, 1, "zero" },
		{ 56, 1ULL << 63, "zero" },
	};
	cleanup_ptr __u8 *bytes = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(fingerprint_encode(&index, &bytes, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_ptr __u8 *bad = malloc(n);

		memcpy(bad, bytes, n);
		memcpy(bad + rows[i].at, &rows[i].word, 8);
		seal(bad, n);
		assert_non_null(strstr(refuse(bad, n, -EBADMSG), rows[i].why));
	}
	/* none at all is an index */
	free(bytes);
	bytes = NULL;
	index.n = 0;
	assert_int_equal(fingerprint_encode(&index, &bytes, &n), 0);
	index.values = NULL;
	assert_int_equal(fingerprint_decode(bytes, n, &index, &(const char *){ NULL }), 0);
	assert_int_equal(index.n, 0);
	fingerprint_index_free(&index);
}

static void test_find(void **state)
{
	__u64 values[] = { 1, 5, 9, ~0ULL };
	const struct fingerprint_index index = { .ceiling = ~0ULL, .values = values, .n = 4 };
	const struct fingerprint_index none = { .ceiling = ~0ULL };
	size_t which = 7;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(fingerprint_index_find(&index, values[i], &which));
		assert_int_equal(which, i);
		assert_false(fingerprint_index_find(&index, values[i] - 1, &which));
	}
	assert_false(fingerprint_index_find(&none, 1, &which));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_candidates), cmocka_unit_test(test_short),
		cmocka_unit_test(test_skip),	   cmocka_unit_test(test_copy),
		cmocka_unit_test(test_cut),	   cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_dull),	   cmocka_unit_test(test_weights),
		cmocka_unit_test(test_smallest),   cmocka_unit_test(test_file),
		cmocka_unit_test(test_malformed),  cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
