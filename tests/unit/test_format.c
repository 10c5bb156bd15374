/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of format.c and its parsers of safetensors, GGUF, HDF5 and protobuf. */
#include "format_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

static const struct {
	const char *header;
	size_t data;
	const char *why; /* NULL: it is one */
} safetensors_cases[] = {
	{ "{" SAFETENSORS_A "}", 16, NULL },
	{ "{\"__metadata__\":{\"format\":\"pt\"}," SAFETENSORS_A "}   ", 16, NULL },
	{ "{}          ", 0, NULL },
	{ "{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, NULL },
	{ "{\"z\":{\"dtype\":\"F64\",\"shape\":[0,7],\"data_offsets\":[0,0]}}", 0, NULL },
	{ "{\"f\":{\"dtype\":\"F4\",\"shape\":[6],\"data_offsets\":[0,3]}}", 3, NULL },
	{ "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[16,17]}," SAFETENSORS_A "}", 17,
	  NULL },
	{ "{" SAFETENSORS_A "}", 15, "past the end" },
	{ "{" SAFETENSORS_A "}", 17, "belong to none" },
	{ "{" SAFETENSORS_A "," SAFETENSORS_A "}", 16, "duplicate" },
	{ "{" SAFETENSORS_A ",\"\\u0061\":{}}", 16, "duplicate" },
	{ "{" SAFETENSORS_A ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[15,16]}}", 16,
	  "overlaps" },
	{ "{" SAFETENSORS_A ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[18,19]}}", 19,
	  "hole" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]}}", 16, "other bytes" },
	{ "{\"a\":{\"dtype\":\"F33\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "dtype" },
	{ "{\"a\":{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "dtype" },
	{ "{\"a\":{\"dtype\":\"F4\",\"shape\":[5],\"data_offsets\":[0,3]}}", 3, "within a byte" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16, "no size" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}}", 16, "no size" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", 16, "shape" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
	  "\"data_offsets\":[0,0]}}",
	  0, "overflows" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16, "no range" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", 16, "no range" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}", 16, "no range" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,"
	  "18446744073709551616]}}",
	  16, "not JSON" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":1}}", 16,
	  "no object of" },
	{ "{\"a\":7}", 0, "no object of" },
	{ "{\"__metadata__\":{\"a\":1}}", 0, "no string" },
	{ "{\"__metadata__\":[]}", 0, "no object" },
	{ "{\"a\":{\"dtype\":\"F32\"", 0, "not JSON" },
	{ "{" SAFETENSORS_A "}x", 16, "not JSON" },
	{ "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "decode" },
	{ "{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16,
	  "not JSON" },
	{ "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	  "]]]]"
	  "]]]}",
	  0, "nests deeper" },
};

static void test_safetensors(void **state)
{
	static struct bytes b;

	(void)state;
	for (size_t i = 0; i < sizeof(safetensors_cases) / sizeof(safetensors_cases[0]); i++) {
		make_safetensors(&b, safetensors_cases[i].header, safetensors_cases[i].data);
		if (safetensors_cases[i].why)
			is_refused(&b, safetensors_cases[i].why);
		else
			is(&b, CUSTODY_FORMAT_SAFETENSORS, false);
	}
	make_safetensors(&b, "{\x01\x02 is no JSON", 16);
	is(&b, 0, false);
	make_safetensors(&b, "{" SAFETENSORS_A "}", 16);
	set_number(&b, 0, 1000, 8);
	is_refused(&b, "past the end");
	set_number(&b, 0, 0xffffffff, 8);
	is_refused(&b, "past the end");
}

/* ---- GGUF ---- */

static void add_string(struct bytes *b, const char *text)
{
	add_number(b, strlen(text), 8);
	add(b, text, strlen(text));
}

static void add_key(struct bytes *b, const char *key, __u32 type)
{
	add_string(b, key);
	add_number(b, type, 4);
}

static void begin_gguf(struct bytes *b, __u64 tensors, __u64 keys)
{
	b->n = 0;
	add(b, "GGUF", 4);
	add_number(b, 3, 4);
	add_number(b, tensors, 8);
	add_number(b, keys, 8);
}

