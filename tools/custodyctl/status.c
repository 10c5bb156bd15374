/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl status: one model in words, and its counters. Run as the caller. Trusts no reply's
 * text.
 */
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "client.h"
#include "escape.h"
#include "render.h"
#include "render_ceiling.h"
#include "render_limits.h"
#include "render_measured.h"
#include "table.h"

static const char *const status_headings[] = {
	"CLASS", "OBJECT", ">ALLOWED", ">DENIED", ">BYTES", ">EVENTS", ">LOST", NULL,
};

struct status {
	struct table table;
	struct reply_row row;
	bool have_row;
	struct ledger_checked checks[PLAN_CHECKERS_MAX];
	size_t n_checks;
	unsigned int silent;	/* counters that are all zero: not in the table */
	json_t *model;		/* owned by command_status() */
	json_t *counters;	/* owned by command_status() */
	bool failed;		/* out of memory */
};

static int status_add_counter(struct status *status, const struct reply_counter *counter)
{
	const struct policy_counter *c = &counter->counter;
	char class[RENDER_WORD], allowed[RENDER_WORD], denied[RENDER_WORD], bytes[RENDER_WORD];
	char emitted[RENDER_WORD], lost[RENDER_WORD];
	char label[ESCAPE_SIZE(CUSTODY_PATH_SIZE)];
	const char *const cells[] = { class, label, allowed, denied, bytes, emitted, lost };

	_Static_assert(ARRAY_SIZE(cells) + 1 == ARRAY_SIZE(status_headings), "a cell per heading");
	if (!c->allowed && !c->denied && !c->bytes && !c->emitted && !c->lost) {
		status->silent++;
		return 0;
	}
	render_class(counter->key.class, class);
	(void)escape_text(counter->label, sizeof(counter->label), false, label, sizeof(label));
	(void)snprintf(allowed, sizeof(allowed), "%llu", c->allowed);
	(void)snprintf(denied, sizeof(denied), "%llu", c->denied);
	(void)snprintf(emitted, sizeof(emitted), "%llu", c->emitted);
	(void)snprintf(lost, sizeof(lost), "%llu", c->lost);
	render_bytes(c->bytes, bytes);
	return table_add_row(&status->table, cells);
}

static void status_take_reply(const union message_buffer *reply, void *data)
{
	const struct reply_counter *counter = (const struct reply_counter *)reply;
	struct status *status = data;

	if (reply->head.type == MSG_REPLY_ROW && !status->have_row) {
		memcpy(&status->row, reply, sizeof(status->row));
		status->model = render_row_json(&status->row);
		status->failed |= !status->model;
		status->have_row = true;
	} else if (reply->head.type == MSG_REPLY_CHECKED && status->n_checks < PLAN_CHECKERS_MAX) {
		status->checks[status->n_checks++] = ((const struct reply_checked *)reply)->check;
	} else if (reply->head.type == MSG_REPLY_COUNTER) {
		if (status_add_counter(status, counter) < 0 ||
		    json_array_append_new(status->counters, render_counter_json(counter)) < 0)
			status->failed = true;
	}
}

static void status_print_endpoints(const struct reply_row *row)
{
	for (__u32 i = 0; i < row->n_endpoints && i < CUSTODY_ENDPOINTS_MAX; i++) {
		const struct reply_endpoint *endpoint = &row->endpoints[i];
		char text[RENDER_ENDPOINT];

		render_endpoint(endpoint, text);
		(void)printf("  %-10s %s\n",
			     endpoint->kind != PLAN_ENDPOINT_LISTEN ? "may reach" :
			     row->processes == 0 ? "served on" : "serves on",
			     text);
	}
}

static void status_print_restrictions(const struct reply_row *row)
{
	char words[RENDER_RESTRICTIONS_MAX][RENDER_RESTRICTION];
	unsigned int n = render_list_restrictions(row, words);

	for (unsigned int i = 0; i < n; i++)
		(void)printf("  %-10s %s\n", "RESTRICTED", words[i]);
}

static void status_print_ceilings(const struct reply_row *row)
{
	for (__u32 i = 0; i < row->n_ceilings && i < CEILING_SLOTS; i++) {
		char place[RENDER_ENDPOINT], line[RENDER_CEILING_LINE];

		render_ceiling_place(row, &row->ceilings[i], place);
		render_ceiling_line(row, &row->ceilings[i], line);
		(void)printf("  %-10s %s: %s\n", i == 0 ? "ceilings" : "", place, line);
	}
}

static void status_print_limits(const struct reply_row *row)
{
	char text[RENDER_LIMITS];

	render_limits_line(row, text);
	(void)printf("  %-10s %s\n", "limits", text);
	render_limits_hits(row, text);
	if (text[0])
		(void)printf("  %-10s %s\n", "RAN INTO", text);
}

