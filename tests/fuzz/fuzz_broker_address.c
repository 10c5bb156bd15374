/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's decision on hostile addresses. Input: domain, type, protocol, flags, then the
 * address. Checks that a grant is always one of the plan's endpoints with the protocol asked for,
 * and that nothing but loopback, UNIX and NETLINK_ROUTE is ever left to the kernel.
 */
/* link: daemon/broker/address.c */
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/broker/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_fill_plan(struct custody_plan *plan)
{
	static const char path[] = "/run/m.sock";
	static const char name[] = "a.internal";

	plan->n_endpoints = 4;
	plan->endpoints[0] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
		.family = PLAN_FAMILY_INET, .protocol = IPPROTO_TCP, .port = 8080 };
	plan->endpoints[1] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
		.family = PLAN_FAMILY_INET6, .protocol = IPPROTO_TCP, .port = 8081 };
	plan->endpoints[2] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
		.family = PLAN_FAMILY_INET, .protocol = IPPROTO_UDP, .port = 53 };
	plan->endpoints[3] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
		.family = PLAN_FAMILY_UNIX, .path = { .off = 1, .len = sizeof(path) - 1 } };
	memcpy(plan->pool + 1, path, sizeof(path));
	plan->n_endpoints = 7;
	plan->endpoints[4] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_EGRESS,
		.family = PLAN_FAMILY_INET, .protocol = IPPROTO_TCP, .port = 443,
		.address = { 10, 0, 0, 5 } };
	plan->endpoints[5] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_EGRESS,
		.family = PLAN_FAMILY_NAME, .protocol = IPPROTO_TCP, .port = 9090,
		.path = { .off = 100, .len = sizeof(name) - 1 } };
	plan->endpoints[6] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_EGRESS,
		.family = PLAN_FAMILY_UNIX, .path = { .off = 1, .len = sizeof(path) - 1 } };
	memcpy(plan->pool + 100, name, sizeof(name));
}

/* What a connect() is granted is an egress entry, and exactly that. */
static void fuzz_check_connect(const struct custody_plan *plan,
			       const struct address_decision *decision)
{
	static const __u8 stand_in[4] = { PLAN_NAME_PREFIX_0, PLAN_NAME_PREFIX_1, 0, 6 };
	static const __u8 listed[4] = { 10, 0, 0, 5 };

	if (decision->action == BROKER_DENY && decision->error >= 0)
		abort();
	if (decision->action != BROKER_GRANT)
		return;
	if (decision->endpoint >= plan->n_endpoints ||
	    plan->endpoints[decision->endpoint].kind != PLAN_ENDPOINT_EGRESS ||
	    plan->endpoints[decision->endpoint].port != decision->port)
		abort();
	if (decision->endpoint != 6 &&
	    memcmp(decision->address, decision->endpoint == 4 ? listed : stand_in, 4) != 0)
		abort();
}

static void fuzz_check_continue(const struct custody_plan *plan,
				const struct address_socket *socket,
				const struct address_decision *decision)
{
	if (decision->family == PLAN_FAMILY_UNIX && socket->domain == AF_UNIX)
		return;
	if (socket->domain == AF_NETLINK && socket->protocol == NETLINK_ROUTE)
		return;
	if (!(plan->flags & PLAN_FLAG_LOOPBACK))
		abort();
	if (decision->family == PLAN_FAMILY_INET ? decision->address[0] != 127 :
						   decision->address[15] != 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct custody_plan plan;
	struct address_decision decision;
	struct address_socket socket;

	if (size < 4)
		return 0;
	if (plan.n_endpoints == 0)
		fuzz_fill_plan(&plan);
	socket = (struct address_socket){ data[0], data[1], data[2], data[3] & 1 };
	plan.flags = data[3] & 2 ? PLAN_FLAG_LOOPBACK : 0;
	address_decide_connect(&plan, &socket, data + 4, size - 4, &decision);
	fuzz_check_connect(&plan, &decision);
	address_decide_bind(&plan, &socket, data + 4, size - 4, &decision);
	switch (decision.action) {
	case BROKER_GRANT:
		if (decision.error != 0 || decision.endpoint >= plan.n_endpoints ||
		    plan.endpoints[decision.endpoint].port != decision.port ||
		    (decision.family != PLAN_FAMILY_UNIX &&
		     plan.endpoints[decision.endpoint].protocol != socket.protocol))
			abort();
		break;
	case BROKER_CONTINUE:
		fuzz_check_continue(&plan, &socket, &decision);
		break;
	default:
		if (decision.error >= 0)
			abort();
	}
	return 0;
}