static void add_tensor(struct bytes *b, const char *name, __u64 row, __u64 rows, __u32 type,
		       __u64 offset)
{
	add_string(b, name);
	add_number(b, 2, 4);
	add_number(b, row, 8);
	add_number(b, rows, 8);
	add_number(b, type, 4);
	add_number(b, offset, 8);
}

static void end_gguf(struct bytes *b, size_t data)
{
	add_zeros(b, (32 - b->n % 32) % 32 + data);
}

/* Two tensors: 36 bytes of Q4_0 at 0, 12 of F32 at 64. */
static void make_gguf(struct bytes *b)
{
	begin_gguf(b, 2, 3);
	add_key(b, "general.architecture", 8);
	add_string(b, "llama");
	add_key(b, "tokens", 9);
	add_number(b, 8, 4);
	add_number(b, 2, 8);
	add_string(b, "a");
	add_string(b, "");
	add_key(b, "nested", 9);
	add_number(b, 9, 4);
	add_number(b, 1, 8);
	add_number(b, 5, 4);
	add_number(b, 3, 8);
	add_zeros(b, 12);
	add_tensor(b, "t.weight", 32, 2, 2, 0);
	add_tensor(b, "u", 3, 1, 0, 64);
	end_gguf(b, 64 + 12);
}

static void test_gguf(void **state)
{
	static struct bytes b;

	(void)state;
	make_gguf(&b);
	is(&b, CUSTODY_FORMAT_GGUF, false);
	add_zeros(&b, 20); /* padding of the last tensor */
	is(&b, CUSTODY_FORMAT_GGUF, false);
	add_zeros(&b, 1);
	is_refused(&b, "belong to none");
	make_gguf(&b);
	for (size_t n = 4; n < b.n; n++) {
		size_t all = b.n;

		b.n = n;
		is_refused(&b, "");
		b.n = all;
	}
	set_number(&b, 4, 1, 4);
	is_refused(&b, "version 1");
	set_number(&b, 4, 0x03000000, 4);
	is_refused(&b, "big-endian");
	make_gguf(&b);
	set_number(&b, 8, 1ULL << 60, 8);
	is_refused(&b, "at most");
	make_gguf(&b);
	set_number(&b, 8, 262144, 8);
	is_refused(&b, "past the end");
	begin_gguf(&b, 0, 0);
	is(&b, CUSTODY_FORMAT_GGUF, false);
}

static void test_gguf_keys(void **state)
{
	static struct bytes b;

	(void)state;
	for (__u32 alignment = 0; alignment < 200; alignment++) {
		bool good = alignment == 8 || alignment == 16 || alignment == 32 ||
			    alignment == 64 || alignment == 128;

		begin_gguf(&b, 0, 1);
		add_key(&b, "general.alignment", 4);
		add_number(&b, alignment, 4);
		if (good)
			is(&b, CUSTODY_FORMAT_GGUF, false);
		else
			is_refused(&b, "power of two");
	}
	begin_gguf(&b, 0, 1);
	add_key(&b, "general.alignment", 10);
	add_number(&b, 32, 8);
	is_refused(&b, "uint32");
	begin_gguf(&b, 0, 2);
	add_key(&b, "k", 0);
	add_number(&b, 1, 1);
	add_key(&b, "k", 0);
	add_number(&b, 2, 1);
	is_refused(&b, "two keys of one name");
	begin_gguf(&b, 0, 1);
	add_key(&b, "k\xc3", 0);
	add_number(&b, 1, 1);
	is_refused(&b, "UTF-8");
	begin_gguf(&b, 0, 1);
	add_key(&b, "", 0);
	add_number(&b, 1, 1);
	is_refused(&b, "name of 0 bytes");
	begin_gguf(&b, 0, 1);
	add_key(&b, "k", 13);
	add_number(&b, 1, 1);
	is_refused(&b, "unknown type 13");
	begin_gguf(&b, 0, 1);
	add_key(&b, "k", 9);
	add_number(&b, 10, 4);
	add_number(&b, 1ULL << 61, 8); /* times 8 is 0 */
	is_refused(&b, "past the end");
	begin_gguf(&b, 0, 1);
	add_key(&b, "k", 9);
	for (int i = 0; i < 100; i++) {
		add_number(&b, 9, 4);
		add_number(&b, 1, 8);
	}
	is_refused(&b, "deeper");
	begin_gguf(&b, 0, 1);
	add_key(&b, "k", 8);
	add_number(&b, ~0ULL, 8);
	is_refused(&b, "past the end");
}

