/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custody-recorder does with events and messages, apart from where they come from: main.c
 * has the ring buffer, the confinement and the loop.
 *
 * Invariants:
 *   R1  RECORDED is answered only for a record that is on disk;
 *   R2  what cannot be recorded is counted, and the count goes into a gap record before the next
 *       record that can be written;
 *   R3  between a retire record and its verdict record nothing else is written;
 *   R4  a launch without an end in the ledger is a jail in custody: what custodyd does not name at
 *       the start gets its end then, and a gap, and no jail has two ends.
 */
#ifndef CUSTODY_RECORDER_H
#define CUSTODY_RECORDER_H

#include "ledger.h"
#include "message.h"

#define RECORDER_HEAD_SECONDS	60	/* longest time that a record stays under no signed head */
#define RECORDER_LOCK_WAIT_MS	5000	/* for a predecessor that is draining */
#define RECORDER_LOSSES_MAX	(CUSTODY_JAILS_MAX + _LEDGER_GAP_MAX)

/* Where a jail's records begin. One for each launch that the ledger has. */
struct recorder_launch {
	__u32 jail_id;
	__u64 seq;
	__u64 offset;
	__u8 previous[CUSTODY_DIGEST_SIZE];
	bool ended;		/* it has stopped, or a verdict: on record at ... */
	__u64 ended_seq;
};

/* Events that reached no record, until a gap record says so. */
struct recorder_loss {
	__u32 jail_id;
	enum ledger_gap_cause cause;
	__u64 lost;		/* not yet in a gap record */
	__u64 total;		/* since this recorder started */
};

struct recorder {
	int channel;
	int evidence_fd;
	struct key *key;
	struct ledger *ledger;
	char origin[CUSTODY_NAME_SIZE];
	__u32 fsync_ms;
	__u64 unsynced_since_ms;	/* 0: everything is on disk */
	__u64 head_ms;			/* when a head was last signed or tried */
	__u64 head_size;		/* records under it */
	bool failing;			/* the last write failed, and that was logged */
	__u8 boot_id[16];		/* of the newest LEDGER_OPENED record */
	__u32 custody[CUSTODY_JAILS_MAX];	/* of RECORDER_SETUP */
	__u32 n_custody;
	bool custody_known;
	struct recorder_launch *launches;
	size_t n_launches;
	struct recorder_loss losses[RECORDER_LOSSES_MAX];
	size_t n_losses;
	/* Empties the ring as far as it goes, before a retirement is judged; may be NULL. */
	void (*drain)(void *data);
	void *drain_data;
};

/*
 * Opens key and ledger and writes the public key beside it. problem (size bytes) gets the reason
 * in words. The fds stay the caller's; channel and evidence_fd are used until recorder_close().
 * 0 or -errno.
 */
int recorder_open(struct recorder *recorder, int channel, int ledger_dirfd, int key_fd,
		  int evidence_fd, const struct recorder_setup *setup, char *problem,
		  size_t size);

/* The first records of this run, and a signed head. 0 or -errno. */
int recorder_begin(struct recorder *recorder);

/* One sample of the ring buffer, of any size and content: recorded or counted. */
void recorder_take_sample(struct recorder *recorder, const void *data, size_t n);

/* One message of custodyd. 0, or -errno when the answer could not be sent: custodyd is gone. */
int recorder_handle(struct recorder *recorder, const union message_buffer *message);

/* Message types that recorder_handle() takes. */
#define RECORDER_PERMIT                                                                      \
	(MSG_BIT(MSG_RECORD_EVENT) | MSG_BIT(MSG_RECORD_LAUNCH) | MSG_BIT(MSG_RECORD_STATE) | \
	 MSG_BIT(MSG_RECORD_GAP) | MSG_BIT(MSG_RECORD_COUNTER) | MSG_BIT(MSG_RECORD_FACT) |   \
	 MSG_BIT(MSG_RECORD_RETIRE) | MSG_BIT(MSG_RECORD_MEASURED) |     \
	 MSG_BIT(MSG_RECORD_MODEL) | MSG_BIT(MSG_RECORD_CHECKED))

/* Syncs and signs what is due. Returns milliseconds until it must be called again. */
int recorder_tick(struct recorder *recorder);

/* Writes gap records, syncs, signs. 0, or -errno when something could not be written. */
int recorder_end(struct recorder *recorder);

/* Frees key, ledger and index. */
void recorder_close(struct recorder *recorder);

/* ---- for the recorder's own files ---- */

int recorder_add_launch(struct recorder *recorder, const struct recorder_launch *launch);
struct recorder_launch *recorder_find_launch(const struct recorder *recorder, __u32 jail_id);

/* Counts events of a jail (0: of no particular one) as lost. */
void recorder_lose(struct recorder *recorder, __u32 jail_id, enum ledger_gap_cause cause,
		   __u64 n);

/* Appends gap records for what was lost, without syncing; with, everything. 0 or -errno. */
int recorder_write_losses(struct recorder *recorder);
int recorder_sync(struct recorder *recorder);

/* Signs a head now; a failure is logged, and tried again by recorder_tick(). */
int recorder_sign(struct recorder *recorder);

/* Answers REFUSED with what is wrong with the disk and what to do. */
int recorder_refuse_write(struct recorder *recorder, __u64 id, const char *what, int error);

/* RECORD_RETIRE: verdict, statement, evidence, answer. */
int recorder_retire(struct recorder *recorder, const struct record_retire *message);

#endif
