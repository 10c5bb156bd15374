/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of jails, and what is told about one: rows and counters. Run by custodyd. Trusts
 * its own structs and the kernel's counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ceiling.h"
#include "cgroup.h"
#include "check.h"
#include "cleanup.h"
#include "ioctl_set.h"
#include "limits.h"
#include "plan.h"
#include "warden.h"

struct jail *jails_new(struct warden *warden, const char *name)
{
	struct jail *jail = calloc(1, sizeof(*jail));

	if (!jail)
		return NULL;
	(void)snprintf(jail->name, sizeof(jail->name), "%s", name);
	jail->warden = warden;
	jail->plan_fd = jail->init_fd = jail->broker_fd = -1;
	jail->log_fd = jail->log_read = jail->broker_peer = jail->slot_fd = -1;
	jail->planner.channel = jail->builder.channel = -1;
	jail->broker.channel = jail->sweeper.channel = jail->resolver.channel = -1;
	jail->measurer.channel = jail->model_fd = jail->measured_fd = -1;
	jail->fingerprints_fd = -1;
	jail->model_dir = jail->check_output = -1;
	jail->stdio[0] = jail->stdio[1] = jail->stdio[2] = -1;
	jail->wait_status = LEDGER_STATUS_UNKNOWN;
	jail->next = warden->jails;
	warden->jails = jail;
	return jail;
}

/* The live one of that name, else the one that stopped last. */
struct jail *jails_find(struct warden *warden, const char *name)
{
	struct jail *found = NULL;

	for (struct jail *j = warden->jails; j; j = j->next) {
		if (strcmp(j->name, name) != 0)
			continue;
		if (jails_is_alive(j))
			return j;
		if (!found || j->id > found->id)
			found = j;
	}
	return found;
}

struct jail *jails_find_id(struct warden *warden, __u32 id)
{
	for (struct jail *j = warden->jails; j; j = j->next) {
		if (j->id == id)
			return j;
	}
	return NULL;
}

bool jails_is_alive(const struct jail *jail)
{
	return jail->state != JAIL_STATE_STOPPED && jail->state != JAIL_STATE_RETIRED;
}

bool jails_need_broker(const struct jail *jail)
{
	return jail->plan &&
	       (jail->plan->n_endpoints > 0 || (jail->plan->flags & PLAN_FLAG_LOOPBACK));
}

void jails_forget(struct jail *jail)
{
	struct jail **at = &jail->warden->jails;

	while (*at && *at != jail)
		at = &(*at)->next;
	if (*at)
		*at = jail->next;
	check_forget(jail);
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	cleanup_close_fd(&jail->check_output);
	cleanup_close_fd(&jail->model_dir);
	spawn_kill(&jail->planner);
	spawn_kill(&jail->builder);
	spawn_kill(&jail->sweeper);
	spawn_kill(&jail->measurer);
	resolve_stop(jail);
	spawn_close(&jail->broker);
	jail->broker.child = sd_event_source_disable_unref(jail->broker.child);
	jail->timeout = sd_event_source_disable_unref(jail->timeout);
	jail->tick = sd_event_source_disable_unref(jail->tick);
	jail->init_event = sd_event_source_disable_unref(jail->init_event);
	jail->memory_event = sd_event_source_disable_unref(jail->memory_event);
	jail->broker_event = sd_event_source_disable_unref(jail->broker_event);
	jail->broker_grace = sd_event_source_disable_unref(jail->broker_grace);
	cleanup_close_fd(&jail->broker_fd);
	cleanup_close_fd(&jail->model_fd);
	cleanup_close_fd(&jail->measured_fd);
	cleanup_close_fd(&jail->fingerprints_fd);
	cleanup_close_fd(&jail->plan_fd);
	cleanup_close_fd(&jail->init_fd);
	cleanup_close_fd(&jail->log_fd);
	jail->log_event = sd_event_source_disable_unref(jail->log_event);
	cleanup_close_fd(&jail->log_read);
	cleanup_close_fd(&jail->broker_peer);
	cleanup_close_fd(&jail->slot_fd);
	for (int i = 0; i < 3; i++)
		cleanup_close_fd(&jail->stdio[i]);
	plan_unmap(&jail->plan);
	ceiling_free(jail);
	free(jail->run);
	free(jail);
}

