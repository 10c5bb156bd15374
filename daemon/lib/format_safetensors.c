/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors headers: recognised and checked. Run by whatever measures models. Pure. Trusts
 * nothing.
 *
 * Checked, as the reference implementation does and a little more: the header's size; strict JSON
 * without a name twice, beginning with '{'; __metadata__ of strings; known types, shapes without
 * overflow, exactly the bytes that type and shape need; every byte of the data belongs to exactly
 * one tensor, so that nothing can hide between or behind them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

#define SAFETENSORS_DIMENSIONS_MAX 64

/* Bits of an element. */
static const struct {
	const char *name;
	__u8 bits;
} safetensors_types[] = {
	{ "BOOL", 8 },	  { "F4", 4 },		{ "F6_E2M3", 6 },     { "F6_E3M2", 6 },
	{ "U8", 8 },	  { "I8", 8 },		{ "F8_E5M2", 8 },     { "F8_E4M3", 8 },
	{ "F8_E8M0", 8 }, { "F8_E4M3FNUZ", 8 }, { "F8_E5M2FNUZ", 8 }, { "I16", 16 },
	{ "U16", 16 },	  { "F16", 16 },	{ "BF16", 16 },	      { "I32", 32 },
	{ "U32", 32 },	  { "F32", 32 },	{ "C64", 64 },	      { "F64", 64 },
	{ "I64", 64 },	  { "U64", 64 },
};

struct safetensors_range {
	__u64 begin;
	__u64 end;
};

struct safetensors {
	struct format_finding *ret;
	struct safetensors_range *ranges;
	size_t n;
	__u64 data; /* bytes behind the header */
};

/* A length of less than 4 GiB, and an object of JSON. */
int format_is_safetensors(const struct format_source *source, const struct format_head *head)
{
	(void)source;
	return head->n > 9 && format_number(head->bytes + 4, 4) == 0 && head->bytes[8] == '{' &&
	       head->bytes[9] && strchr("\"} \t\r\n", head->bytes[9]);
}

static int safetensors_refuse(struct safetensors *all, const char *name, const char *what)
{
	return format_refuse(all->ret, "The tensor %s of the safetensors header %s.",
			     oms_quote(name, strlen(name)).text, what);
}

static int safetensors_take_size(struct safetensors *all, const char *name, const json_t *tensor,
				 __u64 *ret)
{
	const char *type = json_string_value(json_object_get(tensor, "dtype"));
	const json_t *shape = json_object_get(tensor, "shape");
	__u64 bits = 0;

	for (size_t i = 0; type && i < ARRAY_SIZE(safetensors_types); i++) {
		if (strcmp(type, safetensors_types[i].name) == 0)
			bits = safetensors_types[i].bits;
	}
	if (bits == 0)
		return safetensors_refuse(all, name, "has no dtype, or one that is not known");
	if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMENSIONS_MAX)
		return safetensors_refuse(all, name, "has no shape, or one that is no short array");
	for (size_t i = 0; i < json_array_size(shape); i++) {
		const json_t *dimension = json_array_get(shape, i);

		if (!json_is_integer(dimension) || json_integer_value(dimension) < 0)
			return safetensors_refuse(all, name, "has a dimension that is no size");
		if (__builtin_mul_overflow(bits, (__u64)json_integer_value(dimension), &bits))
			return safetensors_refuse(all, name, "has a shape that overflows");
	}
	if (bits % 8 != 0)
		return safetensors_refuse(all, name, "ends within a byte");
	*ret = bits / 8;
	return 0;
}

