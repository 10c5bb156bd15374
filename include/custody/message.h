/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message between two custody processes: one table row names its type, its struct, who
 * may send it, who may receive it and how many fds travel with it. Nothing else is accepted.
 *
 * Transport: SOCK_SEQPACKET UNIX pairs; one message per packet; the packet is exactly the
 * struct. A role finds its channel to custodyd on fd 3 (CUSTODY_CHANNEL_FD). Wrong size, wrong
 * sender, wrong fd count, an unknown type, or a type that the receiver's state does not permit:
 * the receiver drops that peer (message_recv() in daemon/lib/message.h).
 *
 * Text fields are NUL-terminated (message_recv() checks every one of them) and are for people:
 * no process decides anything by them except names and paths, which are checked where used.
 */
#ifndef CUSTODY_MESSAGE_H
#define CUSTODY_MESSAGE_H

#include <linux/types.h>

#include "custody/event.h"
#include "custody/evidence.h"
#include "custody/limits.h"
#include "custody/message_head.h"
#include "custody/plan.h"
#include "custody/policy.h"
#include "custody/registry.h"

#define CUSTODY_CHANNEL_FD 3

enum custody_role {
	ROLE_WARDEN = 1U << 0,
	ROLE_FRONT = 1U << 1,
	ROLE_PLANNER = 1U << 2,
	ROLE_JAIL = 1U << 3,
	ROLE_BROKER = 1U << 4,
	ROLE_RECORDER = 1U << 5,
	ROLE_SWEEPER = 1U << 6,
	ROLE_CONTROL = 1U << 7,	/* custodyctl */
	ROLE_MEASURER = 1U << 8,
	ROLE_RESOLVER = 1U << 9,
};

/*
 * X(TYPE, struct, sender roles, receiver role, fds)
 * Append only: the position is the number on the wire.
 */
