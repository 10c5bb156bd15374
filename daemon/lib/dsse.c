/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE envelopes. Run by the recorder (seal) and custody-verify (open). Pure. The envelope has
 * one permitted form, so it is taken apart by comparing bytes: no JSON parser sees it before
 * its signature has been checked.
 */
#include "dsse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "cleanup.h"

#define DSSE_SIG_LENGTH BASE64_LENGTH(KEY_SIGNATURE_SIZE)

int dsse_print_pae(const char *type, const void *payload, size_t n, char **ret, size_t *ret_n)
{
	size_t size = strlen(type) + n + 64;
	cleanup_ptr char *pae = malloc(size);
	int head;

	if (!pae)
		return -ENOMEM;
	head = snprintf(pae, size, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
	if (head < 0)
		return -EIO;
	memcpy(pae + head, payload, n);
	*ret_n = (size_t)head + n;
	*ret = TAKE_PTR(pae);
	return 0;
}

int dsse_seal(const char *type, const void *payload, size_t n, const struct key *key, char **ret,
	      size_t *ret_n)
{
	__u8 signature[KEY_SIGNATURE_SIZE];
	char sig[DSSE_SIG_LENGTH + 1];
	cleanup_ptr char *pae = NULL;
	cleanup_ptr char *body = malloc(BASE64_LENGTH(n) + 1);
	cleanup_ptr char *text = NULL;
	size_t pae_n;
	int len;
	int r;

	if (!body)
		return -ENOMEM;
	r = dsse_print_pae(type, payload, n, &pae, &pae_n);
	if (r == 0)
		r = key_sign(key, pae, pae_n, signature);
	if (r == 0)
		r = base64_encode(signature, sizeof(signature), sig, sizeof(sig));
	if (r == 0)
		r = base64_encode(payload, n, body, BASE64_LENGTH(n) + 1);
	if (r < 0)
		return r;
	len = asprintf(&text,
		       "{\"payload\":\"%s\",\"payloadType\":\"%s\",\"signatures\":"
		       "[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}\n",
		       body, type, key_id(key), sig);
	if (len < 0) {
		text = NULL;
		return -ENOMEM;
	}
	*ret_n = (size_t)len;
	*ret = TAKE_PTR(text);
	return 0;
}

/* A place in the text; fails at the first byte that is not what must stand there. */
struct dsse_cursor {
	const char *text;
	size_t n;
	size_t at;
};

static int dsse_expect(struct dsse_cursor *c, const char *literal)
{
	for (const char *p = literal; *p; p++) {
		if (c->at >= c->n || c->text[c->at] != *p)
			return -EBADMSG;
		c->at++;
	}
	return 0;
}

static int dsse_open_payload(struct dsse_cursor *c, char **ret, size_t *ret_n, const char **ret_why)
{
	cleanup_ptr char *payload = NULL;
	const char *end;
	size_t start;
	size_t got = 0;

	*ret_why = "the envelope does not begin with its payload";
	if (dsse_expect(c, "{\"payload\":\"") < 0)
		return -EBADMSG;
	start = c->at;
	end = memchr(c->text + start, '"', c->n - start);
	*ret_why = "the payload does not end";
	if (!end)
		return -EBADMSG;
	payload = malloc((size_t)(end - c->text) - start + 1);
	if (!payload)
		return -ENOMEM;
	*ret_why = "the payload is not strict base64";
	if (base64_decode(c->text + start, (size_t)(end - c->text) - start, payload,
			  (size_t)(end - c->text) - start, &got) < 0)
		return -EBADMSG;
	payload[got] = '\0';
	c->at = (size_t)(end - c->text);
	*ret_n = got;
	*ret = TAKE_PTR(payload);
	return 0;
}

static int dsse_open_signature(struct dsse_cursor *c, const struct key *key,
			       __u8 ret[KEY_SIGNATURE_SIZE], const char **ret_why)
{
	size_t got = 0;

	*ret_why = "the keyid is not that of the key given";
	if (dsse_expect(c, key_id(key)) < 0)
		return -EBADMSG;
	*ret_why = "the envelope is not written in the one permitted way";
	if (dsse_expect(c, "\",\"sig\":\"") < 0)
		return -EBADMSG;
	*ret_why = "the signature is not 64 bytes in strict base64";
	if (c->n - c->at < DSSE_SIG_LENGTH ||
	    base64_decode(c->text + c->at, DSSE_SIG_LENGTH, ret, KEY_SIGNATURE_SIZE, &got) < 0 ||
	    got != KEY_SIGNATURE_SIZE)
		return -EBADMSG;
	c->at += DSSE_SIG_LENGTH;
	*ret_why = "the envelope does not end as it must";
	if (dsse_expect(c, "\"}]}\n") < 0)
		return -EBADMSG;
	return c->at == c->n ? 0 : -EBADMSG;
}

static int dsse_parse(struct dsse_cursor *c, const char *type, const struct key *key, char **ret,
		      size_t *ret_n, __u8 signature[KEY_SIGNATURE_SIZE], const char **ret_why)
{
	int r = dsse_open_payload(c, ret, ret_n, ret_why);

	if (r < 0)
		return r;
	*ret_why = "the payload type is not " DSSE_TYPE_INTOTO;
	if (dsse_expect(c, "\",\"payloadType\":\"") < 0 || dsse_expect(c, type) < 0)
		return -EBADMSG;
	*ret_why = "the envelope is not written in the one permitted way";
	if (dsse_expect(c, "\",\"signatures\":[{\"keyid\":\"") < 0)
		return -EBADMSG;
	return dsse_open_signature(c, key, signature, ret_why);
}

int dsse_open(const char *text, size_t n, const char *type, const struct key *key, char **ret,
	      size_t *ret_n, const char **ret_why, size_t *ret_offset)
{
	struct dsse_cursor c = { .text = text, .n = n };
	__u8 signature[KEY_SIGNATURE_SIZE];
	cleanup_ptr char *payload = NULL;
	cleanup_ptr char *pae = NULL;
	size_t payload_n = 0;
	size_t pae_n;
	int r;

	r = dsse_parse(&c, type, key, &payload, &payload_n, signature, ret_why);
	*ret_offset = c.at;
	if (r < 0)
		return r;
	r = dsse_print_pae(type, payload, payload_n, &pae, &pae_n);
	if (r < 0)
		return r;
	*ret_why = "the signature is wrong: the envelope was changed, or another key signed it";
	*ret_offset = 0;
	if (!key_verify(key, pae, pae_n, signature))
		return -EBADMSG;
	*ret_n = payload_n;
	*ret = TAKE_PTR(payload);
	return 0;
}
