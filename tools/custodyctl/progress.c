/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that take steps: start, stop, freeze, thaw, retire. Run by custodyctl. Trusts no text
 * of a reply.
 */
#include <string.h>

#include "client.h"
#include "render.h"

struct progress {
	const struct command_options *options;
	json_t *steps;		/* with --json; borrowed */
	bool colour;
	bool failed;		/* out of memory for JSON */
};

static void progress_print_step(const struct reply_step *step, const struct progress *progress)
{
	if (progress->options->quiet)
		return;
	(void)printf("%s[%u/%u]%s %s\n", progress->colour ? "\033[2m" : "", step->step, step->steps,
		     progress->colour ? "\033[0m" : "", client_quote(step->text).text);
	(void)fflush(stdout);
}

static void progress_take_reply(const union message_buffer *reply, void *data)
{
	const struct reply_step *step = (const struct reply_step *)reply;
	struct progress *progress = data;
	json_t *item;

	if (reply->head.type != MSG_REPLY_STEP)
		return;
	if (!progress->options->json) {
		progress_print_step(step, progress);
		return;
	}
	item = json_pack("{s:I, s:I, s:o}", "step", (json_int_t)step->step, "steps",
			 (json_int_t)step->steps, "text", render_text_json(step->text));
	if (json_array_append_new(progress->steps, item) < 0)
		progress->failed = true;
}

static int progress_print_json(const char *name, const struct reply_done *done, json_t *steps)
{
	json_t *all = json_pack("{s:o, s:I, s:o, s:O}", "name", render_text_json(name), "exit",
				(json_int_t)done->exit, "text", render_text_json(done->text),
				"steps", steps);

	return client_print_json(all, 0);
}

int client_ask_progress(const struct command_options *options, const char *name, __u32 type,
			void *body, size_t size)
{
	struct progress progress = {
		.options = options,
		.steps = json_array(),
		.colour = client_use_colour(stdout),
	};
	struct reply_done done;
	int r = client_ask(options, type, body, size, progress_take_reply, &progress, &done);

	if (options->json) {
		if (progress_print_json(name, &done, progress.steps) < 0 || progress.failed) {
			client_complain("The answer cannot be printed as JSON: out of memory.");
			r = CUSTODY_EXIT_INTERNAL;
		}
	} else if (r == CUSTODY_EXIT_DONE && done.text[0] && !options->quiet) {
		(void)printf("%s\n", client_quote(done.text).text);
	}
	json_decref(progress.steps);
	return r;
}
