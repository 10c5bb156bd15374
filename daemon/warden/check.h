/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that look at a model before it starts (model.check). Run by custodyd; see check.c. */
#ifndef CUSTODY_WARDEN_CHECK_H
#define CUSTODY_WARDEN_CHECK_H

#include "warden.h"

/* A step of the launch of the model: every program of the profile, one after the other. */
int check_step_run(struct jail *jail);
void check_undo(struct jail *jail);

/*
 * The same launch, of the jail in which one of them looks: its plan, made of the model's, and the
 * file that takes what it prints (and one that takes nothing, for what is too much).
 */
int check_make_plan(struct jail *jail);
int check_make_output(struct jail *jail, int *ret_output, int *ret_rest);

/* That launch is over, one way or the other. */
void check_launched(struct jail *jail);
void check_not_launched(struct jail *jail, const char *why);

/* Its init has ended, and what it printed is still on the way: life_ended() comes again then. */
bool check_waits_for_output(struct jail *jail);

/* The broker has ended before the jail. False: because nothing in a check can print any more. */
bool check_lost_output(struct jail *jail);

/* It has ended, and nothing of it is left; or its end could not be brought about. May free it. */
void check_ended(struct jail *jail, bool removed, const char *why);

/*
 * Who is told to stop or to retire while it is checked, or checks, is not started, and
 * that is the answer. False: this is about something else.
 */
bool check_take_request(struct jail *jail, const struct ticket *ticket, __u32 verb);

/* What it passed, for `status`. 0 or -errno. */
int check_send_rows(const struct jail *jail, __u64 id);

/* Nobody waits for the launch any more. */
void check_abandon(struct jail *jail);

/* What is on record about it ends here: neither of the two knows the other any more. */
void check_forget(struct jail *jail);

/*
 * The next record that is owed of those that were passed is on its way. True; false: there is
 * none. *ret_error: it could not be sent.
 */
bool check_tell_next(struct jail *jail, __u64 id, int *ret_error);

#endif
