/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-front: from the control socket to custodyd's channel and back. One client = one
 * connection = one request. Run by custody-front only (and its tests). Trusts custodyd's replies
 * to be well formed (message_recv() checks) and nothing that a client sends.
 *
 * Invariants:
 *   F1  A request goes to custodyd only after check_request() and check_permission(), with the
 *       peer that the kernel named and an id that no other client has.
 *   F2  Front never waits for a client or for custodyd: every socket is non-blocking, replies
 *       wait in a bounded queue, requests wait in their client's slot.
 *   F3  A REQUEST_RUN whose client went away before REPLY_DONE is followed by a REQUEST_STOP.
 */
#ifndef CUSTODY_FRONT_H
#define CUSTODY_FRONT_H

#include <poll.h>
#include <stdbool.h>

#include "check.h"
#include "message.h"

#define FRONT_CLIENTS_MAX	64
#define FRONT_CLIENTS_ROOT	8		/* of these, only for root */
#define FRONT_QUEUE_MAX		(1024 * 1024)	/* bytes of replies waiting for one client */
#define FRONT_PATIENCE_MS	10000		/* to send a request; to read the last replies */
#define FRONT_NO_GROUP		0xffffffffU

enum front_state {
	FRONT_FREE = 0,
	FRONT_ASKING,		/* connected, no request yet; deadline runs */
	FRONT_QUEUED,		/* request read and accepted, not yet sent to custodyd */
	FRONT_WAITING,		/* custodyd has it; replies come */
	FRONT_FINISHING,	/* REPLY_DONE is in the queue; deadline runs */
	FRONT_STOPPING,		/* client of a run is gone; REQUEST_STOP not yet sent. No fd. */
	_FRONT_STATE_MAX,
};

/* One reply that did not fit into the client's socket. */
struct front_packet {
	struct front_packet *next;
	__u32 type;
	size_t size;
	__u64 body[];
};

struct front_client {
	enum front_state state;
	int fd;				/* -1: gone */
	enum check_rank rank;
	struct message_peer peer;
	__u32 type;			/* of its request */
	__u64 id;			/* ours, on the channel */
	__u64 client_id;		/* what the client put into head.id, given back to it */
	char name[CUSTODY_NAME_SIZE];
	__s64 deadline_ms;		/* CLOCK_MONOTONIC; in ASKING and FINISHING */
	union message_buffer *request;	/* owned; in QUEUED */
	struct message_fds fds;		/* owned; in QUEUED */
	struct front_packet *first;	/* owned queue */
	struct front_packet **last;
	size_t queued;			/* bytes in the queue */
};

struct front {
	int channel;			/* to custodyd */
	int listener;
	__u32 group;			/* gid that may read, or FRONT_NO_GROUP */
	__u32 next_id;			/* 32 bits, so that REQUEST_STOP can name a run */
	__s64 accept_after_ms;		/* accepting rests until then, after EMFILE and the like */
	bool channel_full;		/* custodyd's socket took no more: wait for POLLOUT */
	struct front_client clients[FRONT_CLIENTS_MAX];
};

/*
 * Takes over channel and listener (both become non-blocking). first_id starts the request ids:
 * random, so that replies to the requests of an earlier front find nobody here. 0 or -errno.
 */
int front_open(struct front *front, int channel, int listener, __u32 group, __u32 first_id);

/* Closes every client and both fds. */
void front_close(struct front *front);

/*
 * Waits at most timeout_ms (-1: until something happens) and handles what is ready. Returns 0;
 * -ENODATA when custodyd closed the channel; -EPROTO when it sent something wrong; -errno.
 */
int front_step(struct front *front, int timeout_ms);

/* ---- client.c: one client ---- */

/* Makes the slot a client that is about to ask. The fd becomes the slot's. */
void front_client_open(struct front_client *client, int fd, const struct message_peer *peer,
		       enum check_rank rank, __s64 now_ms);

/* Closes the connection; in WAITING with a run the slot becomes STOPPING (F3), else FREE. */
void front_client_leave(struct front_client *client);

/* Frees all of the slot, whatever its state. */
void front_client_free(struct front_client *client);

/* Reads and judges the request: QUEUED, or told what is wrong with it and FINISHING, or FREE. */
void front_client_read(struct front_client *client, __u64 id, __s64 now_ms);

/*
 * Sends the QUEUED request, or the REQUEST_STOP of a STOPPING slot under stop_id. Returns 0,
 * -EAGAIN when the channel takes no more (nothing changed), or -errno.
 */
int front_client_forward(struct front_client *client, int channel, __u64 stop_id);

/* Passes a reply on, or queues it. A client whose queue is full leaves. */
void front_client_reply(struct front_client *client, union message_buffer *reply, __s64 now_ms);

/* Sends what waits; a FINISHING client with nothing left is freed. */
void front_client_flush(struct front_client *client);

/* Sends REPLY_DONE to a connection that gets no slot. Failing to is the client's loss. */
void front_tell(int fd, __u64 id, enum custody_exit exit_code, const char *text);

/* True when the state has a deadline and it has passed. */
bool front_client_expired(const struct front_client *client, __s64 now_ms);

#endif
