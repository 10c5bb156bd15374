/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retirement sequence. Run by custodyd. Facts go to the ledger as they come; what could not
 * be looked at becomes a fact that says so. custodyd gives no verdict: the recorder computes it
 * from the ledger with the function that custody-verify recomputes.
 */
#include "retire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ceiling.h"
#include "cgroup.h"
#include "cleanup.h"
#include "measure.h"
#include "plan.h"
#include "registry.h"
#include "sequence.h"
#include "sockets.h"

#define RETIRE_POLL_US 50000
#define RETIRE_SETTLE_POLL_US 5000	/* a device's number is anybody's as soon as it is free */
#define RETIRE_SWEEP_S 120U
#define RETIRE_SETTLE_US 2000000
#define RETIRE_ERASE_US 2000000

/* Facts that the sweeper gathers, once in each phase. */
static const enum evidence_fact_id retire_swept[] = {
	FACT_CGROUP_POPULATED, FACT_CGROUP_PRESENT, FACT_NAMESPACE_PIDS, FACT_SOCKETS_INET,
	FACT_ENDPOINTS_BOUND, FACT_SOCKETS_UNIX, FACT_SCRATCH_MOUNTS, FACT_WEIGHTS_OPEN,
	FACT_BROKER_ALIVE,
};

static __u64 retire_now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static int retire_record_fact(struct jail *jail, enum evidence_fact_id id, bool looked, __u64 value,
			      const char *detail)
{
	struct evidence_fact fact = { .fact = id, .phase = jail->sweep_phase, .looked = looked,
				      .value = value };

	(void)snprintf(fact.detail, sizeof(fact.detail), "%s", detail);
	return recording_put_fact(jail, &fact);
}

/* ---- drain ---- */

static int retire_arm_tick(struct jail *jail, __u64 us, sd_event_time_handler_t on_tick)
{
	jail->tick = sd_event_source_disable_unref(jail->tick);
	return sd_event_add_time_relative(jail->warden->event, &jail->tick, CLOCK_MONOTONIC,
					  us, 1000, on_tick, jail);
}

/* True when draining is over: nothing is connected, or the profile's time is up. */
static bool retire_is_drained(struct jail *jail)
{
	__u32 connections = 0;
	int r = sockets_count_connections(jail->cgroup_model, jail->cgroup_broker, &connections);

	jail->connections_known = r == 0;
	jail->connections_cut = connections;
	if (r == 0 && connections == 0)
		return true;
	return retire_now_ns(CLOCK_MONOTONIC) / 1000 >= jail->wait_until;
}

static int retire_on_drain_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	if (!retire_is_drained(jail) &&
	    retire_arm_tick(jail, RETIRE_POLL_US, retire_on_drain_tick) >= 0)
		return 0;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	sequence_continue(jail);
	return 0;
}

static int retire_step_drain(struct jail *jail)
{
	int r;

	jail->sweep_phase = EVIDENCE_BEFORE_ERASE;
	/* From here on a restarted custodyd goes on with it. */
	jail->state = JAIL_STATE_RETIRING;
	r = state_save(jail);
	if (r < 0)
		return r;
	if (jail->init == 0) {
		jail->connections_known = true;
		return 0;
	}
	r = policy_drain_jail(jail->warden->policy, jail->cgroup_broker);
	if (r < 0)
		return r;
	jail->wait_until = retire_now_ns(CLOCK_MONOTONIC) / 1000 +
			    (jail->plan ? (__u64)jail->plan->drain_timeout_s * 1000000 : 0);
	if (retire_is_drained(jail))
		return 0;
	return retire_arm_tick(jail, RETIRE_POLL_US, retire_on_drain_tick) < 0 ? -EIO :
										 -EINPROGRESS;
}

static int retire_step_freeze(struct jail *jail)
{
	int r;

	jail->drained_ns = retire_now_ns(CLOCK_REALTIME);
	if (jail->init == 0)
		return 0;
	r = freeze_cgroups(jail, true);
	if (r != -ETIMEDOUT)
		return r;
	/* A model that can make itself wait in the kernel has no say in whether it is retired. */
	log_warning("%s does not freeze: its processes are killed right away.", jail->name);
	return life_kill(jail);
}

