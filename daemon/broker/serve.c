/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving loop. Run by custody-broker, confined: uid of the jail's block, no capabilities,
 * root at /proc. Trusts the kernel's notification; distrusts the caller's memory and timing.
 *
 * Order of one bind() (each line because of the one before):
 *   identity, socket, flags, address   read while the target may die or change under our hands
 *   NOTIF_ID_VALID                     all of it was read from the thread that is still waiting
 *   decide                             on our copy of the address
 *   ADDFD                              our socket, whatever the memory says by now; the kernel
 *                                      itself refuses when the target is gone (ENOENT)
 *   event, answer                      the process goes on only after its grant was reported
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "channel.h"
#include "cleanup.h"
#include "connect.h"
#include "log.h"
#include "message.h"
#include "report.h"
#include "target.h"

#if defined(__x86_64__)
#define SERVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SERVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this architecture's AUDIT_ARCH"
#endif

bool serve_is_valid(const struct broker *broker)
{
	const __u64 *id = &broker->request.notif.id;

	return ioctl(broker->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, id) == 0;
}

__u64 serve_read_clock(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static int serve_read_target(const struct broker *broker, struct target *target, void *address,
			     size_t *ret_len)
{
	const struct seccomp_data *data = &broker->request.notif.data;
	int len = (int)data->args[2];
	int r;

	target->tid = broker->request.notif.pid;
	target->fd_number = (int)data->args[0];
	r = target_read_identity(broker->proc, target);
	if (r == 0)
		r = target_copy_socket(broker->proc, target);
	if (r < 0)
		return r;
	if (len < 0 || len > ADDRESS_SIZE_MAX)
		return -EINVAL;
	r = target_read_memory(target, data->args[1], address, (size_t)len);
	if (r == 0)
		*ret_len = (size_t)len;
	return r;
}

/* bind() again on the socket that was granted (a signal restarts it): of the family asked for. */
static void serve_forgive_repeat(const struct broker *broker, const void *address, size_t len,
				 struct target *target)
{
	__u16 family;

	if (len < sizeof(family))
		return;
	memcpy(&family, address, sizeof(family));
	for (unsigned int i = 0; i < CUSTODY_ENDPOINTS_MAX; i++) {
		if (broker->endpoints.fd[i] >= 0 && broker->endpoints.cookie[i] == target->cookie &&
		    (family == AF_INET || family == AF_INET6)) {
			target->socket.domain = family;
			target->socket.v6only = false;
		}
	}
}

int serve_send(struct broker *broker)
{
	if (ioctl(broker->listener, SECCOMP_IOCTL_NOTIF_SEND, &broker->response) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

static void serve_decide(const struct broker *broker, struct target *target, const void *address,
			 size_t len, struct address_decision *ret)
{
	serve_forgive_repeat(broker, address, len, target);
	address_decide_bind(broker->plan, &target->socket, address, len, ret);
	/*
	 * A granted or accepted socket lives in the host's network namespace: it never continues
	 * there. This is the second lock; the cgroup plane, which sees the socket that the kernel
	 * really binds, is the first.
	 */
	if (ret->action == BROKER_CONTINUE && target->netns == broker->netns)
		address_deny(broker->plan, false, ret);
}

int serve_swap(const struct broker *broker, const struct target *target, int srcfd)
{
	struct seccomp_notif_addfd add = {
		.id = broker->request.notif.id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (__u32)srcfd,
		.newfd = (__u32)target->fd_number,
		.newfd_flags = target->cloexec ? O_CLOEXEC : 0,
	};

	return ioctl(broker->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}

/* Puts the endpoint's socket in the place of the target's. Returns 0 or -errno. */
static int serve_grant(const struct broker *broker, const struct target *target,
		       unsigned int endpoint)
{
	int r = target_carry_options(target, broker->endpoints.fd[endpoint]);

	if (r < 0)
		log_warning("jail %u: a socket option of the server was not carried over: %s, "
			    "ignoring", broker->jail_id, strerror(-r));
	return serve_swap(broker, target, broker->endpoints.fd[endpoint]);
}

/* What the kernel itself says of such a call; a read we may not do is a denial. */
static void serve_answer_unread(struct broker *broker, const struct target *target, int error)
{
	broker->response.resp.error = error == -EPERM || error == -ESRCH ? -EACCES : error;
	if (broker->response.resp.error == -EACCES)
		log_error("jail %u: cannot read thread %u: %s; its call is denied",
			  broker->jail_id, target->tid, strerror(-error));
}

int serve_take_target(struct broker *broker, struct target *target, void *address, size_t *ret_len)
{
	int r = serve_read_target(broker, target, address, ret_len);

	if (!serve_is_valid(broker))
		return -ENOENT;
	if (r == 0)
		return 0;
	serve_answer_unread(broker, target, r);
	return SERVE_ANSWERED;
}

/*
 * One bind(). Returns 0 with the answer in *response, or -ENOENT when the target is gone and
 * there is nothing to answer.
 */
static int serve_answer_bind(struct broker *broker)
{
	cleanup_target struct target target = { .fd = -1 };
	struct address_decision decision;
	_Alignas(8) unsigned char address[ADDRESS_SIZE_MAX] = { 0 };
	size_t len = 0;
	int r = serve_take_target(broker, &target, address, &len);

	if (r != 0)
		return r < 0 ? r : 0;
	serve_decide(broker, &target, address, len, &decision);
	if (decision.action == BROKER_GRANT) {
		r = serve_grant(broker, &target, decision.endpoint);
		if (r == -ENOENT)
			return r;
		if (r < 0) {
			address_deny(broker->plan, false, &decision);
			log_error("jail %u: grant of endpoint %u: %s", broker->jail_id,
				  decision.endpoint, strerror(-r));
		}
	}
	broker->response.resp.error = decision.error;
	if (decision.action == BROKER_CONTINUE)
		broker->response.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	report_decision(broker, &target, &decision);
	return 0;
}

/* One notification. -errno only when the listener itself is of no more use. */
static int serve_answer(struct broker *broker)
{
	const struct seccomp_data *data = &broker->request.notif.data;
	int r = 0;

	/* The kernel refuses a buffer that is not zeroed. */
	memset(&broker->request, 0, sizeof(broker->request));
	memset(&broker->response, 0, sizeof(broker->response));
	if (ioctl(broker->listener, SECCOMP_IOCTL_NOTIF_RECV, &broker->request) < 0)
		return errno == ENOENT || errno == EINTR ? 0 : -errno;
	broker->response.resp.id = broker->request.notif.id;
	if (data->arch == SERVE_ARCH && data->nr == SYS_connect)
		return connect_answer(broker);
	if (data->arch != SERVE_ARCH || data->nr != SYS_bind)
		broker->response.resp.error = -EACCES;
	else
		r = serve_answer_bind(broker);
	return r < 0 ? 0 : serve_send(broker);
}

static int serve_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int r;

	do {
		r = poll(fds, n, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* A seccomp listener knows no notification 0; anything else does not know the question. */
static int serve_check_listener(int fd)
{
	__u64 id = 0;

	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0 || errno != ENOENT)
		return -EPROTO;
	return 0;
}

int serve_take_listener(struct broker *broker)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer message;
	int r;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = broker->jail, .events = POLLIN },
			{ .fd = broker->channel, .events = 0 },
			{ .fd = broker->log.pipe, .events = POLLIN },
		};

		r = serve_poll(p, ARRAY_SIZE(p), -1);
		if (r < 0)
			return r;
		if (p[2].revents)
			(void)logpump_move(&broker->log);
		if (p[0].revents)
			break;
		if (p[1].revents)
			return -ENODATA;
	}
	r = message_recv(broker->jail, ROLE_BROKER, ROLE_JAIL, MSG_BIT(MSG_BROKER_LISTENER),
			 &message, &fds);
	cleanup_close_fd(&broker->jail);
	/* A jail that may bind nothing has no listener to give: only its output is left to do. */
	if (r == -ENODATA && broker->endpoints.n == 0)
		return 0;
	if (r < 0)
		return r;
	r = serve_check_listener(fds.fd[0]);
	if (r < 0)
		return r;
	broker->listener = TAKE_FD(fds.fd[0]);
	return 0;
}

/* How long nothing need be looked at, ms; -1: for ever. */
static int serve_find_timeout(const struct broker *broker)
{
	int timeout = connect_find_timeout(broker);

	if (broker->event_held && (timeout < 0 || timeout > REPORT_HOLD_MS))
		timeout = REPORT_HOLD_MS;
	return timeout;
}

int serve_run(struct broker *broker)
{
	while (broker->listener >= 0 || broker->log.pipe >= 0) {
		struct pollfd p[] = {
			{ .fd = broker->listener, .events = POLLIN },
			{ .fd = broker->log.pipe, .events = POLLIN },
			{ .fd = broker->channel, .events = POLLIN },
			{ .fd = broker->rejoin, .events = POLLIN },
		};
		int r = serve_poll(p, ARRAY_SIZE(p), serve_find_timeout(broker));

		if (r < 0)
			return r;
		report_held(broker, false);
		/* The old custodyd's end comes before the new one: only who has none takes one. */
		if (p[2].revents)
			channel_read(broker);
		if (p[3].revents)
			channel_rejoin(broker);
		if (p[1].revents)
			(void)logpump_move(&broker->log);
		connect_retry(broker);
		if (p[0].revents & POLLIN) {
			r = serve_answer(broker);
			if (r < 0)
				return r;
		} else if (p[0].revents) {
			/* No process under the filter is left: the endpoints go with it. */
			cleanup_close_fd(&broker->listener);
			endpoint_close_all(&broker->endpoints);
		}
	}
	report_held(broker, true);
	return 0;
}
