/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl model register, list, rollback, revoke: the registry of models. Run as the caller.
 * Trusts the form of replies (message_recv() checks it), never their text.
 */
#include "registry.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "registry_index.h"
#include "registry_verity.h"
#include "render.h"
#include "table.h"

#define REGISTRY_TIME 32
#define REGISTRY_SHORT 12	/* hex digits of a digest in a table */

static const char *const registry_headings[] = {
	"NAME", ">VERSION", "STATE", "PROFILE", "DIGEST", "REGISTERED", "BY", "SERVED WELL",
	"SIGNER", "DIRECTORY", "WHY", NULL,
};

struct registry_words {
	const char *profile;
	const char *signature;
	const char *card;
	const char *reason;
	bool restart;
	bool verity;
};

/* Rows as they come. */
struct registry_rows {
	struct table table;
	json_t *models;		/* owned */
	bool wrong;		/* one is missing or changed, and that has been said */
	size_t n;
	bool failed;		/* out of memory */
};

/* ---- printing ---- */

static const char *registry_find_state(const struct model_version *model)
{
	if (model->revoked.time_s)
		return "revoked";
	return model->retired.time_s ? "retired" : "active";
}

static void registry_print_time(const struct model_mark *mark, char ret[REGISTRY_TIME])
{
	time_t seconds = (time_t)mark->time_s;
	struct tm tm = { 0 };

	(void)snprintf(ret, REGISTRY_TIME, "-");
	if (mark->time_s && gmtime_r(&seconds, &tm))
		(void)strftime(ret, REGISTRY_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void registry_print_user(__u32 uid, char *ret, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		(void)escape_text(user->pw_name, strlen(user->pw_name), true, ret, size);
	else
		(void)snprintf(ret, size, "%u", uid);
}

static void registry_print_digest(const __u8 digest[CUSTODY_DIGEST_SIZE], char *ret)
{
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static json_t *registry_mark_json(const struct model_mark *mark)
{
	char time[REGISTRY_TIME];

	if (!mark->time_s)
		return json_null();
	registry_print_time(mark, time);
	return json_pack("{s:s, s:o, s:o}", "time", time, "uid",
			 mark->uid == MODEL_NOBODY ? json_null() : json_integer(mark->uid), "why",
			 mark->why[0] ? render_text_json(mark->why) : json_null());
}

static json_t *registry_text_json(const char *text)
{
	return text[0] ? render_text_json(text) : json_null();
}

static json_t *registry_model_json(const struct model_version *m, enum registry_index_state index)
{
	char digest[2 * CUSTODY_DIGEST_SIZE + 1];

	registry_print_digest(m->digest, digest);
	return json_pack("{s:o, s:I, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o}", "name", render_text_json(m->name), "version",
			 (json_int_t)m->version, "current", (int)m->current, "state",
			 registry_find_state(m), "digest", digest, "directory",
			 render_text_json(m->directory), "profile", render_text_json(m->profile),
			 "signature", registry_text_json(m->signature), "signer",
			 registry_text_json(m->signer), "card", registry_text_json(m->card),
			 "fingerprints", registry_index_json(m, index), "registered",
			 registry_mark_json(&m->registered), "served_well",
			 registry_mark_json(&m->served), "retired",
			 registry_mark_json(&m->retired), "revoked",
			 registry_mark_json(&m->revoked));
}

static int registry_add_row(struct registry_rows *rows, const struct model_version *m)
{
	const struct model_mark *end = m->revoked.time_s ? &m->revoked : &m->retired;
	char name[ESCAPE_SIZE(CUSTODY_NAME_SIZE)], profile[ESCAPE_SIZE(CUSTODY_NAME_SIZE)];
	char registered[REGISTRY_TIME], served[REGISTRY_TIME], digest[2 * CUSTODY_DIGEST_SIZE + 1];
	char by[ESCAPE_SIZE(64)], version[16], state[32];
	char signer[ESCAPE_SIZE(MODEL_SIGNER_SIZE)], directory[ESCAPE_SIZE(CUSTODY_PATH_SIZE)];
	char why[ESCAPE_SIZE(MODEL_WHY_SIZE)];
	const char *const cells[] = { name, version, state, profile, digest, registered, by, served,
				      signer, directory, why };

	_Static_assert(ARRAY_SIZE(cells) + 1 == ARRAY_SIZE(registry_headings), "a cell each");
	(void)escape_text(m->name, sizeof(m->name), false, name, sizeof(name));
	(void)escape_text(m->profile, sizeof(m->profile), false, profile, sizeof(profile));
	(void)escape_text(m->signer[0] ? m->signer : "-", sizeof(m->signer), false, signer,
			  sizeof(signer));
	(void)escape_text(m->directory, sizeof(m->directory), false, directory, sizeof(directory));
	(void)escape_text(end->why[0] ? end->why : "-", sizeof(end->why), false, why, sizeof(why));
	(void)snprintf(version, sizeof(version), "%u", m->version);
	(void)snprintf(state, sizeof(state), "%s%s", registry_find_state(m),
		       m->current ? ", current" : "");
	registry_print_digest(m->digest, digest);
	digest[REGISTRY_SHORT] = '\0';
	registry_print_time(&m->registered, registered);
	registry_print_time(&m->served, served);
	registry_print_user(m->registered.uid, by, sizeof(by));
	return table_add_row(&rows->table, cells);
}

static void registry_take_reply(const union message_buffer *reply, void *data)
{
	const struct reply_model *row = (const struct reply_model *)reply;
	struct registry_rows *rows = data;

	enum registry_index_state index;

	if (reply->head.type != MSG_REPLY_MODEL)
		return;
	rows->n++;
	index = registry_index_check(&row->model);
	rows->wrong = registry_index_complain(&row->model, index) || rows->wrong;
	if (registry_add_row(rows, &row->model) < 0 ||
	    json_array_append_new(rows->models, registry_model_json(&row->model, index)) < 0)
		rows->failed = true;
}

static int registry_print_json(json_t *json)
{
	return client_print_json(json, 0) < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

/* ---- asking ---- */

static int registry_open_rows(struct registry_rows *rows)
{
	rows->models = json_array();
	if (rows->models && table_open(&rows->table, registry_headings) == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("Out of memory.");
	return CUSTODY_EXIT_INTERNAL;
}

/* What is readable is printed, also when the answer then says that not everything was. */
static int registry_list(struct request_model *request, const struct command_options *options,
			 struct registry_rows *rows)
{
	struct reply_done done;
	int r = client_ask(options, MSG_REQUEST_MODEL, request, sizeof(*request),
			   registry_take_reply, rows, &done);

	if (rows->failed) {
		client_complain("The list cannot be printed: out of memory.");
		return CUSTODY_EXIT_INTERNAL;
	}
	if (r == CUSTODY_EXIT_DONE && rows->wrong)
		r = CUSTODY_EXIT_FALSE;
	if (options->json && (r == CUSTODY_EXIT_DONE || rows->n > 0)) {
		int printed = registry_print_json(json_pack("{s:O}", "models", rows->models));

		return r == CUSTODY_EXIT_DONE ? printed : r;
	}
	if (rows->n > 0)
		table_print(&rows->table, stdout, client_use_colour(stdout));
	else if (r == CUSTODY_EXIT_DONE && !options->quiet)
		(void)printf("No model is registered.\n");
	return r;
}

static int registry_change(struct request_model *request, const struct command_options *options,
			   struct registry_rows *rows)
{
	struct reply_done done;
	int r = client_ask(options, MSG_REQUEST_MODEL, request, sizeof(*request),
			   registry_take_reply, rows, &done);

	if (options->json && !rows->failed) {
		int printed = registry_print_json(json_pack(
			"{s:i, s:o, s:o}", "exit", r, "text", render_text_json(done.text), "model",
			rows->n > 0 ? json_incref(json_array_get(rows->models, 0)) : json_null()));

		return r == CUSTODY_EXIT_DONE ? printed : r;
	}
	if (r == CUSTODY_EXIT_DONE && !options->quiet)
		(void)printf("%s\n", client_quote(done.text).text);
	return r;
}

/* ---- rollback --restart ---- */

static void registry_take_state(const union message_buffer *reply, void *data)
{
	const struct reply_row *row = (const struct reply_row *)reply;

	if (reply->head.type == MSG_REPLY_ROW)
		*(bool *)data = row->state != JAIL_STATE_STOPPED &&
				row->state != JAIL_STATE_RETIRED;
}

/* Is a model of that name in custody? An exit code when that cannot be asked. */
static int registry_ask_running(const char *name, const struct command_options *options,
				bool *ret)
{
	struct request_name request = { .verb = REQUEST_PS };
	union message_buffer reply;
	cleanup_fd int fd = -1;
	int r = client_connect(options, &fd);

	*ret = false;
	if (r == 0)
		r = client_send(fd, MSG_REQUEST_NAME, &request, sizeof(request), NULL, 0);
	while (r == 0) {
		const struct reply_row *row = (const struct reply_row *)&reply;

		r = client_receive_one(fd, &reply);
		if (r != 0 || reply.head.type == MSG_REPLY_DONE)
			break;
		if (reply.head.type == MSG_REPLY_ROW && strcmp(row->name, name) == 0)
			registry_take_state(&reply, ret);
	}
	return r;
}

static int registry_restart(const char *name, const struct command_options *options)
{
	struct request_name stop = { .verb = REQUEST_STOP };
	struct request_start start = { 0 };
	int r;

	(void)snprintf(stop.name, sizeof(stop.name), "%s", name);
	(void)snprintf(start.name, sizeof(start.name), "%s", name);
	r = client_ask_progress(options, name, MSG_REQUEST_NAME, &stop, sizeof(stop));
	return r == CUSTODY_EXIT_DONE ? client_ask_progress(options, name, MSG_REQUEST_START,
							     &start, sizeof(start)) : r;
}

static int registry_roll_back(struct request_model *request, bool restart,
			      const struct command_options *options, struct registry_rows *rows)
{
	bool running = false;
	int r = CUSTODY_EXIT_DONE;

	request->running = restart;
	if (restart)
		r = registry_ask_running(request->name, options, &running);
	if (r == CUSTODY_EXIT_DONE)
		r = registry_change(request, options, rows);
	return r == CUSTODY_EXIT_DONE && running ? registry_restart(request->name, options) : r;
}

/* ---- words ---- */

bool registry_take_version(char *name, size_t size, const char *text, __u32 *ret_version)
{
	const char *at = strrchr(text, '@');
	char *end = NULL;
	unsigned long n = 0;

	*ret_version = 0;
	if (at && at[1] >= '1' && at[1] <= '9')
		n = strtoul(at + 1, &end, 10);
	if (at && (!end || *end || n > REGISTRY_VERSIONS_MAX)) {
		client_complain("%s: after the @ stands the number of a version, from 1 to %d.",
				client_quote(text).text, REGISTRY_VERSIONS_MAX);
		return false;
	}
	*ret_version = (__u32)n;
	if ((at ? (size_t)(at - text) : strlen(text)) >= size) {
		client_complain("The name is too long: at most %zu characters.", size - 1);
		return false;
	}
	(void)snprintf(name, size, "%.*s", (int)(at ? at - text : (ptrdiff_t)strlen(text)), text);
	return true;
}

static bool registry_copy_path(char *field, size_t size, const char *path, const char *what)
{
	cleanup_ptr char *absolute = realpath(path, NULL);

	if (absolute)
		return client_copy_text(field, size, absolute, what);
	client_complain("The %s %s cannot be used: %s.", what, client_quote(path).text,
			strerror(errno));
	return false;
}

static bool registry_fill_addition(struct request_model *request, const char *directory,
				   const struct registry_words *words)
{
	if (words->profile && !client_copy_text(request->profile, sizeof(request->profile),
						words->profile, "profile"))
		return false;
	if (words->signature && !registry_copy_path(request->signature, sizeof(request->signature),
						    words->signature, "signature"))
		return false;
	if (words->card &&
	    !registry_copy_path(request->card, sizeof(request->card), words->card, "model card"))
		return false;
	return registry_copy_path(request->directory, sizeof(request->directory), directory,
				  "model directory");
}

struct registry_form {
	const char *verb;
	enum registry_verb number;
	int least, most;	/* words after the verb */
	bool takes_version;
	const char *usage;
};

static const struct registry_form registry_forms[] = {
	{ "list", REGISTRY_LIST, 0, 1, false, "[NAME] [--json]" },
	{ "register", REGISTRY_ADD, 2, 2, false,
	  "NAME DIR [--profile P] [--signature FILE] [--card FILE] [--fs-verity]" },
	{ "rollback", REGISTRY_ROLLBACK, 1, 1, true, "NAME[@VERSION] [--restart]" },
	{ "revoke", REGISTRY_REVOKE, 1, 1, true, "NAME[@VERSION] --reason TEXT" },
};

static const struct registry_form *registry_find_form(const char *verb)
{
	for (size_t i = 0; verb && i < ARRAY_SIZE(registry_forms); i++) {
		if (strcmp(registry_forms[i].verb, verb) == 0)
			return &registry_forms[i];
	}
	return NULL;
}

bool registry_has_verb(const char *verb)
{
	return registry_find_form(verb) != NULL;
}

/* An option that another verb takes is a mistake here. */
static bool registry_check_words(const struct registry_form *form, int n,
				 const struct registry_words *w)
{
	const bool add = form->number == REGISTRY_ADD;
	const bool revoke = form->number == REGISTRY_REVOKE;

	if (n - 1 >= form->least && n - 1 <= form->most &&
	    (add || (!w->profile && !w->signature && !w->card && !w->verity)) &&
	    revoke == !!w->reason &&
	    (form->number == REGISTRY_ROLLBACK || !w->restart))
		return true;
	client_complain("model %s takes %s.", form->verb, form->usage);
	return false;
}

static bool registry_fill(struct request_model *request, const struct registry_form *form,
			  char **argv, int n, const struct registry_words *words)
{
	request->verb = form->number;
	if (n > 1 && form->takes_version &&
	    !registry_take_version(request->name, sizeof(request->name), argv[2],
				   &request->version))
		return false;
	if (n > 1 && !form->takes_version &&
	    !client_copy_text(request->name, sizeof(request->name), argv[2], "name"))
		return false;
	if (words->reason &&
	    !client_copy_text(request->why, sizeof(request->why), words->reason, "reason"))
		return false;
	return form->number != REGISTRY_ADD || registry_fill_addition(request, argv[3], words);
}

static int registry_ask(struct request_model *request, const struct registry_words *words,
			const struct command_options *options)
{
	struct registry_rows rows = { 0 };
	int r = registry_open_rows(&rows);

	if (r == CUSTODY_EXIT_DONE && words->verity)
		r = registry_enable_verity(request->directory);
	if (r == CUSTODY_EXIT_DONE && request->verb == REGISTRY_LIST)
		r = registry_list(request, options, &rows);
	else if (r == CUSTODY_EXIT_DONE && request->verb == REGISTRY_ROLLBACK)
		r = registry_roll_back(request, words->restart, options, &rows);
	else if (r == CUSTODY_EXIT_DONE)
		r = registry_change(request, options, &rows);
	table_close(&rows.table);
	json_decref(rows.models);
	return r;
}

/* Takes the options without a value out of argv. Returns how many words are left. */
static int registry_take_flags(int argc, char **argv, struct registry_words *words)
{
	int left = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--restart") == 0)
			words->restart = true;
		else if (strcmp(argv[i], "--fs-verity") == 0)
			words->verity = true;
		else
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

int command_registry(int argc, char **argv, const struct command_options *options)
{
	struct registry_words words = { 0 };
	const struct client_option table[] = {
		{ "--profile", &words.profile },
		{ "--signature", &words.signature },
		{ "--card", &words.card },
		{ "--reason", &words.reason },
	};
	struct request_model request = { 0 };
	const struct registry_form *form;
	int n;

	argc = registry_take_flags(argc, argv, &words);
	n = client_parse_options(argc, argv, table, ARRAY_SIZE(table));
	form = n > 0 ? registry_find_form(argv[1]) : NULL;
	if (!form || !registry_check_words(form, n, &words) ||
	    !registry_fill(&request, form, argv, n, &words))
		return CUSTODY_EXIT_USAGE;
	return registry_ask(&request, &words, options);
}
