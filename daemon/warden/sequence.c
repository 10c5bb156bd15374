/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of step lists. Run by custodyd. Trusts its step tables only.
 *
 * Invariants: S1 at most one sequence per jail; S2 every begun step is undone when a later one
 * fails; S3 `finished` is called exactly once, last, and may free the jail.
 */
#include "sequence.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void sequence_stop_timer(struct jail *jail)
{
	jail->timeout = sd_event_source_disable_unref(jail->timeout);
}

static void sequence_end(struct jail *jail, enum custody_exit exit_code)
{
	void (*finished)(struct jail *, enum custody_exit, const char *) = jail->finished;
	char text[CUSTODY_TEXT_SIZE];

	sequence_stop_timer(jail);
	(void)snprintf(text, sizeof(text), "%s", jail->fail_text);
	jail->sequence = NULL;
	jail->finished = NULL;
	jail->waiting = false;
	jail->narrate = false;
	finished(jail, exit_code, text);
}

void sequence_fail(struct jail *jail)
{
	unsigned int at = jail->step + 1;

	jail->waiting = false;
	sequence_stop_timer(jail);
	if (!jail->fail_text[0])
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EIO,
				       "The step \"%s\" failed and gave no reason.",
				       jail->sequence[jail->step].name);
	while (at-- > 0) {
		if (jail->sequence[at].undo)
			jail->sequence[at].undo(jail);
	}
	sequence_end(jail, jail->fail_exit);
}

static int sequence_on_timeout(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -ETIMEDOUT,
			       "The step \"%s\" did not end within %u ms.",
			       jail->sequence[jail->step].name,
			       jail->sequence[jail->step].timeout_ms);
	sequence_fail(jail);
	return 0;
}

static int sequence_arm_timer(struct jail *jail)
{
	__u32 ms = jail->sequence[jail->step].timeout_ms;

	sequence_stop_timer(jail);
	if (ms == 0)
		return 0;
	return sd_event_add_time_relative(jail->warden->event, &jail->timeout, CLOCK_MONOTONIC,
					  (uint64_t)ms * 1000, 1000, sequence_on_timeout, jail);
}

/* Runs steps until one waits, fails, or the list ends. */
static void sequence_run(struct jail *jail)
{
	while (jail->step < jail->n_steps) {
		const struct sequence_step *step = &jail->sequence[jail->step];
		int r;

		if (jail->narrate)
			control_step(jail->warden, jail->ticket.id, jail->step + 1, jail->n_steps,
				     step->name);
		r = step->begin(jail);

		if (r == -EINPROGRESS) {
			jail->waiting = true;
			r = sequence_arm_timer(jail);
			if (r >= 0)
				return;
		}
		if (r < 0) {
			(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, r,
					       "The step \"%s\" failed: %s.", step->name,
					       strerror(-r));
			sequence_fail(jail);
			return;
		}
		jail->step++;
	}
	sequence_end(jail, CUSTODY_EXIT_DONE);
}

void sequence_start(struct jail *jail, const struct sequence_step *steps, unsigned int n,
		    void (*finished)(struct jail *, enum custody_exit, const char *))
{
	jail->sequence = steps;
	jail->n_steps = n;
	jail->step = 0;
	jail->waiting = false;
	jail->finished = finished;
	jail->fail_exit = CUSTODY_EXIT_DONE;
	jail->fail_text[0] = '\0';
	sequence_run(jail);
}

void sequence_continue(struct jail *jail)
{
	if (!jail->sequence || !jail->waiting)
		return;
	jail->waiting = false;
	sequence_stop_timer(jail);
	jail->step++;
	sequence_run(jail);
}

void sequence_go_on(struct jail *jail, int (*begin)(struct jail *))
{
	if (sequence_waits_in(jail, begin) && sequence_arm_timer(jail) < 0)
		sequence_stop_timer(jail);
}

int sequence_explain(struct jail *jail, enum custody_exit exit_code, int error, const char *format,
		     ...)
{
	va_list ap;

	if (jail->fail_text[0])
		return error;
	va_start(ap, format);
	(void)vsnprintf(jail->fail_text, sizeof(jail->fail_text), format, ap);
	va_end(ap);
	jail->fail_exit = exit_code;
	return error;
}

bool sequence_waits_in(const struct jail *jail, int (*begin)(struct jail *))
{
	return jail->sequence && jail->waiting && jail->sequence[jail->step].begin == begin;
}

const char *sequence_end_text(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && strchr(".:\n", text[n - 1]) ? "" : ".";
}
