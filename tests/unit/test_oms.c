/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of oms_bundle.c, oms_statement.c, oms_key.c, oms_sign.c, oms_verify.c: what is signed. */
#include "oms_fixture.h"

#include <openssl/sha.h>

#define D1 "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
#define D2 "53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3"

static const char *const curves[] = { "P-256", "P-384", "P-521" };

/* SHA-256 over the raw bytes of D1 and D2, as the subject must carry it. */
static void find_root(const char *const *digests, size_t n, char ret[OMS_HEX_SIZE])
{
	__u8 raw[8 * OMS_DIGEST_SIZE], root[OMS_DIGEST_SIZE];

	for (size_t i = 0; i < n * OMS_DIGEST_SIZE; i++) {
		unsigned int byte = 0;

		assert_int_equal(sscanf(digests[i / OMS_DIGEST_SIZE] + 2 * (i % OMS_DIGEST_SIZE),
					"%2x", &byte),
				 1);
		raw[i] = (__u8)byte;
	}
	(void)SHA256(raw, n * OMS_DIGEST_SIZE, root);
	oms_print_hex(root, ret);
}

/* Two files, indented: nobody's canonical form. */
static char *make_statement(void)
{
	static const char *const digests[] = { D1, D2 };
	char root[OMS_HEX_SIZE];
	char *text = NULL;

	find_root(digests, 2, root);
	assert_true(
		asprintf(&text,
			 "{ \"_type\": \"" OMS_STATEMENT "\",\n \"subject\": [{\"name\": \"m\", "
			 "\"digest\": {\"sha256\": \"%s\"}}],\n \"predicateType\": \"" OMS_PREDICATE
			 "\",\n \"predicate\": {\"resources\": [{\"name\": \"a\", "
			 "\"algorithm\": \"sha256\", \"digest\": \"" D1 "\"}, {\"name\": \"b/c\","
			 " \"algorithm\": \"sha256\", \"digest\": \"" D2 "\", \"more\": 1}],\n"
			 " \"serialization\": {\"method\": \"files\", \"hash_type\": \"sha256\","
			 " \"allow_symlinks\": false, \"ignore_paths\": [\".git\"]}}}\n",
			 root) > 0);
	return text;
}

static int verify(const char *text, const struct oms_key *key, struct oms_manifest **ret)
{
	struct oms_trust trust = { .key = key };
	struct oms_bundle *bundle = NULL;
	struct oms_manifest *manifest = NULL;
	struct oms_signer signer;
	struct oms_why why = { 0 };
	int r = oms_bundle_parse(text, strlen(text), &bundle, &why);

	if (r == 0)
		r = oms_bundle_verify(bundle, &trust, &manifest, &signer, &why);
	if (r < 0)
		assert_true(why.text[0]);
	if (ret && r == 0)
		*ret = manifest;
	else
		oms_manifest_free(&manifest);
	oms_bundle_free(&bundle);
	return r;
}

/* What custody signs it verifies, with each curve; and no bit of it can change. */
static void test_round(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct oms_manifest *manifest = NULL, *got = NULL;
		struct oms_key *key = fixture_make_key(curves[i]);
		struct oms_key *other = fixture_make_key(curves[i]);
		char *statement = make_statement();
		char *text = NULL;
		size_t n = 0;

		assert_int_equal(oms_statement_parse(statement, strlen(statement), &manifest, NULL),
				 0);
		assert_int_equal(oms_bundle_sign(manifest, key, NULL, 0, 0, &text, &n, NULL), 0);
		assert_int_equal(n, strlen(text));
		assert_int_equal(verify(text, key, &got), 0);
		assert_int_equal(got->n_items, 2);
		assert_string_equal(got->items[1].name, "b/c");
		assert_string_equal(got->model, "m");
		assert_memory_equal(got->root, manifest->root, OMS_DIGEST_SIZE);
		assert_int_equal(verify(text, other, NULL), -EKEYREJECTED);
		oms_manifest_free(&got);
		free(text);
		text = fixture_sign(key, statement);
		assert_int_equal(verify(text, key, NULL), 0);
		oms_manifest_free(&manifest);
		free(statement);
		free(text);
		oms_key_free(&key);
		oms_key_free(&other);
	}
}

