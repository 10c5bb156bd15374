/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers. Linked into custodyd. Facts of the drivers' public headers; trusts nothing. */
#include "ioctl_set.h"

#include <string.h>

#include "cleanup.h"

#define RANGE(CLASS, FIRST, LAST, NAME)                                                            \
	{                                                                                          \
		.class = POLICY_IOCTLS_##CLASS, .first = (FIRST), .last = (LAST), .name = NAME     \
	}
#define ONE(CLASS, NUMBER, NAME) RANGE(CLASS, NUMBER, NUMBER, NAME)

/*
 * compute: what CUDA, ROCm and level-zero servers ask of their nodes, and no more.
 *
 * NVIDIA's frontend (nv-ioctl-numbers.h, nv_escape.h). Not in it: IOCTL_XFER_CMD (211), behind
 * which the number that counts stands in the caller's memory, where nobody can judge it;
 * EXPORT_TO_DMABUF_FD (217), RDMA's; and everything of display and tracing.
 *
 * UVM (uvm_ioctl.h, uvm_linux_ioctl.h). Not in it: the TOOLS_ numbers, READ_PROCESS_MEMORY and
 * WRITE_PROCESS_MEMORY among them: they are a debugger's.
 *
 * DRM (drm.h). The numbers that the core lets a render node use, but for those of modes and
 * masters. The driver's own, 0x40 to 0x9f, mean something else with every driver and are one
 * row: the core refuses those that the driver did not mark for render nodes.
 *
 * KFD (kfd_ioctl.h). Not in it: debugging, tracing, checkpointing (CRIU_OP).
 */
