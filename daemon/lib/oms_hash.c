/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A range of a file read once, hashed, and fingerprinted while it is in the cache. Run by
 * custodyctl and whatever measures models, in each of their threads. Trusts nothing of the file:
 * it may grow or shrink while it is read.
 *
 * read() and not mmap(): what is truncated while it is mapped kills the reader, and there is little
 * to gain. Against SHA-256 over memory, in one run on one core with SHA-NI, the file in the page
 * cache in large folios (as read-ahead leaves it): pread() in blocks of 128 KiB to 1 MiB 0.93, of
 * 32 KiB 0.89; mapped and populated 0.88 by 1 MiB, 0.99 by 16 MiB. In folios of 4 KiB: pread()
 * 0.83, mapped 0.75.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "fingerprint.h"
#include "oms_internal.h"

#define OMS_BLOCK (256U << 10) /* fits the cache of one core, with room */
#define OMS_PAGE 4096

struct oms_hasher {
	EVP_MD *sha256; /* looked up once: small files would spend their time on that */
	EVP_MD_CTX *ctx;
	__u8 *block;
};

void oms_hasher_free(struct oms_hasher **hasher)
{
	if (*hasher) {
		EVP_MD_CTX_free((*hasher)->ctx);
		EVP_MD_free((*hasher)->sha256);
		free((*hasher)->block);
		free(*hasher);
	}
	*hasher = NULL;
}

int oms_hasher_make(struct oms_hasher **ret)
{
	cleanup_oms_hasher struct oms_hasher *hasher = calloc(1, sizeof(*hasher));

	if (!hasher)
		return -ENOMEM;
	hasher->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hasher->ctx = EVP_MD_CTX_new();
	hasher->block = aligned_alloc(OMS_PAGE, OMS_BLOCK);
	if (!hasher->sha256 || !hasher->ctx || !hasher->block)
		return -ENOMEM;
	*ret = TAKE_PTR(hasher);
	return 0;
}

/* Bytes that were read, 0 at the end of the file, or -errno. */
static ssize_t oms_hash_read(int fd, void *block, __u64 n, __u64 at)
{
	ssize_t got;

	do {
		got = pread(fd, block, n < OMS_BLOCK ? n : OMS_BLOCK, (off_t)at);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int oms_hash_blocks(struct oms_hasher *hasher, const struct oms_range *range,
			   struct fingerprint_feed *feed)
{
	for (__u64 at = range->start; at < range->end;) {
		ssize_t got = oms_hash_read(range->fd, hasher->block, range->end - at, at);
		int r;

		if (got <= 0)
			return got < 0 ? (int)got : -EBUSY;
		if (EVP_DigestUpdate(hasher->ctx, hasher->block, (size_t)got) != 1)
			return -ENOMEM;
		if (feed)
			fingerprint_feed_add(feed, hasher->block, (size_t)got);
		at += (__u64)got;
		r = range->read(range->data, (__u64)got);
		if (r < 0)
			return r;
	}
	return 0;
}

int oms_hasher_run(struct oms_hasher *hasher, const struct oms_range *range,
		   __u8 ret[OMS_DIGEST_SIZE])
{
	struct fingerprint_feed feed;
	ssize_t more = 0;
	int r;

	if (EVP_DigestInit_ex(hasher->ctx, hasher->sha256, NULL) != 1)
		return -ENOMEM;
	if (range->builder)
		fingerprint_feed_begin(&feed, range->builder);
	r = oms_hash_blocks(hasher, range, range->builder ? &feed : NULL);
	if (range->builder)
		fingerprint_feed_end(&feed);
	if (r < 0)
		return r;
	if (range->last)
		more = oms_hash_read(range->fd, hasher->block, 1, range->end);
	if (more != 0)
		return more < 0 ? (int)more : -EBUSY;
	return EVP_DigestFinal_ex(hasher->ctx, ret, NULL) == 1 ? 0 : -ENOMEM;
}
