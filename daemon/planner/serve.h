/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways the planner runs: for custodyd on its channel, and for a person. */
#ifndef CUSTODY_PLANNER_SERVE_H
#define CUSTODY_PLANNER_SERVE_H

/* Answers one PLAN_REQUEST or HOST_REQUEST on the channel. Returns an enum custody_exit. */
int serve_request(int channel);

/* --check, --show. Returns an enum custody_exit. */
int inspect_profile(int argc, char **argv);

#endif
