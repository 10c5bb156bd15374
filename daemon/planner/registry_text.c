/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's text: see registry.h. Run by the planner. Pure. Trusts no byte of a text. */
#include "registry.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "cleanup_json.h"
#include "escape.h"
#include "plan.h"

#define REGISTRY_FORMAT 1
#define REGISTRY_SEED 1 /* jansson would open /dev/urandom for one; nobody else fills its tables */
#define REGISTRY_DIGEST "sha256:"
#define REGISTRY_HEX (2 * CUSTODY_DIGEST_SIZE)

void registry_free(struct registry *registry)
{
	cleanup_free_ptr(&registry->versions);
	*registry = (struct registry){ 0 };
}

bool registry_check_text(const char *text)
{
	char escaped[ESCAPE_SIZE(CUSTODY_PATH_SIZE)];

	return strlen(text) < CUSTODY_PATH_SIZE &&
	       strcmp(escape_text(text, CUSTODY_PATH_SIZE, false, escaped, sizeof(escaped)),
		      text) == 0;
}

/* ---- values ---- */

void registry_print_time(__u64 time_s, char ret[REGISTRY_TIME_SIZE])
{
	time_t seconds = (time_t)time_s;
	struct tm tm = { 0 };

	ret[0] = '\0';
	if (gmtime_r(&seconds, &tm))
		(void)strftime(ret, REGISTRY_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* 0: not a time. That it is one in canonical form shows when it is printed again. */
static __u64 registry_read_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t seconds = end && !*end ? timegm(&tm) : 0;

	return seconds > 0 ? (__u64)seconds : 0;
}

static void registry_print_hex(const __u8 digest[CUSTODY_DIGEST_SIZE], char ret[REGISTRY_HEX + 1])
{
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static bool registry_read_digest(const char *text, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	const size_t prefix = strlen(REGISTRY_DIGEST);
	unsigned int byte;

	if (strlen(text) != prefix + REGISTRY_HEX || strncmp(text, REGISTRY_DIGEST, prefix) != 0 ||
	    strspn(text + prefix, "0123456789abcdef") != REGISTRY_HEX)
		return false;
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++) {
		if (sscanf(text + prefix + 2 * i, "%2x", &byte) != 1)
			return false;
		ret[i] = (__u8)byte;
	}
	return true;
}

/* A text that is there, into its field. */
static bool registry_read_text(const char *text, char *ret, size_t size)
{
	if (!registry_check_text(text) || strlen(text) >= size)
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

/* ---- marks ---- */

static json_t *registry_print_mark(const struct model_mark *mark)
{
	char time[REGISTRY_TIME_SIZE];

	if (mark->time_s == 0)
		return json_null();
	registry_print_time(mark->time_s, time);
	return json_pack("{s:s, s:o, s:s}", "time", time, "uid",
			 mark->uid == MODEL_NOBODY ? json_null() :
						     json_integer((json_int_t)mark->uid),
			 "why", mark->why);
}

static bool registry_read_mark(json_t *json, struct model_mark *ret)
{
	const char *time = NULL, *why = NULL;
	json_t *uid = NULL;

	if (json_is_null(json))
		return true;
	if (json_unpack_ex(json, NULL, JSON_STRICT, "{s:s, s:o, s:s}", "time", &time, "uid", &uid,
			   "why", &why) < 0)
		return false;
	ret->time_s = registry_read_time(time);
	ret->uid = MODEL_NOBODY;
	if (json_is_integer(uid)) {
		if (json_integer_value(uid) < 0 || json_integer_value(uid) >= MODEL_NOBODY)
			return false;
		ret->uid = (__u32)json_integer_value(uid);
	}
	return ret->time_s != 0 && (json_is_integer(uid) || json_is_null(uid)) &&
	       registry_read_text(why, ret->why, sizeof(ret->why));
}

/* ---- versions ---- */

/* The index and its digest; "" when the version has none. */
static json_t *registry_print_index(const struct model_version *v)
{
	char digest[sizeof(REGISTRY_DIGEST) + REGISTRY_HEX] = REGISTRY_DIGEST;

	if (!v->fingerprints[0])
		return json_string("");
	registry_print_hex(v->fingerprints_digest, digest + strlen(REGISTRY_DIGEST));
	return json_pack("{s:s, s:s}", "file", v->fingerprints, "digest", digest);
}

static bool registry_is_path(const char *text, bool needed)
{
	return text[0] == '/' || (!needed && !text[0]);
}

static bool registry_read_index(json_t *json, struct model_version *ret)
{
	static const __u8 none[CUSTODY_DIGEST_SIZE];
	const char *file = NULL, *digest = NULL;

	if (json_is_string(json))
		return !json_string_value(json)[0];
	return json_unpack_ex(json, NULL, JSON_STRICT, "{s:s, s:s}", "file", &file, "digest",
			      &digest) == 0 &&
	       registry_is_path(file, true) &&
	       registry_read_text(file, ret->fingerprints, sizeof(ret->fingerprints)) &&
	       registry_read_digest(digest, ret->fingerprints_digest) &&
	       memcmp(ret->fingerprints_digest, none, sizeof(none)) != 0;
}

static json_t *registry_print_version(const struct model_version *v)
{
	char digest[sizeof(REGISTRY_DIGEST) + REGISTRY_HEX] = REGISTRY_DIGEST;

	registry_print_hex(v->digest, digest + strlen(REGISTRY_DIGEST));
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "version", (int)v->version, "directory", v->directory, "digest", digest,
			 "profile", v->profile, "signature", v->signature, "signer", v->signer,
			 "card", v->card, "fingerprints", registry_print_index(v), "registered",
			 registry_print_mark(&v->registered), "served-well",
			 registry_print_mark(&v->served), "retired",
			 registry_print_mark(&v->retired), "revoked",
			 registry_print_mark(&v->revoked));
}

static bool registry_read_version(json_t *json, __u32 number, struct model_version *ret)
{
	const char *directory, *digest, *profile, *signature, *signer, *card;
	json_t *fingerprints, *registered, *served, *retired, *revoked;
	int version = 0;

	if (json_unpack_ex(json, NULL, JSON_STRICT,
			   "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
			   "version", &version, "directory", &directory, "digest", &digest,
			   "profile", &profile, "signature", &signature, "signer", &signer, "card",
			   &card, "fingerprints", &fingerprints, "registered", &registered,
			   "served-well", &served, "retired", &retired, "revoked", &revoked) < 0)
		return false;
	ret->version = number;
	return version == (int)number && registry_is_path(directory, true) &&
	       registry_is_path(signature, false) && registry_is_path(card, false) &&
	       registry_read_digest(digest, ret->digest) &&
	       registry_read_text(directory, ret->directory, sizeof(ret->directory)) &&
	       registry_read_text(profile, ret->profile, sizeof(ret->profile)) &&
	       plan_check_name(ret->profile) &&
	       registry_read_text(signature, ret->signature, sizeof(ret->signature)) &&
	       registry_read_text(signer, ret->signer, sizeof(ret->signer)) &&
	       registry_read_text(card, ret->card, sizeof(ret->card)) &&
	       registry_read_index(fingerprints, ret) &&
	       registry_read_mark(registered, &ret->registered) &&
	       ret->registered.time_s != 0 && registry_read_mark(served, &ret->served) &&
	       registry_read_mark(retired, &ret->retired) &&
	       registry_read_mark(revoked, &ret->revoked);
}

/* ---- the whole ---- */

static json_t *registry_print_body(const struct registry *registry)
{
	cleanup_json json_t *versions = json_array();

	for (__u32 i = 0; versions && i < registry->n; i++) {
		if (json_array_append_new(versions,
					  registry_print_version(&registry->versions[i])) < 0)
			return NULL;
	}
	return json_pack("{s:i, s:s, s:i, s:O}", "format", REGISTRY_FORMAT, "model",
			 registry->name, "current", (int)registry->current, "versions", versions);
}

static int registry_add_digest(json_t *whole, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	__u8 digest[CUSTODY_DIGEST_SIZE];
	char hex[REGISTRY_HEX + 1];

	if (!text || !SHA256((const unsigned char *)text, strlen(text), digest)) {
		free(text);
		return -ENOMEM;
	}
	free(text);
	registry_print_hex(digest, hex);
	return json_object_set_new(whole, "sha256", json_string(hex)) < 0 ? -ENOMEM : 0;
}

int registry_print(const struct registry *registry, char **ret, size_t *ret_n)
{
	cleanup_json json_t *body = NULL;
	cleanup_json json_t *whole = NULL;
	cleanup_ptr char *text = NULL;
	cleanup_ptr char *line = NULL;
	int n;

	json_object_seed(REGISTRY_SEED);
	body = registry_print_body(registry);
	whole = body ? json_pack("{s:O}", "registry", body) : NULL;
	if (!whole || registry_add_digest(whole, body) < 0)
		return -ENOMEM;
	text = json_dumps(whole, JSON_INDENT(2));
	n = text ? asprintf(&line, "%s\n", text) : -1;
	if (n < 0) {
		line = NULL;
		return -ENOMEM;
	}
	if (n > (int)REGISTRY_TEXT_MAX)
		return -E2BIG;
	*ret = TAKE_PTR(line);
	*ret_n = (size_t)n;
	return 0;
}

static const char *registry_read_versions(json_t *versions, struct registry *ret)
{
	size_t n = json_array_size(versions);

	if (!json_is_array(versions) || n == 0 || n > REGISTRY_VERSIONS_MAX ||
	    ret->current == 0 || ret->current > n)
		return "has no versions, too many, or no current one";
	ret->versions = calloc(n, sizeof(*ret->versions));
	if (!ret->versions)
		return "needs more memory than there is";
	ret->n = (__u32)n;
	for (__u32 i = 0; i < n; i++) {
		struct model_version *v = &ret->versions[i];

		if (!registry_read_version(json_array_get(versions, i), i + 1, v))
			return "holds a version that is not whole";
		v->current = ret->current == i + 1;
		memcpy(v->name, ret->name, sizeof(v->name));
	}
	return NULL;
}

static const char *registry_read_whole(json_t *whole, const char *name, struct registry *ret)
{
	const char *sha256 = NULL, *model = NULL;
	json_t *body = NULL, *versions = NULL;
	int format = 0, current = 0;

	if (json_unpack_ex(whole, NULL, JSON_STRICT, "{s:o, s:s}", "registry", &body, "sha256",
			   &sha256) < 0 ||
	    json_unpack_ex(body, NULL, JSON_STRICT, "{s:i, s:s, s:i, s:o}", "format", &format,
			   "model", &model, "current", &current, "versions", &versions) < 0)
		return "is no registry";
	if (format != REGISTRY_FORMAT)
		return "is of another version of custody";
	if (strcmp(model, name) != 0 || !plan_check_name(name))
		return "is another model's";
	memcpy(ret->name, model, strlen(model) + 1);
	ret->current = current > 0 ? (__u32)current : 0;
	return registry_read_versions(versions, ret);
}

/* What was read prints to what was there: nothing is in the text that is not in the struct. */
static const char *registry_compare(const struct registry *registry, const char *text, size_t n)
{
	cleanup_ptr char *printed = NULL;
	size_t printed_n = 0;

	if (registry_print(registry, &printed, &printed_n) < 0)
		return "cannot be checked";
	return printed_n == n && memcmp(printed, text, n) == 0 ?
		       NULL : "is not as custody wrote it: it was damaged, or changed by hand";
}

int registry_parse(const char *text, size_t n, const char *name, struct registry *ret,
		   const char **ret_why)
{
	cleanup_registry struct registry registry = { 0 };
	cleanup_json json_t *whole = NULL;
	const char *why;

	*ret_why = "is longer than a registry may be";
	if (n > REGISTRY_TEXT_MAX)
		return -EBADMSG;
	json_object_seed(REGISTRY_SEED);
	*ret_why = "is not well-formed JSON";
	whole = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	if (!whole)
		return -EBADMSG;
	why = registry_read_whole(whole, name, &registry);
	if (!why)
		why = registry_compare(&registry, text, n);
	*ret_why = why;
	if (why)
		return -EBADMSG;
	*ret = registry;
	registry = (struct registry){ 0 };
	return 0;
}