static void test_changed_bits(void **state)
{
	struct oms_key *key = fixture_make_key("P-256");
	char *statement = make_statement();
	char *text = fixture_sign(key, statement);
	size_t n = strlen(text);
	size_t at = (size_t)(strstr(text, "\"payload\"") - text);
	size_t keyid = (size_t)(strstr(text, "keyid") - text);

	(void)state;
	/* keyid is not signed; payload and signature are */
	for (size_t i = at; i < n; i++) {
		char *changed = strdup(text);
		struct oms_manifest *got = NULL;

		changed[i] = (char)(changed[i] ^ 1);
		if (verify(changed, key, &got) == 0) {
			assert_true(i >= keyid);
			oms_manifest_free(&got);
		}
		free(changed);
	}
	for (size_t i = 0; i < n; i++) {
		struct oms_bundle *bundle = NULL;

		assert_int_equal(oms_bundle_parse(text, i, &bundle, NULL), -EBADMSG);
	}
	free(statement);
	free(text);
	oms_key_free(&key);
}

/* The hint is of the PEM text; the signature is DER; the hash is the curve's. */
static void test_key_rules(void **state)
{
	static const char *const hashes[] = { "SHA256", "SHA384", "SHA512" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		EVP_PKEY *pkey = EVP_EC_gen(curves[i]);
		struct oms_key *key = fixture_wrap_key(pkey);
		struct oms_blob signature = { 0 };
		__u8 digest[OMS_DIGEST_SIZE];
		char hex[OMS_HEX_SIZE];
		size_t n = 0;
		char *pem = fixture_print_public(pkey, &n);
		const unsigned char *der;
		ECDSA_SIG *sig;

		(void)SHA256((unsigned char *)pem, n, digest);
		oms_print_hex(digest, hex);
		assert_string_equal(oms_key_hint(key), hex);
		assert_int_equal(oms_key_sign(key, "text", 4, &signature), 0);
		der = signature.data;
		sig = d2i_ECDSA_SIG(NULL, &der, (long)signature.n);
		assert_non_null(sig);
		assert_ptr_equal(der, signature.data + signature.n);
		for (size_t j = 0; j < 3; j++) {
			EVP_MD_CTX *ctx = EVP_MD_CTX_new();

			assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, hashes[j], NULL, NULL,
								 pkey, NULL),
					 1);
			assert_int_equal(EVP_DigestVerify(ctx, signature.data, signature.n,
							  (const unsigned char *)"text", 4) == 1,
					 i == j);
			EVP_MD_CTX_free(ctx);
		}
		ECDSA_SIG_free(sig);
		oms_blob_free(&signature);
		free(pem);
		oms_key_free(&key);
		EVP_PKEY_free(pkey);
	}
}

static void test_other_keys(void **state)
{
	EVP_PKEY *pkeys[] = { EVP_EC_gen("secp256k1"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
			      EVP_RSA_gen(1024) };
	struct oms_key *key = NULL;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t n = 0;
		char *pem = fixture_print_public(pkeys[i], &n);

		assert_int_equal(oms_key_parse_public(pem, n, &key, NULL), -EOPNOTSUPP);
		assert_int_equal(oms_key_parse_public(pem, n / 2, &key, NULL), -EBADMSG);
		assert_int_equal(oms_key_parse_private(pem, n, &key, NULL), -EBADMSG);
		free(pem);
		EVP_PKEY_free(pkeys[i]);
	}
	assert_int_equal(oms_key_parse_public("", 0, &key, NULL), -EBADMSG);
}

