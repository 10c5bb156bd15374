/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request checks of custody-front. Pure: no system calls, no allocation, no state.
 * Trusts nothing in a request beyond what message_recv() has checked.
 */
#include "check.h"

#include <string.h>

#include "plan.h"

enum check_rank check_rank_peer(__u32 uid, bool in_group)
{
	if (uid == 0)
		return CHECK_ROOT;
	return in_group ? CHECK_READER : CHECK_NOBODY;
}

/* Absolute, no empty, "." or ".." component, no slash at the end. */
static bool check_path(const char *path)
{
	const char *part = path;

	if (path[0] != '/')
		return false;
	while (*part) {
		size_t n = strcspn(part + 1, "/");

		if (n == 0 || (n == 1 && part[1] == '.') ||
		    (n == 2 && part[1] == '.' && part[2] == '.'))
			return false;
		part += 1 + n;
	}
	return true;
}

static bool check_launch(const char *name, const char *profile, const char *model,
			 const char **ret_why)
{
	*ret_why = NULL;
	if (!plan_check_name(name))
		*ret_why = "The name must start with a-z or 0-9, hold only a-z 0-9 . _ - and be "
			   "shorter than 64 characters.";
	else if (profile[0] && !plan_check_name(profile))
		*ret_why = "The profile must be named by its name (a-z 0-9 . _ -), not by a path.";
	else if (model[0] && !check_path(model))
		*ret_why = "The model must be an absolute directory without \".\" and \"..\".";
	return !*ret_why;
}

/* Exactly n_args strings, each with its NUL, in the first args_len bytes. */
static bool check_args(const struct request_run *run)
{
	__u32 strings = 0;

	if (run->args_len == 0 || run->args_len > sizeof(run->args) || run->n_args == 0 ||
	    run->n_args > PLAN_ARGS_MAX)
		return false;
	if (run->args[0] == '\0' || run->args[run->args_len - 1] != '\0')
		return false;
	for (__u32 i = 0; i < run->args_len; i++)
		strings += run->args[i] == '\0';
	return strings == run->n_args;
}

static bool check_run(const struct request_run *run, const char **ret_why)
{
	if (!check_launch(run->name, run->profile, run->model, ret_why))
		return false;
	if (check_args(run) && run->measure <= 1 && run->pad == 0)
		return true;
	*ret_why = "The command is empty, too long, or not what its length says.";
	return false;
}

static bool check_verb(const struct request_name *named, const char **ret_why)
{
	*ret_why = NULL;
	if (named->verb == 0 || named->verb >= _REQUEST_VERB_MAX)
		*ret_why = "This custodyd does not know that request.";
	else if (named->run != 0)
		*ret_why = "A field that must be zero is not.";
	else if (named->verb == REQUEST_PS && named->name[0])
		*ret_why = "A list of all models takes no name.";
	else if (named->verb != REQUEST_PS && !plan_check_name(named->name))
		*ret_why = "The name must start with a-z or 0-9, hold only a-z 0-9 . _ - and be "
			   "shorter than 64 characters.";
	return !*ret_why;
}

static bool check_restrict(const struct request_restrict *request, const char **ret_why)
{
	const __u32 known = RESTRICTION_EGRESS | RESTRICTION_DEVICES | RESTRICTION_SCRATCH;

	*ret_why = NULL;
	if (!plan_check_name(request->name))
		*ret_why = "The name must start with a-z or 0-9, hold only a-z 0-9 . _ - and be "
			   "shorter than 64 characters.";
	else if (request->jail_id == 0 || (request->what & ~known) || request->opens_only > 1 ||
		 (request->endpoints >> CUSTODY_ENDPOINTS_MAX) ||
		 !(request->what | request->endpoints))
		*ret_why = "This custodyd does not know that restriction.";
	return !*ret_why;
}

static bool check_paths(const struct request_model *request)
{
	const char *const optional[] = { request->signature, request->card };

	for (size_t i = 0; i < 2; i++) {
		if (optional[i][0] && !check_path(optional[i]))
			return false;
	}
	return check_path(request->directory);
}

