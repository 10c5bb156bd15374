/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file of a model is, by its content and never by its name, and whether the header of a
 * GGUF, safetensors, NPY, zip or HDF5 file is sane. Run by whatever measures models. Pure: no
 * logging, no global state, no allocation that grows with the file. Trusts no byte of it.
 *
 * The rule for a file that is more than one thing (a polyglot), in this order:
 *   1. Loading it as one of them runs pickles, or custody cannot look into one of them: it is
 *      CUSTODY_FORMAT_PICKLE with pickles = true, whatever else it is, and `why` names both.
 *   2. Otherwise it is refused (-EBADMSG).
 * Looked for in every file, whatever it begins with: a pickle from its first byte on, a tar's
 * first header, HDF5's signature at 0, 512, 1024, 2048 ..., a zip's end within its last 64 KiB. A
 * zip that something stands before counts as one that custody cannot look into.
 *
 * What custody cannot look into is a pickle to it, because loaders unpack it and take what they
 * find: tar; bzip2, xz, LZMA, LZ4, Zstandard and joblib's old Z-files; zip entries that are
 * encrypted, compressed by something else than deflate, or archives themselves. Of gzip and zlib
 * streams, and of zip entries, the first 64 KiB are unpacked and judged; where they do not decide
 * it, it is a pickle.
 *
 * CUSTODY_FORMAT_PICKLE without protocol 2's first byte: the opcodes are walked as the unpickler
 * does, and it is one when a name is imported and then called or built, when it ends where the file
 * ends, or when 4096 opcodes are good. What only imports a name and then breaks off is none: a list
 * of words can look so. A file of another kind is `other` (format 0): text, JSON, tokenizers.
 */
#ifndef CUSTODY_FORMAT_H
#define CUSTODY_FORMAT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/plan.h"
#include "oms.h"

/* Bytes of a header that are read at most. Larger ones are refused. */
#define FORMAT_SAFETENSORS_MAX (16U << 20)
#define FORMAT_GGUF_MAX (128U << 20)
#define FORMAT_GGUF_KEYS_MAX 65536U
#define FORMAT_TENSORS_MAX 262144U
#define FORMAT_NPY_MAX (64U << 10)
#define FORMAT_ZIP_ENTRIES_MAX 262144U
#define FORMAT_ZIP_DIRECTORY_MAX (64U << 20)
#define FORMAT_PREFIX (64U << 10) /* bytes that are unpacked of a stream */

struct format_finding {
	__u32 format; /* one enum custody_format, or 0: other */
	bool pickles; /* loading it may run what the file says */
	struct oms_why why; /* what was found, in a sentence; empty when there is nothing to say */
};

/*
 * Looks at a file of `size` bytes by pread() alone; the fd's offset is neither used nor moved.
 *   0         *ret is what it is
 *   -EBADMSG  its header is not sane, or it is two things at once: ret->format is what it claims
 *             to be (0 when several), ret->why says what is wrong
 *   -EBUSY    it is shorter than `size`
 *   -ENOMEM, and what pread() answered otherwise; ret->why is set
 */
int format_inspect(int fd, __u64 size, struct format_finding *ret);

/* The same of n bytes in memory. */
int format_inspect_bytes(const void *data, size_t n, struct format_finding *ret);

/* "gguf", ...; "other" for 0. As in model.formats. */
const char *format_name(__u32 format);

#endif
