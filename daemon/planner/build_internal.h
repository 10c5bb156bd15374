/* SPDX-License-Identifier: Apache-2.0 */
/* What build.c shares with the files that add their own pieces to a plan. Run by the planner. */
#ifndef CUSTODY_PLANNER_BUILD_INTERNAL_H
#define CUSTODY_PLANNER_BUILD_INTERNAL_H

#include "build.h"

struct build {
	const struct settings *settings;
	const struct build_request *request;
	struct custody_plan *plan;
	struct problems *problems;
	const char *model; /* what {model} is; "" for nothing */
};

/* Into the plan's pool; a problem at place when there is no room. */
struct plan_string build_add_string(struct build *b, const char *text, struct place place);

/* With {model} and {name} replaced. */
struct plan_string build_add_word(struct build *b, const struct word *word);

/* "FILE:LINE [section] key" */
struct plan_string build_add_origin(struct build *b, struct place place, const char *section,
				    const char *key);

/* Puts the plan, as it is by now, to the check; a refusal is the fault of the piece at place. */
bool build_check(struct build *b, struct place place, const char *section, const char *key,
		 const char *item);

/* build_admission.c */
void build_add_admission(struct build *b);

#endif
