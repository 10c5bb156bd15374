/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custodyd does with daemon/warden/policy.h, one verb a run, for the tests of the kernel
 * planes. Run as root by tests/root/2*.sh. Trusts its arguments.
 *
 * link: daemon/warden/policy.c daemon/warden/policy_pin.c daemon/warden/policy_links.c
 * link: -Wl,--wrap=bpf_program__attach
 * link: daemon/warden/policy_map.c daemon/warden/policy_guard.c daemon/warden/policy_entries.c
 * link: daemon/warden/policy_ceiling.c
 *
 *   policy_driver VERB PIN CGROUP [ARGUMENT...]
 *     open                          adopts or loads; prints "adopted" or "fresh" and the planes
 *     install ID MODEL BROKER [loopback|jit|memfd] [listen=F:P:PORT:ADDRESS] [egress=...]
 *             [device=T:MAJ:MIN[:PATH]] [ioctls=compute]
 *             [rate[@ENDPOINT]=BYTES] [total[@ENDPOINT]=BYTES] [on-rate=N] [on-total=N]
 *     ceilings ID                   "slot used total dropped crossed" of what is limited
 *     zones ID PATH[=RIGHTS]...     the mounts that PATHs are on, in this mount namespace; of
 *                                   "rwcxi", r unless given
 *     go MODEL | drain BROKER | restrict MODEL BROKER FLAGS CUT
 *     remove ID | count ID | counters ID | errors | events | unpin
 *     see N MAP                     N first sights of jail 99's on each processor
 *     ring                          events, whatever is missing among the pins
 *     serve                         opens once, then runs each line of stdin, "VERB ARGUMENT...",
 *             and ends its output with a line "= STATUS": loading is what costs
 *   MODEL, BROKER: cgroup directories. F: 4 or 6. P: tcp or udp.
 *   $DRIVER_FAIL_ATTACH=N: the N-th program that is attached to a hook cannot be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "custody/event.h"
#include "../../daemon/warden/policy.h"
#include "../../daemon/warden/policy_ceiling.h"
#include "log.h"

#define DRIVER_WORDS_MAX 160

static int driver_fail(const char *what, int r)
{
	(void)fprintf(stderr, "policy_driver: %s: %s (%d)\n", what, strerror(-r), r);
	return 1;
}

/* $DRIVER_PLANES: so that the tests of one plane see the same on hosts that have another. */
static __u32 driver_read_planes(void)
{
	const char *text = getenv("DRIVER_PLANES");

	return text ? (__u32)atoi(text) : CUSTODY_PLANE_CGROUP | CUSTODY_PLANE_OBSERVE;
}