static void status_print_times(const struct reply_row *row)
{
	time_t started = (time_t)row->started_s;
	time_t now = time(NULL);
	struct tm tm = { 0 };
	char date[64] = "?";
	char age[RENDER_WORD];

	if (started == 0) {
		(void)printf("  %-10s not yet\n", "started");
		return;
	}
	if (gmtime_r(&started, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
	render_age(now > started ? (__u64)(now - started) : 0, age);
	(void)printf("  %-10s %s, %s ago%s\n", "started", date, age,
		     row->adopted ? "; taken over by a custodyd that was started later" : "");
}

static void status_print_measured(const struct reply_row *row)
{
	char text[RENDER_MEASURED];

	if (row->measured.jail_id == 0) {
		(void)printf("  %-10s not measured: its profile asks for nothing in [model]\n",
			     "weights");
		return;
	}
	render_measured_line(&row->measured, text);
	(void)printf("  %-10s %s\n", "weights", text);
}

static void status_print_checks(const struct status *status)
{
	char text[RENDER_MEASURED];

	for (size_t i = 0; i < status->n_checks; i++) {
		render_checked_line(&status->checks[i], text);
		(void)printf("  %-10s %s\n", "check", text);
	}
}

static void status_print_row(const struct status *status, bool colour)
{
	const struct reply_row *row = &status->row;
	char state[RENDER_WORD], memory[RENDER_WORD], out[RENDER_WORD], in[RENDER_WORD];
	char required[RENDER_PLANES], active[RENDER_PLANES];

	render_state(row->state, state);
	render_bytes(row->memory_bytes, memory);
	render_bytes(row->bytes_out, out);
	render_bytes(row->bytes_in, in);
	render_planes(0, row->planes_active, active);
	render_planes(0, row->planes_required, required);
	(void)printf("%s%s%s is %s\n", colour ? "\033[1m" : "", client_quote(row->name).text,
		     colour ? "\033[0m" : "", state);
	(void)printf("  %-10s %s\n", "profile", client_quote(row->profile).text);
	if (row->model_version)
		(void)printf("  %-10s %u (see custodyctl model list %s)\n", "version",
			     row->model_version, client_quote(row->name).text);
	if (row->processes == 0)
		(void)printf("  %-10s %u: no process\n", "jail", row->jail_id);
	else
		(void)printf("  %-10s %u: process %u on the host, %u in all, %s%s\n", "jail",
			     row->jail_id, row->pid, row->processes,
			     row->memory_bytes ? memory : "unknown",
			     row->memory_bytes ? " of memory" : " memory");
	if (row->uid_count > 0)
		(void)printf("  %-10s %u-%u on the host, of no other model\n", "uids",
			     row->uid_first, row->uid_first + row->uid_count - 1);
	status_print_times(row);
	status_print_measured(row);
	status_print_checks(status);
	(void)printf("  %-10s %s (its profile requires %s)\n", "planes", active, required);
	if (row->planes_required & ~row->planes_active) {
		render_planes(row->planes_required & ~row->planes_active, 0, required);
		(void)printf("  %-10s %s\n", "MISSING", required);
	}
	status_print_endpoints(row);
	status_print_restrictions(row);
	status_print_ceilings(row);
	status_print_limits(row);
	(void)printf("  %-10s %llu allowed, %llu denied, %s out, %s in, %llu events lost\n\n",
		     "so far", row->allowed, row->denied, out, in, row->events_lost);
}

static int status_print_json(const struct status *status)
{
	if (json_object_set(status->model, "counters", status->counters) < 0 ||
	    json_object_set_new(status->model, "checks",
				render_checks_json(status->checks, status->n_checks)) < 0)
		return -1;
	return client_print_json(json_incref(status->model), 0);
}

static int status_print(struct status *status, const struct command_options *options)
{
	bool colour = client_use_colour(stdout);

	if (!status->have_row) {
		client_complain("custodyd answered without saying anything about the model.");
		return CUSTODY_EXIT_INTERNAL;
	}
	if (status->failed || (options->json && status_print_json(status) < 0)) {
		client_complain("The status cannot be printed: out of memory.");
		return CUSTODY_EXIT_INTERNAL;
	}
	if (options->json)
		return CUSTODY_EXIT_DONE;
	status_print_row(status, colour);
	if (status->table.n_cells > status->table.n_columns)
		table_print(&status->table, stdout, colour);
	if (status->silent > 0)
		(void)printf("%u more counters stand at zero.\n", status->silent);
	return CUSTODY_EXIT_DONE;
}

int command_status(int argc, char **argv, const struct command_options *options)
{
	struct request_name request = { .verb = REQUEST_STATUS };
	struct status status = { 0 };
	struct reply_done done;
	int words = client_parse_options(argc, argv, NULL, 0);
	int r;

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words != 1) {
		client_complain("status needs the NAME of one model in custody. See custodyctl "
				"ps.");
		return CUSTODY_EXIT_USAGE;
	}
	if (!client_copy_text(request.name, sizeof(request.name), argv[1], "name"))
		return CUSTODY_EXIT_USAGE;
	status.counters = json_array();
	status.failed = !status.counters || table_open(&status.table, status_headings) < 0;
	r = client_ask(options, MSG_REQUEST_NAME, &request, sizeof(request), status_take_reply,
		       &status, &done);
	if (r == CUSTODY_EXIT_DONE)
		r = status_print(&status, options);
	table_close(&status.table);
	json_decref(status.counters);
	json_decref(status.model);
	return r;
}
