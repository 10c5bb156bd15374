/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-verify: is this evidence of a retirement true? Run by an auditor, on any machine, as
 * anybody: needs no daemon, no root, no network, nothing of the host that it is about. Reads the
 * three files of the bundle and the public key, and trusts only the key.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "cleanup.h"
#include "custody/message.h"
#include "read.h"

struct main_options {
	const char *bundle;
	const char *key;
	bool json;
};

static const char main_usage[] =
	"usage: custody-verify BUNDLE --key PUB [--json]\n"
	"  BUNDLE  directory of one retirement (custodyctl evidence export)\n"
	"  PUB     public key of the ledger: PEM (ledger.pub) or vkey (ledger.vkey), got from a\n"
	"          source that you trust, not from beside the bundle\n"
	"exit: 0 true and clean, 1 false or residue left, 4 true but incomplete, 2 usage\n";

/* 0, or an exit code + 1. */
static int main_parse(int argc, char **argv, struct main_options *ret)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	 { "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "k:jhV", options, NULL)) != -1) {
		switch (c) {
		case 'k':
			ret->key = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'h':
			(void)fputs(main_usage, stdout);
			return CUSTODY_EXIT_DONE + 1;
		case 'V':
			(void)printf("custody-verify %s\n", CUSTODY_VERSION);
			return CUSTODY_EXIT_DONE + 1;
		default:
			(void)fputs(main_usage, stderr);
			return CUSTODY_EXIT_USAGE + 1;
		}
	}
	if (optind + 1 != argc || !ret->key) {
		(void)fprintf(stderr, "custody-verify: %s\n%s",
			      ret->key ? "name one bundle" : "--key is missing: without a key that "
							     "you trust nothing can be verified",
			      main_usage);
		return CUSTODY_EXIT_USAGE + 1;
	}
	ret->bundle = argv[optind];
	return 0;
}

static int main_exit_code(enum evidence_verdict verdict)
{
	switch (verdict) {
	case VERDICT_CLEAN:
		return CUSTODY_EXIT_DONE;
	case VERDICT_INCOMPLETE:
		return CUSTODY_EXIT_INCOMPLETE;
	default:
		return CUSTODY_EXIT_FALSE;
	}
}

static int main_dump(json_t *json, int code)
{
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) < 0)
		code = CUSTODY_EXIT_INTERNAL;
	(void)putchar('\n');
	json_decref(json);
	return code;
}

static json_t *main_pack_reasons(const struct verdict_result *verdict)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < verdict->n_reasons; i++) {
		char text[256];

		(void)json_array_append_new(array, json_string(verdict_print_reason(
						   &verdict->reasons[i], text, sizeof(text))));
	}
	return array;
}

static void main_print_sentences(const struct check_result *result, const struct key *key)
{
	const struct retirement *r = &result->retirement;
	char time[RETIREMENT_TIME_SIZE];

	(void)printf("%s: written in the one permitted way, signed by key %s\n",
		     RETIREMENT_FILE_STATEMENT, key_id(key));
	(void)printf("%s: signed head of ledger %s over %llu records, by the same key\n",
		     RETIREMENT_FILE_HEAD, result->head.origin,
		     (unsigned long long)result->head.size);
	(void)printf("%s: %llu records, number %llu to %llu, chained without a break up to that "
		     "head\n",
		     RETIREMENT_FILE_RECORDS, result->records, (unsigned long long)r->first_seq,
		     (unsigned long long)r->first_seq + result->records - 1);
	(void)printf("The statement was built again from the records, and is the same in every "
		     "byte.\n");
	(void)printf("The verdict was computed again from %u facts, %llu gap records and %llu lost "
		     "events: %s.\n",
		     r->n_facts, (unsigned long long)r->gaps, (unsigned long long)r->lost,
		     verdict_name(result->verdict.verdict));
	(void)printf("Model %s, profile %s, jail %u, retired %s: %s\n", r->retire.name,
		     r->retire.profile, r->jail_id, retirement_print_time(r->retired_ns, time),
		     verdict_name(result->verdict.verdict));
	for (size_t i = 0; i < result->verdict.n_reasons; i++) {
		char text[256];

		(void)printf("  %s\n", verdict_print_reason(&result->verdict.reasons[i], text,
							    sizeof(text)));
	}
}