static int driver_parse_endpoint(const char *text, __u32 kind, struct custody_plan *plan)
{
	struct plan_endpoint *endpoint = &plan->endpoints[plan->n_endpoints];
	unsigned int family, port;
	char protocol[4], address[64];

	if (sscanf(text, "%u:%3[a-z]:%u:%63s", &family, protocol, &port, address) != 4)
		return -EINVAL;
	endpoint->kind = kind;
	endpoint->family = (__u16)family;
	endpoint->protocol = strcmp(protocol, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	endpoint->port = (__u16)port;
	if (inet_pton(family == 4 ? AF_INET : AF_INET6, address, endpoint->address) != 1)
		return -EINVAL;
	plan->n_endpoints++;
	return 0;
}

/* device=T:MAJ:MIN or device=T:MAJ:MIN:PATH; the path tells which driver it is. */
static int driver_parse_device(const char *text, struct custody_plan *plan)
{
	struct plan_device *device = &plan->devices[plan->n_devices];
	char type, path[64] = "";
	int n = sscanf(text, "%c:%u:%u:%63s", &type, &device->major, &device->minor, path);

	if (n < 3 || plan->pool_used + sizeof(path) > sizeof(plan->pool))
		return -EINVAL;
	device->type = (__u32)type;
	device->path = (struct plan_string){ .off = plan->pool_used, .len = (__u32)strlen(path) };
	memcpy(plan->pool + plan->pool_used, path, strlen(path) + 1);
	plan->pool_used += (__u32)strlen(path) + 1;
	plan->n_devices++;
	return 0;
}

/* rate=BYTES rate@ENDPOINT=BYTES total=... total@ENDPOINT=... on-rate=ACTION on-total=ACTION */
static int driver_parse_ceiling(const char *text, struct custody_plan *plan)
{
	unsigned int slot = CEILING_MODEL, action;
	unsigned long long bytes;

	if (sscanf(text, "on-rate=%u", &action) == 1) {
		plan->on_rate = action;
		return 0;
	}
	if (sscanf(text, "on-total=%u", &action) == 1) {
		plan->on_ceiling = action;
		return 0;
	}
	if (sscanf(text, "rate=%llu", &bytes) == 1 ||
	    (sscanf(text, "rate@%u=%llu", &slot, &bytes) == 2 && slot < CEILING_MODEL)) {
		plan->ceilings[slot].rate = bytes;
		plan->on_rate = plan->on_rate ? plan->on_rate : CEILING_THROTTLE;
		return 0;
	}
	if (sscanf(text, "total=%llu", &bytes) == 1 ||
	    (sscanf(text, "total@%u=%llu", &slot, &bytes) == 2 && slot < CEILING_MODEL)) {
		plan->ceilings[slot].total = bytes;
		plan->on_ceiling = plan->on_ceiling ? plan->on_ceiling : CEILING_CUT;
		return 0;
	}
	return -EINVAL;
}

/* All of every total is granted; DRIVER_GRANTED: only so many bytes. */
static int driver_put_ceilings(struct policy *policy, __u32 jail_id,
			       const struct custody_plan *plan)
{
	static const struct ceiling_accounts accounts;
	const char *granted = getenv("DRIVER_GRANTED");
	struct ceiling_limits limits;

	policy_build_ceilings(plan, plan->ceilings[CEILING_MODEL].total, &limits);
	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		if (!limits.slot[i].total)
			continue;
		limits.slot[i].granted = granted ? strtoull(granted, NULL, 10)
						 : limits.slot[i].total;
	}
	return policy_put_ceilings(policy, jail_id, &limits, &accounts);
}

static int driver_parse_option(const char *text, struct custody_plan *plan)
{
	static const struct {
		const char *name;
		__u32 flag;
	} flags[] = { { "loopback", PLAN_FLAG_LOOPBACK }, { "jit", PLAN_FLAG_JIT },
		      { "memfd", PLAN_FLAG_MEMFD } };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(text, flags[i].name) != 0)
			continue;
		plan->flags |= flags[i].flag;
		return 0;
	}
	if (strncmp(text, "listen=", 7) == 0)
		return driver_parse_endpoint(text + 7, PLAN_ENDPOINT_LISTEN, plan);
	if (strncmp(text, "egress=", 7) == 0)
		return driver_parse_endpoint(text + 7, PLAN_ENDPOINT_EGRESS, plan);
	if (strcmp(text, "ioctls=compute") == 0) {
		plan->ioctl_set = PLAN_IOCTLS_COMPUTE;
		return 0;
	}
	if (strncmp(text, "rate", 4) == 0 || strncmp(text, "total", 5) == 0 ||
	    strncmp(text, "on-", 3) == 0)
		return driver_parse_ceiling(text, plan);
	if (strncmp(text, "device=", 7) == 0)
		return driver_parse_device(text + 7, plan);
	return -EINVAL;
}

static int driver_install(struct policy *policy, int argc, char **argv)
{
	cleanup_ptr struct custody_plan *plan = calloc(1, sizeof(*plan));
	__u64 model = 0, broker = 0;
	int r = 0;

	if (!plan || argc < 3)
		return -EINVAL;
	plan->ioctl_set = PLAN_IOCTLS_ALL;
	plan->pool_used = 1;
	for (int i = 3; r == 0 && i < argc; i++)
		r = driver_parse_option(argv[i], plan);
	if (r == 0)
		r = cgroup_read_id(argv[1], &model);
	if (r == 0)
		r = cgroup_read_id(argv[2], &broker);
	if (r < 0)
		return r;
	r = policy_install_jail(policy, (__u32)atoi(argv[0]), model, broker, plan);
	if (r == 0 && policy_has_ceilings(plan) && !getenv("DRIVER_NO_ACCOUNT"))
		r = driver_put_ceilings(policy, (__u32)atoi(argv[0]), plan);
	return r;
}

