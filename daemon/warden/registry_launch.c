/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registered model that starts, serves well and is retired. Run by custodyd. Trusts the planner's
 * answer about which version it is; that its bytes are those that were registered is compared here.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ceiling.h"
#include "cleanup.h"
#include "measure.h"
#include "paths.h"
#include "plan.h"
#include "registry.h"
#include "registry_file.h"
#include "sequence.h"

/* ---- start ---- */

/* The registry says what NAME is; whoever asks for something else is told so. */
static int registry_accept(struct jail *jail, const struct model_version *m)
{
	if (m->retired.time_s || m->revoked.time_s)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EPERM,
					"%s@%u was retired or revoked.", m->name, m->version);
	if (jail->asked_profile && strcmp(jail->profile, m->profile) != 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EINVAL,
					"%s@%u is registered with the profile %s, not %s. Leave "
					"--profile out, or register it with the other one.",
					m->name, m->version, m->profile, jail->profile);
	if (jail->asked_model[0] && strcmp(jail->asked_model, m->directory) != 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EINVAL,
					"%s@%u is registered as the directory %.400s. Leave "
					"--model out, or register the other directory.",
					m->name, m->version, m->directory);
	jail->model_version = m->version;
	jail->served_told = m->served.time_s != 0;
	memcpy(jail->model_digest, m->digest, sizeof(jail->model_digest));
	memcpy(jail->model_fingerprints, m->fingerprints_digest, sizeof(jail->model_fingerprints));
	jail->fingerprint = registry_index_is_wanted(jail->warden, m);
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s", m->profile);
	(void)snprintf(jail->asked_model, sizeof(jail->asked_model), "%s", m->directory);
	(void)snprintf(jail->model_signature, sizeof(jail->model_signature), "%s", m->signature);
	return 0;
}

static void registry_found(struct registry_job *job, enum custody_exit exit_code,
			   const char *text)
{
	struct jail *jail = job->jail;
	int r = -EPERM;

	if (!jail)
		return;
	if (exit_code == CUSTODY_EXIT_DONE)
		r = registry_accept(jail, &job->model);
	else
		(void)sequence_explain(jail, exit_code, r, "%s", text);
	if (!sequence_waits_in(jail, registry_step_find))
		return; /* it was told before the step has returned */
	if (r < 0)
		sequence_fail(jail);
	else
		sequence_continue(jail);
}

int registry_step_find(struct jail *jail)
{
	cleanup_fd int models = registry_open_models(jail->warden);
	int r = models < 0 ? models : registry_file_find(models, jail->name);
	struct registry_job *job;

	if (jail->is_check)
		return 0; /* it is of whatever its model is */
	if (r == -ENOENT && jail->model_version == 0)
		return 0; /* it is not registered: profile and directory say what it is */
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r, r == -ENOENT ?
					"No model called %s is registered, so it has no version %u "
					"(%s%s/%s%s)." :
					"Whether %s (version %u) is registered cannot be told from "
					"%s%s/%s: %s.", jail->name, jail->model_version,
					jail->warden->root, PATHS_MODELS, jail->name,
					r == -ENOENT ? "" : strerror(-r));
	job = registry_new(jail->warden, REGISTRY_FIND, jail->name, &jail->ticket, registry_found);
	if (!job)
		return -ENOMEM;
	job->jail = jail;
	job->request.version = jail->model_version;
	registry_submit(job);
	return jail->fail_text[0] ? -EPERM : -EINPROGRESS;
}

void registry_undo_find(struct jail *jail)
{
	registry_forget_jail(jail);
}