static bool check_model(const struct request_model *request, const char **ret_why)
{
	const __u32 verb = request->verb;

	*ret_why = NULL;
	if (verb < REGISTRY_LIST || verb > REGISTRY_REVOKE)
		*ret_why = "This custodyd does not know that request about the registry.";
	else if (!plan_check_name(request->name) && (verb != REGISTRY_LIST || request->name[0]))
		*ret_why = "The name must start with a-z or 0-9, hold only a-z 0-9 . _ - and be "
			   "shorter than 64 characters.";
	else if (request->version > REGISTRY_VERSIONS_MAX ||
		 (request->version && verb != REGISTRY_ROLLBACK && verb != REGISTRY_REVOKE))
		*ret_why = "Versions are numbers from 1 to 64, and only rollback and revoke take "
			   "one.";
	else if (request->pad != 0 || request->running > (verb == REGISTRY_ROLLBACK))
		*ret_why = "A field that must be zero is not.";
	else if (verb == REGISTRY_REVOKE && !request->why[0])
		*ret_why = "A revocation needs a reason.";
	else if (verb == REGISTRY_ADD && request->profile[0] && !plan_check_name(request->profile))
		*ret_why = "The profile must be named by its name (a-z 0-9 . _ -), not by a path.";
	else if (verb == REGISTRY_ADD && !check_paths(request))
		*ret_why = "What is registered must be named by absolute paths without \".\" and "
			   "\"..\".";
	return !*ret_why;
}

bool check_request(const union message_buffer *request, const char **ret_why)
{
	const struct request_start *start = (const struct request_start *)request;

	switch (request->head.type) {
	case MSG_REQUEST_START:
		*ret_why = "Versions are numbers from 1 to 64.";
		return start->version <= REGISTRY_VERSIONS_MAX && start->pad == 0 &&
		       check_launch(start->name, start->profile, start->model, ret_why);
	case MSG_REQUEST_RUN:
		return check_run((const struct request_run *)request, ret_why);
	case MSG_REQUEST_NAME:
		return check_verb((const struct request_name *)request, ret_why);
	case MSG_REQUEST_MODEL:
		return check_model((const struct request_model *)request, ret_why);
	case MSG_REQUEST_RESTRICT:
		return check_restrict((const struct request_restrict *)request, ret_why);
	default:
		*ret_why = "That is not a request.";
		return false;
	}
}

bool check_permission(const union message_buffer *request, enum check_rank rank)
{
	const struct request_name *named = (const struct request_name *)request;
	const struct request_model *model = (const struct request_model *)request;

	if (rank == CHECK_ROOT)
		return true;
	if (rank == CHECK_READER && request->head.type == MSG_REQUEST_MODEL)
		return model->verb == REGISTRY_LIST;
	return rank == CHECK_READER && request->head.type == MSG_REQUEST_NAME &&
	       (named->verb == REQUEST_PS || named->verb == REQUEST_STATUS);
}

const char *check_find_name(const union message_buffer *request)
{
	switch (request->head.type) {
	case MSG_REQUEST_START:
		return ((const struct request_start *)request)->name;
	case MSG_REQUEST_RUN:
		return ((const struct request_run *)request)->name;
	case MSG_REQUEST_RESTRICT:
		return ((const struct request_restrict *)request)->name;
	case MSG_REQUEST_MODEL:
		return ((const struct request_model *)request)->name;
	default:
		return ((const struct request_name *)request)->name;
	}
}

struct message_peer *check_find_peer(union message_buffer *request)
{
	switch (request->head.type) {
	case MSG_REQUEST_START:
		return &((struct request_start *)request)->peer;
	case MSG_REQUEST_RUN:
		return &((struct request_run *)request)->peer;
	case MSG_REQUEST_RESTRICT:
		return &((struct request_restrict *)request)->peer;
	case MSG_REQUEST_MODEL:
		return &((struct request_model *)request)->peer;
	default:
		return &((struct request_name *)request)->peer;
	}
}
