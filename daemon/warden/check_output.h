/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check printed: taken from its memfd, kept in a file, and its last line for a message. Run
 * by custodyd. The bytes are the hostile model's: they are counted, hashed and copied, and nothing
 * else is done with them but to find the last line, which is escaped.
 */
#ifndef CUSTODY_WARDEN_CHECK_OUTPUT_H
#define CUSTODY_WARDEN_CHECK_OUTPUT_H

#include <stddef.h>

#include "custody/evidence.h"
#include "escape.h"

#define CHECK_LINE_MAX 120 /* bytes of the last line that are shown, before they are escaped */

struct check_output {
	__u32 size;	/* at most CHECK_OUTPUT_MAX */
	__u8 digest[CUSTODY_DIGEST_SIZE];
	char line[ESCAPE_SIZE(CHECK_LINE_MAX)];	/* the last that is not empty; "": there is none */
};

/*
 * Reads the first CHECK_OUTPUT_MAX bytes of `from` and writes them to the new file `name` in
 * the directory, on disk when this returns; without any, no file is made. 0 with *ret; -EEXIST or
 * another -errno, and then there is no such file.
 */
int check_output_keep(int from, int directory, const char *name, struct check_output *ret);

/* The last line of n bytes that has more than blanks, escaped, cut to CHECK_LINE_MAX bytes. */
void check_output_find_line(const char *bytes, size_t n, char ret[ESCAPE_SIZE(CHECK_LINE_MAX)]);

#endif
