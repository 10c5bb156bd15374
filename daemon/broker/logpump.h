/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's output: from the log pipe into two files that take turns, so that what a model can
 * write to disk is bounded by twice the limit. Run by custody-broker. The bytes are the model's
 * and are never looked at.
 *
 * The pipe is always drained: when a file cannot be written (full disk), the bytes are dropped
 * and counted, and the model never waits.
 */
#ifndef CUSTODY_BROKER_LOGPUMP_H
#define CUSTODY_BROKER_LOGPUMP_H

#include <linux/types.h>

struct logpump {
	int pipe;		/* read end, owned; -1 after its end */
	int file[2];		/* owned */
	unsigned int current;	/* index into file */
	__u64 written;		/* bytes in the current file */
	__u64 limit;		/* bytes of one file */
	__u64 dropped;		/* bytes that reached no file */
};

#define LOGPUMP_EMPTY ((struct logpump){ .pipe = -1, .file = { -1, -1 } })
#define LOGPUMP_LIMIT_MIN 4096

/*
 * Takes the three fds over and goes on at the end of the first file. Returns 0, -EINVAL when the
 * limit is below LOGPUMP_LIMIT_MIN or a file is no regular file, or -errno.
 */
int logpump_open(int pipe, int file_a, int file_b, __u64 limit, struct logpump *ret);

/* Reads once and writes it. Returns 0, or -ENODATA at the pipe's end (pipe is then closed). */
int logpump_move(struct logpump *log);

void logpump_close(struct logpump *log);

#endif
