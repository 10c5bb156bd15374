/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of escape.c and base64.c: nothing that a model named reaches a terminal as it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base64.h"
#include "escape.h"

static void check(const char *in, size_t n, bool columns, const char *want)
{
	char out[256];

	assert_string_equal(escape_bytes(in, n, columns, out, sizeof(out)), want);
}
#define CHECK(in, columns, want) check(in, sizeof(in) - 1, columns, want)

static void test_escape(void **state)
{
	(void)state;
	CHECK("/srv/models/llama.gguf", true, "/srv/models/llama.gguf");
	CHECK("a b", false, "a b");
	CHECK("a b", true, "a\\x20" "b");
	CHECK("a\\x41", false, "a\\\\x41");
	CHECK("\x1b[2J\x1b]0;x\x07", false, "\\x1b[2J\\x1b]0;x\\x07");
	CHECK("x\ny\r\t\x7f", false, "x\\x0ay\\x0d\\x09\\x7f");
	CHECK("nul\0in", false, "nul\\x00in");
	CHECK("gr\xc3\xbc\xc3\x9f", true, "gr\xc3\xbc\xc3\x9f");
	CHECK("\xf0\x9f\x94\x92", true, "\xf0\x9f\x94\x92");
	CHECK("\xc2\x9b" "31m", false, "\\xc2\\x9b31m");		/* C1 CSI */
	CHECK("a\xe2\x80\xae" "fdp.exe", false, "a\\xe2\\x80\\xae" "fdp.exe");	/* RLO */
	CHECK("\xe2\x80\x8b", false, "\\xe2\\x80\\x8b");		/* zero width space */
	CHECK("\xe2\x80\xa8", false, "\\xe2\\x80\\xa8");		/* line separator */
	CHECK("a\xc2\xa0" "b", true, "a\\xc2\\xa0" "b");		/* no-break space */
	CHECK("\xc0\xaf", false, "\\xc0\\xaf");			/* overlong */
	CHECK("\xed\xa0\x80", false, "\\xed\\xa0\\x80");		/* surrogate */
	CHECK("\xf4\x90\x80\x80", false, "\\xf4\\x90\\x80\\x80");	/* beyond Unicode */
	CHECK("\xe2\x82", false, "\\xe2\\x82");			/* cut short */
	CHECK("\xff\xfe", false, "\\xff\\xfe");
}

static void test_escape_bounds(void **state)
{
	char in[256], out[ESCAPE_SIZE(256)], small[10];

	(void)state;
	for (int i = 0; i < 256; i++)
		in[i] = (char)i;
	(void)escape_bytes(in, 256, true, out, sizeof(out));
	for (const char *p = out; *p; p++)
		assert_true((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f);
	assert_string_equal(escape_bytes("\x01\x02\x03", 3, false, small, sizeof(small)),
			    "\\x01\\x02");
	assert_string_equal(escape_text("ab\0cd", 5, false, small, sizeof(small)), "ab");
	assert_string_equal(escape_bytes("abc", 3, false, small, 1), "");
}

static void test_base64(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {	/* RFC 4648 section 10 */
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const bad[] = {
		"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zm-_", "Zg==Zg==",
		"Zm9vZ", "=m9v",
	};
	char out[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(base64_encode(rows[i].plain, strlen(rows[i].plain), out,
					       sizeof(out)), 0);
		assert_string_equal(out, rows[i].text);
		assert_int_equal(base64_decode(rows[i].text, strlen(rows[i].text), out, sizeof(out),
					       &n), 0);
		assert_int_equal(n, strlen(rows[i].plain));
		assert_memory_equal(out, rows[i].plain, n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &n),
				 -EBADMSG);
	assert_int_equal(base64_encode("foo", 3, out, 4), -ENOBUFS);
	assert_int_equal(base64_decode("Zm9v", 4, out, 2, &n), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_bounds),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
