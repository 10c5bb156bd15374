/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings and a request to a plan. Run by the planner. Trusts neither: every piece is put to
 * plan_check() as it is added, so that a refusal names the line that asked for it.
 */
#ifndef CUSTODY_PLANNER_BUILD_H
#define CUSTODY_PLANNER_BUILD_H

#include <stddef.h>

#include "custody/plan.h"
#include "profile.h"

struct build_request {
	const char *name;	/* of the model in custody */
	const char *profile;	/* name of the profile */
	const char *model;	/* host path that replaces model.path; "" for none */
	const char *args;	/* n_args NUL-terminated strings that replace the command */
	size_t args_len;
	__u32 n_args;
	__u32 model_version;	/* of the registry; 0: none */
	const char *signature;	/* replaces model.signature; "" or NULL: none */
	bool measure;		/* whatever the profile says: the registry asks for the digest */
	/*
	 * To look at a profile without launching it: a missing model path or command, which may
	 * come with the request or with a profile that extends this one, is no error.
	 */
	bool partial;
};

/*
 * Fills in ret, or adds problems and leaves ret in an unspecified state. The settings have
 * passed profile_check_support() for this to be launched; that is the caller's part.
 */
void build_plan(const struct settings *settings, const struct build_request *request,
		struct custody_plan *ret, struct problems *problems);

/* SHA-256 of the canonical print. Returns 0 or -errno. */
int build_digest(const struct settings *settings, __u8 ret[CUSTODY_DIGEST_SIZE]);

#endif