#define CUSTODY_MESSAGES(X)                                                                       \
	/* control requests: custodyctl -> front -> custodyd (front fills in the peer) */         \
	X(REQUEST_START, request_start, ROLE_CONTROL | ROLE_FRONT, ROLE_FRONT | ROLE_WARDEN, 0)   \
	X(REQUEST_RUN, request_run, ROLE_CONTROL | ROLE_FRONT, ROLE_FRONT | ROLE_WARDEN, 3)       \
	X(REQUEST_NAME, request_name, ROLE_CONTROL | ROLE_FRONT, ROLE_FRONT | ROLE_WARDEN, 0)     \
	/* replies: custodyd -> front -> custodyctl */                                            \
	X(REPLY_ROW, reply_row, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)           \
	X(REPLY_COUNTER, reply_counter, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)   \
	X(REPLY_STEP, reply_step, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)         \
	X(REPLY_DONE, reply_done, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)         \
	/* front: the listening control socket; planner: profile directories, etc then usr */     \
	X(FRONT_SETUP, front_setup, ROLE_WARDEN, ROLE_FRONT, 1)                                   \
	X(PLAN_REQUEST, plan_request, ROLE_WARDEN, ROLE_PLANNER, 2)                               \
	X(PLAN_SEALED, plan_sealed, ROLE_PLANNER, ROLE_WARDEN, 1)                                 \
	/* a role could not do its work: the reason, for people */                                \
	X(REFUSED, refused, ROLE_PLANNER | ROLE_JAIL | ROLE_BROKER | ROLE_RECORDER |              \
	  ROLE_SWEEPER | ROLE_RESOLVER | ROLE_MEASURER, ROLE_WARDEN, 0)                           \
	/* jail: plan, stdin, stdout, stderr, socket to its broker */                             \
	X(JAIL_BUILD, jail_build, ROLE_WARDEN, ROLE_JAIL, 5)                                      \
	X(JAIL_BUILT, jail_built, ROLE_JAIL, ROLE_WARDEN, 0)                                      \
	X(JAIL_READY, jail_ready, ROLE_JAIL, ROLE_WARDEN, 0)                                      \
	X(JAIL_GO, jail_go, ROLE_WARDEN, ROLE_JAIL, 0)                                            \
	/* broker: plan, socket to the jail, log pipe (read end), two log files, and a bound      \
	   socket on which a later custodyd finds it */                                           \
	X(BROKER_SETUP, broker_setup, ROLE_WARDEN, ROLE_BROKER, 6)                                \
	X(BROKER_LISTENING, broker_listening, ROLE_BROKER, ROLE_WARDEN, 0)                        \
	X(BROKER_LISTENER, broker_listener, ROLE_JAIL, ROLE_BROKER, 1)                            \
	X(BROKER_EVENT, broker_event, ROLE_BROKER, ROLE_WARDEN, 0)                                \
	/* recorder: ring map, ledger dir, key, evidence dir */                                   \
	X(RECORDER_SETUP, recorder_setup, ROLE_WARDEN, ROLE_RECORDER, 4)                          \
	X(RECORDER_RUNNING, recorder_running, ROLE_RECORDER, ROLE_WARDEN, 0)                      \
	X(RECORD_EVENT, record_event, ROLE_WARDEN, ROLE_RECORDER, 0)                              \
	X(RECORD_LAUNCH, record_launch, ROLE_WARDEN, ROLE_RECORDER, 0)                            \
	X(RECORD_STATE, record_state, ROLE_WARDEN, ROLE_RECORDER, 0)                              \
	X(RECORD_GAP, record_gap, ROLE_WARDEN, ROLE_RECORDER, 0)                                  \
	X(RECORD_COUNTER, record_counter, ROLE_WARDEN, ROLE_RECORDER, 0)                          \
	X(RECORD_FACT, record_fact, ROLE_WARDEN, ROLE_RECORDER, 0)                                \
	X(RECORD_RETIRE, record_retire, ROLE_WARDEN, ROLE_RECORDER, 0)                            \
	X(RECORDED, recorded, ROLE_RECORDER, ROLE_WARDEN, 0)                                      \
	X(RETIRED, retired, ROLE_RECORDER, ROLE_WARDEN, 0)                                        \
	/* sweeper: one request, facts, done */                                                   \
	X(SWEEP_REQUEST, sweep_request, ROLE_WARDEN, ROLE_SWEEPER, 0)                             \
	X(SWEEP_FACT, sweep_fact, ROLE_SWEEPER, ROLE_WARDEN, 0)                                   \
	X(SWEEP_DONE, sweep_done, ROLE_SWEEPER, ROLE_WARDEN, 0)                                   \
	/* planner, once at custodyd's start: the directory of custody.conf */                    \
	X(HOST_REQUEST, host_request, ROLE_WARDEN, ROLE_PLANNER, 1)                               \
	X(HOST_SETTINGS, host_settings, ROLE_PLANNER, ROLE_WARDEN, 0)                             \
	/* a control request like those above */                                                  \
	X(REQUEST_RESTRICT, request_restrict, ROLE_CONTROL | ROLE_FRONT, ROLE_FRONT | ROLE_WARDEN, \
	  0)\
	/* host names of egress: broker asks custodyd, custodyd a resolver, and back */           \
	X(BROKER_RESOLVE, broker_resolve, ROLE_BROKER, ROLE_WARDEN, 0)                            \
	X(BROKER_RESOLVED, broker_resolved, ROLE_WARDEN, ROLE_BROKER, 0)                          \
	X(RESOLVE_REQUEST, resolve_request, ROLE_WARDEN, ROLE_RESOLVER, 0)                        \
	X(RESOLVE_ANSWER, resolve_answer, ROLE_RESOLVER, ROLE_WARDEN, 0)                          \
	/* measurer: plan, the model's mount, inputs (custody/measured.h), what is known already; \
	   then the new table; then, when the jail has the mount, the comparison */               \
	X(MEASURE_REQUEST, measure_request, ROLE_WARDEN, ROLE_MEASURER, 4)                        \
	X(MEASURE_PROGRESS, measure_progress, ROLE_MEASURER, ROLE_WARDEN, 0)                      \
	X(MEASURED, measured, ROLE_MEASURER, ROLE_WARDEN, 2)                                      \
	X(MEASURE_COMPARE, measure_compare, ROLE_WARDEN, ROLE_MEASURER, 0)                        \
	X(MEASURE_SAME, measure_same, ROLE_MEASURER, ROLE_WARDEN, 0)                              \
	X(RECORD_MEASURED, record_measured, ROLE_WARDEN, ROLE_RECORDER, 0)                        \
	/* after JAIL_BUILD that says so: the detached mount that becomes the zone weights */     \
	X(JAIL_WEIGHTS, jail_weights, ROLE_WARDEN, ROLE_JAIL, 1)                                  \
	/* the registry: a control request like those above, and a row of its answer */           \
	X(REQUEST_MODEL, request_model, ROLE_CONTROL | ROLE_FRONT, ROLE_FRONT | ROLE_WARDEN, 0)   \
	X(REPLY_MODEL, reply_model, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)       \
	/* planner: the directory of all models; it answers rows, then ANSWER, or TEXT with the   \
	   sealed text that takes the place of registry.json */                                   \
	X(REGISTRY_REQUEST, registry_request, ROLE_WARDEN, ROLE_PLANNER, 1)                       \
	X(REGISTRY_ROW, registry_row, ROLE_PLANNER, ROLE_WARDEN, 0)                               \
	X(REGISTRY_ANSWER, registry_answer, ROLE_PLANNER, ROLE_WARDEN, 0)                         \
	X(REGISTRY_TEXT, registry_text, ROLE_PLANNER, ROLE_WARDEN, 1)                             \
	X(RECORD_MODEL, record_model, ROLE_WARDEN, ROLE_RECORDER, 0)                              \
	/* to a broker, before its jail is frozen and after it is thawed */                       \
	X(BROKER_HOLD, broker_hold, ROLE_WARDEN, ROLE_BROKER, 0)                                  \
	/* how far a model has been read, now and then while somebody waits for that */           \
	X(REPLY_PROGRESS, reply_progress, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0) \
	X(RECORD_CHECKED, record_checked, ROLE_WARDEN, ROLE_RECORDER, 0)                          \
	/* after REPLY_ROW, to REQUEST_STATUS: each that it passed */                             \
	X(REPLY_CHECKED, reply_checked, ROLE_WARDEN | ROLE_FRONT, ROLE_FRONT | ROLE_CONTROL, 0)

