/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of models, from custodyd's side. Run by custodyd, which reads no text: a planner
 * reads a registry, decides by its rules (daemon/planner/registry.h) and answers with typed
 * messages and, for a change, the new text.
 *
 * Invariants:
 *   G1  One job at a time: what one planner has read is what its text takes the place of.
 *   G2  A change is in the ledger, on disk, before the registry is changed.
 *   G3  No version that is registered starts with other bytes than those that were registered.
 */
#ifndef CUSTODY_WARDEN_REGISTRY_H
#define CUSTODY_WARDEN_REGISTRY_H

#include "warden.h"

struct registry_job;

/* Called once, when the job has ended; text says why it failed, or is empty. */
typedef void (*registry_done_fn)(struct registry_job *job, enum custody_exit exit_code,
				 const char *text);

struct registry_job {
	struct registry_job *next;
	struct warden *warden;
	struct registry_request request;
	struct ticket ticket;		/* who waits, and who asked */
	struct jail *jail;		/* a launch that waits for the answer; or NULL */
	registry_done_fn done;
	struct model_version model;	/* of the answer */
	/* while it is the first of the queue */
	struct role planner;
	sd_event_source *timeout;
	int text_fd;			/* -1: the registry stays as it is */
	int index_fd;			/* of fingerprints, to be put beside it; -1: none */
	__u64 record_id;		/* of the record that it waits for; 0: none */
};

/* ---- registry.c: the queue ---- */

/* A new job, not yet in the queue; NULL: out of memory. Verb, name and mark are filled in. */
struct registry_job *registry_new(struct warden *warden, enum registry_verb verb, const char *name,
				  const struct ticket *ticket, registry_done_fn done);

/* Takes the job; done() may be called before this returns. */
void registry_submit(struct registry_job *job);

/* A row for whoever waits. */
void registry_send_model(const struct registry_job *job, const struct model_version *model);

void registry_message(struct role *planner, const union message_buffer *buf,
		      struct message_fds *fds);
void registry_refused(struct role *planner, const struct refused *refused);
void registry_planner_gone(struct role *planner);
bool registry_recorded(struct warden *warden, __u64 id);	/* false: not one of its records */
bool registry_unrecorded(struct warden *warden, __u64 id, const char *why);	/* likewise */
void registry_recorder_gone(struct warden *warden);
bool registry_knows_child(const struct warden *warden, pid_t pid);
void registry_forget_jail(struct jail *jail);	/* no job answers to it any more */
int registry_open_models(struct warden *warden);	/* fd or -errno */

/* ---- registry_control.c: what custodyctl asks ---- */
void registry_control(struct warden *warden, const struct request_model *request);

/* ---- registry_launch.c: registered models that start, serve and retire ---- */
int registry_step_find(struct jail *jail);	/* the first step of a launch, and its undo */
void registry_undo_find(struct jail *jail);
int registry_step_compare(struct jail *jail);	/* after the model was measured */
void registry_tick(struct warden *warden);	/* each second: who has served well? */
void registry_stopped(struct jail *jail);	/* in order, by request */
int registry_step_retire(struct jail *jail);	/* of a retirement, once it is judged */

#define REGISTRY_SERVED_WELL_S 30	/* in the state running, after its start */

/* ---- registry_index.c: the fingerprints of a version ---- */

/* Takes the fd: the job asks for what is said about that index. 0 or -errno. */
int registry_index_give(struct registry_job *job, int *index_fd);
/* Whether it is to be made, because the version has none, or none of that name is there. */
bool registry_index_is_wanted(struct warden *warden, const struct model_version *model);
/* Of a start that has made one, and whose bytes are the version's. */
void registry_index_keep(struct jail *jail);

/* ---- registry_measure.c: what is to be registered is planned and measured first ---- */

/* Takes the job; it is submitted when the digest is known, or done() is called. */
void registry_measure(struct registry_job *job);
bool registry_is_measuring(const struct jail *jail);	/* it is no launch, but a registration */
void registry_cancel_measures(struct warden *warden);	/* custodyd stops */

#endif
