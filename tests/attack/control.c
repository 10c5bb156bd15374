/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forged and broken requests on custodyd's control socket, by whoever runs this. Used by
 * tests/attack/61-host-answers.sh as a user of the host without rights.
 *
 *   control PATH NAME     every type of message, in every wrong size, with every number of fds, and
 *                         well-formed orders about the model NAME that claim to come from root
 *
 * Prints "sent N, refused N, dropped N, unanswered N, obeyed N": answers that say no, peers that
 * were dropped, that waited in vain, and answers that say it was done or tell what only readers
 * may know.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "custody/message.h"

#define CONTROL_WAIT_MS 5000
#define CONTROL_SIZE_MAX 65536
#define CONTROL_FDS_MAX 16

struct control_counts {
	unsigned int sent, refused, dropped, unanswered, obeyed;
};

static const size_t control_sizes[_MSG_MAX] = {
#define CONTROL_SIZE(type, body, from, to, fds) [MSG_##type] = sizeof(struct body),
	CUSTODY_MESSAGES(CONTROL_SIZE)
#undef CONTROL_SIZE
};

static int control_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

static ssize_t control_send(int fd, const void *bytes, size_t size, unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
				  .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { .iov_base = (void *)(__UINTPTR_TYPE__)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	int fds[CONTROL_FDS_MAX] = { 0 };

	memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	if (n_fds > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Every exchange ends with REPLY_DONE, or with the connection. */
static void control_read(int fd, struct control_counts *counts)
{
	static union {
		struct message_head head;
		struct reply_done done;
		char bytes[CONTROL_SIZE_MAX];
	} reply;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, CONTROL_WAIT_MS) != 1) {
			counts->unanswered++;
			return;
		}
		n = recv(fd, &reply, sizeof(reply), 0);
		if (n < (ssize_t)sizeof(reply.head)) {
			counts->dropped++;
			return;
		}
		if (reply.head.type == MSG_REPLY_ROW || reply.head.type == MSG_REPLY_COUNTER) {
			counts->obeyed++;
			return;
		}
		if (reply.head.type != MSG_REPLY_DONE)
			continue;
		if (reply.done.exit == CUSTODY_EXIT_DONE)
			counts->obeyed++;
		else
			counts->refused++;
		return;
	}
}

static void control_try(const char *path, const void *bytes, size_t size, unsigned int n_fds,
			struct control_counts *counts)
{
	cleanup_fd int fd = control_connect(path);

	counts->sent++;
	if (fd < 0) {
		fd = -1;
		counts->refused++;
		return;
	}
	if (control_send(fd, bytes, size, n_fds) < 0) {
		counts->dropped++;
		return;
	}
	control_read(fd, counts);
}

static void control_try_sizes(const char *path, __u32 type, struct control_counts *counts)
{
	static char bytes[CONTROL_SIZE_MAX];
	const size_t right = type < _MSG_MAX ? control_sizes[type] : 64;
	const size_t sizes[] = { 1, 8, sizeof(struct message_head), right - 1, right, right + 1,
				 CONTROL_SIZE_MAX };
	static const unsigned int fds[] = { 0, 1, 3, CONTROL_FDS_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct message_head head = { .type = type, .size = (__u32)right, .id = 1 };

		memset(bytes, 0xff, sizeof(bytes));
		memcpy(bytes, &head, sizeof(head));
		control_try(path, bytes, sizes[i], fds[i % ARRAY_SIZE(fds)], counts);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		control_try(path, bytes, right, fds[i], counts);
}

/* Well formed, and in the name of root: the peer is for the front to fill in. */
static void control_try_orders(const char *path, const char *name, struct control_counts *counts)
{
	for (__u32 verb = 0; verb <= _REQUEST_VERB_MAX; verb++) {
		for (__u32 run = 0; run < 2; run++) {
			struct request_name request = {
				.head = { .type = MSG_REQUEST_NAME, .size = sizeof(request),
					  .id = 7 },
				.peer = { .pid = 1 }, .verb = verb, .run = run,
			};

			if (verb != REQUEST_PS)
				(void)snprintf(request.name, sizeof(request.name), "%s", name);
			control_try(path, &request, sizeof(request), 0, counts);
		}
	}
}

/* About the registry, with the verbs that only custodyd itself uses. */
static void control_try_models(const char *path, const char *name, struct control_counts *counts)
{
	static struct request_model request = {
		.head = { .type = MSG_REQUEST_MODEL, .size = sizeof(request), .id = 10 },
		.peer = { .pid = 1 }, .profile = "base",
	};

	(void)snprintf(request.name, sizeof(request.name), "%s", name);
	for (__u32 verb = 0; verb <= _REGISTRY_VERB_MAX; verb++) {
		request.verb = verb;
		(void)snprintf(request.directory, sizeof(request.directory), "%s",
			       verb == REGISTRY_ADD ? "/etc" : "");
		(void)snprintf(request.why, sizeof(request.why), "%s",
			       verb == REGISTRY_REVOKE ? "forged" : "");
		control_try(path, &request, sizeof(request), 0, counts);
	}
}

static void control_try_restrictions(const char *path, const char *name,
				     struct control_counts *counts)
{
	for (__u32 id = 1; id < 4; id++) {
		struct request_restrict request = {
			.head = { .type = MSG_REQUEST_RESTRICT, .size = sizeof(request), .id = 11 },
			.peer = { .pid = 1 }, .jail_id = id, .what = RESTRICTION_EGRESS,
		};

		(void)snprintf(request.name, sizeof(request.name), "%s", name);
		control_try(path, &request, sizeof(request), 0, counts);
	}
}

static void control_try_starts(const char *path, struct control_counts *counts)
{
	static struct request_run run = {
		.head = { .type = MSG_REQUEST_RUN, .size = sizeof(run), .id = 8 },
		.peer = { .pid = 1 }, .name = "forged", .profile = "base", .args_len = 14,
		.n_args = 1, .args = "/usr/bin/true",
	};
	static struct request_start start = {
		.head = { .type = MSG_REQUEST_START, .size = sizeof(start), .id = 9 },
		.peer = { .pid = 1 }, .name = "forged", .profile = "base", .model = "/etc",
	};

	control_try(path, &run, sizeof(run), 3, counts);
	control_try(path, &start, sizeof(start), 0, counts);
}

int main(int argc, char **argv)
{
	struct control_counts counts = { 0 };

	if (argc != 3)
		return 2;
	for (__u32 type = 0; type < _MSG_MAX + 3; type++)
		control_try_sizes(argv[1], type, &counts);
	control_try_orders(argv[1], argv[2], &counts);
	control_try_models(argv[1], argv[2], &counts);
	control_try_restrictions(argv[1], argv[2], &counts);
	control_try_starts(argv[1], &counts);
	(void)printf("sent %u, refused %u, dropped %u, unanswered %u, obeyed %u\n", counts.sent,
		     counts.refused, counts.dropped, counts.unanswered, counts.obeyed);
	return 0;
}
