/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl's commands through the real custody-front to a custodyd that the test plays, in a
 * process of its own: what is printed where, exit codes, and nothing that a terminal would obey.
 * link: daemon/front/loop.c daemon/front/client.c daemon/front/check.c
 * link: tools/custodyctl/render_ceiling.c tools/custodyctl/render_limits.c
 * link: tools/custodyctl/render_measured.c
 * link: tools/custodyctl/client.c tools/custodyctl/progress.c tools/custodyctl/render.c
 * link: tools/custodyctl/progress_line.c tools/custodyctl/registry_index.c
 * link: tools/custodyctl/registry_verity.c
 * link: tools/custodyctl/registry.c tools/custodyctl/table.c tools/custodyctl/start.c
 * link: tools/custodyctl/stop.c
 * link: tools/custodyctl/ps.c tools/custodyctl/status.c tools/custodyctl/run.c
 * link: tools/custodyctl/watch.c tools/custodyctl/watch_profile.c tools/custodyctl/watch_ledger.c
 * link: tools/custodyctl/watch_input.c tools/custodyctl/watch_output.c tools/custodyctl/profile.c
 * link: tools/custodyctl/ledger_file.c
 * link: tools/custodyctl/model_file.c
 */
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/front/front.h"
#include "tools/custodyctl/command.h"

#define EVIL "\033]0;owned\007\n\xff"

/* ---- the daemon's side ---- */

static void daemon_send_row(int fd, __u64 id, const char *name, __u32 active)
{
	struct reply_row row = {
		.profile = "sklearn-digits",
		.state = JAIL_STATE_RUNNING,
		.jail_id = 7,
		.pid = 4242,
		.planes_required = CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_LSM,
		.planes_active = active,
		.n_endpoints = 2,
		.started_s = (__u64)time(NULL) - 192,
		.allowed = 1000,
		.denied = 3,
		.bytes_out = 1536,
		.bytes_in = 0xffffffffffffffffULL,
		.processes = 5,
		.endpoints = {
			{ .kind = PLAN_ENDPOINT_LISTEN, .family = PLAN_FAMILY_INET,
			  .protocol = IPPROTO_TCP, .port = 8080, .address = { 127, 0, 0, 1 } },
			{ .kind = PLAN_ENDPOINT_EGRESS, .family = PLAN_FAMILY_INET6,
			  .protocol = IPPROTO_UDP, .port = 53, .address = { [15] = 1 } },
		},
		.n_ceilings = 2,
		.on_rate = CEILING_THROTTLE,
		.on_total = CEILING_CUT,
		.ceilings = {
			{ .slot = CEILING_MODEL, .crossed = CEILING_BY_RATE, .rate = 2048,
			  .total = 10240, .used = 1024, .dropped = 7 },
			{ .slot = 1, .crossed = CEILING_BY_TOTAL, .total = 4096, .used = 4090 },
		},
	};

	(void)snprintf(row.name, sizeof(row.name), "%s", name);
	(void)MESSAGE_SEND(fd, ROLE_WARDEN, REPLY_ROW, id, &row);
}

static void daemon_send_counter(int fd, __u64 id, __u16 class, __u64 allowed, const char *label)
{
	struct reply_counter counter = {
		.key = { .jail_id = 7, .class = class, .object = POLICY_OBJECT_NONE },
		.counter = { .allowed = allowed, .denied = allowed / 2 },
	};

	(void)snprintf(counter.label, sizeof(counter.label), "%s", label);
	(void)MESSAGE_SEND(fd, ROLE_WARDEN, REPLY_COUNTER, id, &counter);
}

static void daemon_send_step(int fd, __u64 id, __u32 step, const char *text)
{
	struct reply_step reply = { .step = step, .steps = 2 };

	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	(void)MESSAGE_SEND(fd, ROLE_WARDEN, REPLY_STEP, id, &reply);
}

static void daemon_send_done(int fd, __u64 id, __u32 exit, int status, const char *text)
{
	struct reply_done done = { .exit = exit, .status = status };

	(void)snprintf(done.text, sizeof(done.text), "%s", text);
	(void)MESSAGE_SEND(fd, ROLE_WARDEN, REPLY_DONE, id, &done);
}

