/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyd's own state: one struct warden for the process, one struct jail for each model that
 * is or was in custody. Run by custodyd only; every byte in these structs has been checked.
 */
#ifndef CUSTODY_WARDEN_H
#define CUSTODY_WARDEN_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "custody/limits.h"
#include "custody/message.h"
#include "custody/plan.h"
#include "log.h"
#include "message.h"
#include "nshandle.h"
#include "policy.h"

struct warden;
struct jail;
struct ceiling;
struct registry_job;
struct ring_buffer;
struct sequence_step;

/* A child role and our end of its channel. Empty: pid 0, channel -1. */
struct role {
	struct warden *warden;
	struct jail *jail;		/* NULL for front and recorder */
	enum custody_role role;
	pid_t pid;
	int channel;
	__u64 permit;			/* MSG_BIT mask of what it may send now */
	sd_event_source *io;
	sd_event_source *child;
};

/* What a request asked for and where its answer goes. id 0: nobody waits. */
struct ticket {
	__u64 id;
	struct message_peer peer;
};

/* What the kernel has counted for a jail, all counters together, when jails_tally() last looked. */
struct jail_tally {
	__u64 allowed;
	__u64 denied;
	__u64 bytes_in;
	__u64 bytes_out;
	__u64 lost;
};

struct jail {
	struct warden *warden;
	struct jail *next;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u32 id;
	__u32 slot;
	int slot_fd;			/* holds the lock of its block of uids */
	enum jail_state state;
	bool adopted;
	__u32 gaps_owed;		/* bit per enum ledger_gap_cause: not yet in the ledger */
	bool state_owed;		/* its state changed while nobody recorded ... */
	const char *state_why;		/* ... and why */
	const char *why;		/* why it ends, for the record; NULL: asked for */
	__u64 broker_unsent;		/* broker events that the recorder had no room for */
	__u64 broker_lost;		/* broker events that the broker had no room for */
	bool frozen_by_loss;		/* to be thawed when the recorder is back */
	__u32 restricted;		/* enum custody_restriction mask: only ever grows */
	__u32 cut;			/* bit per endpoint of the plan, likewise */
	__u32 restricted_owed;		/* of these, what the ledger does not have yet ... */
	__u32 cut_owed;
	__u32 restricted_uid;		/* ... and who asked for it */
	struct ticket ticket;		/* of the sequence that runs now */
	struct ticket run_ticket;	/* `run`: who waits in the foreground for the end */

	/* the plan: mapped and checked, and the sealed memfd itself */
	const struct custody_plan *plan;
	int plan_fd;
	__u8 plan_digest[CUSTODY_DIGEST_SIZE];

	/* what the kernel holds for it */
	char cgroup[CUSTODY_PATH_SIZE];
	__u64 cgroup_model;
	__u64 cgroup_broker;
	__u32 planes_active;
	pid_t init;			/* the jail's pid 1, our pid namespace; 0 when gone */
	int init_fd;			/* pidfd */
	sd_event_source *init_event;
	int broker_fd;			/* pidfd of an adopted jail's broker: it has no channel */
	sd_event_source *broker_event;
	sd_event_source *broker_grace;	/* is the jail still there when its broker has ended? */
	__u64 ns_inode[_JAIL_NS_MAX];
	struct nshandle ns_handle[_JAIL_NS_MAX];
	__u64 scratch_dev[SCRATCH_DEVICES_MAX];
	__u32 scratch_gone;		/* bit per scratch_dev: has been seen gone */
	__u32 scratch_noswap;
	__u64 started_ns;		/* CLOCK_REALTIME */
	__u64 drained_ns;
	int wait_status;		/* of the model; LEDGER_STATUS_UNKNOWN when not seen */
	__u32 structure;	/* of the self-check, for the launch record; 0 after adoption */
	__u32 landlock_abi;
	__u32 n_zones;
	struct jail_zone zones[CUSTODY_ZONES_MAX];

	struct role planner;
	struct role builder;		/* custody-jail until it has become the model */
	struct role broker;
	struct role sweeper;
	struct role resolver;		/* of the host name that is being resolved, if any */
	struct role measurer;		/* until the jail's zone has been compared */
	/* model.check (check.c): the model's jail, and the one in which it is looked at */
	struct jail *checked_by;	/* what looks at its model now */
	struct jail *check_of;		/* whose model this one looks at, while that waits for it */
	bool is_check;			/* it was made to look at a model */
	bool check_late;		/* its time was over */
	bool check_cut;			/* not all that it printed is in check_output */
	int check_output;		/* memfd */
	__u64 check_begun_ms;		/* CLOCK_MONOTONIC */
	sd_event_source *check_event;	/* its time; of the other: that it has ended */
	int model_dir;			/* O_PATH: of which each of them gets a mount */
	__u32 n_checks;			/* that have ended ... */
	__u32 checks_told;		/* ... and are on record, or on their way */
	struct ledger_checked checks[PLAN_CHECKERS_MAX];

