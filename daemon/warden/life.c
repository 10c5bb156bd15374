/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A jail's life after its launch: stop, end, and what goes on after a restart. Run by custodyd.
 * Trusts the kernel's word on processes and cgroups, nothing of the model's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ceiling.h"
#include "cgroup.h"
#include "check.h"
#include "cleanup.h"
#include "launch.h"
#include "limits.h"
#include "plan.h"
#include "registry.h"
#include "retire.h"
#include "sequence.h"
#include "superblock.h"
#include "warden.h"

#define LIFE_KILL_MS 5000
#define LIFE_KILL_SOON_MS 50	/* nearly always: so long it is waited for at once */
#define LIFE_KILL_POLL_US 50000
#define LIFE_PIPE_SIZE 65536
#define LIFE_REAP_MS 2000	/* from "the cgroup is empty" to "its init can be reaped" */
#define LIFE_SETTLE_US 500000
#define LIFE_SETTLE_POLL_US 5000
#define LIFE_RETRY_US 10000000	/* from a stop that failed to the next */
#define LIFE_PROCESSES_MODEL 2U	/* init and the model */
#define LIFE_GRACE_US 1000000	/* between the end of a broker and that of its jail */

void life_reap(struct jail *jail)
{
	siginfo_t info = { 0 };

	struct pollfd p = { .fd = jail->init_fd, .events = POLLIN };

	jail->init_event = sd_event_source_disable_unref(jail->init_event);
	if (jail->init_fd >= 0 && poll(&p, 1, LIFE_REAP_MS) > 0 &&
	    waitid(P_PIDFD, (id_t)jail->init_fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid > 0)
		jail->wait_status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
							       : (info.si_status & 0x7f);
	cleanup_close_fd(&jail->init_fd);
	jail->init = 0;
}

void life_note_scratch(struct jail *jail)
{
	const __u32 before = jail->scratch_gone;

	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		bool alive = true;

		if (jail->scratch_dev[i] == 0 || (before & (1U << i)))
			continue;
		if (superblock_is_alive(jail->scratch_dev[i], &alive) == 0 && !alive)
			jail->scratch_gone |= 1U << i;
	}
	if (jail->scratch_gone != before)
		(void)state_save(jail);
}

/* UNIX endpoints leave a name in the file system: the one thing of a jail outside the kernel. */
static int life_remove_sockets(struct jail *jail)
{
	int r = 0;

	for (__u32 i = 0; jail->plan && i < jail->plan->n_endpoints; i++) {
		const struct plan_endpoint *e = &jail->plan->endpoints[i];

		if (e->kind != PLAN_ENDPOINT_LISTEN || e->family != PLAN_FAMILY_UNIX)
			continue;
		if (unlink(plan_string(jail->plan, e->path)) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r;
}

int life_release(struct jail *jail)
{
	int r, r2;

	ceiling_end_connections(jail);
	r = cgroup_kill(jail->cgroup, LIFE_KILL_MS);
	if (r < 0 && r != -ENOENT)
		return r;
	life_reap(jail);
	spawn_kill(&jail->broker);
	resolve_stop(jail);
	rejoin_remove(jail);
	jail->log_event = sd_event_source_disable_unref(jail->log_event);
	jail->memory_event = sd_event_source_disable_unref(jail->memory_event);
	cleanup_close_fd(&jail->log_read);
	ceiling_settle(jail);
	r = life_remove_sockets(jail);
	/* What was measured stays guarded: so it need not be read again for the next start. */
	if ((jail->measured.flags & MEASURED_GUARDED) && jail->state != JAIL_STATE_RETIRING)
		r2 = policy_release_jail(jail->warden->policy, jail->id);
	else
		r2 = policy_remove_jail(jail->warden->policy, jail->id);
	if (r == 0)
		r = r2;
	r2 = cgroup_remove(jail->cgroup);
	if (r2 == 0)
		cleanup_close_fd(&jail->slot_fd);
	return r < 0 ? r : r2;
}

/* ---- killing, which takes its time when a process hangs in the kernel: others are served ---- */

static __u64 life_now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000 + (__u64)now.tv_nsec / 1000;
}

static int life_on_kill_tick(sd_event_source *source, uint64_t usec, void *data);

/* 0: killed. -EINPROGRESS: not yet, and asked again soon. Else -errno, explained. */
static int life_try_kill(struct jail *jail, int wait_ms)
{
	int r = cgroup_kill(jail->cgroup, wait_ms);

	jail->tick = sd_event_source_disable_unref(jail->tick);
	if (r == 0 || r == -ENOENT)
		return 0;
	if (r == -ETIMEDOUT && life_now_us() < jail->wait_until &&
	    sd_event_add_time_relative(jail->warden->event, &jail->tick, CLOCK_MONOTONIC,
				       LIFE_KILL_POLL_US, 1000, life_on_kill_tick, jail) >= 0)
		return -EINPROGRESS;
	return sequence_explain(jail, CUSTODY_EXIT_INTERNAL, r,
				"The processes of %s could not all be killed (%s); nothing was "
				"erased. See %s.", jail->name, strerror(-r), jail->cgroup);
}

static int life_on_kill_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;
	int r = life_try_kill(jail, 0);

	(void)source;
	(void)usec;
	if (r == 0)
		sequence_continue(jail);
	else if (r != -EINPROGRESS)
		sequence_fail(jail);
	return 0;
}

