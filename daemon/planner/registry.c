/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may become of a registered model: see registry.h. Run by the planner. Pure.
 *
 * Invariants:
 *   R1  A version is never removed, its number never used again, its bytes' digest never changed.
 *   R2  What was retired or revoked stays so, and is started by no name.
 *   R3  Only a version that served well is rolled back to.
 *   R4  A version has one index of fingerprints, or none yet.
 */
#include "registry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

struct registry_change {
	struct registry *registry;
	const struct registry_request *request;
	struct model_version *version;	/* that the request is about */
	bool changed;
	char *why;
};

__attribute__((format(printf, 2, 3))) static enum custody_exit
registry_refuse(const struct registry_change *change, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(change->why, REGISTRY_WHY_SIZE, format, ap);
	va_end(ap);
	return CUSTODY_EXIT_REFUSED;
}

/* "was revoked on TIME by uid 0: REASON" */
static void registry_describe(const char *what, const struct model_mark *mark, char *ret,
			      size_t size)
{
	char time[REGISTRY_TIME_SIZE], uid[24] = "nobody";

	registry_print_time(mark->time_s, time);
	if (mark->uid != MODEL_NOBODY)
		(void)snprintf(uid, sizeof(uid), "uid %u", mark->uid);
	(void)snprintf(ret, size, "was %s on %s by %s: %s", what, time, uid, mark->why);
}

/* Why a version may not be started; empty when it may. */
static void registry_find_end(const struct model_version *v, char *ret, size_t size)
{
	ret[0] = '\0';
	if (v->revoked.time_s)
		registry_describe("revoked", &v->revoked, ret, size);
	else if (v->retired.time_s)
		registry_describe("retired", &v->retired, ret, size);
}

static void registry_set_current(struct registry *registry, __u32 version)
{
	registry->current = version;
	for (__u32 i = 0; i < registry->n; i++)
		registry->versions[i].current = registry->versions[i].version == version;
}

/* ---- registration ---- */

/* An index has a digest, and what has none has no index. */
static bool registry_check_index(const struct model_version *add)
{
	static const __u8 none[CUSTODY_DIGEST_SIZE];

	return (add->fingerprints[0] != '\0') ==
	       (memcmp(add->fingerprints_digest, none, sizeof(none)) != 0);
}

static enum custody_exit registry_check_addition(const struct registry_change *change)
{
	const struct model_version *add = &change->request->add;
	const char *const texts[] = { add->directory, add->signature, add->card,
				      add->fingerprints };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (i == 0 || texts[i][0]) {
			if (texts[i][0] != '/' || !registry_check_text(texts[i]))
				return registry_refuse(
					change, "A path to be registered is not absolute, or holds "
					"characters that are not text: rename it.");
		}
	}
	if (!registry_check_index(add))
		return registry_refuse(change, "The index of fingerprints has no digest. This is a "
				       "defect of custody.");
	if (!plan_check_name(add->name) || !plan_check_name(add->profile) ||
	    !registry_check_text(add->signer))
		return registry_refuse(change, "The name of the model or of its profile is not "
				       "made of a-z 0-9 . _ -.");
	for (__u32 i = 0; i < change->registry->n; i++) {
		const struct model_version *v = &change->registry->versions[i];
		char end[REGISTRY_WHY_SIZE / 2];

		if (!v->revoked.time_s || memcmp(v->digest, add->digest, sizeof(v->digest)) != 0)
			continue;
		registry_find_end(v, end, sizeof(end));
		return registry_refuse(change, "This is, byte for byte, %s@%u, which %s.",
				       v->name, v->version, end);
	}
	return CUSTODY_EXIT_DONE;
}

static enum custody_exit registry_add(struct registry_change *change)
{
	struct registry *registry = change->registry;
	struct model_version *grown;
	enum custody_exit r = registry_check_addition(change);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (registry->n >= REGISTRY_VERSIONS_MAX)
		return registry_refuse(change, "The registry of %s is full: it has %u versions, "
				       "and none is ever removed. Register this one under another "
				       "name.", registry->name, registry->n);
	grown = reallocarray(registry->versions, registry->n + 1, sizeof(*grown));
	if (!grown)
		return CUSTODY_EXIT_INTERNAL;
	registry->versions = grown;
	change->version = &grown[registry->n++];
	*change->version = change->request->add;
	change->version->version = registry->n;
	change->version->registered = change->request->mark;
	memset(&change->version->served, 0, sizeof(change->version->served));
	memset(&change->version->retired, 0, sizeof(change->version->retired));
	memset(&change->version->revoked, 0, sizeof(change->version->revoked));
	memcpy(registry->name, change->request->add.name, sizeof(registry->name));
	registry_set_current(registry, registry->n);
	change->changed = true;
	return CUSTODY_EXIT_DONE;
}

/* ---- start and rollback ---- */

static enum custody_exit registry_find(struct registry_change *change)
{
	const struct model_version *v = change->version;
	char end[REGISTRY_WHY_SIZE / 2];

	registry_find_end(v, end, sizeof(end));
	if (!end[0])
		return CUSTODY_EXIT_DONE;
	return registry_refuse(change, "%s@%u %s. \"custodyctl model list %s\" shows the others; "
			       "\"custodyctl model rollback %s\" goes back to the one before that "
			       "served well.", v->name, v->version, end, v->name, v->name);
}

