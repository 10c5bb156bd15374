/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON for bundles and statements. Run by custodyctl and whatever measures models. Pure.
 * Trusts nothing: the text is bounded before jansson sees it.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "cleanup.h"
#include "oms_internal.h"

int oms_explain(struct oms_why *why, int r, const char *format, ...)
{
	va_list ap;

	if (!why)
		return r;
	va_start(ap, format);
	(void)vsnprintf(why->text, sizeof(why->text), format, ap);
	va_end(ap);
	return r;
}

int oms_explain_io(struct oms_why *why, const char *path, int r)
{
	int given = r;

	if (r == -EKEYREJECTED || r == -EBADMSG || r == -ESTALE || r == -EOPNOTSUPP || r == -EINVAL)
		r = -EIO;
	return oms_explain(why, r, "%s cannot be read: %s.", oms_quote(path, strlen(path)).text,
			   strerror(-given));
}

struct oms_quoted oms_quote(const char *text, size_t n)
{
	struct oms_quoted quoted;

	(void)escape_bytes(text, n, false, quoted.text, sizeof(quoted.text));
	return quoted;
}

void oms_print_hex(const __u8 digest[OMS_DIGEST_SIZE], char ret[OMS_HEX_SIZE])
{
	for (size_t i = 0; i < OMS_DIGEST_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

int oms_parse_hex(const char *text, size_t n, __u8 ret[OMS_DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	if (n != 2 * OMS_DIGEST_SIZE)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const char *digit = memchr(digits, text[i], 16);
		__u8 value = (__u8)(digit ? digit - digits : 0);

		if (!digit)
			return -EBADMSG;
		ret[i / 2] = i % 2 ? (__u8)(ret[i / 2] | value) : (__u8)(value << 4);
	}
	return 0;
}

/* jansson recurses, and makes ten bytes of one: what it may meet is counted before. */
static bool oms_json_is_bounded(const char *text, size_t n)
{
	size_t values = 0;
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (c == '[' || c == '{' || c == ',')
			values++;
		if (depth > OMS_DEPTH_MAX || values > OMS_VALUES_MAX)
			return false;
	}
	return true;
}

int oms_json_parse(const char *text, size_t n, const char *what, json_t **ret, struct oms_why *why)
{
	cleanup_json json_t *json = NULL;
	json_error_t error = { 0 };

	if (n > OMS_BUNDLE_MAX)
		return oms_explain(why, -EBADMSG, "The %s has %zu bytes; at most %u are read.",
				   what, n, OMS_BUNDLE_MAX);
	if (!oms_json_is_bounded(text, n))
		return oms_explain(why, -EBADMSG,
				   "The %s nests deeper than %d levels, or has more "
				   "than %u values.",
				   what, OMS_DEPTH_MAX, OMS_VALUES_MAX);
	json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return oms_explain(
			why,
			json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG,
			"The %s is not JSON as it must be: line %d: "
			"%s.",
			what, error.line, oms_quote(error.text, strlen(error.text)).text);
	if (!json_is_object(json))
		return oms_explain(why, -EBADMSG, "The %s is not a JSON object.", what);
	*ret = TAKE_PTR(json);
	return 0;
}

int oms_json_object(const json_t *object, const char *key, const json_t **ret, struct oms_why *why)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_object(member))
		return oms_explain(why, -EBADMSG, "%s is %s.", key,
				   member ? "not an object" : "missing");
	*ret = member;
	return 0;
}

int oms_json_array(const json_t *object, const char *key, const json_t **ret, struct oms_why *why)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_array(member))
		return oms_explain(why, -EBADMSG, "%s is %s.", key,
				   member ? "not an array" : "missing");
	*ret = member;
	return 0;
}

int oms_json_string(const json_t *object, const char *key, const char **ret, struct oms_why *why)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_string(member))
		return oms_explain(why, -EBADMSG, "%s is %s.", key,
				   member ? "not a string" : "missing");
	*ret = json_string_value(member);
	return 0;
}

/* Standard alphabet and padding, whatever it came in. NULL when the two alphabets are mixed. */
static char *oms_json_normalise(const char *text, size_t *n)
{
	bool standard = memchr(text, '+', *n) || memchr(text, '/', *n);
	bool url = memchr(text, '-', *n) || memchr(text, '_', *n);
	char *copy = standard && url ? NULL : malloc(*n + 4);

	if (!copy)
		return NULL;
	memcpy(copy, text, *n);
	for (size_t i = 0; url && i < *n; i++) {
		if (copy[i] == '-')
			copy[i] = '+';
		else if (copy[i] == '_')
			copy[i] = '/';
	}
	if (!memchr(text, '=', *n)) {
		while (*n % 4 != 0)
			copy[(*n)++] = '=';
	}
	return copy;
}

int oms_json_bytes(const json_t *object, const char *key, struct oms_blob *ret, struct oms_why *why)
{
	cleanup_ptr char *copy = NULL;
	struct oms_blob blob = { 0 };
	const char *text = NULL;
	size_t n;
	int r;

	r = oms_json_string(object, key, &text, why);
	if (r < 0)
		return r;
	n = strlen(text);
	copy = oms_json_normalise(text, &n);
	blob.data = OPENSSL_malloc(n / 4 * 3 + 4);
	if (!blob.data)
		return -ENOMEM;
	r = copy ? base64_decode(copy, n, blob.data, n / 4 * 3 + 3, &blob.n) : -EBADMSG;
	if (r < 0 || blob.n == 0) {
		oms_blob_free(&blob);
		return oms_explain(why, -EBADMSG, "%s is %s.", key, r < 0 ? "not base64" : "empty");
	}
	blob.data[blob.n] = '\0';
	*ret = blob;
	return 0;
}

json_t *oms_json_base64(const void *data, size_t n)
{
	size_t size = BASE64_LENGTH(n) + 1;
	cleanup_ptr char *text = malloc(size);

	if (!text || base64_encode(data, n, text, size) < 0)
		return NULL;
	return json_string(text);
}