	int model_fd;			/* detached mount of the model, until the jail has it */
	int measured_fd;		/* the measurer's table, until it is kept */
	__u64 model_mount;		/* of the host, below it: unique id; 0: not known */
	struct ledger_measured measured;	/* jail_id 0: not measured */
	bool measure_told;		/* why it was refused is on record */
	bool measured_told;		/* its record has been sent */
	__u64 progress_told;		/* CLOCK_MONOTONIC, ms: when the requester heard of it */
	__u32 resolve_wanted;		/* bit per endpoint: names that the broker waits for */
	__u32 resolve_now;		/* the one that the resolver has */
	__u64 resolve_begun;		/* CLOCK_MONOTONIC, us */
	sd_event_source *resolve_timer;

	/* the sequence that runs: a list of steps, where it is, why it fails */
	const struct sequence_step *sequence;
	unsigned int step;
	unsigned int n_steps;
	bool waiting;
	sd_event_source *timeout;
	sd_event_source *tick;
	void (*finished)(struct jail *jail, enum custody_exit exit_code, const char *text);
	enum custody_exit fail_exit;
	char fail_text[CUSTODY_TEXT_SIZE];

	/* `run`: the caller's stdio until the jail has it, and the command it asked for */
	struct request_run *run;
	int stdio[3];
	bool foreground;
	bool abandoned;			/* its client went away while it was starting */
	int log_fd;			/* write end of the log pipe, until the jail has it */
	int log_read;			/* its read end, for when the broker is gone */
	sd_event_source *log_event;
	int broker_peer;		/* the jail's end of its socket to the broker, likewise */
	char asked_model[CUSTODY_PATH_SIZE];

	/* what the registry says it is (registry_launch.c); version 0: it is not registered */
	bool asked_profile;		/* the profile was named by whoever asked */
	__u32 model_version;		/* first as it was asked for, then as it was found */
	__u8 model_digest[CUSTODY_DIGEST_SIZE];
	char model_signature[CUSTODY_PATH_SIZE];
	__u8 model_fingerprints[CUSTODY_DIGEST_SIZE];	/* of its index; zeros: it has none yet */
	bool fingerprint;		/* the measurer is to make one ... */
	int fingerprints_fd;		/* ... which is this; -1: there is none */
	bool measure;			/* its digest is asked for: it is to be registered */
	bool orderly;			/* was asked to stop while it was running */
	bool served_told;		/* that it served well is in the registry, or on its way */

	/* what it may send (ceiling.c); NULL: no ceiling */
	struct ceiling *ceiling;
	bool ceiling_settled;		/* its account is closed: nothing can be sent any more */

	/* limits it ran into (limits.c), as far as the ledger has been told */
	__u64 killed_told;
	__u64 forks_told;
	sd_event_source *memory_event;

	struct jail_tally tally;

	/* losses that the ledger has been told about, and retirement's own facts */
	__u64 lost_told;
	bool loss_unanswered;		/* told, but its profile's on-loss has not been heard */
	__u32 gaps;
	__u32 connections_cut;
	bool connections_known;
	__u32 facts_seen;		/* bit per enum evidence_fact_id, this phase */
	bool narrate;			/* tell the requester each step */
	enum evidence_phase sweep_phase;
	char verdict_text[CUSTODY_TEXT_SIZE];
	enum evidence_verdict verdict;
	char evidence[CUSTODY_NAME_SIZE * 2];
	__u64 wait_until;		/* of the drain, of the kernel; CLOCK_MONOTONIC, us */
};

#define LEDGER_STATUS_UNKNOWN 0x7fffffff

/* Counts that only grow, of what belongs to no jail. */
struct host_losses {
	__u64 helpers[_POLICY_ERROR_MAX];	/* failures of BPF helpers, by site */
	__u64 guard;			/* events about custody itself that were lost */
	__u64 recorders;		/* warden.recorders_lost */
};