enum custody_message_type {
	MSG_NONE = 0,
#define CUSTODY_MESSAGE_ENUM(type, body, from, to, fds) MSG_##type,
	CUSTODY_MESSAGES(CUSTODY_MESSAGE_ENUM)
#undef CUSTODY_MESSAGE_ENUM
	_MSG_MAX,
};
_Static_assert(_MSG_MAX <= 64, "a permit mask is one __u64");

#define MSG_BIT(type) (1ULL << (type))

struct request_start {
	struct message_head head;
	struct message_peer peer;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];	/* empty: the profile called like the model */
	char model[CUSTODY_PATH_SIZE];		/* empty: the profile's model.path */
	__u32 version;		/* of the registry; 0: the current one, if NAME is registered */
	__u32 pad;
};

#define REQUEST_ARGS_SIZE 16384

struct request_run {
	struct message_head head;
	struct message_peer peer;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	char model[CUSTODY_PATH_SIZE];
	__u32 args_len;		/* bytes of args in use */
	__u32 n_args;		/* NUL-terminated strings in args */
	char args[REQUEST_ARGS_SIZE];
	__u32 measure;		/* 1: the model is measured, whatever the profile says */
	__u32 pad;
};

enum request_verb {
	REQUEST_STOP = 1,
	REQUEST_FREEZE,
	REQUEST_THAW,
	REQUEST_PS,		/* name empty */
	REQUEST_STATUS,
	REQUEST_RETIRE,
	_REQUEST_VERB_MAX,
};

struct request_name {
	struct message_head head;
	struct message_peer peer;
	__u32 verb;		/* enum request_verb */
	/*
	 * Zero from custodyctl. From front, with REQUEST_STOP: head.id of the REQUEST_RUN whose
	 * client went away. Stop the model only if that request started it; it may have been
	 * refused because another model has this name.
	 */
	__u32 run;
	char name[CUSTODY_NAME_SIZE];
};

/* What can be taken from a running model. Nothing gives it back but a new start. */
enum custody_restriction {
	RESTRICTION_EGRESS = 1U << 0,		/* connections out, established ones too */
	RESTRICTION_DEVICES = 1U << 1,		/* the plan's devices: open, ioctl, mmap */
	RESTRICTION_DEVICES_OPEN = 1U << 2,	/* the same where only opens can be refused */
	RESTRICTION_SCRATCH = 1U << 3,		/* scratch is mounted read-only */
	RESTRICTION_SCRATCH_OPEN = 1U << 4,	/* scratch is opened for reading only */
	RESTRICTIONS_ALL = 0x1f,
};

