/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content fingerprints: by which pieces of a model are known again wherever its bytes lie, whole
 * or cut, at any offset of any file. Made while a model is measured, used when copies are looked
 * for. Pure: no logging, no policy. What is read may be hostile, an index too.
 *
 * Windows. A window is FINGERPRINT_WINDOW bytes. It is a candidate when its first eight bytes say
 * so: with 16-bit little-endian words a, b, c, d there,
 *
 *     (int16_t)(a * 0x9e37 + b * 0x85eb + c * 0xc2b3 + d * 0x192b) > 0x7fbf
 *
 * which one offset in 1024 fulfils. The factors are odd and add up to 0 modulo 65536: bytes that
 * repeat one 16-bit word (zeros, padding) never do. Nothing else decides, so that a window is found
 * in whatever stands around it. The index is made of candidates at a quarter of a
 * file's or shard's offsets (those without a bit of FINGERPRINT_INDEX_MASK), the search looks at
 * every offset.
 *
 * Values. The value of a window is 64 bits by multiplication and folding (fingerprint_value()): it
 * tells windows apart by chance, not by force. Of a model of n bytes the index keeps the smallest
 * values, as many as n / FINGERPRINT_SPACING, but never fewer than FINGERPRINT_VALUES_MIN nor more
 * than FINGERPRINT_VALUES_MAX, as far as it has them. That bounds the index (0.05 % of a model,
 * about one window for 16 KiB; 4 MiB at most) and also what an ill-meaning model can make of it.
 *
 * Windows that say little are dropped before that: what repeats itself after FINGERPRINT_PERIOD_MAX
 * bytes or fewer; what consists of few different words (its 16 aligned 8-byte words, each hashed to
 * one of 64 cells, fill fewer than FINGERPRINT_CELLS_MIN); and what consists of one byte value by
 * more than FINGERPRINT_SAME_MAX of its bytes (sparse data, counters).
 *
 * What a hit means: these 128 bytes are there. Whoever wants to hide a copy changes or encrypts
 * it; whoever wants to lay a false trace copies a window. A text that many models carry (a licence)
 * is content too.
 */
#ifndef CUSTODY_FINGERPRINT_H
#define CUSTODY_FINGERPRINT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define FINGERPRINT_WINDOW 128
#define FINGERPRINT_INDEX_MASK 0x41
#define FINGERPRINT_PERIOD_MAX 64
#define FINGERPRINT_CELLS_MIN 8
#define FINGERPRINT_SAME_MAX 80
#define FINGERPRINT_SPACING 16384
#define FINGERPRINT_VALUES_MIN 64
#define FINGERPRINT_VALUES_MAX (1U << 19)

/* The value of FINGERPRINT_WINDOW bytes, whether they are a candidate or not. */
__u64 fingerprint_value(const __u8 *window);

/* Whether a window says enough to be kept. */
bool fingerprint_is_telling(const __u8 *window);

/* ---- candidates in bytes that come in pieces ---- */

struct fingerprint_stream {
	bool of_index; /* only the offsets that an index is made of; else every one */
	__u64 at; /* offset of tail[0] */
	size_t n; /* of tail */
	__u8 tail[FINGERPRINT_WINDOW - 1];
};

/* A candidate, and where it begins. The window is only there during the call. */
typedef void (*fingerprint_fn)(void *data, const __u8 *window, __u64 at);

/* Pieces of any size; the candidates are those of the whole, each once, in order. */
void fingerprint_stream_add(struct fingerprint_stream *stream, const void *bytes, size_t n,
			    fingerprint_fn found, void *data);

/* n bytes that are not looked at, nor any window that reaches into them. */
void fingerprint_stream_skip(struct fingerprint_stream *stream, __u64 n);

/* ---- the index of a model ---- */

struct fingerprint_index {
	__u64 bytes; /* of the model */
	__u64 ceiling; /* every telling candidate with a value up to this is in the index */
	__u64 *values; /* ascending, none twice */
	size_t n;
};

