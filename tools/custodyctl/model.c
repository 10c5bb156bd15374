/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl model: signatures of models and datasets (OpenSSF Model Signing v1.0), made and
 * verified. Run as the caller; asks no daemon. Trusts the key or the roots that the caller names,
 * and no byte of bundle and model.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "model_attest.h"
#include "model_file.h"
#include "registry.h"
#include "render.h"

struct model_words {
	const char *key;
	const char *certificate;
	const char *out;
	const char *roots;
	const char *signature;
	bool shards;
	bool ignore_unsigned;
};

struct model_run {
	const struct command_options *options;
	const struct model_words *words;
	struct model_directory directory;
	struct client_progress progress;
	struct oms_identity id; /* of the signature */
	struct oms_trust trust;
};

/* What a verification found; with --json printed whatever it is. */
struct model_result {
	int r;
	struct oms_why why;
	struct oms_signer signer;
	const struct oms_manifest *manifest; /* NULL before the signature is known to be good */
	struct oms_report report;
};

static const char *const model_kinds[] = {
	[OMS_CHANGED] = "changed",
	[OMS_MISSING] = "missing",
	[OMS_UNLISTED] = "unlisted",
};

static int model_load_roots(const char *path, struct oms_roots **ret)
{
	cleanup_ptr char *pem = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	int r = model_read_file(path, OMS_PEM_MAX, &pem, &n, NULL);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	return model_judge_file(path, oms_roots_parse(pem, n, ret, &why), &why);
}

/* Hashes the model, as manifest and skip say. */
static int model_measure(struct model_run *run, const struct oms_manifest *how,
			 const struct oms_identity *skip, const struct oms_manifest *listed,
			 struct oms_manifest *ret, struct oms_why *why)
{
	struct oms_model model = {
		.dirfd = run->directory.fd,
		.file = run->directory.file,
		.ignore = how->ignore,
		.n_ignore = how->n_ignore,
		.skip = skip,
		.progress = client_show_progress,
		.data = &run->progress,
	};
	int r;

	client_start_progress(&run->progress, run->options);
	r = oms_measure(&model, listed, ret, why);
	client_end_progress(&run->progress);
	return r;
}

/* ---- sign ---- */

