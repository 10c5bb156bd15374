/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement, read out of ledger records, judged, and put into words: the in-toto statement
 * that the recorder signs. The statement is a pure function of the records (and of the ledger's
 * name and the hash before the first of them), so custody-verify builds it again and compares
 * every byte.
 *
 * Statement: in-toto Statement v1, compact JSON with sorted keys, no LF.
 *   subject[0].name             the model's name in custody
 *   subject[0].digest.sha256    SHA-256 of the sealed plan: what custody was told to run. It is
 *                               NOT a digest of weights: see predicate.weights
 *   predicateType               RETIREMENT_PREDICATE
 *   predicate:
 *     model, profile            names
 *     profileDigest.sha256      of the profile's canonical print
 *     jail                      number of the jail on this ledger, never reused
 *     requesters                uids that asked for the launch and for the retirement
 *     planes                    required, active, missing: arrays of names
 *     time                      launched (first record), started, drained, retired (its record):
 *                               RFC 3339 UTC of the host's clock; null where it never happened
 *     facts[]                   every fact of this retirement, in the order recorded: fact,
 *                               phase, looked, value, unseen, detail (escaped).
 *                               namespace-processes, scratch-mounts and weights-open are asked of
 *                               the kernel for the whole host where it can be (the sweeper's
 *                               facts_kernel.c says by which functions): "gone" is value 0 with
 *                               nothing unseen; "alive" is at least 1. Where it cannot, every
 *                               process of /proc is read, and `unseen` counts those that could
 *                               not be
 *     losses                    gapRecords and eventsLost between launch and retirement. A gap
 *                               record of no particular jail counts, and so does a ledger that
 *                               was reopened with a torn end
 *     events                    recorded, and of them denied
 *     erase                     method, and in `claim` what it does and does not mean
 *     ledger                    origin; firstSeq and previousHash, the hash before it;
 *                               retireSeq and retireHash; verdictSeq, the next one, whose
 *                               record carries the SHA-256 of this statement
 *     weights                   only of a model that was measured before its launch: digest.sha256
 *                               (root of its OpenSSF Model Signing manifest), files, bytes,
 *                               signer (null: nobody), flags as in the ledger
 *     checks[]                  only of a model that had to pass some: command (the program,
 *                               escaped), commandDigest.sha256 of its arguments, jail it ran in,
 *                               outputDigest.sha256 and outputBytes of what it printed
 *     verdict, reasons[]        what verdict_decide() returned: fact (null for records and
 *                               planes), why, value
 */
#ifndef CUSTODY_RETIREMENT_H
#define CUSTODY_RETIREMENT_H

#include <stdbool.h>

#include "custody/plan.h"
#include "record.h"
#include "verdict.h"

#define RETIREMENT_PREDICATE	"urn:custody:predicate:retirement:v1"
#define RETIREMENT_STATEMENT	"https://in-toto.io/Statement/v1"
#define RETIREMENT_FACTS_MAX	256

/* What a bundle's directory holds. */
#define RETIREMENT_FILE_STATEMENT	"statement.dsse.json"
#define RETIREMENT_FILE_RECORDS		"records.bin"
#define RETIREMENT_FILE_HEAD		"head.note"

/* Everything a retirement is judged by. Filled by retirement_add(). */
struct retirement {
	__u32 jail_id;
	bool launched;
	bool retired;
	bool judged;		/* the verdict record follows the retire record */
	__u64 first_seq;
	__u8 previous_hash[CUSTODY_DIGEST_SIZE];
	__u64 launched_ns;
	struct ledger_launch launch;
	struct ledger_measured measured;	/* jail_id 0: the model was not measured */
	__u32 n_checks;			/* of the model, passed before its launch */
	struct ledger_checked checks[PLAN_CHECKERS_MAX];
	__u64 retire_seq;
	__u64 retired_ns;
	__u8 retire_hash[CUSTODY_DIGEST_SIZE];
	struct ledger_retire retire;
	struct ledger_verdict verdict;
	__u64 facts_first;
	__u32 n_facts;
	struct evidence_fact facts[RETIREMENT_FACTS_MAX];
	__u64 gaps;
	__u64 lost;
	__u64 events;
	__u64 denied;
};

/* A retirement of jail_id whose first record has this number; previous is the hash before it. */
void retirement_setup(struct retirement *retirement, __u32 jail_id, __u64 first_seq,
		      const __u8 previous[CUSTODY_DIGEST_SIZE]);

/*
 * Takes the next record; every record from the jail's launch on must be given, in order. 0, or
 * -EBADMSG with *ret_why when the records do not make sense together. Facts start anew when the
 * jail's state becomes JAIL_STATE_RETIRING: a retirement that is asked for again looks again.
 */
int retirement_add(struct retirement *retirement, const struct record_entry *entry,
		   const char **ret_why);

/* The verdict. Needs retirement->retired. */
void retirement_judge(const struct retirement *retirement, struct verdict_result *ret);

/* The statement as text with a NUL; free() it. Needs retirement->retired. 0, -ENOMEM. */
int retirement_print(const struct retirement *retirement, const char *origin, char **ret,
		     size_t *ret_n);

/* "2026-01-31T12:00:00.123456789Z" */
#define RETIREMENT_TIME_SIZE 96
char *retirement_print_time(__u64 time_ns, char ret[RETIREMENT_TIME_SIZE]);

#endif
