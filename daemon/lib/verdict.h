/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict of a retirement: a pure function of facts, planes and losses. The recorder signs
 * what it returns; custody-verify links the same function and recomputes it.
 *
 *   residue     something is known to be left: a fact about endpoints or artifacts, looked at
 *               after the erase, is not 0. This beats every doubt: it needs no further proof.
 *   incomplete  nothing is known to be left, but something was not looked at, not all of it
 *               could be seen, an event was lost, or a plane that the profile requires was
 *               not active.
 *   clean       everything was looked at and nothing is left, and nothing was lost.
 *
 * FACT_DRAINED (connections-cut) informs and is not judged. Facts from before the erase are
 * recorded and not judged. When one fact is given twice, both are judged.
 */
#ifndef CUSTODY_VERDICT_H
#define CUSTODY_VERDICT_H

#include <stddef.h>

#include "custody/evidence.h"

struct verdict_input {
	const struct evidence_fact *facts;
	size_t n_facts;
	__u32 planes_missing;	/* enum custody_plane mask: required and not active */
	__u64 gaps;		/* gap records that concern the jail */
	__u64 lost;		/* events that they say were lost */
};

enum verdict_why {
	VERDICT_WHY_LEFT = 1,	/* value: how many */
	VERDICT_WHY_MISSING,	/* no such fact was recorded */
	VERDICT_WHY_NOT_LOOKED,
	VERDICT_WHY_UNSEEN,	/* value: how many */
	VERDICT_WHY_LOST,	/* a loss fact is not 0; value: how many */
	VERDICT_WHY_MALFORMED,	/* a fact that is out of range */
	VERDICT_WHY_GAP_RECORDS,	/* fact FACT_NONE; value: how many */
	VERDICT_WHY_LOST_RECORDS,	/* fact FACT_NONE; value: events lost */
	VERDICT_WHY_PLANES,	/* fact FACT_NONE; value: mask */
	_VERDICT_WHY_MAX,
};

struct verdict_reason {
	enum verdict_why why;
	__u32 fact;		/* enum evidence_fact_id */
	__u64 value;
};

#define VERDICT_REASONS_MAX 64

/* Reasons in the order of EVIDENCE_FACTS, then records and planes; none when clean. */
struct verdict_result {
	enum evidence_verdict verdict;
	size_t n_reasons;	/* those beyond VERDICT_REASONS_MAX are counted out */
	struct verdict_reason reasons[VERDICT_REASONS_MAX];
};

void verdict_decide(const struct verdict_input *input, struct verdict_result *ret);

/* "clean", "residue", "incomplete"; "unknown". */
const char *verdict_name(__u32 verdict);

/* "sockets-inet", and what its value counts; "unknown". */
const char *verdict_fact_name(__u32 fact);
const char *verdict_fact_meaning(__u32 fact);

/* "before-erase", "after-erase"; "unknown". */
const char *verdict_phase_name(__u32 phase);

/* What a reason says, without its number: "left", "not looked at", ... */
const char *verdict_why_text(enum verdict_why why);

/* One reason as a sentence without a full stop into ret (size bytes); returns ret. */
char *verdict_print_reason(const struct verdict_reason *reason, char *ret, size_t size);

#endif
