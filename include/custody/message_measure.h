/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the measurer, and its record: the end of custody/message.h, which includes it. */
#ifndef CUSTODY_MESSAGE_MEASURE_H
#define CUSTODY_MESSAGE_MEASURE_H

#include <linux/types.h>

#include "custody/evidence.h"
#include "custody/message_head.h"

struct measure_request {
	struct message_head head;
	__u32 jail_id;
	__u32 trust_known;	/* 1: known files are as they were, if their identity is */
	__u32 fingerprints;	/* 1: they are asked for, so all of it is read whatever is known */
	__u32 pad;
};

/* Now and then while it reads, so that a step that goes on is told from one that hangs. */
struct measure_progress {
	struct message_head head;
	__u64 done;		/* bytes */
	__u64 total;
};

/*
 * fds, sealed: the table of what was measured (custody/measured.h), and the index of fingerprints
 * (fingerprint.h), which is empty when it was not asked for.
 */
struct measured {
	struct message_head head;
	struct ledger_measured measured;
};

/* The mount is the jail's by now: is all that it shows what was measured? */
struct measure_compare {
	struct message_head head;
};

struct measure_same {
	struct message_head head;
};

struct record_checked {
	struct message_head head;
	struct ledger_checked check;
};

struct reply_checked {
	struct message_head head;
	struct ledger_checked check;
};

struct record_measured {
	struct message_head head;
	struct ledger_measured measured;
};

#endif
