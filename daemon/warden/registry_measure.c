/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a version is registered it is planned and measured as if it were launched: its profile
 * must exist, what the profile asks of a model must be there, and the digest is what every later
 * launch is compared with. Run by custodyd. The jail that this is done for is never built: it is in
 * no list, has no number, and its sequence ends when the measurer has answered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "launch_steps.h"
#include "measure.h"
#include "plan.h"
#include "registry.h"
#include "sequence.h"

static const struct sequence_step registry_steps[] = {
	{ "reading the profile", "it says what the model must show", launch_step_plan,
	  launch_undo_plan, 10000 },
	{ "checking the directory", "a path that is wrong is told before it is read",
	  measure_open_model, measure_undo, 0 },
	{ "measuring the model", "its digest and its fingerprints", measure_step_read,
	  measure_undo_read, 60000 },
};

/* Takes the job out of the list of those that are measured. */
static struct registry_job *registry_find_measure(struct jail *jail)
{
	struct registry_job **at = &jail->warden->registry_measures;
	struct registry_job *job;

	while (*at && (*at)->jail != jail)
		at = &(*at)->next;
	job = *at;
	if (job) {
		*at = job->next;
		job->next = NULL;
		job->jail = NULL;
	}
	return job;
}

bool registry_is_measuring(const struct jail *jail)
{
	return jail->sequence == registry_steps;
}

static bool registry_has_digest(const struct jail *jail)
{
	for (size_t i = 0; i < sizeof(jail->measured.digest); i++) {
		if (jail->measured.digest[i])
			return true;
	}
	return false;
}

static void registry_measured(struct jail *jail, enum custody_exit exit_code, const char *text)
{
	struct registry_job *job = registry_find_measure(jail);
	struct model_version *add = &job->request.add;

	if (exit_code == CUSTODY_EXIT_DONE && !registry_has_digest(jail)) {
		exit_code = CUSTODY_EXIT_INTERNAL;
		text = "The model was not measured, so it is not registered. This is a defect of "
		       "custody.";
	}
	if (exit_code == CUSTODY_EXIT_DONE &&
	    registry_index_give(job, &jail->fingerprints_fd) < 0) {
		exit_code = CUSTODY_EXIT_INTERNAL;
		text = "The model's fingerprints are none, so it is not registered. This is a "
		       "defect of custody.";
	}
	if (exit_code == CUSTODY_EXIT_DONE) {
		memcpy(add->digest, jail->measured.digest, sizeof(add->digest));
		(void)snprintf(add->signer, sizeof(add->signer), "%s", jail->measured.signer);
		jails_forget(jail);
		registry_submit(job);
		return;
	}
	job->done(job, exit_code, text);
	free(job);
	jails_forget(jail);
}

/* A jail that only its own sequence knows. NULL: out of memory. */
static struct jail *registry_make_jail(struct warden *warden, const struct registry_job *job)
{
	const struct model_version *add = &job->request.add;
	struct jail *jail = jails_new(warden, add->name);

	if (!jail)
		return NULL;
	warden->jails = jail->next;
	jail->next = NULL;
	jail->state = JAIL_STATE_STARTING;
	jail->ticket = job->ticket;
	jail->measure = jail->fingerprint = true;
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s", add->profile);
	(void)snprintf(jail->asked_model, sizeof(jail->asked_model), "%s", add->directory);
	(void)snprintf(jail->model_signature, sizeof(jail->model_signature), "%s", add->signature);
	return jail;
}

void registry_measure(struct registry_job *job)
{
	struct warden *warden = job->warden;

	job->jail = registry_make_jail(warden, job);
	if (!job->jail) {
		job->done(job, CUSTODY_EXIT_INTERNAL, "Out of memory.");
		free(job);
		return;
	}
	job->next = warden->registry_measures;
	warden->registry_measures = job;
	sequence_start(job->jail, registry_steps, ARRAY_SIZE(registry_steps), registry_measured);
}

void registry_cancel_measures(struct warden *warden)
{
	while (warden->registry_measures) {
		struct jail *jail = warden->registry_measures->jail;

		(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ECANCELED,
				       "custodyd was stopped; %s was not registered.",
				       jail->name);
		sequence_fail(jail);
	}
}
