/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file read once and hashed, as a whole or in shards. Run by custodyctl and whatever measures
 * models. Trusts nothing of the file: it may grow or shrink while it is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "oms.h"

#define OMS_HASH_BUFFER (1U << 20)

static void oms_hash_free_context(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}
#define cleanup_context __attribute__((cleanup(oms_hash_free_context)))

/* Bytes that were read, 0 at the end of the file, or -errno. */
static ssize_t oms_hash_read(int fd, void *buffer, __u64 n)
{
	ssize_t got;

	do {
		got = read(fd, buffer, n < OMS_HASH_BUFFER ? n : OMS_HASH_BUFFER);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int oms_hash_piece(int fd, const struct oms_hash *hash, __u64 start, __u64 end,
			  EVP_MD_CTX *ctx, void *buffer)
{
	__u8 digest[OMS_DIGEST_SIZE];

	if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	for (__u64 at = start; at < end;) {
		ssize_t got = oms_hash_read(fd, buffer, end - at);

		if (got <= 0)
			return got < 0 ? (int)got : -EBUSY;
		if (EVP_DigestUpdate(ctx, buffer, (size_t)got) != 1)
			return -ENOMEM;
		at += (__u64)got;
		if (hash->read)
			hash->read(hash->data, (__u64)got);
	}
	if (EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		return -ENOMEM;
	return hash->piece(hash->data, start, end, digest);
}

int oms_hash_file(int fd, const struct oms_hash *hash)
{
	cleanup_context EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	cleanup_ptr void *buffer = malloc(OMS_HASH_BUFFER);
	__u64 step = hash->shard_size ? hash->shard_size : hash->size;
	__u64 at = 0;
	ssize_t more;
	int r = 0;

	if (!ctx || !buffer)
		return -ENOMEM;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (hash->size == 0 && !hash->shard_size)
		r = oms_hash_piece(fd, hash, 0, 0, ctx, buffer);
	while (r == 0 && at < hash->size) {
		__u64 end = hash->size - at < step ? hash->size : at + step;

		r = oms_hash_piece(fd, hash, at, end, ctx, buffer);
		at = end;
	}
	if (r < 0)
		return r;
	more = oms_hash_read(fd, buffer, 1);
	if (more < 0)
		return (int)more;
	return more == 0 ? 0 : -EBUSY;
}
