/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-front's loop against a custodyd that the test plays: routing, identities, bounds, and
 * what becomes of clients that leave, flood, or never speak.
 * link: daemon/front/loop.c daemon/front/client.c daemon/front/check.c
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/front/front.h"

#define TEST_TURNS 8	/* more than any exchange here needs */

struct bench {
	struct front front;
	int warden;		/* custodyd's end of the channel */
	struct sockaddr_un address;
	char dir[64];
};

static int setup_bench(void **state)
{
	static struct bench bench;
	int channel, listener;

	bench = (struct bench){ .dir = "/tmp/custody-front-XXXXXX" };
	assert_non_null(mkdtemp(bench.dir));
	bench.address.sun_family = AF_UNIX;
	(void)snprintf(bench.address.sun_path, sizeof(bench.address.sun_path), "%s/s", bench.dir);
	assert_int_equal(message_make_pair(&bench.warden, &channel), 0);
	assert_int_equal(fcntl(bench.warden, F_SETFL, O_NONBLOCK), 0);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&bench.address, sizeof(bench.address)),
			 0);
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(front_open(&bench.front, channel, listener, FRONT_NO_GROUP, 0xfffffffd),
			 0);
	*state = &bench;
	return 0;
}

static int teardown_bench(void **state)
{
	struct bench *bench = *state;

	front_close(&bench->front);
	cleanup_close_fd(&bench->warden);
	(void)unlink(bench->address.sun_path);
	(void)rmdir(bench->dir);
	return 0;
}

static void turn(struct bench *bench)
{
	for (int i = 0; i < TEST_TURNS; i++)
		assert_int_equal(front_step(&bench->front, 0), 0);
}

static int join(struct bench *bench)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&bench->address, sizeof(bench->address)),
			 0);
	return fd;
}

static void ask_name(int fd, __u64 id, __u32 verb, const char *name)
{
	struct request_name request = { .peer = { 1, 2, 3, 0 }, .verb = verb };

	(void)snprintf(request.name, sizeof(request.name), "%s", name);
	assert_int_equal(MESSAGE_SEND(fd, ROLE_CONTROL, REQUEST_NAME, id, &request), 0);
}

static void ask_run(int fd, const char *name)
{
	static struct request_run request;
	const int streams[] = { 0, 1, 2 };

	request = (struct request_run){ .args = "true", .args_len = 5, .n_args = 1 };
	(void)snprintf(request.name, sizeof(request.name), "%s", name);
	assert_int_equal(message_send(fd, ROLE_CONTROL, MSG_REQUEST_RUN, 1, &request,
				      sizeof(request), streams, 3), 0);
}

/* What custodyd gets next, or the error. */
static int warden_hear(struct bench *bench, union message_buffer *buf)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;

	return message_recv(bench->warden, ROLE_WARDEN, ROLE_FRONT, CHECK_REQUESTS, buf, &fds);
}

static void warden_done(struct bench *bench, __u64 id, __u32 exit)
{
	struct reply_done done = { .exit = exit, .text = "custodyd's own words" };

	assert_int_equal(MESSAGE_SEND(bench->warden, ROLE_WARDEN, REPLY_DONE, id, &done), 0);
}

static int client_hear(int fd, union message_buffer *buf)
{
	return message_recv(fd, ROLE_CONTROL, ROLE_FRONT, ~0ULL, buf, NULL);
}

/* The client is told this exit code, and the connection ends. */
static void assert_told(int fd, __u32 exit)
{
	union message_buffer buf;
	const struct reply_done *done = (const struct reply_done *)&buf;

	assert_int_equal(client_hear(fd, &buf), 0);
	assert_int_equal(buf.head.type, MSG_REPLY_DONE);
	assert_int_equal(done->exit, exit);
	if (exit != CUSTODY_EXIT_DONE)
		assert_true(strlen(done->text) > 10);
	assert_int_equal(client_hear(fd, &buf), -ENODATA);
}

