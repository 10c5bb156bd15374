/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress ceilings of the models: see ceiling.h. Run by custodyd. Trusts its own files as far as
 * their digest, and the kernel.
 */
#include "ceiling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "ceiling_file.h"
#include "ceiling_weights.h"
#include "cleanup.h"
#include "paths.h"
#include "plan.h"
#include "policy_ceiling.h"
#include "sequence.h"
#include "sockets.h"

/*
 * A part of a lifetime ceiling is set aside on disk at a time, at least the minimum. It is what a
 * crash may cost the model, and what the model may send while no custodyd runs.
 */
#define CEILING_PART 16
#define CEILING_PART_MIN (1ULL << 20)

struct ceiling {
	struct ceiling_limits limits;		/* as they are in the kernel */
	struct ceiling_accounts accounts;	/* as they were last read */
	struct ceiling_file file;		/* as it is on disk */
};

static int ceiling_find_directory(const struct warden *warden, char *ret, size_t size)
{
	return paths_join(warden->root, PATHS_CEILINGS, ret, size);
}

static struct ceiling_row *ceiling_find_row(const struct jail *jail, __u32 slot)
{
	char endpoint[CUSTODY_PATH_SIZE] = "";

	if (slot != CEILING_MODEL)
		jails_label_endpoint(jail, (__u16)slot, endpoint, sizeof(endpoint));
	return ceiling_file_find(&jail->ceiling->file, endpoint);
}

static int ceiling_save(const struct jail *jail, struct ceiling_file *file)
{
	char dir[CUSTODY_PATH_SIZE * 2];
	int r = ceiling_find_directory(jail->warden, dir, sizeof(dir));

	return r < 0 ? r : ceiling_file_save(dir, file);
}

/* ---- setting aside ---- */

static void ceiling_grant_slot(struct ceiling_limit *limit, __u64 used, __u64 *ret_written)
{
	__u64 part = limit->total / CEILING_PART;

	if (part < CEILING_PART_MIN)
		part = CEILING_PART_MIN;
	limit->granted = used < limit->total && limit->total - used > part ? used + part
									   : limit->total;
	limit->wake = limit->granted < limit->total ? limit->granted - part / 2 : CEILING_NONE;
	*ret_written = limit->granted;
}

/*
 * Writes what the kernel may use up next, for every slot that needs it, and puts it into *limits,
 * which is then to be installed. Nothing is changed on failure.
 */
static int ceiling_grant(struct jail *jail, struct ceiling_limits *limits)
{
	struct ceiling *c = jail->ceiling;
	struct ceiling_file *file __attribute__((cleanup(cleanup_free_ptr))) =
		malloc(sizeof(*file));
	struct ceiling_limits next = *limits;
	int r;

	if (!file)
		return -ENOMEM;
	*file = c->file;
	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		struct ceiling_row *row = next.slot[i].total ? ceiling_find_row(jail, i) : NULL;
		__u64 used = c->accounts.slot[i].used;

		if (next.slot[i].total && !row)
			return -E2BIG;
		if (!row || (next.slot[i].granted != 0 && used <= next.slot[i].wake))
			continue;
		ceiling_grant_slot(&next.slot[i], used, &row->used);
	}
	/* The rows are those of c->file: written, and taken back if that fails. */
	r = ceiling_save(jail, &c->file);
	if (r < 0)
		c->file = *file;
	else
		*limits = next;
	return r;
}

/* ---- launch ---- */

static int ceiling_load(struct jail *jail, const char **ret_why)
{
	char dir[CUSTODY_PATH_SIZE * 2];
	int r;

	*ret_why = "";
	jail->ceiling = calloc(1, sizeof(*jail->ceiling));
	if (!jail->ceiling)
		return -ENOMEM;
	r = ceiling_find_directory(jail->warden, dir, sizeof(dir));
	if (r == 0)
		r = ceiling_file_load(dir, jail->name, &jail->ceiling->file, ret_why);
	if (r == -ENOENT) {
		ceiling_file_begin(&jail->ceiling->file, jail->name);
		r = 0;
	}
	if (r == -EPROTO)
		log_error("%s/%s: %s.", dir, jail->name, *ret_why);
	return r;
}

