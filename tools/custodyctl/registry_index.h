/* SPDX-License-Identifier: Apache-2.0 */
/* The index of fingerprints of a version, looked at by custodyctl. Trusts no byte of it. */
#ifndef CUSTODYCTL_REGISTRY_INDEX_H
#define CUSTODYCTL_REGISTRY_INDEX_H

#include <jansson.h>
#include <stdbool.h>

#include "custody/model.h"

enum registry_index_state {
	REGISTRY_INDEX_NONE,		/* the version has none */
	REGISTRY_INDEX_GOOD,
	REGISTRY_INDEX_UNREADABLE,	/* to the caller: it is root's alone */
	REGISTRY_INDEX_MISSING,
	REGISTRY_INDEX_CHANGED,		/* not the bytes that the registry knows, or no index */
};

/* Reads it (4 MiB at most). */
enum registry_index_state registry_index_check(const struct model_version *model);

/* {file, digest, state}, or null. NULL: out of memory. */
json_t *registry_index_json(const struct model_version *model, enum registry_index_state state);

/* A sentence on standard error, when it is missing or changed; then true. */
bool registry_index_complain(const struct model_version *model, enum registry_index_state state);

#endif
