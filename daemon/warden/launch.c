/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch sequence. Run by custodyd. Trusts the plan after plan_check(), the jail's report
 * because custody-jail is still our code until its exec, and nothing of the model.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "check.h"
#include "cleanup.h"
#include "guard.h"
#include "launch_steps.h"
#include "measure.h"
#include "paths.h"
#include "plan.h"
#include "registry.h"
#include "sequence.h"

static const struct sequence_step launch_steps[] = {
	{ "asking the registry", "it says what a registered name is, or that it may not start",
	  registry_step_find, registry_undo_find, 20000 },
	{ "reading the profile", "nothing is made before it is known what is asked for",
	  launch_step_plan, launch_undo_plan, 10000 },
	{ "checking what this host offers", "a missing plane refuses before anything exists",
	  launch_step_check, NULL, 0 },
	{ "making the cgroups", "policy is bound to their ids",
	  launch_step_cgroup, launch_undo_cgroup, 0 },
	{ "installing the policy", "policy before process: read back before any process is in it",
	  launch_step_policy, launch_undo_policy, 0 },
	{ "measuring the model", "the guard is around its files by now; nothing is opened yet",
	  measure_step_read, measure_undo_read, 60000 },
	{ "comparing with the registry", "a version is its bytes, and no others",
	  registry_step_compare, NULL, 0 },
	{ "checking the model", "what is checked is known by now, and nothing is open yet",
	  check_step_run, check_undo, 0 },
	{ "opening the endpoints", "an endpoint in use refuses before the jail is built",
	  launch_step_broker, launch_undo_broker, 10000 },
	{ "building the jail", "needs the broker's socket and the cgroup",
	  launch_step_jail, launch_undo_jail, 20000 },
	{ "installing the zones", "mount ids exist only now; still no byte of the model has run",
	  launch_step_zones, NULL, 0 },
	{ "checking the jail from inside", "what the kernel says, not what we asked for",
	  launch_step_ready, NULL, 10000 },
	{ "comparing the model", "the zone is mounted, and no byte of it has been used",
	  measure_step_compare, NULL, 60000 },
	{ "recording the launch", "no model runs that the ledger does not know",
	  launch_step_record, launch_undo_record, 10000 },
	{ "saving the state", "a custodyd that dies after the go must find the jail again",
	  launch_step_save, launch_undo_save, 0 },
	{ "opening the policy", "observation starts with the model's first instruction",
	  launch_step_open, NULL, 0 },
	{ "giving the go", "last: everything above holds", launch_step_go, NULL, 10000 },
};

static struct jail *launch_find_stopped(const struct jail *jail)
{
	for (struct jail *j = jail->warden->jails; j; j = j->next) {
		if (j != jail && !jails_is_alive(j) && strcmp(j->name, jail->name) == 0)
			return j;
	}
	return NULL;
}

/* Stopped jails of the same name have served their purpose once a new one runs. */
static void launch_drop_stopped(struct jail *jail)
{
	struct jail *j = launch_find_stopped(jail);

	if (j && jails_tally(jail->warden, NULL) < 0)
		log_error("What the kernel has counted for %s before cannot be read.", jail->name);
	while ((j = launch_find_stopped(jail)) != NULL) {
		recording_check_jail(j);
		/* its model's files are guarded for the new one by now */
		if (policy_remove_jail(j->warden->policy, j->id) < 0)
			log_error("Policy of jail %u could not be removed from the kernel.", j->id);
		(void)state_remove(j);
		jails_forget(j);
	}
}

/* `start` asked for a model that runs. A `run` is told how it ended when that is on record. */
static void launch_tell_ended(struct jail *jail)
{
	char text[CUSTODY_TEXT_SIZE * 2];

	if (jail->foreground || jail->is_check)
		return;
	(void)snprintf(text, sizeof(text), "%s was started and has ended already; what it "
		       "printed is in %s%s/%s.log.", jail->name, jail->warden->root, PATHS_LOGS,
		       jail->name);
	control_reply(jail->warden, jail->ticket.id, CUSTODY_EXIT_FALSE, 0, text);
	jail->ticket.id = 0;
}

