/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening sockets of a plan, made in the host's network namespace. Run by custody-broker
 * while it is still root and before it reads anything from the jail. The plan was checked.
 */
#ifndef CUSTODY_BROKER_ENDPOINT_H
#define CUSTODY_BROKER_ENDPOINT_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/plan.h"

/* Who may connect to a UNIX endpoint: owner and group of the file (root), nobody else. */
#define ENDPOINT_UNIX_MODE 0660

struct endpoint_set {
	int fd[CUSTODY_ENDPOINTS_MAX];		/* by index into plan.endpoints; -1: none */
	__u64 cookie[CUSTODY_ENDPOINTS_MAX];	/* SO_COOKIE of fd; 0: none */
	unsigned int n;				/* listening endpoints */
};

#define ENDPOINT_SET_EMPTY                                                                       \
	((struct endpoint_set){ .fd = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,  \
					-1, -1 } })
_Static_assert(CUSTODY_ENDPOINTS_MAX == 16, "ENDPOINT_SET_EMPTY names each fd");

/*
 * Makes, binds and (streams) listens on every endpoint of kind LISTEN. A port is held from here
 * on, and connections queue until the server accepts, as with socket activation.
 *
 * When both 0.0.0.0 and [::] are listed on one port and protocol, one dual-stack socket is both,
 * so that a server which binds only one of them is still reached by both families.
 *
 * Returns 0 with the set (the caller closes every fd), or -errno with ret_why (size bytes), a
 * text that names the endpoint, where the profile asks for it and what to do.
 */
int endpoint_open_all(const struct custody_plan *plan, struct endpoint_set *ret, char *ret_why,
		      size_t size);

/* Closes what is open. NULL-safe. */
void endpoint_close_all(struct endpoint_set *set);

#endif
