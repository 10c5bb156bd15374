/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [limits] of a jail by the controllers of its cgroup, and what it ran into. Run by custodyd.
 * Trusts the kernel's cgroupfs.
 */
#ifndef CUSTODY_WARDEN_LIMITS_H
#define CUSTODY_WARDEN_LIMITS_H

#include <stdbool.h>

#include "warden.h"

/* What of the plan no other means than a missing controller could hold: refused, explained. */
int limits_check(struct jail *jail);

/* On the cgroup of the jail, before it has a process. What cannot be held is refused, explained. */
int limits_install(struct jail *jail);

/* After its children were made: one of the model's processes killed for memory, all are. */
int limits_group_model(struct jail *jail);

/* From now on a process that is killed for want of memory is noticed at once. */
void limits_watch(struct jail *jail);

/* Looks now; what is new goes into the ledger, and what could not is tried again next time. */
void limits_look(struct jail *jail);

/* The model was killed as a whole for want of memory. */
bool limits_killed_model(const struct jail *jail);

void limits_fill_row(const struct jail *jail, struct reply_limits *ret);

#endif
