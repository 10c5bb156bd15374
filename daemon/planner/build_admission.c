/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model must show before it starts: from settings to the plan. Run by the planner. Trusts
 * no setting; plan_check() has the last word.
 */
#include <string.h>

#include "build_internal.h"

static const struct place build_registry_place = { .file = "registry", .line = 0 };

/* The first setting that asks for anything: the one to be named when it cannot be had. */
static void build_ask(struct build *b, __u32 what, const struct setting_value *value,
		      const char *key)
{
	b->plan->admission |= PLAN_ADMISSION_MEASURE | what;
	if (b->plan->admission_origin.len == 0)
		b->plan->admission_origin = build_add_origin(b, value->place, "model", key);
}

static void build_add_keys(struct build *b)
{
	const struct words *words = &b->settings->trusted_keys.words;

	for (size_t i = 0; i < words->n && !settings_is_none(&b->settings->trusted_keys); i++) {
		const struct word *word = &words->list[i];

		if (b->plan->n_keys >= PLAN_KEYS_MAX) {
			problems_error(b->problems, word->place,
				       "[model] trusted-keys: more than %d files", PLAN_KEYS_MAX);
			return;
		}
		b->plan->keys[b->plan->n_keys++] = (struct plan_key){
			.path = build_add_string(b, word->text, word->place),
			.origin = build_add_origin(b, word->place, "model", "trusted-keys"),
		};
	}
}

/* The one that the registry has. Nobody looks at it unless the profile says by whom it must be. */
static bool build_add_registered(struct build *b)
{
	const char *signature = b->request->signature;

	if (!signature || !signature[0])
		return false;
	if (!b->settings->require_signature.number)
		problems_add(b->problems, build_registry_place, CUSTODY_EXIT_REFUSED,
			     "the model is registered with a signature, which the profile does "
			     "not verify; set [model] require-signature = yes and trusted-keys, or "
			     "register it without one");
	b->plan->signature = build_add_string(b, signature, build_registry_place);
	b->plan->signature_origin = build_add_string(b, "the registry", build_registry_place);
	return true;
}

static void build_add_signature(struct build *b)
{
	const struct settings *s = b->settings;
	const bool registered = build_add_registered(b);

	if (!s->require_signature.number)
		return;
	build_ask(b, PLAN_ADMISSION_SIGNATURE, &s->require_signature, "require-signature");
	build_add_keys(b);
	if (!s->signature.set || registered)
		return;
	b->plan->signature =
		build_add_string(b, s->signature.words.list[0].text, s->signature.place);
	b->plan->signature_origin = build_add_origin(b, s->signature.place, "model", "signature");
}

/* Three words make one: TYPE by KEYFILE. */
static void build_add_attestation(struct build *b, const struct word *word, size_t left)
{
	struct custody_plan *plan = b->plan;

	if (left < 3 || strcmp(word[1].text, "by") != 0) {
		problems_error(b->problems, word->place,
			       "[model] require-attestation: write TYPE by KEYFILE, one after the "
			       "other");
		return;
	}
	if (plan->n_attestations >= PLAN_ATTESTATIONS_MAX) {
		problems_error(b->problems, word->place,
			       "[model] require-attestation: more than %d", PLAN_ATTESTATIONS_MAX);
		return;
	}
	for (__u32 i = 0; i < plan->n_attestations; i++) {
		const struct plan_attestation *a = &plan->attestations[i];

		if (strcmp(plan->pool + a->type.off, word[0].text) == 0 &&
		    strcmp(plan->pool + a->key.off, word[2].text) == 0)
			problems_error(b->problems, word->place,
				       "[model] require-attestation: the same stands there twice");
	}
	plan->attestations[plan->n_attestations++] = (struct plan_attestation){
		.type = build_add_string(b, word[0].text, word[0].place),
		.key = build_add_string(b, word[2].text, word[2].place),
		.origin = build_add_origin(b, word->place, "model", "require-attestation"),
	};
	(void)build_check(b, word->place, "model", "require-attestation", word[2].text);
}