static void launch_finished(struct jail *jail, enum custody_exit exit_code, const char *text)
{
	struct warden *warden = jail->warden;
	char line[CUSTODY_TEXT_SIZE];
	__u64 id = jail->ticket.id;

	if (exit_code != CUSTODY_EXIT_DONE) {
		log_warning("%s was not started: %s", jail->name, text);
		control_reply(warden, id, exit_code, 0, text);
		check_not_launched(jail, text);
		jails_forget(jail);
		return;
	}
	launch_drop_stopped(jail);
	cleanup_close_fd(&jail->model_dir);
	jail->state = JAIL_STATE_RUNNING;
	jail->state_why = "started";
	jail->state_owed = recording_put_state(jail, JAIL_STATE_RUNNING, jail->state_why,
					       jail->ticket.peer.uid, 0) < 0;
	if (state_save(jail) < 0)
		log_error("%s runs, but its state could not be saved.", jail->name);
	log_info("%s runs in custody as jail %u, pid %d.", jail->name, jail->id, jail->init);
	if (!warden->recorder_running)
		life_recorder_gone(jail);
	else if (jail->loss_unanswered)
		life_lost_events(jail);
	if (jail->is_check)
		check_launched(jail);
	if (jail->init == 0) {
		launch_tell_ended(jail);
		life_ended(jail);
		return;
	}
	if (jail->abandoned && warden->recorder_running) {
		life_stop(jail, &(struct ticket){ .peer = jail->ticket.peer });
		return;
	}
	if (!jail->foreground) {
		(void)snprintf(line, sizeof(line), "%s is running.", jail->name);
		control_reply(warden, id, CUSTODY_EXIT_DONE, 0, line);
		jail->ticket.id = 0;
	}
}

/* The refusals that need no plan. Returns false with the reason sent. */
static bool launch_may_begin(struct warden *warden, const struct ticket *ticket, const char *name)
{
	const struct jail *other = jails_find(warden, name);
	char text[CUSTODY_TEXT_SIZE];

	if (!warden->recorder_running) {
		control_reply(warden, ticket->id, CUSTODY_EXIT_REFUSED, 0,
			      "The recorder is not running, so nothing may start unrecorded. See "
			      "custodyd's log for its reason.");
		return false;
	}
	if (other && (jails_is_alive(other) || other->sequence)) {
		(void)snprintf(
			text, sizeof(text),
			"The name %s is in use: a model of that name is in custody as jail %u. "
			"Stop or retire it first, or choose another name.",
			name, other->id);
		control_reply(warden, ticket->id, CUSTODY_EXIT_REFUSED, 0, text);
		return false;
	}
	return true;
}

/* What was asked for, into a jail that is new. False: out of memory. */
static bool launch_take_request(struct jail *jail, const struct launch_request *request)
{
	jail->state = JAIL_STATE_STARTING;
	jail->ticket = request->ticket;
	jail->asked_profile = request->profile[0] != '\0';
	jail->model_version = request->version;
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s",
		       jail->asked_profile ? request->profile : request->name);
	(void)snprintf(jail->asked_model, sizeof(jail->asked_model), "%s", request->model);
	if (!request->run)
		return true;
	jail->foreground = true;
	jail->run = malloc(sizeof(*jail->run));
	if (jail->run)
		*jail->run = *request->run;
	for (unsigned int i = 0; i < 3; i++)
		jail->stdio[i] = TAKE_FD(request->stdio->fd[i]);
	return jail->run;
}

void launch_begin(struct warden *warden, const struct launch_request *request)
{
	const struct ticket *ticket = &request->ticket;
	cleanup_fd int slot_fd = -1;
	char text[CUSTODY_TEXT_SIZE];
	struct jail *jail;
	__u32 slot = 0;
	int r;

	if (!launch_may_begin(warden, ticket, request->name))
		return;
	/* Before the jail is in the list: it would be found to use slot 0. */
	r = slots_take(warden, &slot, &slot_fd);
	if (r < 0) {
		(void)snprintf(text, sizeof(text), r == -ENOSPC ?
			       "No room for another jail: all blocks of uids are in use (%s)." :
			       "No block of uids can be taken in %s (%s), so nothing was started.",
			       PATHS_UIDS, strerror(-r));
		control_reply(warden, ticket->id, CUSTODY_EXIT_REFUSED, 0, text);
		return;
	}
	jail = jails_new(warden, request->name);
	if (jail) {
		jail->slot = slot;
		jail->slot_fd = TAKE_FD(slot_fd);
	}
	if (!jail || !launch_take_request(jail, request)) {
		control_reply(warden, ticket->id, CUSTODY_EXIT_INTERNAL, 0, "Out of memory.");
		if (jail)
			jails_forget(jail);
		return;
	}
	sequence_start(jail, launch_steps, ARRAY_SIZE(launch_steps), launch_finished);
}

