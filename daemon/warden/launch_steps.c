/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a launch. Run by custodyd. Each begins one thing and says in words what to do
 * when it cannot; each undo bears a step that was only half done.
 */
#include "launch_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ceiling.h"
#include "cgroup.h"
#include "check.h"
#include "cleanup.h"
#include "guard.h"
#include "limits.h"
#include "majors.h"
#include "measure.h"
#include "paths.h"
#include "plan.h"
#include "planes.h"
#include "sequence.h"

#define LAUNCH_LOG_LIMIT (16ULL << 20)
#define LAUNCH_KILL_MS 5000

/* A role that has ended already may have said why: that comes before the end of its channel. */
static int launch_await(int r)
{
	return r < 0 && r != -EPIPE ? r : -EINPROGRESS;
}

int launch_step_plan(struct jail *jail)
{
	struct warden *warden = jail->warden;
	cleanup_fd int etc = setup_open_directory(warden, PATHS_PROFILES_ETC);
	cleanup_fd int usr = setup_open_directory(warden, PATHS_PROFILES_USR);
	struct plan_request request = { 0 };
	int fds[2] = { etc, usr };
	int r;

	if (jail->is_check)
		return check_make_plan(jail);
	if (etc < 0 || usr < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ENOENT,
					"The profile directories %s%s and %s%s cannot be opened; "
					"install custody's profiles or create them.", warden->root,
					PATHS_PROFILES_ETC, warden->root, PATHS_PROFILES_USR);
	(void)snprintf(request.name, sizeof(request.name), "%s", jail->name);
	(void)snprintf(request.profile, sizeof(request.profile), "%s", jail->profile);
	(void)snprintf(request.model, sizeof(request.model), "%s", jail->asked_model);
	(void)snprintf(request.signature, sizeof(request.signature), "%s", jail->model_signature);
	request.model_version = jail->model_version;
	request.measure = jail->measure || jail->model_version;
	if (jail->run) {
		request.measure |= jail->run->measure;
		request.args_len = jail->run->args_len;
		request.n_args = jail->run->n_args;
		memcpy(request.args, jail->run->args, sizeof(request.args));
	}
	r = spawn_role(warden, jail, &jail->planner, ROLE_PLANNER, NULL);
	if (r < 0)
		return r;
	r = message_send(jail->planner.channel, ROLE_WARDEN, MSG_PLAN_REQUEST, 1, &request,
			 sizeof(request), fds, 2);
	return launch_await(r);
}

void launch_undo_plan(struct jail *jail)
{
	spawn_kill(&jail->planner);
}

static int launch_check_node(struct jail *jail, const struct plan_device *device)
{
	const char *path = plan_string(jail->plan, device->path);
	char nodes[512];
	struct stat st;

	if (stat(path, &st) == 0 && S_ISCHR(st.st_mode))
		return 0;
	majors_list_nodes(nodes, sizeof(nodes));
	return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ENODEV,
				"%s: there is no device %s on this host; GPU nodes that there are: "
				"%s.", plan_string(jail->plan, device->origin), path, nodes);
}

/* Some majors differ from boot to boot: what the profile says must be what the kernel says now. */
static int launch_check_major(struct jail *jail, const struct plan_device *device)
{
	static const char *const drivers[] = { "nvidia-uvm", "kfd" };
	const char *path = plan_string(jail->plan, device->path);
	const char *origin = plan_string(jail->plan, device->origin);
	const char *driver = NULL;
	cleanup_file FILE *list = NULL;
	__u32 major = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (strncmp(path, "/dev/", 5) == 0 && strcmp(path + 5, drivers[i]) == 0)
			driver = drivers[i];
	}
	if (!driver)
		return 0;
	list = fopen("/proc/devices", "re");
	r = list ? majors_find(list, driver, &major) : -errno;
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"%s: no driver \"%s\" is in /proc/devices; load it.",
					origin, driver);
	if (major != device->major)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ENODEV,
					"%s: %s has major %u on this host now, not %u; write "
					"%s:%u.", origin, path, major, device->major, driver,
					major);
	return 0;
}

static int launch_check_devices(struct jail *jail)
{
	int r = 0;

	for (__u32 i = 0; r == 0 && i < jail->plan->n_devices; i++)
		r = launch_check_major(jail, &jail->plan->devices[i]);
	for (__u32 i = 0; r == 0 && i < jail->plan->n_devices; i++)
		r = launch_check_node(jail, &jail->plan->devices[i]);
	return r;
}

