/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies. Run by custodyd. The front has put the peer's credentials in; what may
 * be asked by whom is decided here again, because the front parses what anyone sends it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "check.h"
#include "cleanup.h"
#include "launch.h"
#include "plan.h"
#include "registry.h"
#include "retire.h"
#include "warden.h"

#define CONTROL_ROOM (4 << 20)		/* bytes of answers that the front has not read yet */
#define CONTROL_REST_US 1000000		/* before a front that lived shorter is started again */

void control_reply(struct warden *warden, __u64 id, enum custody_exit exit_code, int status,
		   const char *text)
{
	struct reply_done reply = { .exit = exit_code, .status = status };

	if (id == 0 || warden->front.channel < 0)
		return;
	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	if (MESSAGE_SEND(warden->front.channel, ROLE_WARDEN, REPLY_DONE, id, &reply) == 0)
		return;
	/* Somebody would wait for this answer for ever. A new front is there at once. */
	log_error("The front takes no answers any more; it is ended.");
	if (warden->front.pid > 0)
		(void)kill(warden->front.pid, SIGKILL);
}

void control_step(struct warden *warden, __u64 id, __u32 step, __u32 steps, const char *text)
{
	struct reply_step reply = { .step = step, .steps = steps };

	if (id == 0 || warden->front.channel < 0)
		return;
	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	(void)MESSAGE_SEND(warden->front.channel, ROLE_WARDEN, REPLY_STEP, id, &reply);
}

void control_progress(struct warden *warden, __u64 id, __u64 done, __u64 total)
{
	struct reply_progress reply = { .done = done, .total = total };

	if (id != 0 && warden->front.channel >= 0)
		(void)MESSAGE_SEND(warden->front.channel, ROLE_WARDEN, REPLY_PROGRESS, id, &reply);
}

/* A `run` without its client is stopped: now, or when what runs on it or the recorder allows. */
static void control_stop_abandoned(struct jail *jail)
{
	if (jail->abandoned && jails_is_alive(jail) && !jail->sequence &&
	    jail->state != JAIL_STATE_STARTING && jail->warden->recorder_running)
		life_stop(jail, &(struct ticket){ .peer = jail->ticket.peer });
	else if (jail->abandoned)
		check_abandon(jail);
}

static __u64 control_now(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000 + (__u64)now.tv_nsec / 1000;
}

