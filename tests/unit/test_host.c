/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody.conf: what it sets, and what is wrong with it, line by line.
 * link: daemon/planner/host.c daemon/planner/problems.c daemon/planner/value.c
 * link: daemon/planner/words.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "custody/guard.h"
#include "daemon/planner/host.h"

static struct host_settings parse(const char *text)
{
	cleanup_problems struct problems problems = { 0 };
	struct host_settings settings = { 0 };

	host_parse("c", text, strlen(text), &settings, &problems);
	if (!problems_none(&problems))
		print_message("line %u: %s\n", problems_first(&problems)->line,
			      problems_first(&problems)->text);
	assert_true(problems_none(&problems));
	return settings;
}

/* The first problem is on this line and has these words. */
static void wrong(const char *text, size_t size, unsigned int line, const char *words)
{
	cleanup_problems struct problems problems = { 0 };
	struct host_settings settings = { 0 };

	host_parse("c", text, size, &settings, &problems);
	assert_false(problems_none(&problems));
	assert_int_equal(problems_first(&problems)->line, line);
	if (!strstr(problems_first(&problems)->text, words))
		fail_msg("said: %s; wanted: %s", problems_first(&problems)->text, words);
}

#define WRONG(text, line, words) wrong(text, sizeof(text) - 1, line, words)

static void test_good(void **state)
{
	struct host_settings s;

	(void)state;
	s = parse("");
	assert_int_equal(s.guard, 0);
	assert_int_equal(s.guard_line, 0);
	s = parse("[guard]\n; nothing\n#\n\n");
	assert_int_equal(s.guard_line, 0);
	s = parse("\n[guard]\r\nreaders = /usr/bin/backup uid:0 ; two\n"
		  "\t'/opt/a b' \"/x\"\ndeny-read=yes\ngpu-nodes = jails-only");
	assert_int_equal(s.guard, GUARD_SETTING_DENY_READ | GUARD_SETTING_NODES);
	assert_int_equal(s.guard_line, 3);
	assert_int_equal(s.n_readers, 4);
	assert_string_equal(s.readers[0].path, "/usr/bin/backup");
	assert_string_equal(s.readers[1].path, "");
	assert_int_equal(s.readers[1].uid, 0);
	assert_string_equal(s.readers[2].path, "/opt/a b");
	assert_int_equal(s.readers[2].line, 4);
	s = parse("[guard]\ndeny-read = no\ngpu-nodes = any\n");
	assert_int_equal(s.guard, 0);
	assert_int_equal(s.guard_line, 0);
}

static void test_bad(void **state)
{
	(void)state;
	WRONG("deny-read = yes\n", 1, "there is: [guard]");
	WRONG("[guard] x\n", 1, "there is: [guard]");
	WRONG("[gpu]\n", 1, "no section [gpu]");
	WRONG("[guard]\nfoo = 1\n", 2, "there are: readers, deny-read, gpu-nodes");
	WRONG("[guard]\nfoo\n", 2, "no key = value");
	WRONG("[guard]\ndeny-read =\n", 2, "write yes or no");
	WRONG("[guard]\ndeny-read = yes no\n", 2, "write yes or no");
	WRONG("[guard]\ndeny-read = yes\n no\n", 3, "do not indent");
	WRONG("[guard]\ndeny-read = yes\ndeny-read = no\n", 3, "twice");
	WRONG("[guard]\nreaders = backup\n", 2, "backup is not understood");
	WRONG("[guard]\nreaders = uid:4294967294\n", 2, "not understood");
	WRONG("[guard]\nreaders = /a/../b\n", 2, "not understood");
	WRONG("[guard]\nreaders = '/a\n", 2, "quote");
	WRONG("[guard]\ngpu-nodes = no\n", 2, "jails-only or any");
	WRONG("[guard]\nreaders = /a\0b\n", 2, "control character");
	WRONG(" readers = /a\n", 1, "do not indent");
}

static void test_limits(void **state)
{
	char text[HOST_READERS_MAX * 16 + 600];
	size_t n = (size_t)snprintf(text, sizeof(text), "[guard]\nreaders =");
	size_t full;

	(void)state;
	for (int i = 0; i < HOST_READERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " uid:%d\n", i);
	assert_int_equal(parse(text).n_readers, HOST_READERS_MAX);
	full = n;
	n += (size_t)snprintf(text + n, sizeof(text) - n, " /one/more\n");
	wrong(text, n, HOST_READERS_MAX + 2, "more than 64");
	memset(text + full, 'x', 512);
	wrong(text, full + 512, HOST_READERS_MAX + 2, "longer than 511");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
