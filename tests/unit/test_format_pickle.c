/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of format.c: what runs when it is loaded. Pickles, arrays of objects, zip archives,
 * compressed streams, and files that are two things at once.
 */
#include "format_fixture.h"

#include <zlib.h>

#define TORCH_MAGIC "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

struct sample {
	const char *text;
	size_t n;
	__u32 format;
	bool pickles;
};
#define SAMPLE(text, format, pickles)                                                              \
	{                                                                                          \
		text, sizeof(text) - 1, format, pickles                                            \
	}
#define PICKLE(text) SAMPLE(text, CUSTODY_FORMAT_PICKLE, true)
#define OTHER(text) SAMPLE(text, 0, false)

static void check_samples(const struct sample *samples, size_t n)
{
	static struct bytes b;

	for (size_t i = 0; i < n; i++) {
		b.n = 0;
		add(&b, samples[i].text, samples[i].n);
		is(&b, samples[i].format, samples[i].pickles);
	}
}

static void test_pickle(void **state)
{
	static const struct sample samples[] = {
		PICKLE("cos\nsystem\n(S'id'\ntR."),
		PICKLE("cos\nsystem\n(S'id'\ntR"), /* it has run before the end is missed */
		PICKLE("cos\nsystem\n(S'id'\ntRgarbage \x01\x02"),
		PICKLE("(S'id'\nios\nsystem\n."),
		PICKLE("(cos\nsystem\nS'id'\no."),
		PICKLE("N0cos\nsystem\nq\x01"
		       "0(S'id'\nth\x01"
		       "b"),
		PICKLE("\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."), /* 4 without PROTO */
		PICKLE("\x80\x04\x95\x1b\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94)R."),
		PICKLE("\x80\x02"
		       "cos\nsystem\n"),
		PICKLE("\x80\x02N."),
		PICKLE("\x80\x05]q\0(K\x01K\x02"
		       "e."),
		PICKLE("(lp0\nI1\naI2\na."),
		PICKLE("(dp0\nS'a'\np1\nI1\ns."),
		PICKLE("N.cos\nsystem\n(tR"), /* behind a pickle of data */
		PICKLE("I1\n."),
		PICKLE("\x82\x01)R"),
		SAMPLE(TORCH_MAGIC "\x80\x02M\xe9\x03.", CUSTODY_FORMAT_TORCH, true),
		OTHER("\x80\x06N."), /* no such protocol */
		OTHER("\x80\x02\xff"),
		OTHER("cat\ncow\ndog\nhorse\n"), /* imports "at.cow", and breaks off */
		OTHER("R."),
		OTHER("NR."),
		OTHER("t"),
		OTHER("h\x01."),
		OTHER("Psomething\n."), /* a persistent id: fails where nobody defined any */
		OTHER("\x93."),
		OTHER("X\xff\xff\xff\x7f"
		      "abc"),
		OTHER("V"),
		OTHER(""),
		OTHER("N"),
		OTHER("N. and more"),
		OTHER("FUNC:name\n."),
		OTHER("Is this\n."),
		OTHER("So is this\n."),
		PICKLE("I0x1f\n."),
		PICKLE("F-inf\n."),
		PICKLE("L12L\n."),
		PICKLE("S\"a\"\n."),
		OTHER("{\"a\": 1}\n"),
		OTHER("# model card\n"),
		OTHER("Copyright (c) 2026 Nobody. All rights reserved.\n"),
		OTHER("Version 2\n\nThis is the second.\n"),
		OTHER("(a list)\n"),
		OTHER("#version: 0.2\n\xc4\xa0 t\n"),
		OTHER("\n\x0b\n\x05<unk>\x15\0\0\0\0\x18\x02"), /* a sentencepiece tokenizer */
	};

	(void)state;
	check_samples(samples, sizeof(samples) / sizeof(samples[0]));
}

