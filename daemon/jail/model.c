/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that becomes the model: the last confinement, the wait for the go, the exec. Runs
 * as the model's uid in all its namespaces, without capabilities. Trusts the channel and the plan.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "landlock.h"
#include "message.h"
#include "mount.h"
#include "plan.h"

int model_leave_session(struct jail *jail)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	if (setsid() < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "setsid: %m");
	for (int sig = 1; sig < NSIG; sig++) {
		/* SIGKILL, SIGSTOP and libc's own two are not to be set. */
		if (sigaction(sig, &standard, NULL) < 0 && errno != EINVAL)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "sigaction: %m");
	}
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "sigprocmask: %m");
	return 0;
}

/*
 * /proc/self/mem writes to pages that no mapping may write, code among them (the kernel forces
 * it, mm/gup.c FOLL_FORCE), which would undo what the filter says of executable memory. Nothing
 * below /proc is written then; CUDA, which names its threads there, comes with devices.
 */
bool model_writes_proc(const struct custody_plan *plan)
{
	return (plan->flags & PLAN_FLAG_JIT) || plan->n_devices > 0;
}

/*
 * Landlock's rights of a mount. A rule holds for everything below, other mounts included. The
 * right to run is not among them: it is given program by program (model_add_programs()).
 */
static __u64 model_landlock_access(const struct custody_plan *plan, const struct jail_zone *zone)
{
	__u64 access = 0;

	/* Listing "/" and "/dev" is harmless; reading below them is for the zones to say. */
	if (zone->label == CUSTODY_LABEL_ROOT || zone->label == CUSTODY_LABEL_DEV)
		return CONFINE_LIST;
	if (zone->rights & CUSTODY_RIGHT_READ)
		access |= CONFINE_READ;
	if ((zone->rights & CUSTODY_RIGHT_WRITE) &&
	    (zone->label != CUSTODY_LABEL_PROC || model_writes_proc(plan)))
		access |= CONFINE_MODIFY;
	if (zone->rights & CUSTODY_RIGHT_CREATE)
		access |= CONFINE_WRITE;
	if (zone->rights & CUSTODY_RIGHT_IOCTL)
		access |= CONFINE_IOCTL;
	return access;
}

/*
 * TCP: bind() is the broker's, so the kernel need not allow it at all; connect() is left to the
 * cgroup plane, which counts and names the address, where the profile requires that plane, and
 * is refused here where it does not. With a private loopback neither can be told by port.
 */
static __u64 model_denied_tcp(const struct custody_plan *plan)
{
	if (plan->flags & PLAN_FLAG_LOOPBACK)
		return 0;
	if (plan->planes_required & CUSTODY_PLANE_CGROUP)
		return CONFINE_TCP_BIND;
	return CONFINE_TCP_BIND | CONFINE_TCP_CONNECT;
}

/* Programs that the kernel opens by itself to run another one: the loaders of the x86-64 ABIs. */
static const char *const model_loaders[] = {
	"/lib64/ld-linux-x86-64.so.2",
	"/lib/ld-musl-x86_64.so.1",
};

#define MODEL_PATHS_MAX (CUSTODY_ZONES_MAX + 1 + PLAN_PROGRAMS_MAX + 1 + ARRAY_SIZE(model_loaders))

struct model_paths {
	struct confine_path list[MODEL_PATHS_MAX];
	size_t n;
	size_t programs;	/* list[programs..n-1] are fds of our own */
};

static int model_add_program(struct model_paths *paths, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	paths->list[paths->n++] = (struct confine_path){ .fd = fd, .access = CONFINE_EXEC };
	return 0;
}

/*
 * What may be run: the command, the plan's other programs, and the loader without which neither
 * starts. A zone that holds programs does not make them all runnable: a model that is taken over
 * finds no shell. (A library may be mapped from any such zone: that is the LSM plane's to decide.)
 */
static int model_add_programs(struct jail *jail, struct model_paths *paths)
{
	const struct custody_plan *plan = jail->plan;

	paths->programs = paths->n;
	/* A command that is not there is told about where it is run, with the reason. */
	(void)model_add_program(paths, plan_string(plan, plan->args[0]));
	for (size_t i = 0; i < ARRAY_SIZE(model_loaders); i++)
		(void)model_add_program(paths, model_loaders[i]);
	for (__u32 i = 0; i < plan->n_programs; i++) {
		const struct plan_program *program = &plan->programs[i];
		int r = model_add_program(paths, plan_string(plan, program->path));

		if (r < 0 && !(program->flags & PLAN_ZONE_OPTIONAL))
			return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
					   "%s: program %s is not in the jail (%s); write -%s if "
					   "it may be absent",
					   plan_string(plan, program->origin),
					   plan_string(plan, program->path), strerror(-r),
					   plan_string(plan, program->path));
	}
	return 0;
}

#define MODEL_LAYERS_MAX 200	/* the kernel's limit is 16, and was 64 */

/*
 * How many more Landlock domains this process can enter: a child of it tries, and ends. -errno;
 * -ERANGE without a limit.
 */
