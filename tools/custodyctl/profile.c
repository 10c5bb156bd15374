/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl profile check|show NAME|FILE [--json]. Run as the caller. The parser is
 * custody-planner, beside this executable; this file only starts it and, for --json, turns its
 * lines into JSON. Trusts neither the lines nor the profile.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "cleanup_json.h"
#include "client.h"
#include "command.h"
#include "paths.h"
#include "profile.h"

#define PROFILE_OUTPUT_MAX (1U << 20) /* of the planner, in bytes */

struct profile_command {
	const char *verb; /* check or show */
	const char *what; /* NAME or FILE */
	bool json;
};

/* Becomes the planner. Returns only when that fails. */
static void profile_exec(const struct profile_command *command,
			 const struct command_options *options)
{
	char directory[CUSTODY_PATH_SIZE];
	char path[CUSTODY_PATH_SIZE + 32];
	const char *root = options->root ? options->root : "";
	char verb[16];
	int r = paths_find_libexec(directory, sizeof(directory));

	(void)snprintf(verb, sizeof(verb), "--%s", command->verb);
	(void)snprintf(path, sizeof(path), "%s/custody-planner", r < 0 ? "" : directory);
	if (r == 0)
		(void)execl(path, "custody-planner", "--root", root, verb, command->what,
			    command->json ? "--lines" : (char *)NULL, (char *)NULL);
	(void)fprintf(stderr,
		      "custodyctl: %s cannot be started: %s; it belongs beside custodyctl\n", path,
		      strerror(r < 0 ? -r : errno));
}

/* Everything from fd, as a string. Returns 0 or -errno; -EFBIG beyond PROFILE_OUTPUT_MAX. */
static int profile_read_all(int fd, char **ret)
{
	cleanup_ptr char *text = malloc(PROFILE_OUTPUT_MAX + 1);
	size_t used = 0;

	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + used, PROFILE_OUTPUT_MAX - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == PROFILE_OUTPUT_MAX)
			return -EFBIG;
	}
	text[used] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

/* Runs the planner and takes what it prints. *ret_exit is what it exited with. */
static int profile_run(const struct profile_command *command, const struct command_options *options,
		       char **ret_text, int *ret_exit)
{
	cleanup_ptr char *text = NULL;
	cleanup_fd int in = -1;
	int ends[2];
	int status = 0;
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	pid = fork();
	if (pid == 0) {
		if (dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO)
			profile_exec(command, options);
		_exit(CUSTODY_EXIT_INTERNAL);
	}
	r = pid < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (pid < 0)
		return r;
	r = profile_read_all(in, &text);
	cleanup_close_fd(&in); /* so that a planner that goes on writing ends */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	if (!WIFEXITED(status))
		return -EPROTO;
	*ret_text = TAKE_PTR(text);
	*ret_exit = WEXITSTATUS(status);
	return 0;
}

int profile_ask(const struct command_options *options, const char *name, bool lines, char **ret)
{
	const struct profile_command command = { .verb = "show", .what = name, .json = lines };
	int exit_code = CUSTODY_EXIT_INTERNAL;
	int r = profile_run(&command, options, ret, &exit_code);

	if (r < 0)
		client_complain("The answer of custody-planner is of no use: %s.", strerror(-r));
	return r < 0 ? CUSTODY_EXIT_INTERNAL : exit_code;
}

/* A string that need not be UTF-8: what is not ASCII is then written as \xNN. */
static json_t *profile_make_string(const char *text)
{
	json_t *json = json_string(text);
	cleanup_ptr char *escaped = NULL;
	size_t size, n = 0;

	if (json)
		return json;
	size = 4 * strlen(text) + 1;
	escaped = malloc(size);
	if (!escaped)
		return NULL;
	escaped[0] = '\0';
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		n += (size_t)snprintf(escaped + n, size - n, *c < 0x80 ? "%c" : "\\x%02x", *c);
	return json_string(escaped);
}

