/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custodyctl asks of the registry: list, register, rollback, revoke. Run by custodyd. Who may
 * ask what is decided here again, because the front parses what anyone sends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "plan.h"
#include "registry.h"

static struct jail *registry_find_alive(struct warden *warden, const char *name)
{
	struct jail *jail = jails_find(warden, name);

	return jail && jails_is_alive(jail) ? jail : NULL;
}

static void registry_print_digest(const struct model_version *model, char *ret, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%02x", model->digest[i]);
}

/* What the answer says about the model when it runs. */
static void registry_explain(const struct registry_job *job, char *ret, size_t size)
{
	const struct model_version *m = &job->model;
	const struct jail *jail = registry_find_alive(job->warden, m->name);
	__u32 runs = jail && jail->plan ? jail->plan->model_version : 0;
	char digest[2 * CUSTODY_DIGEST_SIZE + 1] = "";

	ret[0] = '\0';
	if (job->request.verb == REGISTRY_ADD) {
		registry_print_digest(m, digest, sizeof(digest));
		(void)snprintf(ret, size, "%s@%u is registered, sha256:%s. It is what \"custodyctl "
			       "start %s\" starts now.", m->name, m->version, digest, m->name);
	} else if (job->request.verb == REGISTRY_ROLLBACK) {
		(void)snprintf(ret, size, "%s@%u is what \"custodyctl start %s\" starts now.%s",
			       m->name, m->version, m->name, runs && runs != m->version ?
			       " Another version is still running." : "");
	} else if (job->request.verb == REGISTRY_REVOKE) {
		(void)snprintf(ret, size, runs == m->version ?
			       "%s@%u is revoked. It is still running; \"custodyctl retire %s\" "
			       "ends it and looks for what is left." :
			       "%s@%u is revoked.", m->name, m->version, m->name);
	}
}

static void registry_answer(struct registry_job *job, enum custody_exit exit_code,
			    const char *text)
{
	char line[CUSTODY_TEXT_SIZE];

	registry_explain(job, line, sizeof(line));
	if (exit_code == CUSTODY_EXIT_DONE && line[0]) {
		log_info("%s", line);
		registry_send_model(job, &job->model);
	}
	control_reply(job->warden, job->ticket.id, exit_code, 0,
		      exit_code == CUSTODY_EXIT_DONE ? line : text);
}

/* A path that is to be registered: absolute, of a file or a directory that is there. */
static bool registry_check_path(const char *path, mode_t type)
{
	cleanup_fd int fd = path[0] == '/' ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

static const char *registry_judge_addition(const struct request_model *request)
{
	if (!registry_check_path(request->directory, S_IFDIR))
		return "What is to be registered is no directory, or not there.";
	if (request->signature[0] && !registry_check_path(request->signature, S_IFREG))
		return "The signature is no regular file, or not there.";
	if (request->card[0] && !registry_check_path(request->card, S_IFREG))
		return "The model card is no regular file, or not there.";
	if (request->profile[0] && !plan_check_name(request->profile))
		return "The profile must be named by its name (a-z 0-9 . _ -).";
	return NULL;
}

static const char *registry_judge(struct warden *warden, const struct request_model *request)
{
	if (request->verb == REGISTRY_LIST)
		return NULL;
	if (request->peer.uid != 0)
		return "Only root may change the registry.";
	if (!plan_check_name(request->name))
		return "The name must start with a-z or 0-9, hold only a-z 0-9 . _ - and be "
		       "shorter than 64 characters.";
	if (!warden->recorder_running)
		return "The recorder is not running, so nothing may change unrecorded. See "
		       "custodyd's log for its reason.";
	if (request->verb == REGISTRY_ROLLBACK && !request->running &&
	    registry_find_alive(warden, request->name))
		return "The model is running. Stop it first, or let \"custodyctl model rollback "
		       "--restart\" do all of it.";
	return request->verb == REGISTRY_ADD ? registry_judge_addition(request) : NULL;
}

static void registry_add(struct registry_job *job, const struct request_model *request)
{
	struct model_version *add = &job->request.add;

	(void)snprintf(add->profile, sizeof(add->profile), "%s",
		       request->profile[0] ? request->profile : request->name);
	(void)snprintf(add->directory, sizeof(add->directory), "%s", request->directory);
	(void)snprintf(add->signature, sizeof(add->signature), "%s", request->signature);
	(void)snprintf(add->card, sizeof(add->card), "%s", request->card);
	registry_measure(job);
}

void registry_control(struct warden *warden, const struct request_model *request)
{
	const struct ticket ticket = { .id = request->head.id, .peer = request->peer };
	const char *why = registry_judge(warden, request);
	struct registry_job *job;

	if (why || request->verb < REGISTRY_LIST || request->verb > REGISTRY_REVOKE) {
		control_reply(warden, ticket.id, why ? CUSTODY_EXIT_REFUSED : CUSTODY_EXIT_USAGE, 0,
			      why ? why : "This custodyd does not know that request.");
		return;
	}
	job = registry_new(warden, (enum registry_verb)request->verb, request->name, &ticket,
			   registry_answer);
	if (!job) {
		control_reply(warden, ticket.id, CUSTODY_EXIT_INTERNAL, 0, "Out of memory.");
		return;
	}
	job->request.version = request->version;
	(void)snprintf(job->request.mark.why, sizeof(job->request.mark.why), "%s", request->why);
	if (request->verb == REGISTRY_ADD)
		registry_add(job, request);
	else
		registry_submit(job);
}
