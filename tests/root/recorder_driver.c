/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays custodyd for one custody-recorder: a real ring buffer that a BPF program fills, real
 * messages, a real process. Run as root by 50-recorder.sh; trusts the recorder to be under test.
 *
 *   recorder_driver RECORDER DIR SCENARIO [COUNT]
 *
 * DIR holds ledger/, evidence/, keys/. Says what went wrong, if anything, and exits 1.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "confine.h"
#include "message.h"

#define DRIVER_JAIL 7
#define DRIVER_WAIT_MS 10000

struct driver {
	const char *recorder;
	const char *dir;
	int ring, source, program;
	int channel;
	pid_t pid;
	unsigned long emitted, dropped;
	union message_buffer in;
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vfprintf(stdout, format, ap);
	va_end(ap);
	(void)putchar('\n');
	(void)fflush(stdout);
	exit(1);
}

/* A program that puts the one value of the array map into the ring; returns what the helper did. */
static void load_program(struct driver *driver)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = driver->source },
		{ 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 0 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = driver->ring },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3,
		  .imm = sizeof(struct custody_event) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ringbuf_output },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);

	driver->program = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "recorder_test", "GPL", insns,
					ARRAY_SIZE(insns), &opts);
	if (driver->program < 0)
		die("the test's BPF program does not load: %s", strerror(errno));
}

static void make_ring(struct driver *driver)
{
	driver->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "test_ring", 0, 0, CUSTODY_RING_SIZE,
				      NULL);
	driver->source = bpf_map_create(BPF_MAP_TYPE_ARRAY, "test_event", 4,
					sizeof(struct custody_event), 1, NULL);
	if (driver->ring < 0 || driver->source < 0)
		die("the test's BPF maps cannot be made: %s", strerror(errno));
	load_program(driver);
}

static void emit_event(struct driver *driver, const struct custody_event *event)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	__u32 zero = 0;

	if (bpf_map_update_elem(driver->source, &zero, event, BPF_ANY) < 0 ||
	    bpf_prog_test_run_opts(driver->program, &opts) < 0)
		die("the test's BPF program does not run: %s", strerror(errno));
	if (opts.retval == 0)
		driver->emitted++;
	else
		driver->dropped++;
}

static void emit(struct driver *driver, unsigned long n)
{
	struct custody_event event = {
		.size = sizeof(event), .version = EVENT_VERSION, .verdict = EVENT_DENIED,
		.jail_id = DRIVER_JAIL, .class = POLICY_CLASS_OPEN, .object = 1,
		.plane = EVENT_PLANE_OBSERVE, .error = -EACCES, .syscall = 257, .pid = 5,
		.comm = "poison\x1b[2J", .path = "shadow/etc/", .path_len = 11,
	};

	while (n-- > 0)
		emit_event(driver, &event);
}

static int open_below(const struct driver *driver, const char *name, int flags)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", driver->dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static void start_process(struct driver *driver)
{
	int other;

	if (message_make_pair(&driver->channel, &other) < 0)
		die("no socket pair");
	driver->pid = fork();
	if (driver->pid == 0) {
		if (dup2(other, CUSTODY_CHANNEL_FD) < 0)
			_exit(99);
		if (other == CUSTODY_CHANNEL_FD)
			(void)fcntl(other, F_SETFD, 0);
		execl(driver->recorder, "custody-recorder", (char *)NULL);
		_exit(99);
	}
	(void)close(other);
}

static void send_setup(struct driver *driver)
{
	struct recorder_setup setup = { .fsync_ms = 100, .origin = "custody/test/chain-v1" };
	int fds[4] = {
		driver->ring,
		open_below(driver, "ledger", O_RDONLY | O_DIRECTORY),
		open_below(driver, "keys/ledger.pem", O_RDWR | O_CREAT),
		open_below(driver, "evidence", O_RDONLY | O_DIRECTORY),
	};

	if (message_send(driver->channel, ROLE_WARDEN, MSG_RECORDER_SETUP, 0, &setup,
			 sizeof(setup), fds, 4) < 0)
		die("the setup cannot be sent");
	for (int i = 1; i < 4; i++)
		(void)close(fds[i]);
}

static __u32 receive(struct driver *driver)
{
	__u64 permit = MSG_BIT(MSG_RECORDER_RUNNING) | MSG_BIT(MSG_RECORDED) |
		       MSG_BIT(MSG_RETIRED) | MSG_BIT(MSG_REFUSED);
	int r = message_recv_timeout(driver->channel, ROLE_WARDEN, ROLE_RECORDER, permit,
				     &driver->in, NULL, DRIVER_WAIT_MS);

	if (r < 0)
		die("no answer of the recorder: %s", strerror(-r));
	return driver->in.head.type;
}

