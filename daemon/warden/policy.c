/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load, attach, pin and adopt custody's BPF programs. Run by custodyd only; trusts the object
 * that is built into this executable.
 *
 * Pins appear at once: everything is pinned in "<pin_dir>-new", which is then renamed. So a
 * custodyd that dies on the way leaves either nothing that enforces or all of it, and pins that
 * are there but incomplete mean that somebody took one away.
 */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "custody.skel.h"
#include "log.h"
#include "planes.h"
#include "policy_internal.h"

#define cleanup_policy	__attribute__((cleanup(policy_close)))
#define cleanup_object	__attribute__((cleanup(policy_free_skeleton)))

static void policy_free_skeleton(struct custody_bpf **skeleton)
{
	custody_bpf__destroy(*skeleton);
	*skeleton = NULL;
}

/* The reason in words stays what a deeper layer has already said. */
__attribute__((format(printf, 4, 5))) static int policy_fail(int r, char *error, size_t size,
							     const char *format, ...)
{
	va_list args;
	int n;

	if (error[0] != '\0')
		return r;
	va_start(args, format);
	n = vsnprintf(error, size, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < size)
		(void)snprintf(error + n, size - (size_t)n, ": %s", strerror(-r));
	return r;
}

/* libbpf's own words (verifier logs too) are for whoever debugs. */
static int policy_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[1024];
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return n;
}

static struct policy *policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	for (int i = 0; policy && i < _POLICY_MAP_MAX; i++)
		policy->maps[i] = -1;
	return policy;
}

void policy_close(struct policy **policy)
{
	if (!*policy)
		return;
	for (int i = 0; i < _POLICY_MAP_MAX; i++)
		cleanup_close_fd(&(*policy)->maps[i]);
	cleanup_free_ptr(policy);
}

/* Opens the built-in object with only the programs of policy->planes to be loaded. */
static int policy_open_object(const struct policy *policy, struct custody_bpf **ret, char *error,
			      size_t size)
{
	cleanup_object struct custody_bpf *skeleton = NULL;

	(void)libbpf_set_print(policy_print);
	skeleton = custody_bpf__open();
	if (!skeleton)
		return policy_fail(-errno, error, size, "built-in BPF object cannot be opened");
	for (int i = 0; i < _POLICY_LINK_MAX; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(
			skeleton->obj, policy_links[i].program);

		if (!program)
			return policy_fail(-ENOENT, error, size, "BPF object lacks program %s",
					   policy_links[i].program);
		bpf_program__set_autoload(program,
					  policy_wants_link(policy, (enum policy_link)i));
	}
	*ret = TAKE_PTR(skeleton);
	return 0;
}

/*
 * What this host lets us load of `wanted`, or why it cannot be: without the cgroup plane nothing
 * is held.
 */
static int policy_find_planes(const char *cgroup, __u32 wanted, __u32 *ret, char *error,
			      size_t size)
{
	struct plane_state state;
	__u32 planes = CUSTODY_PLANE_CGROUP;
	__u32 level;

	if (!planes_probe(CUSTODY_PLANE_CGROUP, &state)) {
		(void)snprintf(error, size, "plane cgroup is missing: %s; %s", state.why,
			       state.remedy);
		return -EOPNOTSUPP;
	}
	if ((wanted & CUSTODY_PLANE_OBSERVE) && planes_probe(CUSTODY_PLANE_OBSERVE, &state))
		planes |= CUSTODY_PLANE_OBSERVE;
	if ((wanted & CUSTODY_PLANE_LSM) && planes_probe(CUSTODY_PLANE_LSM, &state)) {
		if (cgroup_read_level(cgroup, &level) == 0)
			planes |= CUSTODY_PLANE_LSM;
		else
			log_warning("The plane lsm is left out: how deep %s lies below the root of "
				    "cgroup2 cannot be told. Run custodyd outside of a container.",
				    cgroup);
	}
	*ret = planes;
	return 0;
}

/* ---- fresh ---- */

