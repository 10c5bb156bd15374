/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl run --attest, before and after the command: see watch.h. Run as the caller. The key is
 * read before the start and stays in this process; custodyd never sees it.
 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attestation.h"
#include "cleanup.h"
#include "cleanup_json.h"
#include "client.h"
#include "key.h"
#include "ledger_file.h"
#include "model_file.h"

#define WATCH_OUTPUT_NAME "provenance.json"
#define WATCH_TICK_NS 1000000L

static void watch_free_files(struct watch_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->list[i].path);
	free(files->list);
}

void watch_free(struct watch *watch)
{
	oms_key_free(&watch->key);
	for (size_t i = 0; i < watch->n_roots; i++) {
		cleanup_close_fd(&watch->roots[i].fd);
		free(watch->roots[i].path);
	}
	for (size_t i = 0; i < watch->n_subjects; i++)
		free(watch->subjects[i].name);
	watch_free_files(&watch->inputs);
	watch_free_files(&watch->outputs);
	cleanup_close_fd(&watch->ledger);
	free(watch->reader);
	free(watch->seen);
	for (size_t i = 0; i < watch->n_made; i++)
		free(watch->made[i].path);
	free(watch->made);
	free(watch->profile_model);
	free(watch->output);
}

/* ---- before ---- */

/* Beside the directory of results, where admission looks for statements about a model there. */
static int watch_choose_output(struct watch *watch)
{
	const struct watch_root *only = NULL;
	cleanup_ptr char *directory = NULL;

	for (size_t i = 0; i < watch->n_roots; i++) {
		if (watch->roots[i].kind != WATCH_OUTPUT)
			continue;
		if (only) {
			client_complain("The profile has several directories of results: say with "
					"--attest-output where the statement goes.");
			return CUSTODY_EXIT_USAGE;
		}
		only = &watch->roots[i];
	}
	if (asprintf(&directory, "%s.attestations", only->path) < 0) {
		directory = NULL;
		return CUSTODY_EXIT_INTERNAL;
	}
	if (asprintf(&watch->output, "%s/" WATCH_OUTPUT_NAME, directory) < 0) {
		watch->output = NULL;
		return CUSTODY_EXIT_INTERNAL;
	}
	if (mkdir(directory, 0755) < 0 && errno != EEXIST) {
		client_complain("%s cannot be made: %s. Say with --attest-output where the "
				"statement goes.",
				client_quote(directory).text, strerror(errno));
		return CUSTODY_EXIT_REFUSED;
	}
	return CUSTODY_EXIT_DONE;
}

static int watch_check_absent(const struct watch *watch)
{
	struct stat st;

	if (lstat(watch->output, &st) == 0) {
		client_complain("%s exists already; it is not overwritten. Move it, or say with "
				"--attest-output where the statement goes.",
				client_quote(watch->output).text);
		return CUSTODY_EXIT_REFUSED;
	}
	return CUSTODY_EXIT_DONE;
}

/* In a directory that the digests are about it would change them. */
static int watch_check_outside(const struct watch *watch)
{
	for (size_t i = 0; i < watch->n_roots; i++) {
		const struct watch_root *root = &watch->roots[i];
		const struct model_directory directory = { .fd = -1, .real = root->path };
		cleanup_ptr char *relative = NULL;

		if (root->kind == WATCH_RUNTIME || !root->is_directory)
			continue;
		relative = model_find_relative(&directory, watch->output);
		if (!relative)
			continue;
		client_complain("%s lies in %s, which the command sees: put the statement "
				"elsewhere with --attest-output.",
				client_quote(watch->output).text, client_quote(root->path).text);
		return CUSTODY_EXIT_REFUSED;
	}
	return CUSTODY_EXIT_DONE;
}

