/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker after its launch: answers each bind() of the jail that the seccomp listener brings,
 * tells custodyd, and drains the model's output. Run by custody-broker, confined.
 */
#ifndef CUSTODY_BROKER_SERVE_H
#define CUSTODY_BROKER_SERVE_H

#include <linux/seccomp.h>
#include <linux/types.h>
#include <stdbool.h>

#include "custody/message.h"

#include "endpoint.h"
#include "logpump.h"

/* Room for the kernel's own structs, which may be larger than the header's and must be zeroed. */
#define SERVE_NOTIF_MAX 512

union serve_request {
	struct seccomp_notif notif;
	unsigned char room[SERVE_NOTIF_MAX];
};

union serve_response {
	struct seccomp_notif_resp resp;
	unsigned char room[SERVE_NOTIF_MAX];
};

struct broker {
	const struct custody_plan *plan;
	__u32 jail_id;
	__u32 uid;		/* of the broker, owner of the jail's user namespace */
	int channel;		/* to custodyd; -1 after custodyd is gone */
	int jail;		/* socket to the jail, until the listener came */
	int listener;		/* seccomp notification fd */
	int proc;		/* directory fd of /proc */
	__u64 netns;		/* SO_NETNS_COOKIE of the host's network namespace */
	__u64 events_lost;	/* events that custodyd did not get */
	__u64 events_due;	/* report.h: when those so far are paid for, ns */
	bool event_held;	/* `held` is the latest event that was over the rate */
	struct broker_event held;
	struct endpoint_set endpoints;
	struct logpump log;
	union serve_request request;
	union serve_response response;
};

/*
 * Takes the seccomp listener from the jail: one BROKER_LISTENER, then the socket to the jail is
 * closed, so that a second one cannot be sent. Drains the log meanwhile. Returns 0, also for a
 * jail without endpoints, which has no listener (broker->listener stays -1); -ENODATA when
 * the jail or custodyd ended first (the launch failed: nothing to serve); -EPROTO when what came
 * is no listener.
 */
int serve_take_listener(struct broker *broker);

/*
 * Serves until every process under the filter is gone and the log pipe is at its end. Goes on
 * when custodyd dies: grants do not depend on it. Returns 0 or -errno.
 */
int serve_run(struct broker *broker);

#endif
