/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retirement read out of ledger records. Run by the recorder, and again by custody-verify.
 * Pure. Trusts records only after record_check().
 */
#include "retirement.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "custody/message.h"

void retirement_setup(struct retirement *retirement, __u32 jail_id, __u64 first_seq,
		      const __u8 previous[CUSTODY_DIGEST_SIZE])
{
	memset(retirement, 0, sizeof(*retirement));
	retirement->jail_id = jail_id;
	retirement->first_seq = first_seq;
	memcpy(retirement->previous_hash, previous, CUSTODY_DIGEST_SIZE);
}

static int retirement_add_launch(struct retirement *r, const struct record_entry *entry,
				 const char **ret_why)
{
	*ret_why = "the jail is launched twice";
	if (r->launched)
		return -EBADMSG;
	r->launched = true;
	r->launched_ns = entry->head.time_ns;
	r->launch = entry->payload.launch;
	return 0;
}

static int retirement_add_measured(struct retirement *r, const struct record_entry *entry,
				   const char **ret_why)
{
	*ret_why = "the model is measured twice, or was launched after it was refused";
	if (r->measured.jail_id != 0 || (entry->payload.measured.flags & MEASURED_REFUSED) ||
	    memcmp(entry->payload.measured.name, r->launch.name, sizeof(r->launch.name)) != 0)
		return -EBADMSG;
	r->measured = entry->payload.measured;
	return 0;
}

static int retirement_add_check(struct retirement *r, const struct record_entry *entry,
				const char **ret_why)
{
	const struct ledger_checked *check = &entry->payload.checked;

	*ret_why = "a check of the model stands out of order, or was not passed";
	if (r->n_checks == PLAN_CHECKERS_MAX || check->index != r->n_checks ||
	    !(check->flags & CHECK_PASSED) ||
	    memcmp(check->name, r->launch.name, sizeof(r->launch.name)) != 0)
		return -EBADMSG;
	r->checks[r->n_checks++] = *check;
	return 0;
}

static int retirement_add_fact(struct retirement *r, const struct record_entry *entry,
			       const char **ret_why)
{
	*ret_why = "more facts are recorded for one retirement than there can be";
	if (r->n_facts == RETIREMENT_FACTS_MAX)
		return -EBADMSG;
	if (r->n_facts == 0)
		r->facts_first = entry->head.seq;
	r->facts[r->n_facts++] = entry->payload.fact.fact;
	return 0;
}

static int retirement_add_retire(struct retirement *r, const struct record_entry *entry,
				 const char **ret_why)
{
	const struct ledger_retire *retire = &entry->payload.retire;

	*ret_why = "what is retired is not what was launched: name, profile or plan differ";
	if (memcmp(retire->name, r->launch.name, sizeof(retire->name)) != 0 ||
	    memcmp(retire->profile, r->launch.profile, sizeof(retire->profile)) != 0 ||
	    memcmp(retire->profile_digest, r->launch.profile_digest, CUSTODY_DIGEST_SIZE) != 0 ||
	    memcmp(retire->plan_digest, r->launch.plan_digest, CUSTODY_DIGEST_SIZE) != 0)
		return -EBADMSG;
	r->retired = true;
	r->judged = false;
	r->retire = *retire;
	r->retire_seq = entry->head.seq;
	r->retired_ns = entry->head.time_ns;
	memcpy(r->retire_hash, entry->head.hash, sizeof(r->retire_hash));
	if (r->n_facts == 0)
		r->facts_first = entry->head.seq;
	return 0;
}

static int retirement_add_verdict(struct retirement *r, const struct record_entry *entry,
				  const char **ret_why)
{
	const struct ledger_verdict *verdict = &entry->payload.verdict;

	*ret_why = "the verdict record does not follow the retire record that it names";
	if (!r->retired || entry->head.seq != r->retire_seq + 1 ||
	    verdict->retire_seq != r->retire_seq || verdict->facts_first != r->facts_first)
		return -EBADMSG;
	r->judged = true;
	r->verdict = *verdict;
	return 0;
}

/* Losses that a record tells of; those of no particular jail count for every jail. */
static void retirement_add_loss(struct retirement *r, const struct record_entry *entry)
{
	if (entry->head.type == LEDGER_OPENED && entry->payload.opened.torn_bytes != 0)
		r->gaps++;
	if (entry->head.type != LEDGER_GAP ||
	    (entry->head.jail_id != 0 && entry->head.jail_id != r->jail_id))
		return;
	r->gaps++;
	r->lost += entry->payload.gap.lost;
	if (r->lost > INT64_MAX)
		r->lost = INT64_MAX;
}

int retirement_add(struct retirement *r, const struct record_entry *entry, const char **ret_why)
{
	*ret_why = "the first record is not the launch of the jail";
	if (!r->launched &&
	    (entry->head.type != LEDGER_LAUNCH || entry->head.jail_id != r->jail_id ||
	     entry->head.seq != r->first_seq))
		return -EBADMSG;
	retirement_add_loss(r, entry);
	if (entry->head.jail_id != r->jail_id)
		return 0;
	switch (entry->head.type) {
	case LEDGER_LAUNCH:
		return retirement_add_launch(r, entry, ret_why);
	case LEDGER_STATE:
		if (entry->payload.state.state == JAIL_STATE_RETIRING)
			r->n_facts = 0;
		return 0;
	case LEDGER_MEASURED:
		return retirement_add_measured(r, entry, ret_why);
	case LEDGER_CHECKED:
		return retirement_add_check(r, entry, ret_why);
	case LEDGER_FACT:
		return retirement_add_fact(r, entry, ret_why);
	case LEDGER_RETIRE:
		return retirement_add_retire(r, entry, ret_why);
	case LEDGER_VERDICT:
		return retirement_add_verdict(r, entry, ret_why);
	case LEDGER_EVENT:
		r->events++;
		r->denied += entry->payload.event.verdict == EVENT_DENIED;
		return 0;
	default:
		return 0;
	}
}

void retirement_judge(const struct retirement *r, struct verdict_result *ret)
{
	const struct verdict_input input = {
		.facts = r->facts,
		.n_facts = r->n_facts,
		.planes_missing = (r->launch.planes_required | r->retire.planes_required) &
				  ~(r->launch.planes_active & r->retire.planes_active),
		.gaps = r->gaps,
		.lost = r->lost,
	};

	verdict_decide(&input, ret);
}
