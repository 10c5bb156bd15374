/* SPDX-License-Identifier: Apache-2.0 */
/* The retirement sequence: from a running or stopped model to signed evidence. Run by custodyd. */
#ifndef CUSTODY_WARDEN_RETIRE_H
#define CUSTODY_WARDEN_RETIRE_H

#include "warden.h"

/* Starts a retirement; the answer goes to ticket->id. The jail must have no sequence. */
void retire_begin(struct jail *jail, const struct ticket *ticket);

/* A fact, or the end of the facts, from the sweeper. */
void retire_message(struct jail *jail, const union message_buffer *buf);

/* The sweeper could not finish: what it did not say becomes "not looked at". */
void retire_sweeper_failed(struct jail *jail, const char *why);

/* The recorder ended: a retirement that waits for its verdict fails; life_resume() begins again. */
void retire_recorder_gone(struct jail *jail);

/* The recorder has judged, signed and stored. */
void retire_judged(struct jail *jail, const struct retired *retired);

#endif