/* The model's own total: the plan's number, or a part of what the weights weigh. */
static int ceiling_find_total(struct jail *jail, __u64 *ret)
{
	const char *path = plan_string(jail->plan, jail->plan->model_path);
	__u64 weights = 0;
	int r;

	*ret = jail->plan->ceilings[CEILING_MODEL].total;
	if (*ret != PLAN_TOTAL_AUTO)
		return 0;
	r = path[0] ? ceiling_weights_measure(path, &weights) : -ENOENT;
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"egress-total = auto: the files of %s cannot be measured "
					"(%s); set a number.", path[0] ? path : "no model",
					strerror(-r));
	*ret = weights / CEILING_WEIGHTS_PART;
	if (*ret < CEILING_WEIGHTS_MIN)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -ERANGE,
					"egress-total = auto: the weights are %llu bytes, and a "
					"%uth of that is too little to serve with; set a number.",
					(unsigned long long)weights, CEILING_WEIGHTS_PART);
	return 0;
}

/* What was used before, from the file; one destination that is used up is shut from the start. */
static int ceiling_fill_accounts(struct jail *jail)
{
	struct ceiling *c = jail->ceiling;

	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		struct ceiling_limit *limit = &c->limits.slot[i];
		struct ceiling_row *row = limit->total ? ceiling_find_row(jail, i) : NULL;

		if (!limit->total)
			continue;
		if (!row)
			return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -E2BIG,
						"The account of %s has no room for another "
						"destination (%u are in it); retire the model.",
						jail->name, CEILING_FILE_ROWS);
		c->accounts.slot[i].used = row->used;
		if (row->used < limit->total)
			continue;
		if (i == CEILING_MODEL)
			return sequence_explain(
				jail, CUSTODY_EXIT_REFUSED, -EDQUOT,
				"The lifetime ceiling of %s is used up: %llu of %llu bytes. Raise "
				"egress-total, or retire the model.", jail->name,
				(unsigned long long)row->used, (unsigned long long)limit->total);
		c->accounts.slot[i].crossed = CEILING_BY_TOTAL;
		limit->handled = CEILING_BY_TOTAL;
	}
	return 0;
}

int ceiling_install(struct jail *jail)
{
	const char *why = "";
	__u64 total = 0;
	int r;

	if (!policy_has_ceilings(jail->plan))
		return 0;
	r = ceiling_load(jail, &why);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"What %s has sent so far cannot be read from %s%s/%s (%s); "
					"restore that file from a backup, or remove it to begin "
					"at 0.", jail->name, jail->warden->root, PATHS_CEILINGS,
					jail->name, why[0] ? why : strerror(-r));
	r = ceiling_find_total(jail, &total);
	if (r < 0)
		return r;
	policy_build_ceilings(jail->plan, total, &jail->ceiling->limits);
	r = ceiling_fill_accounts(jail);
	if (r < 0)
		return r;
	r = ceiling_grant(jail, &jail->ceiling->limits);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"What %s may send cannot be written to %s%s (%s); make "
					"room there.", jail->name, jail->warden->root,
					PATHS_CEILINGS, strerror(-r));
	return policy_put_ceilings(jail->warden->policy, jail->id, &jail->ceiling->limits,
				   &jail->ceiling->accounts);
}

/* ---- while it runs ---- */

static int ceiling_read(struct jail *jail)
{
	return policy_read_ceilings(jail->warden->policy, jail->id, &jail->ceiling->limits,
				    &jail->ceiling->accounts);
}

static int ceiling_write(struct jail *jail, const struct ceiling_limits *limits)
{
	int r = policy_set_ceilings(jail->warden->policy, jail->id, limits);

	if (r == 0)
		jail->ceiling->limits = *limits;
	return r;
}

