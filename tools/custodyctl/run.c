/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl run: a command in custody, in the foreground. Its standard streams are this
 * process's; its end is this process's end. With --attest what it wrote is attested then (watch.h).
 * Run as the caller. Trusts no reply's text.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "client.h"
#include "watch.h"

#define RUN_PROFILE "base"	/* when neither --profile nor --name says which */

struct run {
	const struct command_options *options;
	const char *name;
	int fd;			/* the request's connection */
	int signals;		/* signalfd: INT, TERM, HUP */
	int stop;		/* connection of the request to stop; -1 before */
	unsigned int asked;	/* signals so far */
	struct client_progress progress;
	int input;		/* the command's standard input */
};

static bool run_pack_args(struct request_run *request, char **words)
{
	for (; *words; words++) {
		size_t n = strlen(*words) + 1;

		if (n > sizeof(request->args) - request->args_len ||
		    request->n_args == PLAN_ARGS_MAX) {
			client_complain("The command is too long: at most %d words and %zu bytes.",
					PLAN_ARGS_MAX, sizeof(request->args));
			return false;
		}
		memcpy(request->args + request->args_len, *words, n);
		request->args_len += (__u32)n;
		request->n_args++;
	}
	return true;
}

/* Asks custodyd, on a connection of its own, to stop the model; the answer comes by `run`'s. */
static void run_ask_stop(struct run *run)
{
	struct request_name request = { .verb = REQUEST_STOP };

	if (!client_copy_text(request.name, sizeof(request.name), run->name, "name"))
		return;
	if (client_connect(run->options, &run->stop) == 0)
		(void)client_send(run->stop, MSG_REQUEST_NAME, &request, sizeof(request), NULL, 0);
}

/* The first signal asks for a stop; the second leaves, and front asks for it then. */
static bool run_take_signal(struct run *run, int *ret_signal)
{
	struct signalfd_siginfo info = { 0 };

	if (read(run->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return true;
	*ret_signal = (int)info.ssi_signo;
	if (++run->asked > 1)
		return false;
	run_ask_stop(run);
	return true;
}

static int run_open_signals(int *ret_fd)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/* Waits until an answer is there to read (0), or a second signal came (128 + its number). */
static int run_wait(struct run *run)
{
	struct pollfd fds[] = {
		{ .fd = run->fd, .events = POLLIN },
		{ .fd = run->signals, .events = POLLIN },
	};
	int signal = 0;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return CUSTODY_EXIT_INTERNAL;
		if (fds[0].revents)
			return 0;
		if (fds[1].revents && !run_take_signal(run, &signal)) {
			client_complain("Leaving now; custodyd stops %s.",
					client_quote(run->name).text);
			return 128 + signal;
		}
	}
}

/* Like a shell: the command's own status, or 128 + the signal that ended it. */
static int run_conclude(const struct reply_done *done)
{
	int r = client_conclude(done);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (WIFEXITED(done->status))
		return WEXITSTATUS(done->status);
	if (WIFSIGNALED(done->status)) {
		client_complain("The command was ended by signal %d (%s).", WTERMSIG(done->status),
				strsignal(WTERMSIG(done->status)));
		return 128 + WTERMSIG(done->status);
	}
	client_complain("The command ended, but custodyd does not know how.");
	return CUSTODY_EXIT_INCOMPLETE;
}

static void run_show_step(const union message_buffer *reply, struct run *run)
{
	const struct reply_step *step = (const struct reply_step *)reply;

	/* Standard output belongs to the command. */
	if (reply->head.type == MSG_REPLY_STEP && !run->options->quiet && isatty(STDERR_FILENO))
		(void)fprintf(stderr, "[%u/%u] %s\n", step->step, step->steps,
			      client_quote(step->text).text);
}

/* Replies until REPLY_DONE, with an eye on signals between them. */
static int run_follow(struct run *run, struct reply_done *ret_done)
{
	for (;;) {
		union message_buffer reply;
		int r = run_wait(run);

		if (r != 0)
			return r;
		r = client_receive_one(run->fd, &reply);
		if (r != 0) {
			client_end_progress(&run->progress);
			return r;
		}
		if (client_take_progress(&reply, &run->progress))
			continue;
		if (reply.head.type == MSG_REPLY_DONE) {
			memcpy(ret_done, &reply, sizeof(*ret_done));
			return 0;
		}
		run_show_step(&reply, run);
	}
}

static int run_in_custody(struct run *run, struct request_run *request)
{
	const int streams[] = { run->input, STDOUT_FILENO, STDERR_FILENO };
	cleanup_fd int fd = -1;
	cleanup_fd int signals = -1;
	struct reply_done done = { 0 };
	int r = client_connect(run->options, &fd);

	if (r != 0)
		return r;
	r = run_open_signals(&signals);
	if (r < 0) {
		client_complain("Signals cannot be received: %s.", strerror(-r));
		return CUSTODY_EXIT_INTERNAL;
	}
	client_start_progress(&run->progress, run->options);
	run->fd = fd;
	run->signals = signals;
	r = client_send(fd, MSG_REQUEST_RUN, request, sizeof(*request), streams,
			ARRAY_SIZE(streams));
	if (r == 0)
		r = run_follow(run, &done);
	cleanup_close_fd(&run->stop);
	return r == 0 ? run_conclude(&done) : r;
}

/*
 * What is read from standard input nobody sees: an attested command has none. Its status is
 * returned when it did not succeed, and nothing is signed then.
 */
static int run_attested(struct run *run, struct request_run *request, struct watch *watch,
			const char *output)
{
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = null < 0 ? CUSTODY_EXIT_INTERNAL : watch_prepare(watch, output);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	run->input = null;
	request->measure = 1;
	r = run_in_custody(run, request);
	if (r == CUSTODY_EXIT_DONE)
		return watch_conclude(watch);
	client_complain("Nothing is attested: the command did not succeed.");
	return r;
}

/* Where the command begins: the word after the first "--"; argc when there is none. */
static int run_find_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i;
	}
	return argc;
}

