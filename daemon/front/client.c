/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one client in custody-front: ask, be forwarded, be answered. Run by custody-front.
 * Trusts the kernel's word on who the peer is; nothing the client sends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "front.h"

void front_client_open(struct front_client *client, int fd, const struct message_peer *peer,
		       enum check_rank rank, __s64 now_ms)
{
	*client = (struct front_client){
		.state = FRONT_ASKING,
		.fd = fd,
		.rank = rank,
		.peer = *peer,
		.deadline_ms = now_ms + FRONT_PATIENCE_MS,
		.fds = MESSAGE_FDS_EMPTY,
	};
	client->last = &client->first;
}

/* The connection, the request and the queue; the slot's identity stays. */
static void front_client_release(struct front_client *client)
{
	cleanup_close_fd(&client->fd);
	message_close_fds(&client->fds);
	free(TAKE_PTR(client->request));
	while (client->first) {
		struct front_packet *packet = client->first;

		client->first = packet->next;
		free(packet);
	}
	client->last = &client->first;
	client->queued = 0;
}

void front_client_free(struct front_client *client)
{
	if (client->state == FRONT_FREE)
		return;
	front_client_release(client);
	*client = (struct front_client){ .fd = -1, .fds = MESSAGE_FDS_EMPTY };
}

void front_client_leave(struct front_client *client)
{
	if (client->state == FRONT_WAITING && client->type == MSG_REQUEST_RUN) {
		front_client_release(client);
		client->state = FRONT_STOPPING;
		return;
	}
	/* A request that was accepted is carried out, but for a run that did not begin. */
	if (client->state == FRONT_QUEUED && client->type != MSG_REQUEST_RUN) {
		cleanup_close_fd(&client->fd);
		return;
	}
	front_client_free(client);
}

static int front_client_push(struct front_client *client, const union message_buffer *reply)
{
	size_t size = reply->head.size;
	struct front_packet *packet;

	if (client->queued + size > FRONT_QUEUE_MAX)
		return -ENOBUFS;
	packet = calloc(1, sizeof(*packet) + size);
	if (!packet)
		return -ENOMEM;
	packet->type = reply->head.type;
	packet->size = size;
	memcpy(packet->body, reply, size);
	*client->last = packet;
	client->last = &packet->next;
	client->queued += size;
	return 0;
}

void front_client_flush(struct front_client *client)
{
	while (client->first) {
		struct front_packet *packet = client->first;
		int r = message_send(client->fd, ROLE_FRONT, packet->type, client->client_id,
				     packet->body, packet->size, NULL, 0);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			front_client_leave(client);
			return;
		}
		client->first = packet->next;
		if (!client->first)
			client->last = &client->first;
		client->queued -= packet->size;
		free(packet);
	}
	if (client->state == FRONT_FINISHING)
		front_client_free(client);
}

void front_client_reply(struct front_client *client, union message_buffer *reply, __s64 now_ms)
{
	bool done = reply->head.type == MSG_REPLY_DONE;

	if (done && client->state == FRONT_WAITING) {
		/* From here on the request is over: leaving does not ask for a stop. */
		client->state = FRONT_FINISHING;
		client->deadline_ms = now_ms + FRONT_PATIENCE_MS;
	}
	if (front_client_push(client, reply) < 0) {
		front_client_leave(client);
		return;
	}
	front_client_flush(client);
}

/* The answer to a request that goes no further. */
static void front_client_refuse(struct front_client *client, enum custody_exit exit_code,
				const char *text, __s64 now_ms)
{
	union {
		union message_buffer any;
		struct reply_done done;
	} reply = { .done = { .head = { .type = MSG_REPLY_DONE, .size = sizeof(reply.done) },
			      .exit = exit_code } };

	(void)snprintf(reply.done.text, sizeof(reply.done.text), "%s", text);
	message_close_fds(&client->fds);
	free(TAKE_PTR(client->request));
	client->state = FRONT_FINISHING;
	client->deadline_ms = now_ms + FRONT_PATIENCE_MS;
	front_client_reply(client, &reply.any, now_ms);
}

/* The request is well formed: may this client ask for it? */
static void front_client_accept(struct front_client *client, __u64 id, __s64 now_ms)
{
	union message_buffer *request = client->request;
	const char *why = NULL;

	client->client_id = request->head.id;
	client->type = request->head.type;
	if (!check_request(request, &why)) {
		front_client_refuse(client, CUSTODY_EXIT_USAGE, why, now_ms);
		return;
	}
	if (!check_permission(request, client->rank)) {
		front_client_refuse(client, CUSTODY_EXIT_REFUSED,
				    "Only root may ask for this: members of custody's group may "
				    "use ps and status.", now_ms);
		return;
	}
	(void)snprintf(client->name, sizeof(client->name), "%s", check_find_name(request));
	*check_find_peer(request) = client->peer;
	client->id = id;
	client->state = FRONT_QUEUED;
}

void front_client_read(struct front_client *client, __u64 id, __s64 now_ms)
{
	int r;

	client->request = calloc(1, sizeof(*client->request));
	if (!client->request) {
		front_client_refuse(client, CUSTODY_EXIT_INTERNAL, "custody-front has no memory.",
				    now_ms);
		return;
	}
	r = message_recv(client->fd, ROLE_FRONT, ROLE_CONTROL, CHECK_REQUESTS, client->request,
			 &client->fds);
	if (r == -EAGAIN) {
		free(TAKE_PTR(client->request));
		return;
	}
	if (r == -EPROTO) {
		front_client_refuse(client, CUSTODY_EXIT_USAGE,
				    "That was not a request of this version of custody. Is "
				    "custodyctl from the same package as custodyd?", now_ms);
		return;
	}
	if (r < 0) {
		front_client_free(client);
		return;
	}
	front_client_accept(client, id, now_ms);
}

static int front_client_send_stop(struct front_client *client, int channel, __u64 stop_id)
{
	struct request_name stop = {
		.peer = client->peer,
		.verb = REQUEST_STOP,
		.run = (__u32)client->id,
	};
	int r;

	(void)snprintf(stop.name, sizeof(stop.name), "%s", client->name);
	r = MESSAGE_SEND(channel, ROLE_FRONT, REQUEST_NAME, stop_id, &stop);
	if (r == 0)
		front_client_free(client);
	return r;
}

int front_client_forward(struct front_client *client, int channel, __u64 stop_id)
{
	union message_buffer *request = client->request;
	int r;

	if (client->state == FRONT_STOPPING)
		return front_client_send_stop(client, channel, stop_id);
	r = message_send(channel, ROLE_FRONT, request->head.type, client->id, request,
			 request->head.size, client->fds.fd, client->fds.n);
	if (r < 0)
		return r;
	message_close_fds(&client->fds);
	free(TAKE_PTR(client->request));
	client->state = FRONT_WAITING;
	if (client->fd < 0)
		front_client_leave(client);
	return 0;
}

void front_tell(int fd, __u64 id, enum custody_exit exit_code, const char *text)
{
	struct reply_done done = { .exit = exit_code };

	(void)snprintf(done.text, sizeof(done.text), "%s", text);
	(void)MESSAGE_SEND(fd, ROLE_FRONT, REPLY_DONE, id, &done);
}

bool front_client_expired(const struct front_client *client, __s64 now_ms)
{
	return (client->state == FRONT_ASKING || client->state == FRONT_FINISHING) &&
	       now_ms >= client->deadline_ms;
}
