/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Device nodes by number, and what may be asked of a GPU by ioctl number.
 *
 * The cgroup plane's device program judges an open by path; these judge the file itself,
 * wherever it was opened and however it came: at open, at every ioctl, at every mmap. A device
 * that policy does not name answers EPERM.
 *
 * What of the request is compared is what the driver compares: NVIDIA's frontend, DRM and KFD
 * look at the low 8 bits and ignore type and size, UVM's numbers are whole words. A rule on the
 * type byte would be a rule that the caller chooses.
 */
#include "lsm.h"

#define S_IFMT 0170000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define IOCTL_NUMBER 0xff

/* The device that a file is, as a key of `devices`; false when it is none, or there is no file. */
static __always_inline bool gpu_read_device(const struct file *file, __u32 jail_id,
					    struct policy_device_key *ret)
{
	struct inode *inode = NULL;
	__u16 mode = 0;
	__u32 rdev = 0;

	/* mmap of anonymous memory has no file, which the read reports like any bad address. */
	if (bpf_core_read(&inode, sizeof(inode), &file->f_inode) || !inode)
		return false;
	if (bpf_core_read(&mode, sizeof(mode), &inode->i_mode) ||
	    bpf_core_read(&rdev, sizeof(rdev), &inode->i_rdev)) {
		error_count(POLICY_ERROR_FILE_READ);
		return false;
	}
	if ((mode & S_IFMT) != S_IFCHR && (mode & S_IFMT) != S_IFBLK)
		return false;
	ret->jail_id = jail_id;
	ret->type = (mode & S_IFMT) == S_IFCHR ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
	ret->major = rdev >> 20; /* MINORBITS of include/linux/kdev_t.h */
	ret->minor = rdev & 0xfffff;
	return true;
}

static __always_inline __u64 gpu_pack(const struct policy_device_key *key)
{
	return (__u64)key->major << 32 | key->minor;
}

/* What is allowed is counted by the cgroup plane, which has judged the same open. */
SEC("lsm/file_open")
int lsm_device_open(__u64 *ctx) /* struct file * */
{
	struct subject s = subject_new(POLICY_CLASS_DEVICE, POLICY_OBJECT_NONE);
	const struct file *file = (const struct file *)ctx[0];
	struct policy_device_key key = {};
	struct policy_jail *jail;
	int r = 0;

	jail = lsm_find_model(&s, &r);
	if (!jail || !gpu_read_device(file, s.jail_id, &key) || jail_find_device(jail, &key))
		return r;
	return lsm_deny(&s, -EPERM, file->f_flags, gpu_pack(&key), 0);
}

SEC("lsm/mmap_file")
int lsm_device_mmap(__u64 *ctx) /* struct file * or NULL, reqprot, prot, flags */
{
	struct subject s = subject_new(POLICY_CLASS_MMAP, POLICY_OBJECT_NONE);
	struct policy_device_key key = {};
	struct policy_device *device;
	struct policy_jail *jail;
	int r = 0;

	jail = lsm_find_model(&s, &r);
	if (!jail || !gpu_read_device((const struct file *)ctx[0], s.jail_id, &key))
		return r;
	device = jail_find_device(jail, &key);
	if (!device)
		return lsm_deny(&s, -EPERM, (__u32)ctx[2], gpu_pack(&key), 0);
	s.object = (__u16)device->object;
	(void)counter_add(&s, true, 0);
	return 0;
}

/* An ioctl that the set allows: counted by number, an event at first sight. */
static __always_inline int ioctl_allow(const struct subject *s, __u64 device, __u32 cmd)
{
	struct policy_counter *counter;
	struct custody_event *event;

	if (!seen_first(s, device, cmd)) {
		(void)counter_add(s, true, 0);
		return 0;
	}
	event = lsm_open_event(s, 0, &counter);
	if (event) {
		event->access = cmd;
		event->device = device;
		event_submit(event, counter);
	}
	return 0;
}

static __always_inline int ioctl_judge(const struct file *file, __u32 cmd)
{
	struct subject s = subject_new(POLICY_CLASS_IOCTL, POLICY_OBJECT_NONE);
	struct policy_device_key key = {};
	struct policy_ioctl_key request = {};
	struct policy_device *device;
	struct policy_ioctl *ioctl;
	struct policy_jail *jail;
	int r = 0;

	jail = lsm_find_model(&s, &r);
	if (!jail || !gpu_read_device(file, s.jail_id, &key))
		return r;
	device = jail_find_device(jail, &key);
	if (!device)
		return lsm_deny(&s, -EPERM, cmd, gpu_pack(&key), 0);
	if (device->ioctls == POLICY_IOCTLS_ANY) {
		(void)counter_add(&s, true, 0);
		return 0;
	}
	request.jail_id = s.jail_id;
	request.class = device->ioctls;
	request.number = device->ioctls == POLICY_IOCTLS_UVM ? cmd : cmd & IOCTL_NUMBER;
	ioctl = bpf_map_lookup_elem(&ioctls, &request);
	if (!ioctl)
		return lsm_deny(&s, -EPERM, cmd, gpu_pack(&key), 0);
	s.object = (__u16)ioctl->object;
	return ioctl_allow(&s, gpu_pack(&key), cmd);
}

SEC("lsm/file_ioctl")
int lsm_file_ioctl(__u64 *ctx) /* struct file *, unsigned int cmd, unsigned long arg */
{
	return ioctl_judge((const struct file *)ctx[0], (__u32)ctx[1]);
}

/* 32-bit callers; where the kernel lacks this hook (before 6.8), it asks the one above. */
SEC("lsm/file_ioctl_compat")
int lsm_file_ioctl_compat(__u64 *ctx)
{
	return ioctl_judge((const struct file *)ctx[0], (__u32)ctx[1]);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
