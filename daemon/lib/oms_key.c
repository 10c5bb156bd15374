/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC keys of model signatures by libcrypto: PEM, hints, ECDSA in ASN.1 DER with the hash that
 * belongs to the curve; Ed25519 too for attestations, which are not bound to these curves. Run
 * by custodyctl and whatever measures models. Pure. Trusts nothing of the text; the caller says
 * which key is trusted.
 */
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

struct oms_key {
	EVP_PKEY *pkey;
	const EVP_MD *hash; /* NULL: Ed25519, which has its own */
	char hint[OMS_HEX_SIZE];
};

static const struct {
	const char *curve;
	const EVP_MD *(*hash)(void);
} oms_key_curves[] = {
	{ "prime256v1", EVP_sha256 },
	{ "secp384r1", EVP_sha384 },
	{ "secp521r1", EVP_sha512 },
};

static void oms_key_free_bio(BIO **bio)
{
	BIO_free_all(*bio);
}
#define cleanup_bio __attribute__((cleanup(oms_key_free_bio)))

static void oms_key_free_context(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}
#define cleanup_context __attribute__((cleanup(oms_key_free_context)))

void oms_key_free(struct oms_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

const char *oms_key_hint(const struct oms_key *key)
{
	return key->hint;
}

const EVP_PKEY *oms_key_pkey(const struct oms_key *key)
{
	return key->pkey;
}

/* SHA-256 of the PEM text, not of DER: that is what other implementations compare. */
static int oms_key_set_hint(struct oms_key *key)
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
	__u8 digest[SHA256_DIGEST_LENGTH];
	char *text = NULL;
	long n;

	if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		return -ENOMEM;
	n = BIO_get_mem_data(bio, &text);
	if (n <= 0 || !SHA256((unsigned char *)text, (size_t)n, digest))
		return -ENOMEM;
	oms_print_hex(digest, key->hint);
	return 0;
}

static const EVP_MD *oms_key_find_hash(const EVP_PKEY *pkey, char *ret_curve, size_t size)
{
	size_t n = 0;

	if (EVP_PKEY_get_id(pkey) == EVP_PKEY_EC)
		(void)EVP_PKEY_get_group_name(pkey, ret_curve, size, &n);
	for (size_t i = 0; i < ARRAY_SIZE(oms_key_curves); i++) {
		if (strcmp(ret_curve, oms_key_curves[i].curve) == 0)
			return oms_key_curves[i].hash();
	}
	return NULL;
}

/* Takes over pkey in every case. */
static int oms_key_adopt(EVP_PKEY *pkey, bool ed25519, struct oms_key **ret, struct oms_why *why)
{
	cleanup_oms_key struct oms_key *key = calloc(1, sizeof(*key));
	char curve[64] = "";

	if (!key) {
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	key->pkey = pkey;
	key->hash = oms_key_find_hash(pkey, curve, sizeof(curve));
	if (!key->hash && !(ed25519 && EVP_PKEY_get_id(pkey) == EVP_PKEY_ED25519))
		return oms_explain(why, -EOPNOTSUPP,
				   "The key is %s%s; %s by EC keys of P-256, P-384 or P-521%s.",
				   curve[0] ? "EC on "
					    : "no EC key on a "
					      "named curve",
				   curve, ed25519 ? "attestations are signed" : "models are signed",
				   ed25519 ? ", or by Ed25519" : "");
	if (oms_key_set_hint(key) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(key);
	return 0;
}

int oms_key_wrap(EVP_PKEY *pkey, struct oms_key **ret, struct oms_why *why)
{
	return oms_key_adopt(pkey, false, ret, why);
}

/* Never asks a terminal for a password. */
static int oms_key_refuse_password(char *buf, int size, int rwflag, void *data)
{
	(void)buf, (void)size, (void)rwflag, (void)data;
	return 0;
}

static EVP_PKEY *oms_key_read(const char *pem, size_t n, bool private)
{
	cleanup_bio BIO *bio = NULL;
	EVP_PKEY *pkey = NULL;

	if (n == 0 || n > OMS_PEM_MAX)
		return NULL;
	bio = BIO_new_mem_buf(pem, (int)n);
	if (bio)
		pkey = private ? PEM_read_bio_PrivateKey(bio, NULL, oms_key_refuse_password, NULL)
			       : PEM_read_bio_PUBKEY(bio, NULL, oms_key_refuse_password, NULL);
	ERR_clear_error();
	return pkey;
}

static int oms_key_parse(const char *pem, size_t n, bool private, bool ed25519,
			 struct oms_key **ret, struct oms_why *why)
{
	EVP_PKEY *pkey = oms_key_read(pem, n, private);

	if (!pkey && !private)
		pkey = oms_key_read(pem, n, true);
	if (!pkey)
		return oms_explain(why, -EBADMSG, "It is no %s key in PEM%s.",
				   private ? "private" : "public",
				   private ? ", or one with a password" : "");
	return oms_key_adopt(pkey, ed25519, ret, why);
}

int oms_key_parse_private(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why)
{
	return oms_key_parse(pem, n, true, false, ret, why);
}

int oms_key_parse_public(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why)
{
	return oms_key_parse(pem, n, false, false, ret, why);
}

int oms_key_parse_attester(const char *pem, size_t n, bool private, struct oms_key **ret,
			   struct oms_why *why)
{
	return oms_key_parse(pem, n, private, true, ret, why);
}

int oms_key_sign(const struct oms_key *key, const void *data, size_t n, struct oms_blob *ret)
{
	cleanup_context EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct oms_blob blob = { 0 };

	if (!ctx || EVP_DigestSignInit(ctx, NULL, key->hash, NULL, key->pkey) != 1 ||
	    EVP_DigestSign(ctx, NULL, &blob.n, data, n) != 1)
		return -EIO;
	blob.data = OPENSSL_malloc(blob.n);
	if (!blob.data)
		return -ENOMEM;
	if (EVP_DigestSign(ctx, blob.data, &blob.n, data, n) != 1) {
		oms_blob_free(&blob);
		return -EIO;
	}
	*ret = blob;
	return 0;
}

bool oms_key_verify(const struct oms_key *key, const void *data, size_t n,
		    const struct oms_blob *signature)
{
	cleanup_context EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, key->hash, NULL, key->pkey) == 1 &&
		    EVP_DigestVerify(ctx, signature->data, signature->n, data, n) == 1;

	ERR_clear_error();
	return good;
}