static int retire_step_count(struct jail *jail)
{
	if (!jail->cgroup[0] || access(jail->cgroup, F_OK) < 0)
		return 0;
	recording_check_losses(jail->warden);
	return recording_put_counters(jail);
}

/* ---- the kernel's own taking down, which goes on after the last process is gone ---- */

static bool retire_is_settled(struct jail *jail)
{
	__u32 gone = 0;
	__u32 alive = 0;

	life_note_scratch(jail);
	nshandle_ask(jail->ns_handle, &gone, &alive);
	return (alive == 0 && life_scratch_is_gone(jail)) ||
	       retire_now_ns(CLOCK_MONOTONIC) / 1000 >= jail->wait_until;
}

static int retire_on_settle_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	if (!retire_is_settled(jail) &&
	    retire_arm_tick(jail, RETIRE_SETTLE_POLL_US, retire_on_settle_tick) >= 0)
		return 0;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	sequence_continue(jail);
	return 0;
}

/* What is held for longer than this is a fact, and the sweep says so. */
static int retire_step_settle(struct jail *jail)
{
	life_reap(jail);
	spawn_kill(&jail->broker);
	jail->wait_until = retire_now_ns(CLOCK_MONOTONIC) / 1000 + RETIRE_SETTLE_US;
	if (retire_is_settled(jail))
		return 0;
	return retire_arm_tick(jail, RETIRE_SETTLE_POLL_US, retire_on_settle_tick) < 0 ?
		       0 : -EINPROGRESS;
}

/* ---- facts ---- */

static void retire_fill_endpoint(const struct custody_plan *plan, const struct plan_endpoint *e,
				 struct reply_endpoint *to)
{
	to->kind = (__u16)e->kind;
	to->family = e->family;
	to->protocol = e->protocol;
	to->port = e->port;
	memcpy(to->address, e->address, sizeof(to->address));
	(void)snprintf(to->path, sizeof(to->path), "%s", plan_string(plan, e->path));
}

/* Every fact of this phase that the sweeper did not give becomes one that was not looked at. */
static int retire_add_unseen(struct jail *jail, const char *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(retire_swept); i++) {
		if (!(jail->facts_seen & (1U << retire_swept[i])))
			r = retire_record_fact(jail, retire_swept[i], false, 0, why);
	}
	return r;
}

/* custodyd's own facts are not the sweeper's to state. */
static bool retire_is_swept(__u32 id)
{
	for (size_t i = 0; i < ARRAY_SIZE(retire_swept); i++) {
		if (retire_swept[i] == id)
			return true;
	}
	return false;
}

static int retire_on_sweep_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	log_error("The sweeper did not end within %u s; it is killed.", RETIRE_SWEEP_S);
	retire_sweeper_failed(jail, "The sweeper did not end in time.");
	return 0;
}

/* Its lateness makes the retirement incomplete and does not end it: so not the step's timeout. */
static int retire_arm_sweep(struct jail *jail)
{
	jail->tick = sd_event_source_disable_unref(jail->tick);
	return sd_event_add_time_relative(jail->warden->event, &jail->tick, CLOCK_MONOTONIC,
					  RETIRE_SWEEP_S * 1000000ULL, 1000, retire_on_sweep_late,
					  jail);
}

static void retire_undo_sweep(struct jail *jail)
{
	spawn_kill(&jail->sweeper);
}

static bool retire_has_namespace(const struct jail *jail, __u64 number)
{
	for (unsigned int i = 0; number != 0 && i < _JAIL_NS_MAX; i++) {
		if (jail->ns_inode[i] == number)
			return true;
	}
	return false;
}

/*
 * A namespace's number is the number of no other that lives, of whatever kind (proc_alloc_inum()).
 * Where the kernel has no handles for them: one that a later jail was given is free again.
 */
static void retire_note_reused(const struct jail *jail, __u32 *gone)
{
	for (const struct jail *j = jail->warden->jails; j; j = j->next) {
		for (unsigned int i = 0; j->id > jail->id && i < _JAIL_NS_MAX; i++) {
			if (retire_has_namespace(j, jail->ns_inode[i]))
				*gone |= 1U << i;
		}
	}
}

