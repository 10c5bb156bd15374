/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-recorder: kernel events and custodyd's records into the ledger, signed heads, verdicts
 * and evidence. Started by custodyd as root with its channel on fd 3; opens ring buffer, key and
 * ledger, then becomes CUSTODY_UID_RECORDER without a capability, may write only below the
 * evidence directory and into the ledger files that it holds open, and only then reads its first
 * event. Trusts custodyd; trusts nothing in an event. It ends when custodyd's channel closes, after
 * it has drained the ring: custodyd's death loses no event.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "confine.h"
#include "log.h"
#include "recorder.h"

#define MAIN_SAMPLES_MAX	4096	/* taken from the ring before the channel is looked at */
#define MAIN_DRAIN_ROUNDS	64	/* a ring that refills faster than this is never empty */
#define MAIN_SETUP_TIMEOUT_MS	10000

/* The fds of RECORDER_SETUP, in order. */
enum main_fd { MAIN_FD_RING, MAIN_FD_LEDGER, MAIN_FD_KEY, MAIN_FD_EVIDENCE };

struct main_state {
	struct recorder recorder;
	struct ring_buffer *ring;
	size_t taken;
};

static int main_take_sample(void *data, void *sample, size_t n)
{
	struct main_state *state = data;

	recorder_take_sample(&state->recorder, sample, n);
	/* a negative return stops this round; the sample counts as consumed */
	return ++state->taken >= MAIN_SAMPLES_MAX ? -EAGAIN : 0;
}

/* True when the ring was found empty. */
static bool main_consume(struct main_state *state)
{
	state->taken = 0;
	return ring_buffer__consume(state->ring) != -EAGAIN;
}

static void main_drain(void *data)
{
	struct main_state *state = data;

	for (int i = 0; i < MAIN_DRAIN_ROUNDS; i++) {
		if (main_consume(state))
			return;
	}
}

static int main_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* The evidence directory becomes the recorder's, so that it can make directories in it. */
static int main_own_evidence(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid == CUSTODY_UID_RECORDER)
		return 0;
	return fchown(fd, CUSTODY_UID_RECORDER, CUSTODY_UID_RECORDER) < 0 ? -errno : 0;
}

/* Libraries do now what they would later do by files or system calls that are then forbidden. */
static void main_warm_up(void)
{
	struct tm tm;
	time_t zero = 0;

	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	json_object_seed(0);
	tzset();
	(void)gmtime_r(&zero, &tm);
}

static int main_confine(int evidence_fd)
{
	static const char *const syscalls[] = {
		"pread64", "pwrite64", "fsync", "fdatasync", "ftruncate", "fstatfs", "fchmod",
		"openat", "mkdirat", "unlinkat", "renameat2", "getdents64", "epoll_wait",
		"epoll_pwait",
	};
	const struct confine_path paths[] = {
		{ .fd = evidence_fd, .access = CONFINE_READ | CONFINE_WRITE },
	};
	cleanup_fd int proof = confine_open_proof();
	int r = proof < 0 ? proof : confine_leave_network();

	if (r == 0)
		r = confine_drop_privileges(CUSTODY_UID_RECORDER, CUSTODY_UID_RECORDER, 0);
	if (r == 0)
		r = confine_set_basics();
	if (r < 0)
		return r;
	r = confine_enter_landlock(paths, ARRAY_SIZE(paths), true);
	if (r == 0)
		log_warning("this kernel has no Landlock: only the file permissions of uid %d "
			    "keep the recorder out of other files", CUSTODY_UID_RECORDER);
	if (r >= 0)
		r = confine_enter_seccomp(syscalls, ARRAY_SIZE(syscalls));
	if (r < 0)
		return r;
	return confine_prove(TAKE_FD(proof), CUSTODY_UID_RECORDER, CUSTODY_UID_RECORDER, 0);
}

static int main_refuse(enum custody_exit exit_code, int error, const char *text)
{
	log_error("%s", text);
	(void)message_send_refused(CUSTODY_CHANNEL_FD, ROLE_RECORDER, 0, exit_code, -error, "%s",
				   text);
	return CUSTODY_EXIT_INTERNAL;
}

