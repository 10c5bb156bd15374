/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyd: the supervisor. Root with bounded capabilities; parses no text of others, only
 * fixed-size messages and sealed plans. See the README's picture for who does the rest.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "ceiling.h"
#include "cleanup.h"
#include "guard.h"
#include "launch.h"
#include "privileges.h"
#include "registry.h"
#include "warden.h"

static const char main_help[] =
	"custodyd: takes AI models into custody\n"
	"\n"
	"Usage: custodyd [--root DIR] [--cgroup NAME] [--no-guard] [--debug]\n"
	"\n"
	"  --root DIR      keep everything of custody below DIR (tests, demonstrations)\n"
	"  --cgroup NAME   name of custody's cgroup (default: custody)\n"
	"  --no-guard      other root processes may trace, kill and change custody (debugging)\n"
	"  --debug         say more in the log\n"
	"  --help          this text\n"
	"  --version       the version\n"
	"\n"
	"custodyd runs in the foreground and logs to standard error. It says \"ready\" when it\n"
	"serves. SIGTERM ends it; models in custody go on running under the policy in the kernel\n"
	"and are taken over by the next custodyd. See custodyd(8).\n";

static int main_parse(int argc, char **argv, struct warden *warden)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "no-guard", no_argument, NULL, 'g' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'r':
			if (optarg[0] != '/' || strlen(optarg) >= sizeof(warden->root) / 2) {
				log_error("--root takes an absolute directory.");
				return CUSTODY_EXIT_USAGE;
			}
			(void)snprintf(warden->root, sizeof(warden->root), "%s", optarg);
			while (warden->root[0] && warden->root[strlen(warden->root) - 1] == '/')
				warden->root[strlen(warden->root) - 1] = '\0';
			break;
		case 'c':
			if (strchr(optarg, '/') || !optarg[0] || optarg[0] == '.') {
				log_error("--cgroup takes one name, not a path.");
				return CUSTODY_EXIT_USAGE;
			}
			(void)snprintf(warden->cgroup_name, sizeof(warden->cgroup_name), "%s",
				       optarg);
			break;
		case 'g':
			warden->no_guard = true;
			break;
		case 'd':
			log_setup("custodyd", LOG_LEVEL_DEBUG);
			break;
		case 'h':
			(void)fputs(main_help, stdout);
			exit(CUSTODY_EXIT_DONE);
		case 'V':
			(void)puts("custodyd " CUSTODY_VERSION);
			exit(CUSTODY_EXIT_DONE);
		default:
			log_error("There is no option %s, or its value is missing. See custodyd "
				  "--help.", argv[optind - 1]);
			return CUSTODY_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		log_error("custodyd takes no argument; \"%s\" is one. See custodyd --help.",
			  argv[optind]);
		return CUSTODY_EXIT_USAGE;
	}
	if (warden->root[0] && access(warden->root, F_OK) < 0) {
		log_error("The root %s cannot be used: %s. Make the directory first.",
			  warden->root, strerror(errno));
		return CUSTODY_EXIT_USAGE;
	}
	return CUSTODY_EXIT_DONE;
}

#define MAIN_FRONT_MS 1000
#define MAIN_DRAIN_MS 5000

/*
 * Launches end here, because nobody would be left to finish them; whoever waits is told. What is
 * being stopped or retired goes on with the next custodyd, from the state files.
 */
static int main_on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct warden *warden = data;
	struct jail *j, *next;

	(void)info;
	warden->stopping = true;
	for (j = warden->jails; j; j = next) {
		next = j->next;
		launch_cancel(j, "custodyd was stopped");
	}
	registry_cancel_measures(warden);
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* A lost terminal or a stray signal is no reason to leave models without their supervisor. */
static int main_on_noise(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	(void)data;
	log_info("Signal %u, ignoring. Nothing is to be reloaded: profiles are read at each start.",
		 info->ssi_signo);
	return 0;
}

static int main_watch_signals(struct warden *warden)
{
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{ SIGTERM, main_on_end }, { SIGINT, main_on_end },
		{ SIGHUP, main_on_noise }, { SIGUSR1, main_on_noise }, { SIGUSR2, main_on_noise },
	};
	sigset_t mask;
	int r = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);	/* sd-event reaps by it */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&mask, signals[i].number);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
		r = sd_event_add_signal(warden->event, NULL, signals[i].number,
					signals[i].handler, warden);
	return r;
}

/* The order: state before policy (what must be adopted), policy before recorder (its ring). */
static int main_start(struct warden *warden)
{
	int r = setup_warden(warden);

	if (r == 0)
		r = guard_read_host(warden);
	if (r == 0)
		r = state_adopt_all(warden);
	if (r == 0)
		r = setup_open_policy(warden);
	if (r == 0)
		r = restrict_resume(warden);
	if (r == 0)
		r = ceiling_start(warden);
	if (r == 0)
		r = setup_listen(warden);
	if (r == 0)
		r = privileges_bound();
	if (r == 0)
		r = recording_start(warden);
	if (r == 0)
		r = recording_start_timer(warden);
	return r < 0 ? r : 0;
}

static void main_stop_roles(struct warden *warden)
{
	warden->stopping = true;
	/* The front passes the last answers on and ends when its channel closes. */
	spawn_close(&warden->front);
	if (warden->front.pid > 0) {
		warden->front.child = sd_event_source_disable_unref(warden->front.child);
		spawn_wait(warden->front.pid, MAIN_FRONT_MS);
	}
	/* The recorder drains the ring, signs a head and ends when its channel closes. */
	spawn_close(&warden->recorder);
	if (warden->recorder.pid > 0) {
		warden->recorder.child = sd_event_source_disable_unref(warden->recorder.child);
		spawn_wait(warden->recorder.pid, MAIN_DRAIN_MS);
	}
}

int main(int argc, char **argv)
{
	static struct warden warden = { .lock_fd = -1, .listen_fd = -1 };
	int r, fd;

	log_setup("custodyd", LOG_LEVEL_INFO);
	/* fds 0 to 3 are always open from here on: what is opened later never lands on a role's. */
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd < CUSTODY_CHANNEL_FD);
	warden.front.channel = warden.recorder.channel = -1;
	r = main_parse(argc, argv, &warden);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (sd_event_default(&warden.event) < 0 || main_watch_signals(&warden) < 0) {
		log_error("The event loop could not be set up.");
		return CUSTODY_EXIT_INTERNAL;
	}
	r = main_start(&warden);
	if (r < 0)
		return r == -EPERM || r == -EBUSY || r == -EUCLEAN || r == -ENOTSUP
			       ? CUSTODY_EXIT_REFUSED
			       : CUSTODY_EXIT_INTERNAL;
	r = sd_event_loop(warden.event);
	main_stop_roles(&warden);
	ceiling_stop(&warden);
	setup_clean(&warden);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : r;
}
