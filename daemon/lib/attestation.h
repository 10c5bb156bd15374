/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestations: in-toto Statements v1 in a DSSE envelope, plain or inside a Sigstore bundle v0.3
 * that names a public key. Read by whatever admits models, made by custodyctl. Pure: no global
 * state, no logging, no clock, no policy. Trusts only the key that the caller gives; that a
 * statement is signed does not make it well-formed.
 *
 * A statement is about a model when one of its subjects has the model's root digest (oms.h) as its
 * sha256, whatever the subject is called. The digest of one of the model's files is not enough:
 * another model could hold that file too. Policy must be "refuse unless there is one that says
 * so", never "refuse if there is one": who can leave a file out could otherwise decide.
 *
 * Errors and sentences as in oms.h: -EKEYREJECTED, -EBADMSG, -ESTALE (another model), -EOPNOTSUPP,
 * -ENOMEM.
 */
#ifndef CUSTODY_ATTESTATION_H
#define CUSTODY_ATTESTATION_H

#include <jansson.h>

#include "oms.h"

#define ATTESTATION_MAX (16U << 20) /* bytes of an envelope or a bundle */
#define ATTESTATION_SIGNATURES_MAX 16
#define ATTESTATION_SUBJECTS_MAX 65536
#define ATTESTATION_TYPE_MAX 512 /* bytes of a predicate type */

struct attestation_subject {
	char *name; /* NULL when it has none; not to be believed, and not to be printed as it is */
	bool has_digest; /* it has a sha256 */
	__u8 digest[OMS_DIGEST_SIZE];
};

struct attestation {
	char *type; /* predicateType: printable ASCII without blanks */
	struct attestation_subject *subjects;
	size_t n_subjects;
	json_t *predicate; /* an object; NULL when there is none */
};

/*
 * Keys of attestations: EC on P-256, P-384 or P-521 (signatures in ASN.1 DER, the hash as in
 * oms.h), or Ed25519. PEM; see oms_key_parse_private() and oms_key_parse_public().
 */
int attestation_parse_private(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why);
int attestation_parse_public(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why);

/*
 * Takes exactly n bytes apart, and believes them when one of the envelope's signatures is the
 * key's; keyid and hint decide nothing. Bundles signed by a certificate are -EOPNOTSUPP. Free with
 * attestation_free().
 */
int attestation_verify(const char *text, size_t n, const struct oms_key *key,
		       struct attestation **ret, struct oms_why *why);
void attestation_free(struct attestation **attestation);
#define cleanup_attestation __attribute__((cleanup(attestation_free)))

bool attestation_is_about(const struct attestation *attestation, const __u8 root[OMS_DIGEST_SIZE]);

/*
 * attestation_verify(), and then that it has the predicate type (every type when NULL;
 * -EKEYREJECTED when another) and is about the model (-ESTALE when not). *ret may be NULL.
 */
int attestation_check(const char *text, size_t n, const struct oms_key *key, const char *type,
		      const __u8 root[OMS_DIGEST_SIZE], struct attestation **ret,
		      struct oms_why *why);

struct attestation_item { /* a subject to be signed */
	const char *name; /* UTF-8 */
	__u8 digest[OMS_DIGEST_SIZE];
};

/*
 * A statement about the items, at least one, with the predicate (an object; borrowed), signed into
 * a plain DSSE envelope: text with an LF and a NUL; free() it. -EINVAL when type or predicate is
 * none.
 */
int attestation_sign(const struct attestation_item *items, size_t n_items, const char *type,
		     const json_t *predicate, const struct oms_key *key, char **ret, size_t *ret_n,
		     struct oms_why *why);

#endif
