/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One word of a profile to a number, address or device, and numbers back to words. Run by the
 * planner on untrusted text. Pure.
 *
 * Every parser takes the whole word, returns 0 with the output set, or -EINVAL (not of that
 * form) or -ERANGE (of that form, but out of range) with it untouched.
 */
#ifndef CUSTODY_PLANNER_VALUE_H
#define CUSTODY_PLANNER_VALUE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>

#include "custody/plan.h"

#define VALUE_SIZE_MAX (1ULL << 50) /* bytes */

/* Decimal digits without sign or leading zero; at most max. */
int value_parse_count(const char *text, __u64 max, __u64 *ret);

/* Bytes: digits and one of K M G T (powers of 1024), or only digits. Not 0. */
int value_parse_size(const char *text, __u64 *ret);
void value_print_size(FILE *out, __u64 size);

/* Bytes in a second: a size and "/s". */
int value_parse_rate(const char *text, __u64 *ret);

/* Seconds: digits and one of s m h d. At most 36500 days. */
int value_parse_duration(const char *text, __u64 *ret);
void value_print_duration(FILE *out, __u64 seconds);

/* "800%". At most 819200, not 0. */
int value_parse_percent(const char *text, __u64 *ret);

/* yes or no. */
int value_parse_yes(const char *text, bool *ret);

/* Absolute, no "//", no "." or ".." component, no '/' at the end but for "/", < 1024 bytes. */
bool value_check_path(const char *text);

/* One endpoint. path points into the word that was parsed. */
struct value_endpoint {
	__u16 family; /* enum plan_endpoint_family; 0: by name */
	__u16 protocol;
	__u16 port;
	__u8 address[16];
	const char *path; /* unix: the path */
};

/* tcp:ADDR:PORT, tcp:[ADDR6]:PORT, udp:..., unix:/PATH. */
int value_parse_endpoint(const char *text, struct value_endpoint *ret);

/* One word of network.egress-rate or egress-total. */
struct value_ceiling {
	__u64 bytes;		/* ever or, of a rate, in a second; PLAN_TOTAL_AUTO */
	bool whole;		/* of the model; otherwise of `endpoint` */
	char endpoint[192];	/* as it is written, not checked */
};

/* RATE or ENDPOINT=RATE; SIZE, auto or ENDPOINT=SIZE. The last '=' counts: a path may hold one. */
int value_parse_ceiling(const char *text, bool rate, struct value_ceiling *ret);

/* name:HOST:PORT. */
bool value_is_host_endpoint(const char *text);

/* The nodes that one word of gpu.devices stands for. */
struct value_device {
	__u32 major;
	__u32 minor;
	char path[32];
};
#define VALUE_DEVICE_NODES 2

/*
 * nvidia:N (N 0-127: /dev/nvidiaN, and /dev/nvidiactl), dri:N (N 128-191: /dev/dri/renderDN),
 * nvidia-uvm:MAJOR and kfd:MAJOR (their majors differ from boot to boot: /proc/devices).
 * Sets the number of nodes in *ret_n.
 */
int value_parse_device(const char *text, struct value_device ret[VALUE_DEVICE_NODES],
		       size_t *ret_n);

/* Levenshtein distance, at most `limit` + 1; for suggestions. */
size_t value_distance(const char *a, const char *b, size_t limit);

#endif
