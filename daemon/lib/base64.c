/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict base64. Run by the recorder, custodyctl and custody-verify. libcrypto's decoder skips
 * white space and ignores stray bits, so that two texts mean one value; here they do not.
 */
#include "base64.h"

#include <errno.h>
#include <string.h>

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *data, size_t n, char *ret, size_t size)
{
	const unsigned char *in = data;
	size_t out = 0;

	if (size == 0 || n > (size - 1) / 4 * 3)
		return -ENOBUFS;
	for (size_t i = 0; i < n; i += 3) {
		unsigned int word = (unsigned int)in[i] << 16;

		if (i + 1 < n)
			word |= (unsigned int)in[i + 1] << 8;
		if (i + 2 < n)
			word |= in[i + 2];
		ret[out++] = base64_alphabet[word >> 18 & 63];
		ret[out++] = base64_alphabet[word >> 12 & 63];
		ret[out++] = i + 1 < n ? base64_alphabet[word >> 6 & 63] : '=';
		ret[out++] = i + 2 < n ? base64_alphabet[word & 63] : '=';
	}
	ret[out] = '\0';
	return 0;
}

static int base64_find_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* One group of four with `used` real characters (2, 3 or 4). */
static int base64_decode_group(const char *text, size_t used, unsigned int *ret)
{
	unsigned int word = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < used ? base64_find_value(text[i]) : 0;

		if (value < 0)
			return -EBADMSG;
		word = word << 6 | (unsigned int)value;
	}
	if ((used == 3 && (word & 0xff)) || (used == 2 && (word & 0xffff)))
		return -EBADMSG;
	*ret = word;
	return 0;
}

int base64_decode(const char *text, size_t n, void *ret, size_t size, size_t *ret_n)
{
	unsigned char *out = ret;
	size_t pad = 0;
	size_t total;

	if (n % 4 != 0)
		return -EBADMSG;
	if (n > 0 && text[n - 1] == '=')
		pad = text[n - 2] == '=' ? 2 : 1;
	total = n / 4 * 3 - pad;
	if (total > size)
		return -ENOBUFS;
	for (size_t i = 0; i < n; i += 4) {
		size_t used = i + 4 == n ? 4 - pad : 4;
		unsigned int word;
		int r = base64_decode_group(text + i, used, &word);

		if (r < 0)
			return r;
		for (size_t j = 0; j + 1 < used; j++)
			*out++ = (unsigned char)(word >> (16 - 8 * j));
	}
	*ret_n = total;
	return 0;
}
