/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model file is: everything that it can be is asked, and what is two things is judged by
 * the rule in format.h. Run by whatever measures models. Pure. Trusts nothing.
 */
#include "format.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

static int format_name_opaque(const struct format_source *source, struct format_finding *ret)
{
	(void)source;
	ret->format = CUSTODY_FORMAT_PICKLE;
	ret->pickles = true;
	(void)oms_explain(&ret->why, 0,
			  "It is an archive or a compressed stream that custody does not look "
			  "into: it counts as a pickle.");
	return 0;
}

static int format_name_tensorflow(const struct format_source *source, struct format_finding *ret)
{
	(void)source;
	ret->format = CUSTODY_FORMAT_TENSORFLOW;
	return 0;
}

/* A row for each thing that a file can be. */
static const struct format_kind {
	const char *what;
	int (*is)(const struct format_source *source, const struct format_head *head);
	int (*check)(const struct format_source *source, struct format_finding *ret);
	bool runs; /* always counts as a pickle */
} format_kinds[] = {
	{ "GGUF", format_is_gguf, format_check_gguf, false },
	{ "safetensors", format_is_safetensors, format_check_safetensors, false },
	{ "NPY", format_is_npy, format_check_npy, false },
	{ "ONNX", format_is_onnx, format_check_onnx, false },
	{ "TensorFlow", format_is_tensorflow, format_name_tensorflow, false },
	{ "HDF5", format_is_hdf5, format_check_hdf5, false },
	{ "a zip", format_is_zip, format_check_zip, false },
	{ "a zip behind something else", format_is_zip_behind, format_name_opaque, true },
	{ "a pickle", format_is_pickle, format_check_pickle, true },
	{ "a tar", format_is_tar, format_name_opaque, true },
	{ "a compressed stream", format_is_deflated, format_check_deflated, false },
	{ "an archive or a compressed stream", format_is_opaque, format_name_opaque, true },
};

/* Its rows, as a mask. */
static int format_ask(const struct format_source *source, __u32 *ret)
{
	struct format_head head = {
		.n = source->size < FORMAT_HEAD ? (size_t)source->size : FORMAT_HEAD,
	};
	__u32 found = 0;
	int r = format_read(source, 0, head.bytes, head.n);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(format_kinds); i++) {
		int is = format_kinds[i].is(source, &head);

		if (is < 0)
			r = is;
		else if (is > 0)
			found |= 1U << i;
	}
	*ret = found;
	return r;
}

/* Two things at once: `first` and what else `found` has. */
static int format_judge_both(const struct format_source *source, __u32 found, size_t first,
			     struct format_finding *ret)
{
	size_t second = (size_t)__builtin_ctz(found & (found - 1));
	bool runs = false;

	for (size_t i = first; i < ARRAY_SIZE(format_kinds); i++) {
		struct format_finding one = { 0 };

		if (!(found & 1U << i))
			continue;
		runs |= format_kinds[i].runs ||
			(format_kinds[i].check(source, &one) == 0 && one.pickles);
	}
	*ret = (struct format_finding){ 0 };
	if (!runs)
		return format_refuse(ret, "It is %s and %s at once.", format_kinds[first].what,
				     format_kinds[second].what);
	ret->format = CUSTODY_FORMAT_PICKLE;
	ret->pickles = true;
	return oms_explain(&ret->why, 0, "It is %s and %s at once: it counts as a pickle.",
			   format_kinds[first].what, format_kinds[second].what);
}

static int format_judge(const struct format_source *source, struct format_finding *ret)
{
	__u32 found = 0;
	size_t first;
	int r = format_ask(source, &found);

	if (r < 0 || found == 0)
		return r;
	first = (size_t)__builtin_ctz(found);
	if (found & (found - 1))
		return format_judge_both(source, found, first, ret);
	r = format_kinds[first].check(source, ret);
	return r == -ENODATA || r == -ENOBUFS
		       ? format_refuse(ret, "It is %s, and its header reaches past its end.",
				       format_kinds[first].what)
		       : r;
}

static int format_conclude(const struct format_source *source, struct format_finding *ret)
{
	struct format_finding finding = { 0 };
	int r = format_judge(source, &finding);

	if (r == -EBUSY)
		(void)oms_explain(&finding.why, r, "It became shorter while it was read.");
	else if (r < 0 && r != -EBADMSG)
		(void)oms_explain(&finding.why, r, "It cannot be read: %s.", strerror(-r));
	*ret = finding;
	return r;
}

int format_inspect(int fd, __u64 size, struct format_finding *ret)
{
	const struct format_source source = { .fd = fd, .size = size };

	return format_conclude(&source, ret);
}

int format_inspect_bytes(const void *data, size_t n, struct format_finding *ret)
{
	const struct format_source source = {
		.fd = -1,
		.data = n > 0 ? data : (const void *)"",
		.size = n,
		.held = n,
	};

	return format_conclude(&source, ret);
}

const char *format_name(__u32 format)
{
	switch (format) {
	case CUSTODY_FORMAT_GGUF: return "gguf";
	case CUSTODY_FORMAT_SAFETENSORS: return "safetensors";
	case CUSTODY_FORMAT_ONNX: return "onnx";
	case CUSTODY_FORMAT_PICKLE: return "pickle";
	case CUSTODY_FORMAT_NPZ: return "npz";
	case CUSTODY_FORMAT_TORCH: return "torch";
	case CUSTODY_FORMAT_HDF5: return "hdf5";
	case CUSTODY_FORMAT_TENSORFLOW: return "tensorflow";
	default: return "other";
	}
}
