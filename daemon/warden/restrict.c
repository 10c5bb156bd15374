/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `restrict`: rights are taken from a model while it runs, and never given back to it. Run by
 * custodyd. Trusts the checked plan and the request as control.c has let it through.
 *
 * Where each is enforced, and what becomes of what is open already:
 *   egress, endpoints  cgroup plane, at every packet: established connections pass none either
 *   devices            opens by the cgroup plane; ioctl and mmap of open fds by the LSM plane,
 *                      without which an open fd cannot be taken back, and the request is refused
 *   scratch            its mounts become read-only, which the kernel refuses while anything there
 *                      is open for writing; opens alone can be refused by the LSM plane
 *
 * Order: the state file says it first, then the kernel does it, then the ledger has it. custodyd
 * may end at any point: the next one finds what was asked for, and does and records the rest.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "plan.h"
#include "warden.h"

static const struct {
	__u32 bit;
	const char *why;	/* in the ledger */
} restrict_words[] = {
	{ RESTRICTION_EGRESS, "restricted: egress cut" },
	{ RESTRICTION_DEVICES, "restricted: devices taken" },
	{ RESTRICTION_DEVICES_OPEN, "restricted: devices taken, open fds excepted" },
	{ RESTRICTION_SCRATCH, "restricted: scratch read-only" },
	{ RESTRICTION_SCRATCH_OPEN, "restricted: scratch read-only, open fds excepted" },
};

static __u32 restrict_read_flags(const struct jail *jail)
{
	__u32 flags = 0;

	if (jail->restricted & RESTRICTION_EGRESS)
		flags |= POLICY_FLAG_CUT_EGRESS;
	if (jail->restricted & (RESTRICTION_DEVICES | RESTRICTION_DEVICES_OPEN))
		flags |= POLICY_FLAG_CUT_DEVICES;
	if (jail->restricted & RESTRICTION_SCRATCH_OPEN)
		flags |= POLICY_FLAG_CUT_SCRATCH;
	return flags;
}

static int restrict_install(struct jail *jail)
{
	return policy_restrict_jail(jail->warden->policy, jail->cgroup_model, jail->cgroup_broker,
				    restrict_read_flags(jail), jail->cut);
}

int restrict_record(struct jail *jail)
{
	char why[64], label[CUSTODY_PATH_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(restrict_words); i++) {
		if (!(jail->restricted_owed & restrict_words[i].bit))
			continue;
		r = recording_put_state(jail, jail->state, restrict_words[i].why,
					jail->restricted_uid, 0);
		if (r == 0)
			jail->restricted_owed &= ~restrict_words[i].bit;
	}
	for (__u32 i = 0; r == 0 && i < CUSTODY_ENDPOINTS_MAX; i++) {
		if (!(jail->cut_owed & (1U << i)))
			continue;
		label[0] = '\0';
		jails_label_endpoint(jail, (__u16)i, label, sizeof(label));
		(void)snprintf(why, sizeof(why), "dropped %.55s", label);
		r = recording_put_state(jail, jail->state, why, jail->restricted_uid, 0);
		if (r == 0)
			jail->cut_owed &= ~(1U << i);
	}
	return r;
}

/* ---- may it be promised? ---- */

static void restrict_refuse(struct jail *jail, __u64 id, const char *text)
{
	control_reply(jail->warden, id, CUSTODY_EXIT_REFUSED, 0, text);
}

/* What of the request can be kept, as bits to hold; 0 with *ret_why when it cannot. */
static __u32 restrict_choose(const struct jail *jail, const struct request_restrict *request,
			     const char **ret_why)
{
	bool lsm = jail->planes_active & CUSTODY_PLANE_LSM;
	__u32 what = request->what & RESTRICTION_EGRESS;

	*ret_why = NULL;
	if ((request->what & RESTRICTION_DEVICES) &&
	    (lsm || jail->plan->n_devices == 0 || request->opens_only))
		what |= lsm || jail->plan->n_devices == 0 ? RESTRICTION_DEVICES
							  : RESTRICTION_DEVICES_OPEN;
	else if (request->what & RESTRICTION_DEVICES)
		*ret_why = "has devices that may be open already, and only the plane \"lsm\", "
			   "which is not active here, can refuse their ioctl and mmap. With "
			   "--opens-only new opens are refused; to take what is open, freeze or "
			   "stop it";
	if ((request->what & RESTRICTION_SCRATCH) && !request->opens_only)
		what |= RESTRICTION_SCRATCH;
	else if ((request->what & RESTRICTION_SCRATCH) && lsm)
		what |= RESTRICTION_SCRATCH_OPEN;
	else if (request->what & RESTRICTION_SCRATCH)
		*ret_why = "has scratch in which only the plane \"lsm\", which is not active here, "
			   "can refuse opens alone. Without --opens-only the whole of it is made "
			   "read-only, which the kernel does when nothing there is open for "
			   "writing";
	return *ret_why ? 0 : what;
}

static const char *restrict_check_endpoints(const struct jail *jail, __u32 endpoints)
{
	for (__u32 i = 0; i < jail->plan->n_endpoints; i++) {
		if ((endpoints & (1U << i)) && jail->plan->endpoints[i].family == PLAN_FAMILY_UNIX)
			return "has that endpoint as a UNIX socket, and no plane sees the bytes of "
			       "those. Freeze or stop it";
	}
	return NULL;
}

