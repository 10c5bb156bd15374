/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF headers (ggml/docs/gguf.md): recognised and checked to their last tensor. Run by whatever
 * measures models. Pure. Trusts nothing.
 *
 * Checked: version 2 or 3, little-endian; counts that the file has room for; keys and names in
 * UTF-8, none twice; value types; arrays in arrays at most four deep; dimensions and sizes without
 * overflow, in whole blocks; every tensor aligned, within the file, directly behind the one before
 * it; nothing behind the last one. The strings of an array are only held against its bounds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

#define GGUF_MAGIC 0x46554747U
#define GGUF_STRING 8
#define GGUF_ARRAY 9
#define GGUF_U32 4
#define GGUF_NEST_MAX 4
#define GGUF_DIMENSIONS_MAX 4
#define GGUF_KEY_MAX 65535
#define GGUF_NAME_MAX 64
#define GGUF_ALIGNMENT 32
#define GGUF_ALIGNMENT_MAX 65536

/* Bytes of a value by its type; 0: string, array or unknown. */
static const __u8 gguf_values[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

/* Elements and bytes of a block, by ggml's number of the tensor type. */
static const struct {
	__u16 elements;
	__u16 bytes;
} gguf_types[] = {
	[0] = { 1, 4 },	     [1] = { 1, 2 },	  [2] = { 32, 18 },    [3] = { 32, 20 },
	[6] = { 32, 22 },    [7] = { 32, 24 },	  [8] = { 32, 34 },    [9] = { 32, 36 },
	[10] = { 256, 84 },  [11] = { 256, 110 }, [12] = { 256, 144 }, [13] = { 256, 176 },
	[14] = { 256, 210 }, [15] = { 256, 292 }, [16] = { 256, 66 },  [17] = { 256, 74 },
	[18] = { 256, 98 },  [19] = { 256, 50 },  [20] = { 32, 18 },   [21] = { 256, 110 },
	[22] = { 256, 82 },  [23] = { 256, 136 }, [24] = { 1, 1 },     [25] = { 1, 2 },
	[26] = { 1, 4 },     [27] = { 1, 8 },	  [28] = { 1, 8 },     [29] = { 256, 56 },
	[30] = { 1, 2 },     [34] = { 256, 54 },  [35] = { 256, 66 },  [39] = { 32, 17 },
	[40] = { 64, 36 },   [41] = { 128, 18 },
};

struct gguf_tensor {
	__u64 offset; /* in the data */
	__u64 bytes;
};

struct gguf {
	struct format_cursor cursor;
	struct format_finding *ret;
	__u64 n_keys;
	__u64 n_tensors;
	__u64 alignment;
	__u64 *names; /* hashes: of the keys, and then of the tensors */
	struct gguf_tensor *tensors;
};

int format_is_gguf(const struct format_source *source, const struct format_head *head)
{
	(void)source;
	return head->n >= 4 && format_number(head->bytes, 4) == GGUF_MAGIC;
}

/* FNV-1a. Names that collide on purpose are taken for the same, and refused. */
static __u64 gguf_hash(const char *text, size_t n)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (__u8)text[i]) * 0x100000001b3ULL;
	return hash;
}

