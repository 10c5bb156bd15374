/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The predicate of provenance.h as JSON, and the one question that admission asks of it. Run by
 * custodyctl and the measurer. Pure. Trusts its caller for the facts; no byte of a path, and no
 * type of a JSON value.
 */
#include "provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "custody/plan.h"
#include "escape.h"
#include "retirement.h"

static const char *const provenance_planes[] = { "structure", "cgroup", "lsm",
						 "observe",   "guard",	"limits" };

static bool provenance_saw_opens(const struct provenance *p)
{
	const __u32 seeing = (__u32)CUSTODY_PLANE_LSM | (__u32)CUSTODY_PLANE_OBSERVE;

	return (p->launch->planes_active & seeing) != 0;
}

bool provenance_is_whole(const struct provenance *p)
{
	return p->events_lost == 0 && p->gaps == 0 && p->unidentified == 0 && p->changed == 0 &&
	       p->outside == 0 && p->unseen == 0 && !p->network && !p->clock &&
	       provenance_saw_opens(p) &&
	       (p->launch->planes_required & ~p->launch->planes_active) == 0;
}

/* ---- pieces; each is NULL when out of memory, and json_pack() then is too ---- */

static json_t *provenance_hex(const __u8 digest[CUSTODY_DIGEST_SIZE])
{
	char hex[2 * CUSTODY_DIGEST_SIZE + 1];

	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return json_string(hex);
}

static json_t *provenance_time(__u64 time_ns)
{
	char text[RETIREMENT_TIME_SIZE];

	return json_string(retirement_print_time(time_ns, text));
}

/* Text that the caller of `run` chose: as it is when it is UTF-8, else escaped. */
static json_t *provenance_text(const char *text)
{
	const size_t n = strlen(text) + 1;
	cleanup_ptr char *escaped = NULL;
	json_t *json = json_string(text);

	if (json)
		return json;
	escaped = malloc(ESCAPE_SIZE(n));
	return escaped ? json_string(escape_text(text, n, false, escaped, ESCAPE_SIZE(n))) : NULL;
}

static bool provenance_is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-._~/", c);
}

static json_t *provenance_uri(const char *scheme, const char *path)
{
	static const char hex[] = "0123456789ABCDEF";
	const size_t head = strlen(scheme);
	cleanup_ptr char *uri = malloc(head + 3 * strlen(path) + 1);
	size_t n = head;

	if (!uri)
		return NULL;
	memcpy(uri, scheme, head);
	for (; *path; path++) {
		if (provenance_is_plain(*path)) {
			uri[n++] = *path;
			continue;
		}
		uri[n++] = '%';
		uri[n++] = hex[(unsigned char)*path >> 4];
		uri[n++] = hex[*path & 0xf];
	}
	uri[n] = '\0';
	return json_string(uri);
}

static json_t *provenance_resource(const char *kind, json_t *uri,
				   const __u8 digest[CUSTODY_DIGEST_SIZE])
{
	return json_pack("{s:o, s:{s:o}, s:{s:s}}", "uri", uri, "digest", "sha256",
			 provenance_hex(digest), "annotations", "kind", kind);
}

/* Appends and takes the reference; false when out of memory. */
static bool provenance_add(json_t *array, json_t *value)
{
	return array && value && json_array_append_new(array, value) == 0;
}

static bool provenance_add_files(json_t *array, const struct provenance_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *uri = provenance_uri("file://", files[i].path);

		if (!provenance_add(array,
				    provenance_resource(files[i].kind, uri, files[i].digest)))
			return false;
	}
	return true;
}