static void test_accepted_forms(void **state)
{
	static const char *const keyids[] = { "null", "\"\"", "\"anything\"" };
	struct oms_key *key = fixture_make_key("P-256");
	char *statement = make_statement();
	char *text = fixture_sign(key, statement);
	char hint[128];
	char *edited;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char keyid[64];

		(void)snprintf(keyid, sizeof(keyid), "\"keyid\":%s", keyids[i]);
		edited = fixture_edit(text, "\"keyid\":\"\"", keyid);
		assert_int_equal(verify(edited, key, NULL), 0);
		free(edited);
	}
	edited = fixture_edit(text, ",\"keyid\":\"\"", "");
	assert_int_equal(verify(edited, key, NULL), 0);
	free(edited);
	edited = fixture_edit(text, ",\"tlogEntries\":[]", "");
	assert_int_equal(verify(edited, key, NULL), 0);
	free(edited);
	/* before 1.1.0 there was no hint */
	(void)snprintf(hint, sizeof(hint), "\"hint\":\"%s\"", oms_key_hint(key));
	edited = fixture_edit(text, hint, "\"rawBytes\":\"AAAA\",\"keyDetails\":\"X\"");
	assert_int_equal(verify(edited, key, NULL), 0);
	free(edited);
	/* URL-safe and unpadded */
	edited = strdup(text);
	for (char *p = strstr(edited, "\"payload\":\"") + 11; *p != '"'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	for (char *p = strstr(edited, "\"sig\":\"") + 7; *p != '"'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	while (strstr(edited, "=\"")) {
		char *shorter = fixture_edit(edited, "=\"", "\"");

		free(edited);
		edited = shorter;
	}
	assert_int_equal(verify(edited, key, NULL), 0);
	free(edited);
	free(text);
	free(statement);
	oms_key_free(&key);
}

static const struct {
	const char *from, *to;
	int wanted;
} bad_bundles[] = {
	{ "bundle.v0.3+json", "bundle.v9+json", -EBADMSG },
	{ "\"mediaType\":", "\"mediaType\":1,\"x\":", -EBADMSG },
	{ "\"mediaType\":", "\"mediaType\":\"x\",\"mediaType\":", -EBADMSG },
	{ "\"hint\":", "\"hint\":\"a\",\"hint\":", -EBADMSG },
	{ "{\"mediaType\"", "[{\"mediaType\"", -EBADMSG },
	{ "\"verificationMaterial\":{", "\"verificationMaterial\":[],\"x\":{", -EBADMSG },
	{ "\"publicKey\":{", "\"publicKey\":[],\"x\":{", -EBADMSG },
	{ "\"hint\":\"", "\"hint\":7,\"x\":\"", -EBADMSG },
	{ "\"hint\":\"", "\"x\":\"", -EBADMSG },
	{ "\"hint\":\"", "\"hint\":\"00", -EKEYREJECTED },
	{ "\"tlogEntries\":[]", "\"tlogEntries\":{}", -EBADMSG },
	{ "\"tlogEntries\":[]", "\"certificate\":{}", -EBADMSG },
	{ "\"tlogEntries\":[]", "\"x509CertificateChain\":{\"certificates\":[]}", -EBADMSG },
	{ "\"dsseEnvelope\"", "\"messageSignature\":{},\"dsseEnvelope\"", -EBADMSG },
	{ "\"dsseEnvelope\":", "\"dsseEnvelope\":\"\",\"x\":", -EBADMSG },
	{ "\"payload\":\"", "\"payload\":\"\",\"x\":\"", -EBADMSG },
	{ "\"payload\":\"", "\"payload\":\"*", -EBADMSG },
	{ "\"payload\":\"", "\"payload\":\" ", -EBADMSG },
	{ "\"payload\":\"", "\"payload\":\"+-+-", -EBADMSG },
	{ "\"payload\":\"", "\"payload\":\"AAAA", -EKEYREJECTED },
	{ "\"payload\":\"", "\"payload\":null,\"x\":\"", -EBADMSG },
	{ "vnd.in-toto+json\"", "vnd.in-toto\"", -EBADMSG },
	{ "\"signatures\":[", "\"signatures\":[],\"x\":[", -EBADMSG },
	{ "\"signatures\":[", "\"signatures\":[{\"sig\":\"AAAA\"},", -EBADMSG },
	{ "\"signatures\":[{", "\"signatures\":[4],\"x\":[{", -EBADMSG },
	{ "\"sig\":\"", "\"sig\":\"AAAA", -EKEYREJECTED },
	{ "\"sig\":\"", "\"sig\":\"\",\"x\":\"", -EBADMSG },
	{ "\"keyid\":\"\"", "\"keyid\":5", -EBADMSG },
	{ "\"keyid\":\"\"", "\"keyid\":\"\\u0000\"", -EBADMSG },
	{ "\"keyid\":\"\"", "\"keyid\":\"\xff\"", -EBADMSG },
	{ "\"keyid\":\"\"", "\"keyid\":\"\\ud800\"", -EBADMSG },
	{ "]}}", "]}} x", -EBADMSG },
};

static void test_bad_bundles(void **state)
{
	struct oms_key *key = fixture_make_key("P-256");
	char *statement = make_statement();
	char *text = fixture_sign(key, statement);
	struct oms_bundle *bundle = NULL;
	struct oms_why why = { 0 };
	char *big;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_bundles) / sizeof(bad_bundles[0]); i++) {
		char *edited = fixture_edit(text, bad_bundles[i].from, bad_bundles[i].to);
		int r = verify(edited, key, NULL);

		if (r != bad_bundles[i].wanted)
			fail_msg("row %zu: %d", i, r);
		free(edited);
	}
	big = malloc(OMS_BUNDLE_MAX + 1);
	assert_non_null(big);
	memset(big, ' ', OMS_BUNDLE_MAX + 1);
	assert_int_equal(oms_bundle_parse(big, OMS_BUNDLE_MAX + 1, &bundle, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "at most"));
	memset(big, '[', 100000);
	assert_int_equal(oms_bundle_parse(big, 100000, &bundle, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "nests"));
	memset(big, ',', OMS_VALUES_MAX + 2);
	big[0] = '[';
	assert_int_equal(oms_bundle_parse(big, OMS_VALUES_MAX + 2, &bundle, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "values"));
	free(big);
	free(text);
	free(statement);
	oms_key_free(&key);
}

