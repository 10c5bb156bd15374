/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections a jail's cgroups still have. Run by custodyd while it drains one. */
#ifndef CUSTODY_WARDEN_SOCKETS_H
#define CUSTODY_WARDEN_SOCKETS_H

#include <linux/types.h>

/*
 * Counts the TCP sockets of the two cgroups that carry a connection, IPv4 and IPv6, by
 * NETLINK_SOCK_DIAG in this network namespace. Returns 0, or -errno with *ret untouched.
 */
int sockets_count_connections(__u64 cgroup_model, __u64 cgroup_broker, __u32 *ret);

/*
 * Ends the TCP connections of the two cgroups that are in custodyd's network namespace: whoever
 * holds one gets ECONNABORTED, what waited to be sent is freed. 0; -EOPNOTSUPP when this kernel
 * cannot (CONFIG_INET_DIAG_DESTROY), or -errno.
 */
int sockets_destroy_connections(__u64 cgroup_model, __u64 cgroup_broker);

#endif
