/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a model may reach out to: host names, addresses, and the addresses that stand for host
 * names inside the jail. Run by planner, custodyd, jail, broker and resolver. Pure.
 */
#ifndef CUSTODY_LIB_DESTINATION_H
#define CUSTODY_LIB_DESTINATION_H

#include <stdbool.h>

#include "custody/plan.h"

/*
 * A host name as RFC 1123 has it, in lower case, '_' allowed: labels of 1 to 63 of [a-z0-9_-]
 * that neither begin nor end with '-', joined by '.', at most PLAN_HOST_NAME_MAX bytes. Not a
 * number in the last label (an address is not a name), not what /etc/hosts of a jail gives away
 * already (localhost, custody).
 */
bool destination_check_host(const char *name);

/*
 * An address that a plan may name: not unspecified (0.0.0.0 reaches the host itself), multicast,
 * broadcast, IPv4 in IPv6 clothing, or a stand-in. family: PLAN_FAMILY_INET or _INET6.
 */
bool destination_check_address(__u16 family, const __u8 *address);

/*
 * An address that a host name may be resolved to. Besides the above not loopback and not
 * link-local (169.254.169.254 among them): whoever answers for a name must not be able to open
 * the host's own services by it. Who wants one of those lists the address.
 */
bool destination_check_resolved(__u16 family, const __u8 *address);

/* 127.128.0.0/16: PLAN_NAME_PREFIX_0. address has 4 bytes. */
bool destination_is_stand_in(const __u8 *address);

/*
 * The name endpoint of the plan that (stand-in address, port) means, or -1. The plan was checked.
 */
int destination_find_name(const struct custody_plan *plan, const __u8 *address, __u16 port);

/* The first endpoint with the same name as endpoint `index`, which is a name: its stand-in. */
__u32 destination_find_first(const struct custody_plan *plan, __u32 index);

#endif
