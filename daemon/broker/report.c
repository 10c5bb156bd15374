/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the broker to custodyd. Run by custody-broker. comm and path in them are bytes of
 * the model's choice; the rest is the kernel's or the plan's.
 */
#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "cleanup.h"
#include "log.h"
#include "message.h"

#define REPORT_NS 1000000000ULL

static __u64 report_read_clock(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (__u64)now.tv_sec * REPORT_NS + (__u64)now.tv_nsec;
}

static void report_fill_event(const struct broker *broker, const struct target *target,
			      const struct address_decision *decision, struct custody_event *ret)
{
	bool granted = decision->action == BROKER_GRANT;

	*ret = (struct custody_event){
		.size = sizeof(*ret),
		.version = EVENT_VERSION,
		.verdict = granted ? EVENT_ALLOWED : EVENT_DENIED,
		.jail_id = broker->jail_id,
		.time_ns = report_read_clock(),
		.pid = target->tgid,
		.tid = target->tid,
		.class = POLICY_CLASS_BIND,
		.object = granted ? (__u16)decision->endpoint : POLICY_OBJECT_NONE,
		.plane = EVENT_PLANE_BROKER,
		.family = decision->family,
		.protocol = decision->protocol,
		.error = granted ? 0 : decision->error,
		.syscall = SYS_bind,
		.access = (__u32)target->socket.type,
		.port = decision->port,
		.path_len = decision->path_len,
	};
	memcpy(ret->address, decision->address, sizeof(ret->address));
	memcpy(ret->comm, target->comm, sizeof(ret->comm));
	memcpy(ret->path, decision->path, decision->path_len);
}

static void report_send(struct broker *broker, struct broker_event *message)
{
	int r = -EPIPE;

	message->lost = broker->events_lost;
	if (broker->channel >= 0)
		r = MESSAGE_SEND(broker->channel, ROLE_BROKER, BROKER_EVENT, 0, message);
	if (r == 0)
		return;
	broker->events_lost++;
	if (broker->channel >= 0)
		log_warning("jail %u: event not taken by custodyd: %s; %llu lost so far",
			    broker->jail_id, strerror(-r), (unsigned long long)broker->events_lost);
}

/* A leaky bucket that is one number: the time at which the events so far are paid for. */
static bool report_take_budget(struct broker *broker)
{
	const __u64 interval = REPORT_NS / REPORT_RATE;
	const __u64 now = report_read_clock();
	const __u64 due = (broker->events_due > now ? broker->events_due : now) + interval;

	if (due - now > REPORT_BURST * interval)
		return false;
	broker->events_due = due;
	return true;
}

void report_held(struct broker *broker, bool last)
{
	if (!broker->event_held || (!last && !report_take_budget(broker)))
		return;
	broker->event_held = false;
	report_send(broker, &broker->held);
}

void report_decision(struct broker *broker, const struct target *target,
		     const struct address_decision *decision)
{
	struct broker_event message = { 0 };

	if (decision->action == BROKER_CONTINUE ||
	    (decision->action == BROKER_DENY && decision->error != -EACCES))
		return;
	report_fill_event(broker, target, decision, &message.event);
	report_held(broker, false);
	if (!broker->event_held && report_take_budget(broker)) {
		report_send(broker, &message);
		return;
	}
	if (broker->event_held)
		broker->events_lost++;
	broker->held = message;
	broker->event_held = true;
}
