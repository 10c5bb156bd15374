/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestations read and made: see attestation.h. Run by custodyctl and whatever admits models.
 * Pure. The payload is verified as it was carried, byte by byte, and the same bytes are parsed
 * then; before that only the envelope is.
 */
#include "attestation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "dsse.h"
#include "oms_internal.h"

#define ATTESTATION_TYPE_HEAD "application/vnd.in-toto."
#define ATTESTATION_TYPE_TAIL "+json"

struct attestation_envelope {
	const char *type; /* of the payload; of the JSON, or a literal */
	struct oms_blob payload;
	struct oms_blob signatures[ATTESTATION_SIGNATURES_MAX];
	size_t n;
};

static void attestation_free_envelope(struct attestation_envelope *envelope)
{
	oms_blob_free(&envelope->payload);
	for (size_t i = 0; i < envelope->n; i++)
		oms_blob_free(&envelope->signatures[i]);
}
#define cleanup_envelope __attribute__((cleanup(attestation_free_envelope)))

void attestation_free(struct attestation **attestation)
{
	if (!*attestation)
		return;
	for (size_t i = 0; i < (*attestation)->n_subjects; i++)
		free((*attestation)->subjects[i].name);
	free((*attestation)->subjects);
	free((*attestation)->type);
	json_decref((*attestation)->predicate);
	free(*attestation);
	*attestation = NULL;
}

int attestation_parse_private(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why)
{
	return oms_key_parse_attester(pem, n, true, ret, why);
}

int attestation_parse_public(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why)
{
	return oms_key_parse_attester(pem, n, false, ret, why);
}

/* ---- the envelope: form only ---- */

/* application/vnd.in-toto+json, or application/vnd.in-toto.WORD+json */
static bool attestation_check_payload_type(const char *type)
{
	size_t head = strlen(ATTESTATION_TYPE_HEAD), tail = strlen(ATTESTATION_TYPE_TAIL);
	size_t n = strlen(type);

	if (strcmp(type, DSSE_TYPE_INTOTO) == 0)
		return true;
	return n > head + tail && n <= ATTESTATION_TYPE_MAX &&
	       strncmp(type, ATTESTATION_TYPE_HEAD, head) == 0 &&
	       strcmp(type + n - tail, ATTESTATION_TYPE_TAIL) == 0;
}

static int attestation_take_signatures(const json_t *json, struct attestation_envelope *envelope,
				       struct oms_why *why)
{
	const json_t *array = NULL;
	int r = oms_json_array(json, "signatures", &array, why);

	if (r < 0)
		return r;
	if (json_array_size(array) == 0 || json_array_size(array) > ATTESTATION_SIGNATURES_MAX)
		return oms_explain(why, -EBADMSG,
				   "The envelope has %zu signatures; 1 to %d are read.",
				   json_array_size(array), ATTESTATION_SIGNATURES_MAX);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *one = json_array_get(array, i);
		const json_t *keyid = json_object_get(one, "keyid");

		if (keyid && !json_is_null(keyid) && !json_is_string(keyid))
			return oms_explain(why, -EBADMSG, "keyid is not a string.");
		r = oms_json_bytes(one, "sig", &envelope->signatures[i], why);
		if (r < 0)
			return r;
		envelope->n = i + 1;
	}
	return 0;
}

static int attestation_take_plain(const json_t *json, struct attestation_envelope *envelope,
				  struct oms_why *why)
{
	int r = oms_json_string(json, "payloadType", &envelope->type, why);

	if (r < 0)
		return r;
	if (!attestation_check_payload_type(envelope->type))
		return oms_explain(why, -EBADMSG, "payloadType is %s, not " DSSE_TYPE_INTOTO ".",
				   oms_quote(envelope->type, strlen(envelope->type)).text);
	r = oms_json_bytes(json, "payload", &envelope->payload, why);
	return r < 0 ? r : attestation_take_signatures(json, envelope, why);
}

