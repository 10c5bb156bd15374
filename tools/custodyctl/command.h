/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What custodyctl's subcommands share. One subcommand = one file = one function below.
 * Run as the caller; trusts neither replies nor files: strings from them are escaped.
 */
#ifndef CUSTODYCTL_COMMAND_H
#define CUSTODYCTL_COMMAND_H

#include <stdbool.h>

#include "custody/message.h"

/* Options that stand before the subcommand. */
struct command_options {
	const char *root;	/* --root DIR, or CUSTODY_ROOT; "" for the host */
	bool json;		/* --json, also accepted after the subcommand */
	bool quiet;		/* --quiet: no progress */
};

/*
 * argv[0] is the subcommand. Prints to stdout (results) and stderr (problems, in sentences).
 * Returns an enum custody_exit.
 */
int command_doctor(int argc, char **argv, const struct command_options *options);
int command_start(int argc, char **argv, const struct command_options *options);
int command_run(int argc, char **argv, const struct command_options *options);
/* stop, freeze, thaw, retire */
int command_stop(int argc, char **argv, const struct command_options *options);
int command_restrict(int argc, char **argv, const struct command_options *options);
int command_ps(int argc, char **argv, const struct command_options *options);
int command_status(int argc, char **argv, const struct command_options *options);
int command_events(int argc, char **argv, const struct command_options *options);
int command_profile(int argc, char **argv, const struct command_options *options);
int command_ledger(int argc, char **argv, const struct command_options *options);
/* model sign, model verify */
int command_model(int argc, char **argv, const struct command_options *options);
int command_evidence(int argc, char **argv, const struct command_options *options);

#endif
