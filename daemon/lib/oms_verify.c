/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a bundle is signed by whom the caller trusts. Run by custodyctl and whatever measures
 * models. Pure. The payload is verified as it was carried, byte by byte, and the same bytes are
 * parsed then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dsse.h"
#include "oms_internal.h"

static int oms_verify_signature(const struct oms_bundle *bundle, const struct oms_key *key,
				struct oms_why *why)
{
	cleanup_ptr char *pae = NULL;
	size_t n = 0;
	int r;

	r = dsse_print_pae(DSSE_TYPE_INTOTO, bundle->payload.data, bundle->payload.n, &pae, &n);
	if (r < 0)
		return r;
	if (!oms_key_verify(key, pae, n, &bundle->signature))
		return oms_explain(why, -EKEYREJECTED,
				   "The signature is wrong: the manifest was "
				   "changed, or another key signed it.");
	return 0;
}

static int oms_verify_key(const struct oms_bundle *bundle, const struct oms_key *key,
			  struct oms_signer *ret_signer, struct oms_why *why)
{
	if (bundle->signing != OMS_SIGNING_KEY)
		return oms_explain(why, -EKEYREJECTED,
				   "The bundle is signed by a certificate: roots "
				   "are needed to verify it, not a key.");
	if (bundle->hint && strcmp(bundle->hint, oms_key_hint(key)) != 0)
		return oms_explain(why, -EKEYREJECTED,
				   "The bundle says that another key signed it: "
				   "%s, not %s.",
				   oms_quote(bundle->hint, strlen(bundle->hint)).text,
				   oms_key_hint(key));
	(void)snprintf(ret_signer->text, sizeof(ret_signer->text), "key %s", oms_key_hint(key));
	return oms_verify_signature(bundle, key, why);
}

static int oms_verify_chain(const struct oms_bundle *bundle, const struct oms_trust *trust,
			    struct oms_signer *ret_signer, struct oms_why *why)
{
	cleanup_oms_key struct oms_key *key = NULL;
	int r;

	if (bundle->signing != OMS_SIGNING_CERTIFICATE)
		return oms_explain(why, -EKEYREJECTED,
				   "The bundle is signed by a key: that key is "
				   "needed to verify it, not roots.");
	r = oms_chain_verify(bundle, trust->roots, trust->now, &key, ret_signer, why);
	return r < 0 ? r : oms_verify_signature(bundle, key, why);
}

int oms_bundle_verify(const struct oms_bundle *bundle, const struct oms_trust *trust,
		      struct oms_manifest **ret, struct oms_signer *ret_signer, struct oms_why *why)
{
	struct oms_signer signer = { 0 };
	int r;

	if (!trust->key == !trust->roots)
		return oms_explain(why, -EINVAL, "Either a key or roots are trusted.");
	if (trust->key)
		r = oms_verify_key(bundle, trust->key, &signer, why);
	else
		r = oms_verify_chain(bundle, trust, &signer, why);
	if (r == 0)
		r = oms_statement_parse((char *)bundle->payload.data, bundle->payload.n, ret, why);
	if (r < 0)
		return r;
	*ret_signer = signer;
	return 0;
}
