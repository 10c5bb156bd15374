/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed messages over SOCK_SEQPACKET. Run by every role. Trusts nothing that arrives: type,
 * size, sender, fd count and NUL termination are checked against the one table before a caller
 * sees a byte.
 */
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message_row {
	const char *name;
	size_t size;
	__u32 from;
	__u32 to;
	unsigned int fds;
};

static const struct message_row message_rows[_MSG_MAX] = {
#define MESSAGE_ROW(type, body, from_, to_, fds_) \
	[MSG_##type] = { #type, sizeof(struct body), from_, to_, fds_ },
	CUSTODY_MESSAGES(MESSAGE_ROW)
#undef MESSAGE_ROW
};

#define MESSAGE_ASSERT(type, body, from_, to_, fds_)                                        \
	_Static_assert(sizeof(struct body) <= CUSTODY_MESSAGE_MAX, #body " fits a packet"); \
	_Static_assert(sizeof(struct body) % 8 == 0, #body " has no tail padding");         \
	_Static_assert((fds_) <= CUSTODY_FDS_MAX, #body " fds fit");
CUSTODY_MESSAGES(MESSAGE_ASSERT)
#undef MESSAGE_ASSERT

/* Text fields that must hold a NUL; `count` of them, `stride` bytes apart. */
struct message_text {
	__u32 type;
	size_t off;
	size_t size;
	size_t count;
	size_t stride;
};

#define MEMBER(body, field) (((struct body *)0)->field)
#define TEXT(type, body, field) \
	{ MSG_##type, offsetof(struct body, field), sizeof(MEMBER(body, field)), 1, 0 }
/* One field of every element of an array: all of them, whatever count the message claims. */
#define TEXTS(type, body, array, field)                                                     \
	{ MSG_##type, offsetof(struct body, array[0].field),                                \
	  sizeof(MEMBER(body, array[0].field)),                                             \
	  sizeof(MEMBER(body, array)) / sizeof(MEMBER(body, array[0])),                     \
	  sizeof(MEMBER(body, array[0])) }

/* Every text of a struct model_version. */
#define MODEL_TEXTS(type, body, field)                                                      \
	TEXT(type, body, field.name), TEXT(type, body, field.profile),                      \
	TEXT(type, body, field.directory), TEXT(type, body, field.signature),               \
	TEXT(type, body, field.card), TEXT(type, body, field.fingerprints),                 \
	TEXT(type, body, field.signer), TEXT(type, body, field.registered.why),             \
	TEXT(type, body, field.served.why), TEXT(type, body, field.retired.why),            \
	TEXT(type, body, field.revoked.why)

static const struct message_text message_texts[] = {
	TEXT(REQUEST_START, request_start, name),
	TEXT(REQUEST_START, request_start, profile),
	TEXT(REQUEST_START, request_start, model),
	TEXT(REQUEST_RUN, request_run, name),
	TEXT(REQUEST_RUN, request_run, profile),
	TEXT(REQUEST_RUN, request_run, model),
	TEXT(REQUEST_NAME, request_name, name),
	TEXT(REQUEST_RESTRICT, request_restrict, name),
	TEXT(REPLY_ROW, reply_row, name),
	TEXT(REPLY_ROW, reply_row, profile),
	TEXTS(REPLY_ROW, reply_row, endpoints, path),
	TEXT(REPLY_COUNTER, reply_counter, label),
	TEXT(REPLY_STEP, reply_step, text),
	TEXT(REPLY_DONE, reply_done, text),
	TEXT(PLAN_REQUEST, plan_request, name),
	TEXT(PLAN_REQUEST, plan_request, profile),
	TEXT(PLAN_REQUEST, plan_request, model),
	TEXT(PLAN_REQUEST, plan_request, signature),
	TEXT(REFUSED, refused, text),
	TEXTS(JAIL_BUILT, jail_built, zones, target),
	TEXT(RECORDER_SETUP, recorder_setup, origin),
	TEXT(RECORD_LAUNCH, record_launch, launch.name),
	TEXT(RECORD_LAUNCH, record_launch, launch.profile),
	TEXT(RECORD_STATE, record_state, state.why),
	TEXT(RECORD_FACT, record_fact, fact.fact.detail),
	TEXT(RECORD_RETIRE, record_retire, retire.name),
	TEXT(RECORD_RETIRE, record_retire, retire.profile),
	TEXT(RETIRED, retired, evidence),
	TEXT(RETIRED, retired, text),
	TEXTS(SWEEP_REQUEST, sweep_request, endpoints, path),
	TEXT(SWEEP_REQUEST, sweep_request, cgroup),
	TEXT(SWEEP_REQUEST, sweep_request, model),
	TEXT(SWEEP_FACT, sweep_fact, fact.detail),
	TEXTS(HOST_SETTINGS, host_settings, readers, path),
	TEXT(RESOLVE_REQUEST, resolve_request, name),
	TEXT(REPLY_ROW, reply_row, measured.name),
	TEXT(REPLY_ROW, reply_row, measured.signer),
	TEXT(REPLY_ROW, reply_row, measured.why),
	TEXT(MEASURED, measured, measured.name),
	TEXT(MEASURED, measured, measured.signer),
	TEXT(MEASURED, measured, measured.why),
	TEXT(RECORD_MEASURED, record_measured, measured.name),
	TEXT(RECORD_MEASURED, record_measured, measured.signer),
	TEXT(RECORD_MEASURED, record_measured, measured.why),
	TEXT(RECORD_CHECKED, record_checked, check.name),
	TEXT(RECORD_CHECKED, record_checked, check.command),
	TEXT(RECORD_CHECKED, record_checked, check.output),
	TEXT(RECORD_CHECKED, record_checked, check.why),
	TEXT(REPLY_CHECKED, reply_checked, check.name),
	TEXT(REPLY_CHECKED, reply_checked, check.command),
	TEXT(REPLY_CHECKED, reply_checked, check.output),
	TEXT(REPLY_CHECKED, reply_checked, check.why),
	TEXT(REQUEST_MODEL, request_model, name),
	TEXT(REQUEST_MODEL, request_model, profile),
	TEXT(REQUEST_MODEL, request_model, directory),
	TEXT(REQUEST_MODEL, request_model, signature),
	TEXT(REQUEST_MODEL, request_model, card),
	TEXT(REQUEST_MODEL, request_model, why),
	MODEL_TEXTS(REPLY_MODEL, reply_model, model),
	TEXT(REGISTRY_REQUEST, registry_request, mark.why),
	MODEL_TEXTS(REGISTRY_REQUEST, registry_request, add),
	MODEL_TEXTS(REGISTRY_ROW, registry_row, model),
	MODEL_TEXTS(REGISTRY_ANSWER, registry_answer, model),
	MODEL_TEXTS(REGISTRY_TEXT, registry_text, model),
	TEXT(RECORD_MODEL, record_model, model.name),
	TEXT(RECORD_MODEL, record_model, model.profile),
	TEXT(RECORD_MODEL, record_model, model.why),
};

void message_close_fds(struct message_fds *fds)
{
	if (!fds)
		return;
	for (unsigned int i = 0; i < CUSTODY_FDS_MAX; i++) {
		if (fds->fd[i] >= 0)
			(void)close(fds->fd[i]);
		fds->fd[i] = -1;
	}
	fds->n = 0;
}

static const struct message_row *message_find_row(__u32 type)
{
	if (type == MSG_NONE || type >= _MSG_MAX)
		return NULL;
	return &message_rows[type];
}

const char *message_type_name(__u32 type)
{
	const struct message_row *row = message_find_row(type);

	return row ? row->name : "unknown";
}

int message_send(int fd, enum custody_role self, __u32 type, __u64 id, void *body, size_t size,
		 const int *fds, unsigned int n_fds)
{
	const struct message_row *row = message_find_row(type);
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * CUSTODY_FDS_MAX)];
	} control = { 0 };
	struct iovec iov = { .iov_base = body, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct message_head *head = body;
	ssize_t n;

	if (!row || row->size != size || !(row->from & (__u32)self) || row->fds != n_fds)
		return -EINVAL;
	head->type = type;
	head->size = (__u32)size;
	head->id = id;
	if (n_fds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* Takes every fd out of the control data, so that none can leak whatever else is wrong. */
static int message_collect_fds(struct msghdr *msg, struct message_fds *ret)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			r = -EPROTO;
			continue;
		}
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret->n < CUSTODY_FDS_MAX) {
				ret->fd[ret->n++] = fd;
			} else {
				(void)close(fd);
				r = -EPROTO;
			}
		}
	}
	return r;
}