static const struct {
	const char *from, *to;
	int wanted;
} bad_statements[] = {
	{ "Statement/v1", "Statement/v2", -EBADMSG },
	{ "signature/v1.0", "signature/v1.1", -EBADMSG },
	{ "\"subject\": [", "\"subject\": [{}, ", -EBADMSG },
	{ "\"subject\": [", "\"subject\": [], \"x\": [", -EBADMSG },
	{ "\"sha256\": \"", "\"sha512\": \"", -EBADMSG },
	{ "\"sha256\": \"", "\"sha256\": \"00", -EBADMSG },
	{ "{\"sha256\": ", "{\"sha256\": 3, \"x\": ", -EBADMSG },
	{ "\"a\"", "\"b/c\"", -EBADMSG },
	{ "\"a\"", "\"/a\"", -EBADMSG },
	{ "\"a\"", "\"../a\"", -EBADMSG },
	{ "\"a\"", "\"x/../a\"", -EBADMSG },
	{ "\"a\"", "\"x//a\"", -EBADMSG },
	{ "\"a\"", "\"./a\"", -EBADMSG },
	{ "\"a\"", "\"a/\"", -EBADMSG },
	{ "\"a\"", "\"\"", -EBADMSG },
	{ "\"a\"", "\"a\\u0000b\"", -EBADMSG },
	{ "\"a\"", "\"a\\nb\"", -EBADMSG },
	{ "\"a\"", "\"a\\u007f\"", -EBADMSG },
	{ "\"a\"", "\"a\\u0085\"", -EBADMSG },
	{ "\"a\"", "\"a\xff\"", -EBADMSG },
	{ "\"a\"", "5", -EBADMSG },
	{ "\"" D1, "\"00" D1, -EBADMSG },
	{ "\"4355", "\"", -EBADMSG },
	{ "\"4355", "\"435G", -EBADMSG },
	{ "\"4355a", "\"4355A", -EBADMSG },
	{ "\"4355", "\"4356", -EBADMSG },
	{ "\"" D1 "\"", "{\"sha256\": \"" D1 "\"}", -EBADMSG },
	{ "\"algorithm\": \"sha256\"", "\"algorithm\": \"blake3\"", -EOPNOTSUPP },
	{ "\"algorithm\": \"sha256\"", "\"x\": 1", -EBADMSG },
	{ "\"resources\": [", "\"resources\": [], \"x\": [", -EBADMSG },
	{ "\"resources\": [", "\"resources\": {}, \"x\": [", -EBADMSG },
	{ "\"method\": \"files\"", "\"method\": \"chunks\"", -EOPNOTSUPP },
	{ "\"method\": \"files\"", "\"method\": \"files\", \"shard_size\": 1", -EBADMSG },
	{ "\"method\": \"files\"", "\"method\": \"shards\"", -EBADMSG },
	{ "\"method\": \"files\"", "\"method\": \"shards\", \"shard_size\": 0", -EBADMSG },
	{ "\"method\": \"files\"", "\"method\": \"shards\", \"shard_size\": 9.5", -EBADMSG },
	{ "\"method\": \"files\"", "\"method\": \"shards\", \"shard_size\": 9", -EBADMSG },
	{ "\"hash_type\": \"sha256\"", "\"hash_type\": \"blake2b\"", -EOPNOTSUPP },
	{ "\"allow_symlinks\": false", "\"allow_symlinks\": \"false\"", -EBADMSG },
	{ "\"allow_symlinks\": false,", "", -EBADMSG },
	{ "[\".git\"]", "[\"../x\"]", -EBADMSG },
	{ "[\".git\"]", "[7]", -EBADMSG },
	{ "[\".git\"]", "\".git\"", -EBADMSG },
	{ "\"predicate\":", "\"predicate\": {}, \"predicate\":", -EBADMSG },
	{ "\"predicate\":", "\"predicate\": [], \"x\":", -EBADMSG },
	{ "\"serialization\":", "\"x\":", -EBADMSG },
};

