/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of model signatures: a chain from the leaf to roots that the caller gives, valid
 * now, the leaf meant for signing. Run by custodyctl and whatever measures models. Pure. Trusts the
 * roots, nothing else; whether a certificate was revoked is not asked.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

/* 112 bits: RSA from 2048, no SHA-1. */
#define OMS_CHAIN_LEVEL 2

struct oms_roots {
	X509_STORE *store;
};

static void oms_chain_free_stack(STACK_OF(X509) * *stack)
{
	sk_X509_pop_free(*stack, X509_free);
}
#define cleanup_stack __attribute__((cleanup(oms_chain_free_stack)))

static void oms_chain_free_context(X509_STORE_CTX **ctx)
{
	X509_STORE_CTX_free(*ctx);
}
#define cleanup_store_context __attribute__((cleanup(oms_chain_free_context)))

void oms_roots_free(struct oms_roots **roots)
{
	if (!*roots)
		return;
	X509_STORE_free((*roots)->store);
	free(*roots);
	*roots = NULL;
}

/* Every certificate of a PEM text, in order; anything else in it is refused. */
static int oms_chain_read_pem(const char *pem, size_t n, STACK_OF(X509) * *ret, struct oms_why *why)
{
	cleanup_stack STACK_OF(X509) *stack = sk_X509_new_null();
	BIO *bio = n > 0 && n <= OMS_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	X509 *x = NULL;
	unsigned long error;

	while (bio && stack && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (sk_X509_push(stack, x) > 0)
			continue;
		X509_free(x);
		BIO_free_all(bio);
		return -ENOMEM;
	}
	BIO_free_all(bio);
	error = ERR_peek_last_error();
	ERR_clear_error();
	if (!stack || sk_X509_num(stack) == 0 || ERR_GET_LIB(error) != ERR_LIB_PEM ||
	    ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		return oms_explain(why, -EBADMSG,
				   "It holds no certificate in PEM, or one that "
				   "cannot be read.");
	*ret = TAKE_PTR(stack);
	return 0;
}

int oms_roots_parse(const char *pem, size_t n, struct oms_roots **ret, struct oms_why *why)
{
	cleanup_oms_roots struct oms_roots *roots = calloc(1, sizeof(*roots));
	cleanup_stack STACK_OF(X509) *stack = NULL;
	int r;

	if (!roots)
		return -ENOMEM;
	r = oms_chain_read_pem(pem, n, &stack, why);
	if (r < 0)
		return r;
	roots->store = X509_STORE_new();
	for (int i = 0; roots->store && i < sk_X509_num(stack); i++) {
		if (X509_STORE_add_cert(roots->store, sk_X509_value(stack, i)) != 1)
			return -ENOMEM;
	}
	if (!roots->store)
		return -ENOMEM;
	*ret = TAKE_PTR(roots);
	return 0;
}

/*
 * RFC 5280, 4.2.1.12: with both extensions, both must allow it. Key usage digitalSignature,
 * extended key usage codeSigning (or any); a certificate with neither says nothing, and is refused.
 */
static bool oms_chain_may_sign(X509 *leaf)
{
	uint32_t flags = X509_get_extension_flags(leaf);

	if (flags & EXFLAG_INVALID)
		return false;
	if ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
		return false;
	if ((flags & EXFLAG_XKUSAGE) &&
	    !(X509_get_extended_key_usage(leaf) & (XKU_CODE_SIGN | XKU_ANYEKU)))
		return false;
	return flags & (EXFLAG_KUSAGE | EXFLAG_XKUSAGE);
}

static struct oms_quoted oms_chain_quote(X509 *x)
{
	char name[160] = "";

	(void)X509_NAME_oneline(X509_get_subject_name(x), name, sizeof(name));
	return oms_quote(name, strlen(name));
}

static int oms_chain_check_leaf(X509 *leaf, time_t now, struct oms_why *why)
{
	const char *when = NULL;

	if (X509_cmp_time(X509_get0_notBefore(leaf), &now) >= 0)
		when = "is not valid yet";
	else if (X509_cmp_time(X509_get0_notAfter(leaf), &now) <= 0)
		when = "has expired";
	if (when)
		return oms_explain(why, -EKEYREJECTED, "The certificate %s %s.",
				   oms_chain_quote(leaf).text, when);
	if (!oms_chain_may_sign(leaf))
		return oms_explain(
			why, -EKEYREJECTED,
			"The certificate %s is not meant for signing: "
			"it needs the key usage digitalSignature, the extended key usage "
			"codeSigning, or both when it has both.",
			oms_chain_quote(leaf).text);
	return 0;
}

/* Leaf first. */
static int oms_chain_read_der(const struct oms_bundle *bundle, STACK_OF(X509) * *ret,
			      struct oms_why *why)
{
	cleanup_stack STACK_OF(X509) *stack = sk_X509_new_null();

	for (size_t i = 0; stack && i < bundle->n_certificates; i++) {
		const unsigned char *p = bundle->certificates[i].data;
		const unsigned char *end = p + bundle->certificates[i].n;
		X509 *x = d2i_X509(NULL, &p, (long)bundle->certificates[i].n);

		ERR_clear_error();
		if (!x || p != end) {
			X509_free(x);
			return oms_explain(why, -EBADMSG,
					   "Certificate %zu of the bundle is not "
					   "DER.",
					   i + 1);
		}
		if (sk_X509_push(stack, x) <= 0) {
			X509_free(x);
			return -ENOMEM;
		}
	}
	if (!stack)
		return -ENOMEM;
	*ret = TAKE_PTR(stack);
	return 0;
}

static int oms_chain_build(STACK_OF(X509) * stack, const struct oms_roots *roots, time_t now,
			   struct oms_why *why)
{
	cleanup_store_context X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	X509 *at;
	int good;

	if (!ctx || X509_STORE_CTX_init(ctx, roots->store, sk_X509_value(stack, 0), stack) != 1)
		return -ENOMEM;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, now);
	X509_VERIFY_PARAM_set_auth_level(param, OMS_CHAIN_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, OMS_CERTIFICATES_MAX);
	if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return -ENOMEM;
	good = X509_verify_cert(ctx);
	ERR_clear_error();
	if (good == 1)
		return 0;
	at = X509_STORE_CTX_get_current_cert(ctx);
	return oms_explain(why, -EKEYREJECTED, "The certificate %s is not trusted: %s.",
			   at ? oms_chain_quote(at).text : "of the bundle",
			   X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}

int oms_chain_verify(const struct oms_bundle *bundle, const struct oms_roots *roots, time_t now,
		     struct oms_key **ret, struct oms_signer *ret_signer, struct oms_why *why)
{
	cleanup_stack STACK_OF(X509) *stack = NULL;
	EVP_PKEY *pkey;
	X509 *leaf;
	int r;

	r = oms_chain_read_der(bundle, &stack, why);
	if (r < 0)
		return r;
	leaf = sk_X509_value(stack, 0);
	r = oms_chain_check_leaf(leaf, now, why);
	if (r == 0)
		r = oms_chain_build(stack, roots, now, why);
	if (r < 0)
		return r;
	pkey = X509_get_pubkey(leaf);
	if (!pkey)
		return oms_explain(why, -EBADMSG, "The certificate's key cannot be read.");
	(void)snprintf(ret_signer->text, sizeof(ret_signer->text), "certificate %s",
		       oms_chain_quote(leaf).text);
	return oms_key_wrap(pkey, ret, why);
}

static bool oms_chain_is_root(X509 *x)
{
	return X509_self_signed(x, 0) == 1;
}

static int oms_chain_add(X509 *x, struct oms_bundle *ret)
{
	struct oms_blob blob = { 0 };
	int n = i2d_X509(x, &blob.data);

	if (n <= 0)
		return -ENOMEM;
	blob.n = (size_t)n;
	ret->certificates[ret->n_certificates++] = blob;
	return 0;
}

int oms_chain_parse(const char *pem, size_t n, const struct oms_key *key, time_t now,
		    struct oms_bundle *ret, struct oms_why *why)
{
	cleanup_stack STACK_OF(X509) *stack = NULL;
	X509 *leaf;
	int r;

	r = oms_chain_read_pem(pem, n, &stack, why);
	if (r < 0)
		return r;
	if (sk_X509_num(stack) > OMS_CERTIFICATES_MAX)
		return oms_explain(why, -EBADMSG,
				   "It holds %d certificates; a chain has at most %d.",
				   sk_X509_num(stack), OMS_CERTIFICATES_MAX);
	leaf = sk_X509_value(stack, 0);
	if (EVP_PKEY_eq(X509_get0_pubkey(leaf), oms_key_pkey(key)) != 1)
		return oms_explain(why, -EKEYREJECTED, "The first certificate is not the key's.");
	r = oms_chain_check_leaf(leaf, now, why);
	for (int i = 0; r == 0 && i < sk_X509_num(stack); i++) {
		X509 *x = sk_X509_value(stack, i);

		if (i == 0 || !oms_chain_is_root(x))
			r = oms_chain_add(x, ret);
	}
	return r;
}
