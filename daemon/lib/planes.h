/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which planes of enforcement this host offers, found by trying, with the reason and what to do
 * about it in words. Run by custodyd at start and by doctor. Needs root; leaves nothing behind.
 */
#ifndef CUSTODY_PLANES_H
#define CUSTODY_PLANES_H

#include <linux/types.h>
#include <stdbool.h>

#include "custody/plan.h"

#define PLANES_COUNT 6		/* bits of enum custody_plane */
#define PLANES_TEXT_SIZE 256

struct plane_state {
	bool present;
	char why[PLANES_TEXT_SIZE];	/* what was found; never empty */
	char remedy[PLANES_TEXT_SIZE];	/* what to do; empty when present */
};

/* "structure", "cgroup", "lsm", "observe", "guard", "limits"; NULL for all but one such bit. */
const char *planes_name(__u32 plane);

/* Tries one plane. Always fills *ret. Returns ret->present. */
bool planes_probe(__u32 plane, struct plane_state *ret);

/* Tries all; states[i] is the plane of bit i. Returns the mask of those present. */
__u32 planes_probe_all(struct plane_state states[PLANES_COUNT]);

#endif
