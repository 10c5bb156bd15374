/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models in protobuf, which has no magic: ONNX (ModelProto) and TensorFlow (SavedModel, GraphDef),
 * told by the fields of their messages; besides TensorFlow's checkpoint index and TFLite. Run by
 * whatever measures models. Pure. Trusts nothing.
 *
 * A parser of protobuf passes over fields that it does not know. So does this: nothing that is
 * added to a model makes it something else here.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

#define PROTOBUF_GROUPS_MAX 32
#define PROTOBUF_TFLITE "TFL3"
#define PROTOBUF_TABLE_MAGIC "\x57\xfb\x80\x8b\x24\x75\x47\xdb"

enum protobuf_wire {
	PROTOBUF_VARINT = 0,
	PROTOBUF_FIXED64 = 1,
	PROTOBUF_BYTES = 2,
	PROTOBUF_GROUP = 3,
	PROTOBUF_GROUP_END = 4,
	PROTOBUF_FIXED32 = 5,
};

struct protobuf_range {
	__u64 begin;
	__u64 end;
};

/* What a message has, of its fields 1 to 31. */
struct protobuf_message {
	__u32 varints; /* 1 << number */
	__u32 bytes;
	bool cut; /* its last field reaches past the end */
};

/* 1: these bytes are what is looked for. */
struct protobuf_field {
	__u64 number;
	unsigned int wire;
	struct protobuf_range range; /* of PROTOBUF_BYTES */
};

static int protobuf_take_varint(struct format_cursor *cursor, __u64 *ret)
{
	__u64 value = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		__u8 byte = 0;
		int r = format_take_u8(cursor, &byte);

		if (r < 0)
			return r;
		value |= shift < 64 ? (__u64)(byte & 0x7f) << shift : 0;
		if (!(byte & 0x80)) {
			*ret = value;
			return 0;
		}
	}
	return -ENOMSG;
}

/* -ENOMSG: it is no protobuf. -ENODATA: it reaches past the end; *ret is set. */
static int protobuf_take_field(struct format_cursor *cursor, struct protobuf_field *ret)
{
	__u64 key = 0, n = 0;
	int r = protobuf_take_varint(cursor, &key);

	if (r < 0)
		return r == -ENODATA ? -ENOMSG : r;
	*ret = (struct protobuf_field){ .number = key >> 3, .wire = key & 7 };
	if (ret->number == 0 || ret->number >> 29)
		return -ENOMSG;
	switch (ret->wire) {
	case PROTOBUF_VARINT: return protobuf_take_varint(cursor, &n);
	case PROTOBUF_FIXED64: return format_skip(cursor, 8);
	case PROTOBUF_FIXED32: return format_skip(cursor, 4);
	case PROTOBUF_GROUP:
	case PROTOBUF_GROUP_END: return 0;
	case PROTOBUF_BYTES: break;
	default: return -ENOMSG;
	}
	r = protobuf_take_varint(cursor, &n);
	if (r == 0)
		ret->range = (struct protobuf_range){ cursor->at, cursor->at + n };
	return r < 0 ? r : format_skip(cursor, n);
}

/* What a walk looks for: a field of bytes, and what must be true of it. */
struct protobuf_search {
	__u64 number;
	int (*is)(const struct format_source *source, struct protobuf_range range);
};

static void protobuf_note(struct protobuf_message *message, const struct protobuf_field *field)
{
	if (field->number >= 32)
		return;
	if (field->wire == PROTOBUF_VARINT)
		message->varints |= 1U << field->number;
	if (field->wire == PROTOBUF_BYTES)
		message->bytes |= 1U << field->number;
}

struct protobuf_groups {
	__u64 numbers[PROTOBUF_GROUPS_MAX];
	size_t depth;
};

/* False where a group ends that did not begin, or they nest too deep for any parser. */
static bool protobuf_move_group(struct protobuf_groups *groups, const struct protobuf_field *field)
{
	if (field->wire == PROTOBUF_GROUP) {
		if (groups->depth == PROTOBUF_GROUPS_MAX)
			return false;
		groups->numbers[groups->depth++] = field->number;
	}
	if (field->wire == PROTOBUF_GROUP_END)
		return groups->depth > 0 && groups->numbers[--groups->depth] == field->number;
	return true;
}

/*
 * Walks a message: 1 when a field is what is looked for, and the walk ends with it; 0, *ret is what
 * all of it has; -ENOMSG when these bytes are no message.
 */
