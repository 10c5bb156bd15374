/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as custody-planner prints it. Run by custodyctl. Trusts no line of it. */
#ifndef CUSTODYCTL_PROFILE_H
#define CUSTODYCTL_PROFILE_H

#include "command.h"

/*
 * profile show NAME: its canonical text, or with `lines` its settings, as in
 * daemon/planner/inspect.c. free() it. 0, or an exit code; the planner has complained then.
 */
int profile_ask(const struct command_options *options, const char *name, bool lines, char **ret);

#endif