static int retire_start_sweep(struct jail *jail)
{
	struct sweep_request request = {
		.jail_id = jail->id,
		.phase = jail->sweep_phase,
		.cgroup_model = jail->cgroup_model,
		.cgroup_broker = jail->cgroup_broker,
	};
	int r;

	memcpy(request.ns_inode, jail->ns_inode, sizeof(request.ns_inode));
	life_note_scratch(jail);
	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		if (!(jail->scratch_gone & (1U << i)))
			request.scratch_dev[i] = jail->scratch_dev[i];
	}
	nshandle_ask(jail->ns_handle, &request.ns_gone, &request.ns_alive);
	retire_note_reused(jail, &request.ns_gone);
	(void)snprintf(request.cgroup, sizeof(request.cgroup), "%s", jail->cgroup);
	(void)snprintf(request.model, sizeof(request.model), "%s",
		       plan_string(jail->plan, jail->plan->model_path));
	for (__u32 i = 0; i < jail->plan->n_endpoints; i++) {
		if (jail->plan->endpoints[i].kind == PLAN_ENDPOINT_LISTEN)
			retire_fill_endpoint(jail->plan, &jail->plan->endpoints[i],
					     &request.endpoints[request.n_endpoints++]);
	}
	jail->facts_seen = 0;
	r = spawn_role(jail->warden, jail, &jail->sweeper, ROLE_SWEEPER, NULL);
	if (r == 0)
		r = MESSAGE_SEND(jail->sweeper.channel, ROLE_WARDEN, SWEEP_REQUEST, 1, &request);
	if (r == 0)
		r = retire_arm_sweep(jail);
	if (r >= 0)
		return -EINPROGRESS;
	log_error("The sweeper could not be started (%s); nothing is claimed about what it would "
		  "have looked at.", strerror(-r));
	spawn_kill(&jail->sweeper);
	return retire_add_unseen(jail, "The sweeper could not be started.");
}

static int retire_step_look(struct jail *jail)
{
	jail->sweep_phase = EVIDENCE_BEFORE_ERASE;
	return retire_start_sweep(jail);
}

/* True when there is nothing more to be done: all is erased, or has been tried long enough. */
static bool retire_is_erased(struct jail *jail)
{
	int r = life_release(jail);

	if (r == 0)
		return true;
	if (retire_now_ns(CLOCK_MONOTONIC) / 1000 < jail->wait_until)
		return false;
	log_error("Erasing what %s left: %s. The facts will show it.", jail->name, strerror(-r));
	return true;
}

static int retire_on_erase_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	if (!retire_is_erased(jail) &&
	    retire_arm_tick(jail, RETIRE_POLL_US, retire_on_erase_tick) >= 0)
		return 0;
	jail->tick = sd_event_source_disable_unref(jail->tick);
	sequence_continue(jail);
	return 0;
}

/* Tried again for a while: nobody looks after what is left once the jail is forgotten. */
static int retire_step_erase(struct jail *jail)
{
	jail->wait_until = retire_now_ns(CLOCK_MONOTONIC) / 1000 + RETIRE_ERASE_US;
	if (retire_is_erased(jail))
		return 0;
	if (retire_arm_tick(jail, RETIRE_POLL_US, retire_on_erase_tick) >= 0)
		return -EINPROGRESS;
	jail->wait_until = 0;
	(void)retire_is_erased(jail);
	return 0;
}

static int retire_step_look_again(struct jail *jail)
{
	jail->sweep_phase = EVIDENCE_AFTER_ERASE;
	return retire_start_sweep(jail);
}

static int retire_explain_facts(struct jail *jail, int error)
{
	return sequence_explain(
		jail, CUSTODY_EXIT_INTERNAL, error,
		"The facts of %s's retirement could not be recorded (%s); no evidence was made.",
		jail->name, strerror(-error));
}

