/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts in the making, and sets of files. Run by custody-sweeper. Text that goes into a fact is
 * escaped here and nowhere else: it may come from a process that wants to be misread.
 */
#include "sweep.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Printable ASCII stays; a backslash and every other byte become \xNN. Cut to fit, whole escapes. */
static void sweep_escape(const char *text, char *ret, size_t size)
{
	size_t used = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool plain = *c >= 0x20 && *c < 0x7f && *c != '\\';
		size_t n = plain ? 1 : 4;

		if (used + n >= size)
			break;
		(void)snprintf(ret + used, n + 1, plain ? "%c" : "\\x%02x", *c);
		used += n;
	}
	ret[used] = '\0';
}

void sweep_add(struct sweep *sweep, enum evidence_fact_id id, __u64 n, const char *format, ...)
{
	struct evidence_fact *fact = &sweep->facts[id];
	char text[512];
	va_list ap;

	fact->value += n;
	if (fact->detail[0] != '\0')
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	sweep_escape(text, fact->detail, sizeof(fact->detail));
}

void sweep_miss(struct sweep *sweep, enum evidence_fact_id id)
{
	if (sweep->facts[id].unseen < ~0U)
		sweep->facts[id].unseen++;
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
	sweep_escape(text, fact->detail, sizeof(fact->detail));
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