struct warden {
	sd_event *event;
	char root[CUSTODY_PATH_SIZE];
	char libexec[CUSTODY_PATH_SIZE];
	char pin_dir[CUSTODY_PATH_SIZE];
	char jails_dir[CUSTODY_PATH_SIZE];
	char cgroup[CUSTODY_PATH_SIZE];	/* custody's own cgroup: parent of all jails */
	char cgroup_name[CUSTODY_NAME_SIZE];
	__u32 controllers;		/* enum cgroup_controller enabled below it */
	__u32 planes;			/* structure and what policy_open() gave */
	__u32 next_id;
	int lock_fd;
	int listen_fd;			/* control socket, handed to each front */
	int helpers_cgroup_fd;
	struct policy *policy;
	struct role front;
	struct role recorder;
	bool recorder_running;		/* may be told things */
	bool recorder_served;		/* this one has been running: it did not refuse to start */
	unsigned int recorder_falls;	/* ends in short succession */
	__u64 recorder_fell;		/* CLOCK_MONOTONIC, microseconds */
	__u64 front_started;		/* likewise */
	sd_event_source *front_timer;	/* the next attempt to start it */
	bool stopping;
	bool no_guard;			/* asked for: the guard stays open */
	struct host_settings host;	/* custody.conf as it was at the start */
	/* losses that belong to no jail: what the ledger has, and what the recorder was told */
	struct host_losses losses_told;
	struct host_losses losses_sent;
	unsigned int losses_unanswered;	/* of these messages */
	__u64 recorders_lost;		/* ended while the guard had events for them */
	sd_event_source *loss_timer;
	struct ring_buffer *wakes;	/* the kernel: look at the ceilings */
	sd_event_source *wakes_event;
	struct jail *jails;
	struct registry_job *registry;	/* queue of what is asked of the registry ... */
	struct registry_job *registry_measures; /* ... and what is measured before it may be */
	__u32 registry_records;
};

/* ---- jails.c: the table ---- */
struct jail *jails_new(struct warden *warden, const char *name);
struct jail *jails_find(struct warden *warden, const char *name);
struct jail *jails_find_id(struct warden *warden, __u32 id);
void jails_forget(struct jail *jail);		/* frees; nothing of the kernel's is touched */
bool jails_is_alive(const struct jail *jail);	/* holds kernel objects */
bool jails_need_broker(const struct jail *jail);	/* some bind() is its to answer */
int jails_watch_init(struct jail *jail, int pidfd);	/* takes pidfd; calls life_ended() */
/* Fills the tallies of all jails in one walk; *host_lost (may be NULL): of none. Or untouched. */
int jails_tally(struct warden *warden, __u64 *host_lost);
int jails_send_row(struct jail *jail, __u64 id);	/* with its tally */
int jails_send_counters(struct jail *jail, __u64 id);
/* "tcp:10.0.0.5:443", for people and for accounts; untouched when there is no such endpoint. */
void jails_label_endpoint(const struct jail *jail, __u16 object, char *label, size_t size);

void jails_label_endpoint(const struct jail *jail, __u16 object, char *label, size_t size);

/* ---- slots.c: blocks of uids, of which no two jails of the host have the same ---- */
int slots_take(struct warden *warden, __u32 *ret_slot, int *ret_fd);	/* -ENOSPC: all in use */
int slots_note(const struct jail *jail);	/* its cgroup exists: until it is gone, it is its */
void slots_adopt(struct jail *jail);		/* of a jail that was found */

/* ---- restrict.c: taking rights from a running model ---- */
void restrict_jail(struct jail *jail, const struct request_restrict *request);
int restrict_resume(struct warden *warden);	/* the policy is open: what was asked for holds */
int restrict_record(struct jail *jail);		/* what is owed to the ledger */

/* ---- remount.c ---- */
int remount_scratch(const struct jail *jail, __u32 *ret_zone);	/* read-only; all or nothing */

/* ---- setup.c: directories, locks, privileges of custodyd itself ---- */
int setup_warden(struct warden *warden);
int setup_open_policy(struct warden *warden);
int setup_listen(struct warden *warden);
void setup_clean(struct warden *warden); /* a clean stop: nothing of ours stays when no jail is */
int setup_open_directory(struct warden *warden,
			 const char *path); /* under the root; fd or -errno */

/* ---- spawn.c: role processes ---- */
#define SPAWN_NO_CGROUP (-1)
int spawn_role(struct warden *warden, struct jail *jail, struct role *ret, enum custody_role role,
	       const char *cgroup);
int spawn_adopt(struct warden *warden, struct jail *jail, struct role *ret, enum custody_role role,
		int channel);		/* takes channel; the process is not ours to reap */
void spawn_close(struct role *role);		/* forgets it: closes the channel, stops watching */
void spawn_kill(struct role *role);		/* SIGKILL, reap, close */
void spawn_wait(pid_t pid, int ms);		/* for its own end, then kills it; reaps */

/* ---- dispatch.c: what roles say ---- */
int dispatch_message(struct role *role, union message_buffer *buf, struct message_fds *fds);
void dispatch_gone(struct role *role, bool broken);	/* channel closed, or protocol broken */