/* However far in: a line of 100 KiB, a thousand marks, thousands of items. */
static void test_pickle_long(void **state)
{
	static struct bytes b;

	(void)state;
	b.n = 0;
	add(&b, "V", 1);
	while (b.n < 100000)
		add(&b, "x", 1);
	add(&b, "\n0cos\nsystem\n(S'id'\ntR.", 24);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	b.n = 0;
	for (size_t i = 0; i < 3000; i++)
		add(&b, "(", 1);
	add(&b, "cos\nsystem\n(S'id'\ntR.", 21);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	b.n = 0;
	for (size_t i = 0; i < 50000; i++)
		add(&b, "N0", 2);
	add(&b, "cos\nsystem\n(S'id'\ntR.", 21);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
}

/* ---- NPY ---- */

static void make_npy(struct bytes *b, __u8 version, const char *header, size_t data)
{
	b->n = 0;
	add(b, "\x93NUMPY", 6);
	add_number(b, version, 1);
	add_number(b, 0, 1);
	add_number(b, strlen(header), version == 1 ? 2 : 4);
	add(b, header, strlen(header));
	add_zeros(b, data);
}

#define NPY(descr, shape) "{'descr': " descr ", 'fortran_order': False, 'shape': " shape ", }   \n"

static void test_npy(void **state)
{
	static const struct {
		const char *header;
		size_t data;
		int pickles; /* -1: refused */
	} cases[] = {
		{ NPY("'<f4'", "(2, 3)"), 24, 0 },
		{ NPY("'<f4'", "(2, 3)"), 23, -1 },
		{ NPY("'<f4'", "()"), 4, 0 },
		{ NPY("'|b1'", "(5,)"), 5, 0 },
		{ NPY("'<i8'", "(2L,)"), 16, 0 },
		{ NPY("[('a', '<f4'), ('', '|V4')]", "(2,)"), 16, 0 },
		{ NPY("'|O'", "(1,)"), 10, 1 },
		{ NPY("'O'", "(1,)"), 10, 1 },
		{ NPY("'f4,O'", "(1,)"), 10, 1 },
		{ NPY("'object'", "(1,)"), 10, 1 },
		{ NPY("[('a', '<f4'), ('b', [('c', '|O8')])]", "(1,)"), 10, 1 },
		{ NPY("'\\x4f'", "(1,)"), 10, -1 },
		{ NPY("'ob' 'ject'", "(1,)"), 10, -1 },
		{ NPY("'ob''ject'", "(1,)"), 10, -1 },
		{ NPY("\"<f4\"", "(1,)"), 10, -1 },
		{ NPY("'<f4'", "(99999999999999999999,)"), 10, -1 },
		{ NPY("'<f4'", "(4294967296, 4294967296)"), 10, -1 },
		{ NPY("'<f4'", "(-1,)"), 10, -1 },
		{ NPY("'<f4'", "[1]"), 10, -1 },
		{ "{'descr': '<f4', 'shape': (1,), }", 4, -1 },
		{ "", 4, -1 },
	};
	static struct bytes b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (__u8 version = 1; version <= 3; version++) {
			make_npy(&b, version, cases[i].header, cases[i].data);
			if (cases[i].pickles < 0)
				is_refused(&b, "");
			else
				is(&b, CUSTODY_FORMAT_NPZ, cases[i].pickles);
		}
	}
	make_npy(&b, 4, NPY("'<f4'", "(1,)"), 4);
	is_refused(&b, "version 4.0");
	make_npy(&b, 1, NPY("'<f4'", "(1,)"), 4);
	b.n = 30;
	is_refused(&b, "past the end");
	b.n = 8;
	is_refused(&b, "past the end");
	make_npy(&b, 2, NPY("'<f4'", "(1,)"), 4);
	set_number(&b, 8, 0xffffffff, 4);
	is_refused(&b, "at most");
	make_npy(&b, 1, NPY("'<f4'", "(1,)"), 4);
	b.data[20] = '\0';
	is_refused(&b, "NUL");
}

/* ---- zip ---- */

struct zip {
	struct bytes b;
	struct bytes directory;
	unsigned int n;
	__u16 flags;
	__u16 method;
	__u64 size; /* unpacked, when it is not that of the data */
};