/* Everything that needs root, and nothing that reads an event. 0 or an exit code. */
static int main_setup(struct main_state *state, const struct recorder_setup *setup,
		      const struct message_fds *fds)
{
	char problem[CUSTODY_TEXT_SIZE] = "";
	int r;

	(void)libbpf_set_print(main_quiet);
	state->ring = ring_buffer__new(fds->fd[MAIN_FD_RING], main_take_sample, state, NULL);
	if (!state->ring)
		return main_refuse(CUSTODY_EXIT_INTERNAL, -errno,
				   "the recorder cannot map the ring buffer of kernel events");
	r = recorder_open(&state->recorder, CUSTODY_CHANNEL_FD, fds->fd[MAIN_FD_LEDGER],
			  fds->fd[MAIN_FD_KEY], fds->fd[MAIN_FD_EVIDENCE], setup, problem,
			  sizeof(problem));
	if (r < 0)
		return main_refuse(CUSTODY_EXIT_REFUSED, r, problem);
	state->recorder.drain = main_drain;
	state->recorder.drain_data = state;
	r = main_own_evidence(fds->fd[MAIN_FD_EVIDENCE]);
	if (r < 0)
		return main_refuse(CUSTODY_EXIT_INTERNAL, r,
				   "the evidence directory cannot be given to the recorder");
	main_warm_up();
	r = recorder_begin(&state->recorder);
	if (r < 0) {
		(void)recorder_refuse_write(&state->recorder, 0, "the ledger", r);
		log_error("the ledger cannot be written: %s", strerror(-r));
		return CUSTODY_EXIT_REFUSED;
	}
	r = main_confine(fds->fd[MAIN_FD_EVIDENCE]);
	if (r < 0)
		return main_refuse(CUSTODY_EXIT_INTERNAL, r,
				   "the recorder cannot confine itself, and records nothing "
				   "unconfined");
	return 0;
}

/* One message, when there is one. 0; -ENODATA when custodyd is gone; -errno. */
static int main_take_message(struct main_state *state, union message_buffer *buffer)
{
	int r = message_recv(CUSTODY_CHANNEL_FD, ROLE_RECORDER, ROLE_WARDEN, RECORDER_PERMIT,
			     buffer, NULL);

	return r < 0 ? r : recorder_handle(&state->recorder, buffer);
}

/* Until custodyd closes the channel. Returns 0 then, -errno when it breaks the protocol. */
static int main_loop(struct main_state *state, union message_buffer *buffer)
{
	struct pollfd fds[] = {
		{ .fd = CUSTODY_CHANNEL_FD, .events = POLLIN },
		{ .fd = ring_buffer__epoll_fd(state->ring), .events = POLLIN },
	};
	bool empty = true;

	for (;;) {
		int wait = recorder_tick(&state->recorder);
		int n = poll(fds, ARRAY_SIZE(fds), empty ? wait : 0);
		int r = 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		empty = main_consume(state);
		if (n > 0 && fds[0].revents != 0)
			r = main_take_message(state, buffer);
		if (r < 0)
			return r == -ENODATA || r == -EPIPE || r == -ECONNRESET ? 0 : r;
	}
}

static int main_run(struct main_state *state, union message_buffer *buffer)
{
	struct recorder_running running = {
		.size = ledger_size(state->recorder.ledger),
		.torn_bytes = ledger_torn(state->recorder.ledger),
	};
	int r;

	r = MESSAGE_SEND(CUSTODY_CHANNEL_FD, ROLE_RECORDER, RECORDER_RUNNING, 0, &running);
	if (r == 0)
		r = main_loop(state, buffer);
	if (r < 0)
		log_error("the channel to custodyd is broken: %s", strerror(-r));
	main_drain(state);
	if (recorder_end(&state->recorder) < 0 || r < 0)
		return CUSTODY_EXIT_INTERNAL;
	return CUSTODY_EXIT_DONE;
}

int main(void)
{
	cleanup_ptr struct main_state *state = calloc(1, sizeof(*state));
	cleanup_ptr union message_buffer *buffer = calloc(1, sizeof(*buffer));
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	int r;

	log_setup("custody-recorder", LOG_LEVEL_INFO);
	/* it ends by its channel, after draining; signals for the whole group are not for it */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!state || !buffer)
		return CUSTODY_EXIT_INTERNAL;
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = message_recv_timeout(CUSTODY_CHANNEL_FD, ROLE_RECORDER, ROLE_WARDEN,
					 MSG_BIT(MSG_RECORDER_SETUP), buffer, &fds,
					 MAIN_SETUP_TIMEOUT_MS);
	if (r < 0) {
		log_error("no setup from custodyd on fd %d: %s; custodyd starts this program",
			  CUSTODY_CHANNEL_FD, strerror(-r));
		return CUSTODY_EXIT_INTERNAL;
	}
	r = main_setup(state, (const struct recorder_setup *)buffer, &fds);
	if (r == 0)
		r = main_run(state, buffer);
	recorder_close(&state->recorder);
	ring_buffer__free(state->ring);
	return r;
}
