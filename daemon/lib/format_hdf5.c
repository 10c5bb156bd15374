/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HDF5 superblocks: found at 0, 512, 1024, 2048 ... as the library looks for them, and checked as
 * far as the file's own size. Run by whatever measures models. Pure. Trusts nothing. What the file
 * holds is not looked at: a Keras layer of the kind Lambda in it is code.
 */
#include <errno.h>
#include <string.h>

#include "format_internal.h"

#define HDF5_SIGNATURE "\x89HDF\r\n\x1a\n"
#define HDF5_SIGNATURE_SIZE 8
#define HDF5_USER_BLOCK 512
#define HDF5_SUPERBLOCK_MAX 96

static int hdf5_find(const struct format_source *source, __u64 *ret)
{
	__u8 bytes[HDF5_SIGNATURE_SIZE];
	__u64 at = 0;

	while (at < source->size && source->size - at >= sizeof(bytes)) {
		int r = format_read(source, at, bytes, sizeof(bytes));

		if (r < 0)
			return r == -ENOBUFS ? 0 : r;
		if (memcmp(bytes, HDF5_SIGNATURE, sizeof(bytes)) == 0) {
			*ret = at;
			return 1;
		}
		if (at >> 62)
			break;
		at = at ? at * 2 : HDF5_USER_BLOCK;
	}
	return 0;
}

int format_is_hdf5(const struct format_source *source, const struct format_head *head)
{
	__u64 at = 0;

	(void)head;
	return hdf5_find(source, &at);
}

/* Where the addresses begin, and how many bytes each has; 0: no version that is known. */
static size_t hdf5_find_addresses(const __u8 *block, size_t *ret_size)
{
	switch (block[8]) {
	case 0: *ret_size = block[13]; return 24;
	case 1: *ret_size = block[13]; return 28;
	case 2:
	case 3: *ret_size = block[9]; return 12;
	default: return 0;
	}
}

int format_check_hdf5(const struct format_source *source, struct format_finding *ret)
{
	__u8 block[HDF5_SUPERBLOCK_MAX] = { 0 };
	size_t n = sizeof(block), size = 0, addresses;
	__u64 at = 0, end;
	int r = hdf5_find(source, &at);

	if (r < 0)
		return r;
	ret->format = CUSTODY_FORMAT_HDF5;
	if (source->size - at < n)
		n = (size_t)(source->size - at);
	r = format_read(source, at, block, n);
	if (r < 0)
		return r;
	addresses = hdf5_find_addresses(block, &size);
	if (addresses == 0)
		return format_refuse(ret, "The HDF5 superblock is of version %u; 0 to 3 are known.",
				     block[8]);
	if (size != 2 && size != 4 && size != 8)
		return format_refuse(ret, "The HDF5 superblock has addresses of %zu bytes.", size);
	if (n < addresses + 4 * size)
		return format_refuse(ret, "The HDF5 superblock reaches past the end of the file.");
	if (format_number(block + addresses, size) != at)
		return format_refuse(ret, "The HDF5 superblock says that it is elsewhere.");
	end = format_number(block + addresses + 2 * size, size);
	if (end > source->size || end < at)
		return format_refuse(
			ret,
			"The HDF5 superblock says that the file has %llu bytes, but it "
			"has %llu.",
			(unsigned long long)end, (unsigned long long)source->size);
	return 0;
}