int launch_step_check(struct jail *jail)
{
	__u32 missing = jail->plan->planes_required & ~jail->warden->planes;
	int r;

	for (__u32 plane = 1; plane & CUSTODY_PLANES_ALL; plane <<= 1) {
		if (!(missing & plane))
			continue;
		return sequence_explain(
			jail, CUSTODY_EXIT_REFUSED, -ENOTSUP,
			"Profile %s requires the plane \"%s\" ([require] planes), which %s. "
			"\"custodyctl doctor\" says why and what to change.",
			jail->plan->profile, planes_name(plane),
			plane == CUSTODY_PLANE_GUARD && jail->warden->no_guard
				? "custodyd was told to leave open (--no-guard)"
				: "this host does not offer");
	}
	jail->planes_active = jail->warden->planes;
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s", jail->plan->profile);
	r = limits_check(jail);
	if (r == 0)
		r = launch_check_devices(jail);
	return r < 0 ? r : measure_open_model(jail);
}

static int launch_make_child(struct jail *jail, const char *name, __u64 *ret_id)
{
	char path[CUSTODY_PATH_SIZE + 16];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", jail->cgroup, name);
	r = cgroup_make(path);
	return r < 0 ? r : cgroup_read_id(path, ret_id);
}

int launch_step_cgroup(struct jail *jail)
{
	struct warden *warden = jail->warden;
	int n, r;

	r = state_next_id(warden, &jail->id);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"The number of the next jail cannot be taken from %s%s "
					"(%s); make room there, or restore the file.", warden->root,
					PATHS_NEXT_JAIL, strerror(-r));
	n = snprintf(jail->cgroup, sizeof(jail->cgroup), "%s/%s-%u", warden->cgroup, jail->name,
		     jail->id);
	if (n < 0 || (size_t)n >= sizeof(jail->cgroup)) {
		jail->cgroup[0] = '\0';
		return -ENAMETOOLONG;
	}
	r = cgroup_make(jail->cgroup);
	if (r < 0) {
		jail->cgroup[0] = '\0';	/* not ours: nothing to undo */
		return r;
	}
	r = slots_note(jail);
	if (r < 0)
		return r;
	r = limits_install(jail);
	if (r == 0)
		r = launch_make_child(jail, "model", &jail->cgroup_model);
	if (r == 0)
		r = launch_make_child(jail, "broker", &jail->cgroup_broker);
	return r < 0 ? r : limits_group_model(jail);
}

void launch_undo_cgroup(struct jail *jail)
{
	if (!jail->cgroup[0])
		return;
	if (cgroup_kill(jail->cgroup, LAUNCH_KILL_MS) < 0 || cgroup_remove(jail->cgroup) < 0)
		log_error("The cgroup %s could not be removed.", jail->cgroup);
}

int launch_step_policy(struct jail *jail)
{
	int r = policy_install_jail(jail->warden->policy, jail->id, jail->cgroup_model,
				    jail->cgroup_broker, jail->plan);

	if (r == 0)
		r = ceiling_install(jail);
	/* Its own cgroup is open to it alone before it has a process; so are its weights. */
	return r < 0 ? r : guard_add_jail(jail);
}

void launch_undo_policy(struct jail *jail)
{
	ceiling_settle(jail);
	if (policy_remove_jail(jail->warden->policy, jail->id) < 0)
		log_error("Policy of jail %u could not be removed from the kernel.", jail->id);
}