static int control_try_front(struct warden *warden)
{
	struct front_setup setup = { .group = CUSTODY_GID_READERS };
	int room = CONTROL_ROOM;
	int r = spawn_role(warden, NULL, &warden->front, ROLE_FRONT, NULL);

	if (r < 0)
		return r;
	warden->front_started = control_now();
	/* Room for the longest answer (every jail's row): nothing here waits for the front. */
	if (setsockopt(warden->front.channel, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		r = -errno;
	if (r == 0)
		r = message_send(warden->front.channel, ROLE_WARDEN, MSG_FRONT_SETUP, 0, &setup,
				 sizeof(setup), &warden->listen_fd, 1);
	if (r < 0)
		spawn_kill(&warden->front);
	return r;
}

static int control_on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct warden *warden = data;

	(void)source;
	(void)usec;
	warden->front_timer = sd_event_source_disable_unref(warden->front_timer);
	control_start_front(warden);
	return 0;
}

static void control_start_later(struct warden *warden)
{
	if (warden->front_timer)
		return;
	if (sd_event_add_time_relative(warden->event, &warden->front_timer, CLOCK_MONOTONIC,
				       CONTROL_REST_US, 1000, control_on_timer, warden) < 0)
		log_error("The front is not started again; the models go on.");
}

void control_start_front(struct warden *warden)
{
	int r;

	if (warden->front.channel >= 0 || warden->front_timer || warden->stopping)
		return;
	r = control_try_front(warden);
	if (r == 0) {
		log_info("ready");
		(void)sd_notify(0, "READY=1"); /* 0 without a manager that asks */
		return;
	}
	log_error("The front could not be started (%s); it is tried again.", strerror(-r));
	control_start_later(warden);
}

/* Its clients are gone with it: nobody waits any more, and a `run` has lost its terminal. */
void control_front_gone(struct warden *warden)
{
	struct jail *next;

	if (warden->stopping)
		return;
	log_error("The front ended; it is started again. The models go on.");
	for (struct jail *j = warden->jails; j; j = next) {
		next = j->next;
		j->abandoned = j->abandoned || (j->foreground && jails_is_alive(j));
		j->ticket.id = j->run_ticket.id = 0;
		control_stop_abandoned(j);
	}
	if (control_now() - warden->front_started < CONTROL_REST_US)
		control_start_later(warden);
	else
		control_start_front(warden);
}

static void control_refuse(struct warden *warden, __u64 id, const char *format, const char *name)
{
	char text[CUSTODY_TEXT_SIZE];

	(void)snprintf(text, sizeof(text), format, name);
	control_reply(warden, id, CUSTODY_EXIT_REFUSED, 0, text);
}

static void control_answer_counted(struct warden *warden, __u64 id, int r)
{
	control_reply(warden, id, r == 0 ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL, 0,
		      r == 0 ? "" : "The counters could not be read from the kernel.");
}

static void control_list(struct warden *warden, __u64 id)
{
	int r = jails_tally(warden, NULL);

	for (struct jail *j = warden->jails; j; j = j->next) {
		if (r < 0)
			j->tally = (struct jail_tally){ 0 };
		(void)jails_send_row(j, id);
	}
	control_answer_counted(warden, id, r);
}

static void control_status(struct jail *jail, __u64 id)
{
	int r = jails_is_alive(jail) ? jails_tally(jail->warden, NULL) : 0;

	if (r == 0)
		r = jails_send_row(jail, id);
	if (r == 0)
		r = check_send_rows(jail, id);
	if (r == 0)
		r = jails_send_counters(jail, id);
	control_answer_counted(jail->warden, id, r);
}

static void control_freeze(struct jail *jail, const struct ticket *ticket, bool freeze)
{
	enum jail_state from = freeze ? JAIL_STATE_RUNNING : JAIL_STATE_FROZEN;
	char text[CUSTODY_TEXT_SIZE];
	int r;

	if (jail->state != from) {
		if (jail->state == JAIL_STATE_FROZEN)
			(void)snprintf(text, sizeof(text), "%s is frozen already; \"custodyctl "
				       "thaw %s\" lets it go on.", jail->name, jail->name);
		else
			(void)snprintf(text, sizeof(text), "%s is not %s; \"custodyctl status "
				       "%s\" says what it is.", jail->name,
				       freeze ? "running" : "frozen", jail->name);
		control_reply(jail->warden, ticket->id, CUSTODY_EXIT_REFUSED, 0, text);
		return;
	}
	r = freeze_jail(jail, freeze, freeze ? "frozen by request" : "thawed by request",
			ticket->peer.uid);
	(void)snprintf(text, sizeof(text), r == 0 ? "%s is %s.%s" : "%s could not be %s: %s.",
		       jail->name, freeze ? "frozen" : "thawed", r == 0 ? "" : strerror(-r));
	control_reply(jail->warden, ticket->id, r == 0 ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL,
		      0, text);
}

static bool control_may_change(struct jail *jail, const struct ticket *ticket)
{
	struct warden *warden = jail->warden;

	if (ticket->peer.uid != 0)
		control_refuse(warden, ticket->id, "Only root may change %s.", jail->name);
	else if (jail->sequence)
		control_refuse(warden, ticket->id,
			       "%s is being started, stopped or retired right now; ask again when "
			       "that has ended.", jail->name);
	else if (!warden->recorder_running)
		control_reply(warden, ticket->id, CUSTODY_EXIT_REFUSED, 0,
			      "The recorder is not running, so nothing may change unrecorded. See "
			      "custodyd's log for its reason.");
	else
		return true;
	return false;
}

/* Verbs that change a jail, which control_may_change() has allowed. */
static void control_change(struct jail *jail, const struct ticket *ticket,
			   const struct request_name *request)
{
	struct warden *warden = jail->warden;

	switch (request->verb) {
	case REQUEST_STOP:
		if (!jails_is_alive(jail)) {
			control_refuse(warden, ticket->id, "%s has already stopped.", jail->name);
			return;
		}
		life_stop(jail, ticket);
		break;
	case REQUEST_FREEZE:
	case REQUEST_THAW:
		control_freeze(jail, ticket, request->verb == REQUEST_FREEZE);
		break;
	case REQUEST_RETIRE:
		retire_begin(jail, ticket);
		break;
	default:
		control_refuse(warden, ticket->id, "custodyd does not know what is asked about %s.",
			       jail->name);
		break;
	}
}

static void control_name(struct warden *warden, const struct request_name *request)
{
	struct ticket ticket = { .id = request->head.id, .peer = request->peer };
	struct jail *jail;

	if (request->verb == REQUEST_PS) {
		control_list(warden, ticket.id);
		return;
	}
	jail = jails_find(warden, request->name);
	if (!plan_check_name(request->name) || !jail) {
		control_refuse(warden, ticket.id,
			       "No model called %.63s is in custody; \"custodyctl ps\" lists those "
			       "that are.",
			       plan_check_name(request->name) ? request->name : "that");
		return;
	}
	if (request->verb == REQUEST_STATUS) {
		control_status(jail, ticket.id);
		return;
	}
	/* From the front when a `run` lost its client: only the jail of that very request. */
	if (request->run && request->peer.uid == 0) {
		jail->abandoned = jail->abandoned || request->run == jail->ticket.id ||
				  request->run == jail->run_ticket.id;
		control_stop_abandoned(jail);
		return;
	}
	if (check_take_request(jail, &ticket, request->verb))
		return;
	if (control_may_change(jail, &ticket))
		control_change(jail, &ticket, request);
}

static void control_restrict(struct warden *warden, const struct request_restrict *request)
{
	const struct ticket ticket = { .id = request->head.id, .peer = request->peer };
	struct jail *jail = jails_find(warden, request->name);
	bool named = plan_check_name(request->name);

	if (!named || !jail)
		control_refuse(warden, ticket.id, "No model called %.63s is in custody.",
			       named ? request->name : "that");
	else if (control_may_change(jail, &ticket))
		restrict_jail(jail, request);
}

static bool control_may_start(struct warden *warden, const struct message_head *head,
			      const struct message_peer *peer, const char *name,
			      const char *profile)
{
	if (peer->uid != 0) {
		control_refuse(warden, head->id, "Only root may start %s.",
			       plan_check_name(name) ? name : "a model");
		return false;
	}
	if (plan_check_name(name) && (!profile[0] || plan_check_name(profile)))
		return true;
	control_reply(warden, head->id, CUSTODY_EXIT_USAGE, 0,
		      "A name is one lower-case letter or digit, then letters, digits, '.', '_' or "
		      "'-', at most 63 in all; this one is not.");
	return false;
}

/* n strings, each ended by NUL, in exactly len bytes. */
static bool control_check_args(const struct request_run *request)
{
	__u32 n = 0;

	if (request->args_len > sizeof(request->args) || request->n_args == 0 ||
	    request->measure > 1 || request->pad != 0)
		return false;
	for (__u32 i = 0; i < request->args_len; i++)
		n += request->args[i] == '\0';
	return n == request->n_args && request->args[request->args_len - 1] == '\0';
}

void control_request(struct warden *warden, union message_buffer *buf, struct message_fds *fds)
{
	const struct request_start *start = (const struct request_start *)buf;
	const struct request_run *run = (const struct request_run *)buf;
	struct launch_request launch;

	if (warden->stopping) {
		control_reply(warden, buf->head.id, CUSTODY_EXIT_REFUSED, 0,
			      "custodyd is stopping.");
		return;
	}
	switch (buf->head.type) {
	case MSG_REQUEST_START:
		launch = (struct launch_request){
			.ticket = { .id = buf->head.id, .peer = start->peer },
			.name = start->name, .profile = start->profile, .model = start->model,
			.version = start->version,
		};
		if (control_may_start(warden, &start->head, &start->peer, start->name,
				      start->profile))
			launch_begin(warden, &launch);
		break;
	case MSG_REQUEST_MODEL:
		registry_control(warden, (const struct request_model *)buf);
		break;
	case MSG_REQUEST_RESTRICT:
		control_restrict(warden, (const struct request_restrict *)buf);
		break;
	case MSG_REQUEST_RUN:
		launch = (struct launch_request){
			.ticket = { .id = buf->head.id, .peer = run->peer },
			.name = run->name, .profile = run->profile, .model = run->model,
			.run = run, .stdio = fds,
		};
		if (!control_may_start(warden, &run->head, &run->peer, run->name, run->profile))
			break;
		if (control_check_args(run))
			launch_begin(warden, &launch);
		else
			control_reply(warden, run->head.id, CUSTODY_EXIT_USAGE, 0,
				      "The command to run is not well formed.");
		break;
	default:
		control_name(warden, (const struct request_name *)buf);
		break;
	}
}