static int policy_attach_one(struct bpf_object *object, const struct policy_link_row *row,
			     int cgroup, const char *dir, char *error, size_t size)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, row->program);
	char path[CUSTODY_PATH_SIZE];
	struct bpf_link *link;
	int r;

	if (!program)
		return -ENOENT;
	r = policy_pin_path(dir, "link", row->name, path, sizeof(path));
	if (r < 0)
		return r;
	link = row->tracepoint || row->hook ? bpf_program__attach(program) :
					      bpf_program__attach_cgroup(program, cgroup);
	if (!link)
		return policy_fail(-errno, error, size, "program %s cannot be attached",
				   row->program);
	r = bpf_link__pin(link, path);
	if (r < 0)
		(void)policy_fail(r, error, size, "link cannot be pinned at %s", path);
	/* Once pinned, the pin is what keeps it attached. */
	(void)bpf_link__destroy(link);
	return r;
}

static int policy_attach_all(struct bpf_object *object, const char *cgroup,
			     const struct policy *policy, const char *dir, char *error, size_t size)
{
	cleanup_fd int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return policy_fail(-errno, error, size, "cgroup %s", cgroup);
	for (int i = 0; r == 0 && i < _POLICY_LINK_MAX; i++) {
		if (policy_wants_link(policy, (enum policy_link)i))
			r = policy_attach_one(object, &policy_links[i], fd, dir, error, size);
	}
	return r;
}

static int policy_pin_maps(struct bpf_object *object, const char *dir, struct policy *policy,
			   char *error, size_t size)
{
	for (int i = 0; i < _POLICY_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, policy_map_names[i]);
		char path[CUSTODY_PATH_SIZE];
		int r;

		if (!map)
			return -ENOENT;
		r = policy_pin_path(dir, "map", policy_map_names[i], path, sizeof(path));
		if (r < 0)
			return r;
		if (bpf_obj_pin(bpf_map__fd(map), path) < 0)
			return policy_fail(-errno, error, size, "map cannot be pinned at %s", path);
		policy->maps[i] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
		if (policy->maps[i] < 0)
			return -errno;
	}
	return 0;
}

/* Says which cgroup is custody's, for good, and reads it back. */
static int policy_write_config(const struct policy *policy, const char *cgroup, char *error,
			       size_t size)
{
	int fd = policy->maps[POLICY_MAP_CONFIG];
	struct policy_config config = { 0 };
	__u32 zero = 0;
	int r = cgroup_read_id(cgroup, &config.cgroup_id);

	if (r == 0 && (policy->planes & CUSTODY_PLANE_LSM))
		r = cgroup_read_level(cgroup, &config.level);
	if (r < 0)
		return policy_fail(r, error, size, "cgroup %s", cgroup);
	if (bpf_map_update_elem(fd, &zero, &config, BPF_ANY) < 0 || bpf_map_freeze(fd) < 0)
		return policy_fail(-errno, error, size, "map config cannot be written");
	return policy_pin_check_config(policy, cgroup, error, size);
}

/* Steps of a fresh start, in this order: maps first, so that no program runs on maps of nobody. */
static int policy_load(const char *dir, const char *fresh, const char *cgroup,
		       struct policy *policy, char *error, size_t size)
{
	cleanup_object struct custody_bpf *skeleton = NULL;
	int r = policy_open_object(policy, &skeleton, error, size);

	if (r < 0)
		return r;
	r = custody_bpf__load(skeleton);
	if (r < 0)
		return policy_fail(r, error, size, "BPF programs cannot be loaded");
	if (mkdir(fresh, 0700) < 0)
		return policy_fail(-errno, error, size, "%s", fresh);
	r = policy_pin_maps(skeleton->obj, fresh, policy, error, size);
	if (r == 0)
		r = policy_write_config(policy, cgroup, error, size);
	if (r == 0)
		r = policy_attach_all(skeleton->obj, cgroup, policy, fresh, error, size);
	if (r == 0 && rename(fresh, dir) < 0)
		r = policy_fail(-errno, error, size, "%s cannot become %s", fresh, dir);
	return r;
}

