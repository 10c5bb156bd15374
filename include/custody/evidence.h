/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger holds and what a retirement is judged by. Written by the recorder, read by
 * custodyctl and custody-verify, on other machines, years later: fixed width, little endian.
 *
 * A record on disk: struct ledger_record, then `length` bytes of the payload named by `type`.
 *   hash(n) = SHA-256(hash(n-1) || record header with hash zeroed || payload), hash(-1) = zeros
 */
#ifndef CUSTODY_EVIDENCE_H
#define CUSTODY_EVIDENCE_H

#include <linux/types.h>

#include "custody/event.h"
#include "custody/limits.h"
#include "custody/model.h"
#include "custody/policy.h"

#define LEDGER_MAGIC	0x524c4443U	/* "CDLR" */
#define LEDGER_VERSION	1

/*
 * Properties of a jail's structure, as its self-check read them back from the kernel before the
 * launch. Those without a condition are in every jail, or it is not launched; the others are in the
 * jails of kernels and file systems that have them, and the record says which have not.
 * S(NAME, "json-name", what holds)
 */
#define EVIDENCE_STRUCTURE(S)                                                                      \
	S(NOSUID, "no-setuid", "every mount is nosuid, besides no_new_privs")                      \
	S(PROC, "proc-hidden", "/proc shows the jail's own processes only")                        \
	S(NESTING, "no-user-namespaces", "none can be made below the jail's own")                  \
	S(KEYRING, "own-keyring", "a session keyring of its own, which is empty")                  \
	S(IPC, "own-ipc", "System V objects: none at the start, memory limited")                   \
	S(SIZED, "sized-memory", "every tmpfs that can be written has a size")                     \
	S(CORE, "no-core-dump", "RLIMIT_CORE 1, and a coredump_filter that takes nothing")         \
	S(DUMPABLE, "not-dumpable", "until the model's own program is executed")                   \
	S(MEMFD, "memfd-noexec", "vm.memfd_noexec of its pid namespace (Linux 6.3)")               \
	S(SCOPES, "landlock-scopes", "abstract UNIX sockets and signals end here (Linux 6.12)")    \
	S(NOSWAP, "noswap", "every tmpfs that can be written stays in memory (Linux 6.4)")         \
	S(IDMAP, "weights-idmapped", "the model owns what the owner of the weights owns")

enum evidence_structure_bit {
#define EVIDENCE_STRUCTURE_BIT(name, json, what) STRUCTURE_BIT_##name,
	EVIDENCE_STRUCTURE(EVIDENCE_STRUCTURE_BIT)
#undef EVIDENCE_STRUCTURE_BIT
	_STRUCTURE_BIT_MAX,
};

enum evidence_structure {
#define EVIDENCE_STRUCTURE_ENUM(name, json, what) STRUCTURE_##name = 1U << STRUCTURE_BIT_##name,
	EVIDENCE_STRUCTURE(EVIDENCE_STRUCTURE_ENUM)
#undef EVIDENCE_STRUCTURE_ENUM
	/* What every jail has. */
	STRUCTURE_ALWAYS = STRUCTURE_MEMFD - 1,
	STRUCTURE_ALL = (1U << _STRUCTURE_BIT_MAX) - 1,
};

enum ledger_type {
	LEDGER_OPENED = 1,	/* struct ledger_opened: the recorder started */
	LEDGER_EVENT,		/* struct custody_event */
	LEDGER_LAUNCH,		/* struct ledger_launch */
	LEDGER_STATE,		/* struct ledger_state */
	LEDGER_GAP,		/* struct ledger_gap */
	LEDGER_COUNTER,		/* struct ledger_counter */
	LEDGER_FACT,		/* struct ledger_fact */
	LEDGER_RETIRE,		/* struct ledger_retire */
	LEDGER_VERDICT,		/* struct ledger_verdict */
	LEDGER_MEASURED,	/* struct ledger_measured: after its launch; or of a refusal */
	LEDGER_MODEL,		/* struct ledger_model */
	LEDGER_CHECKED,		/* struct ledger_checked: after its launch; or of a refusal */
	_LEDGER_TYPE_MAX,
};

