/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freeze and thaw. Run by custodyd. Trusts the kernel's word on cgroups, nothing of the model's; of
 * its broker only that calls which it keeps waiting hold off a freeze, which then fails in time.
 */
#include <stdio.h>

#include "cgroup.h"
#include "log.h"
#include "message.h"
#include "warden.h"

#define FREEZE_MS 2000

/* An older broker of an adopted jail, or one that is gone: then only its short calls are over. */
static void freeze_hold_calls(const struct jail *jail, bool hold)
{
	struct broker_hold message = { .hold = hold };

	if (jail->broker.channel >= 0 &&
	    MESSAGE_SEND(jail->broker.channel, ROLE_WARDEN, BROKER_HOLD, 0, &message) < 0)
		log_warning("The broker of %s takes no message; what waits in it may hold off a "
			    "freeze.", jail->name);
}

/*
 * The model first, and then the broker: a call that the broker has taken waits for the answer in a
 * sleep that only SIGKILL ends, and is not frozen before it has it. It answers all of them now.
 */
int freeze_cgroups(const struct jail *jail, bool freeze)
{
	char model[CUSTODY_PATH_SIZE + 8];
	int r = 0;

	(void)snprintf(model, sizeof(model), "%s/model", jail->cgroup);
	if (freeze) {
		freeze_hold_calls(jail, true);
		r = cgroup_freeze(model, true, FREEZE_MS);
	}
	if (r == 0)
		r = cgroup_freeze(jail->cgroup, freeze, FREEZE_MS);
	if (r < 0 || !freeze)
		freeze_hold_calls(jail, false);
	/* Its parent holds it from here on, or nothing does: no use in waiting. */
	(void)cgroup_freeze(model, false, 0);
	return r;
}

int freeze_jail(struct jail *jail, bool freeze, const char *why, __u32 uid)
{
	enum jail_state state = freeze ? JAIL_STATE_FROZEN : JAIL_STATE_RUNNING;
	int r = freeze_cgroups(jail, freeze);

	if (r < 0) {
		(void)cgroup_freeze(jail->cgroup, !freeze, 0);
		return r;
	}
	jail->state = state;
	jail->state_why = why;
	/* It is so, recorded or not: what the recorder could not take is owed to it. */
	jail->state_owed = recording_put_state(jail, state, why, uid, 0) < 0;
	if (state_save(jail) < 0)
		log_error("The state of %s could not be saved; a restarted custodyd would take it "
			  "for what it was before.", jail->name);
	return 0;
}
