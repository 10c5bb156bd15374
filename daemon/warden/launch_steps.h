/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a launch, in order, and what undoes them. Run by custodyd, through launch.c. */
#ifndef CUSTODY_WARDEN_LAUNCH_STEPS_H
#define CUSTODY_WARDEN_LAUNCH_STEPS_H

#include "warden.h"

int launch_step_plan(struct jail *jail);
int launch_step_check(struct jail *jail);
int launch_step_cgroup(struct jail *jail);
int launch_step_policy(struct jail *jail);
int launch_step_broker(struct jail *jail);
int launch_step_jail(struct jail *jail);
int launch_step_zones(struct jail *jail);
int launch_step_ready(struct jail *jail);
int launch_step_record(struct jail *jail);
int launch_step_save(struct jail *jail);
int launch_step_open(struct jail *jail);
int launch_step_go(struct jail *jail);

void launch_undo_plan(struct jail *jail);
void launch_undo_cgroup(struct jail *jail);
void launch_undo_policy(struct jail *jail);
void launch_undo_broker(struct jail *jail);
void launch_undo_jail(struct jail *jail);
void launch_undo_record(struct jail *jail);
void launch_undo_save(struct jail *jail);

#endif
