/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NPY headers (numpy/lib/format.py): recognised and checked, and whether the array is of objects,
 * which are a pickle behind the header. Run by whatever measures models. Pure. Trusts nothing.
 *
 * The header is a Python literal that numpy evaluates. Only the plain form that numpy writes is
 * taken: no escapes, no other quotes than '. A dtype with an O, or with the word object, anywhere
 * in it counts as one of objects: so does one with an O in the name of a field.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

#define NPY_MAGIC "\x93NUMPY"
#define NPY_MAGIC_SIZE 6
#define NPY_SHAPE "'shape': ("

int format_is_npy(const struct format_source *source, const struct format_head *head)
{
	(void)source;
	return head->n >= NPY_MAGIC_SIZE && memcmp(head->bytes, NPY_MAGIC, NPY_MAGIC_SIZE) == 0;
}

/* The elements of "(3, 4)" or "(3,)", at text. */
static bool npy_parse_shape(const char *text, __u64 *ret)
{
	__u64 elements = 1;

	while (*text != ')') {
		__u64 dimension;
		char *end;

		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		dimension = strtoull(text, &end, 10);
		if (errno || __builtin_mul_overflow(elements, dimension, &elements))
			return false;
		text = end + strspn(end, ", L");
	}
	*ret = elements;
	return true;
}

/* Bytes of an element of a plain dtype such as '<f4'; 0 of others. */
static __u64 npy_parse_size(const char *descr)
{
	__u64 size;
	char *end;

	if (descr[0] != '\'' || !descr[1] || !strchr("<>|=", descr[1]) || !descr[2] ||
	    !strchr("biufcSV?", descr[2]) || descr[3] < '0' || descr[3] > '9')
		return 0;
	size = strtoull(descr + 3, &end, 10);
	return *end == '\'' && size < 1ULL << 32 ? size : 0;
}

/* Strings of Python that stand side by side are one: 'ob' 'ject'. */
static bool npy_joins_strings(const char *text)
{
	bool quoted = false;
	char before = 0;

	for (; *text; text++) {
		if (*text == '\'' && !quoted && before == '\'')
			return true;
		if (*text == '\'')
			quoted = !quoted;
		if (!quoted && *text != ' ')
			before = *text;
	}
	return quoted;
}

static int npy_check_text(const char *text, __u64 data, struct format_finding *ret)
{
	const char *descr = strstr(text, "'descr': ");
	const char *shape = strstr(text, NPY_SHAPE);
	__u64 elements = 0, bytes;

	if (text[0] != '{' || !descr || !shape || !strstr(text, "'fortran_order': ") ||
	    strpbrk(text, "\\\"#\t\r\f\v") || npy_joins_strings(text))
		return format_refuse(ret, "The NPY header is not written as numpy writes it.");
	if (!npy_parse_shape(shape + strlen(NPY_SHAPE), &elements))
		return format_refuse(ret, "The shape in the NPY header is none.");
	if (strchr(text, 'O') || strstr(text, "object")) {
		ret->pickles = true;
		(void)oms_explain(&ret->why, 0, "The array is of objects, which are a pickle.");
		return 0;
	}
	if (__builtin_mul_overflow(elements, npy_parse_size(descr + strlen("'descr': ")), &bytes) ||
	    bytes > data)
		return format_refuse(ret, "The array reaches past the end of the file: it is "
					  "truncated.");
	return 0;
}

int format_check_npy(const struct format_source *source, struct format_finding *ret)
{
	cleanup_ptr char *text = NULL;
	__u8 bytes[12] = { 0 };
	size_t n, prefix;
	int r;

	ret->format = CUSTODY_FORMAT_NPZ;
	r = format_read(source, 0, bytes, 10);
	prefix = bytes[6] == 1 ? 10 : 12;
	if (r == 0)
		r = format_read(source, 0, bytes, prefix);
	if (r == -ENODATA)
		return format_refuse(ret, "The NPY header reaches past the end of the file.");
	if (r < 0)
		return r;
	if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
		return format_refuse(ret,
				     "The NPY file is of version %u.%u; 1.0, 2.0 and 3.0 are "
				     "known.",
				     bytes[6], bytes[7]);
	n = (size_t)format_number(bytes + 8, prefix - 8);
	if (n > FORMAT_NPY_MAX)
		return format_refuse(ret, "The NPY header has %zu bytes; at most %u are read.", n,
				     FORMAT_NPY_MAX);
	text = malloc(n + 1);
	if (!text)
		return -ENOMEM;
	r = format_read(source, prefix, text, n);
	if (r == -ENODATA || r == -ENOBUFS)
		return format_refuse(ret, "The NPY header reaches past the end of the file.");
	if (r < 0)
		return r;
	text[n] = '\0';
	if (strlen(text) != n)
		return format_refuse(ret, "The NPY header holds a NUL.");
	return npy_check_text(text, source->size - prefix - n, ret);
}
