/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a bundle, and as a statement. What is accepted names only paths that
 * stay below the model, in order, each once, and says the same when it is written again. Nothing is
 * verified by a key that did not sign it. Trusts nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oms_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The root of the chain in corpus/oms/certificate; nobody has its key any more. */
static const char root[] = "-----BEGIN CERTIFICATE-----\n"
			   "MIIBhTCCASugAwIBAgIUWELU+vXi4iZ9BTql/BSxtMN/7MQwCgYIKoZIzj0EAwIw\n"
			   "DzENMAsGA1UEAwwEcm9vdDAgFw0yNjExMjIwMzMwMDFaGA8yMTI2MTAyOTAzMzAw\n"
			   "MVowDzENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAUK\n"
			   "eEARHc8JK4HEHTevLe9VYkU4fzWHpWBGFpQYZph4faTM9GxTjkXFWht4ApF1bgdM\n"
			   "QL/0ZPftzkAWpU+3hZKjYzBhMB0GA1UdDgQWBBSYK0g6fI0wXruovtoW8gDQ1Unk\n"
			   "aDAfBgNVHSMEGDAWgBSYK0g6fI0wXruovtoW8gDQ1UnkaDAPBgNVHRMBAf8EBTAD\n"
			   "AQH/MA4GA1UdDwEB/wQEAwICBDAKBggqhkjOPQQDAgNIADBFAiBdrdBQtVgC7nGq\n"
			   "rh3f4Fkr9H4no5YE2DXfdc/0PJDmYAIhAOOapaj/AmqJAy9PrWIinGzggNRp+M6G\n"
			   "HKo/XtpPZTS5\n"
			   "-----END CERTIFICATE-----\n";

static void check_manifest(const struct oms_manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_items; i++) {
		const struct oms_item *item = &manifest->items[i];

		if (!oms_check_path(item->name, item->path_n) || item->name[0] == '/' ||
		    memchr(item->name, '\n', item->path_n))
			abort();
		if (i > 0 && strcmp(manifest->items[i - 1].name, item->name) >= 0)
			abort();
	}
	if (manifest->n_items == 0)
		abort();
}

static void check_statement(const char *text, size_t n)
{
	struct oms_manifest *manifest = NULL, *again = NULL;
	struct oms_report report;
	struct oms_why why = { 0 };
	char *printed = NULL;
	size_t printed_n = 0;

	if (oms_statement_parse(text, n, &manifest, &why) < 0)
		return;
	check_manifest(manifest);
	if (oms_statement_print(manifest, &printed, &printed_n, &why) < 0 ||
	    oms_statement_parse(printed, printed_n, &again, &why) < 0 ||
	    oms_compare(manifest, again, false, &report) < 0 ||
	    memcmp(manifest->root, again->root, OMS_DIGEST_SIZE) != 0)
		abort();
	free(printed);
	oms_manifest_free(&manifest);
	oms_manifest_free(&again);
}

/* Only the seed itself leads to the root; a key made here signed nothing. */
static void check_bundle(const struct oms_bundle *bundle)
{
	struct oms_trust trust = { .now = 1900000000 };
	struct oms_manifest *manifest = NULL;
	struct oms_roots *roots = NULL;
	struct oms_key *key = NULL;
	struct oms_signer signer;
	struct oms_why why = { 0 };

	if (oms_roots_parse(root, sizeof(root) - 1, &roots, &why) < 0 ||
	    oms_key_wrap(EVP_EC_gen("P-256"), &key, &why) < 0)
		abort();
	trust.roots = roots;
	(void)oms_bundle_verify(bundle, &trust, &manifest, &signer, &why);
	oms_manifest_free(&manifest);
	trust = (struct oms_trust){ .key = key };
	if (oms_bundle_verify(bundle, &trust, &manifest, &signer, &why) == 0)
		abort();
	oms_roots_free(&roots);
	oms_key_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct oms_bundle *bundle = NULL;
	struct oms_why why = { 0 };

	check_statement((const char *)data, n);
	if (oms_bundle_parse((const char *)data, n, &bundle, &why) < 0) {
		if (!why.text[0])
			abort();
		return 0;
	}
	check_statement((const char *)bundle->payload.data, bundle->payload.n);
	check_bundle(bundle);
	oms_bundle_free(&bundle);
	return 0;
}