/* Cuts "=RIGHTS" off the path; an 's' among them: the zone is scratch. */
static __u32 driver_parse_rights(char *path, __u32 *ret_label)
{
	static const char letters[] = "rwcxi";
	char *text = strchr(path, '=');
	__u32 rights = 0;

	if (!text)
		return CUSTODY_RIGHT_READ;
	*text = '\0';
	if (strchr(text + 1, 's'))
		*ret_label = CUSTODY_LABEL_SCRATCH;
	for (__u32 i = 0; letters[i]; i++) {
		if (strchr(text + 1, letters[i]))
			rights |= 1U << i;
	}
	return rights;
}

static int driver_zones(struct policy *policy, int argc, char **argv)
{
	cleanup_ptr struct jail_zone *zones = calloc(CUSTODY_ZONES_MAX, sizeof(*zones));
	struct statx st;

	if (!zones || argc < 2 || argc - 1 > CUSTODY_ZONES_MAX)
		return -EINVAL;
	for (int i = 1; i < argc; i++) {
		zones[i - 1].label = CUSTODY_LABEL_DATA;
		zones[i - 1].rights = driver_parse_rights(argv[i], &zones[i - 1].label);
		if (statx(AT_FDCWD, argv[i], 0, STATX_MNT_ID, &st) < 0)
			return -errno;
		zones[i - 1].mount_id = st.stx_mnt_id;
	}
	return policy_install_zones(policy, (__u32)atoi(argv[0]), zones, (__u32)(argc - 1));
}

static int driver_go(struct policy *policy, int argc, char **argv)
{
	__u64 model = 0;
	int r = argc == 1 ? cgroup_read_id(argv[0], &model) : -EINVAL;

	return r < 0 ? r : policy_open_jail(policy, model);
}

static int driver_drain(struct policy *policy, int argc, char **argv)
{
	__u64 broker = 0;
	int r = argc == 1 ? cgroup_read_id(argv[0], &broker) : -EINVAL;

	return r < 0 ? r : policy_drain_jail(policy, broker);
}

static int driver_restrict(struct policy *policy, int argc, char **argv)
{
	__u64 model = 0, broker = 0;
	int r = argc == 4 ? cgroup_read_id(argv[0], &model) : -EINVAL;

	if (r == 0)
		r = cgroup_read_id(argv[1], &broker);
	return r < 0 ? r : policy_restrict_jail(policy, model, broker,
						(__u32)strtoul(argv[2], NULL, 0),
						(__u32)strtoul(argv[3], NULL, 0));
}

static int driver_remove(struct policy *policy, int argc, char **argv)
{
	return argc == 1 ? policy_remove_jail(policy, (__u32)atoi(argv[0])) : -EINVAL;
}

static int driver_count(struct policy *policy, int argc, char **argv)
{
	__u64 n = 0;
	int r = argc == 1 ? policy_count_entries(policy, (__u32)atoi(argv[0]), &n) : -EINVAL;

	if (r == 0)
		(void)printf("%" PRIu64 "\n", (uint64_t)n);
	return r;
}

/* "class object allowed denied bytes emitted lost", those that counted something */
static void driver_print_counter(const struct policy_counter_key *key,
				 const struct policy_counter *counter, void *data)
{
	(void)data;
	if (!counter->allowed && !counter->denied && !counter->lost)
		return;
	(void)printf("%u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		     key->class, key->object, (uint64_t)counter->allowed,
		     (uint64_t)counter->denied, (uint64_t)counter->bytes,
		     (uint64_t)counter->emitted, (uint64_t)counter->lost);
}

static int driver_counters(struct policy *policy, int argc, char **argv)
{
	if (argc != 1)
		return -EINVAL;
	return policy_read_counters(policy, (__u32)atoi(argv[0]), driver_print_counter, NULL);
}