static int model_count_layers(void)
{
	const struct landlock_ruleset empty = { .handled_access_fs = LANDLOCK_FS_EXECUTE };
	const pid_t pid = fork();
	int status = 0, n = 0, fd;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		fd = (int)syscall(SYS_landlock_create_ruleset, &empty,
				  sizeof(empty.handled_access_fs), 0);
		while (fd >= 0 && n < MODEL_LAYERS_MAX &&
		       syscall(SYS_landlock_restrict_self, fd, 0) == 0)
			n++;
		_exit(n);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status) < MODEL_LAYERS_MAX ? WEXITSTATUS(status) : -ERANGE;
}

/*
 * Landlock shows nowhere in /proc, and every file that it refuses, the lsm plane may refuse too.
 * From Linux 6.12 on it alone refuses signals, and the self-check sends one; before, that it was
 * entered shows by this: one domain less is left.
 */
static int model_prove_landlock(struct jail *jail, int before)
{
	int r = before < 0 ? before : model_count_layers();

	if (r < 0 && r != -ERANGE)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "self-check: Landlock's domains cannot be counted: %s",
				   strerror(-r));
	if (r != before - 1)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "self-check: Landlock does not refuse what it should: "
				   "entering its domain changed nothing");
	return 0;
}

int model_enter_landlock(struct jail *jail)
{
	struct model_paths paths = { 0 };
	cleanup_fd int etc = -1;
	const bool counts = confine_find_landlock_abi() < CONFINE_SCOPES_ABI;
	const int before = counts ? model_count_layers() : 0;
	int r = mount_open_path(jail->mounts[0].fd, "etc", false, &etc);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot open the jail's /etc: %s", strerror(-r));
	paths.list[paths.n++] = (struct confine_path){ .fd = etc, .access = CONFINE_READ };
	for (__u32 i = 0; i < jail->built.n_zones; i++)
		paths.list[paths.n++] = (struct confine_path){
			.fd = jail->mounts[i].fd,
			.access = model_landlock_access(jail->plan, &jail->built.zones[i]),
		};
	r = model_add_programs(jail, &paths);
	if (r == 0)
		r = confine_enter_landlock_net(paths.list, paths.n, model_denied_tcp(jail->plan));
	while (paths.n > paths.programs)
		(void)close(paths.list[--paths.n].fd);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot enter Landlock: %s",
				   strerror(-r));
	jail->landlock_abi = r;
	for (__u32 i = 0; i < jail->built.n_zones; i++)
		(void)close(TAKE_FD(jail->mounts[i].fd));
	return counts && jail->landlock_abi > 0 ? model_prove_landlock(jail, before) : 0;
}

int model_give_listener(struct jail *jail)
{
	struct broker_listener body = { 0 };
	int r = 0;

	if (jail->listener >= 0)
		r = message_send(jail->broker, ROLE_JAIL, MSG_BROKER_LISTENER,
				 jail->build.head.id, &body, sizeof(body), &jail->listener, 1);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "the broker takes no notifications: %s", strerror(-r));
	return 0;
}

int model_close_fds(struct jail *jail)
{
	int r = confine_close_fds_from(jail->channel + 1);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot close fds: %s",
				   strerror(-r));
	jail->listener = -1;
	jail->broker = -1;
	return 0;
}

int model_wait_go(struct jail *jail)
{
	union message_buffer buf;
	int r = message_recv(jail->channel, ROLE_JAIL, ROLE_WARDEN, MSG_BIT(MSG_JAIL_GO), &buf,
			     NULL);

	/* custodyd is gone, or said something else: nobody is there to be told. */
	if (r < 0)
		_exit(EXIT_FAILURE);
	return 0;
}

int model_execute(struct jail *jail)
{
	const struct custody_plan *plan = jail->plan;
	const char *origin = plan_string(plan, plan->command_origin);
	const char *workdir = plan_string(plan, plan->workdir);
	char *args[PLAN_ARGS_MAX + 1] = { NULL };
	char *env[PLAN_ENV_MAX + 1] = { NULL };

	/* execve() takes char *const[] and does not write through it. */
	for (__u32 i = 0; i < plan->n_args; i++)
		args[i] = (char *)(__UINTPTR_TYPE__)plan_string(plan, plan->args[i]);
	for (__u32 i = 0; i < plan->n_env; i++)
		env[i] = (char *)(__UINTPTR_TYPE__)plan_string(plan, plan->env[i]);
	if (chdir(workdir) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "%s: working directory %s inside the jail: %m; name one that "
				   "is in a zone of [files]", origin, workdir);
	(void)umask(077);
	(void)execve(args[0], args, env);
	if (errno == ENOENT || errno == ENOTDIR)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "%s: command not found in the jail: %s (%m); its program, its "
				   "interpreter or its loader is in no zone of [files] read",
				   origin, args[0]);
	return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
			   "%s: cannot run %s in the jail: %m; it must be in a zone of [files] "
			   "read", origin, args[0]);
}
