/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of model signatures share: keys and certificates made on the spot, bundles signed
 * over any payload, texts edited.
 */
#ifndef OMS_FIXTURE_H
#define OMS_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base64.h"
#include "dsse.h"
#include "oms_internal.h"

/* The text of a memory BIO, with a NUL. */
static inline char *fixture_take_text(BIO *bio, size_t *ret_n)
{
	char *data = NULL;
	long n = BIO_get_mem_data(bio, &data);
	char *text = malloc((size_t)n + 1);

	assert_non_null(text);
	memcpy(text, data, (size_t)n);
	text[n] = '\0';
	*ret_n = (size_t)n;
	BIO_free_all(bio);
	return text;
}

static inline char *fixture_print_private(EVP_PKEY *pkey, size_t *ret_n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
	return fixture_take_text(bio, ret_n);
}

static inline char *fixture_print_public(EVP_PKEY *pkey, size_t *ret_n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
	return fixture_take_text(bio, ret_n);
}

static inline struct oms_key *fixture_wrap_key(EVP_PKEY *pkey)
{
	struct oms_key *key = NULL;
	size_t n = 0;
	char *pem = fixture_print_private(pkey, &n);

	assert_int_equal(oms_key_parse_private(pem, n, &key, NULL), 0);
	free(pem);
	return key;
}

static inline struct oms_key *fixture_make_key(const char *curve)
{
	EVP_PKEY *pkey = EVP_EC_gen(curve);
	struct oms_key *key;

	assert_non_null(pkey);
	key = fixture_wrap_key(pkey);
	EVP_PKEY_free(pkey);
	return key;
}

/* ---- certificates ---- */

struct fixture_certificate {
	const char *name;
	const char *issuer; /* name */
	long from, to; /* seconds from the fixture's now */
	const char *basic, *usage, *extended; /* NULL: no such extension */
};

#define FIXTURE_NOW 1780000000

static inline void fixture_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	if (!value)
		return;
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline X509 *fixture_make_certificate(const struct fixture_certificate *c, EVP_PKEY *subject,
					     EVP_PKEY *issuer)
{
	static long serial;
	X509_NAME *name = X509_NAME_new();
	X509 *x = X509_new();

	assert_non_null(x);
	assert_non_null(name);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	(void)ASN1_TIME_set(X509_getm_notBefore(x), FIXTURE_NOW + c->from);
	(void)ASN1_TIME_set(X509_getm_notAfter(x), FIXTURE_NOW + c->to);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
					 (const unsigned char *)c->name, -1, -1, 0);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)c->issuer,
					 -1, -1, 0);
	(void)X509_set_issuer_name(x, name);
	X509_NAME_free(name);
	(void)X509_set_pubkey(x, subject);
	fixture_extend(x, NID_basic_constraints, c->basic);
	fixture_extend(x, NID_key_usage, c->usage);
	fixture_extend(x, NID_ext_key_usage, c->extended);
	assert_true(X509_sign(x, issuer, EVP_sha256()) > 0);
	return x;
}

static inline char *fixture_print_certificates(X509 *const *x, size_t n, size_t *ret_n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (size_t i = 0; i < n; i++)
		assert_int_equal(PEM_write_bio_X509(bio, x[i]), 1);
	return fixture_take_text(bio, ret_n);
}

/* ---- bundles ---- */

static inline char *fixture_encode(const void *data, size_t n)
{
	char *text = malloc(BASE64_LENGTH(n) + 1);

	assert_non_null(text);
	assert_int_equal(base64_encode(data, n, text, BASE64_LENGTH(n) + 1), 0);
	return text;
}

/* A bundle of method key whose payload is any text, signed as it stands. */
static inline char *fixture_sign(const struct oms_key *key, const char *payload)
{
	struct oms_blob signature = { 0 };
	char *body = fixture_encode(payload, strlen(payload));
	char *pae = NULL;
	char *text = NULL;
	char *sig;
	size_t n = 0;

	assert_int_equal(dsse_print_pae(DSSE_TYPE_INTOTO, payload, strlen(payload), &pae, &n), 0);
	assert_int_equal(oms_key_sign(key, pae, n, &signature), 0);
	sig = fixture_encode(signature.data, signature.n);
	assert_true(asprintf(&text,
			     "{\"mediaType\":\"" OMS_MEDIA_TYPE "\",\"verificationMaterial\":"
			     "{\"publicKey\":{\"hint\":\"%s\"},\"tlogEntries\":[]},"
			     "\"dsseEnvelope\":{\"payload\":\"%s\",\"payloadType\":\"%s\","
			     "\"signatures\":[{\"sig\":\"%s\",\"keyid\":\"\"}]}}",
			     oms_key_hint(key), body, DSSE_TYPE_INTOTO, sig) > 0);
	oms_blob_free(&signature);
	free(body);
	free(pae);
	free(sig);
	return text;
}

/* The text with the first `from` made `to`. */
static inline char *fixture_edit(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *edited = NULL;

	assert_non_null(at);
	assert_true(asprintf(&edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) >
		    0);
	return edited;
}

/* A file of the vectors, or NULL where they are not. */
static inline char *fixture_read_vector(const char *name, size_t *ret_n)
{
	const char *top = getenv("CUSTODY_VECTORS");
	char path[512];
	char *text;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/oms/%s", top ? top : "../shared/vectors", name);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	text = malloc(1 << 20);
	assert_non_null(text);
	*ret_n = fread(text, 1, (1 << 20) - 1, f);
	text[*ret_n] = '\0';
	(void)fclose(f);
	return text;
}

#endif
