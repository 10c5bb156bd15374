/* SPDX-License-Identifier: Apache-2.0 */
/* What a bind() of the jail gets: rules A1 to A7, one row each way. */
/* link: daemon/broker/address.c */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/broker/address.h"

#define MPTCP 262

static const struct address_socket test_tcp4 = { AF_INET, SOCK_STREAM, IPPROTO_TCP, false };
static const struct address_socket test_tcp6 = { AF_INET6, SOCK_STREAM, IPPROTO_TCP, false };
static const struct address_socket test_only6 = { AF_INET6, SOCK_STREAM, IPPROTO_TCP, true };
static const struct address_socket test_udp4 = { AF_INET, SOCK_DGRAM, IPPROTO_UDP, false };
static const struct address_socket test_unix = { AF_UNIX, SOCK_STREAM, 0, false };

static void test_add(struct custody_plan *plan, __u16 family, __u16 protocol, __u16 port,
		     const char *address)
{
	struct plan_endpoint *e = &plan->endpoints[plan->n_endpoints++];

	e->kind = PLAN_ENDPOINT_LISTEN;
	e->family = family;
	e->protocol = protocol;
	e->port = port;
	assert_int_equal(inet_pton(family == PLAN_FAMILY_INET ? AF_INET : AF_INET6, address,
				   e->address), 1);
}

/* 0 10.0.0.5:80, 1 127.0.0.1:80, 2 0.0.0.0:8080, 3 [::]:8080, 4 [::1]:81, 5 udp 0.0.0.0:53,
 * 6 unix:/run/m.sock, 7 egress 10.9.9.9:443 */
static void test_make_plan(struct custody_plan *plan)
{
	static const char path[] = "/run/m.sock";

	memset(plan, 0, sizeof(*plan));
	test_add(plan, PLAN_FAMILY_INET, IPPROTO_TCP, 80, "10.0.0.5");
	test_add(plan, PLAN_FAMILY_INET, IPPROTO_TCP, 80, "127.0.0.1");
	test_add(plan, PLAN_FAMILY_INET, IPPROTO_TCP, 8080, "0.0.0.0");
	test_add(plan, PLAN_FAMILY_INET6, IPPROTO_TCP, 8080, "::");
	test_add(plan, PLAN_FAMILY_INET6, IPPROTO_TCP, 81, "::1");
	test_add(plan, PLAN_FAMILY_INET, IPPROTO_UDP, 53, "0.0.0.0");
	memcpy(plan->pool + 1, path, sizeof(path));
	plan->pool_used = 1 + sizeof(path);
	plan->endpoints[plan->n_endpoints++] = (struct plan_endpoint){
		.kind = PLAN_ENDPOINT_LISTEN, .family = PLAN_FAMILY_UNIX,
		.path = { .off = 1, .len = sizeof(path) - 1 },
	};
	test_add(plan, PLAN_FAMILY_INET, IPPROTO_TCP, 443, "127.0.0.1");
	plan->endpoints[plan->n_endpoints - 1].kind = PLAN_ENDPOINT_EGRESS;
}

