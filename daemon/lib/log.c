/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on standard error. Run by every role. Trusts its callers to have escaped what came
 * from outside; newlines and control bytes in the result are replaced all the same.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "custody";
static enum log_level log_level_max = LOG_LEVEL_INFO;

void log_setup(const char *program, enum log_level level)
{
	log_program = program;
	log_level_max = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[2048];
	char line[2200];
	va_list ap;
	int n;

	if (level > log_level_max)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, sizeof(line), "<%d>%s: %s\n", level, log_program, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", log_program, text);
	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}