int launch_begin_check(struct jail *of, const char *name, int model)
{
	cleanup_fd int slot_fd = -1, mount = model;
	struct jail *jail;
	__u32 slot = 0;
	int r = slots_take(of->warden, &slot, &slot_fd);

	if (r < 0)
		return r;
	jail = jails_new(of->warden, name);
	if (!jail)
		return -ENOMEM;
	jail->slot = slot;
	jail->slot_fd = TAKE_FD(slot_fd);
	jail->model_fd = TAKE_FD(mount);
	jail->state = JAIL_STATE_STARTING;
	jail->ticket.peer = of->ticket.peer;
	jail->is_check = true;
	jail->check_of = of;
	of->checked_by = jail;
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s", of->profile);
	sequence_start(jail, launch_steps, ARRAY_SIZE(launch_steps), launch_finished);
	return 0;
}

static int launch_digest_plan(struct jail *jail)
{
	unsigned int n = sizeof(jail->plan_digest);

	if (EVP_Digest(jail->plan, sizeof(*jail->plan), jail->plan_digest, &n, EVP_sha256(),
		       NULL) != 1)
		return -EIO;
	return 0;
}

int launch_use_plan(struct jail *jail, int fd, const char **ret_why)
{
	int r;

	jail->plan_fd = fd;
	r = plan_map(fd, &jail->plan, ret_why);
	if (r == 0 && (strcmp(jail->plan->name, jail->name) != 0 ||
		       jail->plan->model_version != jail->model_version))
		r = -EPROTO;
	return r < 0 ? r : launch_digest_plan(jail);
}

static void launch_take_plan(struct jail *jail, struct message_fds *fds)
{
	const char *why = "";
	int r;

	if (!sequence_waits_in(jail, launch_step_plan))
		return;
	r = launch_use_plan(jail, TAKE_FD(fds->fd[0]), &why);
	if (r < 0) {
		(void)sequence_explain(
			jail, CUSTODY_EXIT_INTERNAL, r,
			"The planner's plan was refused (%s%s%s); nothing was started.",
			strerror(-r), why[0] ? ": " : "", why);
		sequence_fail(jail);
		return;
	}
	spawn_kill(&jail->planner);
	sequence_continue(jail);
}

static void launch_take_built(struct jail *jail, const struct jail_built *built)
{
	int pidfd;
	int r;

	if (!sequence_waits_in(jail, launch_step_jail))
		return;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)built->pid, 0);
	if (pidfd < 0 || jails_watch_init(jail, pidfd) < 0 || built->n_zones > CUSTODY_ZONES_MAX) {
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EIO,
				       "The jail's first process could not be watched.");
		sequence_fail(jail);
		return;
	}
	jail->init = (pid_t)built->pid;
	if (guard_add_init(jail) < 0) {
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EIO,
				       "The jail's first process could not be guarded.");
		sequence_fail(jail);
		return;
	}
	memcpy(jail->ns_inode, built->ns_inode, sizeof(jail->ns_inode));
	memcpy(jail->scratch_dev, built->scratch_dev, sizeof(jail->scratch_dev));
	jail->scratch_noswap = built->scratch_noswap;
	jail->n_zones = built->n_zones;
	memcpy(jail->zones, built->zones, sizeof(jail->zones));
	r = nshandle_take(jail->init, jail->ns_inode, jail->ns_handle);
	if (r < 0) {
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, r,
				       "The jail's namespaces are not what it reported (%s); the "
				       "model was not started. This is a defect of custody or of "
				       "the kernel.", strerror(-r));
		sequence_fail(jail);
		return;
	}
	jail->builder.permit = MSG_BIT(MSG_JAIL_READY) | MSG_BIT(MSG_REFUSED);
	sequence_continue(jail);
}

/* What the kernel told the jail about itself must be exactly what a jail is. */
static const char *launch_judge_ready(const struct jail *jail, const struct jail_ready *ready)
{
	static const char *const names[] = {
#define LAUNCH_NAME(name, json, what) "it lacks " json,
		EVIDENCE_STRUCTURE(LAUNCH_NAME)
#undef LAUNCH_NAME
	};
	__u32 uid = CUSTODY_UID_JAIL_BASE + jail->slot * CUSTODY_UID_JAIL_BLOCK +
		    CUSTODY_UID_MODEL_OFF;

	if (ready->no_new_privs != 1)
		return "NoNewPrivs is not 1";
	if (ready->seccomp != 2)
		return "Seccomp is not 2 (filter)";
	if (ready->cap_permitted || ready->cap_effective || ready->cap_inheritable ||
	    ready->cap_bounding || ready->cap_ambient)
		return "a capability set is not empty";
	if (ready->uid != uid || ready->gid != uid)
		return "it runs as another uid or gid than its own";
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (STRUCTURE_ALWAYS & ~ready->structure & (1U << i))
			return names[i];
	}
	return NULL;
}

