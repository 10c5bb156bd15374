/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict of a retirement. Run by the recorder, and again by custody-verify. Pure: no
 * clock, no file, no allocation. Trusts nothing: a fact out of range can only make it worse.
 */
#include "verdict.h"

#include <stdio.h>

enum verdict_kind {
	VERDICT_KIND_RESIDUE = 1,	/* nonzero: something is left */
	VERDICT_KIND_LOSS,		/* nonzero: something was not recorded or not enforced */
	VERDICT_KIND_INFORM,		/* not judged */
};

struct verdict_fact_row {
	const char *name;
	const char *meaning;
};

static const struct verdict_fact_row verdict_facts[_FACT_MAX] = {
#define VERDICT_FACT_ROW(name, json, what) [FACT_##name] = { json, what },
	EVIDENCE_FACTS(VERDICT_FACT_ROW)
#undef VERDICT_FACT_ROW
};

/* A fact that is added to EVIDENCE_FACTS is residue until somebody decides otherwise here. */
static enum verdict_kind verdict_find_kind(__u32 fact)
{
	switch (fact) {
	case FACT_EVENTS_LOST:
	case FACT_GAPS:
	case FACT_PLANES_MISSING:
	case FACT_CEILING:
		return VERDICT_KIND_LOSS;
	case FACT_DRAINED:
		return VERDICT_KIND_INFORM;
	default:
		return VERDICT_KIND_RESIDUE;
	}
}

static void verdict_add(struct verdict_result *result, enum verdict_why why, __u32 fact,
			__u64 value)
{
	if (why == VERDICT_WHY_LEFT)
		result->verdict = VERDICT_RESIDUE;
	else if (result->verdict == VERDICT_CLEAN)
		result->verdict = VERDICT_INCOMPLETE;
	if (result->n_reasons < VERDICT_REASONS_MAX)
		result->reasons[result->n_reasons++] =
			(struct verdict_reason){ .why = why, .fact = fact, .value = value };
}

static void verdict_judge_fact(const struct evidence_fact *fact, struct verdict_result *result)
{
	enum verdict_kind kind = verdict_find_kind(fact->fact);

	if (fact->looked > 1) {
		verdict_add(result, VERDICT_WHY_MALFORMED, fact->fact, fact->looked);
		return;
	}
	if (fact->looked == 0) {
		verdict_add(result, VERDICT_WHY_NOT_LOOKED, fact->fact, 0);
		return;
	}
	if (fact->value != 0)
		verdict_add(result,
			    kind == VERDICT_KIND_RESIDUE ? VERDICT_WHY_LEFT : VERDICT_WHY_LOST,
			    fact->fact, fact->value);
	if (fact->unseen != 0)
		verdict_add(result, VERDICT_WHY_UNSEEN, fact->fact, fact->unseen);
}

static void verdict_judge_id(const struct verdict_input *input, __u32 id,
			     struct verdict_result *result)
{
	size_t found = 0;

	if (verdict_find_kind(id) == VERDICT_KIND_INFORM)
		return;
	for (size_t i = 0; i < input->n_facts; i++) {
		if (input->facts[i].fact != id || input->facts[i].phase != EVIDENCE_AFTER_ERASE)
			continue;
		found++;
		verdict_judge_fact(&input->facts[i], result);
	}
	if (found == 0)
		verdict_add(result, VERDICT_WHY_MISSING, id, 0);
}

void verdict_decide(const struct verdict_input *input, struct verdict_result *ret)
{
	struct verdict_result result = { .verdict = VERDICT_CLEAN };

	for (__u32 id = FACT_NONE + 1; id < _FACT_MAX; id++)
		verdict_judge_id(input, id, &result);
	for (size_t i = 0; i < input->n_facts; i++) {
		const struct evidence_fact *fact = &input->facts[i];

		if (fact->fact == FACT_NONE || fact->fact >= _FACT_MAX ||
		    (fact->phase != EVIDENCE_BEFORE_ERASE && fact->phase != EVIDENCE_AFTER_ERASE))
			verdict_add(&result, VERDICT_WHY_MALFORMED, FACT_NONE, fact->fact);
	}
	if (input->gaps != 0)
		verdict_add(&result, VERDICT_WHY_GAP_RECORDS, FACT_NONE, input->gaps);
	if (input->lost != 0)
		verdict_add(&result, VERDICT_WHY_LOST_RECORDS, FACT_NONE, input->lost);
	if (input->planes_missing != 0)
		verdict_add(&result, VERDICT_WHY_PLANES, FACT_NONE, input->planes_missing);
	*ret = result;
}

const char *verdict_name(__u32 verdict)
{
	static const char *const names[] = {
		[VERDICT_CLEAN] = "clean",
		[VERDICT_RESIDUE] = "residue",
		[VERDICT_INCOMPLETE] = "incomplete",
	};

	if (verdict < VERDICT_CLEAN || verdict > VERDICT_INCOMPLETE)
		return "unknown";
	return names[verdict];
}

const char *verdict_fact_name(__u32 fact)
{
	return fact > FACT_NONE && fact < _FACT_MAX ? verdict_facts[fact].name : "unknown";
}

const char *verdict_fact_meaning(__u32 fact)
{
	return fact > FACT_NONE && fact < _FACT_MAX ? verdict_facts[fact].meaning : "unknown";
}

const char *verdict_phase_name(__u32 phase)
{
	if (phase == EVIDENCE_BEFORE_ERASE)
		return "before-erase";
	return phase == EVIDENCE_AFTER_ERASE ? "after-erase" : "unknown";
}

const char *verdict_why_text(enum verdict_why why)
{
	static const char *const texts[_VERDICT_WHY_MAX] = {
		[VERDICT_WHY_LEFT] = "left",
		[VERDICT_WHY_MISSING] = "no fact recorded",
		[VERDICT_WHY_NOT_LOOKED] = "not looked at",
		[VERDICT_WHY_UNSEEN] = "could not be seen",
		[VERDICT_WHY_LOST] = "not zero",
		[VERDICT_WHY_MALFORMED] = "malformed fact",
		[VERDICT_WHY_GAP_RECORDS] = "gap records in the ledger",
		[VERDICT_WHY_LOST_RECORDS] = "events lost, by gap records",
		[VERDICT_WHY_PLANES] = "required planes not active",
	};

	return why > 0 && why < _VERDICT_WHY_MAX ? texts[why] : "unknown";
}

char *verdict_print_reason(const struct verdict_reason *reason, char *ret, size_t size)
{
	unsigned long long value = reason->value;
	const char *name = verdict_fact_name(reason->fact);
	const char *meaning = verdict_fact_meaning(reason->fact);

	switch (reason->why) {
	case VERDICT_WHY_LEFT:
	case VERDICT_WHY_LOST:
		(void)snprintf(ret, size, "%s: %llu %s", name, value, meaning);
		break;
	case VERDICT_WHY_UNSEEN:
		(void)snprintf(ret, size, "%s: %llu could not be seen while looking for %s", name,
			       value, meaning);
		break;
	case VERDICT_WHY_MISSING:
	case VERDICT_WHY_NOT_LOOKED:
		(void)snprintf(ret, size, "%s: %s (%s)", name, verdict_why_text(reason->why),
			       meaning);
		break;
	default:
		(void)snprintf(ret, size, "%s: %llu", verdict_why_text(reason->why), value);
		break;
	}
	return ret;
}
