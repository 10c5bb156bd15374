/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed heads (C2SP signed-note, Ed25519). Run by the recorder, custodyctl, custody-verify.
 * Pure. Trusts nothing it parses: a note is accepted only as the bytes that note_sign() would
 * have written for the same content.
 */
#include "note.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"

#define NOTE_DASH "\xe2\x80\x94 "
#define NOTE_BLOB_SIZE (4 + KEY_SIGNATURE_SIZE)

bool note_check_origin(const char *origin)
{
	size_t n = strnlen(origin, CUSTODY_NAME_SIZE);

	if (n == 0 || n == CUSTODY_NAME_SIZE)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (origin[i] <= ' ' || origin[i] > '~' || origin[i] == '+')
			return false;
	}
	return true;
}

static int note_print_body(const struct note_head *head, char *ret, size_t size)
{
	char hash[BASE64_LENGTH(CUSTODY_DIGEST_SIZE) + 1];
	int n;

	if (base64_encode(head->hash, sizeof(head->hash), hash, sizeof(hash)) < 0)
		return -ENOBUFS;
	n = snprintf(ret, size, "%s\n%llu\n%s\n", head->origin, (unsigned long long)head->size,
		     hash);
	return n > 0 && (size_t)n < size ? 0 : -ENOBUFS;
}

static int note_print(const char *body, const char *name, const __u8 blob[NOTE_BLOB_SIZE],
		      char *ret, size_t size)
{
	char text[BASE64_LENGTH(NOTE_BLOB_SIZE) + 1];
	int n;

	if (base64_encode(blob, NOTE_BLOB_SIZE, text, sizeof(text)) < 0)
		return -ENOBUFS;
	n = snprintf(ret, size, "%s\n" NOTE_DASH "%s %s\n", body, name, text);
	return n > 0 && (size_t)n < size ? 0 : -ENOBUFS;
}

int note_sign(const struct note_head *head, const struct key *key, char *ret, size_t size)
{
	__u8 blob[NOTE_BLOB_SIZE];
	char body[NOTE_SIZE_MAX];
	int r;

	if (!note_check_origin(head->origin))
		return -EINVAL;
	r = note_print_body(head, body, sizeof(body));
	if (r < 0)
		return r;
	key_hash_note(key, head->origin, blob);
	r = key_sign(key, body, strlen(body), blob + 4);
	if (r < 0)
		return r;
	return note_print(body, head->origin, blob, ret, size);
}

/* One line of at most max characters into ret (max + 1 bytes); returns the offset after its LF. */
static size_t note_take_line(const char *text, size_t n, size_t at, char *ret, size_t max)
{
	const char *end = memchr(text + at, '\n', n - at);
	size_t len = end ? (size_t)(end - text) - at : 0;

	if (!end || len > max)
		return 0;
	memcpy(ret, text + at, len);
	ret[len] = '\0';
	return at + len + 1;
}

static int note_parse_body(const char *text, size_t n, struct note_head *ret,
			   const char **ret_why, size_t *ret_offset)
{
	char line[CUSTODY_NAME_SIZE];
	char *end = NULL;
	size_t got = 0;
	size_t at;

	*ret_offset = 0;
	*ret_why = "the first line is not the name of a ledger";
	at = note_take_line(text, n, 0, ret->origin, sizeof(ret->origin) - 1);
	if (at == 0 || !note_check_origin(ret->origin))
		return -EBADMSG;
	*ret_offset = at;
	*ret_why = "the second line is not a number of records";
	at = note_take_line(text, n, at, line, 20);
	if (at == 0 || line[0] < '0' || line[0] > '9')
		return -EBADMSG;
	errno = 0;
	ret->size = strtoull(line, &end, 10);
	if (errno != 0 || *end != '\0')
		return -EBADMSG;
	*ret_offset = at;
	*ret_why = "the third line is not a hash in base64";
	at = note_take_line(text, n, at, line, sizeof(line) - 1);
	if (at == 0 || base64_decode(line, strlen(line), ret->hash, sizeof(ret->hash), &got) < 0 ||
	    got != sizeof(ret->hash))
		return -EBADMSG;
	return 0;
}

static int note_check_blob(const char *body, const struct note_head *head, const struct key *key,
			   const __u8 blob[NOTE_BLOB_SIZE], const char **ret_why)
{
	__u8 id[4];

	*ret_why = "the key is of another ledger: its name is not the first line";
	if (key_name(key) && strcmp(key_name(key), head->origin) != 0)
		return -EBADMSG;
	key_hash_note(key, head->origin, id);
	*ret_why = "the signature is by another key";
	if (memcmp(id, blob, sizeof(id)) != 0)
		return -EBADMSG;
	*ret_why = "the signature is wrong";
	return key_verify(key, body, strlen(body), blob + 4) ? 0 : -EBADMSG;
}

static size_t note_find_difference(const char *a, size_t a_n, const char *b, size_t b_n)
{
	size_t i = 0;

	while (i < a_n && i < b_n && a[i] == b[i])
		i++;
	return i;
}

int note_parse(const char *text, size_t n, const struct key *key, struct note_head *ret,
	       const char **ret_why, size_t *ret_offset)
{
	struct note_head head = { 0 };
	char canonical[NOTE_SIZE_MAX];
	char body[NOTE_SIZE_MAX];
	__u8 blob[NOTE_BLOB_SIZE];
	size_t start;
	size_t got = 0;
	int r;

	r = note_parse_body(text, n, &head, ret_why, ret_offset);
	if (r < 0)
		return r;
	r = note_print_body(&head, body, sizeof(body));
	if (r < 0)
		return r;
	/* body, LF, dash and space, name, space, base64, LF */
	start = strlen(body) + 1 + strlen(NOTE_DASH) + strlen(head.origin) + 1;
	*ret_offset = start;
	*ret_why = "there is no signature line of the right length";
	if (n != start + BASE64_LENGTH(NOTE_BLOB_SIZE) + 1)
		return -EBADMSG;
	*ret_why = "the signature is not base64";
	if (base64_decode(text + start, BASE64_LENGTH(NOTE_BLOB_SIZE), blob, sizeof(blob),
			  &got) < 0 || got != sizeof(blob))
		return -EBADMSG;
	r = note_print(body, head.origin, blob, canonical, sizeof(canonical));
	if (r < 0)
		return r;
	*ret_why = "it is not written in the one permitted way";
	*ret_offset = note_find_difference(text, n, canonical, strlen(canonical));
	if (strlen(canonical) != n || *ret_offset != n)
		return -EBADMSG;
	*ret_offset = start;
	if (key) {
		r = note_check_blob(body, &head, key, blob, ret_why);
		if (r < 0)
			return r;
	}
	*ret = head;
	return 0;
}

size_t note_find_end(const char *text, size_t n)
{
	const char *body = memmem(text, n, "\n\n", 2);
	const char *end;

	if (!body)
		return 0;
	end = memmem(body + 2, n - (size_t)(body + 2 - text), "\n\n", 2);
	return end ? (size_t)(end - text) + 1 : 0;
}