static socklen_t test_make_address(const char *address, __u16 port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

#define DENIED (-1)
#define KERNEL (-2)

struct test_row {
	const struct address_socket *socket;
	const char *address;
	__u16 port;
	int want;		/* endpoint, DENIED or KERNEL */
	int want_loopback;	/* the same with PLAN_FLAG_LOOPBACK */
};

static const struct test_row test_rows[] = {
	/* A2: the listed address itself, whatever the order */
	{ &test_tcp4, "10.0.0.5", 80, 0, 0 },
	{ &test_tcp4, "127.0.0.1", 80, 1, 1 },
	/* A1: a wildcard takes the first on the port */
	{ &test_tcp4, "0.0.0.0", 80, 0, 0 },
	{ &test_tcp4, "127.0.0.2", 8080, 2, 2 },
	{ &test_tcp4, "10.0.0.6", 80, DENIED, DENIED },
	{ &test_tcp4, "192.0.2.1", 8080, DENIED, DENIED },
	{ &test_tcp4, "255.255.255.255", 8080, DENIED, DENIED },
	/* A2: same family before the other */
	{ &test_tcp4, "0.0.0.0", 8080, 2, 2 },
	{ &test_tcp6, "::", 8080, 3, 3 },
	{ &test_only6, "::", 8080, 3, 3 },
	/* A3: the other family, but not for IPV6_V6ONLY */
	{ &test_tcp6, "::", 80, 0, 0 },
	{ &test_tcp6, "::1", 80, 0, 0 },
	{ &test_only6, "::", 80, DENIED, DENIED },
	{ &test_only6, "::1", 80, DENIED, KERNEL },
	{ &test_tcp4, "0.0.0.0", 81, 4, 4 },
	{ &test_tcp6, "2001:db8::1", 8080, DENIED, DENIED },
	/* A4 */
	{ &test_tcp6, "::ffff:127.0.0.1", 80, 1, 1 },
	{ &test_tcp6, "::ffff:10.0.0.6", 80, DENIED, DENIED },
	/* A5, and port 0 */
	{ &test_tcp4, "127.0.0.1", 9999, DENIED, KERNEL },
	{ &test_tcp4, "127.9.9.9", 0, DENIED, KERNEL },
	{ &test_tcp6, "::1", 9999, DENIED, KERNEL },
	{ &test_tcp6, "::ffff:127.0.0.1", 9999, DENIED, KERNEL },
	{ &test_tcp4, "0.0.0.0", 0, DENIED, DENIED },
	{ &test_tcp6, "::", 0, DENIED, DENIED },
	{ &test_tcp4, "0.0.0.0", 9999, DENIED, DENIED },
	/* protocol and type */
	{ &test_udp4, "0.0.0.0", 53, 5, 5 },
	{ &test_udp4, "0.0.0.0", 80, DENIED, DENIED },
	{ &test_tcp4, "0.0.0.0", 53, DENIED, DENIED },
	/* an egress entry is nothing to bind */
	{ &test_tcp4, "0.0.0.0", 443, DENIED, DENIED },
};

/* connect(): 7 is egress 127.0.0.1:443, 8 udp 10.0.0.9:53, 9 and 10 a name's ports, 11 a path */
static const struct test_row test_connect_rows[] = {
	{ &test_tcp4, "127.0.0.1", 443, 7, 7 },
	{ &test_tcp6, "::ffff:127.0.0.1", 443, 7, 7 },
	{ &test_tcp4, "127.0.0.2", 443, DENIED, KERNEL },
	{ &test_tcp4, "0.0.0.0", 443, DENIED, DENIED },
	{ &test_udp4, "127.0.0.1", 443, DENIED, KERNEL },
	{ &test_udp4, "10.0.0.9", 53, 8, 8 },
	{ &test_tcp4, "10.0.0.9", 53, DENIED, DENIED },
	/* what is published is nothing to connect to */
	{ &test_tcp4, "10.0.0.5", 80, DENIED, DENIED },
	/* the stand-in of a name is that of its first endpoint */
	{ &test_tcp4, "127.128.0.10", 9090, 9, 9 },
	{ &test_tcp4, "127.128.0.10", 443, 10, 10 },
	{ &test_tcp6, "::ffff:127.128.0.10", 443, 10, 10 },
	{ &test_tcp4, "127.128.0.10", 80, DENIED, KERNEL },
	{ &test_tcp4, "127.128.0.11", 443, DENIED, KERNEL },
	{ &test_tcp4, "127.128.1.10", 443, DENIED, KERNEL },
	{ &test_tcp4, "127.128.0.0", 443, DENIED, KERNEL },
	{ &test_udp4, "127.128.0.10", 443, DENIED, KERNEL },
};

static void test_add_egress(struct custody_plan *plan)
{
	static const char name[] = "a.internal";
	static const char path[] = "/run/out.sock";
	__u32 off = 1000;

	test_add(plan, PLAN_FAMILY_INET, IPPROTO_UDP, 53, "10.0.0.9");
	memcpy(plan->pool + off, name, sizeof(name));
	memcpy(plan->pool + off + 100, path, sizeof(path));
	for (__u16 port = 9090; port != 0; port = port == 9090 ? 443 : 0)
		plan->endpoints[plan->n_endpoints++] = (struct plan_endpoint){
			.family = PLAN_FAMILY_NAME, .protocol = IPPROTO_TCP, .port = port,
			.path = { off, sizeof(name) - 1 } };
	plan->endpoints[plan->n_endpoints++] = (struct plan_endpoint){
		.family = PLAN_FAMILY_UNIX, .path = { off + 100, sizeof(path) - 1 } };
	for (__u32 i = 8; i < plan->n_endpoints; i++)
		plan->endpoints[i].kind = PLAN_ENDPOINT_EGRESS;
}

static int test_decide_connect(const struct custody_plan *plan, const struct test_row *row)
{
	struct sockaddr_storage storage;
	socklen_t size = test_make_address(row->address, row->port, &storage);
	struct address_decision decision;

	address_decide_connect(plan, row->socket, &storage, size, &decision);
	if (decision.action == BROKER_GRANT)
		return (int)decision.endpoint;
	if (decision.action == BROKER_CONTINUE)
		return KERNEL;
	assert_true(decision.policy);
	assert_int_equal(decision.error,
			 plan->flags & PLAN_FLAG_CONNREFUSED ? -ECONNREFUSED : -EACCES);
	return DENIED;
}

static int test_decide(const struct custody_plan *plan, const struct test_row *row)
{
	struct sockaddr_storage storage;
	socklen_t size = test_make_address(row->address, row->port, &storage);
	struct address_decision decision;

	address_decide_bind(plan, row->socket, &storage, size, &decision);
	assert_int_equal(decision.port, row->port);
	if (decision.action == BROKER_GRANT) {
		assert_int_equal(decision.error, 0);
		return (int)decision.endpoint;
	}
	assert_int_equal(decision.error, decision.action == BROKER_DENY ? -EACCES : 0);
	return decision.action == BROKER_CONTINUE ? KERNEL : DENIED;
}

static void test_rules(void **state)
{
	struct custody_plan *plan = malloc(sizeof(*plan));

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	for (size_t i = 0; i < ARRAY_SIZE(test_rows); i++) {
		int want = test_rows[i].want;

		plan->flags = 0;
		if (test_decide(plan, &test_rows[i]) != want)
			fail_msg("row %zu: %s:%u", i, test_rows[i].address, test_rows[i].port);
		plan->flags = PLAN_FLAG_LOOPBACK;
		want = test_rows[i].want_loopback;
		if (test_decide(plan, &test_rows[i]) != want)
			fail_msg("row %zu, loopback: %s:%u", i, test_rows[i].address,
				 test_rows[i].port);
	}
	free(plan);
}

static void test_connect_rules(void **state)
{
	struct custody_plan *plan = calloc(1, sizeof(*plan));
	const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/out.sock" };
	struct address_socket stream = { AF_UNIX, SOCK_STREAM, 0, false };
	struct address_decision decision;

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	test_add_egress(plan);
	for (size_t i = 0; i < ARRAY_SIZE(test_connect_rows); i++) {
		const struct test_row *row = &test_connect_rows[i];

		plan->flags = PLAN_FLAG_CONNECT;
		if (test_decide_connect(plan, row) != row->want)
			fail_msg("row %zu: %s:%u", i, row->address, row->port);
		plan->flags |= PLAN_FLAG_LOOPBACK | PLAN_FLAG_CONNREFUSED;
		if (test_decide_connect(plan, row) != row->want_loopback)
			fail_msg("row %zu, loopback: %s:%u", i, row->address, row->port);
	}
	address_decide_connect(plan, &test_tcp4, &unspec, sizeof(unspec), &decision);
	assert_int_equal(decision.action, BROKER_CONTINUE);
	address_decide_connect(plan, &stream, &un, sizeof(un), &decision);
	assert_int_equal(decision.action, BROKER_GRANT);
	assert_int_equal(decision.endpoint, 11);
	stream.type = SOCK_DGRAM;
	address_decide_connect(plan, &stream, &un, sizeof(un), &decision);
	assert_int_equal(decision.action, BROKER_DENY);
	un.sun_path[0] = '\0';
	address_decide_connect(plan, &stream, &un, sizeof(un), &decision);
	assert_int_equal(decision.action, BROKER_CONTINUE);
	free(plan);
}

static enum address_action test_decide_raw(const struct custody_plan *plan,
					   struct address_socket socket, const void *address,
					   size_t len, int want_error)
{
	struct address_decision decision;
	void *exact = malloc(len ? len : 1);

	/* A heap copy of exactly len bytes: ASan sees a read beyond it. */
	assert_non_null(exact);
	memcpy(exact, address, len);
	address_decide_bind(plan, &socket, exact, len, &decision);
	free(exact);
	assert_int_equal(decision.error, want_error);
	return decision.action;
}

static void test_lengths(void **state)
{
	struct custody_plan *plan = malloc(sizeof(*plan));
	unsigned char bytes[ADDRESS_SIZE_MAX + 1] = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(8080) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(8080) };

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	memcpy(bytes, &in, sizeof(in));
	for (size_t len = 0; len < sizeof(in); len++)
		assert_int_equal(test_decide_raw(plan, test_tcp4, bytes, len, -EINVAL),
				 BROKER_DENY);
	for (size_t len = sizeof(in); len <= ADDRESS_SIZE_MAX; len++)
		assert_int_equal(test_decide_raw(plan, test_tcp4, bytes, len, 0), BROKER_GRANT);
	assert_int_equal(test_decide_raw(plan, test_tcp4, bytes, sizeof(bytes), -EINVAL),
			 BROKER_DENY);
	memcpy(bytes, &in6, sizeof(in6));
	assert_int_equal(test_decide_raw(plan, test_tcp6, bytes, 23, -EINVAL), BROKER_DENY);
	assert_int_equal(test_decide_raw(plan, test_tcp6, bytes, 24, 0), BROKER_GRANT);
	assert_int_equal(test_decide_raw(plan, test_tcp4, bytes, 28, -EAFNOSUPPORT), BROKER_DENY);
	free(plan);
}