static void zip_add(struct zip *z, const char *name, const void *data, size_t n)
{
	__u64 size = z->size ? z->size : n;
	size_t at = z->b.n;

	add(&z->b, "PK\3\4\x14\0", 6);
	add_number(&z->b, z->flags, 2);
	add_number(&z->b, z->method, 2);
	add_zeros(&z->b, 8);
	add_number(&z->b, n, 4);
	add_number(&z->b, size, 4);
	add_number(&z->b, strlen(name), 2);
	add_number(&z->b, 0, 2);
	add(&z->b, name, strlen(name));
	add(&z->b, data, n);
	add(&z->directory, "PK\1\2\x14\0\x14\0", 8);
	add_number(&z->directory, z->flags, 2);
	add_number(&z->directory, z->method, 2);
	add_zeros(&z->directory, 8);
	add_number(&z->directory, n, 4);
	add_number(&z->directory, size, 4);
	add_number(&z->directory, strlen(name), 2);
	add_zeros(&z->directory, 12);
	add_number(&z->directory, at, 4);
	add(&z->directory, name, strlen(name));
	z->n++;
	z->size = 0;
}

static void zip_begin(struct zip *z)
{
	z->b.n = z->directory.n = 0;
	z->n = z->flags = z->method = 0;
	z->size = 0;
}

static void zip_end(struct zip *z, bool zip64)
{
	size_t at = z->b.n;

	add(&z->b, z->directory.data, z->directory.n);
	if (zip64) {
		size_t end = z->b.n;

		add(&z->b, "PK\6\6", 4);
		add_number(&z->b, 44, 8);
		add_zeros(&z->b, 12);
		add_number(&z->b, z->n, 8);
		add_number(&z->b, z->n, 8);
		add_number(&z->b, z->directory.n, 8);
		add_number(&z->b, at, 8);
		add(&z->b, "PK\6\7\0\0\0\0", 8);
		add_number(&z->b, end, 8);
		add_number(&z->b, 1, 4);
	}
	add(&z->b, "PK\5\6\0\0\0\0", 8);
	add_number(&z->b, z->n, 2);
	add_number(&z->b, z->n, 2);
	add_number(&z->b, z->directory.n, 4);
	add_number(&z->b, at, 4);
	add_number(&z->b, 0, 2);
}

static void zip_is(const struct sample *entries, size_t n, __u32 format, bool pickles)
{
	static struct zip z;

	for (int zip64 = 0; zip64 < 2; zip64++) {
		zip_begin(&z);
		for (size_t i = 0; i < n; i++)
			zip_add(&z, entries[i].text, entries[i].text + strlen(entries[i].text) + 1,
				entries[i].n - strlen(entries[i].text) - 1);
		zip_end(&z, zip64);
		is(&z.b, format, pickles);
	}
}

/* name NUL content */
#define ENTRY(text) SAMPLE(text, 0, false)

static void test_zip(void **state)
{
	static struct bytes plain, objects;
	static struct zip z;
	const struct sample torch[] = { ENTRY("m/data.pkl\0\x80\x02}."), ENTRY("m/data/0\0abcd") };
	const struct sample keras[] = { ENTRY("config.json\0{}"),
					ENTRY("model.weights.h5\0\x89HDF\r\n\x1a\n") };
	const struct sample texts[] = { ENTRY("a/\0"), ENTRY("a/b.json\0{}"), ENTRY("c\0") };
	const struct sample hidden[] = { ENTRY("a.json\0{}"), ENTRY("b\0cos\nsystem\n(tR.") };
	const struct sample nested[] = { ENTRY("a.json\0{}"), ENTRY("b\0PK\3\4") };
	const struct sample packed[] = { ENTRY("b\0\x28\xb5\x2f\xfd") };

	(void)state;
	zip_is(torch, 2, CUSTODY_FORMAT_TORCH, true);
	zip_is(keras, 2, CUSTODY_FORMAT_TENSORFLOW, false);
	zip_is(texts, 3, 0, false);
	zip_is(hidden, 2, CUSTODY_FORMAT_PICKLE, true);
	zip_is(nested, 2, CUSTODY_FORMAT_PICKLE, true);
	zip_is(packed, 1, CUSTODY_FORMAT_PICKLE, true);
	zip_is(NULL, 0, 0, false);
	make_npy(&plain, 1, NPY("'<f4'", "(2,)"), 8);
	make_npy(&objects, 1, NPY("'|O'", "(2,)"), 8);
	zip_begin(&z);
	zip_add(&z, "a.npy", plain.data, plain.n);
	zip_end(&z, false);
	is(&z.b, CUSTODY_FORMAT_NPZ, false);
	zip_begin(&z);
	zip_add(&z, "a.npy", plain.data, plain.n);
	zip_add(&z, "b.npy", objects.data, objects.n);
	zip_end(&z, false);
	is(&z.b, CUSTODY_FORMAT_NPZ, true);
	zip_begin(&z);
	zip_add(&z, "a.npy", plain.data, plain.n - 1);
	zip_end(&z, false);
	is_refused(&z.b, "truncated");
	zip_begin(&z);
	zip_add(&z, "a.npy", "cos\nsystem\n(tR.", 15); /* not what its name says */
	zip_end(&z, false);
	is(&z.b, CUSTODY_FORMAT_NPZ, true);
}

