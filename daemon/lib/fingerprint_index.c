/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of fingerprint.h: made, written, read, looked up. Run by whatever measures models or
 * looks for copies of them. Trusts no byte of an index that it is given.
 */
#include "fingerprint.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define FINGERPRINT_VERSION 1
#define FINGERPRINT_ONE_IN 1024

struct fingerprint_head {
	char magic[8];
	__u32 version;
	__u32 window;
	__u32 one_in;
	__u32 spacing;
	__u64 bytes;
	__u64 ceiling;
	__u64 count;
	__u8 zero[16];
};
static_assert(sizeof(struct fingerprint_head) == FINGERPRINT_HEAD_SIZE, "has no padding");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

struct fingerprint_builder {
	pthread_mutex_t lock; /* of all below */
	__u64 bytes;
	__u64 ceiling;
	size_t keep;
	size_t room;
	size_t n;
	__u64 *values;
};

void fingerprint_index_free(struct fingerprint_index *index)
{
	free(index->values);
	*index = (struct fingerprint_index){ 0 };
}

size_t fingerprint_limit(__u64 bytes)
{
	__u64 n = bytes / FINGERPRINT_SPACING;

	if (n < FINGERPRINT_VALUES_MIN)
		return FINGERPRINT_VALUES_MIN;
	return n < FINGERPRINT_VALUES_MAX ? n : FINGERPRINT_VALUES_MAX;
}

bool fingerprint_index_find(const struct fingerprint_index *index, __u64 value, size_t *ret)
{
	size_t low = 0;
	size_t high = index->n;

	if (value > index->ceiling)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->values[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->n || index->values[low] != value)
		return false;
	*ret = low;
	return true;
}

/* ---- making ---- */

/*
 * Of random content a quarter of the offsets gives a candidate for every 4 KiB, of which a
 * quarter is kept.
 * The ceiling begins where a quarter more are expected, so that sorting once is enough; content
 * with more candidates lowers it.
 */
int fingerprint_builder_make(__u64 bytes, struct fingerprint_builder **ret)
{
	size_t keep = fingerprint_limit(bytes);
	__u64 sampled = (__u64)keep * (4ULL * FINGERPRINT_ONE_IN * 5 / 4);
	struct fingerprint_builder *builder = malloc(sizeof(*builder));
	__u64 *values = calloc(2 * keep + FINGERPRINT_BATCH, sizeof(*values));

	if (!builder || !values) {
		free(builder);
		free(values);
		return -ENOMEM;
	}
	*builder = (struct fingerprint_builder){
		.bytes = bytes,
		.ceiling = bytes <= sampled ? ~0ULL : ~0ULL / bytes * sampled,
		.keep = keep,
		.room = 2 * keep + FINGERPRINT_BATCH,
		.values = values,
	};
	(void)pthread_mutex_init(&builder->lock, NULL);
	*ret = builder;
	return 0;
}

void fingerprint_builder_free(struct fingerprint_builder **builder)
{
	if (*builder) {
		(void)pthread_mutex_destroy(&(*builder)->lock);
		free((*builder)->values);
		free(*builder);
	}
	*builder = NULL;
}

static int fingerprint_compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a;
	__u64 y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

/* Leaves the `keep` smallest, sorted. What is dropped lies above the new ceiling. */
static void fingerprint_builder_pack(struct fingerprint_builder *builder)
{
	size_t n = 0;

	if (builder->n > 0)
		qsort(builder->values, builder->n, sizeof(__u64), fingerprint_compare);
	for (size_t i = 0; i < builder->n; i++) {
		if (n == 0 || builder->values[i] != builder->values[n - 1])
			builder->values[n++] = builder->values[i];
	}
	if (n > builder->keep) {
		n = builder->keep;
		builder->ceiling = builder->values[n - 1];
	}
	builder->n = n;
}

