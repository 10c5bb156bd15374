/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody.conf, the host's own settings. Run by the planner on text that it does not trust. Pure
 * but for memory.
 */
#ifndef CUSTODY_PLANNER_HOST_H
#define CUSTODY_PLANNER_HOST_H

#include <stddef.h>

#include "custody/message.h"
#include "problems.h"

/* Fills in ret, which is zeroed, or adds problems. file is for messages, and outlives them. */
void host_parse(const char *file, const char *text, size_t size, struct host_settings *ret,
		struct problems *problems);

#endif
