/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits of the jail's processes. Run by custody-jail: raised by init while it is root
 * (custodyd's own hard limits may be lower than the plan's), lowered by the process that becomes
 * the model. They hold on every host; the cgroup's limits, where there are controllers, are
 * tighter because they count the whole jail.
 *
 * RLIMIT_DATA bounds what each process may have of private writable memory, which is the nearest
 * thing to limits.memory where no memory controller is; RLIMIT_AS would count mapped weights.
 */
#include <errno.h>
#include <sys/resource.h>

#include "cleanup.h"
#include "jail.h"

#define LIMITS_BUILDING_FILES	256U
/* Init, and the broker, whom the kernel counts one level up. */
#define LIMITS_SPARE_TASKS	16U
#define LIMITS_MEMLOCK_DEFAULT	(8ULL << 20)	/* the kernel's own since 5.16 */

static int limits_set(struct jail *jail, const char *name, int resource, __u64 value)
{
	const struct rlimit limit = { .rlim_cur = value, .rlim_max = value };
	struct rlimit now;

	if (setrlimit((__rlimit_resource_t)resource, &limit) < 0 ||
	    getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "cannot set RLIMIT_%s to %llu: %m; correct [limits]", name,
				   (unsigned long long)value);
	if (now.rlim_max != limit.rlim_max || now.rlim_cur != limit.rlim_cur)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "RLIMIT_%s reads back as another value than was set", name);
	return 0;
}

/* At most what this process may have anyway: a limit that is only ever tightened. */
static __u64 limits_tighten(int resource, __u64 wanted)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0 || wanted < now.rlim_max)
		return wanted;
	return now.rlim_max;
}

/* While it builds, init holds an fd for each mount: the plan's number comes with limits_lower(). */
static __u64 limits_building_files(const struct jail *jail)
{
	const __u64 least = LIMITS_BUILDING_FILES;

	return jail->plan->limit_open_files > least ? jail->plan->limit_open_files : least;
}

int limits_raise(struct jail *jail)
{
	const struct custody_plan *plan = jail->plan;
	const __u64 memory = plan->limit_memory;
	const struct {
		const char *name;
		int resource;
		__u64 value;
	} limits[] = {
		{ "NOFILE", RLIMIT_NOFILE, limits_building_files(jail) },
		{ "NPROC", RLIMIT_NPROC, plan->limit_processes + LIMITS_SPARE_TASKS },
		{ "DATA", RLIMIT_DATA,
		  limits_tighten(RLIMIT_DATA, memory ? memory : RLIM_INFINITY) },
		{ "MEMLOCK", RLIMIT_MEMLOCK,
		  limits_tighten(RLIMIT_MEMLOCK, memory ? memory : LIMITS_MEMLOCK_DEFAULT) },
		/* fs/coredump.c: a file needs a page, and a pipe refuses exactly 1. */
		{ "CORE", RLIMIT_CORE, 1 },
		{ "MSGQUEUE", RLIMIT_MSGQUEUE, 0 },
		{ "RTPRIO", RLIMIT_RTPRIO, 0 },
		{ "NICE", RLIMIT_NICE, 0 },
	};

	/* Above the present hard limit: CAP_SYS_RESOURCE, which custodyd has, must be there. */
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		int r = limits_set(jail, limits[i].name, limits[i].resource, limits[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The spare tasks were for the owner of the user namespace; the model has its own number, plus
 * init, which runs under the same uid.
 */
int limits_lower(struct jail *jail)
{
	int r = limits_set(jail, "NPROC", RLIMIT_NPROC, jail->plan->limit_processes + 1);

	if (r < 0)
		return r;
	return limits_set(jail, "NOFILE", RLIMIT_NOFILE, jail->plan->limit_open_files);
}