struct ledger_record {
	__u32 magic;
	__u16 version;
	__u16 type;		/* enum ledger_type */
	__u32 length;		/* of the payload */
	__u32 jail_id;		/* 0 when not about one jail */
	__u64 seq;		/* from 0, no holes */
	__u64 time_ns;		/* CLOCK_REALTIME when the recorder wrote it */
	__u8 hash[CUSTODY_DIGEST_SIZE];
};

struct ledger_opened {
	__u64 torn_bytes;	/* cut from the end at recovery */
	__u8 boot_id[16];
	char kernel[64];	/* uname -r */
};

struct ledger_launch {
	__u32 jail_id;
	__u32 slot;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u8 profile_digest[CUSTODY_DIGEST_SIZE];
	__u8 plan_digest[CUSTODY_DIGEST_SIZE];	/* SHA-256 of the sealed plan */
	__u32 planes_required;
	__u32 planes_active;
	__u64 cgroup_model;
	__u64 cgroup_broker;
	__u64 ns_inode[8];
	__u32 pid;
	__u32 requester_uid;
	__u32 structure;	/* enum evidence_structure mask: read back by the self-check */
	__u32 landlock_abi;	/* 0 = kernel has none */
};

/* What was found of the model's files before it was launched. */
enum measured_flag {
	MEASURED_SIGNED = 1U << 0,	/* `digest` is what `signer` signed */
	MEASURED_SHARDS = 1U << 1,	/* the digest is over shards, not over files */
	MEASURED_PICKLE = 1U << 2,	/* there are pickles, which the profile allows */
	MEASURED_KNOWN = 1U << 3,	/* none was read: the kernel says they are the same */
	MEASURED_GUARDED = 1U << 4,	/* the guard was around the files before they were read */
	MEASURED_COMPARED = 1U << 5,	/* the jail's zone shows the measured files, and no other */
	MEASURED_REFUSED = 1U << 6,	/* not launched: `why` */
	MEASURED_FLAGS_ALL = 0x7f,
};

/*
 * digest: root of the OpenSSF Model Signing manifest, SHA-256 over the digests of its items, as it
 * was signed; of a model that is not signed, of its files by name. Zeros when it was not reached.
 */
struct ledger_measured {
	__u32 jail_id;
	__u32 flags;		/* enum measured_flag mask */
	__u8 digest[CUSTODY_DIGEST_SIZE];
	__u64 files;
	__u64 bytes;
	__u64 read;		/* of these bytes, those that were read for it */
	__u32 formats;		/* enum custody_format mask: found */
	__u32 attestations;	/* required ones that are there */
	__u32 unlisted;		/* files that the signature leaves out by name */
	__u32 pad;
	char name[CUSTODY_NAME_SIZE];	/* in custody; of a refusal there is no launch to say it */
	char signer[128];	/* "key HEX", "certificate SUBJECT", cut; empty: nobody */
	char why[256];		/* of a refusal, cut */
};

/* How a program that was to look at the model (model.check) ended. */
enum check_flag {
	CHECK_PASSED = 1U << 0,		/* by itself, exit code 0: only this lets a model in */
	CHECK_LATE = 1U << 1,		/* its time was over */
	CHECK_NOT_RUN = 1U << 2,	/* it could not be started */
	CHECK_OUTPUT_CUT = 1U << 3,	/* it printed, or may have printed, more than is kept */
	CHECK_FLAGS_ALL = 0xf,
};

#define CHECK_OUTPUT_MAX 65536U		/* bytes of output that are kept: the first ones */

/*
 * One program of model.check. It ran in the jail check_jail, which has a launch and an end of its
 * own in the ledger, on the mount of what had `model_digest`.
 */
struct ledger_checked {
	__u32 jail_id;			/* whose model */
	__u32 check_jail;		/* 0: none was made */
	__u32 flags;			/* enum check_flag mask */
	__s32 status;			/* wait status; 0x7fffffff = not known */
	__u32 index;			/* of the profile's, from 0 */
	__u32 output_size;		/* bytes that are kept */
	__u64 ran_ms;
	__u8 model_digest[CUSTODY_DIGEST_SIZE];		/* as in struct ledger_measured */
	__u8 command_digest[CUSTODY_DIGEST_SIZE];	/* of its arguments, each with its NUL */
	__u8 output_digest[CUSTODY_DIGEST_SIZE];	/* of what is kept */
	char name[CUSTODY_NAME_SIZE];	/* in custody; of a refusal there is no launch to say it */
	char command[128];		/* the program, cut */
	char output[128];		/* file of the logs; empty: it printed nothing */
	char why[256];			/* of a refusal, cut */
};

