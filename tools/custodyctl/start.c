/* SPDX-License-Identifier: Apache-2.0 */
/* custodyctl start: launches a model in custody. Run as the caller. Trusts no reply's text. */
#include "cleanup.h"
#include "client.h"
#include "registry.h"

int command_start(int argc, char **argv, const struct command_options *options)
{
	struct request_start request = { 0 };
	const char *profile = "";
	const char *model = NULL;
	const struct client_option table[] = {
		{ "--profile", &profile },
		{ "--model", &model },
	};
	int words = client_parse_options(argc, argv, table, ARRAY_SIZE(table));

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words != 1) {
		client_complain("start needs one NAME for the model, or NAME@VERSION.");
		return CUSTODY_EXIT_USAGE;
	}
	if (!registry_take_version(request.name, sizeof(request.name), argv[1],
				   &request.version) ||
	    !client_copy_text(request.profile, sizeof(request.profile), profile, "profile"))
		return CUSTODY_EXIT_USAGE;
	if (model && !client_copy_directory(request.model, sizeof(request.model), model))
		return CUSTODY_EXIT_USAGE;
	return client_ask_progress(options, request.name, MSG_REQUEST_START, &request,
				   sizeof(request));
}