int life_kill(struct jail *jail)
{
	ceiling_end_connections(jail);
	jail->wait_until = life_now_us() + LIFE_KILL_MS * 1000ULL;
	return life_try_kill(jail, LIFE_KILL_SOON_MS);
}

/* ---- stopping: the same list whether asked for, or because the model ended by itself ---- */

static int life_step_term(struct jail *jail)
{
	if (jail->init == 0)
		return 0;
	/* A frozen process takes no signal, and SIGTERM is the model's chance to drain. */
	if (freeze_cgroups(jail, false) < 0)
		return 0;
	if (syscall(SYS_pidfd_send_signal, jail->init_fd, SIGTERM, NULL, 0) < 0)
		return 0;
	return -EINPROGRESS;
}

static int life_step_count(struct jail *jail)
{
	int r;

	recording_check_losses(jail->warden);
	limits_look(jail);
	r = recording_put_counters(jail);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_INTERNAL, r,
					"The counters of %s could not be recorded (%s), so it has "
					"not stopped yet; that goes on when the recorder runs.",
					jail->name, strerror(-r));
	return 0;
}

static int life_step_release(struct jail *jail)
{
	int r = life_release(jail);

	if (r < 0)
		return sequence_explain(
			jail, CUSTODY_EXIT_INTERNAL, r,
			"%s was told to stop, but something of it could not be removed "
			"(%s); see custodyd's log and %s.",
			jail->name, strerror(-r), jail->cgroup);
	return 0;
}

bool life_scratch_is_gone(const struct jail *jail)
{
	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		if (jail->scratch_dev[i] != 0 && !(jail->scratch_gone & (1U << i)))
			return false;
	}
	return true;
}

static int life_on_settle_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)usec;
	life_note_scratch(jail);
	if (!life_scratch_is_gone(jail) && life_now_us() < jail->wait_until &&
	    sd_event_source_set_time_relative(source, LIFE_SETTLE_POLL_US) >= 0 &&
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
		return 0;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	sequence_continue(jail);
	return 0;
}

/* The kernel takes mounts down a little later, and then the device's number is anybody's. */
static int life_step_settle(struct jail *jail)
{
	life_note_scratch(jail);
	jail->wait_until = life_now_us() + LIFE_SETTLE_US;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	if (life_scratch_is_gone(jail) ||
	    sd_event_add_time_relative(jail->warden->event, &jail->tick, CLOCK_MONOTONIC,
				       LIFE_SETTLE_POLL_US, 1000, life_on_settle_tick, jail) < 0)
		return 0;
	return -EINPROGRESS;
}

