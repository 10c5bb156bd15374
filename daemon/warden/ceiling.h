/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress ceilings of the models: the account of each on disk, what of it the kernel may use
 * before it is written again, and what is done when a ceiling is reached. Run by custodyd only.
 *
 * The account belongs to the name: it survives stop and start, custodyd and the host, and ends
 * with the model's retirement. On disk stands what may have been sent, ahead of what has been.
 */
#ifndef CUSTODY_WARDEN_CEILING_H
#define CUSTODY_WARDEN_CEILING_H

#include "warden.h"

/* At the start of custodyd, after the policy: the accounts of its jails, and the kernel's calls. */
int ceiling_start(struct warden *warden);
void ceiling_stop(struct warden *warden);

/*
 * Before the jail has a process: reads its account, sets aside the first part of it on disk, and
 * installs both. 0, or -errno after sequence_explain(). Nothing for a plan without ceilings.
 */
int ceiling_install(struct jail *jail);

/*
 * Before the jail's processes are killed: connections that a ceiling has cut are ended. They would
 * outlive their processes, with what they may not send any more in their buffers.
 */
void ceiling_end_connections(struct jail *jail);

/* After the jail's last process: writes what was sent. The map entries are not touched. */
void ceiling_settle(struct jail *jail);

/* Sets aside more of the accounts, acts on what was reached. Each second, and when woken. */
void ceiling_check(struct warden *warden);

/*
 * As of the last look: a total is used up, or a rate was reached that the profile wants more done
 * about than to throttle.
 */
bool ceiling_was_crossed(const struct jail *jail);

/* For ps and status. */
void ceiling_fill_row(struct jail *jail, struct reply_row *row);

/* The fact of the retirement, after ceiling_settle(). */
void ceiling_fill_fact(const struct jail *jail, struct evidence_fact *fact);

/* The retirement is on record: the account ends. */
int ceiling_forget(struct jail *jail);

void ceiling_free(struct jail *jail);

#endif
