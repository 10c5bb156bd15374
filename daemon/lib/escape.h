/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that somebody else chose (program names, paths, addresses) made safe to print: on a
 * terminal, in a line of columns, inside JSON. Pure. Trusts nothing.
 */
#ifndef CUSTODY_ESCAPE_H
#define CUSTODY_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Room for n escaped bytes and the NUL. */
#define ESCAPE_SIZE(n) ((n) * 4 + 1)

/*
 * Writes n bytes as valid UTF-8 text with a NUL into ret (size bytes, at least 1) and returns
 * ret. Backslash becomes "\\"; control bytes, DEL, bytes that are not UTF-8, C1 controls and the
 * code points that hide or turn text round (bidirectional and zero-width formats, line and
 * paragraph separators, tags) become "\xNN" byte by byte; with `columns` a space does too. What
 * does not fit is left out: give ESCAPE_SIZE(n).
 */
char *escape_bytes(const void *data, size_t n, bool columns, char *ret, size_t size);

/* escape_bytes() of a field of `n` bytes up to its first NUL. */
char *escape_text(const char *field, size_t n, bool columns, char *ret, size_t size);

#endif
