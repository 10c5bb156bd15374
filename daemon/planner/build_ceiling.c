/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress ceilings: from settings to the plan. Run by the planner. Trusts no setting; plan_check()
 * has the last word.
 */
#include "build_ceiling.h"

#include <string.h>
#include <strings.h>

#include "plan.h"
#include "value.h"

static bool build_is_endpoint(const struct custody_plan *plan, const struct plan_endpoint *e,
			      const struct value_endpoint *want)
{
	const char *path = plan_string(plan, e->path);

	if (e->family != want->family || e->protocol != want->protocol || e->port != want->port ||
	    memcmp(e->address, want->address, sizeof(e->address)) != 0)
		return false;
	/* The name of a host stands there as it was written, with its port. */
	if (e->family == PLAN_FAMILY_NAME)
		return strlen(path) == value_host_length(want->path) &&
		       strncasecmp(path, want->path, strlen(path)) == 0;
	return strcmp(path, want->path ? want->path : "") == 0;
}

/* The plan's endpoint that is written like this; CEILING_SLOTS: none. */
static __u32 build_find_endpoint(const struct custody_plan *plan, const char *text)
{
	struct value_endpoint want = { 0 };

	if (value_parse_endpoint(text, &want) < 0 && value_parse_egress(text, &want) < 0)
		return CEILING_SLOTS;
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		if (build_is_endpoint(plan, &plan->endpoints[i], &want))
			return i;
	}
	return CEILING_SLOTS;
}

static void build_add_ceiling(struct custody_plan *plan, const struct word *word, bool rate,
			      struct problems *problems)
{
	const char *key = rate ? "egress-rate" : "egress-total";
	struct value_ceiling from;
	__u32 slot = CEILING_MODEL;
	__u64 *to;

	if (value_parse_ceiling(word->text, rate, &from) < 0)
		return; /* settings_check_value() has said so */
	if (!from.whole)
		slot = build_find_endpoint(plan, from.endpoint);
	if (slot == CEILING_SLOTS) {
		char text[sizeof(from.endpoint)];

		words_escape(from.endpoint, text, sizeof(text));
		problems_error(problems, word->place,
			       "[network] %s: %s is in neither [network] listen nor egress; "
			       "write it as it stands there", key, text);
		return;
	}
	to = rate ? &plan->ceilings[slot].rate : &plan->ceilings[slot].total;
	if (*to != 0)
		problems_error(problems, word->place, "[network] %s: given twice for %s", key,
			       from.whole ? "the model" : "one endpoint");
	*to = from.bytes;
}

/* What happens at it: the setting, or the default when there is such a ceiling at all. */
static __u32 build_find_action(const struct setting_value *value, bool any, __u32 fallback,
			       const char *key, const char *ceiling, struct problems *problems)
{
	if (value->set && !any)
		problems_error(problems, value->place,
			       "[network] %s: there is no ceiling; set %s, or leave %s out", key,
			       ceiling, key);
	if (!any)
		return 0;
	return value->set ? (__u32)value->number : fallback;
}

void build_set_ceilings(const struct settings *settings, struct custody_plan *plan,
			struct problems *problems)
{
	const struct setting_value *rates = &settings->egress_rate;
	const struct setting_value *totals = &settings->egress_total;
	bool has_rate = rates->set && !settings_is_none(rates);
	bool has_total = totals->set && !settings_is_none(totals);
	const char *why = "";

	for (size_t i = 0; has_rate && i < rates->words.n; i++)
		build_add_ceiling(plan, &rates->words.list[i], true, problems);
	for (size_t i = 0; has_total && i < totals->words.n; i++)
		build_add_ceiling(plan, &totals->words.list[i], false, problems);
	plan->on_rate = build_find_action(&settings->on_rate, has_rate, CEILING_THROTTLE,
					  "on-rate", "egress-rate", problems);
	plan->on_ceiling = build_find_action(&settings->on_ceiling, has_total, CEILING_CUT,
					     "on-ceiling", "egress-total", problems);
	if (problems_none(problems) && !plan_check_ceilings(plan, &why))
		problems_error(problems, has_total ? totals->place : rates->place,
			       "[network] %s: %s",
			       has_total ? "egress-total" : "egress-rate", why);
}
