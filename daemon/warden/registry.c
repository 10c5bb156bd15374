/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of jobs about the registry: see registry.h. Run by custodyd. Trusts the planner's
 * answers as far as they are checked here; the text that it makes is not read, only put in place.
 */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "paths.h"
#include "plan.h"
#include "registry_file.h"
#include "sequence.h"

#define REGISTRY_TIMEOUT_US 10000000	/* of the planner, and of the recorder */
#define REGISTRY_RECORD (1ULL << 63)	/* ids of records that no jail waits for */

static void registry_start_next(struct warden *warden);

int registry_open_models(struct warden *warden)
{
	return setup_open_directory(warden, PATHS_MODELS);
}

struct registry_job *registry_new(struct warden *warden, enum registry_verb verb, const char *name,
				  const struct ticket *ticket, registry_done_fn done)
{
	struct registry_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->warden = warden;
	job->ticket = *ticket;
	job->done = done;
	job->text_fd = job->index_fd = job->planner.channel = -1;
	job->request.verb = verb;
	job->request.mark.uid = ticket->peer.uid;
	(void)snprintf(job->request.add.name, sizeof(job->request.add.name), "%s", name);
	return job;
}

/* The first of the queue is done with; its place is free before anybody is told. */
static void registry_end(struct registry_job *job, enum custody_exit exit_code, const char *text)
{
	struct warden *warden = job->warden;

	warden->registry = job->next;
	spawn_kill(&job->planner);
	job->timeout = sd_event_source_disable_unref(job->timeout);
	cleanup_close_fd(&job->text_fd);
	cleanup_close_fd(&job->index_fd);
	job->done(job, exit_code, text);
	free(job);
	registry_start_next(warden);
}