static const char *const ceiling_reasons[2][_CEILING_ACTION_MAX] = {
	{ [CEILING_THROTTLE] = "egress-rate reached (on-rate = throttle)",
	  [CEILING_CUT] = "egress-rate reached (on-rate = cut)",
	  [CEILING_FREEZE] = "egress-rate reached (on-rate = freeze)",
	  [CEILING_KILL] = "egress-rate reached (on-rate = kill)" },
	{ [CEILING_THROTTLE] = "egress-total used up (on-ceiling = throttle)",
	  [CEILING_CUT] = "egress-total used up (on-ceiling = cut)",
	  [CEILING_FREEZE] = "egress-total used up (on-ceiling = freeze)",
	  [CEILING_KILL] = "egress-total used up (on-ceiling = kill)" },
};

static void ceiling_end_all(struct jail *jail)
{
	int r = sockets_destroy_connections(jail->cgroup_model, jail->cgroup_broker);

	if (r < 0)
		log_warning("The connections of %s that were cut cannot be ended (%s); they end by "
			    "themselves, within minutes.", jail->name, strerror(-r));
}

bool ceiling_was_crossed(const struct jail *jail)
{
	const struct ceiling *c = jail->ceiling;
	__u32 crossed = 0, cuts = 0;

	for (__u32 i = 0; c && i < CEILING_SLOTS; i++)
		crossed |= c->accounts.slot[i].crossed;
	cuts |= c && c->limits.on_total ? CEILING_BY_TOTAL : 0;
	cuts |= c && c->limits.on_rate > CEILING_THROTTLE ? CEILING_BY_RATE : 0;
	return crossed & cuts;
}

void ceiling_end_connections(struct jail *jail)
{
	if (!jail->ceiling || jail->ceiling_settled || ceiling_read(jail) < 0)
		return;
	if (ceiling_was_crossed(jail))
		ceiling_end_all(jail);
}

/* What the profile wants done; the kernel drops already. 0, or to be tried again. */
static int ceiling_act(struct jail *jail, __u32 slot, __u32 cause)
{
	__u32 action = cause == CEILING_BY_TOTAL ? jail->ceiling->limits.on_total
						 : jail->ceiling->limits.on_rate;
	const char *why = ceiling_reasons[cause == CEILING_BY_TOTAL][action];
	char endpoint[CUSTODY_PATH_SIZE] = "all endpoints together";

	if (slot != CEILING_MODEL)
		jails_label_endpoint(jail, (__u16)slot, endpoint, sizeof(endpoint));
	log_warning("%s: %s: %s, %llu bytes out.", jail->name, endpoint, why,
		    (unsigned long long)jail->ceiling->accounts.slot[slot].used);
	/* Whoever waits in a frozen jail waits on; its connections are ended when it is. */
	if ((action == CEILING_CUT && slot == CEILING_MODEL) || action == CEILING_KILL)
		ceiling_end_all(jail);
	if (action == CEILING_KILL) {
		life_end_model(jail, why);
		return 0;
	}
	if (action != CEILING_FREEZE || jail->state != JAIL_STATE_RUNNING)
		return recording_put_state(jail, jail->state, why, ~0U, 0);
	return freeze_jail(jail, true, why, ~0U);
}

/* What is reached for good is used up: the rest of it, too small for a packet, is given up. */
static int ceiling_close_slot(struct jail *jail, __u32 slot)
{
	struct ceiling *c = jail->ceiling;
	struct ceiling_row *row = ceiling_find_row(jail, slot);

	if (!row)
		return -E2BIG;
	row->used = c->limits.slot[slot].total;
	return ceiling_save(jail, &c->file);
}