/* A good signature makes no bad statement good. */
static void test_bad_statements(void **state)
{
	struct oms_key *key = fixture_make_key("P-256");
	char *statement = make_statement();

	(void)state;
	for (size_t i = 0; i < sizeof(bad_statements) / sizeof(bad_statements[0]); i++) {
		char *edited =
			fixture_edit(statement, bad_statements[i].from, bad_statements[i].to);
		char *text = fixture_sign(key, edited);
		int r = verify(text, key, NULL);

		if (r != bad_statements[i].wanted)
			fail_msg("row %zu: %d", i, r);
		free(edited);
		free(text);
	}
	free(statement);
	oms_key_free(&key);
}

/* Names sort as strings, so that the shard at 10 GB comes before that at 2 GB. */
static void test_shard_order(void **state)
{
	static const char *const names[] = { "w:0:1000000000", "w:2000000000:3000000000",
					     "w:10000000000:10000000005", "w:1:0:1000000000" };
	static const char *const digests[] = { D1, D2, D1 };
	struct oms_manifest *manifest = NULL, *got = NULL;
	struct oms_key *key = fixture_make_key("P-256");
	char root[OMS_HEX_SIZE], hex[OMS_HEX_SIZE];
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(oms_manifest_make(OMS_SHARDS, "m", "model.sig", &manifest), 0);
	manifest->items = calloc(4, sizeof(struct oms_item));
	for (size_t i = 0; i < 3; i++) {
		manifest->items[i].name = strdup(names[i]);
		manifest->items[i].path_n = 1;
		for (size_t j = 0; j < OMS_DIGEST_SIZE; j++) {
			unsigned int byte = 0;

			(void)sscanf((i == 2 ? D2 : D1) + 2 * j, "%2x", &byte);
			manifest->items[i].digest[j] = (__u8)byte;
		}
		manifest->n_items++;
	}
	assert_int_equal(oms_bundle_sign(manifest, key, NULL, 0, 0, &text, &n, NULL), 0);
	assert_string_equal(manifest->items[1].name, names[2]);
	find_root(digests, 3, root);
	oms_print_hex(manifest->root, hex);
	assert_string_equal(hex, root);
	assert_int_equal(verify(text, key, &got), 0);
	assert_int_equal(got->shard_size, OMS_SHARD_SIZE);
	assert_int_equal(got->items[1].path_n, 1);
	assert_int_equal(got->n_ignore, 5);
	oms_manifest_free(&got);
	free(text);
	/* the last two colons count: "w:1" is a name like another */
	free(manifest->items[2].name);
	manifest->items[2].name = strdup(names[3]);
	assert_int_equal(oms_bundle_sign(manifest, key, NULL, 0, 0, &text, &n, NULL), 0);
	assert_int_equal(verify(text, key, &got), 0);
	assert_int_equal(got->items[1].path_n + got->items[2].path_n, 4);
	oms_manifest_free(&got);
	free(text);
	oms_manifest_free(&manifest);
	oms_key_free(&key);
}