static void daemon_answer_name(int fd, const struct request_name *request, __u64 *sleeper)
{
	__u64 id = request->head.id;

	switch (request->verb) {
	case REQUEST_PS:
		daemon_send_row(fd, id, "digits", CUSTODY_PLANES_ALL);
		daemon_send_row(fd, id, EVIL, CUSTODY_PLANE_STRUCTURE);
		break;
	case REQUEST_STATUS:
		daemon_send_row(fd, id, request->name, CUSTODY_PLANE_STRUCTURE);
		daemon_send_counter(fd, id, POLICY_CLASS_OPEN, 40, "/model" EVIL);
		daemon_send_counter(fd, id, POLICY_CLASS_EXEC, 0, "none");
		daemon_send_counter(fd, id, 99, 2, "");
		break;
	case REQUEST_RETIRE:
		daemon_send_step(fd, id, 1, "drained" EVIL);
		daemon_send_done(fd, id, CUSTODY_EXIT_INCOMPLETE, 0, "Not all was looked at." EVIL);
		return;
	case REQUEST_STOP:
		if (*sleeper)
			daemon_send_done(fd, *sleeper, CUSTODY_EXIT_DONE, SIGTERM, "");
		*sleeper = 0;
		break;
	case REQUEST_FREEZE:
		/* as if custodyd died: no answer, ever */
		_exit(0);
	default:
		daemon_send_done(fd, id, 77, 0, "");
		return;
	}
	daemon_send_done(fd, id, CUSTODY_EXIT_DONE, 0, "");
}

static void daemon_answer(int fd, union message_buffer *buf, struct message_fds *fds,
			  __u64 *sleeper)
{
	const struct request_run *run = (const struct request_run *)buf;
	__u64 id = buf->head.id;

	if (buf->head.type == MSG_REQUEST_NAME) {
		daemon_answer_name(fd, (const struct request_name *)buf, sleeper);
	} else if (buf->head.type == MSG_REQUEST_START) {
		daemon_send_step(fd, id, 1, "planned");
		daemon_send_step(fd, id, 2, "started");
		daemon_send_done(fd, id, CUSTODY_EXIT_DONE, 0, "It serves.");
	} else if (strcmp(run->args, "sleep") == 0) {
		/* The caller waits for this before it interrupts. */
		(void)!write(fds->fd[1], "asleep", 6);
		*sleeper = id;
	} else {
		(void)!write(fds->fd[1], run->args, strlen(run->args));
		daemon_send_done(fd, id, CUSTODY_EXIT_DONE, 7 << 8, "");
	}
}

static void daemon_serve(int listener)
{
	static struct front front;
	static union message_buffer buf;
	__u64 sleeper = 0;
	int warden, channel;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (message_make_pair(&warden, &channel) < 0 || fcntl(warden, F_SETFL, O_NONBLOCK) < 0 ||
	    front_open(&front, channel, listener, FRONT_NO_GROUP, 1) < 0)
		_exit(1);
	while (front_step(&front, 10) == 0) {
		cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;

		if (message_recv(warden, ROLE_WARDEN, ROLE_FRONT, CHECK_REQUESTS, &buf, &fds) == 0)
			daemon_answer(warden, &buf, &fds, &sleeper);
	}
	_exit(1);
}

struct bench {
	char root[64];
	char socket[160];
	pid_t daemon;
};

static int setup_bench(void **state)
{
	static struct bench bench;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[128];
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (getuid() != 0)
		skip();
	bench = (struct bench){ .root = "/tmp/custody-control-XXXXXX" };
	assert_non_null(mkdtemp(bench.root));
	(void)snprintf(path, sizeof(path), "%s/run", bench.root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/run/custody", bench.root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(bench.socket, sizeof(bench.socket), "%s/control.sock", path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", bench.socket);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
	bench.daemon = fork();
	assert_true(bench.daemon >= 0);
	if (bench.daemon == 0)
		daemon_serve(listener);
	assert_int_equal(close(listener), 0);
	*state = &bench;
	return 0;
}

static int teardown_bench(void **state)
{
	struct bench *bench = *state;
	char path[128];

	(void)kill(bench->daemon, SIGKILL);
	(void)waitpid(bench->daemon, NULL, 0);
	(void)unlink(bench->socket);
	(void)snprintf(path, sizeof(path), "%s/run/custody", bench->root);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/run", bench->root);
	(void)rmdir(path);
	return rmdir(bench->root);
}

/* ---- the caller's side ---- */

typedef int (*command_fn)(int argc, char **argv, const struct command_options *options);

struct outcome {
	int exit;
	char out[32768];
	char err[8192];
};

static void read_back(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);

	assert_true(n >= 0);
	ret[n] = '\0';
}

/* At most ten seconds. */
static void wait_for_output(int fd)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct stat st = { 0 };

	for (int i = 0; i < 10000 && st.st_size == 0; i++) {
		assert_int_equal(fstat(fd, &st), 0);
		(void)nanosleep(&pause, NULL);
	}
	assert_true(st.st_size > 0);
}

