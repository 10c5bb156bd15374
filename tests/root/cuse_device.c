/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A character device of any number that answers every ioctl with 0: a stand-in for a GPU's node,
 * without a GPU and without libfuse. Speaks CUSE to the kernel. Run as root by tests/root/7*.sh;
 * ends with the descriptor, that is, when it is killed.
 *
 *   cuse_device NAME MAJOR MINOR READY-FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define CUSE_BUFFER (FUSE_MIN_READ_BUFFER + (1 << 16))

static int cuse_answer(int fd, __u64 unique, int error, const void *data, size_t size)
{
	struct fuse_out_header header = { .error = error, .unique = unique };
	char bytes[512];

	if (size > sizeof(bytes) - sizeof(header))
		return -E2BIG;
	header.len = (__u32)(sizeof(header) + size);
	memcpy(bytes, &header, sizeof(header));
	if (size > 0)
		memcpy(bytes + sizeof(header), data, size);
	return write(fd, bytes, header.len) == (ssize_t)header.len ? 0 : -errno;
}

static int cuse_start(int fd, __u64 unique, char **argv)
{
	struct cuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = FUSE_KERNEL_MINOR_VERSION, .max_read = 4096,
				      .max_write = 4096, .dev_major = (__u32)atoi(argv[2]),
				      .dev_minor = (__u32)atoi(argv[3]) };
	char bytes[256];
	int n;

	memcpy(bytes, &init, sizeof(init));
	n = snprintf(bytes + sizeof(init), sizeof(bytes) - sizeof(init), "DEVNAME=%s", argv[1]);
	if (n < 0 || (size_t)n >= sizeof(bytes) - sizeof(init))
		return -ENAMETOOLONG;
	return cuse_answer(fd, unique, 0, bytes, sizeof(init) + (size_t)n + 1);
}

/* The node is there once the kernel has taken the answer: the next request comes after that. */
static int cuse_serve_one(int fd, const struct fuse_in_header *in, char **argv)
{
	struct fuse_open_out open_out = { .fh = 1 };
	struct fuse_ioctl_out ioctl_out = { 0 };

	switch (in->opcode) {
	case CUSE_INIT:
		return cuse_start(fd, in->unique, argv);
	case FUSE_OPEN:
		return cuse_answer(fd, in->unique, 0, &open_out, sizeof(open_out));
	case FUSE_IOCTL:
		return cuse_answer(fd, in->unique, 0, &ioctl_out, sizeof(ioctl_out));
	case FUSE_RELEASE:
	case FUSE_FLUSH:
		return cuse_answer(fd, in->unique, 0, NULL, 0);
	case FUSE_INTERRUPT:
		return 0;
	default:
		return cuse_answer(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	cleanup_fd int fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);
	cleanup_ptr char *bytes = malloc(CUSE_BUFFER);

	if (argc != 5)
		return 2;
	if (fd < 0 || !bytes) {
		perror("cuse_device: /dev/cuse");
		return 1;
	}
	for (bool first = true;; first = false) {
		ssize_t n = read(fd, bytes, CUSE_BUFFER);
		int r;

		if (n < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header)) {
			perror("cuse_device: read");
			return 1;
		}
		r = cuse_serve_one(fd, (const void *)bytes, argv);
		/* ENOENT: whoever asked is gone. */
		if (r < 0 && r != -ENOENT) {
			(void)fprintf(stderr, "cuse_device: answer: %s\n", strerror(-r));
			return 1;
		}
		if (first && close(creat(argv[4], 0600)) < 0)
			return 1;
	}
}
