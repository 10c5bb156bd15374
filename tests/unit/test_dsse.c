/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of dsse.c: one envelope, one way of writing it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base64.h"
#include "dsse.h"

static int open_envelope(const char *text, size_t n, const struct key *key, const char **why)
{
	char *payload = NULL;
	size_t payload_n = 0;
	size_t at = 0;
	int r = dsse_open(text, n, DSSE_TYPE_INTOTO, key, &payload, &payload_n, why, &at);

	free(payload);
	assert_true(at <= n);
	return r;
}

static void test_round(void **state)
{
	static const char payload[] = "{\"hello\":\"world\"}";
	struct key *key = NULL;
	const char *why = "";
	char *text = NULL, *got = NULL;
	size_t n = 0, got_n = 0, at = 0;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(dsse_seal(DSSE_TYPE_INTOTO, payload, strlen(payload), key, &text, &n), 0);
	assert_int_equal(dsse_open(text, n, DSSE_TYPE_INTOTO, key, &got, &got_n, &why, &at), 0);
	assert_int_equal(got_n, strlen(payload));
	assert_string_equal(got, payload);
	free(got);
	for (size_t i = 0; i < n * 8; i++) {
		text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
		assert_int_equal(open_envelope(text, n, key, &why), -EBADMSG);
		text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(open_envelope(text, i, key, &why), -EBADMSG);
	free(text);
	key_free(&key);
}

static void test_keys_and_types(void **state)
{
	struct key *key = NULL, *other = NULL;
	const char *why = "";
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(key_make(&other), 0);
	assert_int_equal(dsse_seal(DSSE_TYPE_INTOTO, "{}", 2, key, &text, &n), 0);
	assert_int_equal(open_envelope(text, n, other, &why), -EBADMSG);
	assert_string_equal(why, "the keyid is not that of the key given");
	free(text);
	assert_int_equal(dsse_seal("text/plain", "{}", 2, key, &text, &n), 0);
	assert_int_equal(open_envelope(text, n, key, &why), -EBADMSG);
	free(text);
	key_free(&key);
	key_free(&other);
}

/* The signature is over the PAE of the protocol text, and over nothing else. */
static void test_pae(void **state)
{
	static const char pae[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
	struct key *key = NULL;
	char *text = NULL;
	char *sig;
	__u8 raw[KEY_SIGNATURE_SIZE];
	size_t n = 0, got = 0;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(dsse_seal("http://example.com/HelloWorld", "hello world", 11, key, &text,
				   &n), 0);
	sig = strstr(text, "\"sig\":\"");
	assert_non_null(sig);
	assert_int_equal(base64_decode(sig + 7, 88, raw, sizeof(raw), &got), 0);
	assert_true(key_verify(key, pae, strlen(pae), raw));
	assert_false(key_verify(key, "hello world", 11, raw));
	free(text);
	key_free(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_keys_and_types),
		cmocka_unit_test(test_pae),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
