/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.check: the part of plan_check() about the programs that look at a model before it starts,
 * and the plan of the jail in which one of them does. Pure. Trusts no byte of the plan until it is
 * checked.
 *
 * A check's jail is the model's jail with rights taken away, and none given:
 * K1  no endpoint, no destination, no loopback: it has no network at all
 * K2  no device, and nothing that can be written but its private scratch
 * K3  its program, arguments and name are its own; zones, limits, system calls and required planes
 *     are those of the model's profile
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "plan_internal.h"

static bool plan_check_checker(const struct custody_plan *plan, const struct plan_checker *checker,
			       const char **ret_why)
{
	if (checker->n_args < 1 || checker->n_args > PLAN_CHECKER_ARGS_MAX || checker->pad != 0)
		return plan_refuse(ret_why, "a check has no arguments, too many, or padding");
	if (!plan_is_zero(checker->args + checker->n_args,
			  sizeof(checker->args) - checker->n_args * sizeof(checker->args[0])))
		return plan_refuse(ret_why, "an entry that is not counted is not empty");
	if (!plan_check_path(plan, checker->args[0]) || checker->args[0].len == 1)
		return plan_refuse(ret_why, "the program of a check needs an absolute path, such "
					    "as /usr/bin/clamscan");
	for (__u32 i = 1; i < checker->n_args; i++) {
		if (!plan_check_string(plan, checker->args[i]))
			return plan_refuse(ret_why, "an argument is no string of the pool");
	}
	if (!plan_check_origin(plan, checker->origin))
		return plan_refuse(ret_why, "the origin of a check is not printable text");
	return true;
}

bool plan_check_checkers(const struct custody_plan *plan, const char **ret_why)
{
	if (plan->n_checkers > PLAN_CHECKERS_MAX)
		return plan_refuse(ret_why, "a count is out of range");
	if (!plan_is_zero(plan->checkers + plan->n_checkers,
			  sizeof(plan->checkers) - plan->n_checkers * sizeof(plan->checkers[0])))
		return plan_refuse(ret_why, "an entry that is not counted is not empty");
	if (plan->n_checkers == 0)
		return plan->checker_timeout_s == 0 ||
		       plan_refuse(ret_why, "a time limit of checks, and no check");
	if (!(plan->admission & PLAN_ADMISSION_MEASURE))
		return plan_refuse(ret_why, "a model is to be checked and not to be measured");
	if (plan->checker_timeout_s == 0 || plan->checker_timeout_s > PLAN_CHECKER_TIMEOUT_MAX)
		return plan_refuse(ret_why, "the time limit of checks is not from 1s to 1h");
	if (strlen(plan->name) + strlen(PLAN_CHECKER_SUFFIX) >= sizeof(plan->name))
		return plan_refuse(ret_why, "the name of a model that is checked has at most 57 "
					    "characters");
	for (__u32 i = 0; i < plan->n_checkers; i++) {
		if (!plan_check_checker(plan, &plan->checkers[i], ret_why))
			return false;
	}
	return true;
}

/* Zones that can be written outside of the jail go (K2); the others keep their order. */
static void plan_drop_writable(struct custody_plan *plan)
{
	__u32 n = 0;

	for (__u32 i = 0; i < plan->n_zones; i++) {
		if (plan->zones[i].label != CUSTODY_LABEL_WRITE)
			plan->zones[n++] = plan->zones[i];
	}
	memset(plan->zones + n, 0, (plan->n_zones - n) * sizeof(plan->zones[0]));
	plan->n_zones = n;
}

/* K1, K2 and what asks something of the model: that has been answered by now. */
static void plan_drop_rights(struct custody_plan *plan)
{
	plan->flags &= PLAN_FLAG_JIT;
	plan->n_endpoints = plan->n_devices = 0;
	memset(plan->endpoints, 0, sizeof(plan->endpoints));
	memset(plan->devices, 0, sizeof(plan->devices));
	memset(plan->ceilings, 0, sizeof(plan->ceilings));
	plan->on_rate = plan->on_ceiling = 0;
	plan_drop_writable(plan);
	plan->admission = plan->formats = 0;
	plan->n_keys = plan->n_attestations = 0;
	memset(plan->keys, 0, sizeof(plan->keys));
	memset(plan->attestations, 0, sizeof(plan->attestations));
	plan->admission_origin = plan->formats_origin = (struct plan_string){ 0 };
	plan->signature = plan->signature_origin = (struct plan_string){ 0 };
	plan->attestations_path = (struct plan_string){ 0 };
	plan->model_version = 0;
	plan->n_checkers = plan->checker_timeout_s = 0;
	memset(plan->checkers, 0, sizeof(plan->checkers));
	plan->drain_timeout_s = 0;
}

/* The profile's directory may be one that is written to. */
static int plan_set_workdir(struct custody_plan *plan)
{
	if (plan->pool_used > PLAN_POOL_SIZE - 2)
		return -ENOSPC;
	plan->workdir = (struct plan_string){ .off = plan->pool_used, .len = 1 };
	plan->pool[plan->pool_used] = '/';
	plan->pool_used += 2;
	return 0;
}

int plan_make_check(const struct custody_plan *plan, __u32 index, struct custody_plan *ret)
{
	const struct plan_checker *checker;
	const char *why = "";
	int r;

	if (index >= plan->n_checkers)
		return -ERANGE;
	checker = &plan->checkers[index];
	*ret = *plan;
	plan_drop_rights(ret);
	memset(ret->name, 0, sizeof(ret->name));
	(void)snprintf(ret->name, sizeof(ret->name), "%.57s%s", plan->name, PLAN_CHECKER_SUFFIX);
	memset(ret->args, 0, sizeof(ret->args));
	memcpy(ret->args, checker->args, checker->n_args * sizeof(checker->args[0]));
	ret->n_args = checker->n_args;
	ret->command_origin = checker->origin;
	r = plan_set_workdir(ret);
	if (r < 0)
		return r;
	return plan_check(ret, &why) ? 0 : -EPROTO;
}
