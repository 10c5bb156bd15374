/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custody.conf says about the guard: who may read weights, and whose GPU nodes are. Run by
 * custodyd at its start. The text is parsed by a planner, under its own uid; here are only checked
 * numbers, and paths, which are opened. Trusts the kernel's word on which inode a path led to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "guard.h"
#include "majors.h"
#include "paths.h"
#include "policy_guard.h"
#include "warden.h"

#define GUARD_HOST_MS 60000

/* Their numbers are the kernel's for good (Documentation/admin-guide/devices.txt). */
static const __u32 guard_host_majors[] = {
	195,	/* NVIDIA's frontend, and its control and modeset nodes */
	226,	/* DRM: cards and render nodes */
};

/* Theirs are given out when the driver is loaded. */
static const char *const guard_host_drivers[] = {
	"nvidia-uvm", "nvidia-caps", "nvidia-nvswitch", "nvidia-nvlink", "kfd", "accel",
};

__attribute__((format(printf, 3, 4))) static int
guard_host_refuse(const struct warden *warden, const struct host_reader *reader,
		  const char *format, ...)
{
	char text[CUSTODY_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s%s/%s:%u: [guard] readers: %s %s.", warden->root, PATHS_ETC, PATHS_CONF_NAME,
		  reader->line, reader->path, text);
	return -EPERM;
}

/* The file at the end of every link, into `ret` (PATH_MAX), and what speaks against it. */
static int guard_host_check_executable(const struct warden *warden,
				       const struct host_reader *reader, char *ret)
{
	struct stat st;

	if (!realpath(reader->path, ret) || stat(ret, &st) < 0)
		return guard_host_refuse(warden, reader, "cannot be found: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return guard_host_refuse(warden, reader, "is not an executable file");
	if (st.st_uid != 0 || (st.st_mode & 0022))
		return guard_host_refuse(warden, reader,
					 "may be changed by others than root, who could then read "
					 "weights: chown root; chmod go-w");
	return 0;
}

/* Before anything is loaded into the kernel: to take that out again takes it seconds. */
static int guard_host_take(struct warden *warden, const union message_buffer *buf)
{
	const struct host_settings *settings = (const struct host_settings *)buf;
	const struct refused *refused = (const struct refused *)buf;
	char path[PATH_MAX];
	int r = 0;

	if (buf->head.type == MSG_REFUSED) {
		log_error("%s", refused->text);
		return refused->exit == CUSTODY_EXIT_INTERNAL ? -EIO : -EPERM;
	}
	if (settings->n_readers > HOST_READERS_MAX)
		return -EPROTO;
	warden->host = *settings;
	for (__u32 i = 0; r == 0 && i < settings->n_readers; i++) {
		if (settings->readers[i].path[0])
			r = guard_host_check_executable(warden, &settings->readers[i], path);
	}
	return r;
}

int guard_read_host(struct warden *warden)
{
	cleanup_fd int dir = setup_open_directory(warden, PATHS_ETC);
	struct role planner = { .channel = -1 };
	struct host_request request = { 0 };
	union message_buffer buf;
	int r;

	if (dir < 0)
		return dir;
	r = spawn_role(warden, NULL, &planner, ROLE_PLANNER, NULL);
	if (r < 0) {
		log_error("custody-planner could not be started to read %s%s/%s (%s).",
			  warden->root, PATHS_ETC, PATHS_CONF_NAME, strerror(-r));
		return r;
	}
	r = message_send(planner.channel, ROLE_WARDEN, MSG_HOST_REQUEST, 1, &request,
			 sizeof(request), &dir, 1);
	if (r == 0 || r == -EPIPE)
		r = message_recv_timeout(planner.channel, ROLE_WARDEN, ROLE_PLANNER,
					 MSG_BIT(MSG_HOST_SETTINGS) | MSG_BIT(MSG_REFUSED), &buf,
					 NULL, GUARD_HOST_MS);
	spawn_kill(&planner);
	if (r < 0)
		log_error("custody-planner has not read %s%s/%s (%s).", warden->root, PATHS_ETC,
			  PATHS_CONF_NAME, strerror(-r));
	return r < 0 ? r : guard_host_take(warden, &buf);
}

/* What the kernel calls a process's executable. It is looked at again: time has passed. */
static int guard_host_add_executable(struct warden *warden, const struct host_reader *reader)
{
	struct guard_inode as = { .object = GUARD_READ };
	struct guard_learn seen = { 0 };
	struct guard_reader_key key = { 0 };
	char path[PATH_MAX];
	bool written = false;
	int r = guard_host_check_executable(warden, reader, path), end;

	if (r < 0)
		return r;
	r = policy_guard_begin(warden->policy, &as);
	if (r == 0)
		r = policy_guard_learn(warden->policy, AT_FDCWD, path, &seen, &written);
	end = policy_guard_end(warden->policy);
	if (r < 0 || end < 0)
		return guard_host_refuse(warden, reader, "cannot be opened: %s",
					 strerror(r < 0 ? -r : -end));
	key.executable = seen.last;
	return policy_guard_add_reader(warden->policy, &key, seen.last_generation);
}

static int guard_host_add_readers(struct warden *warden)
{
	int r = policy_guard_clear_readers(warden->policy);

	for (__u32 i = 0; r == 0 && i < warden->host.n_readers; i++) {
		const struct host_reader *reader = &warden->host.readers[i];
		struct guard_reader_key key = { .uid = reader->uid + 1 };

		r = reader->path[0] ? guard_host_add_executable(warden, reader) :
				      policy_guard_add_reader(warden->policy, &key, 1);
	}
	return r;
}

/* Added before any that are there are taken out: a restart opens nothing for a moment. */
static int guard_host_add_nodes(struct warden *warden)
{
	cleanup_file FILE *list = NULL;
	int r = 0;

	if (!(warden->host.guard & GUARD_SETTING_NODES))
		return policy_guard_clear_nodes(warden->policy);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(guard_host_majors); i++)
		r = policy_guard_add_node(warden->policy, guard_host_majors[i]);
	list = fopen("/proc/devices", "re");
	if (!list)
		return -errno;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(guard_host_drivers); i++) {
		__u32 major = 0;

		rewind(list);
		if (majors_find(list, guard_host_drivers[i], &major) == 0)
			r = policy_guard_add_node(warden->policy, major);
	}
	return r;
}

int guard_apply_host(struct warden *warden)
{
	struct guard_config config = { 0 };
	int r = guard_host_add_readers(warden);

	if (r == 0)
		r = guard_host_add_nodes(warden);
	if (r == 0)
		r = policy_guard_read_config(warden->policy, &config);
	config.settings = warden->host.guard;
	return r == 0 ? policy_guard_set_config(warden->policy, &config) : r;
}