static unsigned int count_clients(const struct bench *bench)
{
	unsigned int n = 0;

	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		n += bench->front.clients[i].state != FRONT_FREE;
	return n;
}

static void test_request_and_reply(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	const struct request_name *heard = (const struct request_name *)&buf;
	struct reply_step step = { .step = 1, .steps = 2, .text = "one" };
	cleanup_fd int fd = join(bench);
	__u64 id;

	ask_name(fd, 4711, REQUEST_STOP, "digits");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	assert_int_equal(heard->verb, REQUEST_STOP);
	assert_string_equal(heard->name, "digits");
	/* The kernel's word, not the client's {1, 2, 3}. */
	assert_int_equal(heard->peer.pid, getpid());
	assert_int_equal(heard->peer.uid, getuid());
	assert_int_equal(heard->peer.gid, getgid());
	id = heard->head.id;
	assert_true(id != 0 && id != 4711);
	assert_int_equal(MESSAGE_SEND(bench->warden, ROLE_WARDEN, REPLY_STEP, id, &step), 0);
	warden_done(bench, id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_int_equal(client_hear(fd, &buf), 0);
	assert_int_equal(buf.head.type, MSG_REPLY_STEP);
	assert_int_equal(buf.head.id, 4711);
	assert_told(fd, CUSTODY_EXIT_DONE);
	assert_int_equal(count_clients(bench), 0);
}

static void test_replies_reach_only_their_client(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	cleanup_fd int one = join(bench);
	cleanup_fd int two = join(bench);
	__u64 id_one, id_two;

	ask_name(one, 1, REQUEST_STATUS, "one");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	id_one = buf.head.id;
	ask_name(two, 1, REQUEST_STATUS, "two");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	id_two = buf.head.id;
	assert_true(id_one != id_two);
	warden_done(bench, id_two, CUSTODY_EXIT_FALSE);
	warden_done(bench, 0x12345678, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_told(two, CUSTODY_EXIT_FALSE);
	assert_int_equal(client_hear(one, &buf), -EAGAIN);
	warden_done(bench, id_one, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_told(one, CUSTODY_EXIT_DONE);
}

static void test_malformed_packet_is_told_and_goes_no_further(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	cleanup_fd int raw = join(bench);
	cleanup_fd int name = join(bench);
	cleanup_fd int reply = join(bench);
	struct reply_done done = { .head = { .type = MSG_REPLY_DONE, .size = sizeof(done) } };

	assert_int_equal(send(raw, "GET / HTTP/1.1", 14, MSG_NOSIGNAL), 14);
	ask_name(name, 5, REQUEST_STOP, "../../etc");
	assert_int_equal(send(reply, &done, sizeof(done), MSG_NOSIGNAL), (ssize_t)sizeof(done));
	turn(bench);
	assert_told(raw, CUSTODY_EXIT_USAGE);
	assert_told(name, CUSTODY_EXIT_USAGE);
	assert_told(reply, CUSTODY_EXIT_USAGE);
	assert_int_equal(warden_hear(bench, &buf), -EAGAIN);
	assert_int_equal(count_clients(bench), 0);
}

static void test_run_carries_its_streams(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	cleanup_fd int fd = join(bench);

	ask_run(fd, "run-1");
	turn(bench);
	assert_int_equal(message_recv(bench->warden, ROLE_WARDEN, ROLE_FRONT, CHECK_REQUESTS, &buf,
				      &fds), 0);
	assert_int_equal(buf.head.type, MSG_REQUEST_RUN);
	assert_int_equal(fds.n, 3);
	warden_done(bench, buf.head.id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_told(fd, CUSTODY_EXIT_DONE);
	/* It is over: no stop. */
	assert_int_equal(warden_hear(bench, &buf), -EAGAIN);
}

static void test_run_whose_client_leaves_is_stopped(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	const struct request_name *stop = (const struct request_name *)&buf;
	int fd = join(bench);
	__u64 run_id;

	ask_run(fd, "run-1");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	run_id = buf.head.id;
	assert_int_equal(close(fd), 0);
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	assert_int_equal(buf.head.type, MSG_REQUEST_NAME);
	assert_int_equal(stop->verb, REQUEST_STOP);
	assert_string_equal(stop->name, "run-1");
	assert_int_equal(stop->run, run_id);
	assert_int_equal(stop->peer.uid, getuid());
	assert_true(stop->head.id != run_id && stop->head.id != 0);
	/* Nobody is there for either answer. */
	warden_done(bench, stop->head.id, CUSTODY_EXIT_DONE);
	warden_done(bench, run_id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), -EAGAIN);
	assert_int_equal(count_clients(bench), 0);
}

static void test_start_whose_client_leaves_goes_on(void **state)
{
	struct bench *bench = *state;
	union message_buffer buf;
	int fd = join(bench);

	ask_name(fd, 1, REQUEST_RETIRE, "digits");
	assert_int_equal(close(fd), 0);
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	warden_done(bench, buf.head.id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), -EAGAIN);
	assert_int_equal(count_clients(bench), 0);
}

static void test_slow_client_is_dropped_and_others_are_not(void **state)
{
	struct bench *bench = *state;
	static struct reply_row row;
	union message_buffer buf;
	cleanup_fd int slow = join(bench);
	cleanup_fd int other = join(bench);
	size_t most = 0;
	__u64 id;

	ask_name(slow, 1, REQUEST_PS, "");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	id = buf.head.id;
	for (int i = 0; i < 2000 && count_clients(bench) == 2; i++) {
		assert_int_equal(MESSAGE_SEND(bench->warden, ROLE_WARDEN, REPLY_ROW, id, &row), 0);
		assert_int_equal(front_step(&bench->front, 0), 0);
		for (size_t n = 0; n < FRONT_CLIENTS_MAX; n++)
			if (bench->front.clients[n].queued > most)
				most = bench->front.clients[n].queued;
	}
	/* The queue was used, held its bound, and the client that did not read is gone. */
	assert_int_equal(count_clients(bench), 1);
	assert_true(most > FRONT_QUEUE_MAX / 2 && most <= FRONT_QUEUE_MAX);
	ask_name(other, 1, REQUEST_PS, "");
	turn(bench);
	while (warden_hear(bench, &buf) == 0)
		id = buf.head.id;
	warden_done(bench, id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_told(other, CUSTODY_EXIT_DONE);
}

static void test_queued_replies_keep_their_order(void **state)
{
	struct bench *bench = *state;
	static struct reply_row row;
	union message_buffer buf;
	cleanup_fd int fd = join(bench);
	__u64 id;

	ask_name(fd, 1, REQUEST_PS, "");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
	id = buf.head.id;
	for (__u32 i = 0; i < 200; i++) {
		row.jail_id = i;
		assert_int_equal(MESSAGE_SEND(bench->warden, ROLE_WARDEN, REPLY_ROW, id, &row), 0);
		turn(bench);
	}
	warden_done(bench, id, CUSTODY_EXIT_DONE);
	turn(bench);
	assert_int_equal(count_clients(bench), 1);	/* still has a queue */
	for (__u32 i = 0; i < 200; i++) {
		assert_int_equal(client_hear(fd, &buf), 0);
		assert_int_equal(((struct reply_row *)&buf)->jail_id, i);
		turn(bench);
	}
	assert_told(fd, CUSTODY_EXIT_DONE);
	assert_int_equal(count_clients(bench), 0);
}

static void test_one_too_many_is_told_busy(void **state)
{
	struct bench *bench = *state;
	int fds[FRONT_CLIENTS_MAX];
	cleanup_fd int late = -1;
	cleanup_fd int again = -1;
	union message_buffer buf;

	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		fds[i] = join(bench);
	turn(bench);
	assert_int_equal(count_clients(bench), FRONT_CLIENTS_MAX);
	late = join(bench);
	ask_name(late, 1, REQUEST_PS, "");
	turn(bench);
	assert_told(late, CUSTODY_EXIT_REFUSED);
	for (size_t i = 0; i < FRONT_CLIENTS_MAX; i++)
		assert_int_equal(close(fds[i]), 0);
	turn(bench);
	assert_int_equal(count_clients(bench), 0);
	again = join(bench);
	ask_name(again, 1, REQUEST_PS, "");
	turn(bench);
	assert_int_equal(warden_hear(bench, &buf), 0);
}

static void test_silent_client_loses_its_slot(void **state)
{
	struct bench *bench = *state;
	cleanup_fd int fd = join(bench);
	union message_buffer buf;

	turn(bench);
	assert_int_equal(count_clients(bench), 1);
	bench->front.clients[0].deadline_ms -= FRONT_PATIENCE_MS;
	turn(bench);
	assert_int_equal(count_clients(bench), 0);
	assert_int_equal(client_hear(fd, &buf), -ENODATA);
}

/* custodyd reads nothing until its channel takes no more. fds are those of the clients. */
static void fill_channel(struct bench *bench, int *fds, size_t n)
{
	const int small = 65536;

	assert_int_equal(setsockopt(bench->front.channel, SOL_SOCKET, SO_SNDBUF, &small,
				    sizeof(small)), 0);
	for (size_t i = 0; i < n; i++) {
		fds[i] = join(bench);
		ask_run(fds[i], "fill");
	}
	turn(bench);
	assert_true(bench->front.channel_full);
}

/* custodyd answers everything that waits. Returns how many asked for this name; none for "gone". */
static unsigned int drain_channel(struct bench *bench, const char *name)
{
	union message_buffer buf;
	unsigned int n = 0;

	for (int i = 0; i < 200; i++) {
		if (warden_hear(bench, &buf) == 0) {
			assert_string_not_equal(check_find_name(&buf), "gone");
			n += strcmp(check_find_name(&buf), name) == 0;
			warden_done(bench, buf.head.id, CUSTODY_EXIT_DONE);
		}
		assert_int_equal(front_step(&bench->front, 0), 0);
	}
	return n;
}

static void test_full_channel_loses_nothing(void **state)
{
	struct bench *bench = *state;
	int fds[40];

	fill_channel(bench, fds, ARRAY_SIZE(fds));
	assert_int_equal(drain_channel(bench, "fill"), ARRAY_SIZE(fds));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_told(fds[i], CUSTODY_EXIT_DONE);
		assert_int_equal(close(fds[i]), 0);
	}
}

/* A run that was never passed on does not begin; a stop that was asked for is carried out. */
static void test_clients_that_leave_while_the_channel_is_full(void **state)
{
	struct bench *bench = *state;
	int fds[40];
	int run = join(bench);
	int stop = join(bench);

	fill_channel(bench, fds, ARRAY_SIZE(fds));
	ask_run(run, "gone");
	ask_name(stop, 1, REQUEST_STOP, "digits");
	turn(bench);
	assert_int_equal(close(run), 0);
	assert_int_equal(close(stop), 0);
	turn(bench);
	assert_int_equal(drain_channel(bench, "digits"), 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(close(fds[i]), 0);
	turn(bench);
	assert_int_equal(count_clients(bench), 0);
}

static void test_channel_end_and_nonsense_end_front(void **state)
{
	struct bench *bench = *state;
	struct front_setup setup = { .group = 0 };

	/* A known message, at a time when it may not come. */
	assert_int_equal(message_send(bench->warden, ROLE_WARDEN, MSG_FRONT_SETUP, 0, &setup,
				      sizeof(setup), &bench->warden, 1), 0);
	assert_int_equal(front_step(&bench->front, 0), -EPROTO);
	cleanup_close_fd(&bench->warden);
	assert_int_equal(front_step(&bench->front, 0), -ENODATA);
}

/* As another user: in a process of its own, because uids do not come back. */
static int ask_as(struct bench *bench, uid_t uid, gid_t gid, gid_t extra, __u32 verb)
{
	union message_buffer buf;
	const struct reply_done *done = (const struct reply_done *)&buf;
	struct request_name request = { .verb = verb };
	int fd;

	if (verb != REQUEST_PS)
		(void)snprintf(request.name, sizeof(request.name), "digits");
	if (setgroups(1, &extra) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return 100;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&bench->address, sizeof(bench->address)) < 0)
		return 101;
	/* A stranger may be refused and cut off before this. */
	(void)MESSAGE_SEND(fd, ROLE_CONTROL, REQUEST_NAME, 1, &request);
	if (client_hear(fd, &buf) < 0 || buf.head.type != MSG_REPLY_DONE)
		return 102;
	return (int)done->exit;
}

/* The test is front and custodyd meanwhile. */
static int run_as(struct bench *bench, uid_t uid, gid_t gid, gid_t extra, __u32 verb)
{
	union message_buffer buf;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ask_as(bench, uid, gid, extra, verb));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_int_equal(front_step(&bench->front, 20), 0);
		if (warden_hear(bench, &buf) == 0) {
			assert_int_equal(((struct request_name *)&buf)->peer.uid, uid);
			warden_done(bench, buf.head.id, CUSTODY_EXIT_DONE);
		}
	}
	assert_true(WIFEXITED(status));
	turn(bench);
	return WEXITSTATUS(status);
}

