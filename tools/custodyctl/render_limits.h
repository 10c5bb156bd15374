/* SPDX-License-Identifier: Apache-2.0 */
/* Limits in words and in JSON. Run by custodyctl. Pure. Trusts no number. */
#ifndef CUSTODYCTL_RENDER_LIMITS_H
#define CUSTODYCTL_RENDER_LIMITS_H

#include <jansson.h>

#include "custody/message.h"

#define RENDER_LIMITS 512

/* "256M of memory, 64 processes, 50% CPU, disks 1.0M/s in" and what holds them. */
void render_limits_line(const struct reply_row *row, char *ret);

/* "3 processes killed for want of memory, 12 forks refused"; "" when neither has happened. */
void render_limits_hits(const struct reply_row *row, char *ret);

/* An object; documented in custodyctl(1). */
json_t *render_limits_json(const struct reply_row *row);

#endif
