/* SPDX-License-Identifier: Apache-2.0 */
/* See write_all.h. Linked by whoever writes a file. Trusts its caller. */
#include "write_all.h"

#include <errno.h>
#include <unistd.h>

int write_all_by(write_all_fn write_some, void *data, int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t w = write_some(data, fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static ssize_t write_all_some(void *data, int fd, const void *bytes, size_t n)
{
	(void)data;
	return write(fd, bytes, n);
}

int write_all(int fd, const void *bytes, size_t n)
{
	return write_all_by(write_all_some, NULL, fd, bytes, n);
}
