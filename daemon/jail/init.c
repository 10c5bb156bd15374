/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pid 1 of the jail after it has built it: starts the process that becomes the model, then holds
 * nothing, opens nothing and knows five syscalls' worth of work: reap, forward a request to end,
 * end with the model's status. When it ends, the kernel kills whatever else is left in the pid
 * namespace. Trusts nobody; a signal from inside can at most make it ask the model to end.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "plan.h"

int init_start_model(struct jail *jail)
{
	sigset_t all;
	pid_t pid;

	/* Before the fork, so that no signal is lost between it and init_serve(). */
	(void)sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot block signals: %m");
	pid = fork();
	if (pid < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "cannot start the model's process: %m; see [limits] processes");
	jail->model = pid;
	return 0;
}

/* Channel, standard streams, mounts: the model's process has its own copies. */
int init_forget_all(struct jail *jail)
{
	int r = confine_close_fds_from(0);

	jail->channel = -1;
	jail->broker = -1;
	plan_unmap(&jail->plan);
	(void)prctl(PR_SET_NAME, "custody-init", 0, 0, 0);
	return r;
}

int init_confine(struct jail *jail)
{
	static const char *const syscalls[] = { "wait4", "rt_sigtimedwait", "kill" };

	(void)jail;
	return confine_enter_seccomp(syscalls, ARRAY_SIZE(syscalls));
}

static int init_exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reaps what has ended; true with *ret_status when the model was among it. */
static bool init_reap(pid_t model, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == model) {
			*ret_status = status;
			ended = true;
		}
	}
	return ended;
}

int init_serve(struct jail *jail)
{
	int status = 0;
	sigset_t all;

	(void)sigfillset(&all);
	for (;;) {
		int sig;

		if (init_reap(jail->model, &status))
			_exit(init_exit_status(status));
		sig = sigwaitinfo(&all, NULL);
		if (sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT ||
		    sig == SIGUSR1 || sig == SIGUSR2)
			(void)kill(jail->model, sig);
	}
}
