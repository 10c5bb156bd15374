/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of oms_chain.c: certificates that sign, and certificates that must not. */
#include "oms_fixture.h"

#define DAY 86400L

static const struct fixture_certificate root = { .name = "root",
						 .issuer = "root",
						 .from = -DAY,
						 .to = DAY,
						 .basic = "critical,CA:TRUE",
						 .usage = "keyCertSign" };
static const struct fixture_certificate middle = { .name = "middle",
						   .issuer = "root",
						   .from = -DAY,
						   .to = DAY,
						   .basic = "critical,CA:TRUE",
						   .usage = "keyCertSign" };
static const struct fixture_certificate leaf = { .name = "leaf",
						 .issuer = "middle",
						 .from = -DAY,
						 .to = DAY,
						 .basic = "CA:FALSE",
						 .usage = "digitalSignature",
						 .extended = "codeSigning" };

struct chain {
	EVP_PKEY *keys[3]; /* root, middle, leaf */
	X509 *x[3];
	struct oms_key *key;
	struct oms_roots *roots;
};

static void make_chain(const struct fixture_certificate *r, const struct fixture_certificate *m,
		       const struct fixture_certificate *l, struct chain *ret)
{
	size_t n = 0;
	char *pem;

	for (size_t i = 0; i < 3; i++)
		ret->keys[i] = EVP_EC_gen("P-256");
	ret->x[0] = fixture_make_certificate(r, ret->keys[0], ret->keys[0]);
	ret->x[1] = fixture_make_certificate(m, ret->keys[1], ret->keys[0]);
	ret->x[2] = fixture_make_certificate(l, ret->keys[2], ret->keys[1]);
	ret->key = fixture_wrap_key(ret->keys[2]);
	pem = fixture_print_certificates(ret->x, 1, &n);
	assert_int_equal(oms_roots_parse(pem, n, &ret->roots, NULL), 0);
	free(pem);
}

static void free_chain(struct chain *chain)
{
	for (size_t i = 0; i < 3; i++) {
		EVP_PKEY_free(chain->keys[i]);
		X509_free(chain->x[i]);
	}
	oms_key_free(&chain->key);
	oms_roots_free(&chain->roots);
}

static struct oms_manifest *make_manifest(void)
{
	struct oms_manifest *manifest = NULL;

	assert_int_equal(oms_manifest_make(OMS_FILES, "m", NULL, &manifest), 0);
	manifest->items = calloc(1, sizeof(struct oms_item));
	manifest->items[0].name = strdup("a");
	manifest->items[0].path_n = 1;
	manifest->n_items = 1;
	return manifest;
}

/* Signs with the certificates x[first], x[first - 1], ... `count` of them, at time `now`. */
static int sign(const struct chain *chain, size_t first, size_t count, time_t now, char **ret,
		struct oms_why *why)
{
	struct oms_manifest *manifest = make_manifest();
	X509 *x[3];
	size_t n = 0, text_n = 0;
	char *pem;
	int r;

	for (size_t i = 0; i < count; i++)
		x[i] = chain->x[first - i];
	pem = fixture_print_certificates(x, count, &n);
	r = oms_bundle_sign(manifest, chain->key, pem, n, now, ret, &text_n, why);
	oms_manifest_free(&manifest);
	free(pem);
	return r;
}

static int verify(const char *text, const struct oms_roots *roots, time_t now, struct oms_why *why)
{
	struct oms_trust trust = { .roots = roots, .now = now };
	struct oms_manifest *manifest = NULL;
	struct oms_bundle *bundle = NULL;
	struct oms_signer signer;
	int r = oms_bundle_parse(text, strlen(text), &bundle, why);

	if (r == 0)
		r = oms_bundle_verify(bundle, &trust, &manifest, &signer, why);
	if (r == 0)
		assert_non_null(strstr(signer.text, "leaf"));
	oms_manifest_free(&manifest);
	oms_bundle_free(&bundle);
	return r;
}

