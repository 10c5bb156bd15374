/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.json of any bytes: refused, or a registry that prints to these very bytes; and every
 * request that can be made of it leaves one that does so too. The digest in the text is set right
 * before the second try, or nothing would get past it.
 * link: daemon/planner/registry.c daemon/planner/registry_text.c
 */
#include <openssl/sha.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon/planner/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is printed is read again, to the same. */
static void check_round(const struct registry *registry)
{
	cleanup_registry struct registry back = { 0 };
	cleanup_ptr char *text = NULL;
	const char *why = "";
	size_t n = 0;
	int r = registry_print(registry, &text, &n);

	if (r < 0)
		return; /* longer than a registry may be */
	if (registry_parse(text, n, registry->name, &back, &why) < 0 || back.n != registry->n ||
	    back.current != registry->current ||
	    memcmp(back.versions, registry->versions, back.n * sizeof(*back.versions)) != 0)
		abort();
}

static void try_requests(struct registry *registry, uint8_t seed)
{
	for (__u32 verb = 0; verb <= _REGISTRY_VERB_MAX; verb++) {
		struct registry_request request = {
			.verb = verb, .version = seed % 5, .mark = { .time_s = 1 + seed },
		};
		char why[REGISTRY_WHY_SIZE];
		struct model_version model;
		const __u32 before = registry->n;
		bool changed = false;

		memcpy(request.add.name, registry->name, sizeof(request.add.name));
		(void)snprintf(request.add.profile, sizeof(request.add.profile), "p");
		(void)snprintf(request.add.directory, sizeof(request.add.directory), "/d");
		(void)snprintf(request.mark.why, sizeof(request.mark.why), "why");
		memset(request.add.fingerprints_digest, seed, sizeof(request.add.digest));
		if (seed)
			(void)snprintf(request.add.fingerprints, sizeof(request.add.fingerprints),
				       "/f");
		if (registry_apply(registry, &request, &model, &changed, why) ==
			    CUSTODY_EXIT_DONE && changed)
			check_round(registry);
		if (registry->n < before || registry->current == 0 ||
		    registry->current > registry->n)
			abort();
	}
}

static void try_text(const char *text, size_t size, uint8_t seed)
{
	cleanup_registry struct registry registry = { 0 };
	const char *why = "";

	if (registry_parse(text, size, "digits", &registry, &why) < 0)
		return;
	check_round(&registry);
	try_requests(&registry, seed);
}

/* The input's first member, in the canonical form, with its right digest. */
static char *repair(const char *data, size_t size)
{
	json_t *whole = json_loadb(data, size, 0, NULL);
	json_t *body = json_object_get(whole, "registry");
	char *compact = body ? json_dumps(body, JSON_COMPACT) : NULL;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];
	char *text = NULL;

	if (compact && SHA256((unsigned char *)compact, strlen(compact), digest)) {
		json_t *good;

		for (size_t i = 0; i < sizeof(digest); i++)
			(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
		good = json_pack("{s:O, s:s}", "registry", body, "sha256", hex);
		text = json_dumps(good, JSON_INDENT(2));
		json_decref(good);
	}
	free(compact);
	json_decref(whole);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ptr char *text = NULL;
	cleanup_ptr char *line = NULL;
	uint8_t seed = size ? data[size - 1] : 0;

	json_object_seed(1);
	try_text((const char *)data, size, seed);
	text = repair((const char *)data, size);
	if (text && asprintf(&line, "%s\n", text) > 0)
		try_text(line, strlen(line), seed);
	return 0;
}
