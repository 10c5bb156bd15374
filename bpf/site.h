/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a refused system call was made: the instruction, and the place of that instruction in the
 * file it was mapped from. Only for calls that are refused: others pay nothing. The mapping is the
 * one that is there when the event is made; the memory map is tried for and not waited for, so a
 * site may be without its file (EVENT_FLAG_SITE alone, offset 0), and decides nothing.
 */
#ifndef CUSTODY_BPF_SITE_H
#define CUSTODY_BPF_SITE_H

#include "file.h"

#define SITE_PAGE_SHIFT 12

struct site {
	__u64 address;
	__u64 offset;		/* of the address in the file */
	bool mapped;		/* info is the file's */
	struct open_file info;
};

static long site_read_vma(struct task_struct *task, struct vm_area_struct *vma, void *data)
{
	struct site *site = data;
	struct file *file = NULL;
	unsigned long start = 0, page = 0;
	long r = 0;

	(void)task;
	r |= bpf_core_read(&file, sizeof(file), &vma->vm_file);
	r |= bpf_core_read(&start, sizeof(start), &vma->vm_start);
	r |= bpf_core_read(&page, sizeof(page), &vma->vm_pgoff);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	if (r || !file || !file_read(file, &site->info))
		return 0;
	site->offset = site->address - start + (page << SITE_PAGE_SHIFT);
	site->mapped = true;
	return 0;
}

/* site->address is set, the rest zero. Before the event is made: a callback takes no reference. */
static __always_inline void site_find(struct site *site)
{
	(void)bpf_find_vma(bpf_get_current_task_btf(), site->address, site_read_vma, site, 0);
}

static __always_inline void event_set_site(struct custody_event *event, const struct site *site)
{
	event->flags |= EVENT_FLAG_SITE;
	event->site.address = site->address;
	if (!site->mapped)
		return;
	event->site.offset = site->offset;
	event_set_file(event, &site->info);
}

#endif
