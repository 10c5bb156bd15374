/* SPDX-License-Identifier: Apache-2.0 */
/* See check_output.h. Run by custodyd. Trusts no byte that it copies. */
#include "check_output.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "write_all.h"

static bool check_output_is_blank(char c)
{
	return c == '\n' || c == '\r' || c == '\t' || c == ' ' || c == '\0';
}

void check_output_find_line(const char *bytes, size_t n, char ret[ESCAPE_SIZE(CHECK_LINE_MAX)])
{
	size_t begin;

	while (n > 0 && check_output_is_blank(bytes[n - 1]))
		n--;
	for (begin = n; begin > 0 && bytes[begin - 1] != '\n' && bytes[begin - 1] != '\r'; begin--)
		;
	if (n - begin > CHECK_LINE_MAX)
		n = begin + CHECK_LINE_MAX;
	(void)escape_bytes(bytes + begin, n - begin, false, ret, ESCAPE_SIZE(CHECK_LINE_MAX));
}

static int check_output_read(int from, char *bytes, size_t *ret_n)
{
	size_t used = 0;

	while (used < CHECK_OUTPUT_MAX) {
		ssize_t n = pread(from, bytes + used, CHECK_OUTPUT_MAX - used, (off_t)used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*ret_n = used;
	return 0;
}

/* The directory too: the record that names the file is written after this. */
static int check_output_write(int directory, const char *name, const char *bytes, size_t n)
{
	cleanup_fd int fd =
		openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, bytes, n);
	if (r == 0 && (fsync(fd) < 0 || fsync(directory) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(directory, name, 0);
	return r;
}

int check_output_keep(int from, int directory, const char *name, struct check_output *ret)
{
	cleanup_ptr char *bytes = malloc(CHECK_OUTPUT_MAX);
	struct check_output output = { 0 };
	unsigned int size = sizeof(output.digest);
	size_t n = 0;
	int r = bytes ? check_output_read(from, bytes, &n) : -ENOMEM;

	if (r < 0)
		return r;
	if (EVP_Digest(bytes, n, output.digest, &size, EVP_sha256(), NULL) != 1)
		return -EIO;
	if (n > 0)
		r = check_output_write(directory, name, bytes, n);
	if (r < 0)
		return r;
	output.size = (__u32)n;
	check_output_find_line(bytes, n, output.line);
	*ret = output;
	return 0;
}
