/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress ceilings in words and in JSON: see render_ceiling.h. Run by custodyctl. Pure. Trusts no
 * number: one without a word is shown as none.
 */
#include "render_ceiling.h"

#include <stdio.h>

#include "cleanup.h"
#include "render.h"

static const char *render_action(__u32 action)
{
	static const char *const words[_CEILING_ACTION_MAX] = {
		[CEILING_THROTTLE] = "throttle",
		[CEILING_CUT] = "cut",
		[CEILING_FREEZE] = "freeze",
		[CEILING_KILL] = "kill",
	};

	return action < ARRAY_SIZE(words) && words[action] ? words[action] : "none";
}

static __u64 render_left(const struct reply_ceiling *ceiling)
{
	return ceiling->used < ceiling->total ? ceiling->total - ceiling->used : 0;
}

bool render_ceiling_is_shut(const struct reply_row *row, const struct reply_ceiling *ceiling)
{
	return (ceiling->crossed & CEILING_BY_TOTAL) ||
	       ((ceiling->crossed & CEILING_BY_RATE) && row->on_rate != CEILING_THROTTLE);
}

void render_ceiling_short(const struct reply_row *row, char *ret)
{
	const struct reply_ceiling *ceiling = &row->ceilings[0];
	char used[RENDER_WORD], total[RENDER_WORD];

	(void)snprintf(ret, RENDER_CEILING, "-");
	if (row->n_ceilings == 0)
		return;
	render_bytes(ceiling->used, used);
	render_bytes(ceiling->total ? ceiling->total : ceiling->rate, total);
	if (ceiling->total)
		(void)snprintf(ret, RENDER_CEILING, "%s/%s%s", used, total,
			       render_ceiling_is_shut(row, ceiling) ? "!" : "");
	else
		(void)snprintf(ret, RENDER_CEILING, "%s/s%s", total,
			       render_ceiling_is_shut(row, ceiling) ? "!" : "");
}

void render_ceiling_line(const struct reply_row *row, const struct reply_ceiling *ceiling,
			 char *ret)
{
	char used[RENDER_WORD], total[RENDER_WORD], left[RENDER_WORD], rate[RENDER_WORD];
	size_t n = 0;

	ret[0] = '\0';
	render_bytes(ceiling->used, used);
	render_bytes(ceiling->total, total);
	render_bytes(render_left(ceiling), left);
	render_bytes(ceiling->rate, rate);
	if (ceiling->total)
		n += (size_t)snprintf(ret, RENDER_CEILING_LINE, "%s of %s out, %s left (then %s)",
				      used, total, left, render_action(row->on_total));
	if (ceiling->rate)
		n += (size_t)snprintf(ret + n, RENDER_CEILING_LINE - n, "%s%s/s (then %s)",
				      n ? "; " : "", rate, render_action(row->on_rate));
	if (ceiling->dropped)
		n += (size_t)snprintf(ret + n, RENDER_CEILING_LINE - n, "; %llu packets dropped",
				      ceiling->dropped);
	if (render_ceiling_is_shut(row, ceiling))
		(void)snprintf(ret + n, RENDER_CEILING_LINE - n, "; REACHED: nothing gets out");
}

void render_ceiling_place(const struct reply_row *row, const struct reply_ceiling *ceiling,
			  char *ret)
{
	if (ceiling->slot < row->n_endpoints && ceiling->slot < CUSTODY_ENDPOINTS_MAX)
		render_endpoint(&row->endpoints[ceiling->slot], ret);
	else
		(void)snprintf(ret, RENDER_ENDPOINT, "all endpoints");
}

static json_t *render_limit_json(__u64 value)
{
	return value ? render_count_json(value) : json_null();
}

static json_t *render_ceiling_json(const struct reply_row *row, const struct reply_ceiling *c)
{
	char place[RENDER_ENDPOINT];

	render_ceiling_place(row, c, place);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:s, s:s}",
			 "endpoint",
			 c->slot == CEILING_MODEL ? json_null() : render_text_json(place),
			 "rate", render_limit_json(c->rate),
			 "total", render_limit_json(c->total),
			 "used", render_count_json(c->used),
			 "left", c->total ? render_count_json(render_left(c)) : json_null(),
			 "dropped", render_count_json(c->dropped),
			 "reached", c->crossed != 0,
			 "shut", render_ceiling_is_shut(row, c),
			 "on_rate", render_action(c->rate ? row->on_rate : 0),
			 "on_ceiling", render_action(c->total ? row->on_total : 0));
}

json_t *render_ceilings_json(const struct reply_row *row)
{
	json_t *list = json_array();

	for (__u32 i = 0; list && i < row->n_ceilings && i < CEILING_SLOTS; i++) {
		if (json_array_append_new(list, render_ceiling_json(row, &row->ceilings[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
