/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl stop, freeze, thaw, retire: one name, one verb, steps. Run as the caller. Trusts no
 * reply's text.
 */
#include <string.h>

#include "cleanup.h"
#include "client.h"

struct stop_verb {
	const char *command;
	__u32 verb;
};

static const struct stop_verb stop_verbs[] = {
	{ "stop", REQUEST_STOP },
	{ "freeze", REQUEST_FREEZE },
	{ "thaw", REQUEST_THAW },
	{ "retire", REQUEST_RETIRE },
};

int command_stop(int argc, char **argv, const struct command_options *options)
{
	struct request_name request = { 0 };
	int words = client_parse_options(argc, argv, NULL, 0);

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words != 1) {
		client_complain("%s needs the NAME of one model in custody. See custodyctl ps.",
				argv[0]);
		return CUSTODY_EXIT_USAGE;
	}
	for (size_t n = 0; n < ARRAY_SIZE(stop_verbs); n++) {
		if (strcmp(argv[0], stop_verbs[n].command) == 0)
			request.verb = stop_verbs[n].verb;
	}
	if (request.verb == 0) {
		client_complain("%s is no request to custodyd.", client_quote(argv[0]).text);
		return CUSTODY_EXIT_USAGE;
	}
	if (!client_copy_text(request.name, sizeof(request.name), argv[1], "name"))
		return CUSTODY_EXIT_USAGE;
	return client_ask_progress(options, request.name, MSG_REQUEST_NAME, &request,
				   sizeof(request));
}