static int ceiling_take_crossing(struct jail *jail, __u32 slot, __u32 cause)
{
	struct ceiling *c = jail->ceiling;
	struct ceiling_limits next;
	int r = 0;

	if (!((c->accounts.slot[slot].crossed & ~c->limits.slot[slot].handled) & cause))
		return 0;
	if (cause == CEILING_BY_TOTAL && c->limits.on_total != CEILING_THROTTLE)
		r = ceiling_close_slot(jail, slot);
	if (r == 0)
		r = ceiling_act(jail, slot, cause);
	if (r < 0)
		return r;
	next = c->limits;
	next.slot[slot].handled |= cause;
	return ceiling_write(jail, &next);
}

static int ceiling_look(struct jail *jail)
{
	struct ceiling_limits next;
	bool needs = false;
	int r = ceiling_read(jail);

	for (__u32 i = 0; r == 0 && i < CEILING_SLOTS; i++) {
		r = ceiling_take_crossing(jail, i, CEILING_BY_TOTAL);
		if (r == 0)
			r = ceiling_take_crossing(jail, i, CEILING_BY_RATE);
		needs = needs || jail->ceiling->accounts.slot[i].used >
					 jail->ceiling->limits.slot[i].wake;
	}
	if (r < 0 || !needs)
		return r;
	next = jail->ceiling->limits;
	r = ceiling_grant(jail, &next);
	return r < 0 ? r : ceiling_write(jail, &next);
}

void ceiling_check(struct warden *warden)
{
	for (struct jail *j = warden->jails; j; j = j->next) {
		int r;

		/* Before its launch is on record there is nothing that can be sent. */
		if (!j->ceiling || !jails_is_alive(j) || j->state == JAIL_STATE_STARTING ||
		    j->ceiling_settled)
			continue;
		r = ceiling_look(j);
		if (r < 0 && r != -ENOTCONN)
			log_error("The ceilings of %s cannot be kept (%s): it sends what is set "
				  "aside for it, and then nothing. It is tried again.", j->name,
				  strerror(-r));
	}
}

/* ---- its end ---- */

void ceiling_settle(struct jail *jail)
{
	struct ceiling *c = jail->ceiling;
	int r;

	if (!c || jail->ceiling_settled)
		return;
	r = ceiling_read(jail);
	if (r == -ENOENT)
		return; /* not installed: nothing was sent since the file was written */
	for (__u32 i = 0; r == 0 && i < CEILING_SLOTS; i++) {
		bool closed = (c->accounts.slot[i].crossed & CEILING_BY_TOTAL) &&
			      c->limits.on_total != CEILING_THROTTLE;
		struct ceiling_row *row =
			c->limits.slot[i].total ? ceiling_find_row(jail, i) : NULL;

		if (row)
			row->used = closed ? c->limits.slot[i].total : c->accounts.slot[i].used;
	}
	if (r == 0)
		r = ceiling_save(jail, &c->file);
	jail->ceiling_settled = true;
	if (r < 0)
		log_error("What %s has sent cannot be written (%s): what was set aside for it "
			  "counts as sent.", jail->name, strerror(-r));
}

int ceiling_forget(struct jail *jail)
{
	char dir[CUSTODY_PATH_SIZE * 2];
	int r = ceiling_find_directory(jail->warden, dir, sizeof(dir));

	return r < 0 ? r : ceiling_file_remove(dir, jail->name);
}

void ceiling_free(struct jail *jail)
{
	cleanup_free_ptr(&jail->ceiling);
}

/* ---- telling ---- */

void ceiling_fill_row(struct jail *jail, struct reply_row *row)
{
	const struct ceiling *c = jail->ceiling;

	if (!c)
		return;
	if (!jail->ceiling_settled)
		(void)ceiling_read(jail);
	row->on_rate = c->limits.on_rate;
	row->on_total = c->limits.on_total;
	/* The model's own first. */
	for (__u32 i = CEILING_SLOTS; i-- > 0;) {
		if (!c->limits.slot[i].rate && !c->limits.slot[i].total)
			continue;
		row->ceilings[row->n_ceilings++] = (struct reply_ceiling){
			.slot = i,
			.crossed = c->accounts.slot[i].crossed,
			.rate = c->limits.slot[i].rate,
			.total = c->limits.slot[i].total,
			.used = c->accounts.slot[i].used,
			.dropped = c->accounts.slot[i].dropped,
		};
	}
}