static void launch_take_ready(struct jail *jail, const struct jail_ready *ready)
{
	const char *wrong = launch_judge_ready(jail, ready);

	if (!sequence_waits_in(jail, launch_step_ready))
		return;
	jail->builder.permit = MSG_BIT(MSG_REFUSED);
	jail->structure = ready->structure & STRUCTURE_ALL;
	jail->landlock_abi = ready->landlock_abi;
	if (wrong) {
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				       "The jail is not what was asked for (%s); the model was not "
				       "started. This is a defect of custody or of the kernel.",
				       wrong);
		sequence_fail(jail);
		return;
	}
	sequence_continue(jail);
}

void launch_message(struct jail *jail, struct role *role, union message_buffer *buf,
		    struct message_fds *fds)
{
	switch (buf->head.type) {
	case MSG_PLAN_SEALED:
		launch_take_plan(jail, fds);
		break;
	case MSG_BROKER_LISTENING:
		role->permit = MSG_BIT(MSG_BROKER_EVENT) | MSG_BIT(MSG_BROKER_RESOLVE);
		if (sequence_waits_in(jail, launch_step_broker))
			sequence_continue(jail);
		break;
	case MSG_JAIL_BUILT:
		launch_take_built(jail, (const struct jail_built *)buf);
		break;
	case MSG_JAIL_READY:
		launch_take_ready(jail, (const struct jail_ready *)buf);
		break;
	default:
		break;
	}
}

void launch_role_gone(struct jail *jail, struct role *role)
{
	const char *who = role->role == ROLE_PLANNER ? "custody-planner"
			  : role->role == ROLE_JAIL ? "custody-jail"
			  : role->role == ROLE_MEASURER ? "custody-measurer"
			  /* it ends when the jail's end of their socket closes */
			  : jail->builder.channel >= 0 ? "custody-broker or custody-jail"
						       : "custody-broker";
	bool registered;

	if (!jail->sequence || !jail->waiting)
		return;
	if (role->role == ROLE_JAIL && sequence_waits_in(jail, launch_step_go)) {
		sequence_continue(jail); /* the channel is close-on-exec: exec has happened */
		return;
	}
	registered = registry_is_measuring(jail);
	if ((jail->sequence != launch_steps && !registered) ||
	    (role->role == ROLE_BROKER && !jails_need_broker(jail)))
		return;
	if (role->role == ROLE_PLANNER && !sequence_waits_in(jail, launch_step_plan))
		return;
	(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EPIPE,
			       "%s ended in the middle of the %s and gave no reason; see "
			       "custodyd's log.", who, registered ? "registration" : "launch");
	if (role->role == ROLE_MEASURER)
		measure_refused(jail, jail->fail_text);
	sequence_fail(jail);
}

void launch_cancel(struct jail *jail, const char *why)
{
	if (jail->sequence != launch_steps || !jail->waiting)
		return;
	(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ECANCELED, "%s was not started: %s.",
			       jail->name, why);
	sequence_fail(jail);
}

void launch_recorder_gone(struct jail *jail)
{
	if (sequence_waits_in(jail, launch_step_record))
		launch_cancel(jail, "the recorder ended before the launch was on record");
}

/* The launch is on disk; what is known of its model goes after it, and is waited for too. */
void launch_recorded(struct jail *jail)
{
	int r = 0;

	if (!sequence_waits_in(jail, launch_step_record))
		return;
	if (jail->measured.jail_id != 0 && !jail->measured_told) {
		jail->measured_told = true;
		r = recording_put_measured(jail, jail->id);
	} else if (!check_tell_next(jail, jail->id, &r)) {
		sequence_continue(jail);
		return;
	}
	if (r == 0)
		return;
	(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
			       "What is known of the model of %s could not be recorded (%s), so it "
			       "was not started.", jail->name, strerror(-r));
	sequence_fail(jail);
}

void launch_init_ended(struct jail *jail)
{
	if (jail->sequence != launch_steps || !jail->waiting)
		return;
	/* A refusal may still be in the channel: it tells more than the bare end does. */
	if (jail->builder.channel >= 0)
		return;
	if (sequence_waits_in(jail, launch_step_go))
		sequence_continue(jail);
}
