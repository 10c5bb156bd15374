/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as an attestation, and as the statement in one. Nothing is verified by a
 * key that did not sign it; a statement that is signed here is taken or refused with a sentence,
 * and what is taken says the same when it is signed again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "attestation.h"
#include "dsse.h"
#include "oms_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The bytes as the payload of an envelope that the key signs. */
static char *seal(const uint8_t *data, size_t n, const struct oms_key *key)
{
	struct oms_blob signature = { 0 };
	char *pae = NULL, *text;
	size_t pae_n = 0;
	json_t *json;

	if (dsse_print_pae(DSSE_TYPE_INTOTO, data, n, &pae, &pae_n) < 0 ||
	    oms_key_sign(key, pae, pae_n, &signature) < 0)
		abort();
	json = json_pack("{s:o, s:s, s:[{s:o}]}", "payload", oms_json_base64(data, n),
			 "payloadType", DSSE_TYPE_INTOTO, "signatures", "sig",
			 oms_json_base64(signature.data, signature.n));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (!text)
		abort();
	json_decref(json);
	oms_blob_free(&signature);
	free(pae);
	return text;
}

static void check_again(const struct attestation *attestation, const struct oms_key *key)
{
	struct attestation_item item = { .name = "x" };
	struct attestation *again = NULL;
	struct oms_why why = { 0 };
	char *text = NULL;
	size_t n = 0;

	if (!attestation->predicate)
		return;
	memcpy(item.digest, attestation->subjects[0].digest, sizeof(item.digest));
	if (attestation_sign(&item, 1, attestation->type, attestation->predicate, key, &text, &n,
			     &why) < 0 ||
	    attestation_check(text, n, key, attestation->type, item.digest, &again, &why) < 0 ||
	    !json_equal(again->predicate, attestation->predicate))
		abort();
	free(text);
	attestation_free(&again);
}

static void check_statement(const uint8_t *data, size_t n, const struct oms_key *key)
{
	struct attestation *attestation = NULL;
	struct oms_why why = { 0 };
	char *text = seal(data, n, key);
	int r = attestation_verify(text, strlen(text), key, &attestation, &why);

	free(text);
	if (r < 0) {
		if (!why.text[0] && r != -ENOMEM)
			abort();
		return;
	}
	if (!attestation->type[0] || attestation->n_subjects == 0)
		abort();
	check_again(attestation, key);
	attestation_free(&attestation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct attestation *attestation = NULL;
	struct oms_key *key = NULL;
	struct oms_why why = { 0 };

	if (oms_key_wrap(EVP_EC_gen("P-256"), &key, NULL) < 0)
		abort();
	if (attestation_verify((const char *)data, n, key, &attestation, &why) == 0 || !why.text[0])
		abort();
	if (n > 0)
		check_statement(data, n, key);
	oms_key_free(&key);
	return 0;
}
