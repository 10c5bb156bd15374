/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests front passes on, and from whom. Run by custody-front; custodyd does not rely on
 * it and checks again. Pure. Trusts only what message_recv() has already checked: type,
 * size, fd count and that every text field has a NUL.
 */
#ifndef CUSTODY_FRONT_CHECK_H
#define CUSTODY_FRONT_CHECK_H

#include <stdbool.h>

#include "message.h"

/* The types that a client may send, as a permit mask for message_recv(). */
#define CHECK_REQUESTS (MSG_BIT(MSG_REQUEST_START) | MSG_BIT(MSG_REQUEST_RUN) | \
			MSG_BIT(MSG_REQUEST_NAME) | MSG_BIT(MSG_REQUEST_RESTRICT) | \
			MSG_BIT(MSG_REQUEST_MODEL))

/* How much a client may ask for. */
enum check_rank {
	CHECK_NOBODY = 0,	/* nothing: refused before a byte of it is read */
	CHECK_READER,		/* ps, status, model list */
	CHECK_ROOT,		/* everything */
};

/* uid 0 is CHECK_ROOT, a member of the reading group CHECK_READER. */
enum check_rank check_rank_peer(__u32 uid, bool in_group);

/*
 * True when the fields of the request make sense: names are names, the model is empty or an
 * absolute path without "." and "..", the verb exists, the arguments are n_args strings that fill
 * args_len. Otherwise false with *ret_why set to a sentence (static).
 */
bool check_request(const union message_buffer *request, const char **ret_why);

/* Whether this rank may ask for it. Only after check_request(). */
bool check_permission(const union message_buffer *request, enum check_rank rank);

/* The name in the request; empty for ps. Only after check_request(). */
const char *check_find_name(const union message_buffer *request);

/* Where the request carries its peer, for front to fill in. Only after check_request(). */
struct message_peer *check_find_peer(union message_buffer *request);

#endif