/* So that the hours of a training are not lost to a directory that is not there. */
static int watch_check_directory(const struct watch *watch)
{
	cleanup_ptr char *copy = strdup(watch->output);
	char *slash = copy ? strrchr(copy, '/') : NULL;
	const char *directory = slash ? copy : ".";

	if (!copy)
		return CUSTODY_EXIT_INTERNAL;
	if (slash)
		slash[slash == copy] = '\0';
	if (access(directory, W_OK | X_OK) == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("%s cannot be written: %s: %s.", client_quote(watch->output).text,
			client_quote(directory).text, strerror(errno));
	return CUSTODY_EXIT_REFUSED;
}

static int watch_check_output(struct watch *watch, const char *output)
{
	int r = CUSTODY_EXIT_DONE;

	if (output) {
		watch->output = strdup(output);
		r = watch->output ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL;
	} else {
		r = watch_choose_output(watch);
	}
	if (r == CUSTODY_EXIT_DONE)
		r = watch_check_absent(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_check_directory(watch);
	return r == CUSTODY_EXIT_DONE ? watch_check_outside(watch) : r;
}

/*
 * File systems stamp changes with a clock that moves a few milliseconds at a time. After this it
 * stands behind `started`: a later change cannot have that time or an earlier one.
 */
static void watch_read_clock(struct watch *watch)
{
	const struct timespec tick = { .tv_nsec = WATCH_TICK_NS };
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &watch->started);
	(void)clock_gettime(CLOCK_BOOTTIME, &watch->booted);
	do {
		(void)nanosleep(&tick, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (watch_is_before(watch, &now));
}

static double watch_find_seconds(clockid_t clock, const struct timespec *since)
{
	struct timespec now = { 0 };

	(void)clock_gettime(clock, &now);
	return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

/* A clock that is slewed goes slower, by less than this; one that is stepped shows. */
static bool watch_was_set_back(const struct watch *watch)
{
	const double passed = watch_find_seconds(CLOCK_BOOTTIME, &watch->booted);

	return watch_find_seconds(CLOCK_REALTIME, &watch->started) < passed * 0.999 - 0.1;
}

int watch_prepare(struct watch *watch, const char *output)
{
	int r = model_load_key(watch->key_path, attestation_parse_private, &watch->key);

	if (r == CUSTODY_EXIT_DONE)
		r = watch_read_profile(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_check_outputs(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_check_output(watch, output);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_skip_records(watch);
	if (r == CUSTODY_EXIT_DONE)
		watch_read_clock(watch);
	return r;
}

/* ---- after ---- */

/* Whose ledger the positions in the statement are of. */
static int watch_load_ledger_key(const struct watch *watch, struct key **ret)
{
	cleanup_ptr char *text = NULL;
	size_t n = 0;
	int r = ledger_file_read(watch->options, LEDGER_PUB, KEY_FILE_MAX, &text, &n);

	if (r == CUSTODY_EXIT_DONE && key_parse_public(text, n, ret) < 0) {
		client_complain("%s holds no key.", LEDGER_PUB);
		return CUSTODY_EXIT_FALSE;
	}
	return r;
}

/* The records are of the run that was prepared, and it was measured when it has a model. */
static int watch_check_records(const struct watch *watch)
{
	const struct ledger_launch *launch = &watch->launch.payload.launch;
	const struct ledger_measured *measured = &watch->measured.payload.measured;

	if (memcmp(launch->profile_digest, watch->profile_digest, OMS_DIGEST_SIZE) != 0) {
		client_complain("The profile %s was changed when the command was started: nothing "
				"is signed.",
				client_quote(watch->profile).text);
		return CUSTODY_EXIT_INCOMPLETE;
	}
	if (watch->model &&
	    (watch->measured.head.type == 0 || !(measured->flags & MEASURED_COMPARED))) {
		client_complain("The ledger has no digest of %s: nothing is signed.",
				client_quote(watch->model).text);
		return CUSTODY_EXIT_INCOMPLETE;
	}
	return CUSTODY_EXIT_DONE;
}

static void watch_fill_facts(struct watch *watch, const struct key *key)
{
	struct provenance *p = &watch->facts;

	p->version = CUSTODY_VERSION;
	p->command = watch->command;
	p->n_command = watch->n_command;
	p->model = watch->model;
	p->inputs = watch->inputs.list;
	p->n_inputs = watch->inputs.n;
	p->outputs = watch->outputs.list;
	p->n_outputs = watch->outputs.n;
	p->launch = &watch->launch.payload.launch;
	p->measured = watch->model ? &watch->measured.payload.measured : NULL;
	p->ledger_key = key_id(key);
	p->launch_seq = watch->launch.head.seq;
	p->launch_ns = watch->launch.head.time_ns;
	p->end_seq = watch->end.head.seq;
	p->end_ns = watch->end.head.time_ns;
	p->records = watch->reader->seq;
	memcpy(p->head, watch->reader->hash, sizeof(p->head));
	p->network = watch->network;
	p->clock = watch_was_set_back(watch);
}

static int watch_report(const struct watch *watch, const json_t *predicate)
{
	const json_t *missing =
		json_object_get(json_object_get(predicate, PROVENANCE_EXTENSION), "missing");
	char hex[OMS_HEX_SIZE];
	const json_t *value;
	size_t i;

	/* Standard output belongs to the command. */
	for (i = 0; !watch->options->quiet && i < watch->n_subjects; i++) {
		oms_print_hex(watch->subjects[i].digest, hex);
		(void)fprintf(stderr, "Attested: " PROVENANCE_TYPE " about %s, sha256:%s\n",
			      client_quote(watch->subjects[i].name).text, hex);
	}
	if (!watch->options->quiet)
		(void)fprintf(stderr, "Attestation: %s (%zu inputs, %zu outputs)\n",
			      client_quote(watch->output).text, watch->inputs.n, watch->outputs.n);
	if (provenance_is_whole(&watch->facts))
		return CUSTODY_EXIT_DONE;
	json_array_foreach(missing, i, value)
		client_complain("The statement is not complete: %s.", json_string_value(value));
	client_complain("No profile lets a model in by it.");
	return CUSTODY_EXIT_INCOMPLETE;
}

static int watch_sign(struct watch *watch)
{
	struct attestation_item items[WATCH_ROOTS_MAX];
	cleanup_json json_t *predicate = provenance_make(&watch->facts);
	cleanup_ptr char *text = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	int r = predicate ? 0 : -ENOMEM;

	for (size_t i = 0; i < watch->n_subjects; i++) {
		items[i] = (struct attestation_item){ .name = watch->subjects[i].name };
		memcpy(items[i].digest, watch->subjects[i].digest, sizeof(items[i].digest));
	}
	if (r == 0)
		r = attestation_sign(items, watch->n_subjects, PROVENANCE_TYPE, predicate,
				     watch->key, &text, &n, &why);
	if (r < 0)
		return model_complain("The statement", r, &why);
	r = watch_check_absent(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = model_write_file(watch->output, text, n);
	return r == CUSTODY_EXIT_DONE ? watch_report(watch, predicate) : r;
}

int watch_conclude(struct watch *watch)
{
	cleanup_key struct key *key = NULL;
	int r = watch_load_ledger_key(watch, &key);

	if (r == CUSTODY_EXIT_DONE)
		r = watch_take_records(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_check_records(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_read_outputs(watch);
	if (r == CUSTODY_EXIT_DONE)
		r = watch_read_inputs(watch);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	watch_fill_facts(watch, key);
	return watch_sign(watch);
}