static void test_gguf_tensors(void **state)
{
	static const struct {
		const char *first, *second;
		__u64 row, rows, offset;
		__u32 type;
		size_t data;
		const char *why;
	} cases[] = {
		{ "t", "u", 8, 1, 32, 0, 64, NULL },
		{ "t", "t", 8, 1, 32, 0, 64, "two tensors of one name" },
		{ "t", "u", 8, 1, 0, 0, 64, "overlaps" },
		{ "t", "u", 8, 1, 64, 0, 128, "hole" },
		{ "t", "u", 8, 1, 33, 0, 128, "multiple of" },
		{ "t", "u", 8, 1, 32, 0, 63, "truncated" },
		{ "t", "u", 8, 1, 1ULL << 63, 0, 64, "truncated" },
		{ "t", "u", 8, 1, 32, 4, 64, "not known" },
		{ "t", "u", 8, 1, 32, 4000, 64, "not known" },
		{ "t", "u", 8, 1, 32, 2, 64, "whole blocks" },
		{ "t", "u", 1ULL << 40, 1ULL << 40, 32, 0, 64, "overflow" },
		{ "t", "u", 1ULL << 30, 1ULL << 31, 32, 0, 64, "truncated" },
		{ "t", "u\n", 8, 1, 32, 0, 64, "UTF-8" },
		{ "t", "0123456789012345678901234567890123456789012345678901234567890123456789", 8,
		  1, 32, 0, 64, "name of 70 bytes" },
	};
	static struct bytes b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_gguf(&b, 2, 0);
		add_tensor(&b, cases[i].first, 8, 1, 0, 0);
		add_tensor(&b, cases[i].second, cases[i].row, cases[i].rows, cases[i].type,
			   cases[i].offset);
		end_gguf(&b, cases[i].data);
		if (cases[i].why)
			is_refused(&b, cases[i].why);
		else
			is(&b, CUSTODY_FORMAT_GGUF, false);
	}
	begin_gguf(&b, 1, 0);
	add_string(&b, "t");
	add_number(&b, 5, 4);
	add_zeros(&b, 200);
	is_refused(&b, "5 dimensions");
}

/* ---- HDF5 ---- */

static void add_hdf5(struct bytes *b, __u8 version, __u64 base, __u64 end)
{
	add(b, "\x89HDF\r\n\x1a\n", 8);
	add_number(b, version, 1);
	if (version < 2) {
		add(b, "\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0", 15);
		add_zeros(b, version == 1 ? 4 : 0);
	} else {
		add(b, "\x08\x08\0", 3);
	}
	add_number(b, base, 8);
	add_number(b, ~0ULL, 8);
	add_number(b, end, 8);
	add_zeros(b, 64);
}

static void test_hdf5(void **state)
{
	static struct bytes b;
	size_t end;

	(void)state;
	for (__u8 version = 0; version < 6; version++) {
		for (size_t at = 0; at <= 4096; at = at ? at * 2 : 512) {
			b.n = 0;
			add_zeros(&b, at);
			add_hdf5(&b, version, at, at + 100);
			if (version < 4)
				is(&b, CUSTODY_FORMAT_HDF5, false);
			else
				is_refused(&b, "version");
		}
	}
	b.n = 0;
	add_zeros(&b, 513);
	add_hdf5(&b, 0, 513, 600);
	is(&b, 0, false);
	b.n = 0;
	add_hdf5(&b, 2, 0, 1000);
	is_refused(&b, "1000 bytes");
	b.n = 0;
	add_hdf5(&b, 2, 8, 100);
	is_refused(&b, "elsewhere");
	b.n = 0;
	add_hdf5(&b, 0, 0, 50);
	end = b.n;
	for (b.n = 8; b.n < 48; b.n++)
		is_refused(&b, "");
	b.n = end;
	set_number(&b, 13, 3, 1);
	is_refused(&b, "addresses of 3");
}

/* ---- protobuf ---- */

static void add_field(struct bytes *b, unsigned int number, const void *data, size_t n)
{
	assert_true(n < 128 && number < 16);
	add_number(b, number << 3 | 2, 1);
	add_number(b, n, 1);
	add(b, data, n);
}

