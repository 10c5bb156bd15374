/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of attestation.c: what is signed is read again, and nothing else is. */
#include "oms_fixture.h"

#include "attestation.h"

#define TYPE "https://in-toto.io/attestation/test-result/v0.1"
#define D1 "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"

static struct oms_key *make_key(const char *curve)
{
	EVP_PKEY *pkey = curve ? EVP_EC_gen(curve) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct oms_key *key = NULL;
	size_t n = 0;
	char *pem;

	assert_non_null(pkey);
	pem = fixture_print_private(pkey, &n);
	assert_int_equal(attestation_parse_private(pem, n, &key, NULL), 0);
	free(pem);
	EVP_PKEY_free(pkey);
	return key;
}

static void make_item(struct attestation_item *ret)
{
	*ret = (struct attestation_item){ .name = "m" };
	assert_int_equal(oms_parse_hex(D1, 64, ret->digest), 0);
}

static char *sign(const struct oms_key *key, size_t *ret_n)
{
	json_t *predicate = json_pack("{s:s}", "result", "PASSED");
	struct attestation_item items[2];
	char *text = NULL;

	memset(items, 0, sizeof(items));
	items[0].name = "other";
	make_item(&items[1]);
	assert_int_equal(attestation_sign(items, 2, TYPE, predicate, key, &text, ret_n, NULL), 0);
	json_decref(predicate);
	return text;
}

static void test_round(void **state)
{
	static const char *const curves[] = { "P-256", "P-384", "P-521", NULL };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct oms_key *key = make_key(curves[i]), *other = make_key(curves[i]);
		struct oms_key *wrong = make_key(curves[(i + 1) % 4]);
		struct attestation *attestation = NULL;
		struct attestation_item item;
		size_t n = 0;
		char *text = sign(key, &n);

		make_item(&item);
		assert_int_equal(n, strlen(text));
		assert_int_equal(text[n - 1], '\n');
		assert_int_equal(
			attestation_check(text, n, key, TYPE, item.digest, &attestation, NULL), 0);
		assert_int_equal(attestation->n_subjects, 2);
		assert_string_equal(attestation->type, TYPE);
		assert_string_equal(attestation->subjects[1].name, "m");
		assert_string_equal(
			json_string_value(json_object_get(attestation->predicate, "result")),
			"PASSED");
		assert_true(attestation_is_about(attestation, item.digest));
		item.digest[31] ^= 1;
		assert_false(attestation_is_about(attestation, item.digest));
		attestation_free(&attestation);
		assert_int_equal(
			attestation_check(text, n, key, TYPE, item.digest, &attestation, NULL),
			-ESTALE);
		item.digest[31] ^= 1;
		assert_int_equal(
			attestation_check(text, n, key, "urn:x", item.digest, &attestation, NULL),
			-EKEYREJECTED);
		assert_int_equal(attestation_verify(text, n, other, &attestation, NULL),
				 -EKEYREJECTED);
		assert_int_equal(attestation_verify(text, n, wrong, &attestation, NULL),
				 -EKEYREJECTED);
		assert_null(attestation);
		free(text);
		oms_key_free(&key);
		oms_key_free(&other);
		oms_key_free(&wrong);
	}
}

/* No bit of payload, type or signature can change, and no end can be missing. */
static void test_changed(void **state)
{
	struct oms_key *key = make_key("P-256");
	struct attestation *attestation = NULL;
	size_t n = 0;
	char *text = sign(key, &n);
	size_t keyid = (size_t)(strstr(text, "\"keyid\"") - text);

	(void)state;
	for (size_t i = 0; i < n - 1; i++) {
		struct oms_why why = { 0 };

		assert_int_equal(attestation_verify(text, i, key, &attestation, &why), -EBADMSG);
		assert_true(why.text[0]);
	}
	for (size_t i = 0; i < 8 * (n - 1); i++) {
		struct oms_why why = { 0 };
		int r;

		if (i / 8 >= keyid && i / 8 < keyid + strlen("\"keyid\":\"\","))
			continue; /* is not signed, and decides nothing */
		text[i / 8] ^= (char)(1 << i % 8);
		r = attestation_verify(text, n, key, &attestation, &why);
		text[i / 8] ^= (char)(1 << i % 8);
		if (r == 0 || !why.text[0])
			fail_msg("bit %zu: %d %s", i, r, why.text);
	}
	free(text);
	oms_key_free(&key);
}