static void test_other_families(void **state)
{
	static const int families[] = { AF_PACKET, AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_XDP };
	struct custody_plan *plan = malloc(sizeof(*plan));
	struct address_socket route = { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, false };
	struct address_socket mptcp = { AF_INET, SOCK_STREAM, MPTCP, false };
	struct sockaddr_storage storage = { 0 };

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct address_socket other = { families[i], SOCK_RAW, 0, false };

		storage.ss_family = (sa_family_t)families[i];
		assert_int_equal(test_decide_raw(plan, other, &storage, 64, -EACCES), BROKER_DENY);
	}
	/* A7 */
	storage.ss_family = AF_NETLINK;
	assert_int_equal(test_decide_raw(plan, route, &storage, 12, 0), BROKER_CONTINUE);
	route.protocol = NETLINK_KOBJECT_UEVENT;
	assert_int_equal(test_decide_raw(plan, route, &storage, 12, -EACCES), BROKER_DENY);
	(void)test_make_address("0.0.0.0", 8080, &storage);
	assert_int_equal(test_decide_raw(plan, mptcp, &storage, 16, -EACCES), BROKER_DENY);
	free(plan);
}

static void test_unix_names(void **state)
{
	struct custody_plan *plan = malloc(sizeof(*plan));
	struct {
		struct sockaddr_un un;
		char more;
	} longer = { .un = { .sun_family = AF_UNIX, .sun_path = "/run/m.sock" } };
	struct sockaddr_un un = longer.un;
	struct address_socket other = test_unix;
	struct address_decision decision;

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	/* with and without the NUL, and padded */
	assert_int_equal(test_decide_raw(plan, test_unix, &un, 2 + 11, 0), BROKER_GRANT);
	assert_int_equal(test_decide_raw(plan, test_unix, &un, 2 + 12, 0), BROKER_GRANT);
	assert_int_equal(test_decide_raw(plan, test_unix, &un, sizeof(un), 0), BROKER_GRANT);
	assert_int_equal(test_decide_raw(plan, test_unix, &un, 2 + 10, 0), BROKER_CONTINUE);
	assert_int_equal(test_decide_raw(plan, test_unix, &un, 2, 0), BROKER_CONTINUE);
	assert_int_equal(test_decide_raw(plan, test_unix, &longer, sizeof(un) + 1, -EINVAL),
			 BROKER_DENY);
	other.type = SOCK_SEQPACKET;
	assert_int_equal(test_decide_raw(plan, other, &un, sizeof(un), -EACCES), BROKER_DENY);
	memset(un.sun_path, 'x', sizeof(un.sun_path));
	address_decide_bind(plan, &test_unix, &un, sizeof(un), &decision);
	assert_int_equal(decision.action, BROKER_CONTINUE);
	assert_int_equal(decision.path_len, sizeof(un.sun_path));
	assert_int_equal(decision.path[decision.path_len], '\0');
	/* an abstract name that looks like the path is another name */
	memcpy(un.sun_path, "\0/run/m.sock", 12);
	assert_int_equal(test_decide_raw(plan, test_unix, &un, 14, 0), BROKER_CONTINUE);
	/* an internet socket with a UNIX address never continues */
	assert_int_equal(test_decide_raw(plan, test_tcp4, &un, sizeof(un), -EINVAL), BROKER_DENY);
	free(plan);
}

static void test_print(void **state)
{
	struct custody_plan *plan = malloc(sizeof(*plan));
	char text[64];

	(void)state;
	assert_non_null(plan);
	test_make_plan(plan);
	address_print_endpoint(plan, &plan->endpoints[0], text, sizeof(text));
	assert_string_equal(text, "tcp:10.0.0.5:80");
	address_print_endpoint(plan, &plan->endpoints[4], text, sizeof(text));
	assert_string_equal(text, "tcp:[::1]:81");
	address_print_endpoint(plan, &plan->endpoints[5], text, sizeof(text));
	assert_string_equal(text, "udp:0.0.0.0:53");
	address_print_endpoint(plan, &plan->endpoints[6], text, sizeof(text));
	assert_string_equal(text, "unix:/run/m.sock");
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_connect_rules),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_other_families),
		cmocka_unit_test(test_unix_names),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
