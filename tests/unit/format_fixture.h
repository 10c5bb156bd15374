/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of format.c share: files built byte by byte, and what is said of them. */
#ifndef FORMAT_FIXTURE_H
#define FORMAT_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "format.h"

struct bytes {
	__u8 data[1 << 17];
	size_t n;
};

static inline void add(struct bytes *b, const void *data, size_t n)
{
	assert_true(n <= sizeof(b->data) - b->n);
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static inline void add_number(struct bytes *b, __u64 value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		__u8 byte = (__u8)(value >> 8 * i);

		add(b, &byte, 1);
	}
}

static inline void add_zeros(struct bytes *b, size_t n)
{
	assert_true(n <= sizeof(b->data) - b->n);
	memset(b->data + b->n, 0, n);
	b->n += n;
}

static inline void set_number(struct bytes *b, size_t at, __u64 value, size_t n)
{
	size_t end = b->n;

	b->n = at;
	add_number(b, value, n);
	b->n = end;
}

static inline int inspect(const struct bytes *b, struct format_finding *ret)
{
	/* a copy of its own size: the sanitizer sees each byte too many */
	__u8 *copy = malloc(b->n + 1);
	int r;

	assert_non_null(copy);
	copy = realloc(copy, b->n ? b->n : 1);
	assert_non_null(copy);
	memcpy(copy, b->data, b->n);
	r = format_inspect_bytes(copy, b->n, ret);
	free(copy);
	return r;
}

/* It is that format and carries pickles or not. */
static inline void is(const struct bytes *b, __u32 format, bool pickles)
{
	struct format_finding finding;
	int r = inspect(b, &finding);

	if (r != 0 || finding.format != format || finding.pickles != pickles)
		fail_msg("%d %s %d %s; wanted %s %d", r, format_name(finding.format),
			 finding.pickles, finding.why.text, format_name(format), pickles);
	if (pickles)
		assert_true(finding.why.text[0]);
}

/* It is refused, and the sentence has that in it. */
static inline void is_refused(const struct bytes *b, const char *why)
{
	struct format_finding finding;
	int r = inspect(b, &finding);

	if (r != -EBADMSG || !strstr(finding.why.text, why))
		fail_msg("%d %s %d %s; wanted %s", r, format_name(finding.format), finding.pickles,
			 finding.why.text, why);
}

/* A safetensors file: the header as it stands, and so many bytes of data. */
static inline void make_safetensors(struct bytes *b, const char *header, size_t data)
{
	b->n = 0;
	add_number(b, strlen(header), 8);
	add(b, header, strlen(header));
	add_zeros(b, data);
}

#define SAFETENSORS_A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

#endif