static int attestation_take_bundle(const char *text, size_t n,
				   struct attestation_envelope *envelope, struct oms_why *why)
{
	cleanup_oms_bundle struct oms_bundle *bundle = NULL;
	int r = oms_bundle_parse(text, n, &bundle, why);

	if (r < 0)
		return r;
	if (bundle->signing != OMS_SIGNING_KEY)
		return oms_explain(why, -EOPNOTSUPP,
				   "The attestation is signed by a certificate; custody verifies "
				   "attestations by a public key.");
	envelope->type = DSSE_TYPE_INTOTO;
	envelope->payload = bundle->payload;
	envelope->signatures[0] = bundle->signature;
	envelope->n = 1;
	bundle->payload = (struct oms_blob){ 0 };
	bundle->signature = (struct oms_blob){ 0 };
	return 0;
}

static int attestation_take_envelope(const char *text, size_t n, const json_t *json,
				     struct attestation_envelope *envelope, struct oms_why *why)
{
	bool bundle = json_object_get(json, "mediaType") || json_object_get(json, "dsseEnvelope");
	bool plain = json_object_get(json, "payload") || json_object_get(json, "signatures");

	if (bundle && plain)
		return oms_explain(why, -EBADMSG,
				   "It is an envelope and a Sigstore bundle at once.");
	return bundle ? attestation_take_bundle(text, n, envelope, why)
		      : attestation_take_plain(json, envelope, why);
}

static int attestation_check_signatures(const struct attestation_envelope *envelope,
					const struct oms_key *key, struct oms_why *why)
{
	cleanup_ptr char *pae = NULL;
	size_t n = 0;
	int r = dsse_print_pae(envelope->type, envelope->payload.data, envelope->payload.n, &pae,
			       &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < envelope->n; i++) {
		if (oms_key_verify(key, pae, n, &envelope->signatures[i]))
			return 0;
	}
	return oms_explain(why, -EKEYREJECTED,
			   "The signature is wrong: the attestation was changed, or another key "
			   "signed it.");
}

/* ---- the statement ---- */

/* A predicate type is a URI: no blanks, no control characters, a scheme. */
static bool attestation_check_type(const char *type)
{
	size_t n = strlen(type);

	if (n == 0 || n > ATTESTATION_TYPE_MAX || !strchr(type, ':') || type[0] == ':')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (type[i] <= ' ' || type[i] >= 0x7f)
			return false;
	}
	return true;
}

static int attestation_take_subject(const json_t *json, struct attestation_subject *ret,
				    struct oms_why *why)
{
	json_t *digests = json_object_get(json, "digest");
	const json_t *name = json_object_get(json, "name");
	const json_t *sha256 = json_object_get(digests, "sha256");
	const char *algorithm;
	json_t *value;

	if (!json_is_object(digests) || json_object_size(digests) == 0)
		return oms_explain(why, -EBADMSG, "A subject of the statement has no digest.");
	json_object_foreach (digests, algorithm, value) {
		if (!json_is_string(value))
			return oms_explain(why, -EBADMSG,
					   "A subject of the statement has a digest that is not a "
					   "string.");
	}
	if (name && !json_is_string(name))
		return oms_explain(why, -EBADMSG,
				   "A subject of the statement has a name that is not a string.");
	if (sha256 &&
	    oms_parse_hex(json_string_value(sha256), json_string_length(sha256), ret->digest) < 0)
		return oms_explain(why, -EBADMSG,
				   "The sha256 of a subject is not 64 lower-case hexadecimal "
				   "digits.");
	ret->has_digest = sha256;
	ret->name = name ? strdup(json_string_value(name)) : NULL;
	return name && !ret->name ? -ENOMEM : 0;
}

static int attestation_take_subjects(const json_t *statement, struct attestation *attestation,
				     struct oms_why *why)
{
	const json_t *array = NULL;
	int r = oms_json_array(statement, "subject", &array, why);
	size_t n = json_array_size(array);

