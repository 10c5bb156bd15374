/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests custody-front passes on.
 * link: daemon/front/check.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/front/check.h"

/* Every check has a reason when it refuses, and none when it does not. */
static bool accepts(const void *request)
{
	const char *why = NULL;
	bool ok = check_request(request, &why);

	assert_true(ok == (why == NULL));
	return ok;
}

static bool accepts_name(__u32 verb, const char *name)
{
	static union message_buffer buf;
	struct request_name *named = (struct request_name *)&buf;

	*named = (struct request_name){ .head.type = MSG_REQUEST_NAME, .verb = verb };
	(void)snprintf(named->name, sizeof(named->name), "%s", name);
	return accepts(&buf);
}

static bool accepts_start(const char *name, const char *profile, const char *model)
{
	static union message_buffer buf;
	struct request_start *start = (struct request_start *)&buf;

	*start = (struct request_start){ .head.type = MSG_REQUEST_START };
	(void)snprintf(start->name, sizeof(start->name), "%s", name);
	(void)snprintf(start->profile, sizeof(start->profile), "%s", profile);
	(void)snprintf(start->model, sizeof(start->model), "%s", model);
	return accepts(&buf);
}

static bool accepts_sized_run(const char *args, size_t size, __u32 args_len, __u32 n_args)
{
	static union message_buffer buf;
	struct request_run *run = (struct request_run *)&buf;

	memset(run, 0, sizeof(*run));
	run->head.type = MSG_REQUEST_RUN;
	(void)snprintf(run->name, sizeof(run->name), "run-1");
	memcpy(run->args, args, size < sizeof(run->args) ? size : sizeof(run->args));
	run->args_len = args_len;
	run->n_args = n_args;
	if (!accepts(&buf))
		return false;
	run->measure = 1;
	assert_true(accepts(&buf));
	run->measure = 2;
	assert_false(accepts(&buf));
	run->measure = 0;
	run->pad = 1;
	assert_false(accepts(&buf));
	return true;
}

/* args is an array: a literal or a buffer */
#define accepts_run(args, args_len, n_args) \
	accepts_sized_run(args, sizeof(args), args_len, n_args)

static void test_names(void **state)
{
	static const char *const good[] = { "a", "0", "digits", "llama-3-8b", "a.b_c-d",
					    "9..--__" };
	static const char *const bad[] = { "", ".", "..", "-a", "_a", ".a", "A", "aB", "a/b", "/a",
					   "a b", "a\n", "a\x7f", "\xc3\xa9", "a;b", "a*" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(accepts_name(REQUEST_STOP, good[i]));
		assert_true(accepts_start(good[i], good[i], ""));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(accepts_name(REQUEST_STOP, bad[i]));
		assert_false(accepts_start(bad[i], "", ""));
		if (bad[i][0])
			assert_false(accepts_start("a", bad[i], ""));
	}
}

static void test_verbs(void **state)
{
	union message_buffer buf = { 0 };
	struct request_name *named = (struct request_name *)&buf;

	(void)state;
	for (__u32 verb = 1; verb < _REQUEST_VERB_MAX; verb++) {
		assert_true(accepts_name(verb, verb == REQUEST_PS ? "" : "a"));
		assert_false(accepts_name(verb, verb == REQUEST_PS ? "a" : ""));
	}
	assert_false(accepts_name(0, "a"));
	assert_false(accepts_name(_REQUEST_VERB_MAX, "a"));
	assert_false(accepts_name(0xffffffff, "a"));
	*named = (struct request_name){ .head.type = MSG_REQUEST_NAME, .verb = REQUEST_PS };
	assert_true(accepts(&buf));
	named->run = 1;
	assert_false(accepts(&buf));
	named->run = 0;
	named->head.type = MSG_REPLY_DONE;
	assert_false(accepts(&buf));
}

static void test_models(void **state)
{
	static const char *const good[] = { "", "/a", "/srv/models/llama 3", "/a/..b/.c",
					    "/a\xff" };
	static const char *const bad[] = { "/", "a", "./a", "//a", "/a/", "/a//b", "/.", "/..",
					   "/a/.", "/a/../b", "/../a" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(accepts_start("a", "", good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(accepts_start("a", "", bad[i]));
}

static void test_arguments(void **state)
{
	static char many[REQUEST_ARGS_SIZE + 16];

	(void)state;
	assert_true(accepts_run("ls", 3, 1));
	assert_true(accepts_run("ls\0-l\0", 7, 3));
	assert_false(accepts_run("ls", 2, 1));
	assert_false(accepts_run("ls", 3, 2));
	assert_false(accepts_run("ls\0-l", 6, 1));
	assert_false(accepts_run("ls\0-l", 5, 2));
	assert_false(accepts_run("", 0, 0));
	assert_false(accepts_run("", 0, 1));
	assert_false(accepts_run("", 1, 1));
	assert_false(accepts_run("ls", 3, 0xffffffff));
	assert_false(accepts_run("ls", 0xffffffff, 1));
	memset(many, 'a', sizeof(many));
	many[REQUEST_ARGS_SIZE - 1] = '\0';
	assert_true(accepts_run(many, REQUEST_ARGS_SIZE, 1));
	assert_false(accepts_run(many, REQUEST_ARGS_SIZE + 1, 1));
	for (size_t i = 1; i < sizeof(many); i += 2)
		many[i] = '\0';
	assert_true(accepts_run(many, 2 * PLAN_ARGS_MAX, PLAN_ARGS_MAX));
	assert_false(accepts_run(many, 2 * PLAN_ARGS_MAX + 2, PLAN_ARGS_MAX + 1));
}

static void test_ranks(void **state)
{
	(void)state;
	assert_int_equal(check_rank_peer(0, false), CHECK_ROOT);
	assert_int_equal(check_rank_peer(0, true), CHECK_ROOT);
	assert_int_equal(check_rank_peer(1000, true), CHECK_READER);
	assert_int_equal(check_rank_peer(1000, false), CHECK_NOBODY);
	assert_int_equal(check_rank_peer(65534, false), CHECK_NOBODY);
	assert_int_equal(check_rank_peer(0xffffffff, false), CHECK_NOBODY);
}

static void test_permissions(void **state)
{
	union message_buffer buf = { .head.type = MSG_REQUEST_START };
	struct request_name *named = (struct request_name *)&buf;

	(void)state;
	assert_true(check_permission(&buf, CHECK_ROOT));
	assert_false(check_permission(&buf, CHECK_READER));
	assert_false(check_permission(&buf, CHECK_NOBODY));
	buf.head.type = MSG_REQUEST_RUN;
	assert_true(check_permission(&buf, CHECK_ROOT));
	assert_false(check_permission(&buf, CHECK_READER));
	buf.head.type = MSG_REQUEST_NAME;
	for (__u32 verb = 0; verb <= _REQUEST_VERB_MAX; verb++) {
		named->verb = verb;
		assert_true(check_permission(&buf, CHECK_ROOT));
		assert_false(check_permission(&buf, CHECK_NOBODY));
		assert_true(check_permission(&buf, CHECK_READER) ==
			    (verb == REQUEST_PS || verb == REQUEST_STATUS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	  cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_models),	  cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_ranks),	  cmocka_unit_test(test_permissions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