void retire_message(struct jail *jail, const union message_buffer *buf)
{
	const struct sweep_fact *swept = (const struct sweep_fact *)buf;
	int r;

	if (!sequence_waits_in(jail, retire_step_look) &&
	    !sequence_waits_in(jail, retire_step_look_again))
		return;
	if (buf->head.type == MSG_SWEEP_FACT) {
		if (!retire_is_swept(swept->fact.fact) || swept->fact.phase != jail->sweep_phase ||
		    (jail->facts_seen & (1U << swept->fact.fact)))
			return;
		jail->facts_seen |= 1U << swept->fact.fact;
		r = recording_put_fact(jail, &swept->fact);
		if (r < 0) {
			(void)retire_explain_facts(jail, r);
			sequence_fail(jail);
		}
		return;
	}
	retire_sweeper_failed(jail, "The sweeper did not report on this.");
}

/* Also the normal end: then every fact has been seen and nothing is added. */
void retire_sweeper_failed(struct jail *jail, const char *why)
{
	int r;

	if (!sequence_waits_in(jail, retire_step_look) &&
	    !sequence_waits_in(jail, retire_step_look_again))
		return;
	spawn_kill(&jail->sweeper);
	jail->tick = sd_event_source_disable_unref(jail->tick);
	jail->fail_text[0] = '\0';
	r = retire_add_unseen(jail, why);
	if (r == 0) {
		sequence_continue(jail);
		return;
	}
	(void)retire_explain_facts(jail, r);
	sequence_fail(jail);
}

/* ---- custodyd's own facts, and the verdict ---- */

static int retire_record_own_facts(struct jail *jail)
{
	__u32 missing = jail->plan->planes_required & ~jail->planes_active;
	struct evidence_fact ceiling = { .fact = FACT_CEILING, .phase = jail->sweep_phase };
	__u64 entries = 0;
	int r = policy_count_entries(jail->warden->policy, jail->id, &entries);
	int r2 = 0;

	r2 |= retire_record_fact(jail, FACT_POLICY_ENTRIES, r == 0, entries,
				 r == 0 ? "" : "The policy maps could not be read.");
	r2 |= retire_record_fact(jail, FACT_EVENTS_LOST, true, jail->lost_told, "");
	r2 |= retire_record_fact(jail, FACT_GAPS, true, jail->gaps, "");
	r2 |= retire_record_fact(jail, FACT_PLANES_MISSING, true,
				 (__u64)__builtin_popcount(missing), "");
	r2 |= retire_record_fact(jail, FACT_DRAINED, jail->connections_known, jail->connections_cut,
				 jail->connections_known ? ""
							 : "Connections could not be counted.");
	ceiling_fill_fact(jail, &ceiling);
	r2 |= recording_put_fact(jail, &ceiling);
	return r2 == 0 ? 0 : -EIO;
}

static int retire_step_judge(struct jail *jail)
{
	int r = retire_record_own_facts(jail);

	if (r == 0)
		r = recording_put_retire(jail);
	return r < 0 ? retire_explain_facts(jail, r) : -EINPROGRESS;
}

void retire_recorder_gone(struct jail *jail)
{
	if (!sequence_waits_in(jail, retire_step_judge))
		return;
	(void)sequence_explain(jail, CUSTODY_EXIT_INCOMPLETE, -EPIPE,
			       "The recorder ended before it had judged the retirement of %s; "
			       "it is begun again when a recorder runs.", jail->name);
	sequence_fail(jail);
}

void retire_judged(struct jail *jail, const struct retired *retired)
{
	if (!sequence_waits_in(jail, retire_step_judge))
		return;
	jail->verdict = (enum evidence_verdict)retired->verdict;
	(void)snprintf(jail->verdict_text, sizeof(jail->verdict_text), "%s", retired->text);
	(void)snprintf(jail->evidence, sizeof(jail->evidence), "%s", retired->evidence);
	sequence_continue(jail);
}

static int retire_step_forget(struct jail *jail)
{
	int r = ceiling_forget(jail);

	jail->state = JAIL_STATE_RETIRED;
	measure_cache_forget(jail);
	return r < 0 ? r : state_remove(jail);
}

