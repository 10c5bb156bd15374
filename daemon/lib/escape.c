/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacker-chosen bytes made safe to print. Run by the recorder (details in signed statements),
 * custodyctl and custody-verify. Pure. Trusts nothing.
 */
#include "escape.h"

#include <linux/types.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at p, 0 when there is none; *ret its code point. */
static size_t escape_decode_utf8(const unsigned char *p, size_t n, __u32 *ret)
{
	static const __u32 least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	__u32 code;
	size_t len;

	if (p[0] < 0x80)
		len = 1, code = p[0];
	else if ((p[0] & 0xe0) == 0xc0)
		len = 2, code = p[0] & 0x1f;
	else if ((p[0] & 0xf0) == 0xe0)
		len = 3, code = p[0] & 0x0f;
	else if ((p[0] & 0xf8) == 0xf0)
		len = 4, code = p[0] & 0x07;
	else
		return 0;
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret = code;
	return len;
}

static bool escape_is_plain(__u32 code, bool columns)
{
	static const __u32 hidden[][2] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f },
		{ 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
		{ 0xe000, 0xf8ff }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb }, { 0xe0000, 0x10ffff },
	};

	if (code == ' ')
		return !columns;
	/* no-break and typographic spaces look like the column separator */
	if (columns && (code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
			code == 0x202f || code == 0x205f || code == 0x3000))
		return false;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (code >= hidden[i][0] && code <= hidden[i][1])
			return false;
	}
	return (code & 0xfffe) != 0xfffe;
}

/* One unit of input as text of at most 16 characters; returns how many input bytes it took. */
static size_t escape_take(const unsigned char *in, size_t n, bool columns, char out[17])
{
	static const char digits[] = "0123456789abcdef";
	__u32 code = 0;
	size_t len = escape_decode_utf8(in, n, &code);
	size_t used = 0;

	if (len > 0 && code == '\\') {
		memcpy(out, "\\\\", 3);
		return 1;
	}
	if (len > 0 && escape_is_plain(code, columns)) {
		memcpy(out, in, len);
		out[len] = '\0';
		return len;
	}
	if (len == 0)
		len = 1;
	for (size_t i = 0; i < len; i++) {
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[in[i] >> 4];
		out[used++] = digits[in[i] & 15];
	}
	out[used] = '\0';
	return len;
}

char *escape_bytes(const void *data, size_t n, bool columns, char *ret, size_t size)
{
	const unsigned char *in = data;
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		char unit[17];
		size_t len;

		i += escape_take(in + i, n - i, columns, unit);
		len = strlen(unit);
		if (used + len + 1 > size)
			break;
		memcpy(ret + used, unit, len);
		used += len;
	}
	ret[used] = '\0';
	return ret;
}

char *escape_text(const char *field, size_t n, bool columns, char *ret, size_t size)
{
	return escape_bytes(field, strnlen(field, n), columns, ret, size);
}
