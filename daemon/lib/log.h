/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per message on standard error, with the sd-daemon(3) priority prefix when standard
 * error is the journal. Logged by the layer that decides; lib/ and pure files never log.
 */
#ifndef CUSTODY_LOG_H
#define CUSTODY_LOG_H

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Name printed before each line, and the most verbose level printed (LOG_LEVEL_INFO at first). */
void log_setup(const char *program, enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
