/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c: what is accepted, what is not, and that no fd is left open either way.
 * Every refusal has a twin that differs in one thing and is accepted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "message.h"

struct pair {
	int a;
	int b;
	unsigned int fds;	/* open in this process before the test's own */
};

static unsigned int count_fds(void)
{
	cleanup_dir DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static int setup_pair(void **state)
{
	static struct pair pair;

	assert_int_equal(message_make_pair(&pair.a, &pair.b), 0);
	pair.fds = count_fds();
	*state = &pair;
	return 0;
}

/* Closes the pair, after it has checked that the test left no other fd open. */
static int teardown_pair(void **state)
{
	struct pair *pair = *state;
	unsigned int now = count_fds();

	(void)close(pair->a);
	(void)close(pair->b);
	return now == pair->fds ? 0 : -1;
}

/* One packet as it is, with n fds of /dev/null. */
static void send_raw(int fd, const void *bytes, size_t size, unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 64)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[64];

	assert_true(n_fds <= 64);
	for (unsigned int i = 0; i < n_fds; i++) {
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	if (n_fds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)size);
	for (unsigned int i = 0; i < n_fds; i++)
		assert_int_equal(close(fds[i]), 0);
}

static struct request_name make_ps(void)
{
	return (struct request_name){
		.head = { .type = MSG_REQUEST_NAME, .size = sizeof(struct request_name), .id = 7 },
		.verb = REQUEST_PS,
	};
}

static int receive(int fd, __u64 permit)
{
	static union message_buffer buf;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;

	return message_recv(fd, ROLE_FRONT, ROLE_CONTROL, permit, &buf, &fds);
}

#define PERMIT_NAME MSG_BIT(MSG_REQUEST_NAME)
#define PERMIT_RUN MSG_BIT(MSG_REQUEST_RUN)

static void test_good_is_received(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = { .verb = REQUEST_PS };
	union message_buffer buf;

	assert_int_equal(MESSAGE_SEND(pair->a, ROLE_CONTROL, REQUEST_NAME, 99, &ps), 0);
	assert_int_equal(message_recv(pair->b, ROLE_FRONT, ROLE_CONTROL, PERMIT_NAME, &buf, NULL),
			 0);
	assert_int_equal(buf.head.type, MSG_REQUEST_NAME);
	assert_int_equal(buf.head.size, sizeof(ps));
	assert_int_equal(buf.head.id, 99);
	assert_int_equal(((struct request_name *)&buf)->verb, REQUEST_PS);
}

static void test_wrong_size_is_refused(void **state)
{
	struct pair *pair = *state;
	struct {
		struct request_name ps;
		__u64 more;
	} longer = { .ps = make_ps() };
	const size_t sizes[] = { 1, 4, 8, sizeof(struct message_head) - 1,
				 sizeof(struct message_head), sizeof(struct request_name) - 1,
				 sizeof(struct request_name) + 1, sizeof(longer) };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		send_raw(pair->a, &longer, sizes[i], 0);
		assert_int_equal(receive(pair->b, PERMIT_NAME), -EPROTO);
	}
	/* The head lies about the size, the packet is right. */
	longer.ps.head.size = sizeof(longer);
	send_raw(pair->a, &longer, sizeof(longer.ps), 0);
	assert_int_equal(receive(pair->b, PERMIT_NAME), -EPROTO);
	longer.ps = make_ps();
	send_raw(pair->a, &longer, sizeof(longer.ps), 0);
	assert_int_equal(receive(pair->b, PERMIT_NAME), 0);
}

static void test_wrong_type_is_refused(void **state)
{
	struct pair *pair = *state;
	const __u32 types[] = { MSG_NONE, _MSG_MAX, 63, 64, 0x80000000U, 0xffffffffU };
	struct request_name ps = make_ps();

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		ps.head.type = types[i];
		send_raw(pair->a, &ps, sizeof(ps), 0);
		assert_int_equal(receive(pair->b, ~0ULL), -EPROTO);
	}
	ps.head.type = MSG_REQUEST_NAME;
	send_raw(pair->a, &ps, sizeof(ps), 0);
	assert_int_equal(receive(pair->b, ~0ULL), 0);
}

