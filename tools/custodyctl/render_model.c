/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the registry in words and in JSON. Run by custodyctl. Pure. Trusts no string. */
#include "render_model.h"

#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "render.h"

static const char *const render_model_changes[_LEDGER_MODEL_MAX] = {
#define RENDER_MODEL_NAME(name, json) [LEDGER_MODEL_##name] = (json),
	LEDGER_MODEL_CHANGES(RENDER_MODEL_NAME)
#undef RENDER_MODEL_NAME
};

/* What record_check() let through is in range. */
static const char *render_model_change(const struct ledger_model *model)
{
	return model->change < _LEDGER_MODEL_MAX && render_model_changes[model->change] ?
		       render_model_changes[model->change] : "changed";
}

static void render_model_digest(const __u8 digest[CUSTODY_DIGEST_SIZE],
				char ret[2 * CUSTODY_DIGEST_SIZE + 1])
{
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* Null when the version has no index. */
static json_t *render_model_index(const struct ledger_model *model)
{
	static const __u8 none[CUSTODY_DIGEST_SIZE];
	char digest[2 * CUSTODY_DIGEST_SIZE + 1];

	if (memcmp(model->fingerprints, none, sizeof(none)) == 0)
		return json_null();
	render_model_digest(model->fingerprints, digest);
	return json_string(digest);
}

void render_model_line(const struct ledger_model *model, char *ret, size_t size)
{
	char digest[2 * CUSTODY_DIGEST_SIZE + 1];
	char why[ESCAPE_SIZE(sizeof(model->why))];
	char by[32] = "";

	render_model_digest(model->digest, digest);
	(void)escape_text(model->why, sizeof(model->why), false, why, sizeof(why));
	if (model->requester_uid != MODEL_NOBODY)
		(void)snprintf(by, sizeof(by), ", by uid %u", model->requester_uid);
	(void)snprintf(ret, size, "model     %s@%u %s%s%s, profile %s, sha256:%s%s%s", model->name,
		       model->version, render_model_change(model),
		       model->failed ? " (it is not so: the registry could not be written)" : "",
		       by, model->profile, digest, why[0] ? ": " : "", why);
}

json_t *render_model_json(const struct ledger_model *model)
{
	char digest[2 * CUSTODY_DIGEST_SIZE + 1];
	char why[ESCAPE_SIZE(sizeof(model->why))];

	render_model_digest(model->digest, digest);
	(void)escape_text(model->why, sizeof(model->why), false, why, sizeof(why));
	return json_pack("{s:s, s:I, s:s, s:b, s:s, s:s, s:I, s:o}", "change",
			 render_model_change(model), "version", (json_int_t)model->version,
			 "profile", model->profile, "failed", (int)model->failed, "digest", digest,
			 "why", why, "requester_uid", (json_int_t)model->requester_uid,
			 "fingerprints", render_model_index(model));
}
