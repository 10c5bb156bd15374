/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl ps: every model in custody, one row each. Run as the caller. Trusts no reply's text.
 */
#include <time.h>

#include "cleanup.h"
#include "client.h"
#include "escape.h"
#include "render.h"
#include "render_ceiling.h"
#include "render_measured.h"
#include "table.h"

static const char *const ps_headings[] = {
	"NAME", "STATE", "PROFILE", "MODEL", "PLANES", "ENDPOINTS", ">ALLOWED", ">DENIED", ">OUT",
	">CEILING", ">IN", ">LOST", ">AGE", NULL,
};

struct ps {
	struct table table;
	json_t *models;		/* borrowed */
	__u64 now_s;
	bool failed;		/* out of memory */
};

/* The endpoints that others reach it by, joined with commas. */
static void ps_join_endpoints(const struct reply_row *row, char *ret, size_t size)
{
	size_t used = 0;

	(void)snprintf(ret, size, "-");
	for (__u32 i = 0; i < row->n_endpoints && i < CUSTODY_ENDPOINTS_MAX; i++) {
		char text[RENDER_ENDPOINT];
		int n;

		if (row->endpoints[i].kind != PLAN_ENDPOINT_LISTEN)
			continue;
		render_endpoint(&row->endpoints[i], text);
		n = snprintf(ret + used, size - used, "%s%s", used ? "," : "", text);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static int ps_add_row(struct ps *ps, const struct reply_row *row)
{
	char name[ESCAPE_SIZE(CUSTODY_NAME_SIZE)], profile[ESCAPE_SIZE(CUSTODY_NAME_SIZE)];
	char endpoints[CUSTODY_ENDPOINTS_MAX * RENDER_ENDPOINT];
	char word[RENDER_WORD], state[RENDER_WORD + sizeof(", restricted, out of memory")];
	char allowed[RENDER_WORD], denied[RENDER_WORD], out[RENDER_WORD];
	char in[RENDER_WORD], lost[RENDER_WORD], age[RENDER_WORD];
	char planes[RENDER_PLANES], ceiling[RENDER_CEILING];
	char model[RENDER_DIGEST_SHORT];
	const char *const cells[] = { name, state, profile, model, planes, endpoints, allowed,
				      denied, out, ceiling, in, lost, age };

	_Static_assert(ARRAY_SIZE(cells) + 1 == ARRAY_SIZE(ps_headings), "a cell per heading");
	(void)escape_text(row->name, sizeof(row->name), false, name, sizeof(name));
	(void)escape_text(row->profile, sizeof(row->profile), false, profile, sizeof(profile));
	render_state(row->state, word);
	(void)snprintf(state, sizeof(state), "%s%s%s", word,
		       row->restricted || row->cut ? ", restricted" : "",
		       row->limits.memory_killed ? ", out of memory" : "");
	render_planes(row->planes_required, row->planes_active, planes);
	ps_join_endpoints(row, endpoints, sizeof(endpoints));
	(void)snprintf(allowed, sizeof(allowed), "%llu", row->allowed);
	(void)snprintf(denied, sizeof(denied), "%llu", row->denied);
	(void)snprintf(lost, sizeof(lost), "%llu", row->events_lost);
	render_bytes(row->bytes_out, out);
	render_bytes(row->bytes_in, in);
	render_ceiling_short(row, ceiling);
	render_measured_short(&row->measured, model);
	if (row->started_s == 0) /* it is not started yet */
		(void)snprintf(age, sizeof(age), "-");
	else
		render_age(ps->now_s > row->started_s ? ps->now_s - row->started_s : 0, age);
	return table_add_row(&ps->table, cells);
}

static void ps_take_reply(const union message_buffer *reply, void *data)
{
	const struct reply_row *row = (const struct reply_row *)reply;
	struct ps *ps = data;

	if (reply->head.type != MSG_REPLY_ROW)
		return;
	if (ps_add_row(ps, row) < 0 ||
	    json_array_append_new(ps->models, render_row_json(row)) < 0)
		ps->failed = true;
}

static int ps_print_json(json_t *models)
{
	json_t *all = json_pack("{s:O}", "models", models);

	return client_print_json(all, 0);
}

static int ps_ask(struct ps *ps, const struct command_options *options)
{
	struct request_name request = { .verb = REQUEST_PS };
	struct reply_done done;
	int r = client_ask(options, MSG_REQUEST_NAME, &request, sizeof(request), ps_take_reply, ps,
			   &done);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (!ps->failed && options->json)
		ps->failed = ps_print_json(ps->models) < 0;
	else if (!ps->failed && ps->table.n_cells == ps->table.n_columns && !options->quiet)
		(void)printf("No model is in custody.\n");
	else if (!ps->failed)
		table_print(&ps->table, stdout, client_use_colour(stdout));
	if (!ps->failed)
		return CUSTODY_EXIT_DONE;
	client_complain("The list cannot be printed: out of memory.");
	return CUSTODY_EXIT_INTERNAL;
}

int command_ps(int argc, char **argv, const struct command_options *options)
{
	struct ps ps = { .now_s = (__u64)time(NULL) };
	int words = client_parse_options(argc, argv, NULL, 0);
	int r;

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words > 0) {
		client_complain("ps takes no name. For one model use custodyctl status NAME.");
		return CUSTODY_EXIT_USAGE;
	}
	ps.models = json_array();
	ps.failed = !ps.models || table_open(&ps.table, ps_headings) < 0;
	r = ps_ask(&ps, options);
	table_close(&ps.table);
	json_decref(ps.models);
	return r;
}
