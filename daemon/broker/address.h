/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bind() or connect() of the jail gets: one of the plan's listening sockets or a connection
 * to one of its destinations, the kernel's own answer in the jail's network namespace, or an error.
 * Run by custody-broker, unit tests and the fuzzer.
 * Pure. The plan was checked; the address and its length are chosen by the model.
 *
 * Rules of bind() (protocol and port must always be those of a listed endpoint):
 *   A1  The address asked for may be the listed one, a wildcard or a loopback address. What is
 *       published is the address that the operator listed, whatever the model asks for: a server
 *       that binds 127.0.0.1 by default, or [::], need not be configured. Any other address
 *       names an interface that the jail does not have: denied.
 *   A2  Of several endpoints on one port: the listed address itself, then the family asked for,
 *       then the other family; the first in the plan among equals.
 *   A3  The other family only for a wildcard or loopback address, and never for a socket with
 *       IPV6_V6ONLY. accept() then gives an address of the family that is really listening.
 *   A4  ::ffff:a.b.c.d is the IPv4 address a.b.c.d.
 *   A5  Not listed and loopback, in a plan with PLAN_FLAG_LOOPBACK: BROKER_CONTINUE. The kernel
 *       reads the address again, so it may have changed: the cgroup plane decides on the kernel's
 *       own copy, and the jail's network namespace has nothing but loopback.
 *   A6  UNIX: a listed path is granted; any other name is BROKER_CONTINUE. The kernel looks the
 *       path up in the jail's mount namespace with the model's rights, and an abstract name
 *       lives in the jail's network namespace: rewriting the name gains nothing there.
 *   A7  NETLINK_ROUTE, which resolvers and getifaddrs() bind: BROKER_CONTINUE. It shows the
 *       jail's network namespace, and the model has no capability over that. Every other family
 *       is denied.
 *
 * Rules of connect():
 *   C1  A listed address, port and protocol is granted, exactly as listed (A4 holds). The address
 *       that stands for a host name (PLAN_NAME_PREFIX_0) with a port listed for it likewise.
 *   C2  Not listed and loopback, in a plan with PLAN_FLAG_LOOPBACK: BROKER_CONTINUE, as A5.
 *   C3  UNIX: a listed path is granted to stream and seqpacket sockets; other names as A6. Not to
 *       datagram sockets: those name a destination with each message, abstract names of the
 *       host's network namespace among them.
 *   C4  AF_UNSPEC, which dissolves an association: BROKER_CONTINUE. NETLINK_ROUTE as A7.
 *   C5  Everything else is refused with the errno that the plan says.
 */
#ifndef CUSTODY_BROKER_ADDRESS_H
#define CUSTODY_BROKER_ADDRESS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/plan.h"

/* The kernel's sockaddr_storage: no longer address is ever read from the jail. */
#define ADDRESS_SIZE_MAX 128
#define ADDRESS_PATH_SIZE 109	/* sun_path with a NUL after it */

/* What the model's socket is, as the kernel says. */
struct address_socket {
	int domain;		/* AF_* */
	int type;		/* SOCK_* */
	int protocol;		/* IPPROTO_*, 0 for unix */
	bool v6only;
};

enum address_action {
	BROKER_DENY = 0,
	BROKER_GRANT,		/* the listening socket of `endpoint` */
	BROKER_CONTINUE,	/* A5, A6, A7, C2, C3, C4 */
};

struct address_decision {
	enum address_action action;
	int error;		/* BROKER_DENY: what bind(2) or connect(2) says */
	bool policy;		/* BROKER_DENY: by policy, not because the call is wrong */
	unsigned int endpoint;	/* BROKER_GRANT: index into plan.endpoints */
	__u8 family;		/* what was asked for: 1, 4, 6, or 0 */
	__u8 protocol;		/* IPPROTO_* of the socket */
	__u16 port;		/* host order */
	__u8 address[16];
	char path[ADDRESS_PATH_SIZE];	/* unix; bytes, '\0' first for an abstract name */
	__u8 path_len;
};

/* Decides bind(socket, addr, len). *ret is always filled. */
void address_decide_bind(const struct custody_plan *plan, const struct address_socket *socket,
			 const void *addr, size_t len, struct address_decision *ret);

/* Decides connect(socket, addr, len). *ret is always filled. */
void address_decide_connect(const struct custody_plan *plan, const struct address_socket *socket,
			    const void *addr, size_t len, struct address_decision *ret);

/* Makes a decision a denial by policy of a bind() or a connect(). */
void address_deny(const struct custody_plan *plan, bool connecting, struct address_decision *ret);

/* "tcp:127.0.0.1:8080", "udp:[::]:53", "unix:/path". Cut when size is too small. */
void address_print_endpoint(const struct custody_plan *plan, const struct plan_endpoint *endpoint,
			    char *ret, size_t size);

/* 0.0.0.0 or :: */
bool address_is_wildcard(__u16 family, const __u8 *address);

#endif