static const struct sequence_step retire_steps[] = {
	{ "Draining: no new connection gets in, those that are there may end",
	  "first: a request that was taken is answered", retire_step_drain, NULL, 0 },
	{ "Freezing every process", "what is looked at next cannot change", retire_step_freeze,
	  NULL, 0 },
	{ "Recording the counters", "they go with the map entries", retire_step_count, NULL, 0 },
	{ "Killing every process", "frozen processes die without running again", life_kill,
	  NULL, 0 },
	{ "Waiting for the kernel to take the namespaces down",
	  "it does so by RCU and work queues, after the last process", retire_step_settle, NULL,
	  0 },
	{ "Looking at what is left", "before erasing: the record shows what there was",
	  retire_step_look, retire_undo_sweep, 0 },
	{ "Erasing scratch, policy, cgroups and sockets", "only after the facts are on record",
	  retire_step_erase, NULL, 0 },
	{ "Looking again", "the evidence is about this look", retire_step_look_again,
	  retire_undo_sweep, 0 },
	{ "Judging and signing", "the recorder computes the verdict from the ledger alone",
	  retire_step_judge, NULL, 30000 },
	{ "Marking the version retired in the registry",
	  "before the jail is forgotten: it may not start again", registry_step_retire,
	  registry_undo_find, 30000 },
	{ "Forgetting the jail", "last: until now a restarted custodyd would go on from here",
	  retire_step_forget, NULL, 0 },
};

/* Who waits in the foreground for the model's end has it, whatever became of the retirement. */
static void retire_tell_run(struct jail *jail)
{
	control_reply(jail->warden, jail->run_ticket.id, CUSTODY_EXIT_DONE, jail->wait_status, "");
	jail->run_ticket.id = 0;
}

static void retire_finished(struct jail *jail, enum custody_exit exit_code, const char *text)
{
	static const enum custody_exit exits[] = {
		[VERDICT_CLEAN] = CUSTODY_EXIT_DONE,
		[VERDICT_RESIDUE] = CUSTODY_EXIT_FALSE,
		[VERDICT_INCOMPLETE] = CUSTODY_EXIT_INCOMPLETE,
	};
	static const char *const words[] = {
		[VERDICT_CLEAN] = "clean: no endpoint and no artifact of this jail remains",
		[VERDICT_RESIDUE] = "residue: something of it remains",
		[VERDICT_INCOMPLETE] = "incomplete: not everything could be looked at or recorded",
	};
	struct warden *warden = jail->warden;
	char line[CUSTODY_TEXT_SIZE];
	__u64 id = jail->ticket.id;

	jail->tick = sd_event_source_disable_unref(jail->tick);
	if (exit_code != CUSTODY_EXIT_DONE || jail->verdict < VERDICT_CLEAN ||
	    jail->verdict > VERDICT_INCOMPLETE) {
		log_error("Retirement of %s failed: %s", jail->name, text);
		control_reply(warden, id, exit_code ? exit_code : CUSTODY_EXIT_INTERNAL, 0, text);
		jail->ticket.id = 0;
		if (jail->init == 0)
			retire_tell_run(jail);
		return;
	}
	(void)snprintf(line, sizeof(line), "%s is retired. Verdict: %s.%s%.600s Evidence: %s",
		       jail->name, words[jail->verdict], jail->verdict_text[0] ? " " : "",
		       jail->verdict_text, jail->evidence);
	log_info("%s", line);
	retire_tell_run(jail);
	control_reply(warden, id, exits[jail->verdict], 0, line);
	jails_forget(jail);
}

void retire_begin(struct jail *jail, const struct ticket *ticket)
{
	life_take_ticket(jail, ticket);
	jail->narrate = true;
	jail->why = NULL;
	recording_settle(jail);
	life_settle_broker(jail);
	/* The retirement's own record says it too, at its end: what is lost here is a gap. */
	if (recording_put_state(jail, JAIL_STATE_RETIRING, "retirement asked for",
				ticket->peer.uid, 0) < 0)
		recording_put_gap(jail, LEDGER_GAP_RECORDER_DOWN, 0, 1);
	sequence_start(jail, retire_steps, ARRAY_SIZE(retire_steps), retire_finished);
}