static void test_good_chain(void **state)
{
	struct oms_trust trust = { .now = FIXTURE_NOW };
	struct oms_bundle *bundle = NULL;
	struct oms_manifest *manifest = NULL;
	struct oms_signer signer;
	struct oms_why why = { 0 };
	struct chain chain, other;
	char *text = NULL;

	(void)state;
	make_chain(&root, &middle, &leaf, &chain);
	make_chain(&root, &middle, &leaf, &other);
	assert_int_equal(sign(&chain, 2, 3, FIXTURE_NOW, &text, &why), 0);
	assert_int_equal(oms_bundle_parse(text, strlen(text), &bundle, &why), 0);
	assert_int_equal(bundle->n_certificates, 2); /* the root is not carried */
	assert_int_equal(verify(text, chain.roots, FIXTURE_NOW, &why), 0);
	assert_int_equal(verify(text, other.roots, FIXTURE_NOW, &why), -EKEYREJECTED);
	assert_int_equal(verify(text, chain.roots, FIXTURE_NOW + 2 * DAY, &why), -EKEYREJECTED);
	assert_non_null(strstr(why.text, "expired"));
	assert_int_equal(verify(text, chain.roots, FIXTURE_NOW - 2 * DAY, &why), -EKEYREJECTED);
	assert_non_null(strstr(why.text, "not valid yet"));
	/* a key is no answer to a certificate, and nobody is trusted by default */
	trust.key = chain.key;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why),
			 -EKEYREJECTED);
	trust.key = NULL;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why), -EINVAL);
	/* the chain with a foreign leaf's signature */
	bundle->signature.data[bundle->signature.n - 1] ^= 1;
	trust.roots = chain.roots;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why),
			 -EKEYREJECTED);
	oms_bundle_free(&bundle);
	free(text);
	/* without the certificate between them the leaf leads nowhere */
	assert_int_equal(sign(&chain, 2, 1, FIXTURE_NOW, &text, &why), 0);
	assert_int_equal(verify(text, chain.roots, FIXTURE_NOW, &why), -EKEYREJECTED);
	free(text);
	free_chain(&chain);
	free_chain(&other);
}

/* What is refused when signing and, signed by another program, when verifying. */
static void test_bad_leaves(void **state)
{
	static const struct {
		long from, to;
		const char *usage, *extended;
		int wanted;
	} rows[] = {
		{ -DAY, DAY, "digitalSignature", NULL, 0 },
		{ -DAY, DAY, NULL, "codeSigning", 0 },
		{ -DAY, DAY, "digitalSignature", "anyExtendedKeyUsage", 0 },
		{ -2 * DAY, -DAY, "digitalSignature", "codeSigning", -EKEYREJECTED },
		{ DAY, 2 * DAY, "digitalSignature", "codeSigning", -EKEYREJECTED },
		{ -DAY, DAY, NULL, NULL, -EKEYREJECTED },
		{ -DAY, DAY, "keyAgreement", NULL, -EKEYREJECTED },
		{ -DAY, DAY, "keyCertSign", "codeSigning", -EKEYREJECTED },
		{ -DAY, DAY, "digitalSignature", "serverAuth", -EKEYREJECTED },
		{ -DAY, DAY, NULL, "serverAuth", -EKEYREJECTED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture_certificate l = leaf;
		struct oms_why why = { 0 };
		struct chain chain, good;
		char *text = NULL;
		char *bundle;
		char *der_text, *good_text;
		unsigned char *der = NULL;
		int n;

		l.from = rows[i].from;
		l.to = rows[i].to;
		l.usage = rows[i].usage;
		l.extended = rows[i].extended;
		make_chain(&root, &middle, &l, &chain);
		if (sign(&chain, 2, 3, FIXTURE_NOW, &text, &why) != rows[i].wanted)
			fail_msg("row %zu signs: %s", i, why.text);
		free(text);
		/* a good bundle in which this leaf stands instead of its own */
		make_chain(&root, &middle, &leaf, &good);
		assert_int_equal(sign(&good, 2, 3, FIXTURE_NOW, &text, &why), 0);
		n = i2d_X509(good.x[2], &der);
		good_text = fixture_encode(der, (size_t)n);
		OPENSSL_free(der);
		der = NULL;
		n = i2d_X509(chain.x[2], &der);
		der_text = fixture_encode(der, (size_t)n);
		OPENSSL_free(der);
		bundle = fixture_edit(text, good_text, der_text);
		assert_int_equal(verify(bundle, good.roots, FIXTURE_NOW, &why), -EKEYREJECTED);
		if (rows[i].wanted < 0 && !strstr(why.text, "meant for signing") &&
		    !strstr(why.text, "expired") && !strstr(why.text, "not valid yet"))
			fail_msg("row %zu: %s", i, why.text);
		free(good_text);
		free(der_text);
		free(bundle);
		free(text);
		free_chain(&good);
		free_chain(&chain);
	}
}

static void test_bad_issuers(void **state)
{
	struct fixture_certificate no_ca = middle, no_sign = middle, late = middle, old_root = root;
	struct oms_why why = { 0 };
	const struct {
		const struct fixture_certificate *root, *middle;
	} rows[] = {
		{ &root, &no_ca }, { &root, &no_sign }, { &root, &late }, { &old_root, &middle }
	};

	(void)state;
	no_ca.basic = "CA:FALSE";
	no_sign.usage = "digitalSignature";
	late.to = -1;
	old_root.to = -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct chain chain;
		char *text = NULL;

		make_chain(rows[i].root, rows[i].middle, &leaf, &chain);
		assert_int_equal(sign(&chain, 2, 3, FIXTURE_NOW, &text, &why), 0);
		if (verify(text, chain.roots, FIXTURE_NOW, &why) != -EKEYREJECTED)
			fail_msg("row %zu", i);
		free(text);
		free_chain(&chain);
	}
}

