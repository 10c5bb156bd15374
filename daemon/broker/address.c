/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision on one bind() or connect(), as rules A1 to C5 of address.h. Run by custody-broker.
 * Pure; the bytes of the address are the model's and are trusted for nothing but what they ask
 * for.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "destination.h"
#include "plan.h"

#define ADDRESS_IN6_SIZE_MIN 24	/* SIN6_LEN_RFC2133: without the scope id */

_Static_assert(sizeof(struct sockaddr_storage) == ADDRESS_SIZE_MAX, "the kernel's bound");
_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) < ADDRESS_PATH_SIZE, "a NUL fits");

bool address_is_wildcard(__u16 family, const __u8 *address)
{
	static const __u8 zero[16];

	return memcmp(address, zero, family == PLAN_FAMILY_INET ? 4 : 16) == 0;
}

static bool address_is_loopback(__u8 family, const __u8 *address)
{
	static const __u8 loopback[16] = { [15] = 1 };

	if (family == PLAN_FAMILY_INET)
		return address[0] == 127;
	return memcmp(address, loopback, sizeof(loopback)) == 0;
}

/* Takes the address apart into *ret. Returns 0 or the error that bind(2) itself gives. */
static int address_parse_inet(const void *addr, size_t len, struct address_decision *ret)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, addr, sizeof(in));
	ret->family = PLAN_FAMILY_INET;
	ret->port = ntohs(in.sin_port);
	memcpy(ret->address, &in.sin_addr, 4);
	return 0;
}

static int address_parse_inet6(const void *addr, size_t len, struct address_decision *ret)
{
	struct sockaddr_in6 in6 = { 0 };

	if (len < ADDRESS_IN6_SIZE_MIN)
		return -EINVAL;
	memcpy(&in6, addr, len < sizeof(in6) ? len : sizeof(in6));
	ret->port = ntohs(in6.sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		ret->family = PLAN_FAMILY_INET;
		memcpy(ret->address, &in6.sin6_addr.s6_addr[12], 4);
		return 0;
	}
	ret->family = PLAN_FAMILY_INET6;
	memcpy(ret->address, &in6.sin6_addr, 16);
	return 0;
}

/* The path ends at its NUL, or at the length; an abstract name is every byte of the length. */
static int address_parse_unix(const void *addr, size_t len, struct address_decision *ret)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	const char *path = (const char *)addr + head;
	size_t n;

	if (len > sizeof(struct sockaddr_un))
		return -EINVAL;
	ret->family = PLAN_FAMILY_UNIX;
	n = len - head;
	if (n > 0 && path[0] != '\0')
		n = strnlen(path, n);
	memcpy(ret->path, path, n);
	ret->path_len = (__u8)n;
	return 0;
}

static int address_parse(const void *addr, size_t len, const struct address_socket *socket,
			 struct address_decision *ret)
{
	sa_family_t family;

	if (len < sizeof(family) || len > ADDRESS_SIZE_MAX)
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family != socket->domain)
		return family == AF_UNIX || socket->domain == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
	switch (family) {
	case AF_INET:
		return address_parse_inet(addr, len, ret);
	case AF_INET6:
		return address_parse_inet6(addr, len, ret);
	case AF_UNIX:
		return address_parse_unix(addr, len, ret);
	case AF_NETLINK:
		return 0;
	default:
		return -EACCES;
	}
}

/* 0: not this endpoint; otherwise the higher the better (A1 to A3). */
static int address_rank_inet(const struct plan_endpoint *endpoint,
			     const struct address_socket *socket,
			     const struct address_decision *asked)
{
	size_t n = asked->family == PLAN_FAMILY_INET ? 4 : 16;
	bool any = address_is_wildcard(asked->family, asked->address) ||
		   address_is_loopback(asked->family, asked->address);

	if (endpoint->kind != PLAN_ENDPOINT_LISTEN || endpoint->family == PLAN_FAMILY_UNIX ||
	    endpoint->port != asked->port || endpoint->protocol != asked->protocol)
		return 0;
	if (endpoint->family == asked->family && memcmp(endpoint->address, asked->address, n) == 0)
		return 3;
	if (!any)
		return 0;
	if (endpoint->family == asked->family)
		return 2;
	return socket->v6only ? 0 : 1;
}

static bool address_is_socket_of(const struct address_socket *socket, __u8 protocol)
{
	int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;

	return socket->type == type && socket->protocol == protocol;
}

static void address_decide_inet(const struct custody_plan *plan,
				const struct address_socket *socket, struct address_decision *ret)
{
	int best = 0;

	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		int rank = address_rank_inet(&plan->endpoints[i], socket, ret);

		if (rank <= best || !address_is_socket_of(socket, ret->protocol))
			continue;
		best = rank;
		ret->endpoint = i;
		ret->action = BROKER_GRANT;
	}
	if (best == 0 && (plan->flags & PLAN_FLAG_LOOPBACK) &&
	    address_is_loopback(ret->family, ret->address))
		ret->action = BROKER_CONTINUE;
}

static void address_decide_unix(const struct custody_plan *plan,
				const struct address_socket *socket, struct address_decision *ret)
{
	ret->action = BROKER_CONTINUE;
	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *endpoint = &plan->endpoints[i];

		if (endpoint->kind != PLAN_ENDPOINT_LISTEN ||
		    endpoint->family != PLAN_FAMILY_UNIX || endpoint->path.len != ret->path_len ||
		    memcmp(plan_string(plan, endpoint->path), ret->path, ret->path_len) != 0)
			continue;
		/* A listed path is a stream socket; another type of socket gets nothing there. */
		ret->action = socket->type == SOCK_STREAM ? BROKER_GRANT : BROKER_DENY;
		ret->endpoint = i;
		return;
	}
}

