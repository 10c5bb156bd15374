/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of note.c and key.c: signed heads, key files, vkeys. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger_fixture.h"
#include "note.h"

static struct note_head head_of(const char *origin)
{
	struct note_head head = { .size = 42 };

	memcpy(head.origin, origin, strlen(origin));
	memset(head.hash, 0x5a, sizeof(head.hash));
	return head;
}

static void test_round(void **state)
{
	struct note_head head = head_of("custody/host/chain-v1");
	struct note_head got;
	char text[NOTE_SIZE_MAX];
	const char *why = "";
	struct key *key = NULL;
	struct key *other = NULL;
	size_t at;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(key_make(&other), 0);
	assert_int_equal(note_sign(&head, key, text, sizeof(text)), 0);
	assert_memory_equal(text, "custody/host/chain-v1\n42\n", 25);
	assert_int_equal(note_parse(text, strlen(text), key, &got, &why, &at), 0);
	assert_memory_equal(&got, &head, sizeof(head));
	assert_int_equal(note_parse(text, strlen(text), other, &got, &why, &at), -EBADMSG);
	assert_string_equal(why, "the signature is by another key");
	/* every flipped bit and every truncation is noticed */
	for (size_t i = 0; i < strlen(text) * 8; i++) {
		char bad[NOTE_SIZE_MAX];

		memcpy(bad, text, sizeof(bad));
		bad[i / 8] = (char)(bad[i / 8] ^ 1 << i % 8);
		assert_int_equal(note_parse(bad, strlen(text), key, &got, &why, &at), -EBADMSG);
	}
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(note_parse(text, n, key, &got, &why, &at), -EBADMSG);
	assert_int_equal(note_sign(&head, key, text, 40), -ENOBUFS);
	key_free(&key);
	key_free(&other);
}

static void test_origin(void **state)
{
	struct note_head head = head_of("a b");
	char text[NOTE_SIZE_MAX];
	struct key *key = NULL;

	(void)state;
	assert_true(note_check_origin("custody/h/chain-v1"));
	assert_false(note_check_origin(""));
	assert_false(note_check_origin("a+b"));
	assert_false(note_check_origin("a\nb"));
	assert_false(note_check_origin("\xc3\xbc"));
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(note_sign(&head, key, text, sizeof(text)), -EINVAL);
	key_free(&key);
}

static void test_vkey(void **state)
{
	struct note_head head = head_of("custody/host/chain-v1");
	struct note_head got;
	char text[NOTE_SIZE_MAX], vkey[256], pem[512];
	const char *why = "";
	struct key *key = NULL, *public = NULL, *named = NULL;
	size_t at;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(note_sign(&head, key, text, sizeof(text)), 0);
	assert_int_equal(key_print_vkey(key, head.origin, vkey, sizeof(vkey)), 0);
	assert_int_equal(key_print_pem(key, pem, sizeof(pem)), 0);
	assert_int_equal(key_parse_public(vkey, strlen(vkey), &named), 0);
	assert_int_equal(key_parse_public(pem, strlen(pem), &public), 0);
	assert_string_equal(key_name(named), head.origin);
	assert_null(key_name(public));
	assert_string_equal(key_id(named), key_id(public));
	assert_int_equal(note_parse(text, strlen(text), named, &got, &why, &at), 0);
	assert_int_equal(note_parse(text, strlen(text), public, &got, &why, &at), 0);
	key_free(&named);
	/* the same key under another name is another ledger's */
	assert_int_equal(key_print_vkey(key, "other", vkey, sizeof(vkey)), 0);
	assert_int_equal(key_parse_public(vkey, strlen(vkey), &named), 0);
	assert_int_equal(note_parse(text, strlen(text), named, &got, &why, &at), -EBADMSG);
	key_free(&named);
	for (size_t i = 0; i + 1 < strlen(vkey); i++) {
		vkey[i] ^= 1;
		assert_int_equal(key_parse_public(vkey, strlen(vkey), &named), -EBADMSG);
		vkey[i] ^= 1;
	}
	key_free(&key);
	key_free(&public);
}

/* The example key of golang.org/x/mod/sumdb/note: the hash is over name, LF, type and key. */
static void test_vkey_of_the_standard(void **state)
{
	static const char vkey[] =
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	struct key *key = NULL;
	__u8 hash[4];

	(void)state;
	assert_int_equal(key_parse_public(vkey, strlen(vkey), &key), 0);
	assert_string_equal(key_name(key), "PeterNeumann");
	key_hash_note(key, "PeterNeumann", hash);
	assert_memory_equal(hash, "\xc7\x4f\x20\xa3", 4);
	key_free(&key);
}

static void test_key_file(void **state)
{
	char path[] = "/tmp/custody-key-XXXXXX";
	int fd = mkstemp(path);
	struct key *made = NULL, *again = NULL;
	bool fresh = false;
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(key_open(fd, &made, &fresh), 0);
	assert_true(fresh);
	assert_int_equal(key_open(fd, &again, &fresh), 0);
	assert_false(fresh);
	assert_string_equal(key_id(made), key_id(again));
	key_free(&again);
	/* half a key is refused and left alone */
	assert_int_equal(ftruncate(fd, 60), 0);
	assert_int_equal(key_open(fd, &again, &fresh), -EBADMSG);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 60);
	key_free(&made);
	(void)close(fd);
	(void)unlink(path);
}

static void test_find_end(void **state)
{
	struct note_head head = head_of("x");
	char text[NOTE_SIZE_MAX], two[2 * NOTE_SIZE_MAX + 2];
	struct key *key = NULL;
	size_t n;

	(void)state;
	assert_int_equal(key_make(&key), 0);
	assert_int_equal(note_sign(&head, key, text, sizeof(text)), 0);
	n = strlen(text);
	(void)snprintf(two, sizeof(two), "%s\n%s\n", text, text);
	assert_int_equal(note_find_end(two, strlen(two)), n);
	assert_int_equal(note_find_end(two + n + 1, strlen(two) - n - 1), n);
	assert_int_equal(note_find_end(two, n), 0);
	assert_int_equal(note_find_end("", 0), 0);
	key_free(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_vkey),
		cmocka_unit_test(test_vkey_of_the_standard),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_find_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
