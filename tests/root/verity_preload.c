/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded into custody-measurer by a test, on a kernel without fs-verity: every file has a digest
 * then, which differs when anything about the file does. It shows what custody makes of the
 * kernel's word; the word itself is for 86-relaunch.sh to get from a kernel that has fs-verity.
 *
 * Loaded into custodyctl, it takes a request to enable fs-verity as the kernel would, when it is
 * well-formed, and appends the file's path to what VERITY_LOG names.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int preload_digest(int fd, struct fsverity_digest *ret)
{
	struct stat st;
	uint64_t words[4];

	if (fstat(fd, &st) < 0)
		return -1;
	words[0] = st.st_ino;
	words[1] = (uint64_t)st.st_size;
	words[2] = (uint64_t)st.st_mtim.tv_sec * 1000000000U + (uint64_t)st.st_mtim.tv_nsec;
	words[3] = (uint64_t)st.st_ctim.tv_sec * 1000000000U + (uint64_t)st.st_ctim.tv_nsec;
	ret->digest_algorithm = FS_VERITY_HASH_ALG_SHA256;
	ret->digest_size = sizeof(words);
	memcpy(ret->digest, words, sizeof(words));
	return 0;
}

/* What the kernel checks before it looks at the file. */
static int preload_enable(int fd, const struct fsverity_enable_arg *how)
{
	static const struct fsverity_enable_arg wanted = {
		.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096,
	};
	const char *log = getenv("VERITY_LOG");
	char link[64], path[4096];
	ssize_t n;
	int out;

	if (memcmp(how, &wanted, sizeof(wanted)) != 0) {
		errno = EINVAL;
		return -1;
	}
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	out = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (n < 0 || out < 0)
		return -1;
	path[n++] = '\n';
	if (write(out, path, (size_t)n) != n)
		n = -1;
	(void)close(out);
	return n < 0 ? -1 : 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *argument;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (request == FS_IOC_MEASURE_VERITY)
		return preload_digest(fd, argument);
	if (request == FS_IOC_ENABLE_VERITY)
		return preload_enable(fd, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}