struct request_restrict {
	struct message_head head;
	struct message_peer peer;
	__u32 jail_id;		/* of the row that was shown to who asks: no other jail is meant */
	__u32 what;		/* RESTRICTION_EGRESS, _DEVICES, _SCRATCH */
	__u32 endpoints;	/* bit per index of that row's endpoints: dropped */
	__u32 opens_only;	/* 1: what is open already may stay so */
	char name[CUSTODY_NAME_SIZE];
};

enum jail_state {
	JAIL_STATE_STARTING = 1,
	JAIL_STATE_RUNNING,
	JAIL_STATE_FROZEN,
	JAIL_STATE_STOPPING,
	JAIL_STATE_STOPPED,
	JAIL_STATE_RETIRING,
	JAIL_STATE_RETIRED,
	_JAIL_STATE_MAX,
};

struct reply_endpoint {
	__u16 kind;		/* enum plan_endpoint_kind */
	__u16 family;
	__u16 protocol;
	__u16 port;
	__u8 address[16];
	char path[108];		/* unix */
	__u32 pad;
};

/* One ceiling and what of it is used; slot: see custody/ceiling.h. */
struct reply_ceiling {
	__u32 slot;
	__u32 crossed;		/* enum ceiling_cause mask */
	__u64 rate;		/* 0: none */
	__u64 total;		/* 0: none */
	__u64 used;		/* bytes out under this name since there is a ceiling */
	__u64 dropped;		/* packets */
};

/* What the jail may use of the host, 0: no limit; and how often it ran into that. */
struct reply_limits {
	__u64 memory;		/* bytes */
	__u64 memory_high;
	__u64 processes;
	__u64 cpu_percent;
	__u64 io_read;		/* bytes a second, each disk */
	__u64 io_write;
	__u64 memory_killed;	/* processes, for want of memory */
	__u64 forks_refused;
};

struct reply_row {
	struct message_head head;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u32 state;		/* enum jail_state */
	__u32 jail_id;
	__u32 pid;		/* init of the jail, host pid namespace; 0 when none */
	__u32 planes_required;
	__u32 planes_active;
	__u32 n_endpoints;
	__u64 started_s;	/* CLOCK_REALTIME seconds */
	__u64 allowed;		/* sums over the jail's counters */
	__u64 denied;
	__u64 bytes_out;
	__u64 bytes_in;
	__u64 events_lost;
	__u64 memory_bytes;	/* cgroup memory.current, or summed RSS; 0 when unknown */
	__u32 processes;
	__u32 adopted;		/* 1: taken over by a restarted custodyd */
	struct reply_endpoint endpoints[CUSTODY_ENDPOINTS_MAX];
	__u32 restricted;	/* enum custody_restriction mask */
	__u32 cut;		/* bit per endpoint: dropped */
	__u32 uid_first;	/* its own ids on this host: uid_count of them */
	__u32 uid_count;
	__u32 n_ceilings;
	__u32 on_rate;		/* enum ceiling_action; 0: none */
	__u32 on_total;
	__u32 pad;
	struct reply_ceiling ceilings[CEILING_SLOTS];
	struct reply_limits limits;
	struct ledger_measured measured;	/* jail_id 0: the model was not measured */
	__u32 model_version;	/* of the registry; 0: it is not registered */
	__u32 pad2;
};

struct reply_counter {
	struct message_head head;
	struct policy_counter_key key;
	struct policy_counter counter;
	char label[CUSTODY_PATH_SIZE];	/* zone target, endpoint or device in words */
};

/* Progress of a sequence: one line for each step done. */
struct reply_step {
	struct message_head head;
	__u32 step;
	__u32 steps;
	char text[CUSTODY_TEXT_SIZE];
};

/* Between steps: bytes of the model that have been read, and of all that are to be. */
struct reply_progress {
	struct message_head head;
	__u64 done;
	__u64 total;
};

/* The last message of every exchange. */
struct reply_done {
	struct message_head head;
	__u32 exit;		/* enum custody_exit */
	__s32 status;		/* REQUEST_RUN: wait status of the command */
	char text[CUSTODY_TEXT_SIZE];	/* empty when there is nothing to say */
};

