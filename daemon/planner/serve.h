/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways the planner runs: for custodyd on its channel, and for a person. */
#ifndef CUSTODY_PLANNER_SERVE_H
#define CUSTODY_PLANNER_SERVE_H

#include <stddef.h>

/* Answers one request of custodyd's on the channel. Returns an enum custody_exit. */
int serve_request(int channel);

/* The bytes in a memfd that nobody can change any more. Returns 0 or -errno. */
int serve_seal(const char *name, const void *data, size_t size, int *ret);

/* --check, --show. Returns an enum custody_exit. */
int inspect_profile(int argc, char **argv);

#endif