__attribute__((format(printf, 3, 4))) static void
registry_fail(struct registry_job *job, enum custody_exit exit_code, const char *format, ...)
{
	char text[CUSTODY_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	registry_end(job, exit_code, text);
}

/* ---- asking the planner ---- */

static int registry_on_timeout(sd_event_source *source, uint64_t usec, void *data)
{
	struct registry_job *job = data;

	(void)source;
	(void)usec;
	registry_fail(job, CUSTODY_EXIT_INTERNAL, "The registry of %s was not %s within %u s; "
		      "whether it was changed, \"custodyctl model list\" shows.",
		      job->request.add.name, job->record_id ? "recorded" : "read",
		      REGISTRY_TIMEOUT_US / 1000000);
	return 0;
}

static int registry_ask(struct registry_job *job)
{
	struct warden *warden = job->warden;
	cleanup_fd int models = registry_open_models(warden);
	int r = models < 0 ? models : 0;

	if (r == 0)
		r = spawn_role(warden, NULL, &job->planner, ROLE_PLANNER, NULL);
	if (r < 0)
		return r;
	job->planner.permit = MSG_BIT(MSG_REGISTRY_ANSWER) | MSG_BIT(MSG_REFUSED) |
			      (job->request.verb == REGISTRY_LIST ? MSG_BIT(MSG_REGISTRY_ROW) :
								    MSG_BIT(MSG_REGISTRY_TEXT));
	r = sd_event_add_time_relative(warden->event, &job->timeout, CLOCK_MONOTONIC,
				       REGISTRY_TIMEOUT_US, 1000, registry_on_timeout, job);
	if (r >= 0)
		r = message_send(job->planner.channel, ROLE_WARDEN, MSG_REGISTRY_REQUEST, 1,
				 &job->request, sizeof(job->request), &models, 1);
	/* One that has ended already may have said why. */
	return r == -EPIPE ? 0 : r;
}

static void registry_start_next(struct warden *warden)
{
	struct registry_job *job = warden->registry;
	struct timespec now = { 0 };
	int r;

	if (!job || job->timeout)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	job->request.mark.time_s = now.tv_sec > 0 ? (__u64)now.tv_sec : 1;
	r = registry_ask(job);
	if (r < 0)
		registry_fail(job, CUSTODY_EXIT_INTERNAL, "The registry %s%s could not be asked "
			      "(%s).", warden->root, PATHS_MODELS, strerror(-r));
}

void registry_submit(struct registry_job *job)
{
	struct registry_job **at = &job->warden->registry;

	while (*at)
		at = &(*at)->next;
	*at = job;
	registry_start_next(job->warden);
}

/* ---- what it answers ---- */

static struct registry_job *registry_find_job(const struct role *planner)
{
	struct registry_job *job = planner->warden->registry;

	return job && &job->planner == planner ? job : NULL;
}

static enum ledger_model_change registry_find_change(const struct registry_job *job)
{
	switch (job->request.verb) {
	case REGISTRY_ADD:
		return LEDGER_MODEL_REGISTERED;
	case REGISTRY_ROLLBACK:
		return LEDGER_MODEL_ROLLED_BACK;
	case REGISTRY_REVOKE:
		return LEDGER_MODEL_REVOKED;
	case REGISTRY_SERVED:
		return LEDGER_MODEL_SERVED;
	case REGISTRY_RETIRE:
		return LEDGER_MODEL_RETIRED;
	case REGISTRY_FINGERPRINT:
		return LEDGER_MODEL_FINGERPRINTED;
	default:
		return LEDGER_MODEL_NONE;
	}
}

/* The planner is not believed about whose version it is, nor about its number. */
static bool registry_check_model(const struct registry_job *job, const struct model_version *model)
{
	const struct model_version *add = &job->request.add;

	return strcmp(model->name, add->name) == 0 && plan_check_name(model->profile) &&
	       model->version >= 1 && model->version <= REGISTRY_VERSIONS_MAX &&
	       (job->request.version == 0 || model->version == job->request.version) &&
	       (job->request.verb != REGISTRY_ADD ||
		memcmp(model->digest, add->digest, sizeof(add->digest)) == 0) &&
	       (job->index_fd < 0 || memcmp(model->fingerprints_digest, add->fingerprints_digest,
					    sizeof(add->fingerprints_digest)) == 0);
}

static int registry_record(struct registry_job *job, bool failed, __u64 id)
{
	struct ledger_model record = {
		.change = registry_find_change(job),
		.version = job->model.version,
		.requester_uid = job->ticket.peer.uid,
		.failed = failed,
	};

	(void)snprintf(record.name, sizeof(record.name), "%s", job->model.name);
	(void)snprintf(record.profile, sizeof(record.profile), "%s", job->model.profile);
	(void)snprintf(record.why, sizeof(record.why), "%s", job->request.mark.why);
	memcpy(record.digest, job->model.digest, sizeof(record.digest));
	memcpy(record.fingerprints, job->model.fingerprints_digest, sizeof(record.fingerprints));
	return recording_put_model(job->warden, &record, id);
}

/* What is to change is recorded first (G2), and put in place when that is on disk. */
static void registry_take_text(struct registry_job *job, struct message_fds *fds)
{
	int r;

	job->text_fd = TAKE_FD(fds->fd[0]);
	if (registry_find_change(job) == LEDGER_MODEL_NONE) {
		registry_fail(job, CUSTODY_EXIT_INTERNAL, "The planner would change what was only "
			      "to be read. This is a defect of custody.");
		return;
	}
	job->record_id = REGISTRY_RECORD | ++job->warden->registry_records;
	r = registry_record(job, false, job->record_id);
	if (r < 0)
		registry_fail(job, CUSTODY_EXIT_REFUSED, "What is to change about %s could not be "
			      "recorded (%s), so nothing was changed; see custodyd's log.",
			      job->model.name, strerror(-r));
}

void registry_send_model(const struct registry_job *job, const struct model_version *model)
{
	struct reply_model reply = { .model = *model };

	if (job->ticket.id && job->warden->front.channel >= 0)
		(void)MESSAGE_SEND(job->warden->front.channel, ROLE_WARDEN, REPLY_MODEL,
				   job->ticket.id, &reply);
}

void registry_message(struct role *planner, const union message_buffer *buf,
		      struct message_fds *fds)
{
	const struct registry_answer *answer = (const struct registry_answer *)buf;
	struct registry_job *job = registry_find_job(planner);

	if (!job || job->record_id)
		return;
	if (buf->head.type == MSG_REGISTRY_ROW) {
		registry_send_model(job, &((const struct registry_row *)buf)->model);
		return;
	}
	/* ANSWER and TEXT begin alike. */
	job->model = answer->model;
	if (job->request.verb != REGISTRY_LIST && !registry_check_model(job, &job->model))
		registry_fail(job, CUSTODY_EXIT_INTERNAL, "The planner answered about another "
			      "version than %s's. This is a defect of custody.",
			      job->request.add.name);
	else if (buf->head.type == MSG_REGISTRY_TEXT)
		registry_take_text(job, fds);
	else
		registry_end(job, CUSTODY_EXIT_DONE, "");
}

void registry_refused(struct role *planner, const struct refused *refused)
{
	struct registry_job *job = registry_find_job(planner);

	if (job)
		registry_fail(job, refused->exit > CUSTODY_EXIT_DONE &&
				      refused->exit <= CUSTODY_EXIT_INTERNAL ?
				      (enum custody_exit)refused->exit : CUSTODY_EXIT_INTERNAL,
			      "%s%s", refused->text, sequence_end_text(refused->text));
}

void registry_planner_gone(struct role *planner)
{
	struct registry_job *job = registry_find_job(planner);

	/* After its text it has nothing more to do. */
	if (job && !job->record_id)
		registry_fail(job, CUSTODY_EXIT_INTERNAL, "custody-planner ended before it had "
			      "read the registry of %s; see custodyd's log.",
			      job->request.add.name);
}

/* ---- putting it in place ---- */

static struct registry_job *registry_find_record(struct warden *warden, __u64 id)
{
	struct registry_job *job = warden->registry;

	return job && job->record_id == id ? job : NULL;
}

static int registry_replace(struct registry_job *job)
{
	cleanup_fd int models = registry_open_models(job->warden);

	return models < 0 ? models : registry_file_replace(models, job->model.name,
							    CUSTODY_UID_PLANNER, job->text_fd,
							    job->index_fd);
}

bool registry_recorded(struct warden *warden, __u64 id)
{
	struct registry_job *job = registry_find_record(warden, id);
	int r;

	if (!(id & REGISTRY_RECORD))
		return false;
	if (!job)
		return true;
	r = registry_replace(job);
	if (r == 0) {
		registry_end(job, CUSTODY_EXIT_DONE, "");
		return true;
	}
	if (r == -EUCLEAN) {
		registry_fail(job, CUSTODY_EXIT_INTERNAL, "The registry of %s was changed, but the "
			      "file system of %s%s cannot say that it will be so after a power "
			      "cut. Look after that disk.", job->model.name, warden->root,
			      PATHS_MODELS);
		return true;
	}
	if (registry_record(job, true, 0) < 0)
		log_error("That %s was not changed could not be recorded.", job->model.name);
	registry_fail(job, CUSTODY_EXIT_REFUSED, r == -EWOULDBLOCK ?
		      "The registry of %s was not changed: another process holds the lock of %s%s "
		      "(%s). Ask again when it has let go." :
		      "The registry of %s was not changed: %s%s cannot be written (%s). Make room "
		      "there, and ask again.", job->model.name, warden->root, PATHS_MODELS,
		      strerror(-r));
	return true;
}

bool registry_unrecorded(struct warden *warden, __u64 id, const char *why)
{
	struct registry_job *job = registry_find_record(warden, id);

	if (!(id & REGISTRY_RECORD))
		return false;
	if (job)
		registry_fail(job, CUSTODY_EXIT_REFUSED, "What is to change about %s could not be "
			      "recorded, so nothing was changed: %s", job->model.name, why);
	return true;
}

void registry_recorder_gone(struct warden *warden)
{
	struct registry_job *job = warden->registry;

	if (job && job->record_id)
		registry_fail(job, CUSTODY_EXIT_REFUSED, "The recorder ended before what is to "
			      "change about %s was on record, so nothing was changed. Ask again.",
			      job->model.name);
}

bool registry_knows_child(const struct warden *warden, pid_t pid)
{
	if (warden->registry && warden->registry->planner.pid == pid)
		return true;
	for (const struct registry_job *j = warden->registry_measures; j; j = j->next) {
		if (j->jail && (j->jail->planner.pid == pid || j->jail->measurer.pid == pid))
			return true;
	}
	return false;
}

void registry_forget_jail(struct jail *jail)
{
	for (struct registry_job *j = jail->warden->registry; j; j = j->next) {
		if (j->jail == jail)
			j->jail = NULL;
	}
}
