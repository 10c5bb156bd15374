/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard base64 (RFC 4648 section 4, with padding), strict: one text for every value. Used by
 * the recorder, custodyctl and custody-verify. Pure. Trusts nothing.
 */
#ifndef CUSTODY_BASE64_H
#define CUSTODY_BASE64_H

#include <stddef.h>

/* Characters that n bytes take, without a NUL. */
#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(n) characters and a NUL into ret (size bytes). 0 or -ENOBUFS. */
int base64_encode(const void *data, size_t n, char *ret, size_t size);

/*
 * Decodes exactly n characters into ret (size bytes). Refuses (-EBADMSG) white space, missing
 * padding, other alphabets and stray bits in the last character. -ENOBUFS when ret is too small.
 */
int base64_decode(const char *text, size_t n, void *ret, size_t size, size_t *ret_n);

#endif
