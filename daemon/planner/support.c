/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said in a profile, but not enforced by this version: refused, each with its line,
 * never accepted silently. Run by the planner. Pure.
 */
#include "profile.h"

#include <string.h>

#include "cleanup.h"

/* One rule: the setting may only have this one value, or none at all. */
struct support_rule {
	size_t offset;
	const char *section;
	const char *key;
	const char *only; /* NULL: it may not be set */
	const char *why;  /* and what to do */
};

#define SUPPORT_RULE(section, key, member, only, why)                                              \
	{                                                                                          \
		offsetof(struct settings, member), section, key, only, why                         \
	}

static const struct support_rule support_rules[] = {
	SUPPORT_RULE("retire", "scan", scan, "none",
		     "this version does not look for copies of the weights; set scan = none"),
	SUPPORT_RULE("retire", "erase", erase, "memory",
		     "scratch is in memory in this version and erased with it; set erase = memory"),
};

/* Without the ioctls of a GPU's driver its nodes are of no use: said here, not met later. */
static void support_check_devices(const struct settings *settings, struct problems *problems)
{
	if (!settings->devices.set || settings_is_none(&settings->devices) ||
	    settings->syscalls.number > PLAN_SYSCALLS_MODEL_SERVER)
		return;
	problems_add(problems, settings->devices.place, CUSTODY_EXIT_REFUSED,
		     "[gpu] devices: the syscall set model-server has no ioctl of a GPU; "
		     "write set = model-server-gpu (or training) in [syscalls]");
}

/* The broker connects; that nobody else does is for the cgroup plane to hold. */
static void support_check_egress(const struct settings *settings, struct problems *problems)
{
	bool egress = settings->egress.set && !settings_is_none(&settings->egress);

	if ((!egress && !settings->refuse.set) || (settings->planes.number & CUSTODY_PLANE_CGROUP))
		return;
	problems_add(problems, egress ? settings->egress.place : settings->refuse.place,
		     CUSTODY_EXIT_REFUSED,
		     "[network] %s is enforced by the cgroup plane; add cgroup to [require] "
		     "planes%s",
		     egress ? "egress" : "refuse", egress ? ", or set egress = none" : "");
}

/* Above the limit it would never be reached: not what whoever wrote it has in mind. */
static void support_check_memory(const struct settings *settings, struct problems *problems)
{
	if (settings->memory.number == 0 || settings->memory_high.number <= settings->memory.number)
		return;
	problems_error(problems, settings->memory_high.place,
		       "[limits] memory-high is more than [limits] memory; make it less, or none");
}

/* What would be ignored is refused: whoever wrote it expects something of it. */
static void support_check_admission(const struct settings *s, struct problems *problems)
{
	const bool signed_ = s->require_signature.number != 0;

	if (signed_ && settings_is_none(&s->trusted_keys))
		problems_error(problems, s->require_signature.place,
			       "[model] require-signature: by whom? Name the public keys or "
			       "certificates in trusted-keys");
	if (!signed_ && !settings_is_none(&s->trusted_keys))
		problems_error(problems, s->trusted_keys.place,
			       "[model] trusted-keys: nothing is verified with them; set "
			       "require-signature = yes, or leave them out");
	if (!signed_ && s->signature.set)
		problems_error(problems, s->signature.place,
			       "[model] signature: it is not verified; set require-signature = "
			       "yes, or leave it out");
	if (s->attestations.set && settings_is_none(&s->attestation))
		problems_error(problems, s->attestations.place,
			       "[model] attestations: none is required; set require-attestation, "
			       "or leave it out");
	if (!settings_is_none(&s->formats) && (s->formats.number & PLAN_FORMATS_CODE) &&
	    s->allow_pickle.number == 0)
		problems_error(problems, s->formats.place,
			       "[model] formats: pickle and torch are programs; if they are to be "
			       "let in, set allow-pickle = yes too");
}

void profile_check_support(const struct settings *settings, struct problems *problems)
{
	for (size_t i = 0; i < ARRAY_SIZE(support_rules); i++) {
		const struct support_rule *rule = &support_rules[i];
		const struct setting_value *value =
			(const struct setting_value *)((const char *)settings + rule->offset);

		if (!value->set)
			continue;
		if (rule->only && value->words.n == 1 &&
		    strcmp(value->words.list[0].text, rule->only) == 0)
			continue;
		if (!rule->only && settings_is_none(value))
			continue;
		problems_add(problems, value->place, CUSTODY_EXIT_REFUSED, "[%s] %s: %s",
			     rule->section, rule->key, rule->why);
	}
	support_check_admission(settings, problems);
	support_check_devices(settings, problems);
	support_check_egress(settings, problems);
	support_check_memory(settings, problems);
}