static int protobuf_walk(const struct format_source *source, struct protobuf_range range,
			 const struct protobuf_search *search, struct protobuf_message *ret)
{
	struct protobuf_groups groups = { 0 };
	struct protobuf_field field = { 0 };
	struct format_cursor cursor;
	int r = 0;

	format_begin(&cursor, source, range.begin, range.end);
	while (r == 0 && cursor.at < cursor.end) {
		r = protobuf_take_field(&cursor, &field);
		if (r < 0 && r != -ENODATA)
			return r;
		if (!protobuf_move_group(&groups, &field))
			return -ENOMSG;
		if (groups.depth > 0)
			continue;
		protobuf_note(ret, &field);
		if (search && field.wire == PROTOBUF_BYTES && field.number == search->number) {
			int is = search->is(source, field.range);

			if (is != 0 && is != -ENOMSG)
				return is;
		}
	}
	ret->cut = r == -ENODATA;
	return 0;
}

static int protobuf_find(const struct format_source *source, struct protobuf_range range,
			 __u64 number,
			 int (*is)(const struct format_source *, struct protobuf_range))
{
	const struct protobuf_search search = { number, is };
	struct protobuf_message message = { 0 };

	return protobuf_walk(source, range, &search, &message);
}

static struct protobuf_range protobuf_whole(const struct format_source *source)
{
	return (struct protobuf_range){ 0, source->size };
}

/* Bytes that are no message, or were not unpacked, are none of these. */
static int protobuf_answer(int r)
{
	return r == -ENOMSG || r == -ENOBUFS ? 0 : r;
}

#define BIT(n) (1U << (n))

/* GraphProto: node 1, name 2, initializer 5, input 11, output 12 */
static int protobuf_is_onnx_graph(const struct format_source *source, struct protobuf_range range)
{
	struct protobuf_message graph = { 0 };
	int r = protobuf_walk(source, range, NULL, &graph);

	if (r < 0)
		return r;
	return (graph.bytes & (BIT(1) | BIT(2) | BIT(5) | BIT(11) | BIT(12))) != 0;
}

/* ModelProto: ir_version 1, graph 7, opset_import 8 */
int format_is_onnx(const struct format_source *source, const struct format_head *head)
{
	struct protobuf_message model = { 0 };
	int r = protobuf_walk(source, protobuf_whole(source), NULL, &model);

	(void)head;
	if (r < 0 || !(model.varints & BIT(1)) || !(model.bytes & BIT(7)))
		return protobuf_answer(r);
	if (model.bytes & BIT(8))
		return 1;
	r = protobuf_find(source, protobuf_whole(source), 7, protobuf_is_onnx_graph);
	return protobuf_answer(r);
}

int format_check_onnx(const struct format_source *source, struct format_finding *ret)
{
	struct protobuf_message model = { 0 };
	int r = protobuf_walk(source, protobuf_whole(source), NULL, &model);

	if (r < 0)
		return r;
	ret->format = CUSTODY_FORMAT_ONNX;
	if (model.cut)
		return format_refuse(ret, "The ONNX model reaches past the end of the file: it is "
					  "truncated.");
	if (!(model.bytes & BIT(8)))
		return format_refuse(ret, "The ONNX model names no set of operators.");
	return 0;
}

/* NodeDef: name 1, op 2 */
static int protobuf_is_node(const struct format_source *source, struct protobuf_range range)
{
	struct protobuf_message node = { 0 };
	int r = protobuf_walk(source, range, NULL, &node);

	return r < 0 ? r : (node.bytes & (BIT(1) | BIT(2))) == (BIT(1) | BIT(2));
}

/* GraphDef: node 1 */
static int protobuf_is_graph(const struct format_source *source, struct protobuf_range range)
{
	return protobuf_find(source, range, 1, protobuf_is_node);
}

/* MetaGraphDef: graph 2 */
static int protobuf_is_meta(const struct format_source *source, struct protobuf_range range)
{
	return protobuf_find(source, range, 2, protobuf_is_graph);
}

/* SavedModel: meta graphs 2 */
static int protobuf_is_saved(const struct format_source *source, struct protobuf_range range)
{
	return protobuf_find(source, range, 2, protobuf_is_meta);
}

static int protobuf_is_table(const struct format_source *source)
{
	__u8 bytes[8];
	int r;

	if (source->size < 48)
		return 0;
	r = format_read(source, source->size - sizeof(bytes), bytes, sizeof(bytes));
	return r < 0 ? r : memcmp(bytes, PROTOBUF_TABLE_MAGIC, sizeof(bytes)) == 0;
}

int format_is_tensorflow(const struct format_source *source, const struct format_head *head)
{
	int (*const kinds[])(const struct format_source *,
			     struct protobuf_range) = { protobuf_is_saved, protobuf_is_meta,
							protobuf_is_graph };
	int r;

	if (head->n >= 8 && memcmp(head->bytes + 4, PROTOBUF_TFLITE, 4) == 0)
		return 1;
	r = protobuf_answer(protobuf_is_table(source));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++)
		r = protobuf_answer(kinds[i](source, protobuf_whole(source)));
	return r;
}
