/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded into custody-measurer by a test, on a kernel without fs-verity: every file has a digest
 * then, which differs when anything about the file does. It shows what custody makes of the
 * kernel's word; the word itself is for 86-relaunch.sh to get from a kernel that has fs-verity.
 */
#include <errno.h>
#include <linux/fsverity.h>
#include <stdarg.h>
#include <stdint.h>
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

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *argument;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (request == FS_IOC_MEASURE_VERITY)
		return preload_digest(fd, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}