void fingerprint_builder_finish(struct fingerprint_builder *builder, struct fingerprint_index *ret)
{
	fingerprint_builder_pack(builder);
	*ret = (struct fingerprint_index){
		.bytes = builder->bytes,
		.ceiling = builder->ceiling,
		.values = TAKE_PTR(builder->values),
		.n = builder->n,
	};
	builder->n = 0;
	builder->room = 0;
}

static void fingerprint_feed_flush(struct fingerprint_feed *feed)
{
	struct fingerprint_builder *builder = feed->builder;

	(void)pthread_mutex_lock(&builder->lock);
	if (builder->n + feed->n > builder->room)
		fingerprint_builder_pack(builder);
	if (builder->n + feed->n <= builder->room && feed->n > 0) {
		memcpy(builder->values + builder->n, feed->values, feed->n * sizeof(__u64));
		builder->n += feed->n;
	}
	feed->ceiling = builder->ceiling;
	(void)pthread_mutex_unlock(&builder->lock);
	feed->n = 0;
}

void fingerprint_feed_begin(struct fingerprint_feed *feed, struct fingerprint_builder *builder)
{
	*feed = (struct fingerprint_feed){ .stream.of_index = true, .builder = builder };
	fingerprint_feed_flush(feed);
}

static void fingerprint_feed_take(void *data, const __u8 *window, __u64 at)
{
	struct fingerprint_feed *feed = data;
	__u64 value = fingerprint_value(window);

	(void)at;
	if (value > feed->ceiling || !fingerprint_is_telling(window))
		return;
	feed->values[feed->n++] = value;
	if (feed->n == FINGERPRINT_BATCH)
		fingerprint_feed_flush(feed);
}

void fingerprint_feed_add(struct fingerprint_feed *feed, const void *bytes, size_t n)
{
	fingerprint_stream_add(&feed->stream, bytes, n, fingerprint_feed_take, feed);
}

void fingerprint_feed_end(struct fingerprint_feed *feed)
{
	fingerprint_feed_flush(feed);
}

/* ---- the file ---- */

static bool fingerprint_digest(const __u8 *bytes, size_t n, __u8 digest[FINGERPRINT_TRAILER_SIZE])
{
	return EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL) == 1;
}

int fingerprint_encode(const struct fingerprint_index *index, __u8 **ret, size_t *ret_n)
{
	const struct fingerprint_head head = {
		.magic = { 'c', 'u', 's', 't', 'o', 'd', 'y', 'F' },
		.version = FINGERPRINT_VERSION,
		.window = FINGERPRINT_WINDOW,
		.one_in = FINGERPRINT_ONE_IN,
		.spacing = FINGERPRINT_SPACING,
		.bytes = index->bytes,
		.ceiling = index->ceiling,
		.count = index->n,
	};
	size_t body = FINGERPRINT_HEAD_SIZE + index->n * sizeof(__u64);
	cleanup_ptr __u8 *bytes = malloc(body + FINGERPRINT_TRAILER_SIZE);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &head, sizeof(head));
	if (index->n > 0)
		memcpy(bytes + sizeof(head), index->values, index->n * sizeof(__u64));
	if (!fingerprint_digest(bytes, body, bytes + body))
		return -ENOMEM;
	*ret = TAKE_PTR(bytes);
	*ret_n = body + FINGERPRINT_TRAILER_SIZE;
	return 0;
}

static int fingerprint_refuse(const char **why, int r, const char *text)
{
	*why = text;
	return r;
}

