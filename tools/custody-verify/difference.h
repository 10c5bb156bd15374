/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where two JSON values differ, for a message to people. Run by custody-verify. Pure.
 */
#ifndef CUSTODY_VERIFY_DIFFERENCE_H
#define CUSTODY_VERIFY_DIFFERENCE_H

#include <jansson.h>
#include <stdbool.h>

/* The path of the first difference ("predicate.facts[3].value") into ret. False when equal. */
bool difference_find(const json_t *a, const json_t *b, char *ret, size_t size);

#endif
