/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as what a resolver answered, and as what a broker asked for, in the code
 * of custodyd that judges both. No address comes into the policy that a name may not have, none
 * that was not recorded first, none that the plan has no name for. Input: which endpoint is asked
 * for, how many addresses, whether the recorder refuses, the families (one byte each), then the
 * answer. Trusts nothing.
 * link: daemon/warden/resolve.c
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/warden/warden.h"
#include "destination.h"
#include "plan.h"

#define FUZZ_HEAD 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct custody_plan fuzz_plan;

/* What the fuzzed code did last, for the checks in what it calls. */
static struct {
	struct custody_event event;
	unsigned int events;
	unsigned int installed;
	int refuse;
} fuzz_seen;

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

/* ---- in the place of the rest of custodyd ---- */

bool jails_is_alive(const struct jail *jail)
{
	return jail->state == JAIL_STATE_RUNNING;
}

int spawn_role(struct warden *warden, struct jail *jail, struct role *ret, enum custody_role role,
	       const char *cgroup)
{
	(void)warden;
	(void)jail;
	(void)ret;
	(void)role;
	(void)cgroup;
	return -EAGAIN;
}

void spawn_kill(struct role *role)
{
	role->channel = -1;
}

int recording_put_event(struct jail *jail, const struct custody_event *event)
{
	(void)jail;
	fuzz_require(event->object < fuzz_plan.n_endpoints && event->path_len > 0 &&
		     event->path_len < sizeof(event->path) && event->path[event->path_len] == '\0');
	fuzz_require(event->verdict == (event->error < 0 ? EVENT_DENIED : EVENT_ALLOWED));
	fuzz_seen.event = *event;
	fuzz_seen.events++;
	return fuzz_seen.refuse ? -EAGAIN : 0;
}

int policy_add_destination(struct policy *policy, __u32 jail_id, __u32 endpoint, __u16 port,
			   const struct resolved_address *address, bool own)
{
	(void)policy;
	(void)own;
	fuzz_require(jail_id == 7 && endpoint < fuzz_plan.n_endpoints && !fuzz_seen.refuse);
	fuzz_require(fuzz_plan.endpoints[endpoint].family == PLAN_FAMILY_NAME &&
		     fuzz_plan.endpoints[endpoint].port == port);
	fuzz_require(fuzz_seen.event.verdict == EVENT_ALLOWED &&
		     fuzz_seen.event.family == address->family &&
		     memcmp(fuzz_seen.event.address, address->address, 16) == 0);
	fuzz_require(destination_check_resolved(address->family == 4 ? PLAN_FAMILY_INET
								     : PLAN_FAMILY_INET6,
						address->address));
	fuzz_seen.installed++;
	return 0;
}

/* ---- a plan with two names, one of them on two ports, between addresses ---- */

static void fuzz_fill_plan(void)
{
	static const char *const names[4] = { "a.internal", NULL, "b.internal", "a.internal" };
	__u32 off = 1;

	fuzz_plan.n_endpoints = 4;
	for (__u32 i = 0; i < 4; i++) {
		struct plan_endpoint *e = &fuzz_plan.endpoints[i];

		e->kind = PLAN_ENDPOINT_EGRESS;
		e->protocol = IPPROTO_TCP;
		e->port = (__u16)(8000 + i);
		e->family = names[i] ? PLAN_FAMILY_NAME : PLAN_FAMILY_INET;
		if (!names[i])
			continue;
		e->path = (struct plan_string){ .off = off, .len = (__u32)strlen(names[i]) };
		memcpy(fuzz_plan.pool + off, names[i], strlen(names[i]) + 1);
		off += e->path.len + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct warden warden;
	struct broker_resolve asked = { 0 };
	struct resolve_answer answer = { 0 };
	struct jail jail = { .warden = &warden, .id = 7, .state = JAIL_STATE_RUNNING,
			     .plan = &fuzz_plan };
	int r;

	if (size < FUZZ_HEAD)
		return 0;
	if (fuzz_plan.n_endpoints == 0) {
		fuzz_fill_plan();
		log_setup("fuzz", LOG_LEVEL_ERROR - 1);
	}
	memset(&fuzz_seen, 0, sizeof(fuzz_seen));
	fuzz_seen.refuse = data[2] & 1;
	jail.broker.channel = jail.resolver.channel = -1;
	asked.endpoint = data[0] & 0x80 ? data[0] | 0xffffff00U : data[0];
	r = resolve_request(&jail, &asked);
	fuzz_require(r == 0 || r == -EPROTO);
	fuzz_require((r == 0) == (asked.endpoint == 0 || asked.endpoint == 2));
	jail.resolve_now = data[0] % 4;
	memcpy((char *)&answer + sizeof(answer.head), data + FUZZ_HEAD,
	       size - FUZZ_HEAD < sizeof(answer) - sizeof(answer.head)
		       ? size - FUZZ_HEAD : sizeof(answer) - sizeof(answer.head));
	if (data[1] < 0x80)	/* else the answer's own count stands */
		answer.n = data[1] % (CUSTODY_ADDRESSES_MAX + 2);
	for (__u32 i = 0; data[3] && i < CUSTODY_ADDRESSES_MAX; i++) {
		answer.addresses[i].family = data[3] & (1U << i % 8) ? 6 : 4;
		if (answer.addresses[i].family == 4)
			memset(answer.addresses[i].address + 4, 0, 12);
	}
	resolve_answered(&jail, &answer);
	fuzz_require(fuzz_seen.events <= CUSTODY_ADDRESSES_MAX);
	fuzz_require(fuzz_seen.installed <= 2 * CUSTODY_ADDRESSES_MAX);
	if (r < 0)
		fuzz_require(fuzz_seen.events == 0 && fuzz_seen.installed == 0);
	else
		fuzz_require(!(jail.resolve_wanted & (1U << jail.resolve_now)));
	return 0;
}