static bool restrict_check(struct jail *jail, const struct request_restrict *request,
			   __u32 *ret_what)
{
	char text[CUSTODY_TEXT_SIZE];
	const char *why = NULL;

	if (request->jail_id != jail->id || !jail->plan ||
	    (jail->state != JAIL_STATE_RUNNING && jail->state != JAIL_STATE_FROZEN) ||
	    jail->init == 0)
		why = "is not running, or is another model by that name by now";
	else if (request->endpoints >> jail->plan->n_endpoints)
		why = "has not that many endpoints";
	else
		why = restrict_check_endpoints(jail, request->endpoints);
	if (!why)
		*ret_what = restrict_choose(jail, request, &why);
	if (!why)
		return true;
	(void)snprintf(text, sizeof(text), "%s %s. Nothing was changed.", jail->name, why);
	restrict_refuse(jail, request->head.id, text);
	return false;
}

/* ---- doing it ---- */

static int restrict_scratch(struct jail *jail, __u64 id)
{
	char text[CUSTODY_TEXT_SIZE];
	__u32 zone = 0;
	int r = remount_scratch(jail, &zone);

	if (r == 0)
		return 0;
	if (r == -EBUSY)
		(void)snprintf(text, sizeof(text),
			       "%s has something in %.127s open or mapped for writing, so the "
			       "kernel does not make it read-only. %sTo be sure, freeze or stop "
			       "it. Nothing was changed.", jail->name, jail->zones[zone].target,
			       jail->planes_active & CUSTODY_PLANE_LSM ?
			       "With --opens-only new opens are refused. " : "");
	else
		(void)snprintf(text, sizeof(text), "The scratch of %s could not be made read-only "
			       "(%s). Nothing was changed.", jail->name, strerror(-r));
	if (id)
		restrict_refuse(jail, id, text);
	else
		log_error("%s", text);
	return r;
}

/* The state file first. `scratch` of what is new may still be refused by the kernel. */
static int restrict_take(struct jail *jail, __u32 what, __u32 endpoints, __u32 uid, __u64 id)
{
	jail->restricted |= what;
	jail->restricted_owed |= what;
	jail->cut |= endpoints;
	jail->cut_owed |= endpoints;
	jail->restricted_uid = uid;
	if (state_save(jail) == 0) {
		if (!(what & RESTRICTION_SCRATCH) || restrict_scratch(jail, id) == 0)
			return 0;
		id = 0;
	}
	jail->restricted &= ~what;
	jail->restricted_owed &= ~what;
	jail->cut &= ~endpoints;
	jail->cut_owed &= ~endpoints;
	(void)state_save(jail);
	if (id)
		control_reply(jail->warden, id, CUSTODY_EXIT_INTERNAL, 0,
			      "What is to hold could not be saved below /run/custody, and a "
			      "restarted custodyd would not know of it. Nothing was changed.");
	return -EIO;
}

void restrict_jail(struct jail *jail, const struct request_restrict *request)
{
	__u32 what = 0, endpoints;
	char text[CUSTODY_TEXT_SIZE];
	int r;

	if (!restrict_check(jail, request, &what))
		return;
	what &= ~jail->restricted;
	endpoints = request->endpoints & ~jail->cut;
	if (!what && !endpoints) {
		(void)snprintf(text, sizeof(text), "%s is restricted so already.", jail->name);
		control_reply(jail->warden, request->head.id, CUSTODY_EXIT_DONE, 0, text);
		return;
	}
	if (restrict_take(jail, what, endpoints, request->peer.uid, request->head.id) < 0)
		return;
	r = restrict_install(jail);
	if (r < 0) {
		(void)snprintf(text, sizeof(text), "The kernel's policy of %s could not be changed "
			       "(%s): freeze or stop it.", jail->name, strerror(-r));
		control_reply(jail->warden, request->head.id, CUSTODY_EXIT_INTERNAL, 0, text);
		return;
	}
	/* It is so, recorded or not: what the recorder could not take is owed to it. */
	if (restrict_record(jail) < 0)
		log_error("What was taken from %s could not be recorded yet.", jail->name);
	(void)state_save(jail);
	(void)snprintf(text, sizeof(text), "%s is restricted.", jail->name);
	log_info("%s By uid %u.", text, request->peer.uid);
	control_reply(jail->warden, request->head.id, CUSTODY_EXIT_DONE, 0, text);
}

/* ---- the next custodyd ---- */

static int restrict_resume_one(struct jail *jail)
{
	int r = restrict_install(jail);

	if (r < 0) {
		log_error("The policy of %s, which is restricted, cannot be read or changed: %s.",
			  jail->name, strerror(-r));
		return r;
	}
	/* Cut off between the state file and the mounts: nobody was told that it holds. */
	if ((jail->restricted_owed & RESTRICTION_SCRATCH) && jail->init > 0 &&
	    restrict_scratch(jail, 0) < 0) {
		jail->restricted &= ~RESTRICTION_SCRATCH;
		jail->restricted_owed &= ~RESTRICTION_SCRATCH;
		return state_save(jail);
	}
	return 0;
}

int restrict_resume(struct warden *warden)
{
	int r = 0;

	for (struct jail *j = warden->jails; r == 0 && j; j = j->next) {
		if (jails_is_alive(j) && j->init > 0 && (j->restricted || j->cut))
			r = restrict_resume_one(j);
	}
	return r;
}
