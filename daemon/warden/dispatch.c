/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives from roles, by role: each message goes to the one place that may use it. Run by
 * custodyd. The message has passed the table (message_recv()); its meaning is checked here.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"
#include "measure.h"
#include "registry.h"
#include "retire.h"
#include "sequence.h"
#include "warden.h"

/* Builders say what they could not do; whoever asked for a model gets a sentence. */
static const char *dispatch_begin_text(enum custody_role role)
{
	if (role == ROLE_JAIL)
		return "The jail was not built: ";
	return role == ROLE_BROKER ? "The endpoints were not opened: " : "";
}

/* A role in trouble: the reason goes to whoever waits for it. */
static int dispatch_refused(struct role *role, const struct refused *refused)
{
	struct jail *jail = role->jail;

	if (role->role == ROLE_PLANNER && !jail) {
		registry_refused(role, refused);
		return 0;
	}
	if (role->role == ROLE_RECORDER &&
	    registry_unrecorded(role->warden, refused->head.id, refused->text))
		return 0;
	if (role->role == ROLE_RECORDER) {
		jail = jails_find_id(role->warden, (__u32)refused->head.id);
		log_error("The recorder: %s", refused->text);
		if (!(__u32)refused->head.id)
			recording_answered(role->warden, false);
		if (!role->warden->recorder_served)
			return sd_event_exit(role->warden->event, (int)refused->exit);
	}
	if (role->role == ROLE_RESOLVER) {
		log_error("The resolver: %s", refused->text);
		resolve_failed(jail, refused->error);
		return 0;
	}
	if (!jail || !jail->sequence || !jail->waiting)
		return 0;
	if (role->role == ROLE_MEASURER)
		measure_refused(jail, refused->text);
	(void)sequence_explain(jail, refused->exit <= CUSTODY_EXIT_INTERNAL ? refused->exit
								     : CUSTODY_EXIT_INTERNAL,
			       -EPERM, "%s%s%s", dispatch_begin_text(role->role), refused->text,
			       sequence_end_text(refused->text));
	if (role->role == ROLE_SWEEPER)
		retire_sweeper_failed(jail, refused->text);
	else
		sequence_fail(jail);
	return 0;
}

static int dispatch_recorder(struct warden *warden, union message_buffer *buf)
{
	struct jail *jail = jails_find_id(warden, (__u32)buf->head.id);

	switch (buf->head.type) {
	case MSG_RECORDER_RUNNING:
		return recording_runs(warden, (const struct recorder_running *)buf);
	case MSG_RECORDED:
		if (registry_recorded(warden, buf->head.id))
			return 0;
		if (!(__u32)buf->head.id)
			recording_answered(warden, true);
		if (jail) {
			launch_recorded(jail);
			life_recorded(jail);
		}
		return 0;
	case MSG_RETIRED:
		if (jail)
			retire_judged(jail, (const struct retired *)buf);
		return 0;
	default:
		return -EPROTO;
	}
}

int dispatch_message(struct role *role, union message_buffer *buf, struct message_fds *fds)
{
	if (buf->head.type == MSG_REFUSED)
		return dispatch_refused(role, (const struct refused *)buf);
	switch (role->role) {
	case ROLE_FRONT:
		control_request(role->warden, buf, fds);
		return 0;
	case ROLE_RECORDER:
		return dispatch_recorder(role->warden, buf);
	case ROLE_PLANNER:
		if (!role->jail) {
			registry_message(role, buf, fds);
			return 0;
		}
		launch_message(role->jail, role, buf, fds);
		return 0;
	case ROLE_JAIL:
		launch_message(role->jail, role, buf, fds);
		return 0;
	case ROLE_BROKER:
		if (buf->head.type == MSG_BROKER_EVENT)
			recording_put_broker_event(role->jail, (const struct broker_event *)buf);
		else if (buf->head.type == MSG_BROKER_RESOLVE)
			return resolve_request(role->jail, (const struct broker_resolve *)buf);
		else
			launch_message(role->jail, role, buf, fds);
		return 0;
	case ROLE_SWEEPER:
		retire_message(role->jail, buf);
		return 0;
	case ROLE_MEASURER:
		return measure_message(role->jail, buf, fds);
	case ROLE_RESOLVER:
		resolve_answered(role->jail, (const struct resolve_answer *)buf);
		return 0;
	default:
		return -EPROTO;
	}
}

void dispatch_gone(struct role *role, bool broken)
{
	struct warden *warden = role->warden;
	struct jail *jail = role->jail;

	/* Whoever breaks the protocol is not what was started: it does not go on by itself. */
	if (broken && role->pid > 0)
		(void)kill(role->pid, SIGKILL);
	if (broken && jail && (role->role == ROLE_JAIL || role->role == ROLE_PLANNER ||
			       role->role == ROLE_MEASURER))
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EPROTO,
				       "A process of the launch sent what it may not send; nothing "
				       "was started. This is a defect of custody.");
	if (broken && role->role == ROLE_JAIL) {
		spawn_close(role);
		launch_cancel(jail, "its builder broke the protocol");
		return;
	}
	if (role->role == ROLE_JAIL) {
		/* Closed by exec on success: the process goes on, no longer ours to ask. */
		spawn_close(role);
		launch_role_gone(jail, role);
		return;
	}
	if (role->role == ROLE_BROKER) {
		/* One that was adopted is known by its pidfd only. */
		if (broken && jail->broker_fd >= 0)
			(void)syscall(SYS_pidfd_send_signal, jail->broker_fd, SIGKILL, NULL, 0);
		spawn_close(role);
		if (jail->sequence)
			launch_role_gone(jail, role);
		else if (jails_is_alive(jail))
			life_broker_gone(jail);
		return;
	}
	spawn_kill(role);
	switch (role->role) {
	case ROLE_FRONT:
		control_front_gone(warden);
		break;
	case ROLE_RECORDER:
		recording_gone(warden);
		break;
	case ROLE_RESOLVER:
		resolve_failed(jail, -EHOSTUNREACH);
		break;
	case ROLE_SWEEPER:
		retire_sweeper_failed(jail, "The sweeper ended before it had looked everywhere.");
		break;
	default:
		if (jail)
			launch_role_gone(jail, role);
		else
			registry_planner_gone(role);
		break;
	}
}