/* "slot used total dropped crossed" of those that are limited */
static int driver_ceilings(struct policy *policy, int argc, char **argv)
{
	struct ceiling_limits limits;
	struct ceiling_accounts accounts;
	int r = argc == 1 ? policy_read_ceilings(policy, (__u32)atoi(argv[0]), &limits, &accounts)
			  : -EINVAL;

	for (__u32 i = 0; r == 0 && i < CEILING_SLOTS; i++) {
		const struct ceiling_account *account = &accounts.slot[i];

		if (limits.slot[i].rate || limits.slot[i].total)
			(void)printf("%u %" PRIu64 " %" PRIu64 " %" PRIu64 " %u\n", i,
				     (uint64_t)account->used, (uint64_t)limits.slot[i].total,
				     (uint64_t)account->dropped, account->crossed);
	}
	return r;
}

static int driver_errors(struct policy *policy, int argc, char **argv)
{
	__u64 errors[_POLICY_ERROR_MAX];
	int r = policy_read_errors(policy, errors);

	(void)argc;
	(void)argv;
	for (int i = 0; r == 0 && i < _POLICY_ERROR_MAX; i++)
		(void)printf("%" PRIu64 "%s", (uint64_t)errors[i],
			     i + 1 < _POLICY_ERROR_MAX ? " " : "\n");
	return r;
}

/* One line an event, "key=value" separated by blanks; nothing in the tests has blanks. */
static int driver_print_event(void *data, void *record, size_t size)
{
	const struct custody_event *event = record;
	char address[INET6_ADDRSTRLEN] = "-";

	(void)data;
	if (size != sizeof(*event) || event->size != sizeof(*event) ||
	    event->version != EVENT_VERSION)
		return -EPROTO;
	if (event->family == 4 || event->family == 6)
		(void)inet_ntop(event->family == 4 ? AF_INET : AF_INET6, event->address, address,
				sizeof(address));
	(void)printf("jail=%u class=%u object=%u verdict=%u plane=%u error=%d syscall=%d "
		     "device=%#" PRIx64 " inode=%" PRIu64 " mount=%" PRIu64 " access=%#x flags=%u "
		     "family=%u protocol=%u port=%u address=%s pid=%u comm=%.16s path=%.*s\n",
		     event->jail_id, event->class, event->object, event->verdict, event->plane,
		     event->error, (int)event->syscall, (uint64_t)event->device,
		     (uint64_t)event->inode, (uint64_t)event->mount_id, event->access,
		     event->flags, event->family, event->protocol, event->port, address,
		     event->pid, event->comm, (int)event->path_len, event->path);
	return 0;
}

static int driver_events(struct policy *policy, int argc, char **argv)
{
	struct ring_buffer *ring = ring_buffer__new(policy_ring_fd(policy), driver_print_event,
						    NULL, NULL);
	int r = ring ? ring_buffer__consume(ring) : -errno;

	(void)argc;
	(void)argv;
	ring_buffer__free(ring);
	return r < 0 ? r : 0;
}

/* Events without any check of the pins: for tests that take a link away. */
static int driver_ring(const char *pin)
{
	char path[512];
	struct ring_buffer *ring = NULL;
	cleanup_fd int fd = -1;
	int r;

	(void)snprintf(path, sizeof(path), "%s/map-events", pin);
	fd = bpf_obj_get(path);
	if (fd >= 0)
		ring = ring_buffer__new(fd, driver_print_event, NULL, NULL);
	r = ring ? ring_buffer__consume(ring) : -errno;
	ring_buffer__free(ring);
	return r < 0 ? driver_fail("ring", r) : 0;
}

static int driver_open(struct policy *policy, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)printf("planes=%u\n", policy_read_planes(policy));
	return 0;
}

static int driver_serve(struct policy *policy, int argc, char **argv);

