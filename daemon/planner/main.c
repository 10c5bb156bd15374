/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-planner: profiles to plans. Started by custodyd as root, it becomes its own uid without
 * any privilege and answers one request; with arguments it looks at a profile for the caller.
 */
#include <stdio.h>

#include "custody/message.h"
#include "log.h"
#include "message.h"
#include "serve.h"

int main(int argc, char **argv)
{
	/* Given now: stdio would ask a terminal for one later, by an ioctl that seccomp forbids. */
	static char buffer[BUFSIZ];

	log_setup("custody-planner", LOG_LEVEL_INFO);
	if (setvbuf(stdout, buffer, _IOFBF, sizeof(buffer)) != 0)
		return CUSTODY_EXIT_INTERNAL;
	if (argc > 1)
		return inspect_profile(argc, argv);
	if (!message_is_channel(CUSTODY_CHANNEL_FD)) {
		log_error("custodyd starts this program. To look at a profile, run custodyctl "
			  "profile check NAME.");
		return CUSTODY_EXIT_USAGE;
	}
	return serve_request(CUSTODY_CHANNEL_FD);
}
