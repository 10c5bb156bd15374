/* SPDX-License-Identifier: Apache-2.0 */
/* Host names, addresses and stand-ins of egress; how a profile's words become them. */
/* link: daemon/planner/value.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/planner/value.h"
#include "destination.h"

static void test_hosts(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		{ "metrics.internal", true }, { "a", true }, { "a-b.c_d.e1", true },
		{ "xn--bcher-kva.example", true }, { "1.a", true },
		{ "", false }, { ".", false }, { "a.", false }, { ".a", false }, { "a..b", false },
		{ "-a.b", false }, { "a-.b", false }, { "A.b", false }, { "a b", false },
		{ "a\nb", false }, { "a#b", false }, { "10.0.0.5", false }, { "a.5", false },
		{ "localhost", false }, { "custody", false }, { "caf\xc3\xa9.example", false },
	};
	char label[PLAN_HOST_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (destination_check_host(cases[i].name) != cases[i].good)
			fail_msg("\"%s\"", cases[i].name);
	}
	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	assert_true(destination_check_host(label));
	label[63] = 'a';
	label[64] = '\0';
	assert_false(destination_check_host(label));
	label[64] = 'a';
	for (size_t i = 1; i < sizeof(label); i += 2)
		label[i] = '.';
	label[PLAN_HOST_NAME_MAX] = '\0';
	assert_true(destination_check_host(label));
	label[PLAN_HOST_NAME_MAX] = '.';
	label[PLAN_HOST_NAME_MAX + 1] = '\0';
	assert_false(destination_check_host(label));
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		bool listed;	/* may a plan name it */
		bool resolved;	/* may a name lead to it */
	} cases[] = {
		{ "10.0.0.5", true, true }, { "192.168.1.1", true, true },
		{ "1.1.1.1", true, true },
		{ "127.0.0.1", true, false }, { "127.255.0.1", true, false },
		{ "169.254.169.254", true, false }, { "127.128.0.1", false, false },
		{ "127.128.255.255", false, false }, { "0.0.0.0", false, false },
		{ "0.1.2.3", false, false }, { "224.0.0.1", false, false },
		{ "255.255.255.255", false, false },
		{ "2001:db8::1", true, true }, { "fd00::1", true, true }, { "::1", true, false },
		{ "fe80::1", true, false }, { "febf::1", true, false }, { "fec0::1", true, true },
		{ "::", false, false }, { "ff02::1", false, false },
		{ "::ffff:10.0.0.5", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool six = strchr(cases[i].address, ':') != NULL;
		__u16 family = six ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET;
		__u8 address[16] = { 0 };

		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, cases[i].address, address), 1);
		if (destination_check_address(family, address) != cases[i].listed ||
		    destination_check_resolved(family, address) != cases[i].resolved)
			fail_msg("%s", cases[i].address);
	}
}

static void test_words(void **state)
{
	static const struct {
		const char *word;
		int want;
		__u16 family;
		__u16 port;
	} cases[] = {
		{ "tcp:10.0.0.5:443", 0, PLAN_FAMILY_INET, 443 },
		{ "tcp:[2001:db8::1]:443", 0, PLAN_FAMILY_INET6, 443 },
		{ "tcp:[::ffff:10.0.0.5]:443", 0, PLAN_FAMILY_INET, 443 },
		{ "udp:[::FFFF:10.0.0.5]:53", 0, PLAN_FAMILY_INET, 53 },
		{ "unix:/run/x.sock", 0, PLAN_FAMILY_UNIX, 0 },
		{ "name:Metrics.internal:9090", 0, PLAN_FAMILY_NAME, 9090 },
		{ "tcp:[::ffff:10.0.0.5:443", -EINVAL, 0, 0 },
		{ "tcp:[::ffff:0.0.0.0]:443", -ERANGE, 0, 0 },
		{ "tcp:[::ffff:a00:5]:443", -ERANGE, 0, 0 },
		{ "tcp:0.0.0.0:443", -ERANGE, 0, 0 }, { "tcp:[::]:443", -ERANGE, 0, 0 },
		{ "tcp:127.128.0.1:443", -ERANGE, 0, 0 }, { "tcp:224.0.0.1:5", -ERANGE, 0, 0 },
		{ "tcp:10.0.0.5:0", -ERANGE, 0, 0 }, { "name:a.b:0", -ERANGE, 0, 0 },
		{ "name:a.b:65536", -ERANGE, 0, 0 }, { "name:a.b", -EINVAL, 0, 0 },
		{ "name:10.0.0.5:80", -EINVAL, 0, 0 }, { "name::80", -EINVAL, 0, 0 },
		{ "name:[::1]:80", -EINVAL, 0, 0 }, { "tcp:a.b:80", -EINVAL, 0, 0 },
		{ "sctp:10.0.0.5:80", -EINVAL, 0, 0 }, { "", -EINVAL, 0, 0 },
		{ "tcp", -EINVAL, 0, 0 }, { "udp:", -EINVAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct value_endpoint endpoint = { .family = 77 };
		/* A copy of its own length: the sanitizer sees a byte read past its end. */
		char *word = strdup(cases[i].word);
		int r = word ? value_parse_egress(word, &endpoint) : -ENOMEM;

		free(word);
		if (r != cases[i].want || endpoint.family != (r < 0 ? 77 : cases[i].family) ||
		    endpoint.port != cases[i].port)
			fail_msg("%s: %d, family %u", cases[i].word, r, endpoint.family);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
