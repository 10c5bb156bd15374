/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of an open file. Run by custody-measurer. Trusts the kernel. */
#include <errno.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "measurer.h"

/* The kernel writes the digest behind the head. */
union identity_verity {
	struct fsverity_digest head;
	__u8 bytes[sizeof(struct fsverity_digest) + 64];
};

static __s64 identity_time(const struct timespec *t)
{
	return (__s64)t->tv_sec * 1000000000LL + t->tv_nsec;
}

/* Not every file system has generations, or fs-verity; then the kernel knows no such request. */
static bool identity_is_unknown(int error)
{
	return error == ENOTTY || error == EOPNOTSUPP || error == EINVAL || error == ENODATA ||
	       error == ENOSYS;
}

static int identity_read_verity(int fd, struct measured_file *ret)
{
	union identity_verity verity = { .head.digest_size = 64 };

	if (ioctl(fd, FS_IOC_MEASURE_VERITY, &verity.head) < 0)
		return identity_is_unknown(errno) ? 0 : -errno;
	if (verity.head.digest_size == 0 || verity.head.digest_size > sizeof(ret->verity_digest) ||
	    verity.head.digest_algorithm == 0)
		return 0;
	ret->verity = verity.head.digest_algorithm;
	ret->verity_size = verity.head.digest_size;
	memcpy(ret->verity_digest, verity.head.digest, ret->verity_size);
	return 0;
}

int identity_read(int fd, struct measured_file *ret)
{
	struct measured_file file = *ret;
	struct stat st;
	long generation = 0;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (ioctl(fd, FS_IOC_GETVERSION, &generation) < 0) {
		if (!identity_is_unknown(errno))
			return -errno;
		generation = 0;
	}
	file.device = st.st_dev;
	file.inode = st.st_ino;
	/* Most file systems write four bytes of the eight that the request's number promises. */
	file.generation = (__u32)generation;
	file.size = (__u64)st.st_size;
	file.mtime = identity_time(&st.st_mtim);
	file.ctime = identity_time(&st.st_ctim);
	file.verity = file.verity_size = 0;
	memset(file.verity_digest, 0, sizeof(file.verity_digest));
	r = identity_read_verity(fd, &file);
	if (r < 0)
		return r;
	*ret = file;
	return 0;
}
