/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are a pickle (protocols 0 to 5): their opcodes are walked as Python's unpickler
 * does, with the height of its stack and marks, and nothing is built. Run by whatever measures
 * models. Pure. Trusts nothing: a pickle is a program, and what is one may not be missed.
 */
#include <errno.h>
#include <string.h>

#include "format_internal.h"

#define PICKLE_MARKS 1024
#define PICKLE_OPCODES 4096 /* this many good ones, and no first byte that says so: it is one */
#define PICKLE_OPCODES_PROTO 4 /* with the opcode PROTO first */
#define PICKLE_PROTO 0x80
#define PICKLE_PROTO_MAX 5

/* What follows an opcode. */
enum pickle_argument {
	PICKLE_NONE,
	PICKLE_BYTES_1,
	PICKLE_BYTES_2,
	PICKLE_BYTES_4,
	PICKLE_BYTES_8,
	PICKLE_LENGTH_1, /* so many bytes, and then as many as they say */
	PICKLE_LENGTH_4,
	PICKLE_LENGTH_8,
	PICKLE_LINE,
	PICKLE_LINES, /* two */
	PICKLE_NUMBER, /* a line that may be a number to Python */
	PICKLE_QUOTED, /* a line in quotes */
};

enum pickle_act {
	PICKLE_PLAIN = 0,
	PICKLE_MARK = 1 << 0, /* sets a mark */
	PICKLE_UNMARK = 1 << 1, /* takes what is above the last mark, and it */
	PICKLE_PUT = 1 << 2,
	PICKLE_GET = 1 << 3, /* fails when nothing was put */
	PICKLE_IMPORT = 1 << 4, /* imports a name */
	PICKLE_CALL = 1 << 5, /* calls or builds what was imported */
	PICKLE_POP = 1 << 6, /* one item, or a mark */
	PICKLE_STOP = 1 << 7,
};

struct pickle_opcode {
	bool known;
	__u8 argument;
	__u8 pop; /* after PICKLE_UNMARK */
	__u8 push;
	__u8 act;
};