/* A change in a jail's life: enum jail_state, and why. */
struct ledger_state {
	__u32 jail_id;
	__u32 state;
	__s32 status;		/* wait status when it ended; 0x7fffffff = not known */
	__u32 requester_uid;	/* 0xffffffff: nobody asked */
	char why[64];
};

enum ledger_gap_cause {
	LEDGER_GAP_RING_FULL = 1,	/* events lost: the ring buffer was full */
	LEDGER_GAP_RECORDER_DOWN,	/* no recorder ran; what the ring held was kept */
	LEDGER_GAP_HELPER,		/* BPF helper failures: count by site in `site` */
	LEDGER_GAP_BROKER,		/* the broker ended before its jail did */
	LEDGER_GAP_MALFORMED,		/* the recorder could not read what the ring held; jail 0 */
	LEDGER_GAP_UNWRITTEN,		/* the ledger could not be written: full disk, I/O error */
	_LEDGER_GAP_MAX,
};

struct ledger_gap {
	__u32 jail_id;
	__u32 cause;		/* enum ledger_gap_cause */
	__u64 lost;		/* since the last gap record of this jail and cause */
	__u64 total;		/* of this jail and cause */
	__u32 site;		/* enum policy_error_site for LEDGER_GAP_HELPER */
	__u32 pad;
};

struct ledger_counter {
	struct policy_counter_key key;
	struct policy_counter counter;
};

/* ---- retirement ---- */

enum evidence_phase {
	EVIDENCE_BEFORE_ERASE = 1,
	EVIDENCE_AFTER_ERASE = 2,
};

/*
 * Facts. `value` is a count of what is left, 0 = nothing, except where said otherwise.
 * NAMESPACE_PIDS, SCRATCH_MOUNTS and WEIGHTS_OPEN are 1 as well when the kernel says that the
 * namespace or file system exists, or that the file is open, and /proc does not show by whom.
 * F(NAME, "json-name", what value counts)
 */
#define EVIDENCE_FACTS(F)                                                                          \
	F(CGROUP_POPULATED, "cgroup-populated", "processes in the jail's cgroups")                 \
	F(CGROUP_PRESENT, "cgroup-present", "cgroup directories of the jail that exist")           \
	F(NAMESPACE_PIDS, "namespace-processes",                                                   \
	  "processes in one of the jail's namespaces, or that hold it")                            \
	F(SOCKETS_INET, "sockets-inet", "INET sockets owned by the jail's cgroups")                \
	F(ENDPOINTS_BOUND, "endpoints-bound", "published endpoints that something still serves")   \
	F(SOCKETS_UNIX, "sockets-unix", "UNIX sockets bound to a published path")                  \
	F(SCRATCH_MOUNTS, "scratch-mounts",                                                        \
	  "mounts of the scratch file systems, and their open files")                              \
	F(WEIGHTS_OPEN, "weights-open", "processes that hold or map a file of the model")          \
	F(POLICY_ENTRIES, "policy-entries", "map entries of the jail")                             \
	F(BROKER_ALIVE, "broker-alive", "broker processes of the jail")                            \
	F(EVENTS_LOST, "events-lost", "events of this jail that reached no record")                \
	F(GAPS, "gaps", "gap records of this jail")                                                \
	F(PLANES_MISSING, "planes-missing", "planes the profile required and the jail lacked")     \
	F(DRAINED, "connections-cut", "established connections cut when the drain ended")          \
	F(CEILING, "bytes-over-ceiling",                                                           \
	  "bytes out past the lifetime ceilings; detail: bytes out of the ceiling")

enum evidence_fact_id {
	FACT_NONE = 0,
#define EVIDENCE_FACT_ENUM(name, json, what) FACT_##name,
	EVIDENCE_FACTS(EVIDENCE_FACT_ENUM)
#undef EVIDENCE_FACT_ENUM
	_FACT_MAX,
};

struct evidence_fact {
	__u32 fact;		/* enum evidence_fact_id */
	__u32 phase;		/* enum evidence_phase */
	__u32 looked;		/* 1: value is true; 0: could not look, see detail */
	__u32 unseen; /* things that could not be read while looking (exited: not counted) */
	__u64 value;
	char detail[104];	/* first residue found, or why it could not look; for people */
};