/* FILE TAB LINE TAB TEXT */
static int profile_add_error(json_t *errors, char *line)
{
	char *save = line;
	const char *file = strsep(&save, "\t");
	const char *number = strsep(&save, "\t");
	cleanup_json json_t *error = json_object();

	if (!number || !save)
		return -EPROTO;
	if (json_object_set_new(error, "file", profile_make_string(file)) < 0 ||
	    json_object_set_new(error, "line", json_integer(strtoll(number, NULL, 10))) < 0 ||
	    json_object_set_new(error, "message", profile_make_string(save)) < 0 ||
	    json_array_append(errors, error) < 0)
		return -ENOMEM;
	return 0;
}

/* SECTION TAB KEY TAB list|text {TAB WORD} */
static int profile_add_setting(json_t *settings, char *line)
{
	char *save = line;
	const char *section = strsep(&save, "\t");
	const char *key = strsep(&save, "\t");
	const char *kind = strsep(&save, "\t");
	cleanup_json json_t *list = json_array();
	json_t *of_section;

	if (!kind)
		return -EPROTO;
	if (!json_object_get(settings, section) &&
	    json_object_set_new(settings, section, json_object()) < 0)
		return -ENOMEM;
	of_section = json_object_get(settings, section);
	if (strcmp(kind, "text") == 0)
		return save && json_object_set_new(of_section, key, profile_make_string(save)) == 0
			       ? 0
			       : -EPROTO;
	while (save) {
		if (json_array_append_new(list, profile_make_string(strsep(&save, "\t"))) < 0)
			return -ENOMEM;
	}
	return json_object_set(of_section, key, list) == 0 ? 0 : -ENOMEM;
}

static int profile_add_lines(json_t *to, char *text, int (*add)(json_t *to, char *line))
{
	char *save = text;
	int r = 0;

	while (r == 0 && save && *save)
		r = add(to, strsep(&save, "\n"));
	return r;
}

static int profile_print_json(const struct profile_command *command, char *text, int exit_code)
{
	bool ok = exit_code == CUSTODY_EXIT_DONE;
	bool show = ok && strcmp(command->verb, "show") == 0;
	cleanup_json json_t *json = json_object();
	cleanup_json json_t *body = show ? json_object() : json_array();
	int r = profile_add_lines(body, text, show ? profile_add_setting : profile_add_error);

	if (r < 0)
		return r;
	if (json_object_set_new(json, "file", profile_make_string(command->what)) < 0 ||
	    json_object_set_new(json, "ok", json_boolean(ok)) < 0 ||
	    json_object_set(json, show ? "settings" : "errors", body) < 0)
		return -ENOMEM;
	return client_print_json(TAKE_PTR(json), 0);
}

static int profile_parse(int argc, char **argv, const struct command_options *options,
			 struct profile_command *ret)
{
	struct profile_command command = { .json = options->json };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			command.json = true;
		else if (!command.verb && argv[i][0] != '-')
			command.verb = argv[i];
		else if (!command.what && argv[i][0] != '-')
			command.what = argv[i];
		else
			return -EINVAL;
	}
	if (!command.what ||
	    (strcmp(command.verb, "check") != 0 && strcmp(command.verb, "show") != 0))
		return -EINVAL;
	*ret = command;
	return 0;
}

int command_profile(int argc, char **argv, const struct command_options *options)
{
	cleanup_ptr char *text = NULL;
	struct profile_command command;
	int exit_code = CUSTODY_EXIT_INTERNAL;
	int r;

	if (profile_parse(argc, argv, options, &command) < 0) {
		client_complain("profile takes check or show, and the NAME of a profile or a "
				"FILE. See custodyctl help profile.");
		return CUSTODY_EXIT_USAGE;
	}
	if (!command.json) {
		profile_exec(&command, options);
		return CUSTODY_EXIT_INTERNAL;
	}
	r = profile_run(&command, options, &text, &exit_code);
	if (r == 0 && exit_code != CUSTODY_EXIT_INTERNAL)
		r = profile_print_json(&command, text, exit_code);
	if (r < 0)
		(void)fprintf(stderr,
			      "custodyctl: the answer of custody-planner is of no use: %s\n",
			      strerror(-r));
	return r < 0 ? CUSTODY_EXIT_INTERNAL : exit_code;
}