/* clang-format off */
const struct ioctl_row ioctl_set_compute[] = {
	ONE(NVIDIA, 0x27, "RM_ALLOC_MEMORY"),
	ONE(NVIDIA, 0x29, "RM_FREE"),
	ONE(NVIDIA, 0x2a, "RM_CONTROL"),
	ONE(NVIDIA, 0x2b, "RM_ALLOC"),
	ONE(NVIDIA, 0x34, "RM_DUP_OBJECT"),
	ONE(NVIDIA, 0x35, "RM_SHARE"),
	ONE(NVIDIA, 0x4a, "RM_VID_HEAP_CONTROL"),
	ONE(NVIDIA, 0x4e, "RM_MAP_MEMORY"),
	ONE(NVIDIA, 0x4f, "RM_UNMAP_MEMORY"),
	ONE(NVIDIA, 0x5e, "RM_UPDATE_DEVICE_MAPPING_INFO"),
	ONE(NVIDIA, 200, "CARD_INFO"),
	ONE(NVIDIA, 201, "REGISTER_FD"),
	ONE(NVIDIA, 206, "ALLOC_OS_EVENT"),
	ONE(NVIDIA, 207, "FREE_OS_EVENT"),
	ONE(NVIDIA, 210, "CHECK_VERSION_STR"),
	ONE(NVIDIA, 212, "ATTACH_GPUS_TO_FD"),
	ONE(NVIDIA, 214, "SYS_PARAMS"),
	ONE(NVIDIA, 215, "NUMA_INFO"),
	ONE(NVIDIA, 218, "WAIT_OPEN_COMPLETE"),

	ONE(UVM, 0x30000001, "INITIALIZE"),
	ONE(UVM, 0x30000002, "DEINITIALIZE"),
	ONE(UVM, 23, "CREATE_RANGE_GROUP"),
	ONE(UVM, 24, "DESTROY_RANGE_GROUP"),
	ONE(UVM, 25, "REGISTER_GPU_VASPACE"),
	ONE(UVM, 26, "UNREGISTER_GPU_VASPACE"),
	ONE(UVM, 27, "REGISTER_CHANNEL"),
	ONE(UVM, 28, "UNREGISTER_CHANNEL"),
	ONE(UVM, 29, "ENABLE_PEER_ACCESS"),
	ONE(UVM, 30, "DISABLE_PEER_ACCESS"),
	ONE(UVM, 31, "SET_RANGE_GROUP"),
	ONE(UVM, 33, "MAP_EXTERNAL_ALLOCATION"),
	ONE(UVM, 34, "FREE"),
	ONE(UVM, 37, "REGISTER_GPU"),
	ONE(UVM, 38, "UNREGISTER_GPU"),
	ONE(UVM, 39, "PAGEABLE_MEM_ACCESS"),
	ONE(UVM, 42, "SET_PREFERRED_LOCATION"),
	ONE(UVM, 43, "UNSET_PREFERRED_LOCATION"),
	ONE(UVM, 44, "ENABLE_READ_DUPLICATION"),
	ONE(UVM, 45, "DISABLE_READ_DUPLICATION"),
	ONE(UVM, 46, "SET_ACCESSED_BY"),
	ONE(UVM, 47, "UNSET_ACCESSED_BY"),
	ONE(UVM, 51, "MIGRATE"),
	ONE(UVM, 53, "MIGRATE_RANGE_GROUP"),
	ONE(UVM, 65, "MAP_DYNAMIC_PARALLELISM_REGION"),
	ONE(UVM, 66, "UNMAP_EXTERNAL"),
	ONE(UVM, 68, "ALLOC_SEMAPHORE_POOL"),
	ONE(UVM, 70, "PAGEABLE_MEM_ACCESS_ON_GPU"),
	ONE(UVM, 71, "POPULATE_PAGEABLE"),
	ONE(UVM, 72, "VALIDATE_VA_RANGE"),
	ONE(UVM, 73, "CREATE_EXTERNAL_RANGE"),
	ONE(UVM, 74, "MAP_EXTERNAL_SPARSE"),
	ONE(UVM, 75, "MM_INITIALIZE"),

	ONE(DRM, 0x00, "VERSION"),
	ONE(DRM, 0x09, "GEM_CLOSE"),
	ONE(DRM, 0x0c, "GET_CAP"),
	ONE(DRM, 0x2d, "PRIME_HANDLE_TO_FD"),
	ONE(DRM, 0x2e, "PRIME_FD_TO_HANDLE"),
	RANGE(DRM, 0x40, 0x9f, "driver"),
	ONE(DRM, 0xbf, "SYNCOBJ_CREATE"),
	ONE(DRM, 0xc0, "SYNCOBJ_DESTROY"),
	ONE(DRM, 0xc1, "SYNCOBJ_HANDLE_TO_FD"),
	ONE(DRM, 0xc2, "SYNCOBJ_FD_TO_HANDLE"),
	ONE(DRM, 0xc3, "SYNCOBJ_WAIT"),
	ONE(DRM, 0xc4, "SYNCOBJ_RESET"),
	ONE(DRM, 0xc5, "SYNCOBJ_SIGNAL"),
	ONE(DRM, 0xca, "SYNCOBJ_TIMELINE_WAIT"),
	ONE(DRM, 0xcb, "SYNCOBJ_QUERY"),
	ONE(DRM, 0xcc, "SYNCOBJ_TRANSFER"),
	ONE(DRM, 0xcd, "SYNCOBJ_TIMELINE_SIGNAL"),

	ONE(KFD, 0x01, "GET_VERSION"),
	ONE(KFD, 0x02, "CREATE_QUEUE"),
	ONE(KFD, 0x03, "DESTROY_QUEUE"),
	ONE(KFD, 0x04, "SET_MEMORY_POLICY"),
	ONE(KFD, 0x05, "GET_CLOCK_COUNTERS"),
	ONE(KFD, 0x06, "GET_PROCESS_APERTURES"),
	ONE(KFD, 0x07, "UPDATE_QUEUE"),
	ONE(KFD, 0x08, "CREATE_EVENT"),
	ONE(KFD, 0x09, "DESTROY_EVENT"),
	ONE(KFD, 0x0a, "SET_EVENT"),
	ONE(KFD, 0x0b, "RESET_EVENT"),
	ONE(KFD, 0x0c, "WAIT_EVENTS"),
	ONE(KFD, 0x11, "SET_SCRATCH_BACKING_VA"),
	ONE(KFD, 0x12, "GET_TILE_CONFIG"),
	ONE(KFD, 0x13, "SET_TRAP_HANDLER"),
	ONE(KFD, 0x14, "GET_PROCESS_APERTURES_NEW"),
	ONE(KFD, 0x15, "ACQUIRE_VM"),
	ONE(KFD, 0x16, "ALLOC_MEMORY_OF_GPU"),
	ONE(KFD, 0x17, "FREE_MEMORY_OF_GPU"),
	ONE(KFD, 0x18, "MAP_MEMORY_TO_GPU"),
	ONE(KFD, 0x19, "UNMAP_MEMORY_FROM_GPU"),
	ONE(KFD, 0x1a, "SET_CU_MASK"),
	ONE(KFD, 0x1c, "GET_DMABUF_INFO"),
	ONE(KFD, 0x1d, "IMPORT_DMABUF"),
	ONE(KFD, 0x1e, "ALLOC_QUEUE_GWS"),
	ONE(KFD, 0x20, "SVM"),
	ONE(KFD, 0x21, "SET_XNACK_MODE"),
	ONE(KFD, 0x23, "AVAILABLE_MEMORY"),
	ONE(KFD, 0x24, "EXPORT_DMABUF"),
	ONE(KFD, 0x25, "RUNTIME_ENABLE"),
};
/* clang-format on */
const size_t ioctl_set_compute_n = ARRAY_SIZE(ioctl_set_compute);
_Static_assert(ARRAY_SIZE(ioctl_set_compute) <= POLICY_IOCTL_ROWS_MAX, "the contract's bound");

__u32 ioctl_set_find_class(__u32 major, const char *path)
{
	if (major == 195)
		return POLICY_IOCTLS_NVIDIA;
	if (major == 226)
		return POLICY_IOCTLS_DRM;
	if (strcmp(path, "/dev/nvidia-uvm") == 0)
		return POLICY_IOCTLS_UVM;
	if (strcmp(path, "/dev/kfd") == 0)
		return POLICY_IOCTLS_KFD;
	return POLICY_IOCTLS_ANY;
}
