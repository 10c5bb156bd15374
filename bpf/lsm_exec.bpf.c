/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a model runs: programs, and every page that becomes executable. Code comes from files on
 * zones with the exec right. Anonymous memory needs files.jit; so does a file that was unlinked
 * and a mapping whose pages were, or still could be, written privately; a memfd needs
 * process.memfd besides. An unlinked file or a memfd is never run as a program. EACCES otherwise.
 *
 * Where the kernel asks (Linux 6.1 and 6.12):
 *   execve, execveat  search_binary_handler() -> security_bprm_check(), once for a script and
 *     once more for its interpreter; the dynamic loader (PT_INTERP) is only mapped
 *   mmap              vm_mmap_pgoff() -> security_mmap_file(), elf_map() and do_shmat() included
 *   mprotect          do_mprotect_pkey() -> security_file_mprotect(), for each mapping
 * What is mapped executable is the inventory of what really ran: an event of class EXECMAP at
 * first sight of each file, allowed ones by zone. Programs are counted when they run, by the
 * observe plane; here only those that may not.
 */
#include "lsm_file.h"

#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define MAP_TYPE 0x0f
#define MAP_PRIVATE 0x02
#define VM_SHARED 0x00000008UL

/* Since 6.6 a mapping of an overlay's file holds the file below, which remembers the one above. */
struct backing_file {
	struct path user_path;
} __attribute__((preserve_access_index));

SEC("lsm/bprm_check_security")
int lsm_bprm_check_security(__u64 *ctx) /* struct linux_binprm *, ret */
{
	struct subject s = subject_new(POLICY_CLASS_EXEC, POLICY_OBJECT_NONE);
	const struct linux_binprm *binprm = (const struct linux_binprm *)ctx[0];
	struct open_file file = {};
	struct policy_zone *zone;
	int ret = (int)ctx[1];

	if (ret)
		return ret;
	if (!lsm_find_model(&s, &ret))
		return ret;
	if (!file_read(binprm->file, &file))
		return lsm_deny(&s, -EACCES, 0, 0, 0);
	zone = lsm_find_zone(&s, file.mount_id);
	if (zone && (zone->rights & CUSTODY_RIGHT_EXEC) && file.links > 0)
		return 0;
	return lsm_report_file(&s, &file, zone, -EACCES, 0);
}

/* The file as the model knows it: for the file below an overlay's, the overlay's mount. */
static __always_inline bool lsm_exec_read_file(const struct file *file, struct open_file *ret)
{
	const struct backing_file *backing = (const void *)file;
	struct dentry *dentry = NULL;

	if (!file_read(file, ret))
		return false;
	if (!(ret->mode & FMODE_NOACCOUNT) ||
	    !bpf_core_field_exists(((struct backing_file *)0)->user_path))
		return true;
	if (bpf_core_read(&dentry, sizeof(dentry), &backing->user_path.dentry)) {
		error_count(POLICY_ERROR_FILE_READ);
		return false;
	}
	return file_read_path(&backing->user_path, dentry, ret);
}

/* Of a mapping of this file: what makes it more than code from a file, enum policy_execmap. */
static __always_inline __u32 lsm_exec_read_kind(const struct open_file *file)
{
	if (file_is_memory(file))
		return POLICY_EXECMAP_MEMFD;
	return file->links == 0 ? POLICY_EXECMAP_UNLINKED : 0;
}

static __always_inline bool lsm_exec_is_allowed(const struct policy_jail *jail,
						const struct policy_zone *zone, __u32 kind)
{
	if ((kind & ~(__u32)POLICY_EXECMAP_PROTECT) && !(jail->flags & POLICY_FLAG_JIT))
		return false;
	if (kind & POLICY_EXECMAP_MEMFD)
		return jail->flags & POLICY_FLAG_MEMFD;
	/* Anonymous from the start, or the private copy of a file's page: no zone is asked. */
	if (kind & POLICY_EXECMAP_ANONYMOUS)
		return true;
	return zone && (zone->rights & CUSTODY_RIGHT_EXEC);
}

/* file: NULL for none. kind: what is known already. */
static __always_inline int lsm_exec_decide(const struct file *file, __u32 prot, __u32 kind)
{
	struct subject s = subject_new(POLICY_CLASS_EXECMAP, POLICY_OBJECT_NONE);
	struct policy_zone *zone = NULL;
	struct open_file info = {};
	struct policy_jail *jail;
	int ret = 0;

	jail = lsm_find_model(&s, &ret);
	if (!jail)
		return ret;
	if (file) {
		if (!lsm_exec_read_file(file, &info))
			return lsm_deny(&s, -EACCES, prot | kind, 0, 0);
		kind |= lsm_exec_read_kind(&info);
		zone = lsm_find_zone(&s, info.mount_id);
	}
	if (!lsm_exec_is_allowed(jail, zone, kind))
		ret = -EACCES;
	return lsm_report_file(&s, &info, zone, ret, prot | kind);
}

SEC("lsm/mmap_file")
int lsm_mmap_file(__u64 *ctx) /* struct file *, reqprot, prot, flags, ret */
{
	const struct file *file = (const struct file *)ctx[0];
	__u32 prot = (__u32)ctx[2], kind = 0;
	int ret = (int)ctx[4];

	if (ret || !(prot & PROT_EXEC))
		return ret;
	/* A private mapping that may be written while it may be run is memory, not the file. */
	if (!file || ((ctx[3] & MAP_TYPE) == MAP_PRIVATE && (prot & PROT_WRITE)))
		kind = POLICY_EXECMAP_ANONYMOUS;
	return lsm_exec_decide(file, prot, kind);
}

SEC("lsm/file_mprotect")
int lsm_file_mprotect(__u64 *ctx) /* struct vm_area_struct *, reqprot, prot, ret */
{
	const struct vm_area_struct *vma = (const struct vm_area_struct *)ctx[0];
	__u32 prot = (__u32)ctx[2], kind = POLICY_EXECMAP_PROTECT;
	struct file *file;
	int ret = (int)ctx[3];

	if (ret || !(prot & PROT_EXEC))
		return ret;
	file = vma->vm_file;
	if (!file || vma->anon_vma || (!(vma->vm_flags & VM_SHARED) && (prot & PROT_WRITE)))
		kind |= POLICY_EXECMAP_ANONYMOUS;
	return lsm_exec_decide(file, prot, kind);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
