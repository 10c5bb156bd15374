/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections out of the jail. Run by custody-broker, confined. Trusts the plan and custodyd;
 * the calling thread's memory, fds and timing are the model's. See connect.h.
 */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "cleanup.h"
#include "destination.h"
#include "log.h"
#include "message.h"
#include "plan.h"
#include "report.h"
#include "target.h"

#define CONNECT_S 1000000000ULL
#define CONNECT_WAITS 1		/* connect_try(): kept, no answer yet */

/* An address to connect to, as the kernel takes it. */
struct connect_address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
	socklen_t len;
};

int connect_open_outside(const struct custody_plan *plan, int outside[CUSTODY_ENDPOINTS_MAX],
			 char *ret_why, size_t size)
{
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *e = &plan->endpoints[i];
		const char *path = plan_string(plan, e->path);
		char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
		int n;

		if (e->kind != PLAN_ENDPOINT_EGRESS || e->family != PLAN_FAMILY_UNIX)
			continue;
		n = (int)(strrchr(path, '/') - path);
		(void)snprintf(directory, sizeof(directory), "%.*s", n > 0 ? n : 1, path);
		outside[i] = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (outside[i] >= 0)
			continue;
		n = -errno;
		(void)snprintf(ret_why, size, "destination unix:%s (%s): %s: %s; make it first",
			       path, plan_string(plan, e->origin), directory, strerror(-n));
		return n;
	}
	return 0;
}

static void connect_fill_inet(__u16 family, const __u8 *address, __u16 port, bool six,
			      struct connect_address *ret)
{
	*ret = (struct connect_address){ 0 };
	if (family == PLAN_FAMILY_INET && !six) {
		ret->u.in.sin_family = AF_INET;
		ret->u.in.sin_port = htons(port);
		memcpy(&ret->u.in.sin_addr, address, 4);
		ret->len = sizeof(ret->u.in);
		return;
	}
	ret->u.in6.sin6_family = AF_INET6;
	ret->u.in6.sin6_port = htons(port);
	if (family == PLAN_FAMILY_INET) {
		ret->u.in6.sin6_addr.s6_addr[10] = 0xff;
		ret->u.in6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&ret->u.in6.sin6_addr.s6_addr[12], address, 4);
	} else {
		memcpy(&ret->u.in6.sin6_addr, address, 16);
	}
	ret->len = sizeof(ret->u.in6);
}

/* Through the directory's fd: our root is /proc, and /self/fd/N leads out of it. */
static int connect_fill_unix(const struct broker *broker, unsigned int index,
			     struct connect_address *ret)
{
	const char *path = plan_string(broker->plan, broker->plan->endpoints[index].path);
	int n;

	*ret = (struct connect_address){ .u.un.sun_family = AF_UNIX, .len = sizeof(ret->u.un) };
	n = snprintf(ret->u.un.sun_path, sizeof(ret->u.un.sun_path), "/self/fd/%d%s",
		     broker->outside[index], strrchr(path, '/'));
	return n < 0 || (size_t)n >= sizeof(ret->u.un.sun_path) ? -ENAMETOOLONG : 0;
}

/*
 * A socket like the target's that is connected, or, when it returns -EINPROGRESS, connecting to
 * the address. Other errors leave *ret_fd closed.
 */
