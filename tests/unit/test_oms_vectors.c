/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundles that the format's own project publishes behave as their folders' names say. They lie
 * beside the repository, in ../shared/vectors/oms (or CUSTODY_VECTORS/oms); skipped where they do
 * not.
 */
#include "oms_fixture.h"

static void test_vectors_beside_the_repository(void **state)
{
	static const char *const valid[] = { "valid/key.bundle.json",
					     "valid/certificate.bundle.json" };
	static const char *const invalid[] = { "empty", "missing-envelope", "missing-tlog-entries",
					       "missing-verification-material" };
	struct oms_manifest *manifest = NULL;
	struct oms_bundle *bundle = NULL;
	struct oms_why why = { 0 };
	char name[128];
	size_t n = 0;
	char *text = fixture_read_vector(valid[0], &n);

	(void)state;
	if (!text) {
		print_message("no ../shared/vectors here\n");
		skip();
	}
	free(text);
	for (size_t i = 0; i < 2; i++) {
		text = fixture_read_vector(valid[i], &n);
		assert_int_equal(oms_bundle_parse(text, n, &bundle, &why), 0);
		assert_int_equal(oms_statement_parse((char *)bundle->payload.data,
						     bundle->payload.n, &manifest, &why),
				 0);
		assert_true(manifest->n_items > 0);
		oms_manifest_free(&manifest);
		oms_bundle_free(&bundle);
		free(text);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "invalid/%s.bundle.json", invalid[i]);
		text = fixture_read_vector(name, &n);
		assert_non_null(text);
		assert_int_equal(oms_bundle_parse(text, n, &bundle, &why), -EBADMSG);
		free(text);
	}
	text = fixture_read_vector("invalid-payload/wrong-predicate.bundle.json", &n);
	assert_int_equal(oms_bundle_parse(text, n, &bundle, &why), 0);
	assert_int_equal(oms_statement_parse((char *)bundle->payload.data, bundle->payload.n,
					     &manifest, &why),
			 -EBADMSG);
	assert_non_null(strstr(why.text, "wrong-predicate"));
	oms_bundle_free(&bundle);
	free(text);
	text = fixture_read_vector("valid/sigstore.bundle.json", &n);
	assert_int_equal(oms_bundle_parse(text, n, &bundle, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why.text, "sigstore"));
	free(text);
}

static void test_vector_chain_beside_the_repository(void **state)
{
	struct oms_trust trust = { .now = 1750000000 };
	struct oms_roots *roots = NULL;
	struct oms_manifest *manifest = NULL;
	struct oms_bundle *bundle = NULL;
	struct oms_signer signer;
	struct oms_why why = { 0 };
	const unsigned char *der;
	X509 *x;
	size_t n = 0;
	char *text = fixture_read_vector("valid/certificate.bundle.json", &n);
	char *pem;

	(void)state;
	if (!text) {
		print_message("no ../shared/vectors here\n");
		skip();
	}
	assert_int_equal(oms_bundle_parse(text, n, &bundle, &why), 0);
	free(text);
	der = bundle->certificates[1].data;
	x = d2i_X509(NULL, &der, (long)bundle->certificates[1].n);
	pem = fixture_print_certificates(&x, 1, &n);
	assert_int_equal(oms_roots_parse(pem, n, &roots, &why), 0);
	trust.roots = roots;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why), 0);
	oms_manifest_free(&manifest);
	bundle->payload.data[20] ^= 1;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why),
			 -EKEYREJECTED);
	bundle->payload.data[20] ^= 1;
	trust.now = 2100000000;
	assert_int_equal(oms_bundle_verify(bundle, &trust, &manifest, &signer, &why),
			 -EKEYREJECTED);
	free(pem);
	X509_free(x);
	oms_roots_free(&roots);
	oms_bundle_free(&bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_beside_the_repository),
		cmocka_unit_test(test_vector_chain_beside_the_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
