/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets serve a published endpoint, and the lines of /proc that the sweeper reads. */
/* link: daemon/sweeper/match.c daemon/sweeper/procfs.c */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/sweeper/match.h"
#include "daemon/sweeper/procfs.h"

struct test_row {
	const char *endpoint;
	const char *socket;
	bool v6only;
	bool want;
};

static const struct test_row test_rows[] = {
	{ "127.0.0.1", "127.0.0.1", false, true },
	{ "127.0.0.1", "127.0.0.2", false, false },
	{ "127.0.0.1", "0.0.0.0", false, true },
	{ "0.0.0.0", "127.0.0.1", false, true },
	{ "127.0.0.1", "::", false, true },
	{ "127.0.0.1", "::", true, false },
	{ "127.0.0.1", "::1", false, false },
	{ "127.0.0.1", "::ffff:127.0.0.1", false, true },
	{ "127.0.0.1", "::ffff:127.0.0.2", false, false },
	{ "::1", "::1", true, true },
	{ "::1", "::", true, true },
	{ "::", "::1", false, true },
	{ "::1", "::2", false, false },
	{ "::1", "0.0.0.0", false, false },
	{ "::1", "::ffff:127.0.0.1", false, false },
};

static __u16 test_parse(const char *text, __u8 *ret)
{
	if (inet_pton(AF_INET, text, ret) == 1)
		return PLAN_FAMILY_INET;
	assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
	return PLAN_FAMILY_INET6;
}

static void test_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(test_rows); i++) {
		const struct test_row *row = &test_rows[i];
		struct reply_endpoint e = { .kind = PLAN_ENDPOINT_LISTEN, .port = 80,
					    .protocol = IPPROTO_TCP };
		struct match_socket s = { .port = 80, .protocol = IPPROTO_TCP, .serves = true,
					  .v6only = row->v6only };

		e.family = test_parse(row->endpoint, e.address);
		s.family = test_parse(row->socket, s.address);
		if (match_serves_endpoint(&s, &e) != row->want)
			fail_msg("row %zu: %s by %s", i, row->endpoint, row->socket);
		s.port = 81;
		assert_false(match_serves_endpoint(&s, &e));
		s.port = 80;
		s.protocol = IPPROTO_UDP;
		assert_false(match_serves_endpoint(&s, &e));
		s.protocol = IPPROTO_TCP;
		s.serves = false;
		assert_false(match_serves_endpoint(&s, &e));
	}
}

static void test_lines(void **state)
{
	unsigned int major;
	unsigned int minor;
	__u64 number;

	(void)state;
	assert_true(procfs_parse_mount("36 35 98:0 / /mnt2 rw master:1 - ext3 /dev/r rw",
				       &number, &major, &minor));
	assert_int_equal(number, 36);
	assert_int_equal(major, 98);
	assert_int_equal(minor, 0);
	assert_false(procfs_parse_mount("36 35 980 /", &number, &major, &minor));
	assert_false(procfs_parse_mount("", &number, &major, &minor));
	assert_true(procfs_parse_map("7f1122334000-7f1122335000 r--p 00001000 fd:01 4242   /a b\n",
				     &major, &minor, &number));
	assert_int_equal(major, 0xfd);
	assert_int_equal(minor, 1);
	assert_int_equal(number, 4242);
	assert_true(procfs_parse_map("7ffc0-7ffd0 rw-p 00000000 00:00 0   [stack]\n", &major,
				     &minor, &number));
	assert_int_equal(number, 0);
	assert_false(procfs_parse_map("[stack]", &major, &minor, &number));
}

static void test_numbers(void **state)
{
	unsigned int number = 7;

	(void)state;
	assert_true(procfs_parse_number("4242", &number));
	assert_int_equal(number, 4242);
	assert_false(procfs_parse_number("self", &number));
	assert_false(procfs_parse_number("-1", &number));
	assert_false(procfs_parse_number("1x", &number));
	assert_false(procfs_parse_number("", &number));
	assert_false(procfs_parse_number("99999999999", &number));
	assert_int_equal(number, 4242);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
