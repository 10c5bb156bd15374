/* SPDX-License-Identifier: Apache-2.0 */
/* The launch sequence: from a request to a model that runs. Run by custodyd. */
#ifndef CUSTODY_WARDEN_LAUNCH_H
#define CUSTODY_WARDEN_LAUNCH_H

#include "warden.h"

/* `run` and `stdio` (three fds, taken) are for `custodyctl run`, NULL for `start`. */
struct launch_request {
	struct ticket ticket;
	const char *name;
	const char *profile;		/* empty: the profile called like the model */
	const char *model;		/* empty: the profile's model.path */
	__u32 version;			/* of the registry; 0: the current one, if there is any */
	const struct request_run *run;
	struct message_fds *stdio;
};

/* Starts a launch. The answer goes to ticket.id when it has ended, one way or the other. */
void launch_begin(struct warden *warden, const struct launch_request *request);

/*
 * The same for the jail in which a program of model.check looks at the model of `of` (check.c),
 * through the mount `model`, which is taken. 0: check.c is told how it ended, maybe by now; or
 * -errno, and there is no such jail.
 */
int launch_begin_check(struct jail *of, const char *name, int model);

/* The sealed plan fd, which is taken, is the jail's. 0, or -errno with *ret_why. */
int launch_use_plan(struct jail *jail, int fd, const char **ret_why);

/* A message of planner, jail or broker that belongs to a launch. */
void launch_message(struct jail *jail, struct role *role, union message_buffer *buf,
		    struct message_fds *fds);

/* A role of this launch closed its channel. */
void launch_role_gone(struct jail *jail, struct role *role);

/* The launch record is on disk. */
void launch_recorded(struct jail *jail);

/* The recorder ended: a launch that waits for it waits no longer. */
void launch_recorder_gone(struct jail *jail);

/* Ends a launch that is under way, undone; nothing when none is. May free the jail. */
void launch_cancel(struct jail *jail, const char *why);

/* The jail's init ended while the launch was still under way. */
void launch_init_ended(struct jail *jail);

#endif
