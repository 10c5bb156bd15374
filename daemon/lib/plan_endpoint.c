/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a plan's endpoints, for plan_check(). Pure; trusts no field. Run by many roles. */
#include <netinet/in.h>
#include <string.h>

#include "destination.h"
#include "plan.h"
#include "plan_internal.h"

#define PLAN_UNIX_PATH_MAX 108U /* struct sockaddr_un, with its NUL */

/* Not multicast, broadcast or IPv4 in IPv6 clothing; nothing behind an IPv4 address. */
static bool plan_check_address(const struct plan_endpoint *endpoint)
{
	static const __u8 mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (endpoint->family == PLAN_FAMILY_INET)
		return plan_is_zero(endpoint->address + 4, 12) && endpoint->address[0] < 224;
	return endpoint->address[0] != 0xff && memcmp(endpoint->address, mapped, 12) != 0;
}

static bool plan_check_inet(const struct plan_endpoint *endpoint, const char **ret_why)
{
	if (endpoint->protocol != IPPROTO_TCP && endpoint->protocol != IPPROTO_UDP)
		return plan_refuse(ret_why, "an endpoint is neither TCP nor UDP");
	if (endpoint->port == 0)
		return plan_refuse(ret_why, "an endpoint has no port");
	if (!plan_check_address(endpoint))
		return plan_refuse(ret_why, "an endpoint's address cannot be bound");
	if (endpoint->path.len != 0 || endpoint->path.off != 0)
		return plan_refuse(ret_why, "an internet endpoint has a path");
	return true;
}

static bool plan_check_unix(const struct custody_plan *plan, const struct plan_endpoint *endpoint,
			    const char **ret_why)
{
	const char *path;

	if (endpoint->protocol != 0 || endpoint->port != 0 || !plan_is_zero(endpoint->address, 16))
		return plan_refuse(ret_why, "a UNIX endpoint has a protocol, port or address");
	if (!plan_check_path(plan, endpoint->path) || endpoint->path.len >= PLAN_UNIX_PATH_MAX)
		return plan_refuse(ret_why, "a UNIX endpoint's path is not normal, or too long");
	path = plan_string(plan, endpoint->path);
	if (plan_is_kernel_source(path) || plan_touches_custody(path))
		return plan_refuse(ret_why,
				   "a UNIX endpoint lies in /proc, /sys, /dev or custody's");
	return true;
}

static bool plan_check_host(const struct custody_plan *plan, const struct plan_endpoint *endpoint,
			    const char **ret_why)
{
	if (endpoint->protocol != IPPROTO_TCP || endpoint->port == 0 ||
	    !plan_is_zero(endpoint->address, 16))
		return plan_refuse(ret_why, "a host name without port, with address, or not TCP");
	if (!plan_check_string(plan, endpoint->path) ||
	    !destination_check_host(plan_string(plan, endpoint->path)))
		return plan_refuse(ret_why, "a host name is not well formed");
	return true;
}

/* The broker connects to it, and the cgroup plane sees to it that nobody else does. */
static bool plan_check_egress(const struct custody_plan *plan,
			      const struct plan_endpoint *endpoint, const char **ret_why)
{
	bool inet = endpoint->family == PLAN_FAMILY_INET || endpoint->family == PLAN_FAMILY_INET6;

	if (!(plan->flags & PLAN_FLAG_CONNECT))
		return plan_refuse(ret_why, "egress, but connect() is not the broker's");
	if (inet && !destination_check_address(endpoint->family, endpoint->address))
		return plan_refuse(ret_why, "an address is none of a destination");
	return true;
}

static bool plan_same_endpoint(const struct custody_plan *plan, const struct plan_endpoint *a,
			       const struct plan_endpoint *b)
{
	return a->family == b->family && a->protocol == b->protocol && a->port == b->port &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       strcmp(plan_string(plan, a->path), plan_string(plan, b->path)) == 0;
}

bool plan_check_endpoint(const struct custody_plan *plan, __u32 index, const char **ret_why)
{
	const struct plan_endpoint *endpoint = &plan->endpoints[index];
	bool ok;

	if (endpoint->kind != PLAN_ENDPOINT_LISTEN && endpoint->kind != PLAN_ENDPOINT_EGRESS)
		return plan_refuse(ret_why, "an endpoint is neither listen nor egress");
	if (endpoint->kind == PLAN_ENDPOINT_EGRESS && !plan_check_egress(plan, endpoint, ret_why))
		return false;
	if (!plan_is_zero(endpoint->pad, sizeof(endpoint->pad)))
		return plan_refuse(ret_why, "an endpoint has padding");
	if (!plan_check_origin(plan, endpoint->origin))
		return plan_refuse(ret_why, "the origin of an endpoint is not printable text");
	if (endpoint->family == PLAN_FAMILY_INET || endpoint->family == PLAN_FAMILY_INET6)
		ok = plan_check_inet(endpoint, ret_why);
	else if (endpoint->family == PLAN_FAMILY_UNIX)
		ok = plan_check_unix(plan, endpoint, ret_why);
	else if (endpoint->family == PLAN_FAMILY_NAME && endpoint->kind == PLAN_ENDPOINT_EGRESS)
		ok = plan_check_host(plan, endpoint, ret_why);
	else
		ok = plan_refuse(ret_why, "an endpoint has an unknown family");
	for (__u32 i = 0; ok && i < index; i++) {
		if (plan_same_endpoint(plan, &plan->endpoints[i], endpoint))
			ok = plan_refuse(ret_why, "two endpoints are the same");
	}
	return ok;
}
