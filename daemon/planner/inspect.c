/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-planner --check and --show: what custodyd would make of a profile, for a person. Runs
 * as the caller, with nothing but the profile directories to read. Trusts no profile.
 *
 * With --lines each problem is FILE TAB LINE TAB TEXT on standard output, and each setting
 * SECTION TAB KEY TAB KIND {TAB WORD}: what custodyctl makes JSON from. No field holds a
 * control character.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "build.h"
#include "cleanup.h"
#include "confine.h"
#include "paths.h"
#include "plan.h"
#include "source.h"

struct inspect {
	const char *root;
	const char *what; /* FILE when it has a '/' or ends in .ini, else NAME */
	bool show;
	bool lines;
};

static const char inspect_usage[] =
	"usage: custody-planner [--root DIR] [--lines] --check|--show NAME|FILE\n";

static bool inspect_is_file(const char *what)
{
	size_t n = strlen(what);

	return strchr(what, '/') || (n > 4 && strcmp(what + n - 4, ".ini") == 0);
}

/* Opens one more directory to search; one that is not there is only named. */
static void inspect_add_directory(struct source *source, const char *path)
{
	struct source_directory *directory = &source->directories[source->n++];

	(void)snprintf(directory->path, sizeof(directory->path), "%s", path);
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int inspect_open_directories(const struct inspect *inspect, struct source *source)
{
	static const char *const standard[] = { PATHS_PROFILES_ETC, PATHS_PROFILES_USR };
	char path[512];

	if (inspect_is_file(inspect->what)) {
		const char *slash = strrchr(inspect->what, '/');

		(void)snprintf(path, sizeof(path), "%.*s",
			       slash ? (int)(slash - inspect->what) + 1 : 2,
			       slash ? inspect->what : "./");
		inspect_add_directory(source, path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(standard); i++) {
		if (paths_join(inspect->root, standard[i], path, sizeof(path)) < 0)
			return -ENAMETOOLONG;
		inspect_add_directory(source, path);
	}
	return 0;
}

static void inspect_close_directories(struct source *source)
{
	for (size_t i = 0; i < source->n; i++)
		cleanup_close_fd(&source->directories[i].fd);
}

/* FILE's name without directory and .ini, when that is a name; else "profile". */
static void inspect_name_profile(const char *what, char ret[CUSTODY_NAME_SIZE])
{
	const char *slash = strrchr(what, '/');
	const char *base = slash ? slash + 1 : what;
	size_t n = strlen(base);

	if (n > 4 && strcmp(base + n - 4, ".ini") == 0)
		n -= 4;
	if (n < CUSTODY_NAME_SIZE)
		(void)snprintf(ret, CUSTODY_NAME_SIZE, "%.*s", (int)n, base);
	if (n >= CUSTODY_NAME_SIZE || !plan_check_name(ret))
		(void)snprintf(ret, CUSTODY_NAME_SIZE, "profile");
}

static void inspect_print_problem(const struct inspect *inspect, const struct problem *problem)
{
	char file[512];
	char text[2 * PROBLEMS_TEXT_SIZE];

	words_escape(problem->file, file, sizeof(file));
	words_escape(problem->text, text, sizeof(text));
	if (inspect->lines)
		(void)printf("%s\t%u\t%s\n", file, problem->line, text);
	else if (problem->line > 0)
		(void)fprintf(stderr, "%s:%u: %s\n", file, problem->line, text);
	else
		(void)fprintf(stderr, "%s%s%s\n", file, file[0] ? ": " : "", text);
}

/* One setting for custodyctl: its words, or the one word that its number prints as. */
static int inspect_print_row(const struct setting_row *row, const struct setting_value *value)
{
	const struct setting_type *type = &setting_types[row->type];
	cleanup_ptr char *text = NULL;
	size_t size = 0;
	FILE *out;

	(void)printf("%s\t%s\t%s", row->section, row->key, type->list ? "list" : "text");
	if (type->list) {
		for (size_t i = 0; i < value->words.n && !(type->none && settings_is_none(value));
		     i++)
			(void)printf("\t%s", value->words.list[i].text);
		(void)printf("\n");
		return 0;
	}
	if (!type->print || (type->none && settings_is_none(value))) {
		(void)printf("\t%s\n", value->words.list[0].text);
		return 0;
	}
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	settings_print_value(out, row, value);
	if (fclose(out) != 0)
		return -ENOMEM;
	(void)printf("\t%s\n", text);
	return 0;
}

static int inspect_print_settings(const struct inspect *inspect, struct settings *settings)
{
	if (!inspect->lines) {
		settings_print(stdout, settings);
		return 0;
	}
	for (size_t i = 0; i < setting_rows_n; i++) {
		const struct setting_value *value = settings_find_value(settings, &setting_rows[i]);
		int r = 0;

		if (value->set && value != &settings->extends)
			r = inspect_print_row(&setting_rows[i], value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* file is the open FILE, or the negative errno of opening it; not used for a NAME. */
static void inspect_load(const struct inspect *inspect, int file, struct source *source,
			 struct profile *profile, struct problems *problems)
{
	const struct profile_source from = { source, source_read, source_explain };
	const struct place place = { .file = inspect->what };
	cleanup_ptr char *text = NULL;
	size_t size = 0;
	int r;

	if (!inspect_is_file(inspect->what)) {
		profile_load(&from, inspect->what, profile, problems);
		return;
	}
	r = file < 0 ? file : source_read_fd(file, &text, &size);
	if (r < 0)
		problems_error(problems, place,
			       "cannot be read: %s; name a regular file of at most 64 "
			       "KiB, or a profile without / and .ini",
			       strerror(-r));
	else
		profile_load_text(&from, inspect->what, text, size, profile, problems);
}

/* Everything that a launch would refuse, but for what comes with a launch. */
static void inspect_plan(const struct inspect *inspect, const struct settings *settings,
			 struct problems *problems)
{
	cleanup_ptr struct custody_plan *plan = malloc(sizeof(*plan));
	char name[CUSTODY_NAME_SIZE];
	struct build_request request = {
		.name = name,
		.profile = name,
		.model = "",
		.args = "",
		.partial = true,
	};

	inspect_name_profile(inspect->what, name);
	if (plan)
		build_plan(settings, &request, plan, problems);
	else
		problems_error(problems, ((struct place){ 0 }), "out of memory");
	profile_check_support(settings, problems);
	problems_sort(problems);
}

static int inspect_run(const struct inspect *inspect, int file, struct source *source)
{
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	int r = 0;

	inspect_load(inspect, file, source, &profile, &problems);
	problems_sort(&problems);
	if (problems_none(&problems) && !inspect->show)
		inspect_plan(inspect, &profile.settings, &problems);
	for (size_t i = 0; i < problems.n; i++)
		inspect_print_problem(inspect, &problems.list[i]);
	if (problems.dropped > 0)
		(void)fprintf(stderr, "and %zu more problems\n", problems.dropped);
	if (problems_none(&problems) && inspect->show)
		r = inspect_print_settings(inspect, &profile.settings);
	else if (problems_none(&problems) && !inspect->lines)
		(void)printf("%s: ok\n", inspect->what);
	if (r < 0 || fflush(stdout) != 0)
		return CUSTODY_EXIT_INTERNAL;
	return (int)problems_exit(&problems);
}

static int inspect_parse(int argc, char **argv, struct inspect *ret)
{
	static const struct option options[] = {
		{ "check", required_argument, NULL, 'c' },
		{ "show", required_argument, NULL, 's' },
		{ "root", required_argument, NULL, 'r' },
		{ "lines", no_argument, NULL, 'l' },
		{ 0 },
	};
	struct inspect inspect = { .root = "" };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?' || ((c == 'c' || c == 's') && inspect.what))
			return -EINVAL;
		if (c == 'r')
			inspect.root = optarg;
		else if (c == 'l')
			inspect.lines = true;
		else
			inspect.what = optarg;
		inspect.show = inspect.show || c == 's';
	}
	if (!inspect.what || optind != argc)
		return -EINVAL;
	*ret = inspect;
	return 0;
}

int inspect_profile(int argc, char **argv)
{
	__attribute__((cleanup(inspect_close_directories))) struct source source = { 0 };
	cleanup_fd int file = -1;
	struct inspect inspect;
	int abi = 0;
	int r = 0;

	if (inspect_parse(argc, argv, &inspect) < 0) {
		(void)fputs(inspect_usage, stderr);
		return CUSTODY_EXIT_USAGE;
	}
	if (inspect_is_file(inspect.what)) {
		file = open(inspect.what, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (file < 0)
			file = -errno;
	}
	r = inspect_open_directories(&inspect, &source);
	if (r == 0 &&
	    EVP_Digest("", 0, (unsigned char[EVP_MAX_MD_SIZE]){ 0 }, NULL, EVP_sha256(), NULL) != 1)
		r = -EIO;
	if (r == 0)
		r = confine_set_basics();
	if (r == 0)
		r = source_confine(&source, &abi);
	if (r < 0) {
		(void)fprintf(stderr, "custody-planner: cannot confine itself: %s\n", strerror(-r));
		return CUSTODY_EXIT_INTERNAL;
	}
	return inspect_run(&inspect, file, &source);
}