/* Runs the command in a child, as a shell would. `line` is split at spaces. */
static void call(struct bench *bench, command_fn fn, const char *line, bool json, int signal_after,
		 struct outcome *ret)
{
	struct command_options options = { .root = bench->root, .json = json };
	cleanup_fd int out = memfd_create("out", MFD_CLOEXEC);
	cleanup_fd int err = memfd_create("err", MFD_CLOEXEC);
	int status;
	pid_t pid;

	assert_true(out >= 0 && err >= 0);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char words[512];
		char *argv[16] = { NULL };
		int argc = 0, r;

		(void)snprintf(words, sizeof(words), "%s", line);
		for (char *w = strtok(words, " "); w && argc < 15; w = strtok(NULL, " "))
			argv[argc++] = w;
		if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
			_exit(99);
		r = fn(argc, argv, &options);
		(void)fflush(NULL);
		_exit(r);
	}
	if (signal_after) {
		wait_for_output(out);
		(void)kill(pid, signal_after);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	ret->exit = WEXITSTATUS(status);
	read_back(out, ret->out, sizeof(ret->out));
	read_back(err, ret->err, sizeof(ret->err));
	/* Nothing that a terminal obeys, whatever custodyd said. */
	assert_null(strchr(ret->out, '\033'));
	assert_null(strchr(ret->err, '\033'));
	assert_null(strchr(ret->out, '\007'));
}

static struct outcome result;

static void test_ps(void **state)
{
	struct bench *bench = *state;

	call(bench, command_ps, "ps", false, 0, &result);
	assert_int_equal(result.exit, 0);
	assert_string_equal(result.err, "");
	assert_non_null(strstr(result.out, "NAME "));
	assert_non_null(strstr(result.out, "digits "));
	assert_non_null(strstr(result.out, "running"));
	assert_non_null(strstr(result.out, "structure,cgroup,lsm,observe"));
	assert_non_null(strstr(result.out, "structure,!lsm"));
	assert_non_null(strstr(result.out, " tcp:127.0.0.1:8080 "));
	assert_null(strstr(result.out, "udp:"));
	assert_non_null(strstr(result.out, "1.5K"));
	assert_non_null(strstr(result.out, " 1.0K/10K "));
	assert_non_null(strstr(result.out, "3m1"));
	assert_non_null(strstr(result.out, "\\x1b]0;owned\\x07\\x0a\\xff "));
}

static void test_ps_json(void **state)
{
	struct bench *bench = *state;
	json_t *all, *model;
	const char *name;
	json_int_t in, port_count;
	int adopted;

	call(bench, command_ps, "ps", true, 0, &result);
	assert_int_equal(result.exit, 0);
	all = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	assert_int_equal(json_array_size(json_object_get(all, "models")), 2);
	model = json_array_get(json_object_get(all, "models"), 0);
	assert_int_equal(json_unpack(model, "{s:s, s:I, s:b}", "name", &name, "bytes_in", &in,
				     "adopted", &adopted), 0);
	assert_string_equal(name, "digits");
	assert_int_equal(json_array_size(json_object_get(model, "ceilings")), 2);
	assert_true(json_is_null(json_object_get(
		json_array_get(json_object_get(model, "ceilings"), 0), "endpoint")));
	assert_int_equal(json_integer_value(json_object_get(
		json_array_get(json_object_get(model, "ceilings"), 0), "left")), 9216);
	assert_true(json_is_true(json_object_get(
		json_array_get(json_object_get(model, "ceilings"), 1), "shut")));
	assert_true(in == INT64_MAX);
	assert_int_equal(adopted, 0);
	port_count = (json_int_t)json_array_size(json_object_get(model, "endpoints"));
	assert_int_equal(port_count, 2);
	json_decref(all);
}

