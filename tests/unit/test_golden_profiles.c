/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden files: tests/golden/profiles/NN.in gives NN.ok, which is its canonical print, or, when
 * it is refused, its problems as FILE:LINE: TEXT. Every profile that is shipped makes a plan.
 * Run from the top of the source tree; CUSTODY_SOURCE names another.
 *
 * link: daemon/planner/settings.c daemon/planner/types.c daemon/planner/value.c
 * link: daemon/planner/words.c daemon/planner/problems.c daemon/planner/profile.c
 * link: daemon/planner/support.c daemon/planner/build.c daemon/planner/build_admission.c
 * link: daemon/planner/build_ceiling.c
 * link: daemon/planner/source.c
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/planner/build.h"
#include "daemon/planner/source.h"
#include "plan.h"
#include "profile_memory.h"

#define GOLDEN "tests/golden/profiles"

/* What a profile is: its canonical print, or its problems; for the caller to free. */
static char *describe(struct source *source, const char *path, const char *text, size_t size)
{
	const struct profile_source from = { source, source_read, source_explain };
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	char *result = NULL;
	size_t result_size = 0;
	FILE *out = open_memstream(&result, &result_size);

	profile_load_text(&from, path, text, size, &profile, &problems);
	if (problems_none(&problems))
		profile_check_support(&profile.settings, &problems);
	if (problems_none(&problems))
		settings_print(out, &profile.settings);
	problems_sort(&problems);
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(out, "%s:%u: %s\n", problems.list[i].file, problems.list[i].line,
			      problems.list[i].text);
	assert_int_equal(fclose(out), 0);
	return result;
}

static char *read_file(const char *path, size_t *ret_size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;

	if (fd < 0 || source_read_fd(fd, &text, ret_size) < 0)
		fail_msg("%s cannot be read", path);
	return text;
}

static void open_source(struct source *source, const char *path)
{
	*source = (struct source){ .n = 1 };
	source->directories[0].fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(source->directories[0].path, sizeof(source->directories[0].path), "%s",
		       path);
	assert_true(source->directories[0].fd >= 0);
}

static void check_golden(struct source *source, const char *path)
{
	cleanup_ptr char *in = NULL;
	cleanup_ptr char *ok = NULL;
	cleanup_ptr char *got = NULL;
	cleanup_ptr char *again = NULL;
	char ok_path[256];
	size_t size = 0;

	(void)snprintf(ok_path, sizeof(ok_path), "%.*s.ok", (int)strlen(path) - 3, path);
	in = read_file(path, &size);
	got = describe(source, strrchr(path, '/') + 1, in, size);
	ok = read_file(ok_path, &size);
	if (strcmp(got, ok) != 0) {
		/* Not by cmocka: it cuts long messages, and this is what the new .ok would be. */
		(void)fprintf(stderr, "%s gives\n%s\nand not what %s holds\n", path, got, ok_path);
		fail();
	}
	if (got[0] != '[')
		return;
	again = describe(source, path, got, strlen(got));
	assert_string_equal(again, got);
}

static void test_golden(void **state)
{
	struct source source;
	glob_t found;

	(void)state;
	open_source(&source, "profiles");
	assert_int_equal(glob(GOLDEN "/*.in", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 8);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_golden(&source, found.gl_pathv[i]);
	globfree(&found);
	(void)close(source.directories[0].fd);
}

static void check_shipped(struct source *source, const char *name)
{
	const struct profile_source from = { source, source_read, source_explain };
	const struct build_request request = {
		.name = name,
		.profile = name,
		.model = "/srv/m",
		.args = "",
		.partial = true,
	};
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	cleanup_ptr struct custody_plan *plan = malloc(sizeof(*plan));

	profile_load(&from, name, &profile, &problems);
	assert_true(problems_none(&problems));
	profile_check_support(&profile.settings, &problems);
	build_plan(&profile.settings, &request, plan, &problems);
	for (size_t i = 0; i < problems.n; i++)
		print_error("%s:%u: %s\n", problems.list[i].file, problems.list[i].line,
			    problems.list[i].text);
	assert_true(problems_none(&problems));
	assert_string_equal(plan_string(plan, plan->model_path), "/srv/m");
}

static void test_shipped(void **state)
{
	struct source source;
	glob_t found;

	(void)state;
	open_source(&source, "profiles");
	assert_int_equal(glob("profiles/*.ini", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 3);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char name[CUSTODY_NAME_SIZE];
		const char *base = strrchr(found.gl_pathv[i], '/') + 1;

		(void)snprintf(name, sizeof(name), "%.*s", (int)strlen(base) - 4, base);
		check_shipped(&source, name);
	}
	globfree(&found);
	(void)close(source.directories[0].fd);
}

static void test_near_names(void **state)
{
	struct source source;
	char text[512];

	(void)state;
	open_source(&source, "profiles");
	source_explain(&source, "sklearn-digit", text, sizeof(text));
	assert_string_equal(
		text, "no profile sklearn-digit.ini in profiles; did you mean sklearn-digits?");
	source_explain(&source, "zzzzzzzzzzzz", text, sizeof(text));
	assert_non_null(strstr(text, "; there are"));
	assert_non_null(strstr(text, "base"));
	(void)close(source.directories[0].fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_near_names),
	};
	const char *top = getenv("CUSTODY_SOURCE");

	if (top && chdir(top) < 0) {
		perror(top);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