static int gguf_compare_hash(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static int gguf_check_names(struct gguf *gguf, __u64 n, const char *what)
{
	qsort(gguf->names, n, sizeof(*gguf->names), gguf_compare_hash);
	for (__u64 i = 1; i < n; i++) {
		if (gguf->names[i] == gguf->names[i - 1])
			return format_refuse(gguf->ret, "The GGUF header has two %s of one name.",
					     what);
	}
	return 0;
}

/* A string of 1 to max bytes that is text, into text (max + 1 bytes). */
static int gguf_take_name(struct gguf *gguf, char *text, size_t max, size_t *ret_n)
{
	__u64 n = 0;
	int r = format_take_u64(&gguf->cursor, &n);

	if (r == 0 && (n == 0 || n > max))
		return format_refuse(gguf->ret,
				     "The GGUF header has a name of %llu bytes; 1 to %zu are "
				     "allowed.",
				     (unsigned long long)n, max);
	if (r == 0)
		r = format_take(&gguf->cursor, text, (size_t)n);
	if (r < 0)
		return r;
	text[n] = '\0';
	if (!format_is_text(text, (size_t)n))
		return format_refuse(gguf->ret,
				     "The GGUF header has a name that is not UTF-8 without control "
				     "characters: %s.",
				     oms_quote(text, (size_t)n).text);
	*ret_n = (size_t)n;
	return 0;
}

static int gguf_skip_string(struct gguf *gguf)
{
	__u64 n = 0;
	int r = format_take_u64(&gguf->cursor, &n);

	return r < 0 ? r : format_skip(&gguf->cursor, n);
}

static int gguf_skip_value(struct gguf *gguf, __u32 type, unsigned int depth);

static int gguf_skip_array(struct gguf *gguf, unsigned int depth)
{
	__u32 type = 0;
	__u64 n = 0;
	int r = format_take_u32(&gguf->cursor, &type);

	if (r == 0)
		r = format_take_u64(&gguf->cursor, &n);
	if (r < 0)
		return r;
	if (depth >= GGUF_NEST_MAX)
		return format_refuse(gguf->ret, "The GGUF header nests arrays deeper than %d.",
				     GGUF_NEST_MAX);
	if (type < ARRAY_SIZE(gguf_values) && gguf_values[type] > 0)
		return n > FORMAT_GGUF_MAX ? -ENODATA
					   : format_skip(&gguf->cursor, n * gguf_values[type]);
	while (r == 0 && n-- > 0)
		r = gguf_skip_value(gguf, type, depth + 1);
	return r;
}

static int gguf_skip_value(struct gguf *gguf, __u32 type, unsigned int depth)
{
	if (type == GGUF_STRING)
		return gguf_skip_string(gguf);
	if (type == GGUF_ARRAY)
		return gguf_skip_array(gguf, depth);
	if (type >= ARRAY_SIZE(gguf_values))
		return format_refuse(gguf->ret,
				     "The GGUF header has a value of the unknown type %u.", type);
	return format_skip(&gguf->cursor, gguf_values[type]);
}

static int gguf_take_alignment(struct gguf *gguf, __u32 type)
{
	__u32 alignment = 0;
	int r;

	if (type != GGUF_U32)
		return format_refuse(gguf->ret, "general.alignment is not of the type uint32.");
	r = format_take_u32(&gguf->cursor, &alignment);
	if (r < 0)
		return r;
	if (alignment < 8 || alignment > GGUF_ALIGNMENT_MAX || (alignment & (alignment - 1)))
		return format_refuse(gguf->ret,
				     "general.alignment is %u; a power of two from 8 to %d is "
				     "allowed.",
				     alignment, GGUF_ALIGNMENT_MAX);
	gguf->alignment = alignment;
	return 0;
}

static int gguf_take_keys(struct gguf *gguf)
{
	cleanup_ptr char *key = malloc(GGUF_KEY_MAX + 1);

	if (!key)
		return -ENOMEM;
	for (__u64 i = 0; i < gguf->n_keys; i++) {
		__u32 type = 0;
		size_t n = 0;
		int r = gguf_take_name(gguf, key, GGUF_KEY_MAX, &n);

		if (r == 0)
			r = format_take_u32(&gguf->cursor, &type);
		if (r < 0)
			return r;
		gguf->names[i] = gguf_hash(key, n);
		if (strcmp(key, "general.alignment") == 0)
			r = gguf_take_alignment(gguf, type);
		else
			r = gguf_skip_value(gguf, type, 0);
		if (r < 0)
			return r;
	}
	return gguf_check_names(gguf, gguf->n_keys, "keys");
}

static int gguf_take_dimensions(struct gguf *gguf, const char *name, __u64 *ret_elements,
				__u64 *ret_row)
{
	__u64 elements = 1;
	__u64 row = 1;
	__u32 n = 0;
	int r = format_take_u32(&gguf->cursor, &n);

	if (r == 0 && n > GGUF_DIMENSIONS_MAX)
		return format_refuse(gguf->ret, "The tensor %s has %u dimensions; %d are known.",
				     oms_quote(name, strlen(name)).text, n, GGUF_DIMENSIONS_MAX);
	for (__u32 i = 0; r == 0 && i < n; i++) {
		__u64 dimension = 0;

		r = format_take_u64(&gguf->cursor, &dimension);
		if (i == 0)
			row = dimension;
		if (r == 0 && (__builtin_mul_overflow(elements, dimension, &elements) ||
			       elements >> 62 || dimension >> 62))
			return format_refuse(gguf->ret, "The dimensions of the tensor %s overflow.",
					     oms_quote(name, strlen(name)).text);
	}
	*ret_elements = elements;
	*ret_row = row;
	return r;
}

static int gguf_size_tensor(struct gguf *gguf, const char *name, __u32 type, __u64 elements,
			    __u64 row, __u64 *ret)
{
	if (type >= ARRAY_SIZE(gguf_types) || gguf_types[type].elements == 0)
		return format_refuse(gguf->ret,
				     "The tensor %s is of the type %u, which is not known here.",
				     oms_quote(name, strlen(name)).text, type);
	if (row % gguf_types[type].elements != 0)
		return format_refuse(gguf->ret,
				     "The rows of the tensor %s are no whole blocks of %u.",
				     oms_quote(name, strlen(name)).text, gguf_types[type].elements);
	if (__builtin_mul_overflow(elements / gguf_types[type].elements,
				   (__u64)gguf_types[type].bytes, ret))
		return format_refuse(gguf->ret, "The size of the tensor %s overflows.",
				     oms_quote(name, strlen(name)).text);
	return 0;
}

static int gguf_take_tensor(struct gguf *gguf, struct gguf_tensor *ret, __u64 *ret_hash)
{
	char name[GGUF_NAME_MAX + 1];
	__u64 elements = 0, row = 0;
	__u32 type = 0;
	size_t n = 0;
	int r = gguf_take_name(gguf, name, GGUF_NAME_MAX, &n);

	if (r == 0)
		r = gguf_take_dimensions(gguf, name, &elements, &row);
	if (r == 0)
		r = format_take_u32(&gguf->cursor, &type);
	if (r == 0)
		r = format_take_u64(&gguf->cursor, &ret->offset);
	if (r == 0)
		r = gguf_size_tensor(gguf, name, type, elements, row, &ret->bytes);
	if (r < 0)
		return r;
	if (ret->offset % gguf->alignment != 0)
		return format_refuse(gguf->ret,
				     "The tensor %s is at offset %llu, which is no multiple of "
				     "%llu.",
				     oms_quote(name, n).text, (unsigned long long)ret->offset,
				     (unsigned long long)gguf->alignment);
	*ret_hash = gguf_hash(name, n);
	return 0;
}

static int gguf_compare_tensor(const void *a, const void *b)
{
	const struct gguf_tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static __u64 gguf_align(const struct gguf *gguf, __u64 at)
{
	return (at + gguf->alignment - 1) / gguf->alignment * gguf->alignment;
}

/* Each begins where the one before it ends, and its padding; the last ends with the file. */
static int gguf_check_layout(struct gguf *gguf, __u64 size)
{
	__u64 begin = gguf_align(gguf, gguf->cursor.at);
	__u64 data = size > begin ? size - begin : 0;
	__u64 at = 0;

	qsort(gguf->tensors, gguf->n_tensors, sizeof(*gguf->tensors), gguf_compare_tensor);
	for (__u64 i = 0; i < gguf->n_tensors; i++) {
		const struct gguf_tensor *tensor = &gguf->tensors[i];

		if (tensor->offset > data || tensor->bytes > data - tensor->offset)
			return format_refuse(gguf->ret,
					     "A tensor of %llu bytes at offset %llu reaches past "
					     "the end of the file: it is truncated.",
					     (unsigned long long)tensor->bytes,
					     (unsigned long long)tensor->offset);
		if (tensor->offset != gguf_align(gguf, at))
			return format_refuse(
				gguf->ret, "The tensor at offset %llu %s the one before it.",
				(unsigned long long)tensor->offset,
				tensor->offset < at ? "overlaps" : "leaves a hole behind");
		at = tensor->offset + tensor->bytes;
	}
	if (data > gguf_align(gguf, at))
		return format_refuse(gguf->ret,
				     "Behind the last tensor are %llu bytes that belong to none.",
				     (unsigned long long)(data - gguf_align(gguf, at)));
	return 0;
}

static int gguf_take_counts(struct gguf *gguf, const struct format_source *source)
{
	__u32 version = 0;
	int r = format_skip(&gguf->cursor, 4);

	if (r == 0)
		r = format_take_u32(&gguf->cursor, &version);
	if (r == 0 && version != 2 && version != 3)
		return format_refuse(
			gguf->ret, "The GGUF file is of version %u%s; 2 and 3 are known.", version,
			version && !(version & 0xffffff) ? " (big-endian, perhaps)" : "");
	if (r == 0)
		r = format_take_u64(&gguf->cursor, &gguf->n_tensors);
	if (r == 0)
		r = format_take_u64(&gguf->cursor, &gguf->n_keys);
	if (r < 0)
		return r;
	if (gguf->n_tensors > FORMAT_TENSORS_MAX || gguf->n_keys > FORMAT_GGUF_KEYS_MAX)
		return format_refuse(gguf->ret,
				     "The GGUF header has %llu tensors and %llu keys; at most %u "
				     "and %u are read.",
				     (unsigned long long)gguf->n_tensors,
				     (unsigned long long)gguf->n_keys, FORMAT_TENSORS_MAX,
				     FORMAT_GGUF_KEYS_MAX);
	/* the least bytes of a tensor (name, dimensions, type, offset) and of a key */
	if (gguf->n_tensors > source->size / 25 || gguf->n_keys > source->size / 13)
		return -ENODATA;
	return 0;
}

static int gguf_take_all(struct gguf *gguf, const struct format_source *source)
{
	__u64 most;
	int r = gguf_take_counts(gguf, source);

	if (r < 0)
		return r;
	most = gguf->n_tensors > gguf->n_keys ? gguf->n_tensors : gguf->n_keys;
	gguf->names = calloc(most + 1, sizeof(*gguf->names));
	gguf->tensors = calloc(gguf->n_tensors + 1, sizeof(*gguf->tensors));
	if (!gguf->names || !gguf->tensors)
		return -ENOMEM;
	r = gguf_take_keys(gguf);
	for (__u64 i = 0; r == 0 && i < gguf->n_tensors; i++)
		r = gguf_take_tensor(gguf, &gguf->tensors[i], &gguf->names[i]);
	if (r == 0)
		r = gguf_check_names(gguf, gguf->n_tensors, "tensors");
	return r == 0 ? gguf_check_layout(gguf, source->size) : r;
}

int format_check_gguf(const struct format_source *source, struct format_finding *ret)
{
	struct gguf gguf = { .ret = ret, .alignment = GGUF_ALIGNMENT };
	int r;

	ret->format = CUSTODY_FORMAT_GGUF;
	format_begin(&gguf.cursor, source, 0, FORMAT_GGUF_MAX);
	r = gguf_take_all(&gguf, source);
	free(gguf.names);
	free(gguf.tensors);
	if (r != -ENODATA)
		return r;
	return format_refuse(ret, "The GGUF header reaches past %s: it is damaged%s.",
			     source->size > FORMAT_GGUF_MAX ? "what is read of it"
							    : "the end of the file",
			     source->size > FORMAT_GGUF_MAX ? ", or larger than 128 MiB" : "");
}