static void registry_print(const __u8 digest[CUSTODY_DIGEST_SIZE], char ret[17])
{
	for (size_t i = 0; i < 8; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

int registry_step_compare(struct jail *jail)
{
	char is[17], was[17];

	if (jail->model_version == 0)
		return 0;
	if (memcmp(jail->measured.digest, jail->model_digest, CUSTODY_DIGEST_SIZE) == 0) {
		registry_index_keep(jail);
		return 0;
	}
	registry_print(jail->measured.digest, is);
	registry_print(jail->model_digest, was);
	(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EPERM,
				"%s is not what was registered as %s@%u: its digest is %s..., and "
				"was %s.... Restore the files, or register them as a new version.",
				plan_string(jail->plan, jail->plan->model_path), jail->name,
				jail->model_version, is, was);
	measure_refused(jail, jail->fail_text);
	return -EPERM;
}

/* ---- what becomes of a version ---- */

static void registry_marked(struct registry_job *job, enum custody_exit exit_code,
			    const char *text)
{
	const char *what = job->request.verb == REGISTRY_SERVED ? "served well" : "is retired";

	if (exit_code == CUSTODY_EXIT_DONE)
		log_info("%s@%u %s.", job->model.name, job->model.version, what);
	else
		log_error("That %s@%u %s is not in the registry: %s", job->request.add.name,
			  job->request.version, what, text);
}

static void registry_mark(struct jail *jail, enum registry_verb verb, const struct ticket *who,
			  const char *why)
{
	struct registry_job *job = registry_new(jail->warden, verb, jail->name, who,
						registry_marked);

	if (!job) {
		log_error("Out of memory: the registry does not learn about %s that %s.",
			  jail->name, why);
		return;
	}
	job->request.version = jail->plan->model_version;
	(void)snprintf(job->request.mark.why, sizeof(job->request.mark.why), "%s", why);
	registry_submit(job);
}

static bool registry_is_version(const struct jail *jail)
{
	return jail->plan && jail->plan->model_version;
}

/*
 * Nothing has gone against it: no memory that ran out, no ceiling crossed, no event lost, no end
 * that custody or the model itself brought about. Denials are no fault: they are what a profile is
 * there for.
 */
static bool registry_went_well(struct jail *jail)
{
	return registry_is_version(jail) && !jail->served_told && !jail->why &&
	       !jail->killed_told && !jail->gaps && !jail->frozen_by_loss &&
	       !ceiling_was_crossed(jail);
}

static void registry_serves_well(struct jail *jail, const char *why)
{
	const struct ticket nobody = { .peer.uid = MODEL_NOBODY };

	jail->served_told = true;
	registry_mark(jail, REGISTRY_SERVED, &nobody, why);
}

void registry_tick(struct warden *warden)
{
	const __u64 enough = REGISTRY_SERVED_WELL_S * 1000000000ULL;
	struct timespec now = { 0 };
	__u64 now_ns;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
	for (struct jail *j = warden->jails; j; j = j->next) {
		if (j->state != JAIL_STATE_RUNNING || j->sequence || j->init == 0)
			continue;
		if (now_ns > j->started_ns && now_ns - j->started_ns >= enough &&
		    registry_went_well(j))
			registry_serves_well(j, "it ran for 30 seconds");
	}
}

/* Ends that a SIGTERM, or the SIGKILL after the drain, does not bring about. */
static bool registry_crashed(int status)
{
	return status != LEDGER_STATUS_UNKNOWN && WIFSIGNALED(status) &&
	       WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGKILL;
}

void registry_stopped(struct jail *jail)
{
	if (jail->orderly && !registry_crashed(jail->wait_status) && registry_went_well(jail))
		registry_serves_well(jail, "it was stopped in order");
}

/* ---- retirement ---- */

static void registry_retired(struct registry_job *job, enum custody_exit exit_code,
			     const char *text)
{
	struct jail *jail = job->jail;

	registry_marked(job, exit_code, text);
	if (!jail)
		return;
	if (exit_code != CUSTODY_EXIT_DONE)
		(void)sequence_explain(jail, exit_code, -EPERM,
				       "%s is gone, and the evidence is in %s; but the registry "
				       "does not say that it is retired, and would let it start: "
				       "%s", jail->name, jail->evidence, text);
	if (!sequence_waits_in(jail, registry_step_retire))
		return;
	if (exit_code == CUSTODY_EXIT_DONE)
		sequence_continue(jail);
	else
		sequence_fail(jail);
}

int registry_step_retire(struct jail *jail)
{
	static const char *const verdicts[] = {
		[VERDICT_CLEAN] = "retired, verdict clean",
		[VERDICT_RESIDUE] = "retired, verdict residue",
		[VERDICT_INCOMPLETE] = "retired, verdict incomplete",
	};
	cleanup_fd int models = registry_open_models(jail->warden);
	struct registry_job *job;

	/* Without a registry there is nothing that could start as this version. */
	if (!registry_is_version(jail) || registry_file_find(models, jail->name) == -ENOENT)
		return 0;
	job = registry_new(jail->warden, REGISTRY_RETIRE, jail->name, &jail->ticket,
			   registry_retired);
	if (!job)
		return -ENOMEM;
	job->jail = jail;
	job->request.version = jail->plan->model_version;
	(void)snprintf(job->request.mark.why, sizeof(job->request.mark.why), "%s",
		       jail->verdict >= VERDICT_CLEAN && jail->verdict <= VERDICT_INCOMPLETE ?
			       verdicts[jail->verdict] : "retired");
	registry_submit(job);
	return jail->fail_text[0] ? -EPERM : -EINPROGRESS;
}