static int fingerprint_check_head(const struct fingerprint_head *head, size_t n, const char **why)
{
	static const char magic[8] = { 'c', 'u', 's', 't', 'o', 'd', 'y', 'F' };
	static const __u8 zero[sizeof(head->zero)];

	if (memcmp(head->magic, magic, sizeof(magic)) != 0)
		return fingerprint_refuse(why, -EBADMSG, "is no index of fingerprints");
	if (head->version != FINGERPRINT_VERSION)
		return fingerprint_refuse(why, -EOPNOTSUPP, "is of a version that is not known");
	if (head->window != FINGERPRINT_WINDOW || head->one_in != FINGERPRINT_ONE_IN ||
	    head->spacing != FINGERPRINT_SPACING)
		return fingerprint_refuse(why, -EOPNOTSUPP, "has windows of another kind");
	if (memcmp(head->zero, zero, sizeof(zero)) != 0)
		return fingerprint_refuse(why, -EBADMSG, "is not zero where it must be");
	if (head->count > fingerprint_limit(head->bytes))
		return fingerprint_refuse(why, -EBADMSG, "has more values than its model may");
	if (n != FINGERPRINT_HEAD_SIZE + head->count * sizeof(__u64) + FINGERPRINT_TRAILER_SIZE)
		return fingerprint_refuse(why, -EBADMSG, "has not the size that it says");
	return 0;
}

static int fingerprint_check_values(const struct fingerprint_index *index, const char **why)
{
	for (size_t i = 1; i < index->n; i++) {
		if (index->values[i - 1] >= index->values[i])
			return fingerprint_refuse(why, -EBADMSG, "is not in order");
	}
	if (index->n > 0 && index->values[index->n - 1] > index->ceiling)
		return fingerprint_refuse(why, -EBADMSG, "has a value above its ceiling");
	return 0;
}

int fingerprint_decode(const void *bytes, size_t n, struct fingerprint_index *ret, const char **why)
{
	cleanup_fingerprint_index struct fingerprint_index index = { 0 };
	__u8 digest[FINGERPRINT_TRAILER_SIZE];
	struct fingerprint_head head;
	size_t body;
	int r;

	if (n < FINGERPRINT_HEAD_SIZE + FINGERPRINT_TRAILER_SIZE)
		return fingerprint_refuse(why, -EBADMSG, "is too short");
	memcpy(&head, bytes, sizeof(head));
	r = fingerprint_check_head(&head, n, why);
	if (r < 0)
		return r;
	body = n - FINGERPRINT_TRAILER_SIZE;
	if (!fingerprint_digest(bytes, body, digest))
		return fingerprint_refuse(why, -ENOMEM, "cannot be checked");
	if (memcmp(digest, (const __u8 *)bytes + body, sizeof(digest)) != 0)
		return fingerprint_refuse(why, -EBADMSG, "is damaged: its digest is wrong");
	index = (struct fingerprint_index){
		.bytes = head.bytes,
		.ceiling = head.ceiling,
		.values = calloc(head.count + 1, sizeof(__u64)),
		.n = head.count,
	};
	if (!index.values)
		return fingerprint_refuse(why, -ENOMEM, "is too large for the memory");
	memcpy(index.values, (const __u8 *)bytes + FINGERPRINT_HEAD_SIZE, index.n * sizeof(__u64));
	r = fingerprint_check_values(&index, why);
	if (r < 0)
		return r;
	*ret = index;
	index = (struct fingerprint_index){ 0 };
	return 0;
}

/* ---- looking ---- */

void fingerprint_scan_begin(struct fingerprint_scan *scan, const struct fingerprint_index *index)
{
	*scan = (struct fingerprint_scan){ .index = index };
}

static void fingerprint_scan_take(void *data, const __u8 *window, __u64 at)
{
	struct fingerprint_scan *scan = data;
	size_t which = 0;

	if (!fingerprint_index_find(scan->index, fingerprint_value(window), &which))
		return;
	scan->hits++;
	if (scan->seen && !(scan->seen[which / 8] & (1U << which % 8))) {
		scan->seen[which / 8] |= (__u8)(1U << which % 8);
		scan->distinct++;
	}
	if (scan->found)
		scan->found(scan->data, which, at);
}

void fingerprint_scan_add(struct fingerprint_scan *scan, const void *bytes, size_t n)
{
	fingerprint_stream_add(&scan->stream, bytes, n, fingerprint_scan_take, scan);
}

void fingerprint_scan_skip(struct fingerprint_scan *scan, __u64 n)
{
	fingerprint_stream_skip(&scan->stream, n);
}