static void test_bad_shards(void **state)
{
	static const char *const names[] = {
		"w",	    "w:0",    ":0:5",	"w:0:0",  "w:5:0",  "w:0:11",
		"w:5:9",    "w:-0:5", "w:00:5", "w:0:5x", "w:0: 5", "w:0:9999999999999999999",
		"../w:0:5", "w::5",   "w:0:",
	};
	struct oms_manifest *manifest = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = NULL;
		struct oms_why why = { 0 };

		assert_true(
			asprintf(&text,
				 "{\"_type\":\"" OMS_STATEMENT "\",\"subject\":[{\"name\":\"m\","
				 "\"digest\":{\"sha256\":\"\"}}],\"predicateType\":\"" OMS_PREDICATE
				 "\",\"predicate\":{\"resources\":[{\"name\":\"%s\","
				 "\"algorithm\":\"sha256\",\"digest\":\"" D1 "\"}],"
				 "\"serialization\":{\"method\":\"shards\",\"hash_type\":"
				 "\"sha256\",\"allow_symlinks\":false,\"shard_size\":10}}}",
				 names[i]) > 0);
		assert_int_equal(oms_statement_parse(text, strlen(text), &manifest, &why),
				 -EBADMSG);
		if (!strstr(why.text, "shard") && !strstr(why.text, "path"))
			fail_msg("%s: %s", names[i], why.text);
		free(text);
	}
}

static void test_deprecated(void **state)
{
	static const char old[] = "{\"_type\":\"" OMS_STATEMENT "\",\"subject\":[{\"name\":\"b\","
				  "\"digest\":{\"sha256\":\"" D1 "\"}},{\"name\":\"a\",\"digest\":"
				  "{\"sha256\":\"" D2 "\"}}],\"predicateType\":\"" OMS_PREDICATE_OLD
				  "\",\"predicate\":{\"unused\":\"x\"}}";
	struct oms_key *key = fixture_make_key("P-256");
	struct oms_manifest *manifest = NULL;
	char *text = fixture_sign(key, old);
	char *twice = fixture_edit(old, "\"a\"", "\"b\"");

	(void)state;
	assert_int_equal(verify(text, key, &manifest), 0);
	assert_true(manifest->deprecated);
	assert_int_equal(manifest->n_items, 2);
	assert_string_equal(manifest->items[0].name, "a");
	oms_manifest_free(&manifest);
	free(text);
	text = fixture_sign(key, twice);
	assert_int_equal(verify(text, key, NULL), -EBADMSG);
	free(text);
	free(twice);
	oms_key_free(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),	       cmocka_unit_test(test_changed_bits),
		cmocka_unit_test(test_key_rules),      cmocka_unit_test(test_other_keys),
		cmocka_unit_test(test_accepted_forms), cmocka_unit_test(test_bad_bundles),
		cmocka_unit_test(test_bad_statements), cmocka_unit_test(test_shard_order),
		cmocka_unit_test(test_bad_shards),     cmocka_unit_test(test_deprecated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