/* The newest version below the current one that served well. */
static struct model_version *registry_find_previous(struct registry *registry)
{
	for (__u32 i = registry->current - 1; i > 0; i--) {
		if (registry->versions[i - 1].served.time_s)
			return &registry->versions[i - 1];
	}
	return NULL;
}

static enum custody_exit registry_roll_back(struct registry_change *change)
{
	struct registry *registry = change->registry;
	char end[REGISTRY_WHY_SIZE / 2];

	if (change->request->version == 0)
		change->version = registry_find_previous(registry);
	if (!change->version)
		return registry_refuse(change, "No version of %s before %u, the current one, has "
				       "served well, so there is none to go back to. "
				       "\"custodyctl model list %s\" shows them.", registry->name,
				       registry->current, registry->name);
	if (change->version->version == registry->current)
		return registry_refuse(change, "%s@%u is the current version.", registry->name,
				       registry->current);
	if (!change->version->served.time_s)
		return registry_refuse(change, "%s@%u has never served well, and only such a "
				       "version is rolled back to. \"custodyctl start %s@%u\" "
				       "starts it by its number.", registry->name,
				       change->version->version, registry->name,
				       change->version->version);
	registry_find_end(change->version, end, sizeof(end));
	if (end[0])
		return registry_refuse(change, "%s@%u, which would be rolled back to, %s. Name an "
				       "older one: \"custodyctl model rollback %s@VERSION\".",
				       registry->name, change->version->version, end,
				       registry->name);
	registry_set_current(registry, change->version->version);
	change->changed = true;
	return CUSTODY_EXIT_DONE;
}

/* ---- marks ---- */

static enum custody_exit registry_mark(struct registry_change *change, struct model_mark *mark)
{
	mark->time_s = change->request->mark.time_s;
	mark->uid = change->request->mark.uid;
	memcpy(mark->why, change->request->mark.why, sizeof(mark->why));
	change->changed = true;
	return CUSTODY_EXIT_DONE;
}

static enum custody_exit registry_revoke(struct registry_change *change)
{
	char end[REGISTRY_WHY_SIZE / 2];

	if (change->version->revoked.time_s) {
		registry_find_end(change->version, end, sizeof(end));
		return registry_refuse(change, "%s@%u %s.", change->version->name,
				       change->version->version, end);
	}
	if (!change->request->mark.why[0])
		return registry_refuse(change, "A revocation needs a reason: --reason TEXT.");
	return registry_mark(change, &change->version->revoked);
}

/* The same bytes have the same index: another one is not of them. */
static enum custody_exit registry_fingerprint(struct registry_change *change)
{
	const struct model_version *add = &change->request->add;
	struct model_version *v = change->version;

	if (add->fingerprints[0] != '/' || !registry_check_text(add->fingerprints) ||
	    !registry_check_index(add))
		return registry_refuse(change, "The index of fingerprints of %s@%u has no path "
				       "that is text, or no digest.", v->name, v->version);
	if (v->fingerprints[0] && memcmp(v->fingerprints_digest, add->fingerprints_digest,
					 sizeof(v->fingerprints_digest)) != 0)
		return registry_refuse(change, "%s@%u has an index of fingerprints already, and it "
				       "is another one.", v->name, v->version);
	if (v->fingerprints[0])
		return CUSTODY_EXIT_DONE;
	memcpy(v->fingerprints, add->fingerprints, sizeof(v->fingerprints));
	memcpy(v->fingerprints_digest, add->fingerprints_digest, sizeof(v->fingerprints_digest));
	change->changed = true;
	return CUSTODY_EXIT_DONE;
}

static enum custody_exit registry_change_version(struct registry_change *change)
{
	switch (change->request->verb) {
	case REGISTRY_FIND:
		return registry_find(change);
	case REGISTRY_ROLLBACK:
		return registry_roll_back(change);
	case REGISTRY_REVOKE:
		return registry_revoke(change);
	/* What is so already stays as it was the first time. */
	case REGISTRY_SERVED:
		return change->version->served.time_s ?
			       CUSTODY_EXIT_DONE : registry_mark(change, &change->version->served);
	case REGISTRY_RETIRE:
		return change->version->retired.time_s ?
			       CUSTODY_EXIT_DONE : registry_mark(change, &change->version->retired);
	case REGISTRY_FINGERPRINT:
		return registry_fingerprint(change);
	default:
		return CUSTODY_EXIT_INTERNAL;
	}
}

enum custody_exit registry_apply(struct registry *registry, const struct registry_request *request,
				 struct model_version *ret, bool *ret_changed,
				 char why[REGISTRY_WHY_SIZE])
{
	struct registry_change change = { .registry = registry, .request = request, .why = why };
	__u32 number = request->version ? request->version : registry->current;
	enum custody_exit r;

	why[0] = '\0';
	if (request->mark.time_s == 0 || !registry_check_text(request->mark.why))
		return registry_refuse(&change, "The reason holds characters that are not text.");
	if (request->verb == REGISTRY_ADD) {
		r = registry_add(&change);
	} else if (number == 0 || number > registry->n) {
		return registry_refuse(&change, "There is no version %u of %s; there are 1 to %u. "
				       "\"custodyctl model list %s\" shows them.", number,
				       request->add.name, registry->n, request->add.name);
	} else {
		change.version = &registry->versions[number - 1];
		r = registry_change_version(&change);
	}
	if (r != CUSTODY_EXIT_DONE)
		return r;
	*ret = *change.version;
	*ret_changed = change.changed;
	return CUSTODY_EXIT_DONE;
}