static const char *refusal(const struct driver *driver)
{
	const void *in = &driver->in;
	const struct refused *refused = in;

	return refused->text;
}

static void start(struct driver *driver)
{
	start_process(driver);
	send_setup(driver);
	if (receive(driver) == MSG_REFUSED)
		die("the recorder refuses: %s", refusal(driver));
}

/* Closes the channel, as custodyd's death does, and waits. Returns the exit status. */
static int end(struct driver *driver)
{
	int status = 0;

	(void)close(driver->channel);
	for (int waited = 0; waitpid(driver->pid, &status, WNOHANG) == 0; waited += 10) {
		if (waited > DRIVER_WAIT_MS) {
			(void)kill(driver->pid, SIGKILL);
			die("the recorder did not end when its channel closed");
		}
		(void)poll(NULL, 0, 10);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end_well(struct driver *driver)
{
	int status = end(driver);

	if (status != 0)
		die("the recorder ended with %d", status);
}

static __u32 ask(struct driver *driver, __u32 type, void *body, size_t size)
{
	if (message_send(driver->channel, ROLE_WARDEN, type, 1, body, size, NULL, 0) < 0)
		die("a message cannot be sent");
	return receive(driver);
}

static __u32 put_launch(struct driver *driver)
{
	struct record_launch record = {
		.launch = { .jail_id = DRIVER_JAIL, .name = "digits", .profile = "base",
			    .planes_required = 1, .planes_active = 3 },
	};

	return ask(driver, MSG_RECORD_LAUNCH, &record, sizeof(record));
}

static __u32 put_state(struct driver *driver, __u32 state)
{
	struct record_state record = {
		.state = { .jail_id = DRIVER_JAIL, .state = state, .why = "test" },
	};

	return ask(driver, MSG_RECORD_STATE, &record, sizeof(record));
}

static void put_facts(struct driver *driver)
{
	for (__u32 id = 1; id < _FACT_MAX; id++) {
		struct record_fact record = {
			.fact = { .jail_id = DRIVER_JAIL,
				  .fact = { .fact = id, .phase = EVIDENCE_AFTER_ERASE,
					    .looked = 1 } },
		};

		if (ask(driver, MSG_RECORD_FACT, &record, sizeof(record)) != MSG_RECORDED)
			die("a fact is not recorded: %s", refusal(driver));
	}
}

static const struct retired *put_retire(struct driver *driver)
{
	struct record_retire record = {
		.retire = { .jail_id = DRIVER_JAIL, .name = "digits", .profile = "base",
			    .planes_required = 1, .planes_active = 3, .started_ns = 1,
			    .drained_ns = 2, .erase = EVIDENCE_ERASE_MEMORY },
	};
	const void *in;

	if (ask(driver, MSG_RECORD_RETIRE, &record, sizeof(record)) != MSG_RETIRED)
		die("the retirement is refused: %s", refusal(driver));
	in = &driver->in;
	return in;
}

/* What the kernel says about the recorder once it runs. */
static void check_confinement(const struct driver *driver)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { .no_new_privs = 9 };
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/status", driver->pid);
	if (confine_read_status(proc, path, &status) < 0)
		die("no status of the recorder");
	if (status.no_new_privs != 1 || status.seccomp != 2)
		die("no_new_privs %u, seccomp %u", status.no_new_privs, status.seccomp);
	if (status.cap_permitted || status.cap_effective || status.cap_bounding ||
	    status.cap_inheritable || status.cap_ambient)
		die("the recorder has capabilities");
	for (int i = 0; i < 4; i++) {
		if (status.uid[i] != CUSTODY_UID_RECORDER || status.gid[i] != CUSTODY_UID_RECORDER)
			die("the recorder runs as %u:%u", status.uid[i], status.gid[i]);
	}
}

/* ---- scenarios ---- */

static void run_life(struct driver *driver, unsigned long count)
{
	const struct retired *retired;

	start(driver);
	check_confinement(driver);
	if (put_launch(driver) != MSG_RECORDED)
		die("the launch is refused: %s", refusal(driver));
	emit(driver, count);
	if (put_state(driver, JAIL_STATE_RETIRING) != MSG_RECORDED)
		die("the state is refused: %s", refusal(driver));
	put_facts(driver);
	retired = put_retire(driver);
	if (retired->verdict != VERDICT_CLEAN)
		die("verdict %u: %s", retired->verdict, retired->text);
	end_well(driver);
}

/* custodyd dies while the ring is full of events and the recorder has not read one of them. */
static void run_orphan(struct driver *driver, unsigned long count)
{
	start(driver);
	if (put_launch(driver) != MSG_RECORDED)
		die("the launch is refused: %s", refusal(driver));
	(void)kill(driver->pid, SIGSTOP);
	emit(driver, count);
	(void)shutdown(driver->channel, SHUT_RDWR);
	(void)kill(driver->pid, SIGTERM);	/* and somebody tries to end it early */
	(void)kill(driver->pid, SIGCONT);
	end_well(driver);
	(void)printf("%lu %lu\n", driver->emitted, driver->dropped);
}

static void run_malformed(struct driver *driver, unsigned long count)
{
	struct custody_event event;
	const struct retired *retired;

	start(driver);
	if (put_launch(driver) != MSG_RECORDED)
		die("the launch is refused: %s", refusal(driver));
	memset(&event, 0xff, sizeof(event));
	for (unsigned long i = 0; i < count; i++)
		emit_event(driver, &event);
	put_facts(driver);
	retired = put_retire(driver);
	if (retired->verdict != VERDICT_INCOMPLETE || !strstr(retired->text, "gap records"))
		die("verdict %u: %s", retired->verdict, retired->text);
	end_well(driver);
}

/* The script has filled the file system of the ledger, all but a little. */
static void run_full(struct driver *driver, unsigned long count)
{
	cleanup_fd int dir = open_below(driver, "ledger", O_RDONLY | O_DIRECTORY);
	const void *in = &driver->in;
	const struct refused *refused = in;
	__u32 type = MSG_RECORDED;

	start(driver);
	if (put_launch(driver) != MSG_RECORDED)
		die("the launch is refused: %s", refusal(driver));
	for (int i = 0; i < 10000 && type == MSG_RECORDED; i++)
		type = put_state(driver, JAIL_STATE_RUNNING);
	if (type != MSG_REFUSED)
		die("the ledger never gets full");
	if (!strstr(refusal(driver), "free space on the file system of the ledger"))
		die("the refusal says: %s", refusal(driver));
	if (refused->exit != CUSTODY_EXIT_REFUSED)
		die("the refusal has another exit code");
	emit(driver, count);
	(void)poll(NULL, 0, 500);
	if (unlinkat(dir, "filler", 0) < 0)
		die("no filler");
	if (put_state(driver, JAIL_STATE_RUNNING) != MSG_RECORDED)
		die("with room again, still refused: %s", refusal(driver));
	put_facts(driver);
	if (put_retire(driver)->verdict != VERDICT_INCOMPLETE)
		die("events were lost, and the verdict is not incomplete");
	end_well(driver);
}

static void run_state(struct driver *driver, unsigned long count)
{
	(void)count;
	start(driver);
	if (put_state(driver, JAIL_STATE_FROZEN) != MSG_RECORDED)
		die("the state is refused: %s", refusal(driver));
	end_well(driver);
}

static void run_second(struct driver *driver, unsigned long count)
{
	struct driver second = *driver;

	(void)count;
	start(driver);
	start_process(&second);
	send_setup(&second);
	if (receive(&second) != MSG_REFUSED || !strstr(refusal(&second), "another recorder"))
		die("a second recorder runs on one ledger");
	if (end(&second) == 0)
		die("the second recorder ended with 0");
	end_well(driver);
}

static void run_damaged(struct driver *driver, unsigned long count)
{
	(void)count;
	start_process(driver);
	send_setup(driver);
	if (receive(driver) != MSG_REFUSED)
		die("a damaged ledger is written to");
	(void)printf("%s\n", refusal(driver));
	if (end(driver) == 0)
		die("the recorder ended with 0");
}

static void run_protocol(struct driver *driver, unsigned long count)
{
	struct jail_go wrong = { 0 };
	char bytes[64] = { 0 };

	(void)count;
	start(driver);
	(void)message_send(driver->channel, ROLE_WARDEN, MSG_JAIL_GO, 0, &wrong, sizeof(wrong),
			   NULL, 0);
	if (end(driver) != CUSTODY_EXIT_INTERNAL)
		die("a message for another role is taken");
	start(driver);
	if (send(driver->channel, bytes, sizeof(bytes), 0) < 0)
		die("send");
	if (end(driver) != CUSTODY_EXIT_INTERNAL)
		die("a message that is none is taken");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct driver *driver, unsigned long count);
	} scenarios[] = {
		{ "life", run_life },	{ "orphan", run_orphan }, { "malformed", run_malformed },
		{ "full", run_full },	{ "second", run_second }, { "damaged", run_damaged },
		{ "protocol", run_protocol }, { "state", run_state },
	};
	struct driver *driver = calloc(1, sizeof(*driver));

	if (argc < 4 || !driver)
		die("usage: recorder_driver RECORDER DIR SCENARIO [COUNT]");
	driver->recorder = argv[1];
	driver->dir = argv[2];
	make_ring(driver);
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(scenarios[i].name, argv[3]) != 0)
			continue;
		scenarios[i].run(driver, argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
		return 0;
	}
	die("no scenario %s", argv[3]);
}
