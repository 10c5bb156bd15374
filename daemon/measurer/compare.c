/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model once more, when the mount that was measured is the jail's zone: every file that it
 * shows is one that was measured, and as it was then; nothing is more, nothing less. Run by
 * custody-measurer, with the table that it has made itself. No content is read.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "measurer.h"

/* A link to this one file: as it was when it was read, generation and fs-verity included. */
static int compare_file(struct measurer *m, const struct oms_file *listed,
			const struct measured_file *measured, struct oms_why *why)
{
	struct measured_file now = *measured;
	cleanup_fd int fd = -1;
	int r = oms_tree_open(m->model, listed, &fd, why);

	if (r == 0)
		r = identity_read(fd, &now);
	if (r < 0)
		return r;
	return measured_is_same(measured, &now) ? 0 : -ESTALE;
}

int compare_model(struct measurer *m)
{
	const struct oms_model model = { .dirfd = m->model };
	cleanup_oms_tree struct oms_tree now = { 0 };
	struct oms_why why = { 0 };
	char name[256];
	int r = oms_tree_list(&model, &now, &why);

	if (r < 0)
		return measurer_refuse(m, r, "The model cannot be compared in the jail: %s",
				       why.text[0] ? why.text : strerror(-r));
	for (size_t i = 0; i < m->tree.n || i < now.n; i++) {
		const int order = i >= now.n ? -1
				  : i >= m->tree.n
					  ? 1
					  : strcmp(m->tree.files[i].path, now.files[i].path);
		const char *path = order <= 0 ? m->tree.files[i].path : now.files[i].path;

		r = order == 0 ? compare_file(m, &now.files[i], &m->files[i], &why) : -ESTALE;
		if (r == 0)
			continue;
		(void)escape_text(path, strlen(path) + 1, false, name, sizeof(name));
		return measurer_refuse(m, r,
				       "The model changed between its measurement and its "
				       "start: %s %s.%s%s",
				       name,
				       order < 0   ? "is gone"
				       : order > 0 ? "is new"
						   : "is not as it was measured",
				       why.text[0] ? " " : "", why.text);
	}
	return 0;
}
