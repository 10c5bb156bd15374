/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The windows of fingerprint.h: which are candidates, what they are worth. Run by whatever measures
 * models or looks for copies of them. Trusts nothing of the bytes.
 *
 * Nothing is carried from one offset to the next, as a rolling hash would: eight offsets are
 * decided by one multiplication of 16-byte vectors (SSE2, NEON). That takes a fifth of the time of
 * SHA-256 with SHA-NI for every offset, and a quarter of that for those that an index is made of.
 */
#include "fingerprint.h"

#include <assert.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded as they lie");

#define FACTOR_A 0x9e37
#define FACTOR_B 0x85eb
#define FACTOR_C 0xc2b3
#define FACTOR_D 0x192b
static_assert(((FACTOR_A + FACTOR_B + FACTOR_C + FACTOR_D) & 0xffff) == 0, "repeated words give 0");
#define TRIGGER 0x7fbf

typedef __u16 fingerprint_words __attribute__((vector_size(16)));
typedef __s16 fingerprint_signed __attribute__((vector_size(16)));

#define BLOCK 64 /* offsets decided at once */
static_assert(FINGERPRINT_INDEX_MASK == (BLOCK | 1), "even offsets of every second block");

static inline fingerprint_words fingerprint_load_words(const __u8 *p)
{
	fingerprint_words words;

	memcpy(&words, p, sizeof(words));
	return words;
}

/* All ones in each lane whose offset (p, p + 2, ... p + 14) has a candidate. */
static inline fingerprint_signed fingerprint_test_words(const __u8 *p)
{
	fingerprint_words sum = fingerprint_load_words(p) * (__u16)FACTOR_A +
				fingerprint_load_words(p + 2) * (__u16)FACTOR_B +
				fingerprint_load_words(p + 4) * (__u16)FACTOR_C +
				fingerprint_load_words(p + 6) * (__u16)FACTOR_D;

	return (fingerprint_signed)sum > (__s16)TRIGGER;
}

static bool fingerprint_test_one(const __u8 *p)
{
	__u16 w[4];

	memcpy(w, p, sizeof(w));
	return (__s16)(__u16)(w[0] * (unsigned int)FACTOR_A + w[1] * (unsigned int)FACTOR_B +
			      w[2] * (unsigned int)FACTOR_C + w[3] * (unsigned int)FACTOR_D) >
	       TRIGGER;
}

static inline bool fingerprint_is_any(fingerprint_signed tests)
{
	__u64 halves[2];

	memcpy(halves, &tests, sizeof(halves));
	return (halves[0] | halves[1]) != 0;
}

/* Whether a block has a candidate. Reads BLOCK + 7 bytes. */
static inline bool fingerprint_test_even(const __u8 *p)
{
	return fingerprint_is_any(fingerprint_test_words(p) | fingerprint_test_words(p + 16) |
				  fingerprint_test_words(p + 32) | fingerprint_test_words(p + 48));
}

static inline bool fingerprint_test_odd(const __u8 *p)
{
	return fingerprint_test_even(p + 1);
}

/*
 * The first block from i on that has a candidate; `end` or beyond when none before has. Of an index
 * every second block. Calls nothing, so that the factors stay in registers.
 */
static size_t fingerprint_find_block(const __u8 *bytes, size_t i, size_t end, bool of_index)
{
	if (of_index) {
		while (i < end && !fingerprint_test_even(bytes + i))
			i += 2 * BLOCK;
	} else {
		while (i < end && !fingerprint_test_even(bytes + i) &&
		       !fingerprint_test_odd(bytes + i))
			i += BLOCK;
	}
	return i;
}

struct fingerprint_span {
	const __u8 *bytes;
	size_t n;
	__u64 at; /* of bytes[0] in the stream */
	bool of_index;
	fingerprint_fn found;
	void *data;
};

/*
 * Bit i: a candidate begins at p + i. Of the even offsets of p only. Four vectors are laid into one
 * of four bits a lane, and its halves side by side, so that nothing is asked for what is not there.
 */
static __u64 fingerprint_list_even(const __u8 *p)
{
	fingerprint_signed lanes =
		(fingerprint_test_words(p) & 1) | (fingerprint_test_words(p + 16) & 2) |
		(fingerprint_test_words(p + 32) & 4) | (fingerprint_test_words(p + 48) & 8);
	__u64 bits = 0;
	__u64 halves[2];

	memcpy(halves, &lanes, sizeof(halves));
	for (__u64 set = halves[0] | halves[1] << 4; set; set &= set - 1) {
		unsigned int at = (unsigned int)__builtin_ctzll(set);

		bits |= 1ULL << (at % 4 * 16 + at / 4 % 4 * 8 + at / 16 * 2);
	}
	return bits;
}

static void fingerprint_span_tell_block(const struct fingerprint_span *span, size_t i)
{
	__u64 bits = fingerprint_list_even(span->bytes + i);

	if (!span->of_index)
		bits |= fingerprint_list_even(span->bytes + i + 1) << 1;
	for (; bits; bits &= bits - 1) {
		size_t at = i + (size_t)__builtin_ctzll(bits);

		span->found(span->data, span->bytes + at, span->at + at);
	}
}

