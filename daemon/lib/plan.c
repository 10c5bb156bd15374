/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a plan. Run by custodyd, jail and broker before they use a field (plan_map.c),
 * and by the planner on its own product. Trusts no byte of the plan: whoever wrote it parsed
 * untrusted text. Pure.
 *
 * What a plan can ask for is listed here and nowhere else: rights by label, targets that are not
 * the jail's own, sources that are not the kernel's or custody's, devices of the known drivers.
 */
#include "plan.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "plan_internal.h"

#define PLAN_MEMORY_MIN (1ULL << 20)
#define PLAN_SIZE_MAX (1ULL << 50)	/* bytes: memory and tmpfs */
#define PLAN_PROCESSES_MAX (1ULL << 22) /* kernel PID_MAX_LIMIT */
#define PLAN_CPU_MAX (100ULL * 8192)	/* percent: kernel NR_CPUS of distributions */
#define PLAN_FILES_MAX (1ULL << 20)	/* fs.nr_open as shipped */
#define PLAN_DRAIN_MAX 3600U		/* seconds */
#define PLAN_RETAIN_MAX 36500ULL	/* days */
#define PLAN_ORIGIN_MAX 512U


bool plan_refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return false;
}

bool plan_is_zero(const void *bytes, size_t n)
{
	const char *b = bytes;

	for (size_t i = 0; i < n; i++) {
		if (b[i] != 0)
			return false;
	}
	return true;
}

