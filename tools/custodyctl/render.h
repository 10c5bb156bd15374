/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies in words and in JSON. Run by custodyctl. Pure: buffers and JSON values, no output.
 * Trusts nothing in a reply but what message_recv() checked: numbers outside their enums are
 * shown as numbers, text is escaped.
 */
#ifndef CUSTODYCTL_RENDER_H
#define CUSTODYCTL_RENDER_H

#include <jansson.h>
#include <stddef.h>

#include "custody/message.h"

/* "running"; "state 99" when there is no such state. ret holds at least RENDER_WORD bytes. */
#define RENDER_WORD 32
void render_state(__u32 state, char *ret);

/* "egress", ...; "class 99" when there is no such class. */
void render_class(__u32 class, char *ret);

/* "structure,cgroup", "-" for none; a plane in required but not in active as "!lsm". */
#define RENDER_PLANES 96
void render_planes(__u32 required, __u32 active, char *ret);

/* "tcp:127.0.0.1:8080", "udp:[::1]:53", "unix:/run/x.sock" (escaped). */
#define RENDER_ENDPOINT 512
void render_endpoint(const struct reply_endpoint *endpoint, char *ret);

/*
 * What was taken from the model while it runs, in words: "egress cut", "tcp:... dropped". Returns
 * how many.
 */
#define RENDER_RESTRICTIONS_MAX (8 + CUSTODY_ENDPOINTS_MAX)
#define RENDER_RESTRICTION (RENDER_ENDPOINT + 16)
unsigned int render_list_restrictions(const struct reply_row *row,
				      char ret[RENDER_RESTRICTIONS_MAX][RENDER_RESTRICTION]);

/* "999", "1.2K", "18M", "1.0G": units of 1024. */
void render_bytes(__u64 bytes, char *ret);

/* "12s", "3m12s", "2h05m", "4d03h". */
void render_age(__u64 seconds, char *ret);

/*
 * JSON. The keys are documented in custodyctl(1) and stable. Counts beyond 2^63-1 are shown as
 * 2^63-1. Text that is not UTF-8 is escaped (escape.h). New references; NULL when out of memory.
 */
json_t *render_row_json(const struct reply_row *row);
json_t *render_counter_json(const struct reply_counter *counter);
json_t *render_text_json(const char *text);
json_t *render_count_json(__u64 count);

#endif