static int connect_begin(const struct broker *broker, const struct target *target,
			 const struct connect_address *to, int *ret_fd)
{
	cleanup_fd int fd = socket(to->u.any.sa_family, target->socket.type | SOCK_CLOEXEC,
				   target->socket.protocol);
	int flags;
	int r;

	if (fd < 0)
		return -errno;
	r = target_carry_options(target, fd);
	if (r < 0)
		log_warning("jail %u: a socket option of the model was not carried over: %s, "
			    "ignoring", broker->jail_id, strerror(-r));
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	r = connect(fd, &to->u.any, to->len) < 0 ? -errno : 0;
	if (r < 0 && r != -EINPROGRESS)
		return r;
	if (fcntl(fd, F_SETFL, flags) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return r;
}

/* One attempt for each address of the name until one is under way; the next call begins later. */
static int connect_begin_name(struct broker *broker, const struct target *target,
			      struct broker_name *name, __u16 port, int *ret_fd)
{
	int r = -EHOSTUNREACH;

	for (__u32 i = 0; i < name->n; i++) {
		const struct resolved_address *a = &name->addresses[name->next++ % name->n];
		struct connect_address to;

		connect_fill_inet(a->family, a->address, port,
				  target->socket.domain == AF_INET6, &to);
		r = connect_begin(broker, target, &to, ret_fd);
		if (r == 0 || r == -EINPROGRESS)
			return r;
	}
	return r;
}

static int connect_begin_endpoint(struct broker *broker, const struct target *target,
				  unsigned int index, int *ret_fd)
{
	const struct plan_endpoint *e = &broker->plan->endpoints[index];
	struct connect_address to;
	int r = 0;

	if (e->family == PLAN_FAMILY_NAME)
		return connect_begin_name(
			broker, target, &broker->names[destination_find_first(broker->plan, index)],
			e->port, ret_fd);
	if (e->family == PLAN_FAMILY_UNIX)
		r = connect_fill_unix(broker, index, &to);
	else
		connect_fill_inet(e->family, e->address, e->port,
				  target->socket.domain == AF_INET6, &to);
	return r < 0 ? r : connect_begin(broker, target, &to, ret_fd);
}

static bool connect_is_blocking(const struct target *target)
{
	int flags = fcntl(target->fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK);
}

/* ---- names ---- */

static void connect_ask(struct broker *broker, __u32 first)
{
	struct broker_resolve message = { .endpoint = first };

	if (broker->channel < 0 || broker->names[first].asked)
		return;
	if (MESSAGE_SEND(broker->channel, ROLE_BROKER, BROKER_RESOLVE, 0, &message) == 0)
		broker->names[first].asked = true;
}

/* 0: the endpoint has addresses, or needs none; CONNECT_WAITS; or the error of its resolution. */
static int connect_find_addresses(struct broker *broker, unsigned int index)
{
	__u32 first;
	struct broker_name *name;

	if (broker->plan->endpoints[index].family != PLAN_FAMILY_NAME)
		return 0;
	first = destination_find_first(broker->plan, index);
	name = &broker->names[first];
	if (name->n > 0)
		return 0;
	if (name->error < 0 && serve_read_clock() < name->retry_ns)
		return name->error;
	connect_ask(broker, first);
	return CONNECT_WAITS;
}

/* ---- waiting calls ---- */

/*
 * Keeps broker->request. 0, -EAGAIN when too many wait, -EHOSTUNREACH when none may. A call that
 * waited keeps its end.
 */
static int connect_keep(struct broker *broker, int name, __u64 end_ns)
{
	if (broker->holds)
		return -EHOSTUNREACH;
	for (unsigned int i = 0; i < BROKER_WAITS_MAX; i++) {
		struct broker_wait *wait = &broker->waits[i];

		if (wait->end_ns != 0)
			continue;
		wait->notif = broker->request.notif;
		wait->end_ns = end_ns != 0 ? end_ns
					   : serve_read_clock() + CONNECT_WAIT_S * CONNECT_S;
		wait->name = name;
		return 0;
	}
	return -EAGAIN;
}

/* ---- one call ---- */

/* A TCP socket of the host's namespace that is more than made: the kernel knows what to say. */
static bool connect_is_begun(const struct broker *broker, const struct target *target)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return target->netns == broker->netns && target->socket.protocol == IPPROTO_TCP &&
	       getsockopt(target->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state != TCP_CLOSE;
}

static void connect_decide(const struct broker *broker, const struct target *target,
			   const void *address, size_t len, struct address_decision *ret)
{
	address_decide_connect(broker->plan, &target->socket, address, len, ret);
	if (connect_is_begun(broker, target)) {
		*ret = (struct address_decision){ .action = BROKER_CONTINUE };
		return;
	}
	/* C4 undoes an association, and reaches nothing. The rest never goes on in the host's. */
	if (ret->action == BROKER_CONTINUE && target->netns == broker->netns &&
	    (ret->family != 0 || target->socket.domain == AF_UNIX))
		address_deny(broker->plan, true, ret);
}

/* The listed destination. Returns 0 with the answer in *response, CONNECT_WAITS, or -ENOENT. */
static int connect_grant(struct broker *broker, const struct target *target, __u64 end_ns,
			 struct address_decision *decision)
{
	const bool blocking = connect_is_blocking(target);
	cleanup_fd int fd = -1;
	int name = (int)decision->endpoint;
	int r = connect_find_addresses(broker, decision->endpoint);
	int begun;

	if (r == 0) {
		r = connect_begin_endpoint(broker, target, decision->endpoint, &fd);
		name = -1;
	}
	begun = r;
	/* The backlog of a UNIX socket is full: a blocking call waits. */
	if (r == CONNECT_WAITS || (r == -EAGAIN && blocking)) {
		r = connect_keep(broker, name, end_ns);
		if (r == 0)
			return CONNECT_WAITS;
	}
	if (r == -EPERM) {
		log_error("jail %u: the kernel's policy refuses destination %u, which is listed",
			  broker->jail_id, decision->endpoint);
		address_deny(broker->plan, true, decision);
		return 0;
	}
	if (fd >= 0) {
		r = serve_swap(broker, target, fd);
		if (r == -ENOENT)
			return r;
		if (r == 0)
			r = begun;
	}
	if (r == -EINPROGRESS && blocking)
		broker->response.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		broker->response.resp.error = r;
	return 0;
}

static bool connect_has_begun(const struct broker *broker)
{
	return (broker->response.resp.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE) ||
	       broker->response.resp.error == 0 || broker->response.resp.error == -EINPROGRESS;
}

/* Answers broker->request. 0, CONNECT_WAITS, or -ENOENT when there is nobody to answer. */
static int connect_try(struct broker *broker, __u64 end_ns)
{
	cleanup_target struct target target = { .fd = -1 };
	_Alignas(8) unsigned char address[ADDRESS_SIZE_MAX] = { 0 };
	struct address_decision decision;
	size_t len = 0;
	int r = serve_take_target(broker, &target, address, &len);

	if (r != 0)
		return r < 0 ? r : 0;
	connect_decide(broker, &target, address, len, &decision);
	if (decision.action == BROKER_GRANT) {
		r = connect_grant(broker, &target, end_ns, &decision);
		if (r != 0)
			return r;
	}
	if (decision.action == BROKER_CONTINUE)
		broker->response.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (decision.action == BROKER_DENY)
		broker->response.resp.error = decision.error;
	/* A connection that did not even begin is none. */
	if (decision.action != BROKER_GRANT || connect_has_begun(broker))
		report_connect(broker, &target, &decision);
	return 0;
}

int connect_answer(struct broker *broker)
{
	int r = connect_try(broker, 0);

	return r != 0 ? 0 : serve_send(broker);
}

/* Takes a waiting call up again, or ends it when its time is over. */
static void connect_resume(struct broker *broker, struct broker_wait *wait)
{
	const __u64 end_ns = wait->end_ns;

	wait->end_ns = 0;
	memset(&broker->request, 0, sizeof(broker->request));
	memset(&broker->response, 0, sizeof(broker->response));
	broker->request.notif = wait->notif;
	broker->response.resp.id = wait->notif.id;
	if (!serve_is_valid(broker))
		return;
	if (broker->holds || serve_read_clock() >= end_ns)
		broker->response.resp.error = -EHOSTUNREACH;
	else if (connect_try(broker, end_ns) != 0)
		return;
	(void)serve_send(broker);
}

static bool connect_is_due(const struct broker *broker, const struct broker_wait *wait)
{
	return wait->name < 0 || serve_read_clock() >= wait->end_ns ||
	       ioctl(broker->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &wait->notif.id) != 0;
}

void connect_retry(struct broker *broker)
{
	for (unsigned int i = 0; i < BROKER_WAITS_MAX; i++) {
		if (broker->waits[i].end_ns != 0 && connect_is_due(broker, &broker->waits[i]))
			connect_resume(broker, &broker->waits[i]);
	}
}

int connect_find_timeout(const struct broker *broker)
{
	int timeout = -1;

	for (unsigned int i = 0; i < BROKER_WAITS_MAX; i++) {
		if (broker->waits[i].end_ns == 0)
			continue;
		if (broker->waits[i].name < 0)
			return CONNECT_RETRY_MS;
		timeout = CONNECT_LOOK_MS;
	}
	return timeout;
}

void connect_hold(struct broker *broker, bool hold)
{
	broker->holds = hold;
	for (unsigned int i = 0; hold && i < BROKER_WAITS_MAX; i++) {
		if (broker->waits[i].end_ns != 0)
			connect_resume(broker, &broker->waits[i]);
	}
}

void connect_take_name(struct broker *broker, const struct broker_resolved *said)
{
	struct broker_name *name;

	if (said->endpoint >= broker->plan->n_endpoints || said->n > CUSTODY_ADDRESSES_MAX ||
	    !broker->names[said->endpoint].asked)
		return;
	name = &broker->names[said->endpoint];
	name->asked = false;
	/* What it was is in the ledger; connect(2) has this one for a host not reached. */
	name->error = said->n > 0 ? 0 : -EHOSTUNREACH;
	name->retry_ns = serve_read_clock() + CONNECT_FAIL_S * CONNECT_S;
	name->n = said->n;
	memcpy(name->addresses, said->addresses, sizeof(name->addresses));
	for (unsigned int i = 0; i < BROKER_WAITS_MAX; i++) {
		struct broker_wait *wait = &broker->waits[i];

		if (wait->end_ns != 0 && wait->name >= 0 &&
		    destination_find_first(broker->plan, (__u32)wait->name) == said->endpoint)
			connect_resume(broker, wait);
	}
}

void connect_forget_asked(struct broker *broker)
{
	for (unsigned int i = 0; i < CUSTODY_ENDPOINTS_MAX; i++)
		broker->names[i].asked = false;
}

void connect_ask_again(struct broker *broker)
{
	for (unsigned int i = 0; i < BROKER_WAITS_MAX; i++) {
		const struct broker_wait *wait = &broker->waits[i];

		if (wait->end_ns != 0 && wait->name >= 0)
			connect_ask(broker, destination_find_first(broker->plan,
								   (__u32)wait->name));
	}
}
