/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl restrict: takes rights from a running model. Run as the caller. Trusts no reply's
 * text. Endpoints are named as `status` shows them: the model's row is asked for first, and the
 * request says by number, and for which jail, what was found in it.
 */
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "render.h"

struct restrict_option {
	const char *name;
	__u32 what;
};

static const struct restrict_option restrict_options[] = {
	{ "--cut-egress", RESTRICTION_EGRESS },
	{ "--no-gpu", RESTRICTION_DEVICES },
	{ "--read-only-scratch", RESTRICTION_SCRATCH },
};

struct restrict_wish {
	struct request_restrict request;
	const char *endpoints[CUSTODY_ENDPOINTS_MAX];
	unsigned int n_endpoints;
	const char *name;
};

static bool restrict_take_flag(struct restrict_wish *wish, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(restrict_options); i++) {
		if (strcmp(word, restrict_options[i].name) == 0) {
			wish->request.what |= restrict_options[i].what;
			return true;
		}
	}
	if (strcmp(word, "--opens-only") != 0)
		return false;
	wish->request.opens_only = 1;
	return true;
}

static bool restrict_take_endpoint(struct restrict_wish *wish, const char *text)
{
	if (wish->n_endpoints == ARRAY_SIZE(wish->endpoints)) {
		client_complain("A model has at most %d endpoints.", CUSTODY_ENDPOINTS_MAX);
		return false;
	}
	wish->endpoints[wish->n_endpoints++] = text;
	return true;
}

static bool restrict_take_word(struct restrict_wish *wish, int argc, char **argv, int *at)
{
	static const char drop[] = "--drop-endpoint";
	const char *word = argv[*at];

	if (restrict_take_flag(wish, word))
		return true;
	if (strcmp(word, drop) == 0 && *at + 1 < argc)
		return restrict_take_endpoint(wish, argv[++*at]);
	if (strncmp(word, drop, sizeof(drop) - 1) == 0 && word[sizeof(drop) - 1] == '=')
		return restrict_take_endpoint(wish, word + sizeof(drop));
	if (word[0] == '-') {
		client_complain("restrict has no option %s, or its value is missing. See "
				"custodyctl help restrict.", client_quote(word).text);
		return false;
	}
	if (wish->name) {
		client_complain("restrict takes the NAME of one model.");
		return false;
	}
	wish->name = word;
	return true;
}

static bool restrict_parse(struct restrict_wish *wish, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!restrict_take_word(wish, argc, argv, &i))
			return false;
	}
	if (!wish->name) {
		client_complain("restrict needs the NAME of one model in custody. See custodyctl "
				"ps.");
		return false;
	}
	if (!wish->request.what && wish->n_endpoints == 0) {
		client_complain("restrict needs at least one of --cut-egress, --drop-endpoint, "
				"--no-gpu, --read-only-scratch.");
		return false;
	}
	return client_copy_text(wish->request.name, sizeof(wish->request.name), wish->name,
				"name");
}

static void restrict_take_row(const union message_buffer *reply, void *data)
{
	if (reply->head.type == MSG_REPLY_ROW)
		memcpy(data, reply, sizeof(struct reply_row));
}

/* Finds an endpoint of the row by how it is shown. */
static bool restrict_find_endpoint(struct restrict_wish *wish, const struct reply_row *row,
				   const char *wanted)
{
	for (__u32 i = 0; i < row->n_endpoints && i < CUSTODY_ENDPOINTS_MAX; i++) {
		char text[RENDER_ENDPOINT];

		render_endpoint(&row->endpoints[i], text);
		if (strcmp(text, wanted) != 0)
			continue;
		wish->request.endpoints |= 1U << i;
		return true;
	}
	client_complain("%s has no endpoint %s. custodyctl status shows those that it has; write "
			"one just so.", client_quote(row->name).text, client_quote(wanted).text);
	return false;
}

int command_restrict(int argc, char **argv, const struct command_options *options)
{
	struct request_name ask = { .verb = REQUEST_STATUS };
	struct restrict_wish wish = { 0 };
	struct reply_row row = { 0 };
	struct reply_done done;
	int r;

	if (!restrict_parse(&wish, argc, argv))
		return CUSTODY_EXIT_USAGE;
	memcpy(ask.name, wish.request.name, sizeof(ask.name));
	r = client_ask(options, MSG_REQUEST_NAME, &ask, sizeof(ask), restrict_take_row, &row,
		       &done);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	wish.request.jail_id = row.jail_id;
	for (unsigned int i = 0; i < wish.n_endpoints; i++) {
		if (!restrict_find_endpoint(&wish, &row, wish.endpoints[i]))
			return CUSTODY_EXIT_REFUSED;
	}
	return client_ask_progress(options, wish.request.name, MSG_REQUEST_RESTRICT, &wish.request,
				   sizeof(wish.request));
}
