/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts in the making, and sets of files. Run by custody-sweeper. Text that goes into a fact is
 * escaped (escape.h) here and nowhere else: it may come from a process that wants to be misread.
 */
#include "sweep.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

static void sweep_set_detail(struct evidence_fact *fact, const char *text, size_t size)
{
	(void)escape_text(text, size, false, fact->detail, sizeof(fact->detail));
}

void sweep_add(struct sweep *sweep, enum evidence_fact_id id, __u64 n, const char *format, ...)
{
	struct evidence_fact *fact = &sweep->facts[id];
	bool first = fact->value == 0 && fact->looked;
	char text[512];
	va_list ap;

	fact->value += n;
	if (!first)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	sweep_set_detail(fact, text, sizeof(text));
}

void sweep_miss(struct sweep *sweep, enum evidence_fact_id id, const char *who)
{
	struct evidence_fact *fact = &sweep->facts[id];
	char text[128];

	if (fact->unseen < ~0U)
		fact->unseen++;
	if (fact->detail[0] != '\0')
		return;
	(void)snprintf(text, sizeof(text), "cannot read %s", who);
	sweep_set_detail(fact, text, sizeof(text));
}

void sweep_blind(struct sweep *sweep, enum evidence_fact_id id, const char *format, ...)
{
	struct evidence_fact *fact = &sweep->facts[id];
	char text[512];
	va_list ap;

	if (!fact->looked)
		return;
	fact->looked = 0;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	sweep_set_detail(fact, text, sizeof(text));
}

bool sweep_is_gone(int error)
{
	return error == -ENOENT || error == -ESRCH || error == -ENODEV;
}

static int sweep_compare_files(const void *a, const void *b)
{
	const struct sweep_file *x = a;
	const struct sweep_file *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return 0;
}

int sweep_files_add(struct sweep_files *files, __u64 dev, __u64 inode)
{
	if (files->n >= SWEEP_FILES_MAX)
		return -E2BIG;
	if (files->n == files->room) {
		size_t room = files->room ? files->room * 2 : 64;
		struct sweep_file *at = reallocarray(files->at, room, sizeof(*at));

		if (!at)
			return -ENOMEM;
		files->at = at;
		files->room = room;
	}
	files->at[files->n++] = (struct sweep_file){ .dev = dev, .inode = inode };
	return 0;
}

void sweep_files_sort(struct sweep_files *files)
{
	if (files->n > 1)
		qsort(files->at, files->n, sizeof(*files->at), sweep_compare_files);
}

bool sweep_files_has(const struct sweep_files *files, __u64 dev, __u64 inode)
{
	const struct sweep_file key = { .dev = dev, .inode = inode };

	return files->n > 0 &&
	       bsearch(&key, files->at, files->n, sizeof(key), sweep_compare_files) != NULL;
}

bool sweep_files_note(struct sweep_files *files, __u64 dev, __u64 inode)
{
	for (size_t i = 0; i < files->n; i++) {
		if (files->at[i].dev == dev && files->at[i].inode == inode)
			return false;
	}
	/* What cannot be remembered is looked at again: counted twice, never missed. */
	(void)sweep_files_add(files, dev, inode);
	return true;
}

void sweep_files_free(struct sweep_files *files)
{
	free(files->at);
	*files = (struct sweep_files){ 0 };
}
