/* SPDX-License-Identifier: Apache-2.0 */
/* See limits.h. Run by custodyd. Trusts the kernel's cgroupfs. */
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "disks.h"
#include "paths.h"
#include "plan.h"
#include "sequence.h"

/* ---- setting ---- */

static int limits_need(struct jail *jail, enum cgroup_controller controller, const char *key,
		       __u64 value)
{
	char name[16];

	if (value == 0 || (jail->warden->controllers & controller))
		return 0;
	cgroup_list_controllers(controller, name, sizeof(name));
	return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ENOTSUP,
				"Profile %s sets [limits] %s, for which %s lacks the controller "
				"\"%s\"; \"custodyctl doctor\" says what to change. Or set %s = "
				"none.", jail->plan->profile, key, jail->warden->cgroup, name, key);
}

/* limits.memory and limits.processes have rlimits beside them; these have nothing. */
int limits_check(struct jail *jail)
{
	const struct custody_plan *plan = jail->plan;
	int r = limits_need(jail, CGROUP_MEMORY, "memory-high", plan->limit_memory_high);

	if (r == 0)
		r = limits_need(jail, CGROUP_CPU, "cpu", plan->limit_cpu_percent);
	if (r == 0)
		r = limits_need(jail, CGROUP_IO, "io-read", plan->limit_io_read);
	return r < 0 ? r : limits_need(jail, CGROUP_IO, "io-write", plan->limit_io_write);
}

static int limits_add_disk(struct jail *jail, struct cgroup_limits *limits, const char *path,
			   bool write, const char *origin)
{
	const char *why = "";
	int r = disks_add(limits, path, write && limits->io_write, &why);

	if (r == 0)
		return 0;
	return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
				"[limits] io-read and io-write cannot be held for %s (%s): %s. "
				"Move it, or set both to none.", path, origin, why);
}

/* Each disk that the model can reach: its zones', and that of its log, which its broker writes. */
static int limits_find_disks(struct jail *jail, struct cgroup_limits *limits)
{
	const struct custody_plan *plan = jail->plan;
	char logs[CUSTODY_PATH_SIZE * 2];
	int r = 0;

	for (__u32 i = 0; r == 0 && i < plan->n_zones; i++) {
		const struct plan_zone *zone = &plan->zones[i];
		const char *path = plan_string(plan, zone->source);

		if (zone->source.len == 0 ||
		    ((zone->flags & PLAN_ZONE_OPTIONAL) && access(path, F_OK) < 0))
			continue;
		r = limits_add_disk(jail, limits, path, zone->rights & CUSTODY_RIGHT_WRITE,
				    plan_string(plan, zone->origin));
	}
	if (r == 0)
		r = paths_join(jail->warden->root, PATHS_LOGS, logs, sizeof(logs));
	return r < 0 ? r : limits_add_disk(jail, limits, logs, true, "the models' logs");
}

int limits_install(struct jail *jail)
{
	const struct custody_plan *plan = jail->plan;
	struct cgroup_limits limits = {
		.memory = plan->limit_memory,
		.memory_high = plan->limit_memory_high,
		.processes = plan->limit_processes,
		.cpu_percent = plan->limit_cpu_percent,
		.io_read = plan->limit_io_read,
		.io_write = plan->limit_io_write,
	};
	int r = 0;

	if (limits.io_read || limits.io_write)
		r = limits_find_disks(jail, &limits);
	if (r < 0)
		return r;
	r = cgroup_set_limits(jail->cgroup, jail->warden->controllers, &limits);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"The limits of %s cannot be set on %s, or read back as "
					"others (%s).", jail->name, jail->cgroup, strerror(-r));
	return 0;
}

/*
 * The kernel kills one process, the biggest. A server without one of its workers is one that
 * nobody has asked for; so all of the model goes, and its end is on record. The broker, beside it
 * and small, is not of that group.
 */
int limits_group_model(struct jail *jail)
{
	char path[CUSTODY_PATH_SIZE + 16];
	__u32 enabled = 0;
	int r;

	if (!(jail->warden->controllers & CGROUP_MEMORY))
		return 0;
	r = cgroup_enable_controllers(jail->cgroup, CGROUP_MEMORY, &enabled);
	if (r < 0 || !(enabled & CGROUP_MEMORY))
		return r < 0 ? r : -EIO;
	(void)snprintf(path, sizeof(path), "%s/model", jail->cgroup);
	return cgroup_set_oom_group(path);
}

/* ---- what it ran into ---- */

static int limits_put_event(struct jail *jail, enum policy_limit limit, int error, __u64 now,
			    __u64 told)
{
	struct custody_event event = {
		.verdict = EVENT_DENIED,
		.class = POLICY_CLASS_LIMIT,
		.object = limit,
		.plane = EVENT_PLANE_CGROUP,
		.error = error,
		.syscall = ~0U,
		.cgroup_id = jail->cgroup_model,
		.access = now - told > UINT32_MAX ? UINT32_MAX : (__u32)(now - told),
		.inode = now,
	};
	struct timespec time = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &time);
	event.time_ns = (__u64)time.tv_sec * 1000000000ULL + (__u64)time.tv_nsec;
	return recording_put_event(jail, &event);
}

