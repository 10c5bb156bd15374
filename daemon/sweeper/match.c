/* SPDX-License-Identifier: Apache-2.0 */
/* Does a socket serve a published endpoint. Run by custody-sweeper. Pure. */
#include "match.h"

#include <string.h>

static bool match_is_zero(const __u8 *bytes, size_t n)
{
	static const __u8 zero[16];

	return memcmp(bytes, zero, n) == 0;
}

static bool match_is_mapped(const struct match_socket *socket)
{
	static const __u8 prefix[12] = { [10] = 0xff, [11] = 0xff };

	return socket->family == PLAN_FAMILY_INET6 && memcmp(socket->address, prefix, 12) == 0;
}

bool match_serves_endpoint(const struct match_socket *socket,
			   const struct reply_endpoint *endpoint)
{
	const __u8 *address = socket->address;
	__u16 family = socket->family;
	size_t n;

	if (endpoint->kind != PLAN_ENDPOINT_LISTEN || endpoint->family == PLAN_FAMILY_UNIX ||
	    !socket->serves || socket->protocol != endpoint->protocol ||
	    socket->port != endpoint->port)
		return false;
	if (match_is_mapped(socket)) {
		address = socket->address + 12;
		family = PLAN_FAMILY_INET;
	}
	n = family == PLAN_FAMILY_INET ? 4 : 16;
	if (family == PLAN_FAMILY_INET6 && endpoint->family == PLAN_FAMILY_INET)
		return match_is_zero(address, n) && !socket->v6only;
	if (family != endpoint->family)
		return false;
	return match_is_zero(address, n) || match_is_zero(endpoint->address, n) ||
	       memcmp(address, endpoint->address, n) == 0;
}
