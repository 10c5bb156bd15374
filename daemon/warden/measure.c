/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model before it is launched. Run by custodyd, which opens the model's directory and reads no
 * byte of it: custody-measurer does, in its own confinement.
 *
 * M1  What is measured is what the jail gets: both have the one detached mount that was made when
 *     the launch began. Renaming, replacing or mounting over the directory changes neither.
 * M2  Where the guard is, it is around the files before the first byte is read (the policy is
 *     installed before this step).
 * M3  After the zones are made and before the record, the measurer compares what the mount shows
 *     with what it measured. Without the guard this is the last moment at which a change is
 *     noticed.
 * M4  Every refusal is on record, with its reason; so is a measurer that dies of a model, or that
 *     does not end.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "measured.h"
#include "plan.h"
#include "sequence.h"

#define MEASURE_MNT_ID_UNIQUE 0x4000U /* STATX_MNT_ID_UNIQUE; Debian 12's headers are of 6.1 */

#define MEASURE_TELL_MS 200U

/* What only custodyd can know, and says. */
#define MEASURE_FLAGS_OWN ((__u32)(MEASURED_GUARDED | MEASURED_COMPARED | MEASURED_REFUSED))

/* Never used twice while the kernel runs (Linux 6.8); 0: it has none. */
static __u64 measure_read_mount(int fd)
{
	struct statx st = { 0 };

	if (statx(fd, "", AT_EMPTY_PATH, MEASURE_MNT_ID_UNIQUE, &st) < 0 ||
	    !(st.stx_mask & MEASURE_MNT_ID_UNIQUE))
		return 0;
	return st.stx_mnt_id;
}

int measure_open_model(struct jail *jail)
{
	const char *path = plan_string(jail->plan, jail->plan->model_path);
	struct stat st;
	int fd;

	if (!path[0] || jail->is_check)
		return 0; /* a check has a mount of what is measured: check_open_model() */
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode)) {
		const bool absent = fd < 0;

		if (fd >= 0)
			(void)close(fd);
		return sequence_explain(
			jail, CUSTODY_EXIT_REFUSED, -ENOENT, "The model directory %s (%s) %s.",
			path, plan_string(jail->plan, jail->plan->model_origin),
			absent ? "does not exist or cannot be opened" : "is not a directory");
	}
	jail->model_mount = measure_read_mount(fd);
	jail->model_fd = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (jail->model_fd < 0)
		jail->model_fd = -errno;
	if (jail->plan->n_checkers > 0)
		jail->model_dir = TAKE_FD(fd);
	cleanup_close_fd(&fd);
	if (jail->model_fd >= 0)
		return 0;
	return sequence_explain(jail, CUSTODY_EXIT_REFUSED, jail->model_fd,
				"The model directory %s (%s) cannot be mounted in a jail: %s.",
				path, plan_string(jail->plan, jail->plan->model_origin),
				strerror(-jail->model_fd));
}

/* M4. */
void measure_refused(struct jail *jail, const char *why)
{
	struct ledger_measured *measured = &jail->measured;

	if (jail->measure_told)
		return;
	jail->measure_told = true;
	measured->jail_id = jail->id;
	measured->flags |= MEASURED_REFUSED;
	(void)snprintf(measured->name, sizeof(measured->name), "%s", jail->name);
	(void)snprintf(measured->why, sizeof(measured->why), "%.255s", why);
	if (recording_put_measured(jail, 0) < 0)
		log_error("The refusal of %s could not be recorded.", jail->name);
	*measured = (struct ledger_measured){ 0 };
}

int measure_step_read(struct jail *jail)
{
	struct measure_request request = { .jail_id = jail->id, .fingerprints = jail->fingerprint };
	cleanup_fd int inputs = -1, known = -1;
	bool trust = false;
	int r;

	if (jail->plan->admission == 0)
		return 0;
	jail->measure_told = false;
	r = measure_make_inputs(jail, &inputs);
	if (r < 0) {
		if (jail->fail_text[0])
			measure_refused(jail, jail->fail_text);
		return r;
	}
	r = measured_make_fd("known", &known);
	if (r < 0)
		return r;
	measure_cache_load(jail, known, &trust);
	request.trust_known = trust;
	r = measured_seal(known);
	if (r == 0)
		r = spawn_role(jail->warden, jail, &jail->measurer, ROLE_MEASURER, NULL);
	if (r < 0)
		return r;
	r = message_send(jail->measurer.channel, ROLE_WARDEN, MSG_MEASURE_REQUEST, jail->id,
			 &request, sizeof(request),
			 (int[]){ jail->plan_fd, jail->model_fd, inputs, known }, 4);
	/* One that has ended may have said why: that comes before the end of its channel. */
	return r < 0 && r != -EPIPE ? r : -EINPROGRESS;
}

