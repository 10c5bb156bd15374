/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts role processes: clone3 (into a cgroup where one is given), exec, channel on fd 3, no
 * other fd, an empty environment. Run by custodyd. Trusts the executables beside its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "guard.h"
#include "warden.h"

#define SPAWN_REAP_MS 2000

struct spawn_name {
	enum custody_role role;
	const char *name;
	enum custody_message_type first;	/* MSG_NONE: nothing is permitted at first */
};

static const struct spawn_name spawn_names[] = {
	{ ROLE_FRONT, "custody-front", MSG_NONE },
	{ ROLE_PLANNER, "custody-planner", MSG_PLAN_SEALED },
	{ ROLE_JAIL, "custody-jail", MSG_JAIL_BUILT },
	{ ROLE_BROKER, "custody-broker", MSG_BROKER_LISTENING },
	{ ROLE_RECORDER, "custody-recorder", MSG_RECORDER_RUNNING },
	{ ROLE_SWEEPER, "custody-sweeper", MSG_SWEEP_FACT },
	{ ROLE_RESOLVER, "custody-resolver", MSG_RESOLVE_ANSWER },
	{ ROLE_MEASURER, "custody-measurer", MSG_MEASURED },
};

static const struct spawn_name *spawn_find_name(enum custody_role role)
{
	for (size_t i = 0; i < ARRAY_SIZE(spawn_names); i++) {
		if (spawn_names[i].role == role)
			return &spawn_names[i];
	}
	return NULL;
}

/* In the child: only async-signal-safe calls, then exec. */
static void spawn_exec(const char *path, int channel, int null)
{
	char *argv[] = { (char *)path, NULL };
	char *envp[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LANG=C.UTF-8",
			 NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(126);
	(void)signal(SIGPIPE, SIG_DFL);
	/* channel and null are above 3: custodyd holds 0-3 open from its start */
	if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
	    dup2(channel, CUSTODY_CHANNEL_FD) < 0)
		_exit(126);
	if (syscall(SYS_close_range, CUSTODY_CHANNEL_FD + 1, ~0U, 0) < 0)
		_exit(126);
	(void)execve(path, argv, envp);
	_exit(127);
}

static int spawn_clone(int cgroup_fd, pid_t *ret)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	long pid;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (__u64)cgroup_fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	*ret = (pid_t)pid;
	return 0;
}

static int spawn_on_message(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct role *role = data;
	union message_buffer buf;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	int r;

	(void)source;
	(void)revents;
	r = message_recv(fd, ROLE_WARDEN, role->role, role->permit, &buf, &fds);
	if (r == -EAGAIN || r == -EINTR)
		return 0;
	if (r == 0)
		r = dispatch_message(role, &buf, &fds);
	else if (r == -EPROTO)
		log_error("%s (pid %d) sent something that it may not send now; it is dropped.",
			  spawn_find_name(role->role)->name, role->pid);
	if (r < 0)
		dispatch_gone(role, r == -EPROTO);
	return 0;
}

/* Roles are reaped when they end; what their end means is told by their channel closing. */
static int spawn_on_child(sd_event_source *source, const siginfo_t *info, void *data)
{
	struct role *role = data;

	(void)source;
	role->child = sd_event_source_disable_unref(role->child);
	if (info->si_code == CLD_EXITED && info->si_status == 127)
		log_error("%s could not be executed in %s.", spawn_find_name(role->role)->name,
			  role->warden->libexec);
	role->pid = 0;
	return 0;
}

static int spawn_watch(struct role *role)
{
	sd_event *event = role->warden->event;
	int r;

	r = sd_event_add_io(event, &role->io, role->channel, EPOLLIN, spawn_on_message, role);
	if (r < 0)
		return r;
	return sd_event_add_child(event, &role->child, role->pid, WEXITED, spawn_on_child, role);
}

int spawn_role(struct warden *warden, struct jail *jail, struct role *ret, enum custody_role role,
	       const char *cgroup)
{
	const struct spawn_name *name = spawn_find_name(role);
	cleanup_fd int ours = -1, theirs = -1, cgroup_fd = -1, null = -1;
	char path[CUSTODY_PATH_SIZE + 32];
	pid_t pid = 0;
	int r;

	if (!name || ret->pid != 0)
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "%s/%s", warden->libexec, name->name);
	if (access(path, X_OK) < 0)
		return -errno;
	if (cgroup) {
		cgroup_fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (cgroup_fd < 0)
			return -errno;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	r = message_make_pair(&ours, &theirs);
	if (r < 0)
		return r;
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = spawn_clone(cgroup_fd, &pid);
	if (r < 0)
		return r;
	if (pid == 0)
		spawn_exec(path, theirs, null);
	*ret = (struct role){ .warden = warden, .jail = jail, .role = role, .pid = pid,
			      .channel = TAKE_FD(ours) };
	if (name->first != MSG_NONE)
		ret->permit = MSG_BIT(name->first) | MSG_BIT(MSG_REFUSED);
	if (role == ROLE_FRONT)
		ret->permit = MSG_BIT(MSG_REQUEST_START) | MSG_BIT(MSG_REQUEST_RUN) |
			      MSG_BIT(MSG_REQUEST_NAME) | MSG_BIT(MSG_REQUEST_RESTRICT) |
			      MSG_BIT(MSG_REQUEST_MODEL);
	if (role == ROLE_SWEEPER)
		ret->permit |= MSG_BIT(MSG_SWEEP_DONE);
	if (role == ROLE_MEASURER)
		ret->permit |= MSG_BIT(MSG_MEASURE_PROGRESS);
	r = guard_add_role(warden, pid, role);
	if (r == 0)
		r = spawn_watch(ret);
	if (r < 0)
		spawn_kill(ret);
	return r;
}

int spawn_adopt(struct warden *warden, struct jail *jail, struct role *ret, enum custody_role role,
		int channel)
{
	*ret = (struct role){ .warden = warden, .jail = jail, .role = role, .channel = channel };
	return sd_event_add_io(warden->event, &ret->io, channel, EPOLLIN, spawn_on_message, ret);
}

void spawn_close(struct role *role)
{
	role->io = sd_event_source_disable_unref(role->io);
	if (role->channel >= 0)
		(void)close(role->channel);
	role->channel = -1;
}

/*
 * The wait is bounded: a process that hangs in the kernel (a dead NFS server) takes SIGKILL only
 * when it comes back, and custodyd has other models to look after. recording.c reaps it then.
 */
static void spawn_reap(pid_t pid)
{
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0)
		(void)poll(&p, 1, SPAWN_REAP_MS);
	if (waitpid(pid, NULL, WNOHANG) == 0)
		log_error("Process %d was killed and has not ended yet; it is waited for.", pid);
}

void spawn_wait(pid_t pid, int ms)
{
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || poll(&p, 1, ms) <= 0)
		(void)kill(pid, SIGKILL);
	spawn_reap(pid);
}

void spawn_kill(struct role *role)
{
	spawn_close(role);
	role->child = sd_event_source_disable_unref(role->child);
	if (role->pid > 0) {
		(void)kill(role->pid, SIGKILL);
		spawn_reap(role->pid);
	}
	role->pid = 0;
	role->permit = 0;
}