static int model_report_signed(const struct model_run *run, const struct oms_manifest *manifest,
			       const struct oms_key *key, const char *out)
{
	char hex[OMS_HEX_SIZE];
	json_t *json;
	int r;

	oms_print_hex(manifest->root, hex);
	if (!run->options->json) {
		if (!run->options->quiet)
			(void)printf("Signed: %zu %s of %s, sha256:%s\nSignature: %s\n",
				     manifest->n_items, run->words->shards ? "shards" : "files",
				     client_quote(manifest->model).text, hex,
				     client_quote(out).text);
		return CUSTODY_EXIT_DONE;
	}
	json = json_pack("{s:o, s:s, s:s, s:I, s:o, s:s}", "model",
			 render_text_json(manifest->model), "digest", hex, "method",
			 run->words->shards ? "shards" : "files", "items",
			 (json_int_t)manifest->n_items, "signature", render_text_json(out), "key",
			 oms_key_hint(key));
	r = client_print_json(json, 0);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

static int model_sign_directory(struct model_run *run, const struct oms_key *key,
				const char *certificates, size_t certificates_n, const char *out)
{
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	cleanup_ptr char *relative = model_find_relative(&run->directory, out);
	cleanup_ptr char *text = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	int r;

	r = oms_manifest_make(run->words->shards ? OMS_SHARDS : OMS_FILES, run->directory.name,
			      relative, &manifest);
	if (relative && !oms_check_path(relative, strlen(relative))) {
		client_complain(
			"%s is no path that a manifest may hold: put the signature elsewhere "
			"with --out.",
			client_quote(relative).text);
		return CUSTODY_EXIT_REFUSED;
	}
	if (r == 0)
		r = model_measure(run, manifest, NULL, NULL, manifest, &why);
	if (r == 0)
		r = oms_bundle_sign(manifest, key, certificates, certificates_n, time(NULL), &text,
				    &n, &why);
	if (r < 0)
		return model_complain(run->directory.name, r, &why);
	r = model_write_file(out, text, n);
	return r == CUSTODY_EXIT_DONE ? model_report_signed(run, manifest, key, out) : r;
}

static int model_sign(struct model_run *run, const char *path)
{
	cleanup_oms_key struct oms_key *key = NULL;
	cleanup_ptr char *certificates = NULL;
	size_t n = 0;
	int r;

	if (!run->words->key || run->words->roots || run->words->signature ||
	    run->words->ignore_unsigned) {
		client_complain("model sign takes DIR --key FILE [--cert FILE] [--out FILE] "
				"[--shards].");
		return CUSTODY_EXIT_USAGE;
	}
	r = model_load_key(run->words->key, oms_key_parse_private, &key);
	if (r == CUSTODY_EXIT_DONE && run->words->certificate)
		r = model_read_file(run->words->certificate, OMS_PEM_MAX, &certificates, &n, NULL);
	if (r == CUSTODY_EXIT_DONE)
		r = model_open_directory(path, &run->directory);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	return model_sign_directory(run, key, certificates, n,
				    run->words->out ? run->words->out : run->directory.signature);
}

/* ---- verify ---- */

static json_t *model_differences_json(const struct oms_report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < report->n_first; i++) {
		const struct oms_difference *d = &report->first[i];

		if (json_array_append_new(array,
					  json_pack("{s:s, s:o}", "kind", model_kinds[d->kind],
						    "name", render_text_json(d->name))) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *model_ignored_json(const struct oms_manifest *manifest)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < manifest->n_ignore; i++) {
		if (json_array_append_new(array, render_text_json(manifest->ignore[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* What the signature says of the model; only once it is known to be good. */
static json_t *model_manifest_json(const struct oms_manifest *manifest,
				   const struct oms_signer *signer)
{
	char hex[OMS_HEX_SIZE];

	if (!manifest)
		return json_null();
	oms_print_hex(manifest->root, hex);
	return json_pack("{s:o, s:s, s:s, s:I, s:b, s:s, s:o}", "model",
			 render_text_json(manifest->model), "digest", hex, "method",
			 manifest->method == OMS_SHARDS ? "shards" : "files", "items",
			 (json_int_t)manifest->n_items, "deprecated", (int)manifest->deprecated,
			 "signer", signer->text, "ignored", model_ignored_json(manifest));
}

static int model_print_json(const struct model_result *result)
{
	const struct oms_report *report = &result->report;
	json_t *json;

	json = json_pack("{s:b, s:i, s:o, s:o, s:I, s:I, s:I, s:o}", "verified", result->r == 0,
			 "exit", model_find_exit(result->r), "why",
			 result->r == 0 ? json_null() : render_text_json(result->why.text),
			 "signed", model_manifest_json(result->manifest, &result->signer),
			 "changed", (json_int_t)report->n[OMS_CHANGED], "missing",
			 (json_int_t)report->n[OMS_MISSING], "unlisted",
			 (json_int_t)report->n[OMS_UNLISTED], "differences",
			 model_differences_json(report));
	if (client_print_json(json, 0) < 0)
		return CUSTODY_EXIT_INTERNAL;
	return model_find_exit(result->r);
}

static int model_print_text(const struct model_run *run, const struct model_result *result)
{
	const struct oms_report *report = &result->report;
	size_t all = report->n[OMS_CHANGED] + report->n[OMS_MISSING] + report->n[OMS_UNLISTED];
	char hex[OMS_HEX_SIZE];

	if (result->r == 0) {
		if (run->options->quiet)
			return CUSTODY_EXIT_DONE;
		oms_print_hex(result->manifest->root, hex);
		(void)printf("Verified: %zu %s of %s, sha256:%s", result->manifest->n_items,
			     result->manifest->method == OMS_SHARDS ? "shards" : "files",
			     client_quote(result->manifest->model).text, hex);
		(void)printf("\nSigned by %s%s\n", result->signer.text,
			     result->manifest->deprecated ? ", in a form that is deprecated" : "");
		return CUSTODY_EXIT_DONE;
	}
	(void)model_complain(run->directory.name, result->r, &result->why);
	for (size_t i = 0; i < report->n_first; i++)
		(void)fprintf(stderr, "  %-8s %s\n", model_kinds[report->first[i].kind],
			      client_quote(report->first[i].name).text);
	if (all > report->n_first)
		(void)fprintf(stderr, "  and %zu more\n", all - report->n_first);
	return model_find_exit(result->r);
}

static int model_print_result(const struct model_run *run, struct model_result *result)
{
	if (result->r < 0 && !result->why.text[0])
		(void)snprintf(result->why.text, sizeof(result->why.text), "%s.",
			       strerror(-result->r));
	return run->options->json ? model_print_json(result) : model_print_text(run, result);
}

static int model_check(struct model_run *run, const struct oms_manifest *manifest,
		       struct oms_manifest *found, struct model_result *result)
{
	struct oms_report *report = &result->report;
	bool loose = run->words->ignore_unsigned;
	int r;

	found->method = manifest->method;
	found->shard_size = manifest->shard_size;
	r = model_measure(run, manifest, &run->id, loose ? manifest : NULL, found, &result->why);
	if (r < 0)
		return r;
	r = oms_compare(manifest, found, loose, report);
	if (r < 0)
		(void)snprintf(result->why.text, sizeof(result->why.text),
			       "The model is not what was signed: %zu changed, %zu missing, "
			       "%zu unlisted.",
			       report->n[OMS_CHANGED], report->n[OMS_MISSING],
			       report->n[OMS_UNLISTED]);
	return r;
}

static int model_verify_bundle(struct model_run *run, const char *text, size_t n)
{
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	cleanup_oms_manifest struct oms_manifest *found = NULL;
	cleanup_oms_bundle struct oms_bundle *bundle = NULL;
	struct model_result result = { 0 };
	int r;

	r = oms_bundle_parse(text, n, &bundle, &result.why);
	if (r == 0)
		r = oms_bundle_verify(bundle, &run->trust, &manifest, &result.signer, &result.why);
	if (r == 0)
		r = oms_manifest_make(OMS_FILES, "", NULL, &found);
	if (r == 0) {
		result.manifest = manifest;
		r = model_check(run, manifest, found, &result);
	}
	result.r = r;
	return model_print_result(run, &result);
}

static int model_verify(struct model_run *run, const char *path)
{
	cleanup_oms_roots struct oms_roots *roots = NULL;
	cleanup_oms_key struct oms_key *key = NULL;
	cleanup_ptr char *text = NULL;
	const char *signature;
	size_t n = 0;
	int r;

	if (!run->words->key == !run->words->roots || run->words->certificate || run->words->out ||
	    run->words->shards) {
		client_complain("model verify takes DIR --key FILE|--roots FILE [--signature FILE] "
				"[--ignore-unsigned-files] [--json].");
		return CUSTODY_EXIT_USAGE;
	}
	r = run->words->key ? model_load_key(run->words->key, oms_key_parse_public, &key)
			    : model_load_roots(run->words->roots, &roots);
	if (r == CUSTODY_EXIT_DONE)
		r = model_open_directory(path, &run->directory);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	signature = run->words->signature ? run->words->signature : run->directory.signature;
	r = model_read_file(signature, OMS_BUNDLE_MAX, &text, &n, &run->id);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	run->trust = (struct oms_trust){ .key = key, .roots = roots, .now = time(NULL) };
	return model_verify_bundle(run, text, n);
}

/* Takes the options without a value out of argv. Returns how many words are left. */
static int model_take_flags(int argc, char **argv, struct model_words *words)
{
	int left = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--shards") == 0)
			words->shards = true;
		else if (strcmp(argv[i], "--ignore-unsigned-files") == 0)
			words->ignore_unsigned = true;
		else
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

int command_model(int argc, char **argv, const struct command_options *options)
{
	struct model_words words = { 0 };
	struct model_run run = { .options = options, .words = &words, .directory = { .fd = -1 } };
	const struct client_option values[] = {
		{ "--key", &words.key },
		{ "--cert", &words.certificate },
		{ "--out", &words.out },
		{ "--roots", &words.roots },
		{ "--signature", &words.signature },
	};
	int r = CUSTODY_EXIT_USAGE;
	int n;

	if (argc > 1 &&
	    (strcmp(argv[1], "attest") == 0 || strcmp(argv[1], "verify-attestation") == 0))
		return model_attest(argc, argv, options);
	if (argc > 1 && registry_has_verb(argv[1]))
		return command_registry(argc, argv, options);
	argc = model_take_flags(argc, argv, &words);
	n = client_parse_options(argc, argv, values, ARRAY_SIZE(values));
	if (n < 0)
		return CUSTODY_EXIT_USAGE;
	if (n == 2 && strcmp(argv[1], "sign") == 0)
		r = model_sign(&run, argv[2]);
	else if (n == 2 && strcmp(argv[1], "verify") == 0)
		r = model_verify(&run, argv[2]);
	else
		client_complain("model takes sign, verify, attest, verify-attestation, register, "
				"list, rollback or revoke. See custodyctl help model.");
	model_close_directory(&run.directory);
	return r;
}