static void test_status(void **state)
{
	struct bench *bench = *state;

	call(bench, command_status, "status digits", false, 0, &result);
	assert_int_equal(result.exit, 0);
	assert_non_null(strstr(result.out, "digits is running\n"));
	assert_non_null(strstr(result.out, "MISSING    !lsm\n"));
	assert_non_null(strstr(result.out, "serves on  tcp:127.0.0.1:8080\n"));
	assert_non_null(strstr(result.out,
			       "ceilings   all endpoints: 1.0K of 10K out, 9.0K left (then cut); "
			       "2.0K/s (then throttle); 7 packets dropped\n"));
	assert_non_null(strstr(result.out,
			       "udp:[::1]:53: 3.9K of 4.0K out, 6 left (then cut); REACHED: "
			       "nothing gets out\n"));
	assert_non_null(strstr(result.out, "may reach  udp:[::1]:53\n"));
	assert_non_null(strstr(result.out, "/model\\x1b]0;owned"));
	assert_non_null(strstr(result.out, "class 99"));
	assert_non_null(strstr(result.out, "1 more counters stand at zero.\n"));
	call(bench, command_status, "status", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
}

static void test_status_json(void **state)
{
	struct bench *bench = *state;
	const char *class, *label;
	json_t *all, *object;

	call(bench, command_status, "status digits", true, 0, &result);
	assert_int_equal(result.exit, 0);
	all = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	assert_int_equal(json_array_size(json_object_get(all, "counters")), 3);
	assert_int_equal(json_unpack(json_array_get(json_object_get(all, "counters"), 0),
				     "{s:s, s:s, s:o}", "class", &class, "label", &label, "object",
				     &object), 0);
	assert_string_equal(class, "open");
	assert_string_equal(label, "/model\\x1b]0;owned\\x07\\x0a\\xff");
	assert_true(json_is_null(object));
	json_decref(all);
}

static void test_start(void **state)
{
	struct bench *bench = *state;

	call(bench, command_start, "start --profile p digits", false, 0, &result);
	assert_int_equal(result.exit, 0);
	assert_string_equal(result.out, "[1/2] planned\n[2/2] started\nIt serves.\n");
	assert_string_equal(result.err, "");
	call(bench, command_start, "start digits --profile=../p", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
	assert_string_equal(result.out, "");
	assert_non_null(strstr(result.err, "custodyctl: The profile must be named"));
	call(bench, command_start, "start --model /nowhere digits", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
	call(bench, command_start, "start a b", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
	call(bench, command_start, "start --profil p digits", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
}

static void test_retire_that_is_incomplete(void **state)
{
	struct bench *bench = *state;

	call(bench, command_stop, "retire digits", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_INCOMPLETE);
	assert_string_equal(result.out, "[1/2] drained\\x1b]0;owned\\x07\\x0a\\xff\n");
	assert_string_equal(result.err,
			    "custodyctl: Not all was looked at.\\x1b]0;owned\\x07\\x0a\\xff\n");
	call(bench, command_stop, "retire digits", true, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_INCOMPLETE);
	assert_non_null(strstr(result.out, "\"exit\": 4"));
}

static void test_exit_code_outside_the_documented_ones(void **state)
{
	struct bench *bench = *state;

	call(bench, command_stop, "thaw digits", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_INTERNAL);
	assert_non_null(strstr(result.err, "gives no reason"));
}

static void test_run(void **state)
{
	struct bench *bench = *state;

	call(bench, command_run, "run -- hello world", false, 0, &result);
	assert_int_equal(result.exit, 7);
	assert_string_equal(result.out, "hello");
	assert_string_equal(result.err, "");
	call(bench, command_run, "run hello", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
	call(bench, command_run, "run --name UP -- hello", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_USAGE);
}

static void test_run_that_is_interrupted(void **state)
{
	struct bench *bench = *state;

	call(bench, command_run, "run -- sleep 100", false, SIGINT, &result);
	assert_int_equal(result.exit, 128 + SIGTERM);
	assert_string_equal(result.out, "asleep");
	assert_non_null(strstr(result.err, "ended by signal 15"));
}

static void test_daemon_that_dies(void **state)
{
	struct bench *bench = *state;
	siginfo_t gone = { 0 };

	call(bench, command_stop, "freeze digits", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_INTERNAL);
	assert_non_null(strstr(result.err, "before it had answered"));
	/* Its connection may be closed before its listener is: wait until all of it is. */
	assert_int_equal(waitid(P_PID, (id_t)bench->daemon, &gone, WEXITED | WNOWAIT), 0);
	call(bench, command_ps, "ps", false, 0, &result);
	assert_int_equal(result.exit, CUSTODY_EXIT_REFUSED);
	assert_non_null(strstr(result.err, "custodyd is not running (no listener at "));
}

#define BENCH(f) cmocka_unit_test_setup_teardown(f, setup_bench, teardown_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH(test_ps),
		BENCH(test_ps_json),
		BENCH(test_status),
		BENCH(test_status_json),
		BENCH(test_start),
		BENCH(test_retire_that_is_incomplete),
		BENCH(test_exit_code_outside_the_documented_ones),
		BENCH(test_run),
		BENCH(test_run_that_is_interrupted),
		BENCH(test_daemon_that_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