static void test_wrong_role_is_refused(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = make_ps();
	union message_buffer buf;
	const struct {
		enum custody_role self;
		enum custody_role from;
		int result;
	} cases[] = {
		{ ROLE_FRONT, ROLE_CONTROL, 0 },
		{ ROLE_WARDEN, ROLE_FRONT, 0 },
		{ ROLE_FRONT, ROLE_JAIL, -EPROTO },
		{ ROLE_FRONT, ROLE_WARDEN, -EPROTO },
		{ ROLE_PLANNER, ROLE_CONTROL, -EPROTO },
		{ ROLE_CONTROL, ROLE_FRONT, -EPROTO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		send_raw(pair->a, &ps, sizeof(ps), 0);
		assert_int_equal(message_recv(pair->b, cases[i].self, cases[i].from, ~0ULL, &buf,
					      NULL), cases[i].result);
	}
}

static void test_type_that_is_not_permitted_now_is_refused(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = make_ps();

	send_raw(pair->a, &ps, sizeof(ps), 0);
	assert_int_equal(receive(pair->b, ~PERMIT_NAME), -EPROTO);
	send_raw(pair->a, &ps, sizeof(ps), 0);
	assert_int_equal(receive(pair->b, 0), -EPROTO);
	send_raw(pair->a, &ps, sizeof(ps), 0);
	assert_int_equal(receive(pair->b, PERMIT_NAME), 0);
}

static void test_wrong_fd_count_is_refused(void **state)
{
	struct pair *pair = *state;
	static struct request_run run;
	struct request_name ps = make_ps();
	const unsigned int counts[] = { 0, 1, 2, 4, 8, 9, 20, 64 };

	run.head = (struct message_head){ .type = MSG_REQUEST_RUN, .size = sizeof(run) };
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		send_raw(pair->a, &run, sizeof(run), counts[i]);
		assert_int_equal(receive(pair->b, PERMIT_RUN), -EPROTO);
		assert_int_equal(count_fds(), pair->fds);
	}
	send_raw(pair->a, &run, sizeof(run), 3);
	assert_int_equal(receive(pair->b, PERMIT_RUN), 0);
	send_raw(pair->a, &ps, sizeof(ps), 1);
	assert_int_equal(receive(pair->b, PERMIT_NAME), -EPROTO);
	assert_int_equal(count_fds(), pair->fds);
}

