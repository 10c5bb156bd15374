/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of oms share: strict JSON, sentences about what is wrong, signatures. Pure.
 * Trusts nothing.
 */
#ifndef CUSTODY_OMS_INTERNAL_H
#define CUSTODY_OMS_INTERNAL_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "cleanup_json.h"
#include "escape.h"
#include "oms.h"

#define OMS_STATEMENT "https://in-toto.io/Statement/v1"
#define OMS_PREDICATE "https://model_signing/signature/v1.0"
#define OMS_PREDICATE_OLD "https://model_signing/Digests/v0.1"
#define OMS_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"

/* Writes the sentence (why may be NULL) and returns r. */
int oms_explain(struct oms_why *why, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A name somebody else chose, escaped and cut to be part of a sentence. */
struct oms_quoted {
	char text[200];
};
struct oms_quoted oms_quote(const char *text, size_t n);

/*
 * What open and read answered for a path. Answers that mean something else in oms.h (a file system
 * has them for damage, NFS for what is gone) become -EIO.
 */
int oms_explain_io(struct oms_why *why, const char *path, int r);

/*
 * An object from exactly n bytes: no key twice, no NUL, nesting and count bounded. `what` names it
 * in sentences.
 */
int oms_json_parse(const char *text, size_t n, const char *what, json_t **ret, struct oms_why *why);

/* Members that must be there, of that type; borrowed. -EBADMSG. */
int oms_json_object(const json_t *object, const char *key, const json_t **ret, struct oms_why *why);
int oms_json_array(const json_t *object, const char *key, const json_t **ret, struct oms_why *why);
int oms_json_string(const json_t *object, const char *key, const char **ret, struct oms_why *why);

/* A member in base64, standard or URL-safe, padded or not; at least one byte, NUL after it. */
int oms_json_bytes(const json_t *object, const char *key, struct oms_blob *ret,
		   struct oms_why *why);

/* Bytes in base64, as a string; NULL without memory. */
json_t *oms_json_base64(const void *data, size_t n);

/* 64 lower-case hexadecimal digits. -EBADMSG. */
int oms_parse_hex(const char *text, size_t n, __u8 ret[OMS_DIGEST_SIZE]);

/* A key of attestations: Ed25519 is one too. */
int oms_key_parse_attester(const char *pem, size_t n, bool private, struct oms_key **ret,
			   struct oms_why *why);

/* ---- reading (oms_hash.c, oms_work.c) ---- */

struct oms_hasher; /* a thread's buffer and digest */

int oms_hasher_make(struct oms_hasher **ret);
void oms_hasher_free(struct oms_hasher **hasher);
#define cleanup_oms_hasher __attribute__((cleanup(oms_hasher_free)))

struct oms_range {
	int fd;
	__u64 start;
	__u64 end;
	bool last; /* the file must end at `end` */
	struct fingerprint_builder *builder; /* NULL: no fingerprints are wanted */
	int (*read)(void *data, __u64 bytes); /* after each block; not 0 ends the reading with it */
	void *data;
};

/* -EBUSY when the file is shorter, or longer and `last`; -errno of pread(); what read() said. */
int oms_hasher_run(struct oms_hasher *hasher, const struct oms_range *range,
		   __u8 ret[OMS_DIGEST_SIZE]);

/* What one thread hashes at a time: a file, or a shard of one. */
struct oms_unit {
	const struct oms_file *file;
	__u64 start;
	__u64 end;
	__u8 *digest; /* NULL: an empty file, which has no shard, is only looked at */
};

/* Hashes all units, the largest first. Sorts them so. */
int oms_work_run(const struct oms_model *model, struct oms_unit *units, size_t n,
		 struct fingerprint_builder *builder, struct oms_why *why);

/* Takes over pkey in every case. */
int oms_key_wrap(EVP_PKEY *pkey, struct oms_key **ret, struct oms_why *why);
const EVP_PKEY *oms_key_pkey(const struct oms_key *key);
int oms_key_sign(const struct oms_key *key, const void *data, size_t n, struct oms_blob *ret);
bool oms_key_verify(const struct oms_key *key, const void *data, size_t n,
		    const struct oms_blob *signature);

static inline void oms_blob_free(struct oms_blob *blob)
{
	OPENSSL_free(blob->data);
	*blob = (struct oms_blob){ 0 };
}

/* The leaf's key when the chain leads to the roots and everything holds at `now`. */
int oms_chain_verify(const struct oms_bundle *bundle, const struct oms_roots *roots, time_t now,
		     struct oms_key **ret, struct oms_signer *ret_signer, struct oms_why *why);

/* For signing: DER of the certificates of a PEM text, roots left out; the first is the key's. */
int oms_chain_parse(const char *pem, size_t n, const struct oms_key *key, time_t now,
		    struct oms_bundle *ret, struct oms_why *why);

#endif