struct front_setup {
	struct message_head head;
	__u32 group;		/* gid that may read (ps, status); 0xffffffff for none */
	__u32 pad;
};

struct plan_request {
	struct message_head head;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	char model[CUSTODY_PATH_SIZE];
	__u32 args_len;		/* command override of `run`; 0 = the profile's command */
	__u32 n_args;
	char args[REQUEST_ARGS_SIZE];
	__u32 model_version;	/* for the plan */
	__u32 measure;		/* 1: its digest is asked for, whatever the profile says */
	char signature[CUSTODY_PATH_SIZE];	/* in place of model.signature; empty: that one */
};

struct plan_sealed {
	struct message_head head;	/* fd: the sealed memfd, sizeof(struct custody_plan) */
};

struct refused {
	struct message_head head;
	__u32 exit;		/* enum custody_exit */
	__s32 error;		/* negative errno, or 0 */
	char text[CUSTODY_TEXT_SIZE];
};

struct jail_build {
	struct message_head head;
	__u32 jail_id;
	__u32 slot;		/* block of uids: CUSTODY_UID_JAIL_BASE + slot * BLOCK */
	__u32 weights;		/* 1: JAIL_WEIGHTS follows; 0: the zone is opened by its path */
	__u32 pad;
};

struct jail_weights {
	struct message_head head;
};

struct jail_zone {
	__u64 mount_id;		/* statx stx_mnt_id, seen from inside */
	__u32 label;
	__u32 rights;
	char target[CUSTODY_NAME_SIZE * 2];	/* path inside, cut if longer */
};

#define SCRATCH_DEVICES_MAX 4	/* writable tmpfs of one jail: /scratch, /tmp, /dev/shm */

/* After the mounts are made and before the model's process has any untrusted byte. */
struct jail_built {
	struct message_head head;
	__u32 pid;		/* the jail's init, host pid namespace */
	__u32 n_zones;
	__u64 scratch_dev[SCRATCH_DEVICES_MAX];	/* st_dev of each writable tmpfs, then zeros */
	__u32 scratch_noswap;	/* 1: the kernel took noswap for every one of them */
	__u32 pad;
	__u64 ns_inode[8];	/* enum jail_namespace order */
	struct jail_zone zones[CUSTODY_ZONES_MAX];
};

enum jail_namespace {
	JAIL_NS_USER = 0, JAIL_NS_MNT, JAIL_NS_PID, JAIL_NS_IPC, JAIL_NS_UTS, JAIL_NS_NET,
	JAIL_NS_CGROUP, JAIL_NS_TIME, _JAIL_NS_MAX,
};

/* What the self-check read back from the kernel, in the process that will become the model. */
struct jail_ready {
	struct message_head head;
	__u32 no_new_privs;
	__u32 seccomp;		/* Seccomp: of /proc/self/status; 2 = filter */
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u32 uid;		/* as the host sees it */
	__u32 gid;
	__u32 n_mounts;
	__u32 n_fds;		/* open fds: 0, 1, 2, the channel and the self-check's own */
	__u32 landlock_abi;	/* 0 = kernel has none */
	__u32 structure;	/* enum evidence_structure mask */
};

struct jail_go {
	struct message_head head;
};

struct broker_setup {
	struct message_head head;
	__u32 jail_id;
	__u32 slot;
	__u64 log_limit;	/* bytes of one log file before the other takes over */
};

struct broker_listening {
	struct message_head head;
	__u32 n_endpoints;
	__u32 pad;
};

struct broker_listener {
	struct message_head head;	/* fd: the jail's seccomp notification fd */
};

struct broker_event {
	struct message_head head;
	struct custody_event event;
	__u64 lost;		/* events that found no room on the channel, since the start */
};

struct recorder_setup {
	struct message_head head;
	__u32 fsync_ms;		/* longest time that an event record stays unsynced */
	__u32 pad;
	char origin[CUSTODY_NAME_SIZE];	/* name of the ledger in signed heads */
	/*
	 * Every jail whose end is not known to be on record. A launch that is not among them and
	 * has no end in the ledger gets one, and a gap: its records were lost with whoever had
	 * them.
	 */
	__u32 custody_known;	/* 0: the list says nothing */
	__u32 n_custody;
	__u32 custody[CUSTODY_JAILS_MAX];
};

