/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of fingerprints of a registered version: made by the measurer in the pass that hashes
 * the model, put beside the registry, named in it by its digest. Run by custodyd, which looks at no
 * value of it: whoever searches by it compares the digest first, and checks its form.
 *
 * The same bytes give the same index, whatever the threads and whenever it is made. So one that was
 * lost is made again by the next start, and has the digest that the registry knows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "paths.h"
#include "registry.h"
#include "registry_file.h"

int registry_index_give(struct registry_job *job, int *index_fd)
{
	struct model_version *add = &job->request.add;
	char file[REGISTRY_FILE_INDEX_SIZE];
	int n, r = registry_file_digest_index(*index_fd, add->fingerprints_digest);

	if (r < 0)
		return r;
	registry_file_name_index(add->fingerprints_digest, file);
	n = snprintf(add->fingerprints, sizeof(add->fingerprints), "%s%s/%s/%s", job->warden->root,
		     PATHS_MODELS, add->name, file);
	if (n < 0 || (size_t)n >= sizeof(add->fingerprints))
		return -ENAMETOOLONG;
	job->index_fd = TAKE_FD(*index_fd);
	return 0;
}

bool registry_index_is_wanted(struct warden *warden, const struct model_version *model)
{
	cleanup_fd int models = -1;

	if (!model->fingerprints[0])
		return true;
	models = registry_open_models(warden);
	if (models < 0 || registry_file_has_index(models, model->name, model->fingerprints_digest))
		return false;
	log_warning("%s is not there, or is not what it was: it is made again, so %s@%u is read.",
		    model->fingerprints, model->name, model->version);
	return true;
}

/* What the registry knows is in its place again. */
static void registry_index_restore(struct jail *jail)
{
	cleanup_fd int models = registry_open_models(jail->warden);
	int r = models < 0 ? models : registry_file_restore_index(models, jail->name,
								   jail->fingerprints_fd);

	if (r < 0)
		log_error("The fingerprints of %s@%u were made again, and could not be written "
			  "(%s); the next start does it.", jail->name, jail->model_version,
			  strerror(-r));
	else
		log_info("The fingerprints of %s@%u are there again.", jail->name,
			 jail->model_version);
}

static void registry_index_added(struct registry_job *job, enum custody_exit exit_code,
				 const char *text)
{
	if (exit_code == CUSTODY_EXIT_DONE)
		log_info("The fingerprints of %s@%u are in the registry.", job->model.name,
			 job->model.version);
	else
		log_error("The fingerprints of %s@%u are not in the registry: %s",
			  job->request.add.name, job->request.version, text);
}

/* Of a version that was registered without. */
static int registry_index_add(struct jail *jail)
{
	const struct ticket who = { .peer = jail->ticket.peer };
	struct registry_job *job = registry_new(jail->warden, REGISTRY_FINGERPRINT, jail->name,
						&who, registry_index_added);
	int r;

	if (!job)
		return -ENOMEM;
	job->request.version = jail->model_version;
	r = registry_index_give(job, &jail->fingerprints_fd);
	if (r < 0) {
		free(job);
		return r;
	}
	registry_submit(job);
	return 0;
}

void registry_index_keep(struct jail *jail)
{
	static const __u8 none[CUSTODY_DIGEST_SIZE];
	__u8 digest[CUSTODY_DIGEST_SIZE];
	int r = 0;

	if (jail->fingerprints_fd < 0)
		return;
	if (memcmp(jail->model_fingerprints, none, sizeof(none)) == 0)
		r = registry_index_add(jail);
	else
		r = registry_file_digest_index(jail->fingerprints_fd, digest);
	if (r < 0)
		log_error("The fingerprints of %s@%u could not be kept (%s).", jail->name,
			  jail->model_version, strerror(-r));
	else if (jail->fingerprints_fd >= 0 &&
		 memcmp(digest, jail->model_fingerprints, sizeof(digest)) == 0)
		registry_index_restore(jail);
	else if (jail->fingerprints_fd >= 0)
		log_error("The fingerprints of %s@%u, made again of the same bytes, are other "
			  "ones: how they are made has changed since it was registered. Register "
			  "the model as a new version.", jail->name, jail->model_version);
	cleanup_close_fd(&jail->fingerprints_fd);
}
