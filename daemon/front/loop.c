/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of custody-front: poll() over the channel, the listener and at most 64 clients.
 * Run by custody-front. Trusts custodyd's channel; the kernel for who connected.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cleanup.h"
#include "front.h"

#define FRONT_REPLIES (MSG_BIT(MSG_REPLY_ROW) | MSG_BIT(MSG_REPLY_COUNTER) | \
		       MSG_BIT(MSG_REPLY_STEP) | MSG_BIT(MSG_REPLY_MODEL) | \
		       MSG_BIT(MSG_REPLY_PROGRESS) | MSG_BIT(MSG_REPLY_CHECKED) | \
		       MSG_BIT(MSG_REPLY_DONE))
#define FRONT_REST_MS		1000	/* before accepting again after EMFILE and the like */
#define FRONT_BATCH		64	/* replies, or connections, taken in one step */
#define FRONT_GROUPS_MAX	1024	/* a peer with more is no member: refused, not let in */

enum { FRONT_POLL_CHANNEL, FRONT_POLL_LISTENER, FRONT_POLL_CLIENTS };

static __s64 front_read_clock(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (__s64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int front_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int front_open(struct front *front, int channel, int listener, __u32 group, __u32 first_id)
{
	int r = front_set_nonblocking(channel);

	if (r == 0)
		r = front_set_nonblocking(listener);
	if (r < 0)
		return r;
	*front = (struct front){
		.channel = channel,
		.listener = listener,
		.group = group,
		.next_id = first_id,
	};
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		front->clients[i].fd = -1;
	return 0;
}

void front_close(struct front *front)
{
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		front_client_free(&front->clients[i]);
	cleanup_close_fd(&front->channel);
	cleanup_close_fd(&front->listener);
}

static struct front_client *front_find_id(struct front *front, __u64 id)
{
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++) {
		struct front_client *client = &front->clients[i];

		if (client->state >= FRONT_QUEUED && client->id == id)
			return client;
	}
	return NULL;
}

/* Never 0, never one that a client still has. */
static __u64 front_make_id(struct front *front)
{
	do {
		front->next_id++;
	} while (front->next_id == 0 || front_find_id(front, front->next_id));
	return front->next_id;
}

/* ---- accepting ---- */

static bool front_check_group(int fd, __u32 group, __u32 gid)
{
	gid_t groups[FRONT_GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (group == FRONT_NO_GROUP)
		return false;
	if (gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

/* A slot for a client of this rank; the last ones are kept for root. */
static struct front_client *front_find_slot(struct front *front, enum check_rank rank)
{
	struct front_client *slot = NULL;
	unsigned int used = 0;

	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++) {
		if (front->clients[i].state != FRONT_FREE)
			used++;
		else if (!slot)
			slot = &front->clients[i];
	}
	if (rank != CHECK_ROOT && used >= FRONT_CLIENTS_MAX - FRONT_CLIENTS_ROOT)
		return NULL;
	return slot;
}

static void front_admit(struct front *front, int fd, __s64 now_ms)
{
	cleanup_fd int connection = fd;
	struct front_client *slot;
	struct ucred cred;
	socklen_t size = sizeof(cred);
	struct message_peer peer;
	enum check_rank rank;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return;
	peer = (struct message_peer){ .pid = (__u32)cred.pid, .uid = cred.uid, .gid = cred.gid };
	rank = check_rank_peer(peer.uid, front_check_group(connection, front->group, peer.gid));
	if (rank == CHECK_NOBODY) {
		front_tell(connection, 0, CUSTODY_EXIT_REFUSED,
			   "Only root, and for ps and status the members of custody's group, may "
			   "talk to custodyd.");
		return;
	}
	slot = front_find_slot(front, rank);
	if (!slot) {
		front_tell(connection, 0, CUSTODY_EXIT_REFUSED,
			   "custodyd is busy: too many requests are open. Try again in a moment.");
		return;
	}
	front_client_open(slot, TAKE_FD(connection), &peer, rank, now_ms);
}

static void front_accept(struct front *front, __s64 now_ms)
{
	for (int i = 0; i < FRONT_BATCH; i++) {
		int fd = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			front_admit(front, fd, now_ms);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno != EINTR && errno != ECONNABORTED) {
			front->accept_after_ms = now_ms + FRONT_REST_MS;
			return;
		}
	}
}

/* ---- the channel ---- */

static int front_read_channel(struct front *front, __s64 now_ms)
{
	union message_buffer reply;

	for (int i = 0; i < FRONT_BATCH; i++) {
		struct front_client *client;
		int r = message_recv(front->channel, ROLE_FRONT, ROLE_WARDEN, FRONT_REPLIES,
				     &reply, NULL);

		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		client = front_find_id(front, reply.head.id);
		/* Nobody's: its client is gone, or it answers a stop that front asked for. */
		if (client && client->state == FRONT_WAITING)
			front_client_reply(client, &reply, now_ms);
	}
	return 0;
}

static int front_forward(struct front *front)
{
	for (size_t i = 0; i < FRONT_CLIENTS_MAX && !front->channel_full; i++) {
		struct front_client *client = &front->clients[i];
		int r;

		if (client->state != FRONT_QUEUED && client->state != FRONT_STOPPING)
			continue;
		r = front_client_forward(client, front->channel, front_make_id(front));
		if (r == -EAGAIN)
			front->channel_full = true;
		else if (r < 0)
			return r == -EPIPE ? -ENODATA : r;
	}
	return 0;
}

/* ---- one turn ---- */

static short front_find_events(const struct front_client *client)
{
	if (client->state == FRONT_ASKING)
		return POLLIN;
	return client->first ? POLLOUT : 0;
}

static int front_find_timeout(const struct front *front, int timeout_ms, __s64 now_ms)
{
	__s64 soonest = timeout_ms < 0 ? INT_MAX : timeout_ms;

	if (front->accept_after_ms > now_ms && front->accept_after_ms - now_ms < soonest)
		soonest = front->accept_after_ms - now_ms;
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++) {
		const struct front_client *client = &front->clients[i];
		__s64 left = client->deadline_ms - now_ms;

		if (client->state != FRONT_ASKING && client->state != FRONT_FINISHING)
			continue;
		if (left < soonest)
			soonest = left > 0 ? left : 0;
	}
	if (timeout_ms < 0 && soonest == INT_MAX)
		return -1;
	return (int)soonest;
}

static void front_serve_client(struct front *front, struct front_client *client, short revents,
			       __s64 now_ms)
{
	if (client->state == FRONT_FREE || client->fd < 0)
		return;
	if (revents == 0) {
		if (front_client_expired(client, now_ms))
			front_client_free(client);
		return;
	}
	if (client->state == FRONT_ASKING)
		front_client_read(client, front_make_id(front), now_ms);
	else if (revents & (POLLHUP | POLLERR | POLLNVAL))
		front_client_leave(client);
	else
		front_client_flush(client);
}

int front_step(struct front *front, int timeout_ms)
{
	struct pollfd fds[FRONT_POLL_CLIENTS + FRONT_CLIENTS_MAX];
	__s64 now_ms = front_read_clock();
	int r;

	fds[FRONT_POLL_CHANNEL] = (struct pollfd){
		.fd = front->channel,
		.events = (short)(POLLIN | (front->channel_full ? POLLOUT : 0)),
	};
	fds[FRONT_POLL_LISTENER] = (struct pollfd){
		.fd = front->accept_after_ms > now_ms ? -1 : front->listener,
		.events = POLLIN,
	};
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		fds[FRONT_POLL_CLIENTS + i] = (struct pollfd){
			.fd = front->clients[i].fd,
			.events = front_find_events(&front->clients[i]),
		};
	r = poll(fds, ARRAY_SIZE(fds), front_find_timeout(front, timeout_ms, now_ms));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	now_ms = front_read_clock();
	if (fds[FRONT_POLL_CHANNEL].revents & POLLOUT)
		front->channel_full = false;
	if (fds[FRONT_POLL_CHANNEL].revents & ~POLLOUT) {
		r = front_read_channel(front, now_ms);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		front_serve_client(front, &front->clients[i], fds[FRONT_POLL_CLIENTS + i].revents,
				   now_ms);
	if (fds[FRONT_POLL_LISTENER].revents)
		front_accept(front, now_ms);
	return front_forward(front);
}
