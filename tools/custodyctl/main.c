/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl: what people and scripts ask custody with. Run as the caller; has no privilege of
 * its own. Finds the subcommand in one table and calls its one function.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"

typedef int (*main_function)(int argc, char **argv, const struct command_options *options);

struct main_command {
	const char *name;
	main_function run;
	const char *synopsis;
	const char *help;
};

/* Names kept for later versions; what does something of their work today. */
static const struct {
	const char *name;
	const char *instead;
} main_absent[] = {
	{ "audit", "What a retirement found is in custodyctl evidence export." },
};

/* Not in this version: saying so is better than "unknown command". */
static int main_answer_absent(int argc, char **argv, const struct command_options *options)
{
	const char *instead = "";

	(void)argc;
	(void)options;
	for (size_t i = 0; i < ARRAY_SIZE(main_absent); i++) {
		if (strcmp(argv[0], main_absent[i].name) == 0)
			instead = main_absent[i].instead;
	}
	client_complain("%s is not in this version of custody (%s). %s", argv[0], CUSTODY_VERSION,
			instead);
	return CUSTODY_EXIT_USAGE;
}

static const struct main_command main_commands[] = {
	{ "doctor", command_doctor, "[--json]",
	  "what this host can enforce, what is missing and what to do" },
	{ "run", command_run,
	  "[--profile P] [--name N] [--model DIR]\n"
	  "                            [--attest KEY [--attest-output FILE]] -- CMD...",
	  "run a command in custody, in the foreground; attest what it made" },
	{ "start", command_start, "[--profile P] [--model DIR] NAME[@VERSION]",
	  "take a model into custody and serve it" },
	{ "stop", command_stop, "NAME", "end a model; its scratch is erased" },
	{ "freeze", command_stop, "NAME", "halt every process of a model" },
	{ "thaw", command_stop, "NAME", "let a frozen model go on" },
	{ "restrict", command_restrict,
	  "[--cut-egress] [--drop-endpoint E]... [--no-gpu] [--read-only-scratch]\n"
	  "                            [--opens-only] NAME",
	  "take rights from a running model, until it is stopped" },
	{ "ps", command_ps, "[--json]", "models in custody" },
	{ "status", command_status, "[--json] NAME", "one model, its planes and its counters" },
	{ "events", command_events, "[-f] [NAME]", "what was decided, from the ledger" },
	{ "profile", command_profile, "check|show NAME|FILE", "check or print a profile" },
	{ "retire", command_stop, "NAME", "drain, stop, erase, look for what is left, sign" },
	{ "evidence", command_evidence, "export NAME DIR", "the signed evidence of a retirement" },
	{ "ledger", command_ledger, "verify [--key FILE] | checkpoint",
	  "check the ledger's chain and signatures; print its last signed head" },
	{ "model", command_model,
	  "sign DIR --key FILE [--cert FILE] [--out FILE] [--shards]\n"
	  "       custodyctl model verify DIR --key FILE|--roots FILE [--signature FILE]\n"
	  "                            [--ignore-unsigned-files] [--json]\n"
	  "       custodyctl model attest DIR --type TYPE --predicate FILE --key FILE\n"
	  "                            --output FILE [--signature FILE] [--shards]\n"
	  "       custodyctl model verify-attestation DIR FILE --key FILE [--type TYPE]\n"
	  "                            [--signature FILE] [--shards] [--json]\n"
	  "       custodyctl model register NAME DIR [--profile P] [--signature FILE]\n"
	  "                            [--card FILE]\n"
	  "       custodyctl model list [NAME] [--json]\n"
	  "       custodyctl model rollback NAME[@VERSION] [--restart]\n"
	  "       custodyctl model revoke NAME[@VERSION] --reason TEXT",
	  "sign, verify and attest models; register versions, roll back, revoke" },
	{ "audit", main_answer_absent, "", "look for what retired models left (not yet)" },
};

static void main_print_help(FILE *out)
{
	(void)fprintf(out, "usage: custodyctl [--root DIR] [--json] [--quiet] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(main_commands); i++)
		(void)fprintf(out, "  %-9s %s\n", main_commands[i].name, main_commands[i].help);
	(void)fprintf(out,
		      "\n"
		      "  --root DIR   talk to the custodyd of that root (or CUSTODY_ROOT)\n"
		      "  --json       machine-readable output; keys are in custodyctl(1)\n"
		      "  --quiet      no progress\n"
		      "\n"
		      "custodyctl help COMMAND says more. Exit: 0 done, 1 what was asked for is\n"
		      "not so, 2 usage, 3 refused, 4 incomplete, 5 internal.\n");
}

static const struct main_command *main_find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(main_commands); i++) {
		if (strcmp(main_commands[i].name, name) == 0)
			return &main_commands[i];
	}
	return NULL;
}

