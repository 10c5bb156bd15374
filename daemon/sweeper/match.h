/* SPDX-License-Identifier: Apache-2.0 */
/* Does a socket serve a published endpoint. Run by custody-sweeper and unit tests. Pure. */
#ifndef CUSTODY_SWEEPER_MATCH_H
#define CUSTODY_SWEEPER_MATCH_H

#include <linux/types.h>
#include <stdbool.h>

#include "custody/message.h"

/* An INET socket as inet_diag shows it. */
struct match_socket {
	__u16 family;		/* 4 or 6 */
	__u16 protocol;		/* IPPROTO_TCP or IPPROTO_UDP */
	__u16 port;		/* host order */
	bool v6only;
	bool serves;		/* TCP: listening; UDP: bound */
	__u8 address[16];
};

/*
 * True when a client of the endpoint could reach the socket: same protocol and port, and the
 * addresses meet: equal, or one of them is a wildcard. [::] without IPV6_V6ONLY also meets IPv4,
 * and ::ffff:a.b.c.d is a.b.c.d.
 */
bool match_serves_endpoint(const struct match_socket *socket,
			   const struct reply_endpoint *endpoint);

#endif
