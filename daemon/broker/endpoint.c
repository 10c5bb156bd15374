/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the listening sockets of a plan. Run by custody-broker as root in the host's network
 * namespace and in the cgroup <jail>/broker, so that every byte of them is counted there.
 * Trusts the checked plan; the file system around a UNIX path is the operator's.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "cleanup.h"
#include "plan.h"

#define ENDPOINT_BACKLOG SOMAXCONN

void endpoint_close_all(struct endpoint_set *set)
{
	if (!set)
		return;
	for (unsigned int i = 0; i < CUSTODY_ENDPOINTS_MAX; i++)
		cleanup_close_fd(&set->fd[i]);
	set->n = 0;
}

static int endpoint_set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static bool endpoint_is_any(const struct plan_endpoint *e, __u16 family)
{
	return e->kind == PLAN_ENDPOINT_LISTEN && e->family == family &&
	       address_is_wildcard(family, e->address);
}

/* The wildcard endpoint of the other family on the same port and protocol, or -1. */
static int endpoint_find_twin(const struct custody_plan *plan, const struct plan_endpoint *e)
{
	__u16 other = e->family == PLAN_FAMILY_INET ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET;

	if (e->family == PLAN_FAMILY_UNIX || !endpoint_is_any(e, e->family))
		return -1;
	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *o = &plan->endpoints[i];

		if (endpoint_is_any(o, other) && o->port == e->port && o->protocol == e->protocol)
			return (int)i;
	}
	return -1;
}

static int endpoint_bind_inet(int fd, const struct plan_endpoint *e)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(e->port) };

	memcpy(&in.sin_addr, e->address, 4);
	return bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ? -errno : 0;
}

static int endpoint_bind_inet6(int fd, const struct plan_endpoint *e)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };

	memcpy(&in6.sin6_addr, e->address, 16);
	return bind(fd, (struct sockaddr *)&in6, sizeof(in6)) < 0 ? -errno : 0;
}

/* TCP or UDP. SO_REUSEADDR only for TCP: over TIME_WAIT, never over another listener. */
static int endpoint_open_inet(const struct custody_plan *plan, const struct plan_endpoint *e,
			      int *ret)
{
	bool v6 = e->family == PLAN_FAMILY_INET6;
	bool stream = e->protocol == IPPROTO_TCP;
	cleanup_fd int fd = socket(v6 ? AF_INET6 : AF_INET,
				   (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, e->protocol);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (stream)
		r = endpoint_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && v6)
		r = endpoint_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY,
				     endpoint_find_twin(plan, e) < 0 ? 1 : 0);
	if (r == 0)
		r = v6 ? endpoint_bind_inet6(fd, e) : endpoint_bind_inet(fd, e);
	if (r == 0 && stream && listen(fd, ENDPOINT_BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

/* Removes a socket file that nobody serves. Returns 0, -EADDRINUSE when it is served, -errno. */
static int endpoint_remove_stale(const struct sockaddr_un *un)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (lstat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(un->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int endpoint_open_unix(const struct custody_plan *plan, const struct plan_endpoint *e,
			      int *ret)
{
	const char *path = plan_string(plan, e->path);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path) + 1);
	r = endpoint_remove_stale(&un);
	if (r < 0)
		return r;
	/* The mode is right from the first moment: nobody else connects before a chmod. */
	mask = umask(0777 & ~ENDPOINT_UNIX_MODE);
	r = bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, ENDPOINT_BACKLOG) < 0) {
		r = -errno;
		(void)unlink(un.sun_path);
		return r;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

/* What an operator can do about it. */
static const char *endpoint_find_remedy(const struct plan_endpoint *e, int error)
{
	bool is_unix = e->family == PLAN_FAMILY_UNIX;

	switch (error) {
	case -EADDRINUSE:
		return is_unix ? "another process serves it (see: ss -xlp): stop that or change "
				 "the path" :
				 "another process holds the port (see: ss -tulnp): stop that or "
				 "change the port";
	case -EADDRNOTAVAIL:
		return "no interface of this host has that address (see: ip addr)";
	case -EPERM:
		return "the kernel policy of this jail does not grant it: the policy maps and the "
		       "plan differ";
	case -EEXIST:
		return "the path exists and is no socket; remove it or change the path";
	case -ENOENT:
		return "its directory does not exist; make it first";
	case -EAFNOSUPPORT:
		return "this kernel has no such address family";
	default:
		return "see the error";
	}
}

static int endpoint_open_one(const struct custody_plan *plan, unsigned int i,
			     struct endpoint_set *set)
{
	const struct plan_endpoint *e = &plan->endpoints[i];
	socklen_t size = sizeof(set->cookie[i]);
	int twin = e->family == PLAN_FAMILY_INET ? endpoint_find_twin(plan, e) : -1;
	int r = 0;

	if (e->family == PLAN_FAMILY_UNIX) {
		r = endpoint_open_unix(plan, e, &set->fd[i]);
	} else if (twin >= 0) {
		set->fd[i] = fcntl(set->fd[twin], F_DUPFD_CLOEXEC, 0);
		r = set->fd[i] < 0 ? -errno : 0;
	} else {
		r = endpoint_open_inet(plan, e, &set->fd[i]);
	}
	if (r < 0)
		return r;
	if (getsockopt(set->fd[i], SOL_SOCKET, SO_COOKIE, &set->cookie[i], &size) < 0)
		return -errno;
	set->n++;
	return 0;
}

/* A refused launch leaves no socket file behind. */
static void endpoint_unlink_all(const struct custody_plan *plan, const struct endpoint_set *set)
{
	for (unsigned int i = 0; i < plan->n_endpoints; i++) {
		if (set->fd[i] >= 0 && plan->endpoints[i].family == PLAN_FAMILY_UNIX)
			(void)unlink(plan_string(plan, plan->endpoints[i].path));
	}
}

int endpoint_open_all(const struct custody_plan *plan, struct endpoint_set *ret, char *ret_why,
		      size_t size)
{
	__attribute__((cleanup(endpoint_close_all))) struct endpoint_set set = ENDPOINT_SET_EMPTY;

	/* IPv6 first: an IPv4 wildcard may be the same socket as its twin. */
	for (unsigned int pass = 0; pass < 2; pass++) {
		for (unsigned int i = 0; i < plan->n_endpoints; i++) {
			const struct plan_endpoint *e = &plan->endpoints[i];
			char name[160];
			int r;

			if (e->kind != PLAN_ENDPOINT_LISTEN ||
			    (e->family == PLAN_FAMILY_INET6) != (pass == 0))
				continue;
			r = endpoint_open_one(plan, i, &set);
			if (r == 0)
				continue;
			endpoint_unlink_all(plan, &set);
			address_print_endpoint(plan, e, name, sizeof(name));
			(void)snprintf(ret_why, size, "endpoint %s (%s): %s: %s", name,
				       plan_string(plan, e->origin), strerror(-r),
				       endpoint_find_remedy(e, r));
			return r;
		}
	}
	*ret = set;
	set = ENDPOINT_SET_EMPTY;
	return 0;
}
