/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the broker to custodyd. Run by custody-broker. comm and path in them are bytes of
 * the model's choice; the rest is the kernel's or the plan's.
 */
#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "log.h"
#include "message.h"

#define REPORT_NS 1000000000ULL

static void report_fill_event(const struct broker *broker, const struct target *target,
			      const struct address_decision *decision, __u16 class,
			      struct custody_event *ret)
{
	bool granted = decision->action == BROKER_GRANT;

	*ret = (struct custody_event){
		.size = sizeof(*ret),
		.version = EVENT_VERSION,
		.verdict = granted ? EVENT_ALLOWED : EVENT_DENIED,
		.jail_id = broker->jail_id,
		.time_ns = serve_read_clock(),
		.pid = target->tgid,
		.tid = target->tid,
		.class = class,
		.object = granted ? (__u16)decision->endpoint : POLICY_OBJECT_NONE,
		.plane = EVENT_PLANE_BROKER,
		.family = decision->family,
		.protocol = decision->protocol,
		.error = granted ? 0 : decision->error,
		.syscall = class == POLICY_CLASS_BIND ? SYS_bind : SYS_connect,
		.access = (__u32)target->socket.type,
		.port = decision->port,
		.path_len = decision->path_len,
	};
	memcpy(ret->address, decision->address, sizeof(ret->address));
	memcpy(ret->comm, target->comm, sizeof(ret->comm));
	memcpy(ret->path, decision->path, decision->path_len);
}

/* Nobody is there to be told: the first ones are kept for the next custodyd. */
static void report_keep(struct broker *broker, const struct broker_event *message)
{
	if (broker->kept_n == BROKER_EVENTS_KEPT) {
		broker->events_lost++;
		return;
	}
	broker->kept[(broker->kept_first + broker->kept_n++) % BROKER_EVENTS_KEPT] = *message;
}

static int report_tell(struct broker *broker, struct broker_event *message)
{
	message->lost = broker->events_lost;
	return MESSAGE_SEND(broker->channel, ROLE_BROKER, BROKER_EVENT, 0, message);
}

static void report_send(struct broker *broker, struct broker_event *message)
{
	int r;

	if (broker->channel < 0) {
		report_keep(broker, message);
		return;
	}
	r = report_tell(broker, message);
	if (r == 0)
		return;
	/* It ended just now: the loop will notice, and the next custodyd is told. */
	if (r == -EPIPE) {
		report_keep(broker, message);
		return;
	}
	broker->events_lost++;
	log_warning("jail %u: event not taken by custodyd: %s; %llu lost so far", broker->jail_id,
		    strerror(-r), (unsigned long long)broker->events_lost);
}

void report_kept(struct broker *broker)
{
	while (broker->kept_n > 0) {
		if (report_tell(broker, &broker->kept[broker->kept_first]) < 0)
			return;
		broker->kept_first = (broker->kept_first + 1) % BROKER_EVENTS_KEPT;
		broker->kept_n--;
	}
}

/* A leaky bucket that is one number: the time at which the events so far are paid for. */
static bool report_take_budget(struct broker *broker)
{
	const __u64 interval = REPORT_NS / REPORT_RATE;
	const __u64 now = serve_read_clock();
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

static void report_put(struct broker *broker, const struct broker_event *message)
{
	struct broker_event now = *message;

	report_held(broker, false);
	if (!broker->event_held && report_take_budget(broker)) {
		report_send(broker, &now);
		return;
	}
	if (broker->event_held)
		broker->events_lost++;
	broker->held = *message;
	broker->event_held = true;
}

void report_decision(struct broker *broker, const struct target *target,
		     const struct address_decision *decision)
{
	struct broker_event message = { 0 };

	if (decision->action == BROKER_CONTINUE ||
	    (decision->action == BROKER_DENY && !decision->policy))
		return;
	report_fill_event(broker, target, decision, POLICY_CLASS_BIND, &message.event);
	report_put(broker, &message);
}

void report_connect(struct broker *broker, const struct target *target,
		    const struct address_decision *decision)
{
	struct broker_event message = { 0 };

	if (decision->action == BROKER_CONTINUE ||
	    (decision->action == BROKER_DENY && !decision->policy))
		return;
	if (decision->action == BROKER_GRANT) {
		if (broker->reported[decision->endpoint])
			return;
		broker->reported[decision->endpoint] = true;
	}
	report_fill_event(broker, target, decision, POLICY_CLASS_CONNECT, &message.event);
	report_put(broker, &message);
}
