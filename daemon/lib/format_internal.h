/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the header parsers of format.c share: a file or bytes read with bounds, and the parsers.
 * Pure. Trusts nothing.
 */
#ifndef CUSTODY_FORMAT_INTERNAL_H
#define CUSTODY_FORMAT_INTERNAL_H

#include "format.h"
#include "oms_internal.h"

#define FORMAT_HEAD 1024 /* bytes of the beginning that every recogniser sees */
#define FORMAT_BUFFER 16384

/* A file, or bytes in memory of which only the first `held` could be unpacked. */
struct format_source {
	int fd;
	const __u8 *data; /* NULL: read from fd */
	__u64 size;
	size_t held; /* of data; at most size */
};

/*
 * Exactly n bytes at off. -ENODATA when they reach past the end; -ENOBUFS when they were not
 * unpacked; -EBUSY when the file is shorter than it was; -errno.
 */
int format_read(const struct format_source *source, __u64 off, void *ret, size_t n);

/* Reading on and on, through a buffer. Errors as of format_read(). */
struct format_cursor {
	const struct format_source *source;
	__u64 at;
	__u64 end; /* nothing is read from here on */
	__u64 buffer_at;
	size_t buffer_n;
	__u8 buffer[FORMAT_BUFFER];
};

void format_begin(struct format_cursor *cursor, const struct format_source *source, __u64 at,
		  __u64 end);
int format_take(struct format_cursor *cursor, void *ret, size_t n);
int format_take_u8(struct format_cursor *cursor, __u8 *ret);
int format_take_u32(struct format_cursor *cursor, __u32 *ret); /* little-endian */
int format_take_u64(struct format_cursor *cursor, __u64 *ret);
int format_skip(struct format_cursor *cursor, __u64 n);

/* Little-endian number of n <= 8 bytes. */
__u64 format_number(const __u8 *bytes, size_t n);

/* Bytes that are UTF-8 without control characters. */
bool format_is_text(const char *text, size_t n);

/* The beginning of a file; zero behind its end. */
struct format_head {
	__u8 bytes[FORMAT_HEAD];
	size_t n;
};

/*
 * Recognisers: 1 it is one, 0 it is none, -errno. The head is the source's.
 */
int format_is_gguf(const struct format_source *source, const struct format_head *head);
int format_is_safetensors(const struct format_source *source, const struct format_head *head);
int format_is_npy(const struct format_source *source, const struct format_head *head);
int format_is_hdf5(const struct format_source *source, const struct format_head *head);
int format_is_zip(const struct format_source *source, const struct format_head *head);
int format_is_zip_behind(const struct format_source *source, const struct format_head *head);
int format_is_onnx(const struct format_source *source, const struct format_head *head);
int format_is_tensorflow(const struct format_source *source, const struct format_head *head);
int format_is_tar(const struct format_source *source, const struct format_head *head);
int format_is_opaque(const struct format_source *source, const struct format_head *head);
int format_is_deflated(const struct format_source *source, const struct format_head *head);
int format_is_pickle(const struct format_source *source, const struct format_head *head);

/*
 * Parsers of what was recognised: 0 with format, pickles and perhaps why in *ret; -EBADMSG with
 * why; other errors without.
 */
int format_check_gguf(const struct format_source *source, struct format_finding *ret);
int format_check_safetensors(const struct format_source *source, struct format_finding *ret);
int format_check_npy(const struct format_source *source, struct format_finding *ret);
int format_check_hdf5(const struct format_source *source, struct format_finding *ret);
int format_check_zip(const struct format_source *source, struct format_finding *ret);
int format_check_onnx(const struct format_source *source, struct format_finding *ret);
int format_check_deflated(const struct format_source *source, struct format_finding *ret);
int format_check_pickle(const struct format_source *source, struct format_finding *ret);

/* 1 when bytes of a stream or an archive's entry are a pickle or cannot be looked into. */
int format_hides_pickle(const __u8 *data, size_t held, __u64 size);

/*
 * Unpacks raw deflate (zip), or zlib and gzip, at most `size` bytes. *ret_whole: the stream ended.
 * -EBADMSG when it is damaged within them.
 */
int format_inflate(const struct format_source *source, __u64 off, __u64 end, bool raw, __u8 *ret,
		   size_t size, size_t *ret_n, bool *ret_whole);

/* Writes the sentence and returns -EBADMSG. */
#define format_refuse(ret, ...) oms_explain(&(ret)->why, -EBADMSG, __VA_ARGS__)

#endif
