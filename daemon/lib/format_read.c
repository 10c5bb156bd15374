/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded reading of a model file for its header parsers. Run by whatever measures models. Pure
 * but for pread(). Trusts nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "format_internal.h"

int format_read(const struct format_source *source, __u64 off, void *ret, size_t n)
{
	__u8 *to = ret;

	if (off > source->size || n > source->size - off)
		return -ENODATA;
	if (source->data) {
		if (off > source->held || n > source->held - off)
			return -ENOBUFS;
		memcpy(to, source->data + off, n);
		return 0;
	}
	while (n > 0) {
		ssize_t got = pread(source->fd, to, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBUSY;
		to += got;
		off += (__u64)got;
		n -= (size_t)got;
	}
	return 0;
}

void format_begin(struct format_cursor *cursor, const struct format_source *source, __u64 at,
		  __u64 end)
{
	cursor->source = source;
	cursor->at = at;
	cursor->end = end < source->size ? end : source->size;
	cursor->buffer_at = 0;
	cursor->buffer_n = 0;
}

static int format_fill(struct format_cursor *cursor)
{
	const struct format_source *source = cursor->source;
	__u64 left = cursor->end - cursor->at;
	size_t n = left < FORMAT_BUFFER ? (size_t)left : FORMAT_BUFFER;
	int r;

	if (source->data) {
		if (cursor->at >= source->held)
			return -ENOBUFS;
		if (n > source->held - cursor->at)
			n = source->held - (size_t)cursor->at;
	}
	cursor->buffer_n = 0;
	r = format_read(source, cursor->at, cursor->buffer, n);
	if (r < 0)
		return r;
	cursor->buffer_at = cursor->at;
	cursor->buffer_n = n;
	return 0;
}

int format_take(struct format_cursor *cursor, void *ret, size_t n)
{
	__u8 *to = ret;

	if (cursor->at > cursor->end || n > cursor->end - cursor->at)
		return -ENODATA;
	while (n > 0) {
		__u64 skip = cursor->at - cursor->buffer_at;
		size_t piece;

		if (cursor->at < cursor->buffer_at || skip >= cursor->buffer_n) {
			int r = format_fill(cursor);

			if (r < 0)
				return r;
			skip = 0;
		}
		piece = cursor->buffer_n - (size_t)skip;
		piece = piece < n ? piece : n;
		memcpy(to, cursor->buffer + skip, piece);
		to += piece;
		cursor->at += piece;
		n -= piece;
	}
	return 0;
}

__u64 format_number(const __u8 *bytes, size_t n)
{
	__u64 value = 0;

	while (n > 0)
		value = value << 8 | bytes[--n];
	return value;
}

int format_take_u8(struct format_cursor *cursor, __u8 *ret)
{
	return format_take(cursor, ret, 1);
}

int format_take_u32(struct format_cursor *cursor, __u32 *ret)
{
	__u8 bytes[4];
	int r = format_take(cursor, bytes, sizeof(bytes));

	if (r == 0)
		*ret = (__u32)format_number(bytes, sizeof(bytes));
	return r;
}

int format_take_u64(struct format_cursor *cursor, __u64 *ret)
{
	__u8 bytes[8];
	int r = format_take(cursor, bytes, sizeof(bytes));

	if (r == 0)
		*ret = format_number(bytes, sizeof(bytes));
	return r;
}

int format_skip(struct format_cursor *cursor, __u64 n)
{
	if (cursor->at > cursor->end || n > cursor->end - cursor->at)
		return -ENODATA;
	cursor->at += n;
	return 0;
}

/* Length of the UTF-8 sequence at p; 0 when it is none, or a control character. */
static size_t format_measure_character(const __u8 *p, size_t n)
{
	static const __u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	__u32 code = len == 1 ? p[0] : p[0] & (0x7fU >> len);

	if (p[0] < 0x20 || p[0] == 0x7f || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[len] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return len == 2 && code < 0xa0 ? 0 : len; /* C1 controls */
}

bool format_is_text(const char *text, size_t n)
{
	const __u8 *p = (const __u8 *)text;

	for (size_t i = 0; i < n;) {
		size_t len = format_measure_character(p + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}