/* One by one. */
static void fingerprint_span_tell(const struct fingerprint_span *span, size_t i, size_t end)
{
	for (; i < end; i++) {
		if (span->of_index && ((span->at + i) & FINGERPRINT_INDEX_MASK) != 0)
			continue;
		if (fingerprint_test_one(span->bytes + i))
			span->found(span->data, span->bytes + i, span->at + i);
	}
}

/* Up to the first block of an index; blocks; what is left over. */
static void fingerprint_span_look(const struct fingerprint_span *span)
{
	size_t end = span->n < FINGERPRINT_WINDOW ? 0 : span->n - FINGERPRINT_WINDOW + 1;
	size_t i = span->of_index ? (size_t)(-span->at % (2 * BLOCK)) : 0;
	size_t blocks = end < BLOCK ? 0 : end - BLOCK + 1; /* where the last may begin, and 1 */

	i = i < end ? i : end;
	fingerprint_span_tell(span, 0, i);
	while (i < blocks) {
		i = fingerprint_find_block(span->bytes, i, blocks, span->of_index);
		if (i < blocks) {
			fingerprint_span_tell_block(span, i);
			i += span->of_index ? 2 * BLOCK : BLOCK;
		}
	}
	fingerprint_span_tell(span, i, end);
}

/*
 * The tail is what no window has begun in yet: fewer bytes than a window. Windows that begin there
 * are looked at in a copy of it with the next bytes behind, then those that lie in the piece.
 */
void fingerprint_stream_add(struct fingerprint_stream *stream, const void *bytes, size_t n,
			    fingerprint_fn found, void *data)
{
	const size_t rest = FINGERPRINT_WINDOW - 1;
	__u8 joint[2 * (FINGERPRINT_WINDOW - 1)];
	struct fingerprint_span span = {
		.bytes = joint,
		.n = stream->n + (n < rest ? n : rest),
		.at = stream->at,
		.of_index = stream->of_index,
		.found = found,
		.data = data,
	};

	if (n == 0)
		return;
	memcpy(joint, stream->tail, stream->n);
	memcpy(joint + stream->n, bytes, span.n - stream->n);
	if (stream->n > 0)
		fingerprint_span_look(&span);
	if (n > rest || stream->n == 0) {
		span.bytes = bytes;
		span.n = n;
		span.at = stream->at + stream->n;
		fingerprint_span_look(&span);
	}
	stream->n = span.n < rest ? span.n : rest;
	stream->at = span.at + span.n - stream->n;
	memcpy(stream->tail, span.bytes + span.n - stream->n, stream->n);
}

void fingerprint_stream_skip(struct fingerprint_stream *stream, __u64 n)
{
	if (n == 0)
		return;
	stream->at += stream->n + n;
	stream->n = 0;
}

static __u64 fingerprint_load(const __u8 *p)
{
	__u64 word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static __u64 fingerprint_fold(__u64 a, __u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (__u64)product ^ (__u64)(product >> 64);
}

/* Two chains, which the processor computes side by side. The constants are of no meaning. */
__u64 fingerprint_value(const __u8 *window)
{
	__u64 x = 0x9e3779b97f4a7c15ULL;
	__u64 y = 0xc2b2ae3d27d4eb4fULL;

	for (size_t i = 0; i < FINGERPRINT_WINDOW; i += 32) {
		x = fingerprint_fold(fingerprint_load(window + i) ^ x,
				     fingerprint_load(window + i + 8) ^ 0xa0761d6478bd642fULL);
		y = fingerprint_fold(fingerprint_load(window + i + 16) ^ y,
				     fingerprint_load(window + i + 24) ^ 0xe7037ed1a0b428dbULL);
	}
	return fingerprint_fold(x ^ 0x8ebc6af09c88c6e3ULL, y ^ 0x589965cc75374cc3ULL);
}

static bool fingerprint_is_periodic(const __u8 *window)
{
	for (unsigned int p = 1; p <= FINGERPRINT_PERIOD_MAX; p++) {
		if (fingerprint_load(window) == fingerprint_load(window + p) &&
		    memcmp(window, window + p, FINGERPRINT_WINDOW - p) == 0)
			return true;
	}
	return false;
}

/* Words hashed to 64 cells: how many are filled. Sixteen that differ fill fourteen, as a rule. */
static int fingerprint_count_cells(const __u8 *window)
{
	__u64 cells = 0;

	for (unsigned int i = 0; i < FINGERPRINT_WINDOW; i += 8)
		cells |= 1ULL << (fingerprint_load(window + i) * 0x9e3779b97f4a7c15ULL >> 58);
	return __builtin_popcountll(cells);
}

bool fingerprint_is_telling(const __u8 *window)
{
	__u8 counts[256] = { 0 };

	if (fingerprint_count_cells(window) < FINGERPRINT_CELLS_MIN ||
	    fingerprint_is_periodic(window))
		return false;
	for (unsigned int i = 0; i < FINGERPRINT_WINDOW; i++) {
		if (++counts[window[i]] > FINGERPRINT_SAME_MAX)
			return false;
	}
	return true;
}
