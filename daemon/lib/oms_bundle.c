/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sigstore bundles with a DSSE envelope taken apart: form only. Run by custodyctl and whatever
 * measures models. Pure. Trusts nothing.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "dsse.h"
#include "oms_internal.h"

static const char *const oms_bundle_types[] = {
	OMS_MEDIA_TYPE,
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
};

void oms_bundle_free(struct oms_bundle **bundle)
{
	if (!*bundle)
		return;
	for (size_t i = 0; i < (*bundle)->n_certificates; i++)
		oms_blob_free(&(*bundle)->certificates[i]);
	oms_blob_free(&(*bundle)->payload);
	oms_blob_free(&(*bundle)->signature);
	free((*bundle)->hint);
	free(*bundle);
	*bundle = NULL;
}

static int oms_bundle_check_type(const json_t *json, struct oms_why *why)
{
	const char *type = NULL;
	int r = oms_json_string(json, "mediaType", &type, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(oms_bundle_types); i++) {
		if (strcmp(type, oms_bundle_types[i]) == 0)
			return 0;
	}
	return oms_explain(why, -EBADMSG, "mediaType %s is no Sigstore bundle that is known here.",
			   oms_quote(type, strlen(type)).text);
}

/* {"hint": HEX}; before 1.1.0 {"rawBytes": ..., "keyDetails": ...}, which nobody needs. */
static int oms_bundle_parse_key(const json_t *key, struct oms_bundle *bundle, struct oms_why *why)
{
	const json_t *hint = json_object_get(key, "hint");
	const json_t *raw = json_object_get(key, "rawBytes");

	if (!json_is_object(key))
		return oms_explain(why, -EBADMSG, "publicKey is not an object.");
	if ((!hint && !raw) || (hint && !json_is_string(hint)) || (raw && !json_is_string(raw)))
		return oms_explain(why, -EBADMSG,
				   "publicKey has neither hint nor rawBytes, or one "
				   "that is not a string.");
	bundle->signing = OMS_SIGNING_KEY;
	if (!hint || json_string_length(hint) == 0)
		return 0;
	bundle->hint = strdup(json_string_value(hint));
	return bundle->hint ? 0 : -ENOMEM;
}

static int oms_bundle_parse_chain(const json_t *chain, struct oms_bundle *bundle,
				  struct oms_why *why)
{
	const json_t *array = NULL;
	int r;

	if (!json_is_object(chain))
		return oms_explain(why, -EBADMSG, "x509CertificateChain is not an object.");
	r = oms_json_array(chain, "certificates", &array, why);
	if (r < 0)
		return r;
	if (json_array_size(array) == 0 || json_array_size(array) > OMS_CERTIFICATES_MAX)
		return oms_explain(why, -EBADMSG, "certificates has %zu entries; 1 to %d are read.",
				   json_array_size(array), OMS_CERTIFICATES_MAX);
	bundle->signing = OMS_SIGNING_CERTIFICATE;
	for (size_t i = 0; i < json_array_size(array); i++) {
		r = oms_json_bytes(json_array_get(array, i), "rawBytes", &bundle->certificates[i],
				   why);
		if (r < 0)
			return r;
		bundle->n_certificates = i + 1;
	}
	return 0;
}

/* The sigstore method is told from a malformed bundle, and then refused. */
static int oms_bundle_refuse_sigstore(const json_t *material, struct oms_why *why)
{
	const json_t *entries = json_object_get(material, "tlogEntries");

	if (!json_is_object(json_object_get(material, "certificate")) || !json_is_array(entries) ||
	    json_array_size(entries) == 0)
		return oms_explain(why, -EBADMSG,
				   "A bundle of the sigstore method needs a "
				   "certificate and at least one of tlogEntries.");
	return oms_explain(
		why, -EOPNOTSUPP,
		"The bundle is signed by the sigstore method (a "
		"certificate for minutes, and a transparency log), which custody does not "
		"verify. Sign by a key or by a certificate.");
}

