/* SPDX-License-Identifier: Apache-2.0 */
/* Egress ceilings in words and in JSON. Run by custodyctl. Pure. Trusts no number. */
#ifndef CUSTODYCTL_RENDER_CEILING_H
#define CUSTODYCTL_RENDER_CEILING_H

#include <jansson.h>
#include <stdbool.h>

#include "custody/message.h"

/* For ps: "1.2M/10M", of the model's own total; "50M/s" when there is only a rate; "-". */
#define RENDER_CEILING 80
void render_ceiling_short(const struct reply_row *row, char *ret);

/* For status: one sentence, without the endpoint's name. */
#define RENDER_CEILING_LINE 256
void render_ceiling_line(const struct reply_row *row, const struct reply_ceiling *ceiling,
			 char *ret);

/* The endpoint's address, or "all endpoints". At least RENDER_ENDPOINT bytes. */
void render_ceiling_place(const struct reply_row *row, const struct reply_ceiling *ceiling,
			  char *ret);

/* True when nothing, or nothing there, is let out any more. */
bool render_ceiling_is_shut(const struct reply_row *row, const struct reply_ceiling *ceiling);

/* A list; documented in custodyctl(1). */
json_t *render_ceilings_json(const struct reply_row *row);

#endif
