/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found of a model before it started. Run by custodyctl as the caller. Trusts no text of
 * a reply or a record.
 */
#include "render_measured.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "format.h"
#include "oms.h"
#include "render.h"

static const struct {
	__u32 flag;
	const char *name;
} render_measured_flags[] = {
	{ MEASURED_SIGNED, "signed" },	 { MEASURED_SHARDS, "shards" },
	{ MEASURED_PICKLE, "pickle" },	 { MEASURED_KNOWN, "known" },
	{ MEASURED_GUARDED, "guarded" }, { MEASURED_COMPARED, "compared" },
	{ MEASURED_REFUSED, "refused" },
};

void render_measured_line(const struct ledger_measured *measured, char ret[RENDER_MEASURED])
{
	char signer[ESCAPE_SIZE(sizeof(measured->signer))];
	char why[ESCAPE_SIZE(sizeof(measured->why))];
	char hex[OMS_HEX_SIZE], bytes[RENDER_WORD], read[RENDER_WORD + 8];

	(void)escape_text(measured->signer, sizeof(measured->signer), false, signer,
			  sizeof(signer));
	(void)escape_text(measured->why, sizeof(measured->why), false, why, sizeof(why));
	if (measured->flags & MEASURED_REFUSED) {
		(void)snprintf(ret, RENDER_MEASURED, "refused: %.900s", why);
		return;
	}
	oms_print_hex(measured->digest, hex);
	render_bytes(measured->bytes, bytes);
	render_bytes(measured->read, read);
	(void)snprintf(read + strlen(read), sizeof(read) - strlen(read), " read");
	(void)snprintf(ret, RENDER_MEASURED, "sha256:%s, %llu files, %s, %s%.600s, %s%s", hex,
		       (unsigned long long)measured->files, bytes,
		       measured->flags & MEASURED_SIGNED ? "signed by " : "not signed", signer,
		       measured->flags & MEASURED_KNOWN ? "known from before" : read,
		       measured->flags & MEASURED_PICKLE ? ", with pickles" : "");
}

void render_measured_short(const struct ledger_measured *measured, char ret[RENDER_DIGEST_SHORT])
{
	char hex[OMS_HEX_SIZE];

	oms_print_hex(measured->digest, hex);
	(void)snprintf(ret, RENDER_DIGEST_SHORT, "%.12s", measured->jail_id ? hex : "-");
}

static json_t *render_measured_names(__u32 flags)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < ARRAY_SIZE(render_measured_flags); i++) {
		if (flags & render_measured_flags[i].flag)
			(void)json_array_append_new(array,
						    json_string(render_measured_flags[i].name));
	}
	return array;
}

static json_t *render_measured_formats(__u32 formats)
{
	json_t *array = json_array();

	for (__u32 bit = 1; array && (bit & CUSTODY_FORMATS_ALL); bit <<= 1) {
		if (formats & bit)
			(void)json_array_append_new(array, json_string(format_name(bit)));
	}
	return array;
}

json_t *render_measured_json(const struct ledger_measured *measured)
{
	const bool refused = measured->flags & MEASURED_REFUSED;
	char hex[OMS_HEX_SIZE];

	/* what was not registered is on record, of no jail */
	if (measured->jail_id == 0 && !refused)
		return json_null();
	oms_print_hex(measured->digest, hex);
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "digest",
		refused ? json_null() : json_string(hex), "files",
		render_count_json(measured->files), "bytes", render_count_json(measured->bytes),
		"bytes_read", render_count_json(measured->read), "flags",
		render_measured_names(measured->flags), "formats",
		render_measured_formats(measured->formats), "attestations",
		(json_int_t)measured->attestations, "unlisted", (json_int_t)measured->unlisted,
		"signer", measured->signer[0] ? render_text_json(measured->signer) : json_null(),
		"why", refused ? render_text_json(measured->why) : json_null());
}