/* ---- control.c: requests and replies ---- */
void control_request(struct warden *warden, union message_buffer *buf, struct message_fds *fds);
void control_reply(struct warden *warden, __u64 id, enum custody_exit exit_code, int status,
		   const char *text);
void control_step(struct warden *warden, __u64 id, __u32 step, __u32 steps, const char *text);
void control_progress(struct warden *warden, __u64 id, __u64 done, __u64 total);
void control_start_front(struct warden *warden);	/* tries again later when it cannot */
void control_front_gone(struct warden *warden);

/* ---- recording.c: the recorder and what it is told ---- */
int recording_start(struct warden *warden);
void recording_gone(struct warden *warden);
int recording_put_launch(struct jail *jail, __u64 id);
int recording_put_measured(struct jail *jail, __u64 id);
int recording_put_checked(struct jail *jail, const struct ledger_checked *checked, __u64 id);
int recording_put_state(struct jail *jail, enum jail_state state, const char *why, __u32 uid,
			__u64 id);
int recording_put_counters(struct jail *jail);
int recording_put_fact(struct jail *jail, const struct evidence_fact *fact);
int recording_put_retire(struct jail *jail);
void recording_put_broker_event(struct jail *jail, const struct broker_event *said);
int recording_put_event(struct jail *jail, const struct custody_event *event);
int recording_put_model(struct warden *warden, const struct ledger_model *model, __u64 id);
void recording_put_gap(struct jail *jail, enum ledger_gap_cause cause, __u64 lost, __u64 total);
void recording_check_jail(struct jail *jail);	/* a gap for what its tally has lost */
/* The same for all, after a new tally; also called before facts are taken. */
void recording_check_losses(struct warden *warden);
int recording_start_timer(struct warden *warden);
void recording_settle(struct jail *jail); /* before its state changes: what is owed, or a gap */
int recording_runs(struct warden *warden, const struct recorder_running *running);
void recording_answered(struct warden *warden, bool written);	/* a loss of no jail's */

/* ---- resolve.c: host names of egress ---- */
int resolve_request(struct jail *jail, const struct broker_resolve *asked); /* -EPROTO: not its */
void resolve_answered(struct jail *jail, const struct resolve_answer *answer);
void resolve_failed(struct jail *jail, int error);	/* the resolver ended, or refused */
void resolve_stop(struct jail *jail);

/* ---- rejoin.c: the channel to the broker of an adopted jail ---- */
#define REJOIN_SUFFIX ".broker"
int rejoin_make(struct jail *jail, int *ret);	/* the bound socket that its broker gets */
void rejoin_all(struct warden *warden);		/* once events can be recorded */
void rejoin_remove(struct jail *jail);

/* ---- state.c: what a restarted custodyd needs ---- */
int state_save(struct jail *jail);
int state_remove(struct jail *jail);
int state_next_id(struct warden *warden, __u32 *ret);	/* never the same twice */
int state_adopt_all(struct warden *warden);
pid_t state_read_broker(const struct jail *jail);	/* 0: none */
int state_read_start(pid_t pid, __u64 *ret);	/* clock ticks since boot */

/* ---- freeze.c ---- */
int freeze_jail(struct jail *jail, bool freeze, const char *why, __u32 uid);
/* Freezes or thaws the processes, and nothing else; waits. 0 or -errno. */
int freeze_cgroups(const struct jail *jail, bool freeze);

/* ---- life.c: stopping, ending, resuming ---- */
void life_take_ticket(struct jail *jail, const struct ticket *ticket);
void life_stop(struct jail *jail, const struct ticket *ticket);
void life_ended(struct jail *jail);		/* its init is gone */
void life_broker_gone(struct jail *jail);
void life_settle_broker(struct jail *jail);	/* before it ends: a gap, if it is gone */
void life_end_model(struct jail *jail, const char *why); /* the model; then it ends as always */
void life_lost_events(struct jail *jail);	/* the profile's on-loss answer */
void life_recorder_gone(struct jail *jail);	/* likewise, and the gap is owed to the ledger */
void life_resume(struct warden *warden);	/* the recorder runs: what had to wait for it */
void life_recorded(struct jail *jail);		/* its end is on disk */
void life_retry(struct jail *jail);		/* an end that could not be recorded */
int life_watch_broker(struct jail *jail, int pidfd);	/* takes pidfd; for an adopted jail */
void life_reap(struct jail *jail);		/* waits for the killed init and forgets it */
bool life_scratch_is_gone(const struct jail *jail);
void life_note_scratch(struct jail *jail);	/* before the device number is another's */
int life_kill(struct jail *jail);	/* begins a step of a sequence: 0, -EINPROGRESS, -errno */
int life_release(struct jail *jail);		/* processes, policy, cgroup: all but the record */

#endif