/*
 * Until the answer it is stopping: to the next recorder it is said again (life_resume()), also by
 * the next custodyd, and it is written once.
 */
static int life_step_record(struct jail *jail)
{
	(void)recording_put_state(jail, JAIL_STATE_STOPPED, jail->why ? jail->why : "stopped",
				  jail->ticket.peer.uid, jail->id);
	return -EINPROGRESS;
}

void life_recorded(struct jail *jail)
{
	if (sequence_waits_in(jail, life_step_record))
		sequence_continue(jail);
}

static int life_step_stopped(struct jail *jail)
{
	jail->state = JAIL_STATE_STOPPED;
	life_note_scratch(jail);
	return state_save(jail);
}

static const struct sequence_step life_steps[] = {
	{ "asking it to end", "SIGTERM first: a server finishes its requests", life_step_term, NULL,
	  0 },
	{ "keeping the counters", "they go with the map entries", life_step_count, NULL, 0 },
	{ "killing its processes", "kill before policy: nothing runs unpoliced", life_kill, NULL,
	  0 },
	{ "removing policy and cgroup", "after the last process",
	  life_step_release, NULL, 0 },
	{ "seeing its scratch go", "while its device's number is nobody else's",
	  life_step_settle, NULL, 0 },
	{ "recording the stop", "when it is true", life_step_record, NULL, 10000 },
	{ "saving that it has stopped", "last: on record it does not change any more",
	  life_step_stopped, NULL, 0 },
};

static void life_stopped(struct jail *jail, enum custody_exit exit_code, const char *text)
{
	char line[CUSTODY_TEXT_SIZE];
	int status = jail->wait_status;

	jail->tick = sd_event_source_disable_unref(jail->tick);
	jail->wait_until = life_now_us() + LIFE_RETRY_US;
	if (exit_code == CUSTODY_EXIT_DONE)
		(void)snprintf(line, sizeof(line), "%s has stopped.", jail->name);
	log_info("%s", exit_code == CUSTODY_EXIT_DONE ? line : text);
	if (exit_code == CUSTODY_EXIT_DONE)
		registry_stopped(jail);
	if (jail->run_ticket.id)
		control_reply(jail->warden, jail->run_ticket.id, exit_code, status, text);
	jail->run_ticket.id = 0;
	if (jail->ticket.id)
		control_reply(jail->warden, jail->ticket.id, exit_code, status,
			      exit_code == CUSTODY_EXIT_DONE ? line : text);
	jail->ticket.id = 0;
	if (jail->is_check)
		check_ended(jail, exit_code == CUSTODY_EXIT_DONE, text);
}

static int life_on_drain_over(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	if (sequence_waits_in(jail, life_step_term))
		sequence_continue(jail);
	return 0;
}

static void life_begin_stop(struct jail *jail, bool ask)
{
	uint64_t drain = jail->plan ? (uint64_t)jail->plan->drain_timeout_s * 1000000 : 0;
	unsigned int skip = ask ? 0 : 1;

	recording_settle(jail);
	jail->orderly = ask && jail->state == JAIL_STATE_RUNNING;
	life_settle_broker(jail);
	/* Saved, so that a restarted custodyd goes on with it (life_resume()). */
	jail->state = JAIL_STATE_STOPPING;
	(void)state_save(jail);
	if (ask && sd_event_add_time_relative(jail->warden->event, &jail->tick, CLOCK_MONOTONIC,
					      drain, 1000, life_on_drain_over, jail) < 0)
		skip = 1;
	sequence_start(jail, life_steps + skip, ARRAY_SIZE(life_steps) - skip, life_stopped);
}

/* Whoever waits in the foreground of a `run` waits on, besides the one who asks now. */
void life_take_ticket(struct jail *jail, const struct ticket *ticket)
{
	if (jail->ticket.id && jail->foreground)
		jail->run_ticket = jail->ticket;
	jail->ticket = *ticket;
}

