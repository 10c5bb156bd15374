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

void render_checked_line(const struct ledger_checked *checked, char ret[RENDER_MEASURED])
{
	char command[ESCAPE_SIZE(sizeof(checked->command))];
	char output[ESCAPE_SIZE(sizeof(checked->output))];
	char why[ESCAPE_SIZE(sizeof(checked->why))];

	(void)escape_text(checked->command, sizeof(checked->command), false, command,
			  sizeof(command));
	(void)escape_text(checked->output, sizeof(checked->output), false, output, sizeof(output));
	(void)escape_text(checked->why, sizeof(checked->why), false, why, sizeof(why));
	if (!(checked->flags & CHECK_PASSED))
		(void)snprintf(ret, RENDER_MEASURED, "refused: %.900s", why);
	else
		(void)snprintf(ret, RENDER_MEASURED,
			       "passed: %.400s, in jail %u, in %llu ms%s%.400s%s", command,
			       checked->check_jail, (unsigned long long)checked->ran_ms,
			       output[0] ? "; it printed " : "; it printed nothing", output,
			       checked->flags & CHECK_OUTPUT_CUT ? " and more" : "");
}

static const struct {
	__u32 flag;
	const char *name;
} render_checked_flags[] = {
	{ CHECK_PASSED, "passed" },   { CHECK_LATE, "late" },
	{ CHECK_NOT_RUN, "not-run" }, { CHECK_OUTPUT_CUT, "output-cut" },
};

json_t *render_checked_json(const struct ledger_checked *checked)
{
	const bool passed = checked->flags & CHECK_PASSED;
	char model[OMS_HEX_SIZE], command[OMS_HEX_SIZE], output[OMS_HEX_SIZE];
	json_t *flags = json_array();

	for (size_t i = 0; flags && i < ARRAY_SIZE(render_checked_flags); i++) {
		if (checked->flags & render_checked_flags[i].flag)
			(void)json_array_append_new(flags,
						    json_string(render_checked_flags[i].name));
	}
	oms_print_hex(checked->model_digest, model);
	oms_print_hex(checked->command_digest, command);
	oms_print_hex(checked->output_digest, output);
	return json_pack("{s:b, s:o, s:o, s:s, s:s, s:I, s:I, s:o, s:I, s:s, s:o, s:I, s:o}",
			 "passed", passed, "flags", flags, "command",
			 render_text_json(checked->command), "command_digest", command,
			 "model_digest", model, "check_jail", (json_int_t)checked->check_jail,
			 "status", (json_int_t)checked->status, "output",
			 checked->output[0] ? render_text_json(checked->output) : json_null(),
			 "output_bytes", (json_int_t)checked->output_size, "output_digest", output,
			 "ran_ms", render_count_json(checked->ran_ms), "index",
			 (json_int_t)checked->index, "why",
			 passed ? json_null() : render_text_json(checked->why));
}

json_t *render_checks_json(const struct ledger_checked *checks, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		(void)json_array_append_new(array, render_checked_json(&checks[i]));
	return array;
}