bool plan_check_name(const char *name)
{
	size_t n = strnlen(name, CUSTODY_NAME_SIZE);

	if (n == 0 || n >= CUSTODY_NAME_SIZE || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* A name in a fixed array: well formed, and nothing after its NUL. */
static bool plan_check_name_field(const char field[CUSTODY_NAME_SIZE])
{
	size_t n = strnlen(field, CUSTODY_NAME_SIZE);

	return n < CUSTODY_NAME_SIZE && plan_check_name(field) &&
	       plan_is_zero(field + n, CUSTODY_NAME_SIZE - n);
}

static bool plan_check_pool(const struct custody_plan *plan)
{
	if (plan->pool_used < 1 || plan->pool_used > PLAN_POOL_SIZE)
		return false;
	if (plan->pool[0] != '\0' || plan->pool[plan->pool_used - 1] != '\0')
		return false;
	return plan_is_zero(plan->pool + plan->pool_used, PLAN_POOL_SIZE - plan->pool_used);
}

/* A whole string of the used pool: from behind a NUL to the next one. */
bool plan_check_string(const struct custody_plan *plan, struct plan_string s)
{
	if (s.len == 0)
		return s.off == 0;
	if (s.off == 0 || s.off >= plan->pool_used || s.len >= plan->pool_used - s.off)
		return false;
	return plan->pool[s.off - 1] == '\0' && plan->pool[s.off + s.len] == '\0' &&
	       !memchr(plan->pool + s.off, '\0', s.len);
}

static bool plan_is_printable(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return false;
	}
	return true;
}

const char *plan_string(const struct custody_plan *plan, struct plan_string s)
{
	return plan->pool + s.off;
}

/* Text for people: may be empty. */
bool plan_check_origin(const struct custody_plan *plan, struct plan_string s)
{
	return plan_check_string(plan, s) && s.len < PLAN_ORIGIN_MAX &&
	       plan_is_printable(plan_string(plan, s));
}

/* Absolute, no "//", no "." or ".." component, no '/' at the end (but for "/" itself). */
static bool plan_is_normal_path(const char *path)
{
	const char *part = path;

	if (path[0] != '/' || !plan_is_printable(path))
		return false;
	if (path[1] == '\0')
		return true;
	while (*part == '/') {
		size_t n = strcspn(++part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part += n;
	}
	return true;
}

bool plan_check_path(const struct custody_plan *plan, struct plan_string s)
{
	return s.len > 0 && s.len < CUSTODY_PATH_SIZE && plan_check_string(plan, s) &&
	       plan_is_normal_path(plan_string(plan, s));
}

/* path is top, or lies below it. */
static bool plan_is_within(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (n == 1)
		return true;
	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool plan_is_within_any(const char *path, const char *const *tops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (plan_is_within(path, tops[i]))
			return true;
	}
	return false;
}

/* What the jail makes by itself. */
static bool plan_is_reserved_target(const char *target)
{
	static const char *const tops[] = {
		"/proc", "/dev", "/sys", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	};

	return target[1] == '\0' || plan_is_within_any(target, tops, ARRAY_SIZE(tops));
}

/* custody's own state: neither it, nor what is in it, nor what contains it. */
bool plan_touches_custody(const char *path)
{
	static const char *const own[] = { "/var/lib/custody", "/run/custody" };

	if (plan_is_within(path, "/var/lib/custody/models"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (plan_is_within(path, own[i]) || plan_is_within(own[i], path))
			return true;
	}
	return false;
}

/* The host's programs and configuration: never writable, nor is what contains them. */
static bool plan_touches_system(const char *path)
{
	static const char *const tops[] = {
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/boot",
	};

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		if (plan_is_within(path, tops[i]) || plan_is_within(tops[i], path))
			return true;
	}
	return false;
}

bool plan_is_kernel_source(const char *source)
{
	static const char *const tops[] = { "/proc", "/sys", "/dev" };

	return source[1] == '\0' || plan_is_within_any(source, tops, ARRAY_SIZE(tops));
}

/* Exactly these rights with each label that a profile can ask for; 0: not for profiles. */
static const __u32 plan_label_rights[_CUSTODY_LABEL_MAX] = {
	[CUSTODY_LABEL_WEIGHTS] = CUSTODY_RIGHT_READ,
	[CUSTODY_LABEL_RUNTIME] = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_EXEC,
	[CUSTODY_LABEL_DATA] = CUSTODY_RIGHT_READ,
	[CUSTODY_LABEL_WRITE] = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE,
	[CUSTODY_LABEL_SCRATCH] = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE,
	[CUSTODY_LABEL_SHM] = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE,
};

static bool plan_check_tmpfs(const struct custody_plan *plan, const struct plan_zone *zone,
			     const char **ret_why)
{
	const char *target = plan_string(plan, zone->target);

	if (zone->size == 0 || zone->size > PLAN_SIZE_MAX)
		return plan_refuse(ret_why, "a private zone has no size, or one out of range");
	if (zone->source.len != 0 || zone->source.off != 0)
		return plan_refuse(ret_why, "a private zone has a source");
	if (zone->flags != 0)
		return plan_refuse(ret_why, "a private zone cannot be optional");
	if (zone->label == CUSTODY_LABEL_SHM) {
		if (strcmp(target, "/dev/shm") != 0)
			return plan_refuse(ret_why, "shared memory lies elsewhere than /dev/shm");
	} else if (strcmp(target, "/scratch") != 0 && strcmp(target, "/tmp") != 0) {
		return plan_refuse(ret_why, "scratch lies elsewhere than /scratch and /tmp");
	}
	return true;
}

static bool plan_check_bind(const struct custody_plan *plan, const struct plan_zone *zone,
			    const char **ret_why)
{
	const char *source;

	if (zone->size != 0)
		return plan_refuse(ret_why, "a zone with a source has a size");
	if (!plan_check_path(plan, zone->source))
		return plan_refuse(ret_why, "the source of a zone is not a normal absolute path");
	source = plan_string(plan, zone->source);
	if (plan_is_kernel_source(source))
		return plan_refuse(ret_why, "the source of a zone is /, /proc, /sys or /dev");
	if (plan_touches_custody(source))
		return plan_refuse(ret_why, "the source of a zone shows custody's own state");
	if (zone->label == CUSTODY_LABEL_WRITE && plan_touches_system(source))
		return plan_refuse(ret_why, "a writable zone shows the host's programs or /etc");
	if (plan_is_reserved_target(plan_string(plan, zone->target)))
		return plan_refuse(ret_why, "a zone lies where the jail makes its own");
	if ((zone->flags & PLAN_ZONE_OPTIONAL) && zone->label != CUSTODY_LABEL_RUNTIME &&
	    zone->label != CUSTODY_LABEL_DATA)
		return plan_refuse(ret_why, "only what is read may be optional");
	return true;
}

static bool plan_check_zone(const struct custody_plan *plan, const struct plan_zone *zone,
			    const char **ret_why)
{
	if (zone->label >= _CUSTODY_LABEL_MAX || plan_label_rights[zone->label] == 0)
		return plan_refuse(ret_why, "a zone has a label that no profile can give");
	if (zone->rights != plan_label_rights[zone->label])
		return plan_refuse(ret_why, "the rights of a zone are not those of its label");
	if ((zone->flags & ~(__u32)PLAN_ZONE_OPTIONAL) != 0 || zone->pad != 0)
		return plan_refuse(ret_why, "a zone has unknown flags or padding");
	if (!plan_check_path(plan, zone->target))
		return plan_refuse(ret_why, "the target of a zone is not a normal absolute path");
	if (!plan_check_origin(plan, zone->origin))
		return plan_refuse(ret_why, "the origin of a zone is not printable text");
	if (zone->label == CUSTODY_LABEL_SCRATCH || zone->label == CUSTODY_LABEL_SHM)
		return plan_check_tmpfs(plan, zone, ret_why);
	return plan_check_bind(plan, zone, ret_why);
}

/* Zones are mounted in order: a later one may lie below an earlier one, never hide it. */
static bool plan_check_zone_order(const struct custody_plan *plan, const char **ret_why)
{
	for (__u32 i = 0; i < plan->n_zones; i++) {
		const char *earlier = plan_string(plan, plan->zones[i].target);

		for (__u32 j = i + 1; j < plan->n_zones; j++) {
			const char *later = plan_string(plan, plan->zones[j].target);

			if (strcmp(earlier, later) == 0)
				return plan_refuse(ret_why, "two zones have the same target");
			if (plan_is_within(earlier, later))
				return plan_refuse(ret_why, "a zone would hide one mounted before");
		}
	}
	return true;
}

/* model_path is the source of the one weights zone; without one there is none. */
static bool plan_check_model(const struct custody_plan *plan, const char **ret_why)
{
	const struct plan_zone *weights = NULL;

	if (!plan_check_origin(plan, plan->model_origin))
		return plan_refuse(ret_why, "the origin of the model is not printable text");
	for (__u32 i = 0; i < plan->n_zones; i++) {
		if (plan->zones[i].label != CUSTODY_LABEL_WEIGHTS)
			continue;
		if (weights)
			return plan_refuse(ret_why, "there are two weights zones");
		weights = &plan->zones[i];
	}
	if (plan->model_path.len == 0 && plan->model_path.off == 0)
		return weights ? plan_refuse(ret_why, "a weights zone without model path") : true;
	if (!plan_check_path(plan, plan->model_path))
		return plan_refuse(ret_why, "the model path is not a normal absolute path");
	if (!weights ||
	    strcmp(plan_string(plan, weights->source), plan_string(plan, plan->model_path)) != 0)
		return plan_refuse(ret_why, "the model path is not the source of a weights zone");
	return true;
}

static bool plan_check_zones(const struct custody_plan *plan, const char **ret_why)
{
	for (__u32 i = 0; i < plan->n_zones; i++) {
		if (!plan_check_zone(plan, &plan->zones[i], ret_why))
			return false;
	}
	return plan_check_zone_order(plan, ret_why) && plan_check_model(plan, ret_why);
}

/* Character majors that the kernel gives out by itself (Documentation/admin-guide/devices.txt). */
static bool plan_is_dynamic_major(__u32 major)
{
	return (major >= 234 && major <= 254) || (major >= 384 && major <= 511);
}

/* "prefix" and the number, without leading zeros. */
static bool plan_is_numbered(const char *path, const char *prefix, __u32 number)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%u", prefix, number);
	return strcmp(path, text) == 0;
}

/* The nodes of GPU drivers, each with the numbers it has. */
static bool plan_is_known_device(const char *path, __u32 major, __u32 minor)
{
	static const char *const dynamic[] = { "/dev/nvidia-uvm", "/dev/kfd" };

	if (major == 195 && minor == 255)
		return strcmp(path, "/dev/nvidiactl") == 0;
	if (major == 195)
		return minor < 128 && plan_is_numbered(path, "/dev/nvidia", minor);
	if (major == 226)
		return minor >= 128 && minor < 192 &&
		       plan_is_numbered(path, "/dev/dri/renderD", minor);
	for (size_t i = 0; i < ARRAY_SIZE(dynamic); i++) {
		if (strcmp(path, dynamic[i]) == 0)
			return plan_is_dynamic_major(major) && minor == 0;
	}
	return false;
}

static bool plan_check_device(const struct custody_plan *plan, __u32 index, const char **ret_why)
{
	const struct plan_device *device = &plan->devices[index];

	if (device->type != 'c' || device->pad != 0)
		return plan_refuse(ret_why, "a device is no character device, or has padding");
	if (!plan_check_path(plan, device->path))
		return plan_refuse(ret_why, "the path of a device is not a normal absolute path");
	if (!plan_is_known_device(plan_string(plan, device->path), device->major, device->minor))
		return plan_refuse(ret_why, "a device is no known GPU node");
	if (!plan_check_origin(plan, device->origin))
		return plan_refuse(ret_why, "the origin of a device is not printable text");
	for (__u32 i = 0; i < index; i++) {
		if (plan->devices[i].major == device->major &&
		    plan->devices[i].minor == device->minor)
			return plan_refuse(ret_why, "two devices are the same");
	}
	return true;
}

static bool plan_check_program(const struct custody_plan *plan, __u32 index, const char **ret_why)
{
	const struct plan_program *program = &plan->programs[index];

	if ((program->flags & ~(__u32)PLAN_ZONE_OPTIONAL) != 0 || program->pad != 0)
		return plan_refuse(ret_why, "a program to run has unknown flags, or padding");
	if (!plan_check_path(plan, program->path) || program->path.len == 1)
		return plan_refuse(ret_why, "a program to run is not a normal absolute path");
	if (!plan_check_origin(plan, program->origin))
		return plan_refuse(ret_why, "the origin of a program is not printable text");
	return true;
}

static bool plan_check_args(const struct custody_plan *plan, const char **ret_why)
{
	if (!plan_check_path(plan, plan->args[0]) || plan->args[0].len == 1)
		return plan_refuse(ret_why, "the program needs an absolute path, such as "
					    "/usr/bin/python3");
	for (__u32 i = 1; i < plan->n_args; i++) {
		if (!plan_check_string(plan, plan->args[i]))
			return plan_refuse(ret_why, "an argument is no string of the pool");
	}
	if (!plan_check_origin(plan, plan->command_origin))
		return plan_refuse(ret_why, "the origin of the command is not printable text");
	if (!plan_check_path(plan, plan->workdir))
		return plan_refuse(ret_why, "the working directory is not a normal absolute path");
	return true;
}

/* Length of the NAME of NAME=VALUE, 0 when it is none. */
static size_t plan_env_name_length(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	if (n == 0 || text[n] != '=' || (text[0] >= '0' && text[0] <= '9'))
		return 0;
	return n;
}

static bool plan_check_env(const struct custody_plan *plan, __u32 index, const char **ret_why)
{
	const char *text;
	size_t n;

	if (!plan_check_string(plan, plan->env[index]))
		return plan_refuse(ret_why, "a variable is no string of the pool");
	text = plan_string(plan, plan->env[index]);
	n = plan_env_name_length(text);
	if (n == 0)
		return plan_refuse(ret_why, "a variable is not NAME=VALUE");
	for (__u32 i = 0; i < index; i++) {
		if (strncmp(plan_string(plan, plan->env[i]), text, n + 1) == 0)
			return plan_refuse(ret_why, "a variable is set twice");
	}
	return true;
}

static bool plan_check_disk_rate(__u64 rate)
{
	return rate == 0 || (rate >= PLAN_DISK_RATE_MIN && rate <= PLAN_SIZE_MAX);
}

static bool plan_check_numbers(const struct custody_plan *plan, const char **ret_why)
{
	const __u32 flags = PLAN_FLAG_JIT | PLAN_FLAG_LOOPBACK | PLAN_FLAG_MEMFD |
			    PLAN_FLAG_CONNECT | PLAN_FLAG_CONNREFUSED;

	if ((plan->flags & ~flags) != 0)
		return plan_refuse(ret_why, "unknown flags");
	if ((plan->flags & PLAN_FLAG_CONNREFUSED) && !(plan->flags & PLAN_FLAG_CONNECT))
		return plan_refuse(ret_why, "an errno for connect(), which is not the broker's");
	if ((plan->flags & PLAN_FLAG_CONNECT) && !(plan->planes_required & CUSTODY_PLANE_CGROUP))
		return plan_refuse(ret_why, "connect() by the broker without the cgroup plane");
	if ((plan->planes_required & ~(__u32)CUSTODY_PLANES_ALL) != 0 ||
	    !(plan->planes_required & CUSTODY_PLANE_STRUCTURE))
		return plan_refuse(ret_why, "unknown planes, or the structure plane is missing");
	if (plan->syscall_set < PLAN_SYSCALLS_MODEL_SERVER ||
	    plan->syscall_set >= _PLAN_SYSCALLS_MAX)
		return plan_refuse(ret_why, "unknown syscall set");
	if (plan->ioctl_set < PLAN_IOCTLS_ALL || plan->ioctl_set >= _PLAN_IOCTLS_MAX)
		return plan_refuse(ret_why, "unknown ioctl set");
	if (plan->on_loss < PLAN_ON_LOSS_RECORD || plan->on_loss > PLAN_ON_LOSS_KILL)
		return plan_refuse(ret_why, "unknown answer to loss");
	if (plan->drain_timeout_s > PLAN_DRAIN_MAX || plan->retain_days > PLAN_RETAIN_MAX)
		return plan_refuse(ret_why, "drain timeout or retention out of range");
	if (plan->limit_memory != 0 &&
	    (plan->limit_memory < PLAN_MEMORY_MIN || plan->limit_memory > PLAN_SIZE_MAX))
		return plan_refuse(ret_why, "memory limit out of range");
	if (plan->limit_processes == 0 || plan->limit_processes > PLAN_PROCESSES_MAX)
		return plan_refuse(ret_why, "process limit out of range");
	if (plan->limit_cpu_percent > PLAN_CPU_MAX)
		return plan_refuse(ret_why, "CPU limit out of range");
	if (plan->limit_memory_high != 0 &&
	    (plan->limit_memory_high < PLAN_MEMORY_MIN || plan->limit_memory_high > PLAN_SIZE_MAX ||
	     (plan->limit_memory != 0 && plan->limit_memory_high > plan->limit_memory)))
		return plan_refuse(ret_why, "memory-high is out of range, or above memory");
	if (!plan_check_disk_rate(plan->limit_io_read) ||
	    !plan_check_disk_rate(plan->limit_io_write))
		return plan_refuse(ret_why, "disk rate out of range");
	if (plan->model_version > REGISTRY_VERSIONS_MAX || plan->pad != 0)
		return plan_refuse(ret_why, "the registered version is out of range");
	if (plan->limit_open_files == 0 || plan->limit_open_files > PLAN_FILES_MAX)
		return plan_refuse(ret_why, "open file limit out of range");
	return true;
}

/* Counts in range, and nothing in the entries that are not counted. */
static bool plan_check_counts(const struct custody_plan *plan, const char **ret_why)
{
	if (plan->n_args < 1 || plan->n_args > PLAN_ARGS_MAX || plan->n_env > PLAN_ENV_MAX ||
	    plan->n_zones > CUSTODY_ZONES_MAX || plan->n_endpoints > CUSTODY_ENDPOINTS_MAX ||
	    plan->n_devices > CUSTODY_DEVICES_MAX || plan->n_programs > PLAN_PROGRAMS_MAX)
		return plan_refuse(ret_why, "a count is out of range");
#define PLAN_UNUSED_IS_ZERO(array, n)                                                              \
	plan_is_zero(plan->array + plan->n, sizeof(plan->array) - plan->n * sizeof(plan->array[0]))
	if (!PLAN_UNUSED_IS_ZERO(args, n_args) || !PLAN_UNUSED_IS_ZERO(env, n_env) ||
	    !PLAN_UNUSED_IS_ZERO(zones, n_zones) || !PLAN_UNUSED_IS_ZERO(endpoints, n_endpoints) ||
	    !PLAN_UNUSED_IS_ZERO(devices, n_devices) ||
	    !PLAN_UNUSED_IS_ZERO(programs, n_programs))
		return plan_refuse(ret_why, "an entry that is not counted is not empty");
#undef PLAN_UNUSED_IS_ZERO
	return true;
}

bool plan_check(const struct custody_plan *plan, const char **ret_why)
{
	if (plan->magic != PLAN_MAGIC || plan->version != PLAN_VERSION ||
	    plan->size != sizeof(*plan))
		return plan_refuse(ret_why, "not a plan of this version");
	if (!plan_check_name_field(plan->name) || !plan_check_name_field(plan->profile))
		return plan_refuse(ret_why, "a name is not [a-z0-9][a-z0-9._-]*");
	if (!plan_check_pool(plan))
		return plan_refuse(ret_why, "the string pool is not well formed");
	if (!plan_check_numbers(plan, ret_why) || !plan_check_counts(plan, ret_why) ||
	    !plan_check_args(plan, ret_why))
		return false;
	for (__u32 i = 0; i < plan->n_env; i++) {
		if (!plan_check_env(plan, i, ret_why))
			return false;
	}
	if (!plan_check_zones(plan, ret_why))
		return false;
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		if (!plan_check_endpoint(plan, i, ret_why))
			return false;
	}
	if (!plan_check_ceilings(plan, ret_why))
		return false;
	for (__u32 i = 0; i < plan->n_devices; i++) {
		if (!plan_check_device(plan, i, ret_why))
			return false;
	}
	for (__u32 i = 0; i < plan->n_programs; i++) {
		if (!plan_check_program(plan, i, ret_why))
			return false;
	}
	return plan_check_admission(plan, ret_why) && plan_check_checkers(plan, ret_why);
}