	if (r < 0)
		return r;
	if (n == 0 || n > ATTESTATION_SUBJECTS_MAX)
		return oms_explain(why, -EBADMSG,
				   "The statement has %zu subjects; 1 to %d are read.", n,
				   ATTESTATION_SUBJECTS_MAX);
	attestation->subjects = calloc(n, sizeof(*attestation->subjects));
	if (!attestation->subjects)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = attestation_take_subject(json_array_get(array, i), &attestation->subjects[i],
					     why);
		attestation->n_subjects = i + 1;
	}
	return r;
}

static int attestation_take_statement(const json_t *statement, struct attestation *attestation,
				      struct oms_why *why)
{
	json_t *predicate = json_object_get(statement, "predicate");
	const char *form = NULL, *type = NULL;
	int r = oms_json_string(statement, "_type", &form, why);

	if (r == 0 && strcmp(form, OMS_STATEMENT) != 0)
		return oms_explain(why, -EBADMSG,
				   "The statement's _type is %s, not " OMS_STATEMENT ".",
				   oms_quote(form, strlen(form)).text);
	if (r == 0)
		r = oms_json_string(statement, "predicateType", &type, why);
	if (r < 0)
		return r;
	if (!attestation_check_type(type))
		return oms_explain(why, -EBADMSG, "The predicateType %s is no URI.",
				   oms_quote(type, strlen(type)).text);
	if (predicate && !json_is_object(predicate))
		return oms_explain(why, -EBADMSG, "predicate is not an object.");
	attestation->predicate = json_incref(predicate);
	attestation->type = strdup(type);
	return attestation->type ? attestation_take_subjects(statement, attestation, why) : -ENOMEM;
}

int attestation_verify(const char *text, size_t n, const struct oms_key *key,
		       struct attestation **ret, struct oms_why *why)
{
	cleanup_attestation struct attestation *attestation = NULL;
	cleanup_envelope struct attestation_envelope envelope = { 0 };
	cleanup_json json_t *json = NULL;
	cleanup_json json_t *statement = NULL;
	int r;

	if (n == 0 || n > ATTESTATION_MAX)
		return oms_explain(why, -EBADMSG,
				   "The attestation has %zu bytes; 1 to %u are read.", n,
				   ATTESTATION_MAX);
	r = oms_json_parse(text, n, "attestation", &json, why);
	if (r == 0)
		r = attestation_take_envelope(text, n, json, &envelope, why);
	if (r == 0)
		r = attestation_check_signatures(&envelope, key, why);
	if (r == 0)
		r = oms_json_parse((const char *)envelope.payload.data, envelope.payload.n,
				   "statement", &statement, why);
	if (r < 0)
		return r;
	attestation = calloc(1, sizeof(*attestation));
	if (!attestation)
		return -ENOMEM;
	r = attestation_take_statement(statement, attestation, why);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(attestation);
	return 0;
}

/* ---- what it is about ---- */

bool attestation_is_about(const struct attestation *attestation, const __u8 root[OMS_DIGEST_SIZE])
{
	for (size_t i = 0; i < attestation->n_subjects; i++) {
		const struct attestation_subject *subject = &attestation->subjects[i];

		if (subject->has_digest && memcmp(subject->digest, root, OMS_DIGEST_SIZE) == 0)
			return true;
	}
	return false;
}

int attestation_check(const char *text, size_t n, const struct oms_key *key, const char *type,
		      const __u8 root[OMS_DIGEST_SIZE], struct attestation **ret,
		      struct oms_why *why)
{
	cleanup_attestation struct attestation *attestation = NULL;
	char hex[OMS_HEX_SIZE];
	int r = attestation_verify(text, n, key, &attestation, why);

	if (r < 0)
		return r;
	if (type && strcmp(attestation->type, type) != 0)
		return oms_explain(why, -EKEYREJECTED,
				   "It is an attestation of the type %s, not of %s.",
				   oms_quote(attestation->type, strlen(attestation->type)).text,
				   oms_quote(type, strlen(type)).text);
	oms_print_hex(root, hex);
	if (!attestation_is_about(attestation, root))
		return oms_explain(why, -ESTALE,
				   "It is about another model: no subject of it has the digest "
				   "sha256:%s.",
				   hex);
	if (ret)
		*ret = TAKE_PTR(attestation);
	return 0;
}

