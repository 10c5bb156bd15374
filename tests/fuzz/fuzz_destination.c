/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any text as a word of `listen`, `egress`, a device, a size or a host name. What is
 * accepted is what the plan's own check lets through, and is read the same when it is a heap copy
 * of exactly its length: a word ends where it ends. Trusts nothing.
 * link: daemon/planner/value.c daemon/planner/words.c daemon/planner/problems.c
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon/planner/value.h"
#include "destination.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

static void fuzz_check_host(const char *name)
{
	if (!destination_check_host(name))
		return;
	fuzz_require(strlen(name) > 0 && strlen(name) <= PLAN_HOST_NAME_MAX);
	for (const char *c = name; *c; c++)
		fuzz_require((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '.' ||
			     *c == '_' || *c == '-');
	fuzz_require(!strstr(name, "..") && name[0] != '.' && name[strlen(name) - 1] != '.');
}

static void fuzz_check_egress(const char *word)
{
	struct value_endpoint endpoint = { .family = 77 };
	struct custody_plan *plan;
	int r = value_parse_egress(word, &endpoint);

	if (r < 0) {
		fuzz_require(endpoint.family == 77);
		return;
	}
	switch (endpoint.family) {
	case PLAN_FAMILY_NAME:
		fuzz_require(endpoint.port > 0 && endpoint.protocol == IPPROTO_TCP);
		break;
	case PLAN_FAMILY_UNIX:
		fuzz_require(endpoint.path && endpoint.path[0] == '/');
		break;
	default:
		fuzz_require(destination_check_address(endpoint.family, endpoint.address));
		fuzz_require(endpoint.protocol == IPPROTO_TCP || endpoint.protocol == IPPROTO_UDP);
	}
	/* No address of a plan without names is a stand-in for one. */
	plan = calloc(1, sizeof(*plan));
	fuzz_require(plan != NULL);
	fuzz_require(destination_find_name(plan, endpoint.address, endpoint.port) == -1);
	free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ptr char *word = NULL;
	struct value_endpoint endpoint;

	if (size > 4096)
		return 0;
	word = malloc(size + 1);
	if (!word)
		return 0;
	if (size > 0)
		memcpy(word, data, size);
	word[size] = '\0';
	fuzz_check_host(word);
	fuzz_check_egress(word);
	if (value_parse_endpoint(word, &endpoint) == 0 && endpoint.family == PLAN_FAMILY_UNIX)
		fuzz_require(endpoint.path[0] == '/');
	return 0;
}
