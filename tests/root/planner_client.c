/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyd's side of one PLAN_REQUEST, for tests: starts a planner, sends the request, and prints
 * what came back as one line. Run as root by tests/root/20-planner.sh.
 *
 *   planner_client PLANNER ETC-DIR USR-DIR NAME PROFILE MODEL [ARG...]
 *   SEALED name=... profile=... args=N zones=N endpoints=N devices=N arg0=...
 *   REFUSED exit=N TEXT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "message.h"
#include "plan.h"

static int planner_client_start(const char *planner, int *ret_channel, pid_t *ret_pid)
{
	cleanup_fd int mine = -1;
	cleanup_fd int theirs = -1;
	int r = message_make_pair(&mine, &theirs);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (theirs == CUSTODY_CHANNEL_FD)
			(void)fcntl(theirs, F_SETFD, 0);
		else if (dup2(theirs, CUSTODY_CHANNEL_FD) < 0)
			_exit(CUSTODY_EXIT_INTERNAL);
		(void)execl(planner, planner, (char *)NULL);
		_exit(CUSTODY_EXIT_INTERNAL);
	}
	*ret_channel = TAKE_FD(mine);
	*ret_pid = pid;
	return 0;
}

static int planner_client_send(int channel, char **argv, int argc)
{
	static struct plan_request request;
	cleanup_fd int etc = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int usr = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int fds[] = { etc, usr };

	if (etc < 0 || usr < 0)
		return -errno;
	(void)snprintf(request.name, sizeof(request.name), "%s", argv[4]);
	(void)snprintf(request.profile, sizeof(request.profile), "%s", argv[5]);
	(void)snprintf(request.model, sizeof(request.model), "%s", argv[6]);
	for (int i = 7; i < argc; i++) {
		size_t n = strlen(argv[i]) + 1;

		if (request.args_len + n > sizeof(request.args))
			return -E2BIG;
		memcpy(request.args + request.args_len, argv[i], n);
		request.args_len += (__u32)n;
		request.n_args++;
	}
	return message_send(channel, ROLE_WARDEN, MSG_PLAN_REQUEST, 7, &request, sizeof(request),
			    fds, 2);
}

/* The seals hold: no write, no writable map, no resize, no more seals. */
static bool planner_client_is_sealed(int fd)
{
	return write(fd, "x", 1) < 0 && errno == EPERM && ftruncate(fd, 1) < 0 &&
	       mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
	       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0;
}

static int planner_client_print(int channel)
{
	static union message_buffer buffer;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	__attribute__((cleanup(plan_unmap))) const struct custody_plan *plan = NULL;
	const struct refused *refused = (const struct refused *)&buffer;
	const char *why = "";
	int r = message_recv_timeout(channel, ROLE_WARDEN, ROLE_PLANNER,
				     MSG_BIT(MSG_PLAN_SEALED) | MSG_BIT(MSG_REFUSED), &buffer, &fds,
				     10000);

	if (r < 0)
		return r;
	if (buffer.head.id != 7)
		return -EPROTO;
	if (buffer.head.type == MSG_REFUSED) {
		(void)printf("REFUSED exit=%u %s\n", refused->exit, refused->text);
		return 0;
	}
	if (!planner_client_is_sealed(fds.fd[0]))
		return -EPERM;
	r = plan_map(fds.fd[0], &plan, &why);
	if (r < 0) {
		(void)printf("BAD PLAN %s\n", why);
		return r;
	}
	(void)printf("SEALED name=%s profile=%s args=%u zones=%u endpoints=%u devices=%u arg0=%s\n",
		     plan->name, plan->profile, plan->n_args, plan->n_zones, plan->n_endpoints,
		     plan->n_devices, plan_string(plan, plan->args[0]));
	return 0;
}

int main(int argc, char **argv)
{
	cleanup_fd int channel = -1;
	int status = 0;
	pid_t pid = -1;
	int r;

	if (argc < 7) {
		(void)fprintf(
			stderr,
			"usage: planner_client PLANNER ETC USR NAME PROFILE MODEL [ARG...]\n");
		return CUSTODY_EXIT_USAGE;
	}
	r = planner_client_start(argv[1], &channel, &pid);
	if (r == 0)
		r = planner_client_send(channel, argv, argc);
	if (r == 0)
		r = planner_client_print(channel);
	cleanup_close_fd(&channel);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		(void)printf("KILLED signal=%d\n", WTERMSIG(status));
	if (r < 0)
		(void)fprintf(stderr, "planner_client: %s\n", strerror(-r));
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}