/* A certificate of another key. */
static void test_wrong_keys(void **state)
{
	struct oms_why why = { 0 };
	struct chain chain;
	char *text = NULL;

	(void)state;
	make_chain(&root, &middle, &leaf, &chain);
	assert_int_equal(sign(&chain, 1, 2, FIXTURE_NOW, &text, &why), -EKEYREJECTED);
	assert_non_null(strstr(why.text, "not the key's"));
	free_chain(&chain);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = { "", "hello",
					   "-----BEGIN CERTIFICATE-----\nAAAA\n"
					   "-----END CERTIFICATE-----\n" };
	struct oms_roots *roots = NULL;
	struct oms_why why = { 0 };
	struct chain chain;
	char *text = NULL;
	char *edited, *both;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(oms_roots_parse(bad[i], strlen(bad[i]), &roots, &why), -EBADMSG);
	make_chain(&root, &middle, &leaf, &chain);
	edited = fixture_print_certificates(chain.x, 2, &n);
	assert_true(asprintf(&both, "%s%s", edited, bad[2]) > 0);
	assert_int_equal(oms_roots_parse(both, strlen(both), &roots, &why), -EBADMSG);
	free(both);
	free(edited);
	assert_int_equal(sign(&chain, 2, 3, FIXTURE_NOW, &text, &why), 0);
	edited = fixture_edit(text, "\"rawBytes\":\"", "\"rawBytes\":\"AAAA");
	assert_int_equal(verify(edited, chain.roots, FIXTURE_NOW, &why), -EBADMSG);
	free(edited);
	edited = fixture_edit(text, "\"rawBytes\"", "\"rawBites\"");
	assert_int_equal(verify(edited, chain.roots, FIXTURE_NOW, &why), -EBADMSG);
	free(edited);
	edited = fixture_edit(text, "\"certificates\":[", "\"certificates\":[],\"x\":[");
	assert_int_equal(verify(edited, chain.roots, FIXTURE_NOW, &why), -EBADMSG);
	free(edited);
	edited = fixture_edit(text, "\"certificates\":[", "\"certificates\":[1,");
	assert_int_equal(verify(edited, chain.roots, FIXTURE_NOW, &why), -EBADMSG);
	free(edited);
	edited = fixture_edit(text, "\"certificates\":[",
			      "\"certificates\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,");
	assert_int_equal(verify(edited, chain.roots, FIXTURE_NOW, &why), -EBADMSG);
	free(edited);
	free(text);
	free_chain(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_chain),  cmocka_unit_test(test_bad_leaves),
		cmocka_unit_test(test_bad_issuers), cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
