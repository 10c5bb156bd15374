/* SPDX-License-Identifier: Apache-2.0 */
/* The part of plan_check() that is about egress ceilings. Pure. Trusts no byte of the plan. */
#include "plan.h"

static bool plan_refuse_ceiling(const char **ret_why, const char *why)
{
	*ret_why = why;
	return false;
}

/* Bytes over UNIX sockets are in no packet: nothing would hold them. */
bool plan_check_ceilings(const struct custody_plan *plan, const char **ret_why)
{
	bool rate = false, total = false;

	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		const struct plan_ceiling *c = &plan->ceilings[i];

		if (c->rate == 0 && c->total == 0)
			continue;
		if (i != CEILING_MODEL && i >= plan->n_endpoints)
			return plan_refuse_ceiling(ret_why, "a ceiling without its endpoint");
		if (c->rate > CEILING_RATE_MAX ||
		    (c->total > CEILING_TOTAL_MAX &&
		     !(i == CEILING_MODEL && c->total == PLAN_TOTAL_AUTO)))
			return plan_refuse_ceiling(ret_why, "a ceiling is out of range");
		rate = rate || c->rate != 0;
		total = total || c->total != 0;
	}
	if (rate != (plan->on_rate != 0) || plan->on_rate >= _CEILING_ACTION_MAX ||
	    total != (plan->on_ceiling != 0) || plan->on_ceiling >= _CEILING_ACTION_MAX)
		return plan_refuse_ceiling(ret_why, "unknown answer to a ceiling, or one without a "
						    "ceiling");
	for (__u32 i = 0; (rate || total) && i < plan->n_endpoints; i++) {
		if (plan->endpoints[i].family == PLAN_FAMILY_UNIX)
			return plan_refuse_ceiling(ret_why, "an egress ceiling does not hold what "
							    "is sent over a UNIX endpoint");
	}
	return true;
}
