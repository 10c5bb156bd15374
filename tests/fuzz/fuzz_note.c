/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a signed head and as public keys. What is accepted has one spelling.
 * Trusts nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	struct note_head head;
	struct key *key = NULL;
	const char *why = "";
	char vkey[512];
	size_t at = 0;
	size_t end = note_find_end(text, n);

	if (end > n)
		abort();
	if (note_parse(text, n, NULL, &head, &why, &at) == 0 && !note_check_origin(head.origin))
		abort();
	if (key_parse_public(text, n, &key) < 0)
		return 0;
	(void)note_parse(text, n, key, &head, &why, &at);
	if (key_name(key) && strlen(key_name(key)) < 256 &&
	    key_print_vkey(key, key_name(key), vkey, sizeof(vkey)) == 0 &&
	    (strlen(vkey) - n > 1 || memcmp(vkey, text, strlen(vkey) - 1) != 0))
		abort();
	key_free(&key);
	return 0;
}