/* Deflated entries are unpacked; what cannot be is a pickle. */
static void test_zip_packed(void **state)
{
	static struct zip z;
	static struct bytes npy;
	__u8 packed[1000];
	z_stream s = { .next_out = packed, .avail_out = sizeof(packed) };

	(void)state;
	make_npy(&npy, 1, NPY("'|O'", "(2,)"), 8);
	s.next_in = npy.data;
	s.avail_in = (uInt)npy.n;
	assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	(void)deflateEnd(&s);
	for (int damage = 0; damage < 3; damage++) {
		zip_begin(&z);
		z.method = 8;
		z.size = npy.n + (damage == 2);
		packed[0] ^= damage == 1 ? 0x06 : 0; /* a block type that is none */
		zip_add(&z, "a.npy", packed, sizeof(packed) - s.avail_out);
		packed[0] ^= damage == 1 ? 0x06 : 0;
		zip_end(&z, false);
		if (damage)
			is_refused(&z.b, "damaged");
		else
			is(&z.b, CUSTODY_FORMAT_NPZ, true);
	}
	zip_begin(&z);
	z.method = 12;
	zip_add(&z, "a", "abc", 3);
	zip_end(&z, false);
	is(&z.b, CUSTODY_FORMAT_PICKLE, true);
	zip_begin(&z);
	z.flags = 1;
	zip_add(&z, "a", "abc", 3);
	zip_end(&z, false);
	is(&z.b, CUSTODY_FORMAT_PICKLE, true);
}

static void make_two(struct zip *z, const char *first, const char *second)
{
	zip_begin(z);
	zip_add(z, first, "abc", 3);
	zip_add(z, second, "def", 3);
	zip_end(z, false);
}

/* Archives that two readers could read in two ways. */
static void test_zip_refused(void **state)
{
	static const char *const names[] = {
		"../a", "/a", "a/../b", "a//b", "./a", "a\xff", "a\n"
	};
	static struct zip z;
	size_t directory;

	(void)state;
	make_two(&z, "a", "b");
	is(&z.b, 0, false);
	for (size_t n = 4; n < z.b.n; n++) {
		size_t all = z.b.n;

		z.b.n = n;
		is_refused(&z.b, "end record");
		z.b.n = all;
	}
	add(&z.b, "x", 1);
	is_refused(&z.b, "end record");
	make_two(&z, "a", "a");
	is_refused(&z.b, "two entries of one name");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_two(&z, "a", names[i]);
		is_refused(&z.b, "stays below");
	}
	make_two(&z, "a", "b");
	directory = z.b.n - 22 - z.directory.n;
	set_number(&z.b, directory + 47 + 42, 0, 4); /* both entries are the first */
	is_refused(&z.b, "not where the directory says");
	make_two(&z, "a", "b");
	z.b.data[30] = 'c'; /* the local header has another name */
	is_refused(&z.b, "not where the directory says");
	make_two(&z, "a", "b");
	set_number(&z.b, directory + 20, 30, 4); /* into the second */
	set_number(&z.b, directory + 24, 30, 4);
	is_refused(&z.b, "belongs to no entry, or to two");
	set_number(&z.b, directory + 20, 2, 4); /* a byte between the two */
	set_number(&z.b, directory + 24, 2, 4);
	is_refused(&z.b, "belongs to no entry, or to two");
	set_number(&z.b, directory + 20, 1 << 20, 4);
	is_refused(&z.b, "reaches into the directory");
	make_two(&z, "a", "b");
	set_number(&z.b, z.b.n - 12, 1, 2); /* one entry */
	is_refused(&z.b, "damaged");
	set_number(&z.b, z.b.n - 12, 3, 2);
	is_refused(&z.b, "damaged");
	make_two(&z, "a", "b");
	set_number(&z.b, z.b.n - 6, directory - 1, 4);
	is_refused(&z.b, "does not end at its end record");
	zip_begin(&z);
	zip_add(&z, "a", "abc", 3);
	zip_end(&z, true);
	set_number(&z.b, z.b.n - 6, 5, 4);
	is_refused(&z.b, "contradict");
}

