/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: an append-only, hash-chained file of records (custody/evidence.h), and a file of
 * signed heads. The writer is the recorder's alone; the reader is for every tool.
 *
 * Files in the ledger directory: `log` (records), `heads` (notes, each followed by an empty
 * line). Invariants:
 *   L1  what ledger_sync() has answered 0 for is on disk and is never taken back;
 *   L2  a failed append or sync leaves the file as it was before, or marks it so that nothing is
 *       written until it has been;
 *   L3  a head is signed only over synced records, so a log shorter than its newest head was
 *       cut by somebody else.
 */
#ifndef CUSTODY_LEDGER_H
#define CUSTODY_LEDGER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "key.h"
#include "note.h"
#include "record.h"

#define LEDGER_LOG	"log"
#define LEDGER_HEADS	"heads"
#define LEDGER_PUB	"ledger.pub"	/* PEM SubjectPublicKeyInfo */
#define LEDGER_VKEY	"ledger.vkey"	/* signed-note vkey */
#define LEDGER_HEADS_MAX (256UL << 20)

/* The system calls that change the ledger: a test replaces them to make the n-th one fail. */
struct ledger_ops {
	ssize_t (*write)(void *data, int fd, const void *bytes, size_t n);
	int (*sync)(void *data, int fd);
	int (*truncate)(void *data, int fd, off_t size);
	void *data;
};

/* Where reading stopped and why; offset is the byte in the file where the bad record begins. */
struct ledger_problem {
	const char *file;
	const char *why;
	__u64 seq;
	__u64 offset;
};

/* ---- writer ---- */

struct ledger;

/* Called for every record when the ledger is opened: previous is hash(seq - 1). */
typedef int (*ledger_visit_fn)(void *data, const struct record_entry *entry, __u64 offset,
			       const __u8 previous[CUSTODY_DIGEST_SIZE]);

/*
 * Opens (or makes, 0640) the ledger in dirfd for writing, checks the whole chain and cuts a torn
 * end: a last record that is cut short or whose hash is wrong, or nothing but zero bytes. ops
 * NULL: the real system calls. Waits at most wait_ms for another writer to let go. 0 with *ret
 * (ledger_close()); -EBUSY when another writer holds it; -EBADMSG with *ret_problem when it is
 * wrong anywhere else, or shorter than its newest signed head (nothing is changed then); -errno.
 */
int ledger_open(int dirfd, const struct ledger_ops *ops, int wait_ms, ledger_visit_fn visit,
		void *visit_data, struct ledger **ret, struct ledger_problem *ret_problem);

/* Closes without syncing. NULL-safe, sets NULL. */
void ledger_close(struct ledger **ledger);
#define cleanup_ledger __attribute__((cleanup(ledger_close)))

/*
 * Appends one record; it is on disk after the next ledger_sync(). 0 with *ret_seq (may be NULL);
 * -EINVAL when record_check() refuses it (the caller's fault); -ENOSPC and other -errno with the
 * log as it was.
 */
int ledger_append(struct ledger *ledger, enum ledger_type type, __u32 jail_id,
		  const void *payload, size_t n, __u64 *ret_seq);

/*
 * Makes everything appended so far durable. On failure the records since the last good sync are
 * taken back and *ret_lost (may be NULL) tells how many they were.
 */
int ledger_sync(struct ledger *ledger, __u64 *ret_lost);

/*
 * Syncs, signs the head and appends it to `heads` unless it is there already. The note goes
 * into ret (NOTE_SIZE_MAX, may be NULL).
 */
int ledger_sign(struct ledger *ledger, const struct key *key, const char *origin, char *ret);

__u64 ledger_size(const struct ledger *ledger);		/* records */
__u64 ledger_end(const struct ledger *ledger);		/* bytes: where the next record begins */
__u64 ledger_unsynced(const struct ledger *ledger);	/* records */
__u64 ledger_torn(const struct ledger *ledger);		/* bytes cut when it was opened */
const __u8 *ledger_hash(const struct ledger *ledger);	/* of the last record; zeros when none */
int ledger_fd(const struct ledger *ledger);		/* of the log, for readers; stays its own */

/* ---- reader: one pass over a log, or a part of it, that may still be growing ---- */

#define LEDGER_READER_BUFFER 65536

struct ledger_reader {
	int fd;			/* the caller's */
	bool check;		/* check hashes */
	__u64 offset;		/* of the record that comes next */
	__u64 seq;
	__u8 hash[CUSTODY_DIGEST_SIZE];	/* of the record before */
	size_t used;		/* bytes in buffer, and where the next record begins in it */
	size_t at;
	__u8 buffer[LEDGER_READER_BUFFER];
};

/* From the beginning: previous NULL, offset and seq 0. */
void ledger_reader_setup(struct ledger_reader *reader, int fd, __u64 offset, __u64 seq,
			 const __u8 *previous, bool check);

/*
 * The next record. 0; -ENODATA at the end; -EAGAIN when the file ends inside a record (torn, or
 * being written: call again); -EBADMSG with *ret_why, offset and seq telling where; -errno.
 */
int ledger_reader_next(struct ledger_reader *reader, struct record_entry *ret,
		       const char **ret_why);

#endif