static int oms_bundle_parse_material(const json_t *json, struct oms_bundle *bundle,
				     struct oms_why *why)
{
	const json_t *material = NULL;
	const json_t *key, *chain, *certificate;
	const json_t *entries;
	int r;

	r = oms_json_object(json, "verificationMaterial", &material, why);
	if (r < 0)
		return r;
	key = json_object_get(material, "publicKey");
	chain = json_object_get(material, "x509CertificateChain");
	certificate = json_object_get(material, "certificate");
	entries = json_object_get(material, "tlogEntries");
	if (!!key + !!chain + !!certificate != 1)
		return oms_explain(why, -EBADMSG,
				   "verificationMaterial has %d of publicKey, "
				   "x509CertificateChain and certificate; one is needed.",
				   !!key + !!chain + !!certificate);
	if (entries && !json_is_array(entries))
		return oms_explain(why, -EBADMSG, "tlogEntries is not an array.");
	if (key)
		return oms_bundle_parse_key(key, bundle, why);
	if (chain)
		return oms_bundle_parse_chain(chain, bundle, why);
	return oms_bundle_refuse_sigstore(material, why);
}

/* keyid may be absent, null or any string, and is never used. */
static int oms_bundle_parse_signature(const json_t *envelope, struct oms_bundle *bundle,
				      struct oms_why *why)
{
	const json_t *array = NULL;
	const json_t *keyid, *only;
	int r;

	r = oms_json_array(envelope, "signatures", &array, why);
	if (r < 0)
		return r;
	if (json_array_size(array) != 1)
		return oms_explain(why, -EBADMSG, "The envelope has %zu signatures; one is needed.",
				   json_array_size(array));
	only = json_array_get(array, 0);
	keyid = json_object_get(only, "keyid");
	if (keyid && !json_is_null(keyid) && !json_is_string(keyid))
		return oms_explain(why, -EBADMSG, "keyid is not a string.");
	return oms_json_bytes(only, "sig", &bundle->signature, why);
}

static int oms_bundle_parse_envelope(const json_t *json, struct oms_bundle *bundle,
				     struct oms_why *why)
{
	const json_t *envelope = NULL;
	const char *type = NULL;
	int r;

	if (json_object_get(json, "messageSignature"))
		return oms_explain(why, -EBADMSG,
				   "The bundle signs a message; a model's bundle has a "
				   "dsseEnvelope and nothing beside it.");
	r = oms_json_object(json, "dsseEnvelope", &envelope, why);
	if (r == 0)
		r = oms_json_string(envelope, "payloadType", &type, why);
	if (r < 0)
		return r;
	if (strcmp(type, DSSE_TYPE_INTOTO) != 0)
		return oms_explain(why, -EBADMSG, "payloadType is %s, not " DSSE_TYPE_INTOTO ".",
				   oms_quote(type, strlen(type)).text);
	r = oms_json_bytes(envelope, "payload", &bundle->payload, why);
	return r < 0 ? r : oms_bundle_parse_signature(envelope, bundle, why);
}

int oms_bundle_parse(const char *text, size_t n, struct oms_bundle **ret, struct oms_why *why)
{
	cleanup_oms_bundle struct oms_bundle *bundle = calloc(1, sizeof(*bundle));
	cleanup_json json_t *json = NULL;
	int r;

	if (!bundle)
		return -ENOMEM;
	if (n == 0)
		return oms_explain(why, -EBADMSG, "The bundle is empty.");
	r = oms_json_parse(text, n, "bundle", &json, why);
	if (r == 0)
		r = oms_bundle_check_type(json, why);
	if (r == 0)
		r = oms_bundle_parse_material(json, bundle, why);
	if (r == 0)
		r = oms_bundle_parse_envelope(json, bundle, why);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(bundle);
	return 0;
}