static int safetensors_take_tensor(struct safetensors *all, const char *name, const json_t *tensor)
{
	const json_t *offsets = json_object_get(tensor, "data_offsets");
	const json_t *begin = json_array_get(offsets, 0);
	const json_t *end = json_array_get(offsets, 1);
	struct safetensors_range *range = &all->ranges[all->n];
	__u64 size = 0;
	int r;

	if (!json_is_object(tensor) || json_object_size(tensor) != 3)
		return safetensors_refuse(all, name,
					  "is no object of dtype, shape and data_offsets");
	r = safetensors_take_size(all, name, tensor, &size);
	if (r < 0)
		return r;
	if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !json_is_integer(begin) ||
	    !json_is_integer(end) || json_integer_value(begin) < 0 ||
	    json_integer_value(end) < json_integer_value(begin))
		return safetensors_refuse(all, name, "has data_offsets that are no range");
	range->begin = (__u64)json_integer_value(begin);
	range->end = (__u64)json_integer_value(end);
	if (range->end - range->begin != size)
		return safetensors_refuse(all, name,
					  "has other bytes than its dtype and shape need");
	if (range->end > all->data)
		return safetensors_refuse(all, name,
					  "reaches past the end of the file: it is truncated");
	all->n++;
	return 0;
}

static int safetensors_check_metadata(struct safetensors *all, json_t *metadata)
{
	const char *key;
	json_t *value;

	if (!json_is_object(metadata))
		return format_refuse(all->ret,
				     "__metadata__ of the safetensors header is no object.");
	json_object_foreach (metadata, key, value) {
		if (!json_is_string(value))
			return format_refuse(all->ret,
					     "__metadata__ of the safetensors header holds %s, "
					     "which is no string.",
					     oms_quote(key, strlen(key)).text);
	}
	return 0;
}

static int safetensors_compare(const void *a, const void *b)
{
	const struct safetensors_range *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int safetensors_check_layout(struct safetensors *all)
{
	__u64 at = 0;

	qsort(all->ranges, all->n, sizeof(*all->ranges), safetensors_compare);
	for (size_t i = 0; i < all->n; i++) {
		if (all->ranges[i].begin != at)
			return format_refuse(all->ret,
					     "The tensor at offset %llu of the safetensors data %s "
					     "the one before it.",
					     (unsigned long long)all->ranges[i].begin,
					     all->ranges[i].begin < at ? "overlaps"
								       : "leaves a hole behind");
		at = all->ranges[i].end;
	}
	if (at != all->data)
		return format_refuse(all->ret,
				     "Behind the last tensor of the safetensors data are %llu "
				     "bytes that belong to none.",
				     (unsigned long long)(all->data - at));
	return 0;
}

static int safetensors_check_header(struct safetensors *all, json_t *header)
{
	const char *name;
	json_t *value;
	int r = 0;

	all->ranges = calloc(json_object_size(header) + 1, sizeof(*all->ranges));
	if (!all->ranges)
		return -ENOMEM;
	json_object_foreach (header, name, value) {
		if (strcmp(name, "__metadata__") == 0)
			r = safetensors_check_metadata(all, value);
		else
			r = safetensors_take_tensor(all, name, value);
		if (r < 0)
			return r;
	}
	return safetensors_check_layout(all);
}

int format_check_safetensors(const struct format_source *source, struct format_finding *ret)
{
	struct safetensors all = { .ret = ret };
	cleanup_json json_t *header = NULL;
	cleanup_ptr char *text = NULL;
	__u8 bytes[8];
	__u64 n;
	int r;

	ret->format = CUSTODY_FORMAT_SAFETENSORS;
	r = format_read(source, 0, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	n = format_number(bytes, sizeof(bytes));
	if (n > source->size - sizeof(bytes))
		return format_refuse(ret,
				     "The safetensors header of %llu bytes reaches past the end of "
				     "the file: it is truncated.",
				     (unsigned long long)n);
	if (n > FORMAT_SAFETENSORS_MAX)
		return format_refuse(ret,
				     "The safetensors header has %llu bytes; at most %u are read.",
				     (unsigned long long)n, FORMAT_SAFETENSORS_MAX);
	text = malloc((size_t)n + 1);
	if (!text)
		return -ENOMEM;
	r = format_read(source, sizeof(bytes), text, (size_t)n);
	if (r == 0)
		r = oms_json_parse(text, (size_t)n, "safetensors header", &header, &ret->why);
	if (r < 0)
		return r;
	all.data = source->size - sizeof(bytes) - n;
	r = safetensors_check_header(&all, header);
	free(all.ranges);
	return r;
}
