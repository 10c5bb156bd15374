/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences are lists: launch, stop and retirement are tables of steps with an undo column and
 * a reason for each place in the order. Run by custodyd; nothing here looks at outside data.
 *
 * A step begins; it is done (0), waits for a message, a timer or a process (-EINPROGRESS), or
 * fails (any other -errno, after sequence_explain()). When a step fails, the undo of that step
 * and of every step before it run, last first; then jail->finished is called with the reason.
 */
#ifndef CUSTODY_WARDEN_SEQUENCE_H
#define CUSTODY_WARDEN_SEQUENCE_H

#include "warden.h"

struct sequence_step {
	const char *name;		/* for progress, "starting the broker" */
	const char *reason;		/* why it stands here */
	int (*begin)(struct jail *jail);
	void (*undo)(struct jail *jail); /* NULL: nothing to undo; must bear a half-done step */
	__u32 timeout_ms;		/* for waiting steps; 0 = its own timer */
};

void sequence_start(struct jail *jail, const struct sequence_step *steps, unsigned int n,
		    void (*finished)(struct jail *, enum custody_exit, const char *));

/* The waiting step is done: goes on with the next. */
void sequence_continue(struct jail *jail);

/* Keeps the reason for people; the first reason wins. Returns error, so a step can return it. */
int sequence_explain(struct jail *jail, enum custody_exit exit_code, int error, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

/* What makes a sentence of a role's text: "." or nothing. */
const char *sequence_end_text(const char *text);

/* It waits in that step and goes on: its time begins anew. Nothing when it is in another. */
void sequence_go_on(struct jail *jail, int (*begin)(struct jail *));

/* The waiting step has failed (after sequence_explain()). */
void sequence_fail(struct jail *jail);

/* True when step `name` is the one that waits. */
bool sequence_waits_in(const struct jail *jail, int (*begin)(struct jail *));

#endif
