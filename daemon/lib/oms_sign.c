/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles made. Run by custodyctl. Pure. Trusts the manifest and the key that it is given.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "dsse.h"
#include "oms_internal.h"

static json_t *oms_sign_material(const struct oms_bundle *bundle, const struct oms_key *key)
{
	json_t *array;

	if (bundle->n_certificates == 0)
		return json_pack("{s:{s:s}, s:[]}", "publicKey", "hint", oms_key_hint(key),
				 "tlogEntries");
	array = json_array();
	for (size_t i = 0; array && i < bundle->n_certificates; i++) {
		const struct oms_blob *der = &bundle->certificates[i];

		if (json_array_append_new(array, json_pack("{s:o}", "rawBytes",
							   oms_json_base64(der->data, der->n))) <
		    0) {
			json_decref(array);
			return NULL;
		}
	}
	return json_pack("{s:{s:o}, s:[]}", "x509CertificateChain", "certificates", array,
			 "tlogEntries");
}

static int oms_sign_print(const struct oms_bundle *bundle, const struct oms_key *key,
			  const char *payload, size_t payload_n, char **ret, size_t *ret_n)
{
	cleanup_json json_t *json = NULL;
	cleanup_ptr char *text = NULL;
	char *line;
	int n;

	json = json_pack("{s:s, s:o, s:{s:o, s:s, s:[{s:o, s:s}]}}", "mediaType", OMS_MEDIA_TYPE,
			 "verificationMaterial", oms_sign_material(bundle, key), "dsseEnvelope",
			 "payload", oms_json_base64(payload, payload_n), "payloadType",
			 DSSE_TYPE_INTOTO, "signatures", "sig",
			 oms_json_base64(bundle->signature.data, bundle->signature.n), "keyid", "");
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (!text)
		return -ENOMEM;
	n = asprintf(&line, "%s\n", text);
	if (n < 0)
		return -ENOMEM;
	*ret_n = (size_t)n;
	*ret = line;
	return 0;
}

int oms_bundle_sign(struct oms_manifest *manifest, const struct oms_key *key,
		    const char *certificates, size_t certificates_n, time_t now, char **ret,
		    size_t *ret_n, struct oms_why *why)
{
	cleanup_oms_bundle struct oms_bundle *bundle = calloc(1, sizeof(*bundle));
	cleanup_ptr char *payload = NULL;
	cleanup_ptr char *pae = NULL;
	size_t payload_n = 0;
	size_t pae_n = 0;
	int r = 0;

	if (!bundle)
		return -ENOMEM;
	if (certificates)
		r = oms_chain_parse(certificates, certificates_n, key, now, bundle, why);
	if (r == 0)
		r = oms_statement_print(manifest, &payload, &payload_n, why);
	if (r == 0)
		r = dsse_print_pae(DSSE_TYPE_INTOTO, payload, payload_n, &pae, &pae_n);
	if (r == 0)
		r = oms_key_sign(key, pae, pae_n, &bundle->signature);
	if (r == -EIO)
		return oms_explain(why, r,
				   "The key cannot sign: it has no private half, or it is "
				   "damaged.");
	if (r == 0)
		r = oms_sign_print(bundle, key, payload, payload_n, ret, ret_n);
	return r;
}