static bool message_check_text(const char *bytes, const struct message_text *text)
{
	for (size_t i = 0; i < text->count; i++) {
		if (!memchr(bytes + text->off + i * text->stride, '\0', text->size))
			return false;
	}
	return true;
}

/* The whole acceptance rule, pure: is this packet one that `self` may take from `from` now? */
static int message_check(const union message_buffer *buf, size_t size, unsigned int n_fds,
			 enum custody_role self, enum custody_role from, __u64 permit)
{
	const struct message_row *row;
	const char *bytes = (const char *)buf;

	if (size < sizeof(buf->head))
		return -EPROTO;
	row = message_find_row(buf->head.type);
	if (!row || row->size != size || buf->head.size != size || row->fds != n_fds)
		return -EPROTO;
	if (!(row->from & (__u32)from) || !(row->to & (__u32)self))
		return -EPROTO;
	if (!(permit & MSG_BIT(buf->head.type)))
		return -EPROTO;
	for (size_t i = 0; i < sizeof(message_texts) / sizeof(message_texts[0]); i++) {
		const struct message_text *t = &message_texts[i];

		if (t->type == buf->head.type && !message_check_text(bytes, t))
			return -EPROTO;
	}
	return 0;
}

/*
 * A peer that closed with packets of ours unread leaves ECONNRESET on the socket, and the kernel
 * reports that before what the peer had still sent (net/core/datagram.c, sock_error() first, which
 * also clears it). Asking again gives the peer's last words, or the end.
 */
