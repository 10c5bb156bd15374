/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-toto statement of a retirement as JSON. Run by the recorder, and again by
 * custody-verify. Pure: the same records give the same bytes. retirement.h says what each
 * field means.
 */
#include "retirement.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "escape.h"

static const char *const statement_planes[] = { "structure", "cgroup", "lsm", "observe",
						"guard", "limits" };

static const char *const statement_structure[] = {
#define STATEMENT_STRUCTURE(name, json, what) json,
	EVIDENCE_STRUCTURE(STATEMENT_STRUCTURE)
#undef STATEMENT_STRUCTURE
};

/* What each way of erasing does, and what it does not. */
static const char *const statement_erase_methods[] = {
	[EVIDENCE_ERASE_NOTHING] = "nothing",
	[EVIDENCE_ERASE_MEMORY] = "unmount-memory",
	[EVIDENCE_ERASE_SWAPPABLE] = "unmount-swappable-memory",
};

static const char *const statement_erase_claims[] = {
	[EVIDENCE_ERASE_NOTHING] =
		"The jail had no scratch space. Nothing was erased. The model's own files were "
		"neither copied by custody nor erased by it.",
	[EVIDENCE_ERASE_MEMORY] =
		"Scratch was memory (tmpfs) on a host without swap; unmounting it gave the pages "
		"back to the kernel, which clears them before another process sees them. This is "
		"not media sanitisation as in NIST SP 800-88: memory was not overwritten at once, "
		"and the model's own files were not erased.",
	[EVIDENCE_ERASE_SWAPPABLE] =
		"Scratch was memory (tmpfs) that the host could have written to swap; unmounting "
		"it gave the pages and swap slots back, but what was in swap slots was not "
		"overwritten. This is not media sanitisation as in NIST SP 800-88, and the "
		"model's own files were not erased.",
};

char *retirement_print_time(__u64 time_ns, char ret[RETIREMENT_TIME_SIZE])
{
	time_t seconds = (time_t)(time_ns / 1000000000ULL);
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(ret, RETIREMENT_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09lluZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, (unsigned long long)(time_ns % 1000000000ULL));
	return ret;
}

static json_t *statement_hex(const __u8 digest[CUSTODY_DIGEST_SIZE])
{
	char hex[2 * CUSTODY_DIGEST_SIZE + 1];

	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return json_string(hex);
}

static json_t *statement_digest(const __u8 digest[CUSTODY_DIGEST_SIZE])
{
	return json_pack("{s:o}", "sha256", statement_hex(digest));
}

static json_t *statement_time(__u64 time_ns)
{
	char text[RETIREMENT_TIME_SIZE];

	return time_ns == 0 ? json_null() : json_string(retirement_print_time(time_ns, text));
}