void address_deny(const struct custody_plan *plan, bool connecting, struct address_decision *ret)
{
	ret->action = BROKER_DENY;
	ret->policy = true;
	ret->error = connecting && (plan->flags & PLAN_FLAG_CONNREFUSED) ? -ECONNREFUSED : -EACCES;
}

/* Returns false when the call is wrong, and *ret says how. */
static bool address_read(const void *addr, size_t len, const struct address_socket *socket,
			 struct address_decision *ret)
{
	int r;

	*ret = (struct address_decision){ .action = BROKER_DENY };
	ret->protocol = socket->protocol > 0 && socket->protocol < 256 ? (__u8)socket->protocol : 0;
	r = address_parse(addr, len, socket, ret);
	ret->error = r;
	ret->policy = r == -EACCES;
	return r == 0;
}

static bool address_is_route(const struct address_socket *socket)
{
	return socket->domain == AF_NETLINK && socket->protocol == NETLINK_ROUTE;
}

void address_decide_bind(const struct custody_plan *plan, const struct address_socket *socket,
			 const void *addr, size_t len, struct address_decision *ret)
{
	if (!address_read(addr, len, socket, ret))
		return;
	if (socket->domain == AF_NETLINK)
		ret->action = address_is_route(socket) ? BROKER_CONTINUE : BROKER_DENY;
	else if (ret->family == PLAN_FAMILY_UNIX)
		address_decide_unix(plan, socket, ret);
	else
		address_decide_inet(plan, socket, ret);
	if (ret->action == BROKER_DENY)
		address_deny(plan, false, ret);
}

/* The listed destination, or -1 (C1). */
static int address_find_destination(const struct custody_plan *plan,
				    const struct address_socket *socket,
				    const struct address_decision *asked)
{
	size_t n = asked->family == PLAN_FAMILY_INET ? 4 : 16;

	if (!address_is_socket_of(socket, asked->protocol))
		return -1;
	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *e = &plan->endpoints[i];

		if (e->kind == PLAN_ENDPOINT_EGRESS && e->family == asked->family &&
		    e->protocol == asked->protocol && e->port == asked->port &&
		    memcmp(e->address, asked->address, n) == 0)
			return (int)i;
	}
	if (asked->family != PLAN_FAMILY_INET || asked->protocol != IPPROTO_TCP)
		return -1;
	return destination_find_name(plan, asked->address, asked->port);
}

static void address_connect_inet(const struct custody_plan *plan,
				 const struct address_socket *socket, struct address_decision *ret)
{
	int index = address_find_destination(plan, socket, ret);

	if (index >= 0) {
		ret->endpoint = (unsigned int)index;
		ret->action = BROKER_GRANT;
	} else if ((plan->flags & PLAN_FLAG_LOOPBACK) &&
		   address_is_loopback(ret->family, ret->address)) {
		ret->action = BROKER_CONTINUE;
	}
}

static void address_connect_unix(const struct custody_plan *plan,
				 const struct address_socket *socket, struct address_decision *ret)
{
	ret->action = BROKER_CONTINUE;
	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *endpoint = &plan->endpoints[i];

		if (endpoint->kind != PLAN_ENDPOINT_EGRESS ||
		    endpoint->family != PLAN_FAMILY_UNIX || endpoint->path.len != ret->path_len ||
		    memcmp(plan_string(plan, endpoint->path), ret->path, ret->path_len) != 0)
			continue;
		ret->action = socket->type == SOCK_DGRAM ? BROKER_DENY : BROKER_GRANT;
		ret->endpoint = i;
		return;
	}
}

void address_decide_connect(const struct custody_plan *plan, const struct address_socket *socket,
			    const void *addr, size_t len, struct address_decision *ret)
{
	__u16 family = 0;

	if (len >= sizeof(family) && len <= ADDRESS_SIZE_MAX) {
		memcpy(&family, addr, sizeof(family));
		if (family == AF_UNSPEC) {
			*ret = (struct address_decision){ .action = BROKER_CONTINUE };
			return;
		}
	}
	if (!address_read(addr, len, socket, ret)) {
		if (ret->policy)
			address_deny(plan, true, ret);
		return;
	}
	if (socket->domain == AF_NETLINK)
		ret->action = address_is_route(socket) ? BROKER_CONTINUE : BROKER_DENY;
	else if (ret->family == PLAN_FAMILY_UNIX)
		address_connect_unix(plan, socket, ret);
	else
		address_connect_inet(plan, socket, ret);
	if (ret->action == BROKER_DENY)
		address_deny(plan, true, ret);
}

void address_print_endpoint(const struct custody_plan *plan, const struct plan_endpoint *endpoint,
			    char *ret, size_t size)
{
	const char *protocol = endpoint->protocol == IPPROTO_UDP ? "udp" : "tcp";
	char text[INET6_ADDRSTRLEN] = "?";

	if (endpoint->family == PLAN_FAMILY_UNIX) {
		(void)snprintf(ret, size, "unix:%s", plan_string(plan, endpoint->path));
		return;
	}
	if (endpoint->family == PLAN_FAMILY_NAME) {
		(void)snprintf(ret, size, "name:%s:%u", plan_string(plan, endpoint->path),
			       endpoint->port);
		return;
	}
	if (endpoint->family == PLAN_FAMILY_INET) {
		(void)inet_ntop(AF_INET, endpoint->address, text, sizeof(text));
		(void)snprintf(ret, size, "%s:%s:%u", protocol, text, endpoint->port);
		return;
	}
	(void)inet_ntop(AF_INET6, endpoint->address, text, sizeof(text));
	(void)snprintf(ret, size, "%s:[%s]:%u", protocol, text, endpoint->port);
}