struct ledger_fact {
	__u32 jail_id;
	__u32 pad;
	struct evidence_fact fact;
};

struct ledger_retire {
	__u32 jail_id;
	__u32 requester_uid;
	__u32 planes_required;
	__u32 planes_active;
	__u64 started_ns;	/* CLOCK_REALTIME of the launch */
	__u64 drained_ns;	/* CLOCK_REALTIME when draining ended */
	__u32 erase;		/* enum evidence_erase */
	__u32 pad;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u8 profile_digest[CUSTODY_DIGEST_SIZE];
	__u8 plan_digest[CUSTODY_DIGEST_SIZE];
};

enum evidence_erase {
	EVIDENCE_ERASE_NOTHING = 1,	/* the jail had no scratch */
	EVIDENCE_ERASE_MEMORY = 2,	/* scratch was a tmpfs without swap: gone with its mount */
	EVIDENCE_ERASE_SWAPPABLE = 3,	/* scratch was a tmpfs that could have been swapped */
};

enum evidence_verdict {
	VERDICT_CLEAN = 1,
	VERDICT_RESIDUE = 2,
	VERDICT_INCOMPLETE = 3,
};

struct ledger_verdict {
	__u32 jail_id;
	__u32 verdict;		/* enum evidence_verdict */
	__u64 facts_first;	/* seq of the first fact record of this retirement */
	__u64 retire_seq;	/* seq of its LEDGER_RETIRE record */
	__u8 statement_digest[CUSTODY_DIGEST_SIZE]; /* SHA-256 of the statement that was signed */
};

/* ---- the registry ---- */

/* M(NAME, "json-name") */
#define LEDGER_MODEL_CHANGES(M)                                                                    \
	M(REGISTERED, "registered")                                                                \
	M(ROLLED_BACK, "rolled-back")                                                              \
	M(REVOKED, "revoked")                                                                      \
	M(SERVED, "served-well")                                                                   \
	M(RETIRED, "retired")                                                                      \
	M(FINGERPRINTED, "fingerprinted")

enum ledger_model_change {
	LEDGER_MODEL_NONE = 0,
#define LEDGER_MODEL_ENUM(name, json) LEDGER_MODEL_##name,
	LEDGER_MODEL_CHANGES(LEDGER_MODEL_ENUM)
#undef LEDGER_MODEL_ENUM
	_LEDGER_MODEL_MAX,
};

/*
 * A change of the registry. It is on disk before the registry is changed; when the registry then
 * could not be written, a second record says so (failed = 1).
 */
struct ledger_model {
	__u32 jail_id;		/* always 0: a version is of no jail */
	__u32 change;		/* enum ledger_model_change */
	__u32 version;
	__u32 requester_uid;	/* MODEL_NOBODY: nobody asked */
	__u32 failed;
	__u32 pad;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u8 digest[CUSTODY_DIGEST_SIZE];
	char why[MODEL_WHY_SIZE];
	__u8 fingerprints[CUSTODY_DIGEST_SIZE];	/* SHA-256 of the index; zeros: it has none */
};

_Static_assert(sizeof(struct ledger_record) == 64, "ledger_record");
_Static_assert(sizeof(struct ledger_opened) == 88, "ledger_opened");
_Static_assert(sizeof(struct ledger_launch) == 304, "ledger_launch");
_Static_assert(sizeof(struct ledger_state) == 80, "ledger_state");
_Static_assert(sizeof(struct ledger_measured) == 528, "ledger_measured");
_Static_assert(sizeof(struct ledger_checked) == 704, "ledger_checked");
_Static_assert(sizeof(struct ledger_gap) == 32, "ledger_gap");
_Static_assert(sizeof(struct ledger_counter) == 48, "ledger_counter");
_Static_assert(sizeof(struct evidence_fact) == 128, "evidence_fact");
_Static_assert(sizeof(struct ledger_fact) == 136, "ledger_fact");
_Static_assert(sizeof(struct ledger_retire) == 232, "ledger_retire");
_Static_assert(sizeof(struct ledger_verdict) == 56, "ledger_verdict");
_Static_assert(sizeof(struct ledger_model) == 472, "ledger_model");

#endif