void ceiling_fill_fact(const struct jail *jail, struct evidence_fact *fact)
{
	const struct ceiling *c = jail->ceiling;
	size_t used = 0;

	fact->looked = !policy_has_ceilings(jail->plan) || c;
	if (!fact->looked)
		(void)snprintf(fact->detail, sizeof(fact->detail),
			       "The account could not be read.");
	for (__u32 i = CEILING_SLOTS; c && i-- > 0;) {
		const struct ceiling_limit *limit = &c->limits.slot[i];
		__u64 sent = c->accounts.slot[i].used;
		char who[CUSTODY_PATH_SIZE] = "all";

		if (!limit->total)
			continue;
		if (sent > limit->total)
			fact->value += sent - limit->total;
		if (i != CEILING_MODEL)
			jails_label_endpoint(jail, (__u16)i, who, sizeof(who));
		if (used < sizeof(fact->detail))
			used += (size_t)snprintf(fact->detail + used, sizeof(fact->detail) - used,
						 "%s%s: %llu of %llu", used ? "; " : "", who,
						 (unsigned long long)sent,
						 (unsigned long long)limit->total);
	}
}

/* ---- custodyd's start ---- */

/*
 * A jail that runs has its account in the kernel. One that has ended has it on disk, and the
 * limits are the plan's; what `auto` came to is not known any more and not shown.
 */
static int ceiling_adopt(struct jail *jail)
{
	struct ceiling *c;
	const char *why = "";
	__u64 total = jail->plan->ceilings[CEILING_MODEL].total;
	int r = ceiling_load(jail, &why);

	if (r < 0)
		return r;
	c = jail->ceiling;
	if (jails_is_alive(jail)) {
		r = ceiling_read(jail);
		/* Its policy was removed, its end not yet recorded: a crash between the two. */
		if (r != -ENOENT || jail->init > 0)
			return r;
	}
	jail->ceiling_settled = true;
	policy_build_ceilings(jail->plan, total == PLAN_TOTAL_AUTO ? 0 : total, &c->limits);
	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		struct ceiling_row *row =
			c->limits.slot[i].total ? ceiling_find_row(jail, i) : NULL;

		if (row)
			c->accounts.slot[i].used = row->used;
	}
	return 0;
}

static int ceiling_take_wake(void *data, void *record, size_t size)
{
	(void)data;
	(void)record;
	(void)size;
	return 0;
}

/* Which jail does not matter: every account is looked at. */
static int ceiling_on_wake(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct warden *warden = data;

	(void)source;
	(void)fd;
	(void)revents;
	(void)ring_buffer__consume(warden->wakes);
	ceiling_check(warden);
	return 0;
}

int ceiling_start(struct warden *warden)
{
	int r;

	for (struct jail *j = warden->jails; j; j = j->next) {
		r = j->plan && policy_has_ceilings(j->plan) ? ceiling_adopt(j) : 0;
		if (r < 0) {
			log_error("The account of %s (%s%s/%s) cannot be used (%s). custodyd does "
				  "not start over it: restore it.", j->name, warden->root,
				  PATHS_CEILINGS, j->name, strerror(-r));
			return r;
		}
	}
	warden->wakes = ring_buffer__new(policy_wakes_fd(warden->policy), ceiling_take_wake, NULL,
					 NULL);
	if (!warden->wakes)
		return -errno;
	return sd_event_add_io(warden->event, &warden->wakes_event,
			       ring_buffer__epoll_fd(warden->wakes), EPOLLIN, ceiling_on_wake,
			       warden);
}

void ceiling_stop(struct warden *warden)
{
	warden->wakes_event = sd_event_source_disable_unref(warden->wakes_event);
	ring_buffer__free(warden->wakes);
	warden->wakes = NULL;
}