static void test_who_may_ask_what(void **state)
{
	struct bench *bench = *state;
	const gid_t group = 54321, none = 54322;
	const uid_t user = 54323;

	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(bench->dir, 0755), 0);
	assert_int_equal(chmod(bench->address.sun_path, 0666), 0);
	bench->front.group = group;
	assert_int_equal(run_as(bench, user, none, none, REQUEST_PS), CUSTODY_EXIT_REFUSED);
	assert_int_equal(run_as(bench, user, none, none, REQUEST_STOP), CUSTODY_EXIT_REFUSED);
	assert_int_equal(run_as(bench, user, group, none, REQUEST_PS), CUSTODY_EXIT_DONE);
	assert_int_equal(run_as(bench, user, none, group, REQUEST_PS), CUSTODY_EXIT_DONE);
	assert_int_equal(run_as(bench, user, none, group, REQUEST_STATUS), CUSTODY_EXIT_DONE);
	assert_int_equal(run_as(bench, user, none, group, REQUEST_STOP), CUSTODY_EXIT_REFUSED);
	assert_int_equal(run_as(bench, user, none, group, REQUEST_RETIRE), CUSTODY_EXIT_REFUSED);
	assert_int_equal(run_as(bench, 0, none, none, REQUEST_STOP), CUSTODY_EXIT_DONE);
	bench->front.group = FRONT_NO_GROUP;
	assert_int_equal(run_as(bench, user, group, group, REQUEST_PS), CUSTODY_EXIT_REFUSED);
}

#define BENCH(f) cmocka_unit_test_setup_teardown(f, setup_bench, teardown_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH(test_request_and_reply),
		BENCH(test_replies_reach_only_their_client),
		BENCH(test_malformed_packet_is_told_and_goes_no_further),
		BENCH(test_run_carries_its_streams),
		BENCH(test_run_whose_client_leaves_is_stopped),
		BENCH(test_start_whose_client_leaves_goes_on),
		BENCH(test_slow_client_is_dropped_and_others_are_not),
		BENCH(test_queued_replies_keep_their_order),
		BENCH(test_one_too_many_is_told_busy),
		BENCH(test_silent_client_loses_its_slot),
		BENCH(test_full_channel_loses_nothing),
		BENCH(test_clients_that_leave_while_the_channel_is_full),
		BENCH(test_channel_end_and_nonsense_end_front),
		BENCH(test_who_may_ask_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