int command_run(int argc, char **argv, const struct command_options *options)
{
	struct request_run request = { 0 };
	char own_name[CUSTODY_NAME_SIZE];
	const char *profile = NULL, *name = NULL, *model = NULL, *output = NULL;
	struct watch watch = { .options = options, .ledger = -1 };
	const struct client_option table[] = {
		{ "--profile", &profile }, { "--name", &name }, { "--model", &model },
		{ "--attest", &watch.key_path }, { "--attest-output", &output },
	};
	struct run run = { .options = options, .fd = -1, .signals = -1, .stop = -1 };
	int r;
	int command = run_find_command(argc, argv);
	int words = client_parse_options(command, argv, table, ARRAY_SIZE(table));

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words > 0 || command + 1 >= argc || !argv[command + 1][0]) {
		client_complain("run needs a command after \"--\": custodyctl run --profile P -- "
				"CMD ARGUMENT...");
		return CUSTODY_EXIT_USAGE;
	}
	if (output && !watch.key_path) {
		client_complain("--attest-output says where the statement of --attest KEY goes.");
		return CUSTODY_EXIT_USAGE;
	}
	(void)snprintf(own_name, sizeof(own_name), "run-%d", (int)getpid());
	if (!profile)
		profile = name ? "" : RUN_PROFILE;
	run.name = name ? name : own_name;
	if (!client_copy_text(request.name, sizeof(request.name), run.name, "name") ||
	    !client_copy_text(request.profile, sizeof(request.profile), profile, "profile") ||
	    !run_pack_args(&request, argv + command + 1))
		return CUSTODY_EXIT_USAGE;
	if (model && !client_copy_directory(request.model, sizeof(request.model), model))
		return CUSTODY_EXIT_USAGE;
	if (!watch.key_path)
		return run_in_custody(&run, &request);
	watch.name = run.name;
	watch.profile = profile[0] ? profile : run.name;
	watch.model = model ? request.model : NULL;
	watch.command = (const char *const *)argv + command + 1;
	watch.n_command = request.n_args;
	r = run_attested(&run, &request, &watch, output);
	watch_free(&watch);
	return r;
}
