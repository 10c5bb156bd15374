/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed messages over SOCK_SEQPACKET: include/custody/message.h says which exist.
 * Run by every role. Trusts nothing that arrives.
 */
#ifndef CUSTODY_LIB_MESSAGE_H
#define CUSTODY_LIB_MESSAGE_H

#include <stdbool.h>

#include "custody/message.h"

/* Room for any message, aligned for all of them. */
union message_buffer {
	struct message_head head;
	__u64 words[CUSTODY_MESSAGE_MAX / 8];
};

/* fds that came with a message; unused entries are -1. The receiver owns them. */
struct message_fds {
	int fd[CUSTODY_FDS_MAX];
	unsigned int n;
};

#define MESSAGE_FDS_EMPTY ((struct message_fds){ .fd = { -1, -1, -1, -1, -1, -1, -1, -1 }, .n = 0 })

/* Closes what is left in fds. NULL-safe. */
void message_close_fds(struct message_fds *fds);
#define cleanup_message_fds __attribute__((cleanup(message_close_fds)))

/* Name of a type for messages to people; "unknown" when there is none. */
const char *message_type_name(__u32 type);

/*
 * Fills in head and sends body (a struct from the table) with n_fds descriptors, which stay the
 * caller's. Blocks unless the socket is non-blocking. Returns 0; -EINVAL when size, role or fd
 * count are not what the table says; -EPIPE when the peer is gone; -errno otherwise.
 */
int message_send(int fd, enum custody_role self, __u32 type, __u64 id, void *body, size_t size,
		 const int *fds, unsigned int n_fds);

/* message_send() for a pointer to the table's struct, without fds. */
#define MESSAGE_SEND(fd, self, type, id, body) \
	message_send(fd, self, MSG_##type, id, body, sizeof(*(body)), NULL, 0)

/* Is fd a socket such as a role gets its channel on? It is not when somebody ran it by hand. */
bool message_is_channel(int fd);

/*
 * Receives one message from a peer that is `from`, for a receiver that is `self` and at present
 * permits only the types in `permit` (MSG_BIT mask). fds may be NULL when no permitted type has
 * any. Returns 0; -ENODATA when the peer closed; -EAGAIN on a non-blocking socket without a
 * message; -EPROTO when the message is anything but what the table and permit allow (the peer
 * must then be dropped); -errno. On failure buf holds nothing of use, *fds is as it was and no fd
 * is left open. On success *fds is overwritten: close the last message's before.
 */
int message_recv(int fd, enum custody_role self, enum custody_role from, __u64 permit,
		 union message_buffer *buf, struct message_fds *fds);

/* message_recv() that waits at most timeout_ms; -ETIMEDOUT when nothing came. */
int message_recv_timeout(int fd, enum custody_role self, enum custody_role from, __u64 permit,
			 union message_buffer *buf, struct message_fds *fds, int timeout_ms);

/* Sends REFUSED with a formatted text. Returns what message_send() returns. */
int message_send_refused(int fd, enum custody_role self, __u64 id, enum custody_exit exit_code,
			 int error, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* Pair of SEQPACKET sockets, close-on-exec. Returns 0 or -errno. */
int message_make_pair(int *ret_a, int *ret_b);

#endif