/* clang-format off */
#define OPCODE(code, argument, pop, push, act) \
	[(__u8)(code)] = { true, PICKLE_ ## argument, pop, push, act }

/* PERSID and BINPERSID fail where nobody defined them: in the first pickle of a file. */
static const struct pickle_opcode pickle_opcodes[256] = {
	OPCODE('I', NUMBER, 0, 1, 0), OPCODE('L', NUMBER, 0, 1, 0), OPCODE('F', NUMBER, 0, 1, 0),
	OPCODE('S', QUOTED, 0, 1, 0), OPCODE('V', LINE, 0, 1, 0),
	OPCODE('J', BYTES_4, 0, 1, 0), OPCODE('K', BYTES_1, 0, 1, 0),
	OPCODE('M', BYTES_2, 0, 1, 0), OPCODE('G', BYTES_8, 0, 1, 0),
	OPCODE(0x8a, LENGTH_1, 0, 1, 0), OPCODE(0x8b, LENGTH_4, 0, 1, 0),
	OPCODE('T', LENGTH_4, 0, 1, 0), OPCODE('U', LENGTH_1, 0, 1, 0),
	OPCODE('B', LENGTH_4, 0, 1, 0), OPCODE('C', LENGTH_1, 0, 1, 0),
	OPCODE(0x8e, LENGTH_8, 0, 1, 0), OPCODE(0x96, LENGTH_8, 0, 1, 0),
	OPCODE(0x8c, LENGTH_1, 0, 1, 0), OPCODE('X', LENGTH_4, 0, 1, 0),
	OPCODE(0x8d, LENGTH_8, 0, 1, 0),
	OPCODE(0x97, NONE, 0, 1, 0), OPCODE(0x98, NONE, 1, 1, 0),
	OPCODE('N', NONE, 0, 1, 0), OPCODE(0x88, NONE, 0, 1, 0), OPCODE(0x89, NONE, 0, 1, 0),
	OPCODE(']', NONE, 0, 1, 0), OPCODE(')', NONE, 0, 1, 0), OPCODE('}', NONE, 0, 1, 0),
	OPCODE(0x8f, NONE, 0, 1, 0),
	OPCODE('a', NONE, 2, 1, 0), OPCODE('s', NONE, 3, 1, 0),
	OPCODE('e', NONE, 1, 1, PICKLE_UNMARK), OPCODE('u', NONE, 1, 1, PICKLE_UNMARK),
	OPCODE(0x90, NONE, 1, 1, PICKLE_UNMARK),
	OPCODE('l', NONE, 0, 1, PICKLE_UNMARK), OPCODE('t', NONE, 0, 1, PICKLE_UNMARK),
	OPCODE('d', NONE, 0, 1, PICKLE_UNMARK), OPCODE(0x91, NONE, 0, 1, PICKLE_UNMARK),
	OPCODE('1', NONE, 0, 0, PICKLE_UNMARK),
	OPCODE(0x85, NONE, 1, 1, 0), OPCODE(0x86, NONE, 2, 1, 0), OPCODE(0x87, NONE, 3, 1, 0),
	OPCODE('0', NONE, 0, 0, PICKLE_POP), OPCODE('2', NONE, 1, 2, 0),
	OPCODE('(', NONE, 0, 0, PICKLE_MARK),
	OPCODE('g', NUMBER, 0, 1, PICKLE_GET), OPCODE('h', BYTES_1, 0, 1, PICKLE_GET),
	OPCODE('j', BYTES_4, 0, 1, PICKLE_GET),
	OPCODE('p', NUMBER, 1, 1, PICKLE_PUT), OPCODE('q', BYTES_1, 1, 1, PICKLE_PUT),
	OPCODE('r', BYTES_4, 1, 1, PICKLE_PUT), OPCODE(0x94, NONE, 1, 1, PICKLE_PUT),
	OPCODE(0x82, BYTES_1, 0, 1, PICKLE_IMPORT), OPCODE(0x83, BYTES_2, 0, 1, PICKLE_IMPORT),
	OPCODE(0x84, BYTES_4, 0, 1, PICKLE_IMPORT),
	OPCODE('c', LINES, 0, 1, PICKLE_IMPORT), OPCODE(0x93, NONE, 2, 1, PICKLE_IMPORT),
	OPCODE('R', NONE, 2, 1, PICKLE_CALL), OPCODE('b', NONE, 2, 1, PICKLE_CALL),
	OPCODE('i', LINES, 0, 1, PICKLE_UNMARK | PICKLE_IMPORT | PICKLE_CALL),
	OPCODE('o', NONE, 0, 1, PICKLE_UNMARK | PICKLE_CALL),
	OPCODE(0x81, NONE, 2, 1, PICKLE_CALL), OPCODE(0x92, NONE, 3, 1, PICKLE_CALL),
	OPCODE(PICKLE_PROTO, BYTES_1, 0, 0, 0), OPCODE(0x95, BYTES_8, 0, 0, 0),
	OPCODE('.', NONE, 1, 0, PICKLE_STOP),
};
/* clang-format on */

struct pickle_walk {
	struct format_cursor cursor;
	__u64 depth; /* items above the last mark */
	__u64 marks[PICKLE_MARKS];
	size_t n_marks;
	size_t opcodes;
	bool proto;
	bool put;
	bool imported;
};

/* The answers of a step. Below zero: -errno. */
enum pickle_answer {
	PICKLE_GOES_ON,
	PICKLE_YES,
	PICKLE_NO,
};

/* -ENOMSG when the line holds what the unpickler would fail on. */
static int pickle_skip_line(struct format_cursor *cursor, __u8 argument)
{
	/* of numbers to any base, infinity and nan */
	static const char digits[] = "0123456789abcdefABCDEFxXoOlL_+-. \t\r\v\fintyINTY";
	bool first = true;

	for (;; first = false) {
		__u8 c = 0;
		int r = format_take_u8(cursor, &c);

		if (r < 0 || c == '\n')
			return r;
		if (argument == PICKLE_NUMBER && (c == 0 || !strchr(digits, c)))
			return -ENOMSG;
		if (argument == PICKLE_QUOTED && first && c != '\'' && c != '"')
			return -ENOMSG;
	}
}

static int pickle_skip_argument(struct format_cursor *cursor, __u8 argument)
{
	static const __u8 sizes[] = {
		[PICKLE_BYTES_1] = 1,  [PICKLE_BYTES_2] = 2,  [PICKLE_BYTES_4] = 4,
		[PICKLE_BYTES_8] = 8,  [PICKLE_LENGTH_1] = 1, [PICKLE_LENGTH_4] = 4,
		[PICKLE_LENGTH_8] = 8,
	};
	__u8 bytes[8];
	int r;

	if (argument == PICKLE_NONE)
		return 0;
	if (argument >= PICKLE_LINE) {
		r = pickle_skip_line(cursor, argument);
		return r < 0 || argument != PICKLE_LINES ? r : pickle_skip_line(cursor, argument);
	}
	if (argument < PICKLE_LENGTH_1)
		return format_skip(cursor, sizes[argument]);
	r = format_take(cursor, bytes, sizes[argument]);
	return r < 0 ? r : format_skip(cursor, format_number(bytes, sizes[argument]));
}

/* False where the unpickler finds its stack too low, or no mark. */
static bool pickle_move_stack(struct pickle_walk *walk, const struct pickle_opcode *opcode)
{
	bool pop = opcode->act & PICKLE_POP;

	if ((opcode->act & PICKLE_UNMARK) || (pop && walk->depth == 0)) {
		if (walk->n_marks == 0)
			return false;
		walk->depth = walk->marks[--walk->n_marks];
	} else if (pop) {
		walk->depth--;
	}
	if (opcode->act & PICKLE_MARK) {
		walk->marks[walk->n_marks++] = walk->depth;
		walk->depth = 0;
	}
	if (walk->depth < opcode->pop)
		return false;
	walk->depth = walk->depth - opcode->pop + opcode->push;
	return true;
}

/* The end of one pickle. Others may follow, and a loader may read them. */
static enum pickle_answer pickle_stop(struct pickle_walk *walk)
{
	if (walk->proto || walk->cursor.at == walk->cursor.source->size)
		return PICKLE_YES;
	walk->depth = 0;
	walk->n_marks = 0;
	return PICKLE_GOES_ON;
}

static enum pickle_answer pickle_judge(struct pickle_walk *walk, const struct pickle_opcode *opcode)
{
	if ((opcode->act & PICKLE_GET) && !walk->put)
		return PICKLE_NO;
	if (walk->n_marks == PICKLE_MARKS)
		return PICKLE_YES;
	if (!pickle_move_stack(walk, opcode))
		return PICKLE_NO;
	if (opcode->act & PICKLE_PUT)
		walk->put = true;
	if (opcode->act & PICKLE_IMPORT)
		walk->imported = true;
	if (opcode->act & PICKLE_STOP)
		return pickle_stop(walk);
	if (walk->imported && (walk->proto || (opcode->act & PICKLE_CALL)))
		return PICKLE_YES;
	walk->opcodes++;
	return walk->opcodes < (walk->proto ? PICKLE_OPCODES_PROTO : PICKLE_OPCODES)
		       ? PICKLE_GOES_ON
		       : PICKLE_YES;
}

static int pickle_step(struct pickle_walk *walk)
{
	const struct pickle_opcode *opcode;
	__u8 code = 0;
	int r = format_take_u8(&walk->cursor, &code);

	if (r < 0)
		return r;
	opcode = &pickle_opcodes[code];
	if (!opcode->known)
		return PICKLE_NO;
	if (code == PICKLE_PROTO) {
		r = format_take_u8(&walk->cursor, &code);
		if (r == 0 && code > PICKLE_PROTO_MAX)
			return PICKLE_NO;
	} else {
		r = pickle_skip_argument(&walk->cursor, opcode->argument);
	}
	return r < 0 ? r : (int)pickle_judge(walk, opcode);
}

int format_is_pickle(const struct format_source *source, const struct format_head *head)
{
	struct pickle_walk walk = { 0 };
	int r = PICKLE_GOES_ON;

	format_begin(&walk.cursor, source, 0, source->size);
	walk.proto = head->n >= 2 && head->bytes[0] == PICKLE_PROTO &&
		     head->bytes[1] <= PICKLE_PROTO_MAX;
	while (r == PICKLE_GOES_ON)
		r = pickle_step(&walk);
	if (r == -ENODATA || r == -ENOMSG)
		return 0;
	if (r == -ENOBUFS)
		return 1; /* good as far as it was unpacked */
	return r < 0 ? r : r == PICKLE_YES;
}

int format_check_pickle(const struct format_source *source, struct format_finding *ret)
{
	/* PROTO 2, LONG1 of ten bytes: torch.serialization.MAGIC_NUMBER, STOP */
	static const __u8 torch[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
				      0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e };
	__u8 head[sizeof(torch)];
	int r = format_read(source, 0, head, sizeof(head));

	if (r < 0 && r != -ENODATA)
		return r;
	ret->pickles = true;
	ret->format = CUSTODY_FORMAT_PICKLE;
	if (r == 0 && memcmp(head, torch, sizeof(torch)) == 0)
		ret->format = CUSTODY_FORMAT_TORCH;
	(void)oms_explain(&ret->why, 0, "It is %s: loading it runs what it says.",
			  ret->format == CUSTODY_FORMAT_TORCH ? "a torch file of the older kind, "
								"a stream of pickles"
							      : "a pickle");
	return 0;
}