/* The array when it was filled, else NULL. */
static json_t *provenance_finish(json_t *array, bool ok)
{
	if (ok)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *provenance_dependencies(const struct provenance *p)
{
	json_t *array = json_array();
	bool ok = provenance_add(array, provenance_resource("profile",
							    provenance_uri("urn:custody:profile:",
									   p->launch->profile),
							    p->launch->profile_digest));

	if (ok && p->model && p->measured)
		ok = provenance_add(array, provenance_resource("model",
							       provenance_uri("file://", p->model),
							       p->measured->digest));
	return provenance_finish(array, ok && provenance_add_files(array, p->inputs, p->n_inputs));
}

static json_t *provenance_outputs(const struct provenance *p)
{
	json_t *array = json_array();

	return provenance_finish(array, provenance_add_files(array, p->outputs, p->n_outputs));
}

static json_t *provenance_words(const char *const *words, size_t n)
{
	json_t *array = json_array();
	bool ok = array != NULL;

	for (size_t i = 0; ok && i < n; i++)
		ok = provenance_add(array, provenance_text(words[i]));
	return provenance_finish(array, ok);
}

static json_t *provenance_mask(__u32 mask)
{
	const char *names[ARRAY_SIZE(provenance_planes)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(provenance_planes); i++) {
		if (mask & (1U << i))
			names[n++] = provenance_planes[i];
	}
	return provenance_words(names, n);
}

static bool provenance_say(json_t *array, __u64 count, const char *what)
{
	char text[160];

	if (count == 0)
		return true;
	(void)snprintf(text, sizeof(text), "%llu %s", (unsigned long long)count, what);
	return provenance_add(array, json_string(text));
}

/* Why it is not complete, in words. */
static json_t *provenance_missing(const struct provenance *p)
{
	json_t *array = json_array();
	bool ok = array != NULL;

	ok = ok && provenance_say(array, p->events_lost, "events were lost");
	ok = ok && provenance_say(array, p->gaps, "records of the ledger tell of a gap");
	ok = ok && provenance_say(array, p->unidentified,
				  "opened files are not to be found under their names any more");
	ok = ok && provenance_say(array, p->changed, "opened files were changed after the start");
	ok = ok && provenance_say(array, p->outside, "opened files lie in no zone of the profile");
	ok = ok &&
	     provenance_say(array, p->unseen, "outputs were not seen to be written by the command");
	if (ok && p->network)
		ok = provenance_add(array, json_string("what came in by the profile's endpoints "
						       "is not among the inputs"));
	if (ok && p->clock)
		ok = provenance_add(array, json_string("the clock was set back while it ran"));
	if (ok && !provenance_saw_opens(p))
		ok = provenance_add(array, json_string("no plane that sees opens was in force"));
	if (ok && (p->launch->planes_required & ~p->launch->planes_active))
		ok = provenance_add(array, json_string("a required plane was not in force"));
	return provenance_finish(array, ok);
}

static json_t *provenance_measured(const struct provenance *p)
{
	if (!p->measured)
		return json_null();
	return json_pack("{s:{s:o}, s:I, s:I}", "digest", "sha256",
			 provenance_hex(p->measured->digest), "files",
			 (json_int_t)p->measured->files, "bytes", (json_int_t)p->measured->bytes);
}

static json_t *provenance_ledger(const struct provenance *p)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:o}", "key", p->ledger_key, "launch",
			 (json_int_t)p->launch_seq, "end", (json_int_t)p->end_seq, "records",
			 (json_int_t)p->records, "head", provenance_hex(p->head));
}

static json_t *provenance_extension(const struct provenance *p)
{
	const struct ledger_launch *launch = p->launch;

	return json_pack(
		"{s:b, s:o, s:s, s:I, s:i, s:s, s:{s:o, s:o}, s:{s:I, s:I}, s:I, s:I, s:I, s:I,"
		" s:{s:o}, s:o, s:o}",
		"complete", (int)provenance_is_whole(p), "missing", provenance_missing(p), "name",
		launch->name, "jail", (json_int_t)launch->jail_id, "exitStatus", 0, "stdin",
		"/dev/null", "planes", "active", provenance_mask(launch->planes_active), "required",
		provenance_mask(launch->planes_required), "losses", "events",
		(json_int_t)p->events_lost, "gaps", (json_int_t)p->gaps, "unidentified",
		(json_int_t)p->unidentified, "changed", (json_int_t)p->changed, "outside",
		(json_int_t)p->outside, "unseen", (json_int_t)p->unseen, "planDigest", "sha256",
		provenance_hex(launch->plan_digest), "ledger", provenance_ledger(p), "measured",
		provenance_measured(p));
}

static json_t *provenance_definition(const struct provenance *p)
{
	json_t *outer =
		json_pack("{s:o, s:s}", "command", provenance_words(p->command, p->n_command),
			  "profile", p->launch->profile);

	if (outer && p->model &&
	    json_object_set_new(outer, "model", provenance_text(p->model)) < 0) {
		json_decref(outer);
		outer = NULL;
	}
	return json_pack("{s:s, s:o, s:o}", "buildType", PROVENANCE_BUILD_TYPE,
			 "externalParameters", outer, "resolvedDependencies",
			 provenance_dependencies(p));
}

static json_t *provenance_details(const struct provenance *p)
{
	char id[128];

	/* Jails are never numbered twice on one ledger, and the key is the ledger's. */
	(void)snprintf(id, sizeof(id), "urn:custody:ledger:%.64s:jail:%u", p->ledger_key,
		       p->launch->jail_id);
	return json_pack("{s:{s:s, s:{s:s}}, s:{s:s, s:o, s:o}, s:o}", "builder", "id",
			 provenance_is_whole(p) ? PROVENANCE_BUILDER : PROVENANCE_BUILDER_PART,
			 "version", "custody", p->version, "metadata", "invocationId", id,
			 "startedOn", provenance_time(p->launch_ns), "finishedOn",
			 provenance_time(p->end_ns), "byproducts", provenance_outputs(p));
}

json_t *provenance_make(const struct provenance *p)
{
	return json_pack("{s:o, s:o, s:o}", "buildDefinition", provenance_definition(p),
			 "runDetails", provenance_details(p), PROVENANCE_EXTENSION,
			 provenance_extension(p));
}

bool provenance_may_admit(const json_t *predicate)
{
	const json_t *own = json_object_get(predicate, PROVENANCE_EXTENSION);
	const json_t *definition = json_object_get(predicate, "buildDefinition");
	const char *type = json_string_value(json_object_get(definition, "buildType"));
	const json_t *builder;
	const char *id;

	if (!own && !(type && strcmp(type, PROVENANCE_BUILD_TYPE) == 0))
		return true;
	builder = json_object_get(json_object_get(predicate, "runDetails"), "builder");
	id = json_string_value(json_object_get(builder, "id"));
	return id && strcmp(id, PROVENANCE_BUILDER) == 0 &&
	       json_is_true(json_object_get(own, "complete"));
}