static int jails_on_init_end(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct jail *jail = data;
	siginfo_t info = { 0 };

	(void)source;
	(void)revents;
	/* Our child when we launched it (custodyd is its subreaper); not when we adopted it. */
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid > 0)
		jail->wait_status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
							       : (info.si_status & 0x7f);
	jail->init_event = sd_event_source_disable_unref(jail->init_event);
	cleanup_close_fd(&jail->init_fd);
	jail->init = 0;
	life_ended(jail);
	return 0;
}

int jails_watch_init(struct jail *jail, int pidfd)
{
	jail->init_fd = pidfd;
	return sd_event_add_io(jail->warden->event, &jail->init_event, pidfd, EPOLLIN,
			       jails_on_init_end, jail);
}

/* ---- tallies ---- */

struct jails_slot {
	__u32 id;
	struct jail *jail;
	struct jail_tally tally;
};

struct jails_slots {
	struct jails_slot *slots;	/* by id, upwards */
	size_t n;
	__u64 host_lost;
};

static int jails_compare_slots(const void *a, const void *b)
{
	const struct jails_slot *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void jails_add_counter(const struct policy_counter_key *key,
			      const struct policy_counter *counter, void *data)
{
	struct jails_slot wanted = { .id = key->jail_id }, *slot;
	struct jails_slots *all = data;

	if (key->jail_id == 0) {	/* which no jail is: about custody itself */
		all->host_lost += counter->lost;
		return;
	}
	slot = bsearch(&wanted, all->slots, all->n, sizeof(wanted), jails_compare_slots);
	if (!slot)
		return;
	slot->tally.lost += counter->lost;
	if (key->class == POLICY_CLASS_EGRESS) {
		slot->tally.bytes_out += counter->bytes;
	} else if (key->class == POLICY_CLASS_INGRESS) {
		slot->tally.bytes_in += counter->bytes;
	} else {
		slot->tally.allowed += counter->allowed;
		slot->tally.denied += counter->denied;
	}
}

int jails_tally(struct warden *warden, __u64 *host_lost)
{
	cleanup_ptr struct jails_slot *slots = NULL;
	struct jails_slots all = { 0 };
	size_t n = 0;
	int r;

	for (const struct jail *j = warden->jails; j; j = j->next)
		n++;
	slots = calloc(n + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (struct jail *j = warden->jails; j; j = j->next)
		slots[all.n++] = (struct jails_slot){ .id = j->id, .jail = j };
	qsort(slots, all.n, sizeof(*slots), jails_compare_slots);
	all.slots = slots;
	r = policy_read_all_counters(warden->policy, jails_add_counter, &all);
	if (r < 0)
		return r;
	for (size_t i = 0; i < all.n; i++)
		slots[i].jail->tally = slots[i].tally;
	if (host_lost)
		*host_lost = all.host_lost;
	return 0;
}

/* ---- rows ---- */

static void jails_fill_endpoint(const struct custody_plan *plan, const struct plan_endpoint *from,
				struct reply_endpoint *to)
{
	to->kind = (__u16)from->kind;
	to->family = from->family;
	to->protocol = from->protocol;
	to->port = from->port;
	memcpy(to->address, from->address, sizeof(to->address));
	(void)snprintf(to->path, sizeof(to->path), "%s", plan_string(plan, from->path));
}

int jails_send_row(struct jail *jail, __u64 id)
{
	struct reply_row row = { .state = jail->state, .jail_id = jail->id };
	struct warden *warden = jail->warden;

	(void)snprintf(row.name, sizeof(row.name), "%s", jail->name);
	(void)snprintf(row.profile, sizeof(row.profile), "%s", jail->profile);
	row.pid = (__u32)jail->init;
	row.planes_active = jail->planes_active;
	row.started_s = jail->started_ns / 1000000000ULL;
	row.adopted = jail->adopted;
	row.model_version = jail->plan ? jail->plan->model_version : 0;
	row.restricted = jail->restricted;
	row.cut = jail->cut;
	row.uid_first = CUSTODY_UID_JAIL_BASE + jail->slot * CUSTODY_UID_JAIL_BLOCK;
	row.uid_count = CUSTODY_UID_JAIL_BLOCK;
	if (jail->plan) {
		row.planes_required = jail->plan->planes_required;
		row.n_endpoints = jail->plan->n_endpoints;
		for (__u32 i = 0; i < jail->plan->n_endpoints; i++)
			jails_fill_endpoint(jail->plan, &jail->plan->endpoints[i],
					    &row.endpoints[i]);
	}
	if (jails_is_alive(jail) && jail->cgroup[0]) {
		row.allowed = jail->tally.allowed;
		row.denied = jail->tally.denied;
		row.bytes_in = jail->tally.bytes_in;
		row.bytes_out = jail->tally.bytes_out;
		row.events_lost = jail->tally.lost;
		(void)cgroup_read_memory(jail->cgroup, &row.memory_bytes);
		(void)cgroup_count_processes(jail->cgroup, &row.processes);
	}
	row.measured = jail->measured;
	ceiling_fill_row(jail, &row);
	limits_fill_row(jail, &row.limits);
	return MESSAGE_SEND(warden->front.channel, ROLE_WARDEN, REPLY_ROW, id, &row);
}

struct jails_counter_context {
	struct jail *jail;
	__u64 id;
};

void jails_label_endpoint(const struct jail *jail, __u16 object, char *label, size_t size)
{
	const struct plan_endpoint *e;
	char address[INET6_ADDRSTRLEN] = "?";

	if (!jail->plan || object >= jail->plan->n_endpoints)
		return;
	e = &jail->plan->endpoints[object];
	if (e->family == PLAN_FAMILY_UNIX) {
		(void)snprintf(label, size, "unix:%s", plan_string(jail->plan, e->path));
		return;
	}
	if (e->family == PLAN_FAMILY_NAME) {
		(void)snprintf(label, size, "name:%s:%u", plan_string(jail->plan, e->path),
			       e->port);
		return;
	}
	(void)inet_ntop(e->family == PLAN_FAMILY_INET ? AF_INET : AF_INET6, e->address, address,
			sizeof(address));
	(void)snprintf(label, size, e->family == PLAN_FAMILY_INET ? "%s:%s:%u" : "%s:[%s]:%u",
		       e->protocol == IPPROTO_TCP ? "tcp" : "udp", address, e->port);
}

/* What a counter's object is called, for people. */
static void jails_label_counter(const struct jail *jail, const struct policy_counter_key *key,
				char *label, size_t size)
{
	static const char *const tasks[_POLICY_TASK_MAX] = {
		[POLICY_TASK_PTRACE] = "ptrace",   [POLICY_TASK_SIGNAL] = "signal",
		[POLICY_TASK_CAPABLE] = "capable", [POLICY_TASK_USERNS] = "userns",
		[POLICY_TASK_MOUNT] = "mount",	   [POLICY_TASK_BPF] = "bpf",
		[POLICY_TASK_PERF] = "perf",	   [POLICY_TASK_MODULE] = "module",
		[POLICY_TASK_URING] = "io_uring",  [POLICY_TASK_USERFAULT] = "userfaultfd",
	};

	if (key->object == POLICY_OBJECT_NONE)
		return;
	switch (key->class) {
	case POLICY_CLASS_OPEN:
	case POLICY_CLASS_EXEC:
	case POLICY_CLASS_CHANGE:
	case POLICY_CLASS_EXECMAP:
	case POLICY_CLASS_RECEIVE:
		if (key->object < jail->n_zones)
			(void)snprintf(label, size, "%s", jail->zones[key->object].target);
		break;
	case POLICY_CLASS_BIND:
	case POLICY_CLASS_CONNECT:
	case POLICY_CLASS_SENDMSG:
	case POLICY_CLASS_EGRESS:
	case POLICY_CLASS_INGRESS:
	case POLICY_CLASS_CEILING:
		jails_label_endpoint(jail, key->object, label, size);
		break;
	case POLICY_CLASS_IOCTL:
		if (key->object < ioctl_set_compute_n)
			(void)snprintf(label, size, "%s", ioctl_set_compute[key->object].name);
		break;
	case POLICY_CLASS_TASK:
		if (key->object < ARRAY_SIZE(tasks) && tasks[key->object])
			(void)snprintf(label, size, "%s", tasks[key->object]);
		break;
	default:
		break;
	}
}

static void jails_send_counter(const struct policy_counter_key *key,
			       const struct policy_counter *counter, void *data)
{
	struct jails_counter_context *context = data;
	struct reply_counter reply = { .key = *key, .counter = *counter };

	if (!counter->allowed && !counter->denied && !counter->lost && !counter->bytes)
		return;
	jails_label_counter(context->jail, key, reply.label, sizeof(reply.label));
	(void)MESSAGE_SEND(context->jail->warden->front.channel, ROLE_WARDEN, REPLY_COUNTER,
			   context->id, &reply);
}

int jails_send_counters(struct jail *jail, __u64 id)
{
	struct jails_counter_context context = { .jail = jail, .id = id };

	if (!jails_is_alive(jail))
		return 0;
	return policy_read_counters(jail->warden->policy, jail->id, jails_send_counter, &context);
}
