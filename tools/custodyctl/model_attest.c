/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl model attest and verify-attestation: signed statements about a model, such as a test
 * result, made and verified. Run as the caller; asks no daemon. Trusts the key that the caller
 * names, and no byte of attestation and model.
 */
#include "model_attest.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "attestation.h"
#include "cleanup.h"
#include "cleanup_json.h"
#include "model_file.h"
#include "render.h"

struct attest_words {
	const char *key;
	const char *type;
	const char *predicate;
	const char *output;
	const char *signature;
	bool shards;
};

struct attest_run {
	const struct command_options *options;
	const struct attest_words *words;
	struct model_directory directory;
	__u8 root[OMS_DIGEST_SIZE];
};

static int attest_load_predicate(const char *path, json_t **ret)
{
	cleanup_ptr char *text = NULL;
	json_error_t error = { 0 };
	size_t n = 0;
	int r = model_read_file(path, ATTESTATION_MAX, &text, &n, NULL);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	*ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(*ret))
		return CUSTODY_EXIT_DONE;
	client_complain("%s: A predicate is a JSON object%s%s.", client_quote(path).text,
			*ret ? "" : ": ", *ret ? "" : client_quote(error.text).text);
	return CUSTODY_EXIT_REFUSED;
}

/* The signature's path in the model, where it is one; free() it. */
static char *attest_find_signature(const struct attest_run *run)
{
	const char *path = run->words->signature;

	return model_find_relative(&run->directory, path ? path : run->directory.signature);
}

/* The root digest as model sign makes it; the signature is left out. */
static int attest_measure(struct attest_run *run)
{
	cleanup_ptr char *signature = attest_find_signature(run);
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	struct client_progress progress;
	struct oms_why why = { 0 };
	struct oms_model model = {
		.dirfd = run->directory.fd,
		.file = run->directory.file,
		.progress = client_show_progress,
		.data = &progress,
	};
	int r = oms_manifest_make(run->words->shards ? OMS_SHARDS : OMS_FILES, run->directory.name,
				  signature, &manifest);

	if (r == 0) {
		model.ignore = manifest->ignore;
		model.n_ignore = manifest->n_ignore;
		client_start_progress(&progress, run->options);
		r = oms_measure(&model, NULL, manifest, &why);
		client_end_progress(&progress);
	}
	if (r == 0)
		r = oms_statement_digest(manifest, &why);
	if (r < 0)
		return model_complain(run->directory.name, r, &why);
	memcpy(run->root, manifest->root, sizeof(run->root));
	return CUSTODY_EXIT_DONE;
}

/* ---- attest ---- */