static void test_onnx(void **state)
{
	static struct bytes b, graph;

	(void)state;
	add_field(&graph, 2, "name", 4);
	add(&b, "\x08\x08", 2); /* ir_version */
	add_field(&b, 2, "producer", 8);
	add_field(&b, 7, graph.data, graph.n);
	add_field(&b, 8, "\x10\x0d", 2);
	is(&b, CUSTODY_FORMAT_ONNX, false);
	for (size_t i = 0; i < 3; i++) /* fields and groups that nobody knows hide nothing */
		add(&b,
		    "\xda\x3e\x01x"
		    "\xdb\x3e\x08\x01\xdc\x3e",
		    10);
	is(&b, CUSTODY_FORMAT_ONNX, false);
	add_field(&b, 14, "metadata", 8);
	b.n--;
	is_refused(&b, "truncated");
	b.n = 0;
	add(&b, "\x08\x08", 2);
	add_field(&b, 7, "", 0); /* an empty graph first: messages are merged */
	add_field(&b, 7, graph.data, graph.n);
	is_refused(&b, "no set of operators");
	add_field(&b, 8, "\x10\x0d", 2);
	is(&b, CUSTODY_FORMAT_ONNX, false);
}

static void test_tensorflow(void **state)
{
	static struct bytes node, graph, meta, b;

	(void)state;
	add_field(&node, 1, "x", 1);
	add_field(&node, 2, "Const", 5);
	add_field(&graph, 1, "", 0);
	add_field(&graph, 1, node.data, node.n);
	is(&graph, CUSTODY_FORMAT_TENSORFLOW, false);
	add_field(&meta, 1, "", 0);
	add_field(&meta, 2, graph.data, graph.n);
	is(&meta, CUSTODY_FORMAT_TENSORFLOW, false);
	add(&b, "\x08\x01", 2);
	add_field(&b, 2, "", 0);
	add_field(&b, 2, meta.data, meta.n);
	is(&b, CUSTODY_FORMAT_TENSORFLOW, false);
	b.n = 0;
	add_zeros(&b, 40);
	add(&b, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
	is(&b, CUSTODY_FORMAT_TENSORFLOW, false);
	b.n = 0;
	add(&b, "\x1c\0\0\0TFL3", 8);
	is(&b, CUSTODY_FORMAT_TENSORFLOW, false);
}

/* ---- from a file ---- */

static void test_file(void **state)
{
	struct format_finding finding;
	static struct bytes b;
	int fd = memfd_create("test_format", MFD_CLOEXEC);
	int pipe_fds[2];

	(void)state;
	make_gguf(&b);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.data, b.n), b.n);
	assert_int_equal(format_inspect(fd, b.n, &finding), 0);
	assert_int_equal(finding.format, CUSTODY_FORMAT_GGUF);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), b.n);
	assert_int_equal(format_inspect(fd, b.n + 1, &finding), -EBUSY);
	assert_true(finding.why.text[0]);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(format_inspect(pipe_fds[0], 100, &finding), -ESPIPE);
	assert_true(finding.why.text[0]);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)close(fd);
	b.n = 0;
	is(&b, 0, false);
}

/* Every bit of every kind: an answer, and never a byte too many. */
static void test_changed_bits(void **state)
{
	static struct bytes b;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct format_finding finding;

		b.n = 0;
		if (kind == 0)
			make_gguf(&b);
		else if (kind == 1)
			make_safetensors(&b, "{" SAFETENSORS_A "}", 16);
		else
			add_hdf5(&b, 2, 0, 50);
		for (size_t i = 0; i < 8 * b.n; i++) {
			int r;

			b.data[i / 8] ^= (__u8)(1 << i % 8);
			r = inspect(&b, &finding);
			assert_true(r == 0 || (r == -EBADMSG && finding.why.text[0]));
			b.data[i / 8] ^= (__u8)(1 << i % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safetensors),  cmocka_unit_test(test_gguf),
		cmocka_unit_test(test_gguf_keys),    cmocka_unit_test(test_gguf_tensors),
		cmocka_unit_test(test_hdf5),	     cmocka_unit_test(test_onnx),
		cmocka_unit_test(test_tensorflow),   cmocka_unit_test(test_file),
		cmocka_unit_test(test_changed_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