/* On each processor: what one has made last waits on a list of its own, which only it empties. */
static int driver_see_on(int cpu, int fd, __u64 from, __u64 n)
{
	struct policy_seen_key key = { .jail_id = 99, .class = POLICY_CLASS_OPEN };
	__u64 one = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (key.b = from; key.b < from + n; key.b++) {
		if (bpf_map_update_elem(fd, &key, &one, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

static int driver_see(struct policy *policy, int argc, char **argv)
{
	cleanup_fd int fd = argc == 2 ? bpf_obj_get(argv[1]) : -1;
	cpu_set_t before;
	int r = 0;

	(void)policy;
	if (fd < 0 || sched_getaffinity(0, sizeof(before), &before) < 0)
		return -EINVAL;
	for (int cpu = 0; r == 0 && cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, &before))
			r = driver_see_on(cpu, fd, ((__u64)cpu + 1) << 32, (__u64)atoi(argv[0]));
	}
	if (sched_setaffinity(0, sizeof(before), &before) < 0)
		return -errno;
	return r;
}

static const struct {
	const char *verb;
	int (*run)(struct policy *policy, int argc, char **argv);
} driver_verbs[] = {
	{ "open", driver_open },	 { "install", driver_install },
	{ "zones", driver_zones },	 { "go", driver_go },
	{ "remove", driver_remove },	 { "count", driver_count },
	{ "counters", driver_counters }, { "errors", driver_errors },
	{ "events", driver_events },	 { "drain", driver_drain },
	{ "ring", driver_events },	 { "serve", driver_serve },
	{ "see", driver_see },
	{ "restrict", driver_restrict },
	{ "ceilings", driver_ceilings },
};

static int driver_run(struct policy *policy, const char *verb, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(driver_verbs); i++) {
		if (strcmp(verb, driver_verbs[i].verb) == 0)
			return driver_verbs[i].run(policy, argc, argv);
	}
	return -ENOSYS;
}

static int driver_serve(struct policy *policy, int argc, char **argv)
{
	char line[8192], *words[DRIVER_WORDS_MAX];

	(void)argc;
	(void)argv;
	(void)puts("= 0");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = NULL;
		int n = 0, r;

		for (char *word = strtok_r(line, " \n", &rest); word && n < DRIVER_WORDS_MAX;
		     word = strtok_r(NULL, " \n", &rest))
			words[n++] = word;
		r = n > 0 ? driver_run(policy, words[0], n - 1, words + 1) : -EINVAL;
		if (r < 0)
			(void)driver_fail(words[0], r);
		(void)printf("= %d\n", r < 0);
		(void)fflush(stdout);
	}
	return 0;
}

/* The linker puts this before libbpf's: see "link:". */
struct bpf_link *__real_bpf_program__attach(const struct bpf_program *program);
struct bpf_link *__wrap_bpf_program__attach(const struct bpf_program *program);
struct bpf_link *__wrap_bpf_program__attach(const struct bpf_program *program)
{
	const char *text = getenv("DRIVER_FAIL_ATTACH");
	char left[16];
	int n = text ? atoi(text) : 0;

	if (n == 1) {
		errno = ENOSPC;
		return NULL;
	}
	(void)snprintf(left, sizeof(left), "%d", n - 1);
	if (n > 1 && setenv("DRIVER_FAIL_ATTACH", left, 1) < 0)
		return NULL;
	return __real_bpf_program__attach(program);
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(policy_close))) struct policy *policy = NULL;
	char error[512];
	bool adopted = false;
	int r;

	if (argc < 4)
		return 2;
	log_setup("policy_driver", getenv("DRIVER_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (strcmp(argv[1], "ring") == 0)
		return driver_ring(argv[2]);
	if (strcmp(argv[1], "unpin") == 0) {
		r = policy_unpin(argv[2]);
		return r < 0 ? driver_fail("unpin", r) : 0;
	}
	r = policy_open(argv[2], argv[3], driver_read_planes(), &policy, &adopted, error,
			sizeof(error));
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", error);
		return r == -EUCLEAN ? 117 : 1;
	}
	if (strcmp(argv[1], "open") == 0)
		(void)printf("%s ", adopted ? "adopted" : "fresh");
	r = driver_run(policy, argv[1], argc - 4, argv + 4);
	if (r == -ENOSYS)
		return 2;
	return r < 0 ? driver_fail(argv[1], r) : 0;
}