/* NAME.log and NAME.log.1 under the logs directory, appended to by turns. */
static int launch_open_log(struct jail *jail, const char *suffix)
{
	char below[CUSTODY_NAME_SIZE + 64], path[CUSTODY_PATH_SIZE * 2];
	int fd;

	(void)snprintf(below, sizeof(below), "%s/%s.log%s", PATHS_LOGS, jail->name, suffix);
	if (paths_join(jail->warden->root, below, path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	return fd < 0 ? -errno : fd;
}

static int launch_open_logs(struct jail *jail, int *ret_a, int *ret_b)
{
	cleanup_fd int a = -1, b = -1;

	if (jail->is_check)
		return check_make_output(jail, ret_a, ret_b);
	a = launch_open_log(jail, "");
	b = launch_open_log(jail, ".1");
	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	*ret_a = TAKE_FD(a);
	*ret_b = TAKE_FD(b);
	return 0;
}

int launch_step_broker(struct jail *jail)
{
	cleanup_fd int log_a = -1, log_b = -1;
	cleanup_fd int jail_side = -1, pipe_read = -1, pipe_write = -1, rejoin = -1;
	struct broker_setup setup = { .jail_id = jail->id, .slot = jail->slot,
				      .log_limit = jail->is_check ? CHECK_OUTPUT_MAX :
								    LAUNCH_LOG_LIMIT };
	char cgroup[CUSTODY_PATH_SIZE + 16];
	int pipefd[2];
	int r = launch_open_logs(jail, &log_a, &log_b);

	if (r < 0)
		return r;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	pipe_read = pipefd[0];
	pipe_write = pipefd[1];
	r = message_make_pair(&jail->broker_peer, &jail_side);
	if (r == 0)
		r = rejoin_make(jail, &rejoin);
	if (r < 0)
		return r;
	(void)snprintf(cgroup, sizeof(cgroup), "%s/broker", jail->cgroup);
	r = spawn_role(jail->warden, jail, &jail->broker, ROLE_BROKER, cgroup);
	if (r < 0)
		return r;
	if (!jail->foreground)
		jail->log_fd = TAKE_FD(pipe_write);
	if (!jail->foreground)
		jail->log_read = fcntl(pipe_read, F_DUPFD_CLOEXEC, CUSTODY_CHANNEL_FD + 1);
	r = message_send(jail->broker.channel, ROLE_WARDEN, MSG_BROKER_SETUP, 1, &setup,
			 sizeof(setup),
			 (int[]){ jail->plan_fd, jail_side, pipe_read, log_a, log_b, rejoin }, 6);
	return launch_await(r);
}

void launch_undo_broker(struct jail *jail)
{
	spawn_kill(&jail->broker);
	rejoin_remove(jail);
}

int launch_step_jail(struct jail *jail)
{
	struct jail_build build = { .jail_id = jail->id, .slot = jail->slot,
				    .weights = jail->model_fd >= 0 };
	struct jail_weights weights = { 0 };
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char cgroup[CUSTODY_PATH_SIZE + 16];
	int fds[5] = { jail->plan_fd, null, jail->log_fd, jail->log_fd, jail->broker_peer };
	int r;

	if (jail->foreground)
		memcpy(&fds[1], jail->stdio, sizeof(jail->stdio));
	(void)snprintf(cgroup, sizeof(cgroup), "%s/model", jail->cgroup);
	r = spawn_role(jail->warden, jail, &jail->builder, ROLE_JAIL, cgroup);
	if (r < 0)
		return r;
	r = message_send(jail->builder.channel, ROLE_WARDEN, MSG_JAIL_BUILD, 1, &build,
			 sizeof(build), fds, 5);
	if (r == 0 && build.weights)
		r = message_send(jail->builder.channel, ROLE_WARDEN, MSG_JAIL_WEIGHTS, 1, &weights,
				 sizeof(weights), &jail->model_fd, 1);
	if (r < 0 && r != -EPIPE)
		return r;
	/* The jail has them now; an end that we kept open would hide its EOF. */
	cleanup_close_fd(&jail->log_fd);
	cleanup_close_fd(&jail->broker_peer);
	for (int i = 0; i < 3; i++)
		cleanup_close_fd(&jail->stdio[i]);
	return -EINPROGRESS;
}

void launch_undo_jail(struct jail *jail)
{
	spawn_kill(&jail->builder);
	if (cgroup_kill(jail->cgroup, LAUNCH_KILL_MS) < 0)
		log_error("Processes in %s could not be killed.", jail->cgroup);
	jail->init_event = sd_event_source_disable_unref(jail->init_event);
	if (jail->init_fd >= 0)
		life_reap(jail);
}

int launch_step_zones(struct jail *jail)
{
	return policy_install_zones(jail->warden->policy, jail->id, jail->zones, jail->n_zones);
}

int launch_step_ready(struct jail *jail)
{
	(void)jail;
	return -EINPROGRESS;
}

int launch_step_record(struct jail *jail)
{
	struct timespec now;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	jail->started_ns = (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
	r = recording_put_launch(jail, jail->id);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"The launch of %s could not be recorded (%s), so it was "
					"not started; see custodyd's log for the recorder's "
					"reason.",
					jail->name, strerror(-r));
	return -EINPROGRESS;
}

void launch_undo_record(struct jail *jail)
{
	(void)recording_put_state(jail, JAIL_STATE_STOPPED, "launch failed", jail->ticket.peer.uid,
				  0);
}

int launch_step_save(struct jail *jail)
{
	return state_save(jail);
}

void launch_undo_save(struct jail *jail)
{
	(void)state_remove(jail);
}

int launch_step_open(struct jail *jail)
{
	return policy_open_jail(jail->warden->policy, jail->cgroup_model);
}

int launch_step_go(struct jail *jail)
{
	struct jail_go go = { 0 };
	int r = MESSAGE_SEND(jail->builder.channel, ROLE_WARDEN, JAIL_GO, 1, &go);

	return r < 0 ? r : -EINPROGRESS;
}
