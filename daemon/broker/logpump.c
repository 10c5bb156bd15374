/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draining the model's output into two bounded files. Run by custody-broker. Trusts nothing of
 * the bytes; the files were opened by custodyd.
 */
#include "logpump.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define LOGPUMP_CHUNK 65536

int logpump_open(int pipe, int file_a, int file_b, __u64 limit, struct logpump *ret)
{
	struct stat a;
	struct stat b;
	int flags = fcntl(pipe, F_GETFL);

	if (limit < LOGPUMP_LIMIT_MIN)
		return -EINVAL;
	if (flags < 0 || fstat(file_a, &a) < 0 || fstat(file_b, &b) < 0)
		return -errno;
	if (!S_ISREG(a.st_mode) || !S_ISREG(b.st_mode))
		return -EINVAL;
	if (fcntl(pipe, F_SETFL, flags | O_NONBLOCK) < 0 || lseek(file_a, 0, SEEK_END) < 0)
		return -errno;
	*ret = (struct logpump){
		.pipe = pipe, .file = { file_a, file_b }, .written = (__u64)a.st_size,
		.limit = limit,
	};
	return 0;
}

void logpump_close(struct logpump *log)
{
	cleanup_close_fd(&log->pipe);
	cleanup_close_fd(&log->file[0]);
	cleanup_close_fd(&log->file[1]);
}

/* The other file takes over, empty. */
static int logpump_switch(struct logpump *log)
{
	unsigned int next = 1 - log->current;

	if (ftruncate(log->file[next], 0) < 0 || lseek(log->file[next], 0, SEEK_SET) < 0)
		return -errno;
	log->current = next;
	log->written = 0;
	return 0;
}

static void logpump_write(struct logpump *log, const char *data, size_t size)
{
	while (size > 0) {
		__u64 room = log->written < log->limit ? log->limit - log->written : 0;
		ssize_t n;

		if (room == 0) {
			if (logpump_switch(log) < 0)
				break;
			room = log->limit;
		}
		n = write(log->file[log->current], data, size < room ? size : room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		log->written += (__u64)n;
		data += n;
		size -= (size_t)n;
	}
	log->dropped += size;
}

int logpump_move(struct logpump *log)
{
	char data[LOGPUMP_CHUNK];
	ssize_t n = read(log->pipe, data, sizeof(data));

	if (n > 0) {
		logpump_write(log, data, (size_t)n);
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* A pipe that cannot be read any more is at its end too. */
	cleanup_close_fd(&log->pipe);
	return -ENODATA;
}