void measure_undo(struct jail *jail)
{
	spawn_kill(&jail->measurer);
	cleanup_close_fd(&jail->model_fd);
	cleanup_close_fd(&jail->measured_fd);
	cleanup_close_fd(&jail->fingerprints_fd);
}

void measure_undo_read(struct jail *jail)
{
	int (*failed)(struct jail *) = jail->sequence[jail->step].begin;

	/* Whoever stopped it has said why; what failed by itself may be of the model's making. */
	if ((failed == measure_step_read || failed == measure_step_compare) &&
	    jail->fail_exit == CUSTODY_EXIT_INTERNAL)
		measure_refused(jail, jail->fail_text);
	measure_undo(jail);
}

/* The zone that the jail reported is the mount that was measured, and no other. */
static int measure_check_zone(struct jail *jail)
{
	struct statx st = { 0 };

	if (statx(jail->model_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	for (__u32 i = 0; i < jail->n_zones; i++) {
		if (jail->zones[i].label == CUSTODY_LABEL_WEIGHTS)
			return jail->zones[i].mount_id == st.stx_mnt_id ? 0 : -ESTALE;
	}
	return -ENOENT;
}

int measure_step_compare(struct jail *jail)
{
	struct measure_compare compare = { 0 };
	int r;

	r = jail->plan->admission || jail->is_check ? measure_check_zone(jail) : 0;
	if (r == 0 && jail->plan->admission == 0) {
		/* Only the jail holds its zone from now on. */
		cleanup_close_fd(&jail->model_fd);
		return 0;
	}
	if (r < 0)
		return sequence_explain(
			jail, CUSTODY_EXIT_INTERNAL, r,
			"The jail's zone of weights is not the mount that was "
			"measured (%s); the model was not started. This is a defect "
			"of custody or of the kernel.",
			strerror(-r));
	jail->measurer.permit = MSG_BIT(MSG_MEASURE_SAME) | MSG_BIT(MSG_REFUSED);
	r = MESSAGE_SEND(jail->measurer.channel, ROLE_WARDEN, MEASURE_COMPARE, jail->id, &compare);
	return r < 0 && r != -EPIPE ? r : -EINPROGRESS;
}

static int measure_take(struct jail *jail, const struct measured *message, int *table, int *index)
{
	const struct ledger_measured *measured = &message->measured;

	if (!sequence_waits_in(jail, measure_step_read) || measured->jail_id != jail->id ||
	    (measured->flags & MEASURE_FLAGS_OWN) || measured->why[0] ||
	    !measured_is_sealed(*table))
		return -EPROTO;
	/* What the profile asks for, and the measurer does not claim, is not there. */
	if ((jail->plan->admission & PLAN_ADMISSION_SIGNATURE) &&
	    !(measured->flags & MEASURED_SIGNED))
		return -EPROTO;
	if (measured->attestations != jail->plan->n_attestations)
		return -EPROTO;
	jail->measured = *measured;
	(void)snprintf(jail->measured.name, sizeof(jail->measured.name), "%s", jail->name);
	if (jail->planes_active & CUSTODY_PLANE_GUARD)
		jail->measured.flags |= MEASURED_GUARDED;
	jail->measurer.permit = MSG_BIT(MSG_REFUSED);
	jail->measured_fd = TAKE_FD(*table);
	if (jail->fingerprint)
		jail->fingerprints_fd = TAKE_FD(*index);
	sequence_continue(jail);
	return 0;
}

/* Whoever waits hears of it now and then, however often the measurer says it. */
static void measure_tell(struct jail *jail, const struct measure_progress *progress)
{
	struct timespec now = { 0 };
	__u64 ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (__u64)now.tv_sec * 1000U + (__u64)now.tv_nsec / 1000000U;
	if (ms - jail->progress_told < MEASURE_TELL_MS)
		return;
	jail->progress_told = ms;
	control_progress(jail->warden, jail->ticket.id, progress->done, progress->total);
}

int measure_message(struct jail *jail, const union message_buffer *buf, struct message_fds *fds)
{
	switch (buf->head.type) {
	case MSG_MEASURE_PROGRESS:
		sequence_go_on(jail, measure_step_read);
		measure_tell(jail, (const struct measure_progress *)buf);
		return 0;
	case MSG_MEASURED: return measure_take(jail, (const struct measured *)buf, &fds->fd[0],
					       &fds->fd[1]);
	case MSG_MEASURE_SAME:
		if (!sequence_waits_in(jail, measure_step_compare))
			return -EPROTO;
		jail->measured.flags |= MEASURED_COMPARED;
		measure_cache_save(jail, jail->measured_fd);
		measure_undo(jail); /* it has done its work; the zone is the jail's */
		sequence_continue(jail);
		return 0;
	default: return -EPROTO;
	}
}
