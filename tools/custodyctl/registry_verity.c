/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl model register --fs-verity: see registry_verity.h. Run as the caller, who must own the
 * files or be root. Trusts nothing of the directory: links, devices and names that no model may
 * have are refused by oms_tree_list(), and a file is opened as the one that was listed.
 */
#include "registry_verity.h"

#include <errno.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cleanup.h"
#include "client.h"
#include "model_file.h"

#define VERITY_BLOCK 4096 /* what every kernel takes that has it */

static const char *verity_explain(int error)
{
	switch (error) {
	case ENOTTY:
	case EOPNOTSUPP:
	case ENOSYS:
	case EINVAL:
		return "the kernel has none, or not for this file system (ext4 needs the feature "
		       "\"verity\", see tune2fs(8)). Leave --fs-verity out, or move the model";
	case ETXTBSY: return "it is open for writing. End what writes to it, and ask again";
	default: return strerror(error);
	}
}

static int verity_enable(const struct model_directory *model, const struct oms_file *file)
{
	struct fsverity_enable_arg how = {
		.version = 1,
		.hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = VERITY_BLOCK,
	};
	struct oms_why why = { 0 };
	cleanup_fd int fd = -1;
	int r = oms_tree_open(model->fd, file, &fd, &why);

	if (r < 0)
		return model_complain(model->name, r, &why);
	if (ioctl(fd, FS_IOC_ENABLE_VERITY, &how) == 0 || errno == EEXIST)
		return CUSTODY_EXIT_DONE;
	client_complain("fs-verity cannot be enabled on %s: %s.", client_quote(file->path).text,
			verity_explain(errno));
	return CUSTODY_EXIT_REFUSED;
}

int registry_enable_verity(const char *directory)
{
	struct model_directory model = { .fd = -1 };
	cleanup_oms_tree struct oms_tree tree = { 0 };
	struct oms_why why = { 0 };
	int r = model_open_directory(directory, &model);
	int listed;

	if (r != CUSTODY_EXIT_DONE)
		return r;
	listed = oms_tree_list(&(struct oms_model){ .dirfd = model.fd }, &tree, &why);
	if (listed < 0)
		r = model_complain(model.name, listed, &why);
	for (size_t i = 0; r == CUSTODY_EXIT_DONE && i < tree.n; i++)
		r = verity_enable(&model, &tree.files[i]);
	model_close_directory(&model);
	return r;
}