/* Edit distance, for words of at most 15 letters. */
static unsigned int main_find_distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	unsigned int row[16];

	if (strlen(a) > 15 || n > 15)
		return 99;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (; *a; a++) {
		unsigned int corner = row[0]++;

		for (size_t j = 1; j <= n; j++) {
			unsigned int best = corner + (*a != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static void main_complain_unknown(const char *name)
{
	const char *nearest = NULL;
	unsigned int best = 3;

	for (size_t i = 0; i < ARRAY_SIZE(main_commands); i++) {
		unsigned int distance = main_find_distance(name, main_commands[i].name);

		if (distance < best) {
			best = distance;
			nearest = main_commands[i].name;
		}
	}
	if (nearest)
		client_complain("There is no command %s. Did you mean %s?",
				client_quote(name).text, nearest);
	else
		client_complain("There is no command %s. See custodyctl help.",
				client_quote(name).text);
}

static int main_help_command(const char *name)
{
	const struct main_command *command = main_find_command(name);

	if (!command) {
		main_complain_unknown(name);
		return CUSTODY_EXIT_USAGE;
	}
	(void)printf("usage: custodyctl %s %s\n%s\nSee custodyctl(1).\n", command->name,
		     command->synopsis, command->help);
	return CUSTODY_EXIT_DONE;
}

/* Standard streams that are closed would become sockets: something must stand in their place. */
static bool main_open_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

/*
 * Takes --json, --quiet and --help out of the subcommand's words, up to "--". Returns how many
 * words are left.
 */
static int main_take_common(int argc, char **argv, struct command_options *options, bool *ret_help)
{
	int left = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			while (i < argc)
				argv[left++] = argv[i++];
			break;
		}
		if (strcmp(argv[i], "--json") == 0)
			options->json = true;
		else if (strcmp(argv[i], "--quiet") == 0)
			options->quiet = true;
		else if (strcmp(argv[i], "--help") == 0)
			*ret_help = true;
		else
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

/* An absolute directory without a slash at its end; "/" is the host, like "". */
static bool main_take_root(const char *root, char *ret, size_t size)
{
	size_t n = strlen(root);

	while (n > 0 && root[n - 1] == '/')
		n--;
	if ((n > 0 && root[0] != '/') || n >= size) {
		client_complain("--root must be an absolute directory, not %s.",
				client_quote(root).text);
		return false;
	}
	memcpy(ret, root, n);
	ret[n] = '\0';
	return true;
}

/* The options before the subcommand. Returns its index, or -1 with *ret_exit. */
static int main_parse_options(int argc, char **argv, struct command_options *options,
			      const char **root, int *ret_exit)
{
	int i;

	*ret_exit = CUSTODY_EXIT_DONE;
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options->json = true;
		} else if (strcmp(argv[i], "--quiet") == 0) {
			options->quiet = true;
		} else if (strncmp(argv[i], "--root=", 7) == 0) {
			*root = argv[i] + 7;
		} else if (strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
			*root = argv[++i];
		} else if (strcmp(argv[i], "--version") == 0) {
			(void)printf("custodyctl %s\n", CUSTODY_VERSION);
			return -1;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			main_print_help(stdout);
			return -1;
		} else {
			client_complain("There is no option %s, or its value is missing. See "
					"custodyctl help.", client_quote(argv[i]).text);
			*ret_exit = CUSTODY_EXIT_USAGE;
			return -1;
		}
	}
	if (i < argc)
		return i;
	main_print_help(stderr);
	*ret_exit = CUSTODY_EXIT_USAGE;
	return -1;
}

static int main_run_command(int argc, char **argv, struct command_options *options)
{
	const struct main_command *command = main_find_command(argv[0]);
	bool help = false;

	if (strcmp(argv[0], "help") == 0 && argc > 1)
		return main_help_command(argv[1]);
	if (strcmp(argv[0], "help") == 0) {
		main_print_help(stdout);
		return CUSTODY_EXIT_DONE;
	}
	if (!command) {
		main_complain_unknown(argv[0]);
		return CUSTODY_EXIT_USAGE;
	}
	argc = main_take_common(argc, argv, options, &help);
	if (help)
		return main_help_command(command->name);
	return command->run(argc, argv, options);
}

int main(int argc, char **argv)
{
	struct command_options options = { 0 };
	char root_path[CUSTODY_PATH_SIZE];
	const char *root = getenv("CUSTODY_ROOT");
	int r;
	int i;

	if (!main_open_streams())
		return CUSTODY_EXIT_INTERNAL;
	i = main_parse_options(argc, argv, &options, &root, &r);
	if (i < 0)
		return r;
	if (!main_take_root(root ? root : "", root_path, sizeof(root_path)))
		return CUSTODY_EXIT_USAGE;
	options.root = root_path;
	r = main_run_command(argc - i, argv + i, &options);
	/* A full disk or a closed pipe is not success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == CUSTODY_EXIT_DONE) {
		client_complain("Standard output could not be written.");
		r = CUSTODY_EXIT_INTERNAL;
	}
	return r;
}
