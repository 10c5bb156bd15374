/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership in one function, of jansson's values: see cleanup.h. Run by whoever includes it. */
#ifndef CUSTODY_CLEANUP_JSON_H
#define CUSTODY_CLEANUP_JSON_H

#include <jansson.h>
#include <stddef.h>

static inline void cleanup_decref_json(json_t **json)
{
	json_decref(*json);	/* which lets NULL be */
	*json = NULL;
}

#define cleanup_json	__attribute__((cleanup(cleanup_decref_json)))

#endif