static int policy_start(const char *dir, const char *cgroup, __u32 planes, struct policy *policy,
			char *error, size_t size)
{
	char fresh[CUSTODY_PATH_SIZE];
	int n = snprintf(fresh, sizeof(fresh), "%s-new", dir);
	int r, undo;

	if (n < 0 || (size_t)n >= sizeof(fresh))
		return -ENAMETOOLONG;
	/* Left by a custodyd that died before it had any jail. */
	r = policy_pin_remove(fresh);
	if (r < 0)
		return policy_fail(r, error, size, "%s cannot be removed", fresh);
	r = policy_find_planes(cgroup, planes, &policy->planes, error, size);
	if (r == 0)
		r = policy_find_hooks(policy, error, size);
	if (r < 0)
		return r;
	r = policy_load(dir, fresh, cgroup, policy, error, size);
	if (r < 0) {
		undo = policy_pin_remove(fresh);
		if (undo < 0)
			log_error("%s cannot be removed: %s; remove it by hand", fresh,
				  strerror(-undo));
	}
	return r;
}

/* ---- adoption ---- */

static int policy_reuse_maps(struct bpf_object *object, const struct policy *policy)
{
	for (int i = 0; i < _POLICY_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, policy_map_names[i]);
		int r = map ? bpf_map__reuse_fd(map, policy->maps[i]) : -ENOENT;

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The planes that the pins must then be complete for: those of which something is pinned, and
 * those that the host offers. A plane that was left out at start because the host lacked it
 * stays out until a fresh start; one that was taken away is missed.
 */
static int policy_adopt(const char *dir, const char *cgroup, __u32 planes, struct policy *policy,
			char *error, size_t size)
{
	cleanup_object struct custody_bpf *skeleton = NULL;
	__u32 pinned = 0, offered = 0;
	int r = policy_pin_read_planes(dir, &pinned);

	if (r == 0)
		r = policy_find_planes(cgroup, planes, &offered, error, size);
	if (r < 0)
		return policy_fail(r, error, size, "%s", dir);
	policy->planes = pinned | offered;
	r = policy_find_hooks(policy, error, size);
	if (r == 0)
		r = policy_open_object(policy, &skeleton, error, size);
	if (r < 0)
		return r;
	r = policy_pin_open_maps(dir, skeleton->obj, policy, error, size);
	if (r == 0)
		r = policy_reuse_maps(skeleton->obj, policy);
	if (r < 0)
		return policy_fail(r, error, size, "pinned maps under %s cannot be used", dir);
	r = custody_bpf__load(skeleton);
	if (r < 0)
		return policy_fail(r, error, size, "BPF programs cannot be loaded");
	r = policy_pin_check_config(policy, cgroup, error, size);
	if (r == 0)
		r = policy_pin_check_links(dir, skeleton->obj, cgroup, policy, error, size);
	return r < 0 ? policy_fail(r, error, size, "pinned links under %s", dir) : 0;
}

/* Jails may be alive under these pins: replacing them would free the jails for a moment. */
static void policy_add_remedy(const char *dir, char *error, size_t size)
{
	size_t n = strlen(error);

	if (n < size)
		(void)snprintf(error + n, size - n,
			       "; stop every model, then remove %s and start custodyd again", dir);
}

int policy_open(const char *pin_dir, const char *cgroup, __u32 planes, struct policy **ret,
		bool *ret_adopted, char *error, size_t size)
{
	cleanup_policy struct policy *policy = policy_new();
	bool exists = false;
	int r;

	if (size == 0)
		return -EINVAL;
	error[0] = '\0';
	if (!policy)
		return policy_fail(-ENOMEM, error, size, "policy");
	r = policy_pin_exists(pin_dir, &exists);
	if (r < 0)
		return policy_fail(r, error, size, "%s", pin_dir);
	r = exists ? policy_adopt(pin_dir, cgroup, planes, policy, error, size) :
		     policy_start(pin_dir, cgroup, planes, policy, error, size);
	if (r == -EUCLEAN)
		policy_add_remedy(pin_dir, error, size);
	if (r < 0)
		return policy_fail(r, error, size, "kernel policy under %s", pin_dir);
	/* What libbpf took for it is free by now, and every fork would copy the tables of it. */
	(void)malloc_trim(0);
	*ret = TAKE_PTR(policy);
	*ret_adopted = exists;
	return 0;
}

int policy_unpin(const char *pin_dir)
{
	return policy_pin_remove(pin_dir);
}

__u32 policy_read_planes(const struct policy *policy)
{
	return policy->planes;
}

int policy_ring_fd(const struct policy *policy)
{
	return policy->maps[POLICY_MAP_EVENTS];
}