/* Where the statements lie: named, or beside the model's directory. */
static void build_set_attestations_path(struct build *b)
{
	const struct setting_value *value = &b->settings->attestations;
	char path[CUSTODY_PATH_SIZE + 16];

	if (value->set) {
		b->plan->attestations_path =
			build_add_string(b, value->words.list[0].text, value->place);
		return;
	}
	(void)snprintf(path, sizeof(path), "%s.attestations", b->model);
	b->plan->attestations_path = build_add_string(b, path, b->settings->attestation.place);
}

static void build_add_attestations(struct build *b)
{
	const struct setting_value *value = &b->settings->attestation;

	if (settings_is_none(value))
		return;
	build_ask(b, 0, value, "require-attestation");
	build_set_attestations_path(b);
	for (size_t i = 0; i < value->words.n && problems_none(b->problems); i += 3)
		build_add_attestation(b, &value->words.list[i], value->words.n - i);
}

static void build_add_checker(struct build *b, const struct word *first, size_t n)
{
	struct custody_plan *plan = b->plan;
	struct plan_checker *checker = &plan->checkers[plan->n_checkers];

	if (plan->n_checkers == PLAN_CHECKERS_MAX || n > PLAN_CHECKER_ARGS_MAX) {
		problems_error(b->problems, first->place,
			       "[model] check: at most %d programs, one on each line, with %d "
			       "words each", PLAN_CHECKERS_MAX, PLAN_CHECKER_ARGS_MAX);
		return;
	}
	for (size_t i = 0; i < n; i++)
		checker->args[checker->n_args++] = build_add_word(b, &first[i]);
	checker->origin = build_add_origin(b, first->place, "model", "check");
	plan->n_checkers++;
	if (problems_none(b->problems))
		(void)build_check(b, first->place, "model", "check", first->text);
}

static void build_add_checkers(struct build *b)
{
	const struct setting_value *value = &b->settings->check;
	size_t n;

	if (settings_is_none(value))
		return;
	build_ask(b, 0, value, "check");
	b->plan->checker_timeout_s = (__u32)b->settings->check_timeout.number;
	if (b->plan->checker_timeout_s == 0)
		problems_error(b->problems, b->settings->check_timeout.place,
			       "[model] check-timeout: no check ends in no time; write 1s or more");
	for (size_t i = 0; i < value->words.n && problems_none(b->problems); i += n) {
		for (n = 1; i + n < value->words.n && !settings_begins_line(value, i + n); n++)
			;
		build_add_checker(b, &value->words.list[i], n);
	}
}

void build_add_admission(struct build *b)
{
	const struct settings *s = b->settings;
	struct custody_plan *plan = b->plan;
	const bool formats = !settings_is_none(&s->formats);

	/* Without a model there is nothing to ask anything of, which is not what was meant. */
	if (!b->model[0] && (s->require_signature.number || formats || s->measure.number ||
			     !settings_is_none(&s->attestation) || !settings_is_none(&s->check)))
		problems_error(b->problems,
			       s->require_signature.number ? s->require_signature.place
			       : formats		   ? s->formats.place
			       : s->measure.number	   ? s->measure.place
			       : settings_is_none(&s->check) ? s->attestation.place
							     : s->check.place,
			       "[model] says what a model must show, but there is none; set path, "
			       "or name the directory with --model");
	if (!problems_none(b->problems))
		return;
	if (s->measure.number)
		build_ask(b, 0, &s->measure, "measure");
	if (b->request->measure && b->model[0] && plan->admission == 0) {
		plan->admission = PLAN_ADMISSION_MEASURE;
		plan->admission_origin =
			build_add_string(b, b->request->n_args > 0 ? "--attest" : "the registry",
					 build_registry_place);
	}
	if (formats) {
		build_ask(b, 0, &s->formats, "formats");
		plan->formats = (__u32)s->formats.number;
		plan->formats_origin = build_add_origin(b, s->formats.place, "model", "formats");
	}
	build_add_signature(b);
	build_add_attestations(b);
	if (problems_none(b->problems) && plan->n_keys > 0)
		(void)build_check(b, s->trusted_keys.place, "model", "trusted-keys",
				  s->trusted_keys.words.list[0].text);
	if (problems_none(b->problems) && plan->admission != 0)
		(void)build_check(b, b->settings->model_path.place, "model", "path", b->model);
	if (problems_none(b->problems))
		build_add_checkers(b);
	if (plan->admission != 0 && s->allow_pickle.number)
		plan->admission |= PLAN_ADMISSION_PICKLE;
}