void life_stop(struct jail *jail, const struct ticket *ticket)
{
	life_take_ticket(jail, ticket);
	life_begin_stop(jail, true);
}

void life_ended(struct jail *jail)
{
	if (sequence_waits_in(jail, life_step_term)) {
		sequence_continue(jail);
		return;
	}
	if (jail->sequence) {
		launch_init_ended(jail);
		return;
	}
	if (!jails_is_alive(jail) || check_waits_for_output(jail))
		return;
	limits_look(jail);
	if (jail->state == JAIL_STATE_RUNNING && !jail->why)
		jail->why = limits_killed_model(jail) ? "killed: its memory ran out"
						      : "ended by itself";
	log_info("%s: %s.", jail->name, jail->why ? jail->why : "ended");
	/* Its last counters belong in the ledger: without a recorder, life_resume() goes on. */
	if (jail->warden->recorder_running)
		life_begin_stop(jail, false);
}

/* ---- the broker ---- */

/* Without looking at a byte of it. */
static int life_on_output(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	cleanup_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct jail *jail = data;

	(void)source;
	if (null >= 0 && (revents & EPOLLIN) &&
	    splice(fd, NULL, null, NULL, LIFE_PIPE_SIZE, SPLICE_F_NONBLOCK) > 0)
		return 0;
	jail->log_event = sd_event_source_disable_unref(jail->log_event);
	cleanup_close_fd(&jail->log_read);
	return 0;
}

/* A server that prints must not fail, nor wait for ever, because nobody writes it down any more. */
static void life_discard_output(struct jail *jail)
{
	if (jail->log_read < 0 || jail->log_event)
		return;
	log_warning("What %s prints is discarded from here on.", jail->name);
	if (sd_event_add_io(jail->warden->event, &jail->log_event, jail->log_read, EPOLLIN,
			    life_on_output, jail) < 0)
		cleanup_close_fd(&jail->log_read);
}

static int life_on_broker_grace(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	jail->broker_grace = sd_event_source_disable_unref(jail->broker_grace);
	if (jail->init == 0 || jail->sequence || !jails_is_alive(jail))
		return 0;
	log_error("The broker of %s ended; the model can open no new endpoint.", jail->name);
	recording_put_gap(jail, LEDGER_GAP_BROKER, 0, 1);
	return 0;
}

/*
 * It ends by itself when its jail does, often a little before init does; on its own, it is a loss
 * of the endpoint plane.
 */
void life_broker_gone(struct jail *jail)
{
	if (jail->is_check && jail->init == 0) {
		life_ended(jail);
		return;
	}
	if (jail->init == 0 || jail->broker_grace)
		return;
	if (check_lost_output(jail))
		life_discard_output(jail);
	if (!jails_need_broker(jail))
		return;
	if (sd_event_add_time_relative(jail->warden->event, &jail->broker_grace, CLOCK_MONOTONIC,
				       LIFE_GRACE_US, 1000, life_on_broker_grace, jail) < 0)
		recording_put_gap(jail, LEDGER_GAP_BROKER, 0, 1);
}

/* It is asked to end while its model still runs: the broker did not go because its jail did. */
void life_settle_broker(struct jail *jail)
{
	__u32 processes = 0;

	if (!jail->broker_grace || cgroup_count_processes(jail->cgroup, &processes) < 0 ||
	    processes < LIFE_PROCESSES_MODEL)
		return;
	jail->broker_grace = sd_event_source_disable_unref(jail->broker_grace);
	recording_put_gap(jail, LEDGER_GAP_BROKER, 0, 1);
}

static int life_on_broker_end(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)fd;
	(void)revents;
	jail->broker_event = sd_event_source_disable_unref(jail->broker_event);
	cleanup_close_fd(&jail->broker_fd);
	life_broker_gone(jail);
	return 0;
}

