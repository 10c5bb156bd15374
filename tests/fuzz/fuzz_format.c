/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a file of a model. The answer is one of those in format.h; what carries
 * pickles says so in a sentence; from a file it is the same as from memory, wherever the fd stands.
 * Whatever is a zip, a tar or a compressed stream behind another head is never just that head.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_finding(int r, const struct format_finding *finding)
{
	if (r != 0 && r != -EBADMSG)
		abort();
	if (r < 0 && !finding->why.text[0])
		abort();
	if ((finding->format & ~CUSTODY_FORMATS_ALL) || (finding->format & (finding->format - 1)))
		abort();
	if (r == 0 && finding->pickles && (!finding->format || !finding->why.text[0]))
		abort();
	if (r == 0 && !finding->pickles &&
	    (finding->format & (CUSTODY_FORMAT_PICKLE | CUSTODY_FORMAT_TORCH)))
		abort();
}

/* The same answer from a file, its offset untouched. */
static void check_file(const uint8_t *data, size_t n, int r, const struct format_finding *finding)
{
	struct format_finding again = { 0 };
	int fd = memfd_create("fuzz_format", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	if (format_inspect(fd, n, &again) != r || again.format != finding->format ||
	    again.pickles != finding->pickles || strcmp(again.why.text, finding->why.text) != 0 ||
	    lseek(fd, 0, SEEK_CUR) != (off_t)n)
		abort();
	if (format_inspect(fd, n + 1, &again) == 0)
		abort();
	(void)close(fd);
}

/* Each parser sees it, also what it would not have been called for. */
static void check_parsers(const uint8_t *data, size_t n)
{
	static int (*const parsers[])(const struct format_source *, struct format_finding *) = {
		format_check_gguf,     format_check_safetensors, format_check_npy,
		format_check_hdf5,     format_check_zip,	 format_check_onnx,
		format_check_deflated,
	};
	const struct format_source source = { .fd = -1, .data = data, .size = n, .held = n };

	for (size_t i = 0; n >= 16 && i < sizeof(parsers) / sizeof(parsers[0]); i++) {
		struct format_finding finding = { 0 };

		(void)parsers[i](&source, &finding);
	}
	(void)format_hides_pickle(data, n / 2, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct format_finding finding = { 0 };
	int r = format_inspect_bytes(data, n, &finding);

	check_finding(r, &finding);
	check_file(data, n, r, &finding);
	check_parsers(data, n);
	return 0;
}
