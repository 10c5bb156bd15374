/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker after its launch: answers each bind() and connect() of the jail that the seccomp
 * listener brings, tells custodyd, and drains the model's output. Run by custody-broker, confined.
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

#define BROKER_EVENTS_KEPT 256	/* while there is no custodyd */

/* A connect() that waits: for its name to be resolved, or for room at a UNIX socket. */
struct broker_wait {
	struct seccomp_notif notif;
	__u64 end_ns;		/* CLOCK_BOOTTIME; 0: free */
	int name;		/* index of the name endpoint it waits for; -1: it is tried again */
};
#define BROKER_WAITS_MAX 64

/* What custodyd said of a host name. Addresses stay for the life of the jail. */
struct broker_name {
	bool asked;
	int error;		/* of the last attempt, until retry_ns */
	__u64 retry_ns;
	__u32 n;
	__u32 next;		/* where the next connection begins: they take turns */
	struct resolved_address addresses[CUSTODY_ADDRESSES_MAX];
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
	bool holds;		/* its jail is being frozen: no call waits */
	int rejoin;		/* listening socket on which a new custodyd comes */
	struct endpoint_set endpoints;
	int outside[CUSTODY_ENDPOINTS_MAX];	/* directory of a UNIX destination; -1: none */
	bool reported[CUSTODY_ENDPOINTS_MAX];	/* first connection to it is on record */
	struct broker_name names[CUSTODY_ENDPOINTS_MAX];	/* by the first of that name */
	struct broker_wait waits[BROKER_WAITS_MAX];
	struct broker_event kept[BROKER_EVENTS_KEPT];	/* events[kept_first..] of a ring */
	unsigned int kept_first;
	unsigned int kept_n;
	struct logpump log;
	union serve_request request;
	union serve_response response;
};

/* Is the thread that made broker->request still waiting for its answer? */
bool serve_is_valid(const struct broker *broker);

/* Monotonic with the machine's sleep, ns. */
__u64 serve_read_clock(void);

#define SERVE_ANSWERED 1

/*
 * Reads everything that a decision on broker->request needs, into *target (the caller releases
 * it) and address (ADDRESS_SIZE_MAX bytes), of a call that is still there afterwards. 0: it is to
 * be decided; SERVE_ANSWERED: it could not be read, and that is the answer; -ENOENT: nobody is
 * there any more.
 */
struct target;
int serve_take_target(struct broker *broker, struct target *target, void *address, size_t *ret_len);

/* Sends broker->response. 0, also when nobody waits for it any more, or -errno. */
int serve_send(struct broker *broker);

/* Puts srcfd in the place of the target's fd, in answer to broker->request. 0 or -errno. */
int serve_swap(const struct broker *broker, const struct target *target, int srcfd);

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
