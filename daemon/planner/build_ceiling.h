/* SPDX-License-Identifier: Apache-2.0 */
/* Egress ceilings: from settings to the plan, after its endpoints. Run by the planner. */
#ifndef CUSTODY_PLANNER_BUILD_CEILING_H
#define CUSTODY_PLANNER_BUILD_CEILING_H

#include "problems.h"
#include "settings.h"

/* Sets ceilings, on_rate and on_ceiling of the plan, which has its endpoints; adds problems. */
void build_set_ceilings(const struct settings *settings, struct custody_plan *plan,
			struct problems *problems);

#endif