/*
 * The cgroup's own limit was reached, too, unless it was the host that had nothing left. One end of
 * memory kills all of the model, one process after the other: a look may come in between, and the
 * next one finds more killed of the same cause.
 */
static bool limits_tell_killed(struct jail *jail, const struct cgroup_hits *hits)
{
	enum policy_limit limit = hits->oom > 0 ? POLICY_LIMIT_MEMORY : POLICY_LIMIT_HOST_MEMORY;

	if (hits->oom_kill <= jail->killed_told ||
	    limits_put_event(jail, limit, -ENOMEM, hits->oom_kill, jail->killed_told) < 0)
		return false;
	log_warning("%s: %llu of its processes were killed: %s.", jail->name,
		    (unsigned long long)(hits->oom_kill - jail->killed_told),
		    limit == POLICY_LIMIT_MEMORY ? "it used up its memory (limits.memory)"
						 : "the host had no memory left");
	jail->killed_told = hits->oom_kill;
	return true;
}

/* A fork bomb is refused without end: told at the first time, and whenever it is twice as often. */
static bool limits_tell_forks(struct jail *jail, const struct cgroup_hits *hits)
{
	if (hits->forks <= jail->forks_told || hits->forks < jail->forks_told * 2 ||
	    limits_put_event(jail, POLICY_LIMIT_PROCESSES, -EAGAIN, hits->forks,
			     jail->forks_told) < 0)
		return false;
	jail->forks_told = hits->forks;
	return true;
}

void limits_look(struct jail *jail)
{
	struct cgroup_hits hits = { 0 };
	bool killed, forks;

	/* Before its launch is on record there is no jail that an event could be of. */
	if (!jail->cgroup[0] || jail->started_ns == 0 || !jails_is_alive(jail) ||
	    cgroup_read_hits(jail->cgroup, &hits) < 0)
		return;
	killed = limits_tell_killed(jail, &hits);
	forks = limits_tell_forks(jail, &hits);
	if ((killed || forks) && jail->state != JAIL_STATE_STARTING)
		(void)state_save(jail);
}

bool limits_killed_model(const struct jail *jail)
{
	struct cgroup_hits hits = { 0 };

	return cgroup_read_hits(jail->cgroup, &hits) == 0 && hits.oom_group_kill > 0;
}

/* ---- noticing ---- */

/*
 * The kernel wakes for each change of memory.events, of which memory.high alone can make a hundred
 * in a second: once a look (limits_watch()) is enough.
 */
static int limits_on_memory(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	char text[512];

	(void)source;
	(void)revents;
	(void)!pread(fd, text, sizeof(text), 0);
	limits_look(data);
	return 0;
}

static void limits_open(struct jail *jail)
{
	char path[CUSTODY_PATH_SIZE + 32], text[512];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/memory.events", jail->cgroup);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* The kernel tells of changes since the file was last read. */
	if (fd < 0 || pread(fd, text, sizeof(text), 0) < 0 ||
	    sd_event_add_io(jail->warden->event, &jail->memory_event, fd, EPOLLPRI,
			    limits_on_memory, jail) < 0)
		return;
	(void)sd_event_source_set_io_fd_own(jail->memory_event, 1);
	(void)TAKE_FD(fd);
	(void)sd_event_source_set_enabled(jail->memory_event, SD_EVENT_ONESHOT);
}

void limits_watch(struct jail *jail)
{
	if (jail->started_ns == 0 || !jails_is_alive(jail) || jail->init == 0)
		return;
	if (jail->memory_event)
		(void)sd_event_source_set_enabled(jail->memory_event, SD_EVENT_ONESHOT);
	else if (jail->warden->controllers & CGROUP_MEMORY)
		limits_open(jail);
	limits_look(jail);
}

void limits_fill_row(const struct jail *jail, struct reply_limits *ret)
{
	struct cgroup_hits hits = { 0 };

	if (!jail->plan)
		return;
	if (!jails_is_alive(jail) || !jail->cgroup[0] || cgroup_read_hits(jail->cgroup, &hits) < 0)
		hits = (struct cgroup_hits){ .oom_kill = jail->killed_told,
					     .forks = jail->forks_told };
	*ret = (struct reply_limits){
		.memory = jail->plan->limit_memory,
		.memory_high = jail->plan->limit_memory_high,
		.processes = jail->plan->limit_processes,
		.cpu_percent = jail->plan->limit_cpu_percent,
		.io_read = jail->plan->limit_io_read,
		.io_write = jail->plan->limit_io_write,
		.memory_killed = hits.oom_kill,
		.forks_refused = hits.forks,
	};
}
