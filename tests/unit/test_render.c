/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, states, planes and endpoints in words; columns of tables.
 * link: tools/custodyctl/render_ceiling.c tools/custodyctl/render_limits.c
 * link: tools/custodyctl/render_measured.c
 * link: tools/custodyctl/render.c tools/custodyctl/table.c
 * link: tools/custodyctl/event_words.c
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "custody/guard.h"
#include "tools/custodyctl/event_words.h"
#include "tools/custodyctl/render.h"
#include "tools/custodyctl/table.h"

struct number {
	__u64 value;
	const char *text;
};

static void test_bytes(void **state)
{
	static const struct number cases[] = {
		{ 0, "0" }, { 1, "1" }, { 1023, "1023" }, { 1024, "1.0K" }, { 1536, "1.5K" },
		{ 10239, "9.9K" }, { 10240, "10K" }, { 1048575, "1023K" }, { 1048576, "1.0M" },
		{ 5368709120ULL, "5.0G" }, { 1ULL << 40, "1.0T" }, { 1ULL << 60, "1.0E" },
		{ 0xffffffffffffffffULL, "15E" },
	};
	char text[RENDER_WORD];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		render_bytes(cases[i].value, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_age(void **state)
{
	static const struct number cases[] = {
		{ 0, "0s" }, { 59, "59s" }, { 60, "1m00s" }, { 192, "3m12s" }, { 3599, "59m59s" },
		{ 3600, "1h00m" }, { 86399, "23h59m" }, { 86400, "1d00h" }, { 356400, "4d03h" },
		{ 0xffffffffffffffffULL, "213503982334601d07h" },
	};
	char text[RENDER_WORD];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		render_age(cases[i].value, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_words(void **state)
{
	char text[RENDER_WORD], wanted[RENDER_WORD];

	(void)state;
	for (__u32 i = 1; i < _JAIL_STATE_MAX; i++) {
		render_state(i, text);
		assert_null(strchr(text, ' '));
	}
	for (__u32 i = 1; i < _POLICY_CLASS_MAX; i++) {
		render_class(i, text);
		assert_null(strchr(text, ' '));
	}
	render_state(0, text);
	assert_string_equal(text, "state 0");
	render_state(0xffffffff, text);
	assert_string_equal(text, "state 4294967295");
	render_class(_POLICY_CLASS_MAX, text);
	(void)snprintf(wanted, sizeof(wanted), "class %d", _POLICY_CLASS_MAX);
	assert_string_equal(text, wanted);
}

static void assert_words(__u16 class, __u16 object, __u32 access, bool of_object,
			 const char *wanted)
{
	struct custody_event event = { .class = class, .object = object, .access = access };
	char text[EVENT_WORDS_SIZE];

	if (of_object)
		event_words_object(&event, text);
	else
		event_words_access(&event, text);
	assert_string_equal(text, wanted);
}

static void test_event_words(void **state)
{
	(void)state;
	assert_words(POLICY_CLASS_GUARD, GUARD_ARTIFACT, 0, true, "artifact");
	assert_words(POLICY_CLASS_GUARD, GUARD_ESCAPE, 0, true, "escape");
	assert_words(POLICY_CLASS_GUARD, _GUARD_OBJECT_MAX, 0, true, "19");
	assert_words(POLICY_CLASS_GUARD, GUARD_SIGNAL, 9, false, "SIGKILL");
	assert_words(POLICY_CLASS_GUARD, GUARD_SIGNAL, 99, false, "99");
	assert_words(POLICY_CLASS_GUARD, GUARD_DOOR, 0, false, "passed");
	assert_words(POLICY_CLASS_GUARD, GUARD_DOOR, 77, false, "77");
	assert_words(POLICY_CLASS_GUARD, GUARD_ARTIFACT, GUARD_CHANGE_WRITE, false, "write");
	assert_words(POLICY_CLASS_GUARD, GUARD_READ, 0x8000, false, "open-read");
	assert_words(POLICY_CLASS_CHANGE, 0, POLICY_CHANGE_XATTR, false, "xattr");
	assert_words(POLICY_CLASS_CHANGE, 0, 0, false, "0");
	assert_words(POLICY_CLASS_EXECMAP, 0, 5 | POLICY_EXECMAP_MEMFD, false, "r-x,memfd");
	assert_words(POLICY_CLASS_TASK, POLICY_TASK_URING, POLICY_URING_SQPOLL, false, "sqpoll");
	assert_words(POLICY_CLASS_TASK, POLICY_TASK_CAPABLE, 21, false, "21");
	assert_words(POLICY_CLASS_LIMIT, POLICY_LIMIT_HOST_MEMORY, 0, true, "host-memory");
	assert_words(POLICY_CLASS_LIMIT, _POLICY_LIMIT_MAX, 0, true, "4");
	assert_words(POLICY_CLASS_OPEN, 3, 1, true, "");
	assert_words(POLICY_CLASS_OPEN, 3, 1, false, "");
}

static void test_planes(void **state)
{
	char text[RENDER_PLANES];

	(void)state;
	render_planes(0, 0, text);
	assert_string_equal(text, "-");
	render_planes(CUSTODY_PLANES_ALL, 0, text);
	assert_string_equal(text, "!structure,!cgroup,!lsm,!observe,!guard,!limits");
	render_planes(CUSTODY_PLANE_LSM, CUSTODY_PLANE_CGROUP, text);
	assert_string_equal(text, "cgroup,!lsm");
	render_planes(0xffffffc0, 0xffffffc0, text);
	assert_string_equal(text, "-");
}

static void test_endpoints(void **state)
{
	struct reply_endpoint endpoint = { .family = PLAN_FAMILY_INET, .protocol = IPPROTO_TCP,
					   .port = 65535, .address = { 10, 0, 0, 5 } };
	char text[RENDER_ENDPOINT];

	(void)state;
	render_endpoint(&endpoint, text);
	assert_string_equal(text, "tcp:10.0.0.5:65535");
	endpoint = (struct reply_endpoint){ .family = PLAN_FAMILY_INET6, .protocol = IPPROTO_UDP,
					    .port = 53, .address = { 0xfe, 0x80, [15] = 1 } };
	render_endpoint(&endpoint, text);
	assert_string_equal(text, "udp:[fe80::1]:53");
	endpoint = (struct reply_endpoint){ .family = PLAN_FAMILY_UNIX };
	memset(endpoint.path, 1, sizeof(endpoint.path));
	render_endpoint(&endpoint, text);	/* longest, and without its NUL */
	assert_int_equal(strlen(text), strlen("unix:") + 4 * sizeof(endpoint.path));
	assert_memory_equal(text, "unix:\\x01\\x01", 13);
	endpoint = (struct reply_endpoint){ .family = PLAN_FAMILY_NAME, .protocol = IPPROTO_TCP,
					    .port = 9090, .path = "metrics.internal" };
	render_endpoint(&endpoint, text);
	assert_string_equal(text, "name:metrics.internal:9090");
	endpoint = (struct reply_endpoint){ .family = 99 };
	render_endpoint(&endpoint, text);
	assert_string_equal(text, "family 99");
}

static void test_json_of_any_text(void **state)
{
	json_t *good = render_text_json("caf\xc3\xa9 \"x\"");
	json_t *bad = render_text_json("caf\xe9");
	json_t *most = render_count_json(0xffffffffffffffffULL);

	(void)state;
	assert_string_equal(json_string_value(good), "caf\xc3\xa9 \"x\"");
	assert_string_equal(json_string_value(bad), "caf\\xe9");
	assert_true(json_integer_value(most) == INT64_MAX);
	json_decref(good);
	json_decref(bad);
	json_decref(most);
}

/* More endpoints than there is room for are not read. */
static void test_row_with_a_wrong_count(void **state)
{
	static struct reply_row row = { .name = "a", .n_endpoints = 0xffffffff };
	json_t *json = render_row_json(&row);

	(void)state;
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "endpoints")),
			 CUSTODY_ENDPOINTS_MAX);
	json_decref(json);
}

static void test_table(void **state)
{
	static const char *const headings[] = { "NAME", ">N", "LAST", NULL };
	static const char *const rows[][3] = { { "caf\xc3\xa9", "1", "x" }, { "a", "1000", "" } };
	cleanup_table struct table table = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	assert_int_equal(table_open(&table, headings), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(table_add_row(&table, rows[i]), 0);
	table_print(&table, out, false);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "NAME     N  LAST\n"
				  "caf\xc3\xa9     1  x\n"
				  "a     1000  \n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_planes),
		cmocka_unit_test(test_event_words),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_json_of_any_text),
		cmocka_unit_test(test_row_with_a_wrong_count),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