int life_watch_broker(struct jail *jail, int pidfd)
{
	jail->broker_fd = pidfd;
	return sd_event_add_io(jail->warden->event, &jail->broker_event, pidfd, EPOLLIN,
			       life_on_broker_end, jail);
}

/* ---- losses ---- */

/* Only the model: its end then goes the way of every other end, counters first. */
void life_end_model(struct jail *jail, const char *why)
{
	char path[CUSTODY_PATH_SIZE + 8];
	int r;

	jail->why = why;
	(void)snprintf(path, sizeof(path), "%s/model", jail->cgroup);
	r = cgroup_kill(path, LIFE_KILL_MS);
	if (r < 0)
		log_error("The processes of %s cannot all be killed: %s.", jail->name,
			  strerror(-r));
}

void life_lost_events(struct jail *jail)
{
	if (!jail->plan || !jails_is_alive(jail) || jail->init == 0)
		return;
	/* While it is being launched: launch_finished() comes back to it. */
	jail->loss_unanswered = jail->sequence != NULL;
	if (jail->sequence)
		return;
	switch (jail->plan->on_loss) {
	case PLAN_ON_LOSS_KILL:
		log_error("Events of %s were lost; its profile says on-loss = kill.", jail->name);
		life_end_model(jail, "events were lost (on-loss = kill)");
		break;
	case PLAN_ON_LOSS_FREEZE:
		log_error("Events of %s were lost; its profile says on-loss = freeze.", jail->name);
		if (jail->state == JAIL_STATE_RUNNING &&
		    freeze_jail(jail, true, "events were lost (on-loss = freeze)", ~0U) < 0)
			life_end_model(jail, "events were lost (on-loss = freeze)");
		break;
	default:
		log_warning("Events of %s were lost; the ledger has the count.", jail->name);
		break;
	}
}

void life_recorder_gone(struct jail *jail)
{
	if (!jails_is_alive(jail))
		return;
	/* Before its launch is on record there is nothing of it that a record could miss. */
	if (jail->state == JAIL_STATE_STARTING && jail->started_ns == 0)
		return;
	recording_put_gap(jail, LEDGER_GAP_RECORDER_DOWN, 0, 1);
	if (!jail->plan || jail->sequence)
		return;
	jail->frozen_by_loss = jail->plan->on_loss == PLAN_ON_LOSS_FREEZE &&
			       jail->state == JAIL_STATE_RUNNING;
	life_lost_events(jail);
}

/* ---- what had to wait, for the recorder or for the next custodyd ---- */

static void life_resume_one(struct jail *jail)
{
	const struct ticket nobody = { 0 };

	if (jail->frozen_by_loss && jail->state == JAIL_STATE_FROZEN &&
	    freeze_jail(jail, false, "the recorder is back", ~0U) < 0)
		log_error("%s could not be thawed; \"custodyctl thaw\" tries again.", jail->name);
	jail->frozen_by_loss = false;
	if (sequence_waits_in(jail, life_step_record))
		(void)life_step_record(jail);
	if (!jails_is_alive(jail) || jail->sequence)
		return;
	if (jail->state == JAIL_STATE_RETIRING) {
		log_info("The retirement of %s goes on.", jail->name);
		retire_begin(jail, &nobody);
	} else if (jail->init == 0) {
		life_ended(jail);
	} else if (jail->is_check && !jail->check_of) {
		life_end_model(jail, "custodyd ended while it ran");
	} else if (jail->state == JAIL_STATE_STOPPING || jail->abandoned) {
		life_stop(jail, &nobody);
	}
}

void life_retry(struct jail *jail)
{
	if (jail->state != JAIL_STATE_STOPPING || jail->sequence || jail->init != 0 ||
	    !jail->warden->recorder_running || life_now_us() < jail->wait_until)
		return;
	life_ended(jail);
}

void life_resume(struct warden *warden)
{
	struct jail *next;

	for (struct jail *j = warden->jails; j; j = next) {
		next = j->next;
		life_resume_one(j);
	}
}