static int attest_report_signed(const struct attest_run *run, const struct oms_key *key)
{
	const struct attest_words *words = run->words;
	char hex[OMS_HEX_SIZE];
	json_t *json;
	int r;

	oms_print_hex(run->root, hex);
	if (!run->options->json) {
		if (!run->options->quiet)
			(void)printf("Attested: %s about %s, sha256:%s\nAttestation: %s\n",
				     words->type, client_quote(run->directory.name).text, hex,
				     client_quote(words->output).text);
		return CUSTODY_EXIT_DONE;
	}
	json = json_pack("{s:s, s:o, s:s, s:o, s:s}", "type", words->type, "model",
			 render_text_json(run->directory.name), "digest", hex, "attestation",
			 render_text_json(words->output), "key", oms_key_hint(key));
	r = client_print_json(json, 0);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

/* In the model's directory it would be a file of the model, and change what it is about. */
static int attest_check_output(const struct attest_run *run)
{
	cleanup_ptr char *relative = model_find_relative(&run->directory, run->words->output);

	if (!relative)
		return CUSTODY_EXIT_DONE;
	client_complain("%s lies in the model, and would change it: put the attestation elsewhere "
			"with --output.",
			client_quote(run->words->output).text);
	return CUSTODY_EXIT_REFUSED;
}

static int attest_sign(struct attest_run *run, const struct oms_key *key, const json_t *predicate)
{
	struct attestation_item item = { .name = run->directory.name };
	cleanup_ptr char *text = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	int r;

	memcpy(item.digest, run->root, sizeof(item.digest));
	r = attestation_sign(&item, 1, run->words->type, predicate, key, &text, &n, &why);
	if (r < 0)
		return model_complain(run->words->predicate, r, &why);
	r = model_write_file(run->words->output, text, n);
	return r == CUSTODY_EXIT_DONE ? attest_report_signed(run, key) : r;
}

static int attest_make(struct attest_run *run, const char *path)
{
	cleanup_oms_key struct oms_key *key = NULL;
	cleanup_json json_t *predicate = NULL;
	const struct attest_words *words = run->words;
	int r;

	if (!words->key || !words->type || !words->predicate || !words->output) {
		client_complain("model attest takes DIR --type TYPE --predicate FILE --key FILE "
				"--output FILE [--signature FILE] [--shards].");
		return CUSTODY_EXIT_USAGE;
	}
	r = model_load_key(words->key, attestation_parse_private, &key);
	if (r == CUSTODY_EXIT_DONE)
		r = attest_load_predicate(words->predicate, &predicate);
	if (r == CUSTODY_EXIT_DONE)
		r = model_open_directory(path, &run->directory);
	if (r == CUSTODY_EXIT_DONE)
		r = attest_check_output(run);
	if (r == CUSTODY_EXIT_DONE)
		r = attest_measure(run);
	return r == CUSTODY_EXIT_DONE ? attest_sign(run, key, predicate) : r;
}

/* ---- verify-attestation ---- */

static int attest_print_json(int verified, const char *why, const char *digest,
			     const struct attestation *attestation, const struct oms_key *key)
{
	json_t *predicate = attestation ? json_incref(attestation->predicate) : NULL;
	json_t *json;

	json = json_pack("{s:b, s:i, s:o, s:s, s:s, s:o, s:o}", "verified", verified == 0, "exit",
			 model_find_exit(verified), "why",
			 verified == 0 ? json_null() : render_text_json(why), "digest", digest,
			 "key", oms_key_hint(key), "type",
			 attestation ? json_string(attestation->type) : json_null(), "predicate",
			 predicate ? predicate : json_null());
	if (client_print_json(json, JSON_ENSURE_ASCII) < 0)
		return CUSTODY_EXIT_INTERNAL;
	return model_find_exit(verified);
}

static int attest_check(const struct attest_run *run, const char *path, const char *text, size_t n,
			const struct oms_key *key)
{
	cleanup_attestation struct attestation *attestation = NULL;
	struct oms_why why = { 0 };
	char hex[OMS_HEX_SIZE];
	int r = attestation_check(text, n, key, run->words->type, run->root, &attestation, &why);

	oms_print_hex(run->root, hex);
	if (r < 0 && !why.text[0])
		(void)snprintf(why.text, sizeof(why.text), "%s.", strerror(-r));
	if (run->options->json)
		return attest_print_json(r, why.text, hex, attestation, key);
	if (r < 0)
		return model_complain(path, r, &why);
	if (!run->options->quiet)
		(void)printf("Verified: %s about %s, sha256:%s\nSigned by key %s\n",
			     attestation->type, client_quote(run->directory.name).text, hex,
			     oms_key_hint(key));
	return CUSTODY_EXIT_DONE;
}

static int attest_verify(struct attest_run *run, const char *path, const char *file)
{
	cleanup_oms_key struct oms_key *key = NULL;
	cleanup_ptr char *text = NULL;
	size_t n = 0;
	int r;

	if (!run->words->key || run->words->predicate || run->words->output) {
		client_complain("model verify-attestation takes DIR FILE --key FILE [--type TYPE] "
				"[--signature FILE] [--shards] [--json].");
		return CUSTODY_EXIT_USAGE;
	}
	r = model_load_key(run->words->key, attestation_parse_public, &key);
	if (r == CUSTODY_EXIT_DONE)
		r = model_read_file(file, ATTESTATION_MAX, &text, &n, NULL);
	if (r == CUSTODY_EXIT_DONE)
		r = model_open_directory(path, &run->directory);
	if (r == CUSTODY_EXIT_DONE)
		r = attest_measure(run);
	return r == CUSTODY_EXIT_DONE ? attest_check(run, file, text, n, key) : r;
}

/* Takes --shards out of argv. Returns how many words are left. */
static int attest_take_flags(int argc, char **argv, struct attest_words *words)
{
	int left = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--shards") == 0)
			words->shards = true;
		else
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

int model_attest(int argc, char **argv, const struct command_options *options)
{
	struct attest_words words = { 0 };
	struct attest_run run = { .options = options, .words = &words, .directory = { .fd = -1 } };
	const struct client_option values[] = {
		{ "--key", &words.key },
		{ "--type", &words.type },
		{ "--predicate", &words.predicate },
		{ "--output", &words.output },
		{ "--signature", &words.signature },
	};
	int r = CUSTODY_EXIT_USAGE;
	int n;

	argc = attest_take_flags(argc, argv, &words);
	n = client_parse_options(argc, argv, values, ARRAY_SIZE(values));
	if (n < 0)
		return CUSTODY_EXIT_USAGE;
	if (n == 2 && strcmp(argv[1], "attest") == 0)
		r = attest_make(&run, argv[2]);
	else if (n == 3 && strcmp(argv[1], "verify-attestation") == 0)
		r = attest_verify(&run, argv[2], argv[3]);
	else
		client_complain("model takes attest DIR or verify-attestation DIR FILE. See "
				"custodyctl help model.");
	model_close_directory(&run.directory);
	return r;
}
