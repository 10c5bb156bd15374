/* SPDX-License-Identifier: Apache-2.0 */
/* The values. Linked into custody-jail. Facts of the drivers' public headers; trusts nothing. */
#include "ioctl_request.h"

#include <linux/ioctl.h>

#include "cleanup.h"

#define WHOLE 0xffffffffU
#define NOT_SIZE (~((__u32)_IOC_SIZEMASK << _IOC_SIZESHIFT))

#define VALUE(CLASS, value_) \
	{ .class = POLICY_IOCTLS_##CLASS, .value = (__u32)(value_), .mask = WHOLE }

/* NVIDIA's frontend: direction both, type 'F', the size of the structure that the header has. */
#define NVIDIA(number, size) VALUE(NVIDIA, _IOC(_IOC_READ | _IOC_WRITE, 'F', number, size))
/* The caller's structure is as long as the host has GPUs, or as the driver's version has it. */
#define NVIDIA_ANY_SIZE(number)                                                               \
	{ .class = POLICY_IOCTLS_NVIDIA, .mask = NOT_SIZE,                                     \
	  .value = _IOC(_IOC_READ | _IOC_WRITE, 'F', number, 0) }

#define DRM_BOTH(number, size) VALUE(DRM, _IOC(_IOC_READ | _IOC_WRITE, 'd', number, size))
/*
 * Type and number: the driver's own, whose structures differ with each driver and are copied by
 * the size that the driver's table has.
 */
#define DRM_OWN(first, mask_) \
	{ .class = POLICY_IOCTLS_DRM, .value = 'd' << 8 | (first), .mask = 0xff00U | (mask_) }

#define KFD(direction, number, size) VALUE(KFD, _IOC(_IOC_##direction, 'K', number, size))
#define KFD_BOTH(number, size) VALUE(KFD, _IOC(_IOC_READ | _IOC_WRITE, 'K', number, size))

/* clang-format off */
const struct ioctl_request ioctl_request_compute[] = {
	NVIDIA(0x2a, 32),	/* RM_CONTROL; first: the most frequent */
	NVIDIA(0x2b, 48), NVIDIA(0x2b, 32),	/* RM_ALLOC: with access rights, and without */
	NVIDIA(0x27, 56),	/* RM_ALLOC_MEMORY */
	NVIDIA(0x29, 16),	/* RM_FREE */
	NVIDIA(0x34, 28),	/* RM_DUP_OBJECT */
	NVIDIA(0x35, 24),	/* RM_SHARE */
	NVIDIA(0x4a, 184),	/* RM_VID_HEAP_CONTROL */
	NVIDIA(0x4e, 56),	/* RM_MAP_MEMORY */
	NVIDIA(0x4f, 32),	/* RM_UNMAP_MEMORY */
	NVIDIA(0x5e, 40),	/* RM_UPDATE_DEVICE_MAPPING_INFO */
	NVIDIA_ANY_SIZE(200),	/* CARD_INFO */
	NVIDIA(201, 4),		/* REGISTER_FD */
	NVIDIA(206, 16),	/* ALLOC_OS_EVENT */
	NVIDIA(207, 16),	/* FREE_OS_EVENT */
	NVIDIA(210, 72),	/* CHECK_VERSION_STR */
	NVIDIA_ANY_SIZE(212),	/* ATTACH_GPUS_TO_FD */
	NVIDIA(214, 8),		/* SYS_PARAMS */
	NVIDIA_ANY_SIZE(215),	/* NUMA_INFO */
	NVIDIA(218, 8),		/* WAIT_OPEN_COMPLETE */

	/* Without direction, type and size: the number is the value. */
	VALUE(UVM, 0x30000001), VALUE(UVM, 0x30000002), VALUE(UVM, 23), VALUE(UVM, 24),
	VALUE(UVM, 25), VALUE(UVM, 26), VALUE(UVM, 27), VALUE(UVM, 28), VALUE(UVM, 29),
	VALUE(UVM, 30), VALUE(UVM, 31), VALUE(UVM, 33), VALUE(UVM, 34), VALUE(UVM, 37),
	VALUE(UVM, 38), VALUE(UVM, 39), VALUE(UVM, 42), VALUE(UVM, 43), VALUE(UVM, 44),
	VALUE(UVM, 45), VALUE(UVM, 46), VALUE(UVM, 47), VALUE(UVM, 51), VALUE(UVM, 53),
	VALUE(UVM, 65), VALUE(UVM, 66), VALUE(UVM, 68), VALUE(UVM, 70), VALUE(UVM, 71),
	VALUE(UVM, 72), VALUE(UVM, 73), VALUE(UVM, 74), VALUE(UVM, 75),

	DRM_BOTH(0x00, 64),	/* VERSION */
	VALUE(DRM, _IOC(_IOC_WRITE, 'd', 0x09, 8)),	/* GEM_CLOSE */
	DRM_BOTH(0x0c, 16),	/* GET_CAP */
	DRM_BOTH(0x2d, 12), DRM_BOTH(0x2e, 12),	/* PRIME_HANDLE_TO_FD, PRIME_FD_TO_HANDLE */
	DRM_OWN(0x40, 0xc0U), DRM_OWN(0x80, 0xe0U),	/* 0x40 to 0x7f, 0x80 to 0x9f */
	DRM_BOTH(0xbf, 8), DRM_BOTH(0xc0, 8),	/* SYNCOBJ_CREATE, SYNCOBJ_DESTROY */
	/* Of each two the second is newer, with a point or a deadline. */
	DRM_BOTH(0xc1, 16), DRM_BOTH(0xc1, 24),	/* SYNCOBJ_HANDLE_TO_FD */
	DRM_BOTH(0xc2, 16), DRM_BOTH(0xc2, 24),	/* SYNCOBJ_FD_TO_HANDLE */
	DRM_BOTH(0xc3, 32), DRM_BOTH(0xc3, 40),	/* SYNCOBJ_WAIT */
	DRM_BOTH(0xc4, 16), DRM_BOTH(0xc5, 16),	/* SYNCOBJ_RESET, SYNCOBJ_SIGNAL */
	DRM_BOTH(0xca, 40), DRM_BOTH(0xca, 48),	/* SYNCOBJ_TIMELINE_WAIT */
	DRM_BOTH(0xcb, 24), DRM_BOTH(0xcc, 32),	/* SYNCOBJ_QUERY, SYNCOBJ_TRANSFER */
	DRM_BOTH(0xcd, 24),	/* SYNCOBJ_TIMELINE_SIGNAL */

	/* Sizes of kfd_ioctl.h, Linux 6.1 to 6.12. */
	KFD(READ, 0x01, 8),	/* GET_VERSION */
	KFD_BOTH(0x02, 88), KFD_BOTH(0x02, 96),	/* CREATE_QUEUE; newer: with an engine */
	KFD_BOTH(0x03, 8),	/* DESTROY_QUEUE */
	KFD(WRITE, 0x04, 32),	/* SET_MEMORY_POLICY */
	KFD_BOTH(0x05, 40),	/* GET_CLOCK_COUNTERS */
	KFD(READ, 0x06, 400),	/* GET_PROCESS_APERTURES */
	KFD(WRITE, 0x07, 24),	/* UPDATE_QUEUE */
	KFD_BOTH(0x08, 32),	/* CREATE_EVENT */
	KFD(WRITE, 0x09, 8),	/* DESTROY_EVENT */
	KFD(WRITE, 0x0a, 8),	/* SET_EVENT */
	KFD(WRITE, 0x0b, 8),	/* RESET_EVENT */
	KFD_BOTH(0x0c, 24),	/* WAIT_EVENTS */
	KFD_BOTH(0x11, 16),	/* SET_SCRATCH_BACKING_VA */
	KFD_BOTH(0x12, 40),	/* GET_TILE_CONFIG */
	KFD(WRITE, 0x13, 24),	/* SET_TRAP_HANDLER */
	KFD_BOTH(0x14, 16),	/* GET_PROCESS_APERTURES_NEW */
	KFD(WRITE, 0x15, 8),	/* ACQUIRE_VM */
	KFD_BOTH(0x16, 40),	/* ALLOC_MEMORY_OF_GPU */
	KFD(WRITE, 0x17, 8),	/* FREE_MEMORY_OF_GPU */
	KFD_BOTH(0x18, 24),	/* MAP_MEMORY_TO_GPU */
	KFD_BOTH(0x19, 24),	/* UNMAP_MEMORY_FROM_GPU */
	KFD(WRITE, 0x1a, 16),	/* SET_CU_MASK */
	KFD_BOTH(0x1c, 32),	/* GET_DMABUF_INFO */
	KFD_BOTH(0x1d, 24),	/* IMPORT_DMABUF */
	KFD_BOTH(0x1e, 16),	/* ALLOC_QUEUE_GWS */
	/* SVM: as long as it has attributes. */
	{ .class = POLICY_IOCTLS_KFD, .mask = NOT_SIZE,
	  .value = _IOC(_IOC_READ | _IOC_WRITE, 'K', 0x20, 0) },
	KFD_BOTH(0x21, 4),	/* SET_XNACK_MODE */
	KFD_BOTH(0x23, 16),	/* AVAILABLE_MEMORY */
	KFD_BOTH(0x24, 16),	/* EXPORT_DMABUF */
	KFD_BOTH(0x25, 16),	/* RUNTIME_ENABLE */
};
/* clang-format on */
const size_t ioctl_request_compute_n = ARRAY_SIZE(ioctl_request_compute);