/* The names of the bits that are set, in their order. */
static json_t *statement_names(__u32 mask, const char *const *names, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		if ((mask & (1U << i)) && json_array_append_new(array, json_string(names[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *statement_plane_names(__u32 mask)
{
	return statement_names(mask, statement_planes,
			       sizeof(statement_planes) / sizeof(statement_planes[0]));
}

/* What the jail was as the kernel showed it before the launch, and the ids that only it had. */
static json_t *statement_structure_object(const struct ledger_launch *launch)
{
	const __u32 held = launch->structure;

	return json_pack("{s:o, s:o, s:I}", "held",
			 statement_names(held, statement_structure, _STRUCTURE_BIT_MAX), "missing",
			 statement_names(~held, statement_structure, _STRUCTURE_BIT_MAX),
			 "landlockAbi", (json_int_t)launch->landlock_abi);
}

static json_t *statement_uids(const struct ledger_launch *launch)
{
	const json_int_t first = (json_int_t)CUSTODY_UID_JAIL_BASE +
				 (json_int_t)launch->slot * CUSTODY_UID_JAIL_BLOCK;

	return json_pack("{s:I, s:I}", "first", first, "count",
			 (json_int_t)CUSTODY_UID_JAIL_BLOCK);
}

static json_t *statement_planes_object(const struct retirement *r)
{
	__u32 required = r->launch.planes_required | r->retire.planes_required;
	__u32 active = r->launch.planes_active & r->retire.planes_active;

	return json_pack("{s:o, s:o, s:o}", "required", statement_plane_names(required), "active",
			 statement_plane_names(active), "missing",
			 statement_plane_names(required & ~active));
}

static json_t *statement_fact(const struct evidence_fact *fact)
{
	char detail[ESCAPE_SIZE(sizeof(fact->detail))];

	return json_pack("{s:s, s:s, s:b, s:I, s:I, s:s}", "fact", verdict_fact_name(fact->fact),
			 "phase", verdict_phase_name(fact->phase), "looked", (int)fact->looked,
			 "value", (json_int_t)fact->value, "unseen", (json_int_t)fact->unseen,
			 "detail",
			 escape_text(fact->detail, sizeof(fact->detail), false, detail,
				     sizeof(detail)));
}

static json_t *statement_facts(const struct retirement *r)
{
	json_t *array = json_array();

	for (__u32 i = 0; array && i < r->n_facts; i++) {
		if (json_array_append_new(array, statement_fact(&r->facts[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *statement_reason(const struct verdict_reason *reason)
{
	json_t *fact = reason->fact == FACT_NONE ? json_null() :
						   json_string(verdict_fact_name(reason->fact));

	return json_pack("{s:o, s:s, s:I}", "fact", fact, "why", verdict_why_text(reason->why),
			 "value", (json_int_t)reason->value);
}

static json_t *statement_reasons(const struct verdict_result *result)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < result->n_reasons; i++) {
		if (json_array_append_new(array, statement_reason(&result->reasons[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *statement_ledger(const struct retirement *r, const char *origin)
{
	return json_pack("{s:s, s:I, s:o, s:I, s:o, s:I}", "origin", origin, "firstSeq",
			 (json_int_t)r->first_seq, "previousHash",
			 statement_hex(r->previous_hash), "retireSeq", (json_int_t)r->retire_seq,
			 "retireHash", statement_hex(r->retire_hash), "verdictSeq",
			 (json_int_t)(r->retire_seq + 1));
}

static json_t *statement_times(const struct retirement *r)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "launched", statement_time(r->launched_ns),
			 "started", statement_time(r->retire.started_ns), "drained",
			 statement_time(r->retire.drained_ns), "retired",
			 statement_time(r->retired_ns));
}

/* Only when it is known: what evidence said before there were measurements, it goes on saying. */
static json_t *statement_weights(const struct ledger_measured *measured)
{
	char signer[ESCAPE_SIZE(sizeof(measured->signer))];

	if (measured->jail_id == 0)
		return NULL;
	(void)escape_text(measured->signer, sizeof(measured->signer), false, signer,
			  sizeof(signer));
	return json_pack("{s:o, s:I, s:I, s:o, s:I}", "digest",
			 statement_digest(measured->digest), "files", (json_int_t)measured->files,
			 "bytes", (json_int_t)measured->bytes, "signer",
			 signer[0] ? json_string(signer) : json_null(), "flags",
			 (json_int_t)measured->flags);
}

/* Likewise. */
static json_t *statement_checks(const struct retirement *r)
{
	json_t *array = r->n_checks > 0 ? json_array() : NULL;

	for (__u32 i = 0; array && i < r->n_checks; i++) {
		const struct ledger_checked *check = &r->checks[i];
		char command[ESCAPE_SIZE(sizeof(check->command))];

		(void)escape_text(check->command, sizeof(check->command), false, command,
				  sizeof(command));
		if (json_array_append_new(
			    array, json_pack("{s:s, s:o, s:I, s:o, s:I}", "command", command,
					     "commandDigest",
					     statement_digest(check->command_digest), "jail",
					     (json_int_t)check->check_jail, "outputDigest",
					     statement_digest(check->output_digest), "outputBytes",
					     (json_int_t)check->output_size)) == 0)
			continue;
		json_decref(array);
		return NULL;
	}
	return array;
}

static json_t *statement_predicate(const struct retirement *r, const char *origin)
{
	json_t *weights = statement_weights(&r->measured);
	json_t *checks = statement_checks(r);
	struct verdict_result result;

	if ((r->measured.jail_id != 0 && !weights) || (r->n_checks > 0 && !checks)) {
		json_decref(weights);
		json_decref(checks);
		return NULL;
	}
	retirement_judge(r, &result);
	return json_pack(
		"{s:s, s:s, s:o, s:I, s:{s:I, s:I}, s:o, s:o, s:o, s:{s:I, s:I}, s:{s:I, s:I},"
		" s:{s:s, s:s}, s:o, s:s, s:o, s:o, s:o, s:o*, s:o*}",
		"model", r->retire.name, "profile", r->retire.profile, "profileDigest",
		statement_digest(r->retire.profile_digest), "jail", (json_int_t)r->jail_id,
		"requesters", "launch", (json_int_t)r->launch.requester_uid, "retire",
		(json_int_t)r->retire.requester_uid, "planes", statement_planes_object(r), "time",
		statement_times(r), "facts", statement_facts(r), "losses", "gapRecords",
		(json_int_t)r->gaps, "eventsLost", (json_int_t)r->lost, "events", "recorded",
		(json_int_t)r->events, "denied", (json_int_t)r->denied, "erase", "method",
		statement_erase_methods[r->retire.erase], "claim",
		statement_erase_claims[r->retire.erase], "ledger", statement_ledger(r, origin),
		"verdict", verdict_name(result.verdict), "reasons", statement_reasons(&result),
		"uids", statement_uids(&r->launch), "structure",
		statement_structure_object(&r->launch), "weights",
		weights, "checks", checks);
}

int retirement_print(const struct retirement *r, const char *origin, char **ret, size_t *ret_n)
{
	json_t *statement;
	char *text = NULL;

	if (!r->retired)
		return -EINVAL;
	statement = json_pack("{s:s, s:[{s:s, s:o}], s:s, s:o}", "_type", RETIREMENT_STATEMENT,
			      "subject", "name", r->retire.name, "digest",
			      statement_digest(r->retire.plan_digest), "predicateType",
			      RETIREMENT_PREDICATE, "predicate", statement_predicate(r, origin));
	if (statement)
		text = json_dumps(statement, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(statement);
	if (!text)
		return -ENOMEM;
	*ret_n = strlen(text);
	*ret = text;
	return 0;
}