static int main_report(const struct check_result *result, const struct main_options *options,
		       const struct key *key)
{
	const struct retirement *r = &result->retirement;
	int code = main_exit_code(result->verdict.verdict);
	char time[RETIREMENT_TIME_SIZE];

	if (!options->json) {
		main_print_sentences(result, key);
		return code;
	}
	return main_dump(
		json_pack("{s:b, s:s, s:o, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I}",
			  "verified", 1, "verdict",
			  verdict_name(result->verdict.verdict), "reasons",
			  main_pack_reasons(&result->verdict), "model", r->retire.name, "profile",
			  r->retire.profile, "jail", (json_int_t)r->jail_id, "retired",
			  retirement_print_time(r->retired_ns, time), "key", key_id(key), "origin",
			  result->head.origin, "records", (json_int_t)result->records, "facts",
			  (json_int_t)r->n_facts, "gapRecords", (json_int_t)r->gaps, "eventsLost",
			  (json_int_t)r->lost),
		code);
}

static int main_report_failure(const struct check_failure *failure,
			       const struct main_options *options)
{
	json_t *record = failure->record == CHECK_NO_RECORD ?
				 json_null() : json_integer((json_int_t)failure->record);

	if (options->json)
		return main_dump(json_pack("{s:b, s:{s:s, s:I, s:o, s:s}}", "verified", 0,
					   "failure", "file", failure->file, "offset",
					   (json_int_t)failure->offset, "record", record, "check",
					   failure->why),
				 CUSTODY_EXIT_FALSE);
	json_decref(record);
	(void)fprintf(stderr, "NOT VERIFIED\n%s, byte %llu", failure->file, failure->offset);
	if (failure->record != CHECK_NO_RECORD)
		(void)fprintf(stderr, ", record %llu", failure->record);
	(void)fprintf(stderr, ": %s\n", failure->why);
	return CUSTODY_EXIT_FALSE;
}

static int main_report_problem(const char *problem, const struct main_options *options, int code)
{
	if (options->json)
		return main_dump(json_pack("{s:b, s:{s:n, s:n, s:n, s:s}}", "verified", 0,
					   "failure", "file", "offset", "record", "check",
					   problem),
				 code);
	(void)fprintf(stderr, "NOT VERIFIED\n%s\n", problem);
	return code;
}

static int main_verify(const struct main_options *options)
{
	__attribute__((cleanup(read_free_files))) struct read_files files = { 0 };
	cleanup_ptr struct check_result *result = calloc(1, sizeof(*result));
	cleanup_key struct key *key = NULL;
	struct check_failure failure = { .file = "" };
	char problem[2048] = "";
	struct check_bundle bundle;

	if (!result)
		return CUSTODY_EXIT_INTERNAL;
	if (!read_key(options->key, &key, problem, sizeof(problem)))
		return main_report_problem(problem, options, CUSTODY_EXIT_USAGE);
	if (!read_bundle(options->bundle, &files, problem, sizeof(problem)))
		return main_report_problem(problem, options, CUSTODY_EXIT_FALSE);
	bundle = (struct check_bundle){
		.statement = { files.statement, files.statement_n },
		.records = { files.records, files.records_n },
		.head = { files.head, files.head_n },
		.key = key,
	};
	if (!check_bundle(&bundle, result, &failure))
		return main_report_failure(&failure, options);
	return main_report(result, options, key);
}

int main(int argc, char **argv)
{
	struct main_options options = { .json = false };
	int r = main_parse(argc, argv, &options);

	if (r > 0)
		return r - 1;
	r = main_verify(&options);
	return fflush(stdout) != 0 ? CUSTODY_EXIT_INTERNAL : r;
}
