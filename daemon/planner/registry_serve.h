/* SPDX-License-Identifier: Apache-2.0 */
/* One request about the registry. Run by the planner once it has no privilege left. */
#ifndef CUSTODY_PLANNER_REGISTRY_SERVE_H
#define CUSTODY_PLANNER_REGISTRY_SERVE_H

#include "registry.h"
#include "source.h"

/* Answers on the channel. Returns an enum custody_exit. */
int registry_serve(int channel, const struct registry_request *request,
		   const struct source_directory *models);

#endif
