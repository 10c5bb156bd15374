/* SPDX-License-Identifier: Apache-2.0 */
/* Words to numbers, addresses and devices. Run by the planner. Trusts no byte of its input. */
#include "value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "cleanup.h"
#include "destination.h"

#define VALUE_DIGITS "0123456789"

struct value_unit {
	const char *suffix;
	__u64 factor;
};

/* Largest first: printing takes the first that divides. */
static const struct value_unit value_sizes[] = {
	{ "T", 1ULL << 40 }, { "G", 1ULL << 30 }, { "M", 1ULL << 20 },
	{ "K", 1ULL << 10 }, { "", 1 },
};
static const struct value_unit value_times[] = {
	{ "d", 86400 },
	{ "h", 3600 },
	{ "m", 60 },
	{ "s", 1 },
};

/* digits[0..n) as a number of at most max. */
static int value_read_digits(const char *digits, size_t n, __u64 max, __u64 *ret)
{
	__u64 value = 0;

	if (n == 0 || strspn(digits, VALUE_DIGITS) < n || (n > 1 && digits[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		__u64 digit = (__u64)(digits[i] - '0');

		if (digit > max || value > (max - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

int value_parse_count(const char *text, __u64 max, __u64 *ret)
{
	return value_read_digits(text, strlen(text), max, ret);
}

/* Digits and one of the units; tail is what has to follow the unit. */
static int value_parse_unit(const char *text, const struct value_unit *units, size_t n_units,
			    const char *tail, __u64 max, __u64 *ret)
{
	size_t n = strspn(text, VALUE_DIGITS);

	for (size_t i = 0; i < n_units; i++) {
		size_t len = strlen(units[i].suffix);
		__u64 value = 0;
		int r;

		if (strncmp(text + n, units[i].suffix, len) != 0 ||
		    strcmp(text + n + len, tail) != 0)
			continue;
		r = value_read_digits(text, n, max / units[i].factor, &value);
		if (r == 0)
			*ret = value * units[i].factor;
		return r;
	}
	return -EINVAL;
}

static void value_print_unit(FILE *out, const struct value_unit *units, size_t n_units, __u64 value)
{
	for (size_t i = 0; i < n_units; i++) {
		if (i + 1 < n_units && (value == 0 || value % units[i].factor != 0))
			continue;
		(void)fprintf(out, "%llu%s", (unsigned long long)(value / units[i].factor),
			      units[i].suffix);
		return;
	}
}

int value_parse_size(const char *text, __u64 *ret)
{
	__u64 value = 0;
	int r = value_parse_unit(text, value_sizes, ARRAY_SIZE(value_sizes), "", VALUE_SIZE_MAX,
				 &value);

	if (r == 0 && value == 0)
		r = -ERANGE;
	if (r == 0)
		*ret = value;
	return r;
}

void value_print_size(FILE *out, __u64 size)
{
	value_print_unit(out, value_sizes, ARRAY_SIZE(value_sizes), size);
}

int value_parse_rate(const char *text, __u64 *ret)
{
	__u64 value = 0;
	int r = value_parse_unit(text, value_sizes, ARRAY_SIZE(value_sizes), "/s", VALUE_SIZE_MAX,
				 &value);

	if (r == 0 && value == 0)
		r = -ERANGE;
	if (r == 0)
		*ret = value;
	return r;
}

int value_parse_ceiling(const char *text, bool rate, struct value_ceiling *ret)
{
	const char *equals = strrchr(text, '=');
	const char *amount = equals ? equals + 1 : text;
	struct value_ceiling ceiling = { .whole = !equals };
	int r = 0;

	if (equals && (equals == text || (size_t)(equals - text) >= sizeof(ceiling.endpoint)))
		return -EINVAL;
	if (equals)
		memcpy(ceiling.endpoint, text, (size_t)(equals - text));
	if (!rate && !equals && strcmp(amount, "auto") == 0)
		ceiling.bytes = PLAN_TOTAL_AUTO;
	else
		r = rate ? value_parse_rate(amount, &ceiling.bytes)
			 : value_parse_size(amount, &ceiling.bytes);
	if (r == 0 && rate && ceiling.bytes > CEILING_RATE_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = ceiling;
	return r;
}

int value_parse_duration(const char *text, __u64 *ret)
{
	return value_parse_unit(text, value_times, ARRAY_SIZE(value_times), "", 36500ULL * 86400,
				ret);
}

void value_print_duration(FILE *out, __u64 seconds)
{
	value_print_unit(out, value_times, ARRAY_SIZE(value_times), seconds);
}

int value_parse_percent(const char *text, __u64 *ret)
{
	size_t n = strspn(text, VALUE_DIGITS);
	__u64 value = 0;
	int r;

	if (strcmp(text + n, "%") != 0)
		return -EINVAL;
	r = value_read_digits(text, n, 819200, &value);
	if (r == 0 && value == 0)
		r = -ERANGE;
	if (r == 0)
		*ret = value;
	return r;
}

int value_parse_yes(const char *text, bool *ret)
{
	if (strcmp(text, "yes") == 0)
		*ret = true;
	else if (strcmp(text, "no") == 0)
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

bool value_check_path(const char *text)
{
	const char *part = text;

	if (text[0] != '/' || strlen(text) >= CUSTODY_PATH_SIZE)
		return false;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return false;
	}
	if (text[1] == '\0')
		return true;
	while (*part == '/') {
		size_t n = strcspn(++part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && strncmp(part, "..", 2) == 0))
			return false;
		part += n;
	}
	return true;
}

/* Not multicast, broadcast, or IPv4 written as IPv6: plan_check() takes none of them. */
static bool value_is_bindable(const __u8 address[16], bool six)
{
	static const __u8 mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (!six)
		return address[0] < 224;
	return address[0] != 0xff && memcmp(address, mapped, sizeof(mapped)) != 0;
}

/* ADDR:PORT or [ADDR6]:PORT. */
static int value_parse_inet(const char *text, struct value_endpoint *ret)
{
	bool six = text[0] == '[';
	const char *end = strrchr(text, six ? ']' : ':');
	char address[INET6_ADDRSTRLEN];
	__u64 port = 0;
	size_t n;
	int r;

	if (!end || (six && end[1] != ':'))
		return -EINVAL;
	n = (size_t)(end - text) - (six ? 1 : 0);
	if (n == 0 || n >= sizeof(address))
		return -EINVAL;
	memcpy(address, text + (six ? 1 : 0), n);
	address[n] = '\0';
	r = value_parse_count(end + (six ? 2 : 1), 65535, &port);
	if (r < 0)
		return r;
	if (port == 0)
		return -ERANGE;
	if (inet_pton(six ? AF_INET6 : AF_INET, address, ret->address) != 1)
		return -EINVAL;
	if (!value_is_bindable(ret->address, six))
		return -ERANGE;
	ret->family = six ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET;
	ret->port = (__u16)port;
	return 0;
}

int value_parse_endpoint(const char *text, struct value_endpoint *ret)
{
	struct value_endpoint endpoint = { 0 };
	int r;

	if (strncmp(text, "unix:", 5) == 0) {
		if (!value_check_path(text + 5) || text[6] == '\0')
			return -EINVAL;
		if (strlen(text + 5) >= 108)
			return -ERANGE;
		endpoint.family = PLAN_FAMILY_UNIX;
		endpoint.path = text + 5;
		*ret = endpoint;
		return 0;
	}
	if (strncmp(text, "tcp:", 4) == 0)
		endpoint.protocol = IPPROTO_TCP;
	else if (strncmp(text, "udp:", 4) == 0)
		endpoint.protocol = IPPROTO_UDP;
	else
		return -EINVAL;
	r = value_parse_inet(text + 4, &endpoint);
	if (r == 0)
		*ret = endpoint;
	return r;
}

size_t value_host_length(const char *text)
{
	char host[PLAN_HOST_NAME_MAX + 1];
	size_t n = strcspn(text, ":");

	if (n > PLAN_HOST_NAME_MAX)
		return 0;
	for (size_t i = 0; i < n; i++)
		host[i] = (char)tolower((unsigned char)text[i]);
	host[n] = '\0';
	return destination_check_host(host) ? n : 0;
}

static int value_parse_host(const char *text, struct value_endpoint *ret)
{
	size_t n = value_host_length(text);
	__u64 port = 0;
	int r;

	if (n == 0 || text[n] != ':')
		return -EINVAL;
	r = value_parse_count(text + n + 1, 65535, &port);
	if (r == 0 && port == 0)
		r = -ERANGE;
	if (r < 0)
		return r;
	*ret = (struct value_endpoint){ .family = PLAN_FAMILY_NAME, .protocol = IPPROTO_TCP,
					.port = (__u16)port, .path = text };
	return 0;
}

int value_parse_egress(const char *text, struct value_endpoint *ret)
{
	static const char mapped[] = "[::ffff:";
	const size_t scheme = strcspn(text, ":") + 1;
	struct value_endpoint endpoint = { 0 };
	char plain[64];
	int r;

	if (strncmp(text, "name:", 5) == 0)
		return value_parse_host(text + 5, ret);
	if (scheme == 5)
		return value_parse_endpoint(text, ret);
	/* An IPv4 address in IPv6 clothing: without the clothes. */
	if (scheme == 4 && text[3] == ':' &&
	    strncasecmp(text + scheme, mapped, sizeof(mapped) - 1) == 0 &&
	    strchr(text + scheme, '.') && strlen(text) < sizeof(plain)) {
		const char *address = text + scheme + sizeof(mapped) - 1;
		size_t n = strcspn(address, "]");

		if (address[n] == '\0')
			return -EINVAL;
		(void)snprintf(plain, sizeof(plain), "%.*s%.*s%s", (int)scheme, text, (int)n,
			       address, address + n + 1);
		text = plain;
	}
	r = value_parse_endpoint(text, &endpoint);
	if (r < 0)
		return r;
	if (!destination_check_address(endpoint.family, endpoint.address))
		return -ERANGE;
	*ret = endpoint;
	return 0;
}

/* A major that the kernel gives out at run time. */
static int value_parse_dynamic(const char *text, __u64 *ret)
{
	__u64 major = 0;
	int r = value_parse_count(text, 511, &major);

	if (r < 0)
		return r;
	if (major < 234 || (major > 254 && major < 384))
		return -ERANGE;
	*ret = major;
	return 0;
}

static int value_parse_numbered(const char *text, __u64 min, __u64 max, __u64 *ret)
{
	__u64 number = 0;
	int r = value_parse_count(text, max, &number);

	if (r == 0 && number < min)
		r = -ERANGE;
	if (r == 0)
		*ret = number;
	return r;
}

int value_parse_device(const char *text, struct value_device ret[VALUE_DEVICE_NODES], size_t *ret_n)
{
	struct value_device first = { 0 };
	const char *number = strchr(text, ':');
	size_t n = number ? (size_t)(number - text) : 0;
	bool nvidia = n == 6 && strncmp(text, "nvidia", n) == 0;
	__u64 value = 0;
	int r = -EINVAL;

	if (nvidia) {
		r = value_parse_numbered(number + 1, 0, 127, &value);
		first = (struct value_device){ .major = 195, .minor = (__u32)value };
		(void)snprintf(first.path, sizeof(first.path), "/dev/nvidia%u", first.minor);
	} else if (n == 3 && strncmp(text, "dri", n) == 0) {
		r = value_parse_numbered(number + 1, 128, 191, &value);
		first = (struct value_device){ .major = 226, .minor = (__u32)value };
		(void)snprintf(first.path, sizeof(first.path), "/dev/dri/renderD%u", first.minor);
	} else if ((n == 10 && strncmp(text, "nvidia-uvm", n) == 0) ||
		   (n == 3 && strncmp(text, "kfd", n) == 0)) {
		r = value_parse_dynamic(number + 1, &value);
		first = (struct value_device){ .major = (__u32)value };
		(void)snprintf(first.path, sizeof(first.path), "/dev/%.*s", (int)n, text);
	}
	if (r < 0)
		return r;
	ret[0] = first;
	*ret_n = 1;
	if (nvidia) {
		ret[1] = (struct value_device){ .major = 195,
						.minor = 255,
						.path = "/dev/nvidiactl" };
		*ret_n = 2;
	}
	return 0;
}

size_t value_distance(const char *a, const char *b, size_t limit)
{
	size_t row[64];
	size_t na = strlen(a);
	size_t nb = strlen(b);

	if (na >= ARRAY_SIZE(row) || nb >= ARRAY_SIZE(row))
		return limit + 1;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[nb] > limit ? limit + 1 : row[nb];
}