/* ---- made ---- */

static json_t *attestation_print_subjects(const struct attestation_item *items, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		char hex[OMS_HEX_SIZE];

		oms_print_hex(items[i].digest, hex);
		if (json_array_append_new(array, json_pack("{s:s, s:{s:s}}", "name", items[i].name,
							   "digest", "sha256", hex)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int attestation_print_envelope(const char *payload, size_t payload_n,
				      const struct oms_blob *signature, char **ret, size_t *ret_n)
{
	cleanup_json json_t *json = NULL;
	cleanup_ptr char *text = NULL;
	char *line;
	int n;

	json = json_pack("{s:o, s:s, s:[{s:s, s:o}]}", "payload",
			 oms_json_base64(payload, payload_n), "payloadType", DSSE_TYPE_INTOTO,
			 "signatures", "keyid", "", "sig",
			 oms_json_base64(signature->data, signature->n));
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

static int attestation_seal(const char *payload, const struct oms_key *key, char **ret,
			    size_t *ret_n, struct oms_why *why)
{
	struct oms_blob signature = { 0 };
	cleanup_ptr char *pae = NULL;
	size_t n = 0;
	int r = dsse_print_pae(DSSE_TYPE_INTOTO, payload, strlen(payload), &pae, &n);

	if (r == 0)
		r = oms_key_sign(key, pae, n, &signature);
	if (r == -EIO)
		return oms_explain(why, r,
				   "The key cannot sign: it has no private half, or it is "
				   "damaged.");
	if (r == 0)
		r = attestation_print_envelope(payload, strlen(payload), &signature, ret, ret_n);
	oms_blob_free(&signature);
	return r;
}

/* A predicate may nest deeper, or hold more, than a reader takes: found here, not there. */
static int attestation_seal_checked(const char *payload, const struct oms_key *key, char **ret,
				    size_t *ret_n, struct oms_why *why)
{
	cleanup_attestation struct attestation *again = NULL;
	cleanup_ptr char *text = NULL;
	size_t n = 0;
	int r = attestation_seal(payload, key, &text, &n, why);

	if (r == 0)
		r = attestation_verify(text, n, key, &again, why);
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	*ret_n = n;
	*ret = TAKE_PTR(text);
	return 0;
}

int attestation_sign(const struct attestation_item *items, size_t n_items, const char *type,
		     const json_t *predicate, const struct oms_key *key, char **ret, size_t *ret_n,
		     struct oms_why *why)
{
	cleanup_json json_t *statement = NULL;
	cleanup_ptr char *payload = NULL;

	if (!attestation_check_type(type))
		return oms_explain(why, -EINVAL,
				   "%s is no predicate type: a URI without blanks, of at most %d "
				   "characters.",
				   oms_quote(type, strlen(type)).text, ATTESTATION_TYPE_MAX);
	if (!json_is_object(predicate) || n_items == 0 || n_items > ATTESTATION_SUBJECTS_MAX)
		return oms_explain(why, -EINVAL,
				   "A statement has a predicate that is a JSON object, and 1 to %d "
				   "subjects.",
				   ATTESTATION_SUBJECTS_MAX);
	statement = json_pack("{s:s, s:o, s:s, s:O}", "_type", OMS_STATEMENT, "subject",
			      attestation_print_subjects(items, n_items), "predicateType", type,
			      "predicate", predicate);
	payload = statement ? json_dumps(statement, JSON_COMPACT) : NULL;
	if (!payload)
		return -ENOMEM;
	if (strlen(payload) > ATTESTATION_MAX / 4 * 3 - 4096)
		return oms_explain(why, -EINVAL, "The statement has %zu bytes, more than are read.",
				   strlen(payload));
	return attestation_seal_checked(payload, key, ret, ret_n, why);
}
