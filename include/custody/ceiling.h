/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Egress ceilings: how many bytes a model may send, in a second and ever, as a whole and by
 * endpoint. custodyd writes the limits, the packet program what has been used.
 *
 * What counts is the length of the IP packet as the stack hands it to the program: a packet that
 * the network card is to cut into segments counts once, with one header. A packet that does not
 * fit is dropped and not charged, so `used` is never larger than `total`; what may still fit is
 * decided under the account's lock, which is one for the jail and its endpoints.
 */
#ifndef CUSTODY_CEILING_H
#define CUSTODY_CEILING_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "custody/limits.h"

/* Slots of one jail: its endpoints by their number in the plan, then the whole of it. */
#define CEILING_MODEL CUSTODY_ENDPOINTS_MAX
#define CEILING_SLOTS (CUSTODY_ENDPOINTS_MAX + 1)

#define CEILING_NONE (~0ULL)		/* as `granted`: no lifetime ceiling */
#define CEILING_RATE_MAX (1ULL << 35)	/* bytes a second: burst * 1e9 fits 64 bits */
#define CEILING_TOTAL_MAX (1ULL << 50)	/* bytes */
#define CEILING_BURST_MIN (128ULL << 10) /* two of the longest packets that TCP makes */
#define CEILING_BURST_PART 4		/* of a second, otherwise */

/* What happens when a ceiling is reached. The kernel drops at once, whatever it is. */
enum ceiling_action {
	CEILING_THROTTLE = 1,	/* the packets that do not fit are dropped, TCP slows down */
	CEILING_CUT,		/* from then on every packet out is dropped */
	CEILING_FREEZE,		/* as CUT, and custodyd freezes the jail */
	CEILING_KILL,		/* as CUT, and custodyd kills the model */
	_CEILING_ACTION_MAX,
};

/* Why a packet did not fit; bits of `crossed` and `handled`, `access` of an event. */
enum ceiling_cause {
	CEILING_BY_RATE = 1U << 0,
	CEILING_BY_TOTAL = 1U << 1,
	CEILING_BY_GRANT = 1U << 2,	/* what custodyd has written to disk is used up */
};

/*
 * map `ceilings`: HASH, key __u32 jail_id, written by custodyd only.
 *
 * `granted` runs ahead of `used` and never ahead of what is on disk: a crash can make the account
 * larger than what was sent, never smaller.
 */
struct ceiling_limit {
	__u64 rate;		/* bytes a second; 0: none */
	__u64 burst;		/* bytes that the bucket holds */
	__u64 fill_ns;		/* in which an empty bucket fills */
	__u64 total;		/* bytes; 0: none */
	__u64 granted;		/* `used` may not pass it; CEILING_NONE: no total */
	__u64 wake;		/* custodyd is told when `used` passes it */
	__u32 handled;		/* enum ceiling_cause mask: on record and acted upon */
	__u32 pad;
};

struct ceiling_limits {
	__u32 on_rate;		/* enum ceiling_action */
	__u32 on_total;
	struct ceiling_limit slot[CEILING_SLOTS];
};

/* map `accounts`: HASH, key __u32 jail_id; values are the program's once they are there. */
struct ceiling_account {
	__u64 used;		/* bytes out, over all starts under this name */
	__u64 tokens;		/* bytes in the bucket */
	__u64 filled_ns;	/* CLOCK_MONOTONIC */
	__u64 dropped;		/* packets that did not fit here */
	__u64 dropped_bytes;
	__u32 crossed;		/* enum ceiling_cause mask; GRANT never stays */
	__u32 pad;
};

struct ceiling_accounts {
	struct bpf_spin_lock lock;
	__u32 pad;
	struct ceiling_account slot[CEILING_SLOTS];
};

/* map `wakes`: RINGBUF of __u32 jail_id: custodyd is to look at that jail's accounts. */
#define CEILING_WAKES_SIZE 4096

_Static_assert(sizeof(struct ceiling_limit) == 56, "ceiling_limit");
_Static_assert(sizeof(struct ceiling_limits) == 960, "ceiling_limits");
_Static_assert(sizeof(struct ceiling_account) == 48, "ceiling_account");
_Static_assert(sizeof(struct ceiling_accounts) == 824, "ceiling_accounts");

#endif