struct recorder_running {
	struct message_head head;
	__u64 size;		/* records in the ledger */
	__u64 torn_bytes;	/* bytes of a torn last record that were cut at recovery */
};

struct record_event {
	struct message_head head;
	struct custody_event event;
};

struct record_launch {
	struct message_head head;
	struct ledger_launch launch;
};

struct record_state {
	struct message_head head;
	struct ledger_state state;
};

struct record_gap {
	struct message_head head;
	struct ledger_gap gap;
};

struct record_counter {
	struct message_head head;
	struct ledger_counter counter;
};

struct record_fact {
	struct message_head head;
	struct ledger_fact fact;
};

/* All facts are in: compute the verdict, sign, write the evidence. */
struct record_retire {
	struct message_head head;
	struct ledger_retire retire;
};

/* Answer to RECORD_* with head.id != 0: the record is on disk. */
struct recorded {
	struct message_head head;
	__u64 seq;
};

struct retired {
	struct message_head head;
	__u32 verdict;		/* enum evidence_verdict */
	__u32 pad;
	__u64 seq;
	char evidence[CUSTODY_NAME_SIZE * 2];	/* directory below evidence/ */
	char text[CUSTODY_TEXT_SIZE];		/* why it is not clean, for people */
};

struct sweep_request {
	struct message_head head;
	__u32 jail_id;
	__u32 phase;		/* enum evidence_phase */
	__u64 cgroup_model;	/* cgroup ids; 0 = never existed */
	__u64 cgroup_broker;
	__u64 scratch_dev[SCRATCH_DEVICES_MAX];	/* not yet seen gone; 0 = none */
	__u64 ns_inode[8];
	__u32 n_endpoints;
	__u32 ns_gone;		/* bit per enum jail_namespace: the kernel says it exists no more */
	__u32 ns_alive;		/* likewise: the kernel was asked, and it does exist */
	__u32 pad;
	struct reply_endpoint endpoints[CUSTODY_ENDPOINTS_MAX];
	char cgroup[CUSTODY_PATH_SIZE];	/* absolute path of the jail's cgroup directory */
	char model[CUSTODY_PATH_SIZE];	/* host path of the weights: who holds its files? */
};

struct sweep_fact {
	struct message_head head;
	struct evidence_fact fact;
};

struct host_request {
	struct message_head head;
};

#define HOST_READERS_MAX 64

/* Who may read weights from outside: an executable, or a uid when path is empty. */
struct host_reader {
	__u32 uid;
	__u32 line;		/* of custody.conf */
	char path[CUSTODY_NAME_SIZE * 4];
};

/* custody.conf(5). Without the file all zero. */
struct host_settings {
	struct message_head head;
	__u32 guard;		/* enum guard_setting mask (custody/guard.h) */
	__u32 guard_line;	/* of the first setting that needs the guard; 0: there is none */
	__u32 n_readers;
	__u32 pad;
	struct host_reader readers[HOST_READERS_MAX];
};

struct sweep_done {
	struct message_head head;
	__u32 n_facts;
	__u32 pad;
};

/* An address that a host name was resolved to. */
struct resolved_address {
	__u8 family;		/* 4 or 6 */
	__u8 pad[7];
	__u8 address[16];	/* network order; IPv4 in the first 4 bytes */
};

/* Of a name endpoint of the plan. */
struct broker_resolve {
	struct message_head head;
	__u32 endpoint;		/* index into plan.endpoints */
	__u32 pad;
};

/* The addresses are in the policy maps by now, for every endpoint of that name. */
struct broker_resolved {
	struct message_head head;
	__u32 endpoint;
	__s32 error;		/* 0, or negative errno and n == 0 */
	__u32 n;
	__u32 pad;
	struct resolved_address addresses[CUSTODY_ADDRESSES_MAX];
};

/* A call that waits in its broker does not freeze: while it holds, each is answered at once. */
struct broker_hold {
	struct message_head head;
	__u32 hold;		/* 1 or 0 */
	__u32 pad;
};

struct resolve_request {
	struct message_head head;
	char name[PLAN_HOST_NAME_MAX + 5];
};

struct resolve_answer {
	struct message_head head;
	__s32 error;		/* 0, or negative errno and n == 0 */
	__u32 n;
	struct resolved_address addresses[CUSTODY_ADDRESSES_MAX];
};

#include "custody/message_measure.h"

#endif