/* A payload of any text, signed. */
static int verify_payload(const char *payload, struct attestation **ret, struct oms_why *why)
{
	struct oms_key *key = fixture_make_key("P-256");
	char *text = fixture_sign(key, payload); /* a Sigstore bundle */
	int r = attestation_verify(text, strlen(text), key, ret, why);

	free(text);
	oms_key_free(&key);
	return r;
}

static void test_statements(void **state)
{
	static const char good[] =
		"{\"_type\":\"" OMS_STATEMENT "\",\"predicateType\":\"" TYPE
		"\",\"subject\":[{\"digest\":{\"sha256\":\"" D1 "\"}}],\"predicate\":{}}";
	static const struct {
		const char *from, *to;
	} edits[] = {
		{ OMS_STATEMENT, "https://in-toto.io/Statement/v0.1" },
		{ "\"_type\"", "\"_Type\"" },
		{ TYPE, "" },
		{ TYPE, "no colon" },
		{ TYPE, "urn:\\u00fc" },
		{ TYPE, "urn:x\\n" },
		{ "{\"digest\":{\"sha256\":\"" D1 "\"}}", "" },
		{ "{\"digest\":{\"sha256\":\"" D1 "\"}}", "7" },
		{ "{\"sha256\":\"" D1 "\"}", "{}" },
		{ "{\"sha256\":\"" D1 "\"}", "[]" },
		{ "\"" D1 "\"", "null" },
		{ D1, "4355A46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865" },
		{ "{\"digest\"", "{\"name\":1,\"digest\"" },
		{ "\"predicate\":{}", "\"predicate\":null" },
		{ "\"predicate\":{}", "\"predicate\":{\"a\":1,\"a\":1}" },
		{ "\"predicate\":{}}", "\"predicate\":{}}{}" },
		{ "\"predicate\":{}", "\"predicate\":{\"a\":NaN}" },
	};
	struct attestation *attestation = NULL;
	struct oms_why why = { 0 };

	(void)state;
	assert_int_equal(verify_payload(good, &attestation, &why), 0);
	assert_null(attestation->subjects[0].name);
	attestation_free(&attestation);
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *text = fixture_edit(good, edits[i].from, edits[i].to);

		why.text[0] = '\0';
		if (verify_payload(text, &attestation, &why) != -EBADMSG || !why.text[0])
			fail_msg("%s: %s", text, why.text);
		free(text);
	}
}

static void test_sign_refused(void **state)
{
	struct oms_key *key = make_key("P-256"), *public = NULL;
	json_t *predicate = json_object(), *list = json_array();
	struct attestation_item item;
	struct oms_why why = { 0 };
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	char *text = NULL, *pem;
	size_t n = 0;

	(void)state;
	make_item(&item);
	assert_int_equal(attestation_sign(&item, 0, TYPE, predicate, key, &text, &n, &why),
			 -EINVAL);
	assert_int_equal(attestation_sign(&item, 1, "", predicate, key, &text, &n, &why), -EINVAL);
	assert_int_equal(attestation_sign(&item, 1, TYPE, list, key, &text, &n, &why), -EINVAL);
	assert_int_equal(attestation_sign(&item, 1, TYPE, NULL, key, &text, &n, &why), -EINVAL);
	pem = fixture_print_public(pkey, &n);
	assert_int_equal(attestation_parse_private(pem, n, &public, &why), -EBADMSG);
	assert_int_equal(attestation_parse_public(pem, n, &public, &why), 0);
	assert_true(attestation_sign(&item, 1, TYPE, predicate, public, &text, &n, &why) < 0);
	assert_null(text);
	free(pem);
	EVP_PKEY_free(pkey);
	json_decref(predicate);
	json_decref(list);
	oms_key_free(&key);
	oms_key_free(&public);
}

/* Ed25519 is a key of attestations, and none of models. */
static void test_keys(void **state)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct oms_key *key = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	char *pem = fixture_print_public(pkey, &n);

	(void)state;
	assert_int_equal(oms_key_parse_public(pem, n, &key, &why), -EOPNOTSUPP);
	assert_int_equal(attestation_parse_public(pem, n, &key, &why), 0);
	oms_key_free(&key);
	free(pem);
	EVP_PKEY_free(pkey);
	pkey = EVP_EC_gen("secp256k1");
	pem = fixture_print_public(pkey, &n);
	assert_int_equal(attestation_parse_public(pem, n, &key, &why), -EOPNOTSUPP);
	free(pem);
	EVP_PKEY_free(pkey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),	   cmocka_unit_test(test_changed),
		cmocka_unit_test(test_statements), cmocka_unit_test(test_sign_refused),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