/* ---- two things at once ---- */

static void test_polyglot(void **state)
{
	static struct zip z;
	static struct bytes b;
	char header[512];

	(void)state;
	/* a zip in the tensor of a sound safetensors file */
	make_two(&z, "a", "b");
	(void)snprintf(header, sizeof(header),
		       "{\"a\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", z.b.n,
		       z.b.n);
	make_safetensors(&b, header, 0);
	add(&b, z.b.data, z.b.n);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	/* a zip behind text, and with a comment behind it */
	b.n = 0;
	add(&b, "#!/bin/sh\n", 10);
	add(&b, z.b.data, z.b.n);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	add(&b, "more", 4);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	/* HDF5 in the data of safetensors: neither runs, so it is refused */
	make_safetensors(
		&b, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1000],\"data_offsets\":[0,1000]}}", 1000);
	is(&b, CUSTODY_FORMAT_SAFETENSORS, false);
	memcpy(b.data + 512, "\x89HDF\r\n\x1a\n", 8);
	is_refused(&b, "safetensors and HDF5 at once");
	/* a pickle that is a GGUF header: BINFLOAT swallows the magic and the version */
	b.n = 0;
	add(&b,
	    "GGUF\3\0\0\0\0"
	    "0cos\nsystem\n(S'id'\ntR.",
	    31);
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	/* a tar whose first name is a GGUF header */
	b.n = 0;
	add_zeros(&b, 1024);
	memcpy(b.data, "GGUF\3", 5);
	memcpy(b.data + 148, "0001075", 7);
	for (unsigned int sum = 0; sum < 010000; sum++) {
		struct format_finding finding;
		char digits[8];

		(void)snprintf(digits, sizeof(digits), "%06o", sum);
		memcpy(b.data + 148, digits, 7);
		if (inspect(&b, &finding) == 0 && finding.pickles)
			return;
	}
	fail();
}

static void test_streams(void **state)
{
	static const struct sample samples[] = {
		PICKLE("BZh91AY&SY"),
		PICKLE("\xfd"
		       "7zXZ\0\0"),
		PICKLE("\x04\x22\x4d\x18"
		       "abc"),
		PICKLE("\x28\xb5\x2f\xfd"
		       "abc"),
		PICKLE("ZF0x10 "),
		OTHER("x\x9c"
		      "abc"),
		OTHER("x^2 + y^2\n"),
		OTHER("\x1f\x8b\x08"),
	};
	static struct bytes b;
	uLongf n = sizeof(b.data);

	(void)state;
	check_samples(samples, sizeof(samples) / sizeof(samples[0]));
	assert_int_equal(compress(b.data, &n, (const Bytef *)"a table of words", 16), Z_OK);
	b.n = n;
	is(&b, 0, false);
	n = sizeof(b.data);
	assert_int_equal(compress(b.data, &n, (const Bytef *)"\x80\x04]\x94K\x01\x61.", 8), Z_OK);
	b.n = n;
	is(&b, CUSTODY_FORMAT_PICKLE, true);
	b.n -= 4; /* a loader that streams has run it before the checksum is missed */
	is(&b, CUSTODY_FORMAT_PICKLE, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pickle),	   cmocka_unit_test(test_pickle_long),
		cmocka_unit_test(test_npy),	   cmocka_unit_test(test_zip),
		cmocka_unit_test(test_zip_packed), cmocka_unit_test(test_zip_refused),
		cmocka_unit_test(test_polyglot),   cmocka_unit_test(test_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
