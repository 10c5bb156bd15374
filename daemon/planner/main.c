/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-planner: profiles to plans. Started by custodyd as root, it becomes its own uid without
 * any privilege and answers one request; with arguments it looks at a profile for the caller.
 */
#include <unistd.h>

#include "custody/message.h"
#include "log.h"
#include "serve.h"

int main(int argc, char **argv)
{
	log_setup("custody-planner", LOG_LEVEL_INFO);
	if (argc > 1)
		return inspect_profile(argc, argv);
	return serve_request(CUSTODY_CHANNEL_FD);
}