static ssize_t message_recv_packet(int fd, struct msghdr *msg)
{
	bool reset = false;

	for (;;) {
		ssize_t n = recvmsg(fd, msg, MSG_CMSG_CLOEXEC);

		if (n >= 0)
			return n;
		if (errno == ECONNRESET && !reset)
			reset = true;
		else if (errno != EINTR)
			return -errno;
	}
}

int message_recv(int fd, enum custody_role self, enum custody_role from, __u64 permit,
		 union message_buffer *buf, struct message_fds *fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * CUSTODY_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(*buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	cleanup_message_fds struct message_fds got = MESSAGE_FDS_EMPTY;
	ssize_t n;
	int r;

	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	n = message_recv_packet(fd, &msg);
	if (n < 0)
		return n == -ECONNRESET ? -ENODATA : (int)n;
	r = message_collect_fds(&msg, &got);
	if (n == 0 && got.n == 0 && !(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return -ENODATA;
	if (r < 0 || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return -EPROTO;
	r = message_check(buf, (size_t)n, got.n, self, from, permit);
	if (r < 0)
		return r;
	if (got.n > 0 && !fds)
		return -EPROTO;
	if (fds) {
		*fds = got;
		got = MESSAGE_FDS_EMPTY;
	}
	return 0;
}

int message_recv_timeout(int fd, enum custody_role self, enum custody_role from, __u64 permit,
			 union message_buffer *buf, struct message_fds *fds, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return message_recv(fd, self, from, permit, buf, fds);
}

int message_send_refused(int fd, enum custody_role self, __u64 id, enum custody_exit exit_code,
			 int error, const char *format, ...)
{
	struct refused refused = { .exit = exit_code, .error = error };
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(refused.text, sizeof(refused.text), format, ap);
	va_end(ap);
	return MESSAGE_SEND(fd, self, REFUSED, id, &refused);
}

bool message_is_channel(int fd)
{
	socklen_t size = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

int message_make_pair(int *ret_a, int *ret_b)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	*ret_a = sv[0];
	*ret_b = sv[1];
	return 0;
}