void fingerprint_index_free(struct fingerprint_index *index);
#define cleanup_fingerprint_index __attribute__((cleanup(fingerprint_index_free)))

/* Whether the index holds a value, and where. */
bool fingerprint_index_find(const struct fingerprint_index *index, __u64 value, size_t *ret);

/* How many values the index of so large a model may hold. */
size_t fingerprint_limit(__u64 bytes);

/*
 * An index as bytes, little-endian; free() them. -ENOMEM.
 *
 *    0   8  "custody" and 'F'
 *    8   4  version, 1
 *   12   4  FINGERPRINT_WINDOW
 *   16   4  candidates: one offset in so many, 1024
 *   20   4  FINGERPRINT_SPACING
 *   24   8  bytes of the model
 *   32   8  ceiling
 *   40   8  count
 *   48  16  zero
 *   64      count values of 8 bytes, ascending, none twice, none above the ceiling
 *   end 32  SHA-256 of all before
 */
#define FINGERPRINT_HEAD_SIZE 64
#define FINGERPRINT_TRAILER_SIZE 32
#define FINGERPRINT_FILE_MAX                                                                       \
	(FINGERPRINT_HEAD_SIZE + 8UL * FINGERPRINT_VALUES_MAX + FINGERPRINT_TRAILER_SIZE)

int fingerprint_encode(const struct fingerprint_index *index, __u8 **ret, size_t *ret_n);

/*
 * Accepts exactly what fingerprint_encode() makes. -EBADMSG, -EOPNOTSUPP (another version or other
 * windows), -ENOMEM, with half a sentence in *why.
 */
int fingerprint_decode(const void *bytes, size_t n, struct fingerprint_index *ret,
		       const char **why);

/* ---- making one: a builder for each model, a feed for each file or shard ---- */

struct fingerprint_builder; /* used by any number of threads; at most 8 MiB, and as much to sort */

/* bytes: of the whole model, known before. -ENOMEM. */
int fingerprint_builder_make(__u64 bytes, struct fingerprint_builder **ret);
void fingerprint_builder_free(struct fingerprint_builder **builder);
#define cleanup_fingerprint_builder __attribute__((cleanup(fingerprint_builder_free)))

/* The same index in whatever order the feeds came. The builder is empty then. */
void fingerprint_builder_finish(struct fingerprint_builder *builder, struct fingerprint_index *ret);

#define FINGERPRINT_BATCH 256

struct fingerprint_feed {
	struct fingerprint_stream stream;
	struct fingerprint_builder *builder;
	__u64 ceiling; /* of the builder, when it was last asked */
	size_t n;
	__u64 values[FINGERPRINT_BATCH];
};

void fingerprint_feed_begin(struct fingerprint_feed *feed, struct fingerprint_builder *builder);
void fingerprint_feed_add(struct fingerprint_feed *feed, const void *bytes, size_t n);
void fingerprint_feed_end(struct fingerprint_feed *feed);

/* ---- looking for a model ---- */

struct fingerprint_scan {
	const struct fingerprint_index *index;
	/* Each occurrence: which value of the index, and at which offset. NULL: only counted. */
	void (*found)(void *data, size_t which, __u64 at);
	void *data;
	/* A bit for each value of the index, zero at first; the caller's. NULL: none are set. */
	__u8 *seen;
	__u64 hits; /* occurrences */
	size_t distinct; /* values of which a bit was set in seen */
	struct fingerprint_stream stream;
};

void fingerprint_scan_begin(struct fingerprint_scan *scan, const struct fingerprint_index *index);
void fingerprint_scan_add(struct fingerprint_scan *scan, const void *bytes, size_t n);

/* n bytes that were not read: a hole, or what could not be. */
void fingerprint_scan_skip(struct fingerprint_scan *scan, __u64 n);

#endif
