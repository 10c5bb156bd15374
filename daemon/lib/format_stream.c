/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and archives that hide what is in them: gzip and zlib are unpacked at their beginning,
 * others only named. Run by whatever measures models, on zlib. Pure. Trusts nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cleanup.h"
#include "format_internal.h"

#define STREAM_TAR_CHECKSUM 148
#define STREAM_TAR_BLOCK 512

/* joblib and others unpack these by their first bytes alone. */
static const struct {
	const char *bytes;
	size_t n;
} stream_magics[] = {
	{ "BZh", 3 },
	{ "\xfd"
	  "7zXZ\0",
	  6 },
	{ "\x5d\0\0", 3 }, /* LZMA, the older kind */
	{ "\x04\x22\x4d\x18", 4 }, /* LZ4 */
	{ "\x28\xb5\x2f\xfd", 4 }, /* Zstandard */
	{ "ZF0x", 4 }, /* joblib before 0.10 */
	{ "7z\xbc\xaf\x27\x1c", 6 },
	{ "Rar!\x1a\x07", 6 },
};

int format_is_opaque(const struct format_source *source, const struct format_head *head)
{
	(void)source;
	for (size_t i = 0; i < ARRAY_SIZE(stream_magics); i++) {
		if (head->n >= stream_magics[i].n &&
		    memcmp(head->bytes, stream_magics[i].bytes, stream_magics[i].n) == 0)
			return 1;
	}
	return 0;
}

/* An octal field; true when it has digits, and blanks or NULs behind them. */
static bool stream_parse_octal(const __u8 *field, size_t n, __u64 *ret)
{
	__u64 value = 0;
	size_t i = 0;

	while (i < n && field[i] == ' ')
		i++;
	if (i == n || field[i] < '0' || field[i] > '7')
		return false;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		value = value * 8 + (__u64)(field[i] - '0');
	*ret = value;
	return i == n || field[i] == ' ' || field[i] == '\0';
}

/* The first header's checksum, over bytes as numbers or as C's char: tar and Python take both. */
int format_is_tar(const struct format_source *source, const struct format_head *head)
{
	__u64 wanted = 0;
	__s64 plain = 8 * ' ', with_sign = 8 * ' ';

	(void)source;
	if (head->n < STREAM_TAR_BLOCK || head->bytes[0] == 0 ||
	    !stream_parse_octal(head->bytes + STREAM_TAR_CHECKSUM, 8, &wanted))
		return 0;
	for (size_t i = 0; i < STREAM_TAR_BLOCK; i++) {
		if (i >= STREAM_TAR_CHECKSUM && i < STREAM_TAR_CHECKSUM + 8)
			continue;
		plain += head->bytes[i];
		with_sign += (signed char)head->bytes[i];
	}
	return wanted == (__u64)plain || wanted == (__u64)with_sign;
}

int format_is_deflated(const struct format_source *source, const struct format_head *head)
{
	const __u8 *b = head->bytes;

	(void)source;
	if (head->n < 3)
		return 0;
	return (b[0] == 0x1f && b[1] == 0x8b && b[2] == 8) ||
	       (b[0] == 0x78 && (b[1] & 0x20) == 0 && (b[0] << 8 | b[1]) % 31 == 0);
}

static int stream_feed(z_stream *z, const struct format_source *source, __u64 *off, __u64 end,
		       __u8 *buffer)
{
	size_t n = end - *off < FORMAT_BUFFER ? (size_t)(end - *off) : FORMAT_BUFFER;
	int r;

	if (source->data && *off < source->held && n > source->held - *off)
		n = source->held - (size_t)*off;
	if (n == 0)
		return -ENODATA;
	r = format_read(source, *off, buffer, n);
	*off += n;
	z->next_in = buffer;
	z->avail_in = (uInt)n;
	return r;
}

static int stream_inflate(z_stream *z, const struct format_source *source, __u64 off, __u64 end,
			  bool *ret_whole)
{
	__u8 buffer[FORMAT_BUFFER];
	int status = Z_OK;

	while (status == Z_OK && z->avail_out > 0) {
		if (z->avail_in == 0) {
			int r = stream_feed(z, source, &off, end, buffer);

			if (r < 0)
				return r;
		}
		status = inflate(z, Z_NO_FLUSH);
	}
	*ret_whole = status == Z_STREAM_END;
	if (status == Z_MEM_ERROR)
		return -ENOMEM;
	return status == Z_OK || status == Z_STREAM_END ? 0 : -EBADMSG;
}

int format_inflate(const struct format_source *source, __u64 off, __u64 end, bool raw, __u8 *ret,
		   size_t size, size_t *ret_n, bool *ret_whole)
{
	z_stream z = { .next_out = ret, .avail_out = (uInt)size };
	int r;

	/* 32: gzip or zlib, by the header */
	if (inflateInit2(&z, raw ? -MAX_WBITS : MAX_WBITS + 32) != Z_OK)
		return -ENOMEM;
	*ret_whole = false;
	r = stream_inflate(&z, source, off, end, ret_whole);
	*ret_n = size - z.avail_out;
	(void)inflateEnd(&z);
	return r;
}

int format_hides_pickle(const __u8 *data, size_t held, __u64 size)
{
	const struct format_source source = { .fd = -1, .data = data, .size = size, .held = held };
	struct format_head head = { .n = held < FORMAT_HEAD ? held : FORMAT_HEAD };

	memcpy(head.bytes, data, head.n);
	if (format_is_opaque(&source, &head) || format_is_tar(&source, &head) ||
	    format_is_deflated(&source, &head) || format_is_zip(&source, &head))
		return 1;
	return format_is_pickle(&source, &head);
}

/* What cannot be unpacked runs nothing: whoever loads it fails as zlib did here. */
int format_check_deflated(const struct format_source *source, struct format_finding *ret)
{
	cleanup_ptr __u8 *bytes = malloc(FORMAT_PREFIX);
	bool whole = false;
	size_t n = 0;
	int r;

	if (!bytes)
		return -ENOMEM;
	r = format_inflate(source, 0, source->size, false, bytes, FORMAT_PREFIX, &n, &whole);
	if (r < 0 && r != -EBADMSG && r != -ENODATA && r != -ENOBUFS)
		return r;
	/* behind what was unpacked comes nothing, or what was not asked for */
	whole = whole || r < 0;
	if (n == 0)
		return 0;
	r = format_hides_pickle(bytes, n, whole ? n : ~0ULL >> 1);
	if (r <= 0)
		return r;
	ret->format = CUSTODY_FORMAT_PICKLE;
	ret->pickles = true;
	(void)oms_explain(&ret->why, 0,
			  "It is a compressed stream of a pickle, or of something that custody "
			  "does not look into: it counts as a pickle.");
	return 0;
}