static void test_fds_arrive_close_on_exec(void **state)
{
	struct pair *pair = *state;
	static struct request_run run;
	static union message_buffer buf;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	const int streams[] = { 0, 1, 2 };

	assert_int_equal(message_send(pair->a, ROLE_CONTROL, MSG_REQUEST_RUN, 1, &run, sizeof(run),
				      streams, 3), 0);
	assert_int_equal(message_recv(pair->b, ROLE_FRONT, ROLE_CONTROL, PERMIT_RUN, &buf, &fds),
			 0);
	assert_int_equal(fds.n, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(fcntl(fds.fd[i], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fds.fd[3], -1);
	message_close_fds(&fds);
	assert_int_equal(count_fds(), pair->fds);
}

static void test_fds_nobody_asked_for_are_closed(void **state)
{
	struct pair *pair = *state;
	static struct request_run run;
	static union message_buffer buf;

	run.head = (struct message_head){ .type = MSG_REQUEST_RUN, .size = sizeof(run) };
	send_raw(pair->a, &run, sizeof(run), 3);
	assert_int_equal(message_recv(pair->b, ROLE_FRONT, ROLE_CONTROL, PERMIT_RUN, &buf, NULL),
			 -EPROTO);
	assert_int_equal(count_fds(), pair->fds);
}

static void test_unterminated_text_is_refused(void **state)
{
	struct pair *pair = *state;
	struct request_name named = make_ps();

	memset(named.name, 'a', sizeof(named.name));
	send_raw(pair->a, &named, sizeof(named), 0);
	assert_int_equal(receive(pair->b, PERMIT_NAME), -EPROTO);
	named.name[sizeof(named.name) - 1] = '\0';
	send_raw(pair->a, &named, sizeof(named), 0);
	assert_int_equal(receive(pair->b, PERMIT_NAME), 0);
}

/* Texts inside arrays, in the elements that the count does not name too. */
static void test_unterminated_text_in_an_array_is_refused(void **state)
{
	struct pair *pair = *state;
	static struct jail_built built;
	static union message_buffer buf;
	struct jail_zone *last = &built.zones[CUSTODY_ZONES_MAX - 1];

	built.head = (struct message_head){ .type = MSG_JAIL_BUILT, .size = sizeof(built) };
	memset(last->target, '/', sizeof(last->target));
	send_raw(pair->a, &built, sizeof(built), 0);
	assert_int_equal(message_recv(pair->b, ROLE_WARDEN, ROLE_JAIL, ~0ULL, &buf, NULL), -EPROTO);
	last->target[sizeof(last->target) - 1] = '\0';
	send_raw(pair->a, &built, sizeof(built), 0);
	assert_int_equal(message_recv(pair->b, ROLE_WARDEN, ROLE_JAIL, ~0ULL, &buf, NULL), 0);
}

static void test_truncated_packet_is_refused(void **state)
{
	struct pair *pair = *state;
	static char large[CUSTODY_MESSAGE_MAX + 64];
	struct message_head head = { .type = MSG_REQUEST_NAME, .size = sizeof(large) };

	memcpy(large, &head, sizeof(head));
	send_raw(pair->a, large, sizeof(large), 3);
	assert_int_equal(receive(pair->b, ~0ULL), -EPROTO);
	assert_int_equal(count_fds(), pair->fds);
}

static void test_empty_packet_ends_the_peer(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->a, "", 0, 0);
	assert_int_equal(receive(pair->b, ~0ULL), -ENODATA);
	send_raw(pair->a, "", 0, 1);
	assert_int_equal(receive(pair->b, ~0ULL), -EPROTO);
	assert_int_equal(count_fds(), pair->fds);
}

/* A peer that says something, leaves our packet unread and goes: its words are not lost. */
static void test_last_words_of_a_peer_that_left_us_unread(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = { .verb = REQUEST_PS };
	struct reply_done done = { .exit = CUSTODY_EXIT_REFUSED };
	union message_buffer buf;
	int a, b;

	(void)pair;
	assert_int_equal(message_make_pair(&a, &b), 0);
	assert_int_equal(MESSAGE_SEND(a, ROLE_CONTROL, REQUEST_NAME, 1, &ps), 0);
	assert_int_equal(MESSAGE_SEND(b, ROLE_FRONT, REPLY_DONE, 1, &done), 0);
	assert_int_equal(close(b), 0);
	assert_int_equal(message_recv(a, ROLE_CONTROL, ROLE_FRONT, MSG_BIT(MSG_REPLY_DONE), &buf,
				      NULL), 0);
	assert_int_equal(((struct reply_done *)&buf)->exit, CUSTODY_EXIT_REFUSED);
	assert_int_equal(message_recv(a, ROLE_CONTROL, ROLE_FRONT, MSG_BIT(MSG_REPLY_DONE), &buf,
				      NULL), -ENODATA);
	assert_int_equal(close(a), 0);
}

static void test_sending_to_a_peer_that_left_us_unread(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = { .verb = REQUEST_PS };
	int a, b;

	(void)pair;
	assert_int_equal(message_make_pair(&a, &b), 0);
	assert_int_equal(MESSAGE_SEND(a, ROLE_CONTROL, REQUEST_NAME, 1, &ps), 0);
	assert_int_equal(close(b), 0);
	assert_int_equal(MESSAGE_SEND(a, ROLE_CONTROL, REQUEST_NAME, 1, &ps), -EPIPE);
	assert_int_equal(MESSAGE_SEND(a, ROLE_CONTROL, REQUEST_NAME, 1, &ps), -EPIPE);
	assert_int_equal(close(a), 0);
}

static void test_send_refuses_what_the_table_does_not_say(void **state)
{
	struct pair *pair = *state;
	struct request_name ps = { .verb = REQUEST_PS };
	const int fd = 0;

	assert_int_equal(message_send(pair->a, ROLE_JAIL, MSG_REQUEST_NAME, 1, &ps, sizeof(ps),
				      NULL, 0), -EINVAL);
	assert_int_equal(message_send(pair->a, ROLE_CONTROL, MSG_REQUEST_NAME, 1, &ps,
				      sizeof(ps) - 8, NULL, 0), -EINVAL);
	assert_int_equal(message_send(pair->a, ROLE_CONTROL, MSG_REQUEST_NAME, 1, &ps, sizeof(ps),
				      &fd, 1), -EINVAL);
	assert_int_equal(message_send(pair->a, ROLE_CONTROL, _MSG_MAX, 1, &ps, sizeof(ps), NULL, 0),
			 -EINVAL);
	/* Nothing of it was sent. */
	assert_int_equal(fcntl(pair->b, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(receive(pair->b, ~0ULL), -EAGAIN);
}

static void test_timeout_and_nonblocking(void **state)
{
	struct pair *pair = *state;
	union message_buffer buf;

	assert_int_equal(message_recv_timeout(pair->b, ROLE_FRONT, ROLE_CONTROL, ~0ULL, &buf, NULL,
					      10), -ETIMEDOUT);
	assert_int_equal(fcntl(pair->b, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(message_recv(pair->b, ROLE_FRONT, ROLE_CONTROL, ~0ULL, &buf, NULL),
			 -EAGAIN);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(message_type_name(MSG_REQUEST_START), "REQUEST_START");
	assert_string_equal(message_type_name(MSG_SWEEP_DONE), "SWEEP_DONE");
	assert_string_equal(message_type_name(MSG_NONE), "unknown");
	assert_string_equal(message_type_name(_MSG_MAX), "unknown");
}

#define PAIRED(f) cmocka_unit_test_setup_teardown(f, setup_pair, teardown_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(test_good_is_received),
		PAIRED(test_wrong_size_is_refused),
		PAIRED(test_wrong_type_is_refused),
		PAIRED(test_wrong_role_is_refused),
		PAIRED(test_type_that_is_not_permitted_now_is_refused),
		PAIRED(test_wrong_fd_count_is_refused),
		PAIRED(test_fds_arrive_close_on_exec),
		PAIRED(test_fds_nobody_asked_for_are_closed),
		PAIRED(test_unterminated_text_is_refused),
		PAIRED(test_unterminated_text_in_an_array_is_refused),
		PAIRED(test_truncated_packet_is_refused),
		PAIRED(test_empty_packet_ends_the_peer),
		PAIRED(test_last_words_of_a_peer_that_left_us_unread),
		PAIRED(test_sending_to_a_peer_that_left_us_unread),
		PAIRED(test_send_refuses_what_the_table_does_not_say),
		PAIRED(test_timeout_and_nonblocking),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
