/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sizes and fixed numbers that two processes, or a process and the kernel, must agree on.
 *
 * Included by user space and by bpf/. Holds numbers only. Every bound here is enforced by the
 * side that receives, never trusted from the side that sends.
 */
#ifndef CUSTODY_LIMITS_H
#define CUSTODY_LIMITS_H

#define CUSTODY_NAME_SIZE	64	/* model or profile name with its NUL */
#define CUSTODY_PATH_SIZE	1024	/* path in a message with its NUL */
#define CUSTODY_TEXT_SIZE	1024	/* message for people with its NUL */
#define CUSTODY_COMM_SIZE	16	/* kernel TASK_COMM_LEN */
#define CUSTODY_DIGEST_SIZE	32	/* SHA-256 */

#define CUSTODY_JAILS_MAX	256	/* live jails on one host; also the number of uid blocks */
#define CUSTODY_ZONES_MAX	64	/* mounts of one jail */
#define CUSTODY_ENDPOINTS_MAX	16	/* listen + egress entries of one jail */
#define CUSTODY_DEVICES_MAX	32	/* device rules of one jail */
#define CUSTODY_MESSAGE_MAX	32768	/* longest typed message, bytes */
#define CUSTODY_FDS_MAX		8	/* most fds in one message */

#define CUSTODY_EVENT_PATH_SIZE	256	/* resolved path in a kernel event */
#define CUSTODY_RING_SIZE	(4 * 1024 * 1024)	/* bytes, power of two and page multiple */

/*
 * Roles run under fixed uids from a range that systemd's UIDS-GIDS table leaves unused
 * (60578-60705). gid == uid.
 */
#define CUSTODY_UID_FRONT	60611
#define CUSTODY_UID_PLANNER	60612
#define CUSTODY_UID_RECORDER	60613
#define CUSTODY_UID_SWEEPER	60614
#define CUSTODY_UID_MEASURER	60615
#define CUSTODY_GID_READERS	60616	/* group custody: may ask for ps and status */

/*
 * Each live jail owns a block of 65536 ids in the range that the same table leaves unused
 * (1879048192-2147483647): block base + slot * 65536. Within it: +1 the jail's broker, which
 * owns the jail's user namespace; +1000 the model itself, which the namespace shows as 1000.
 */
#define CUSTODY_UID_JAIL_BASE	1879048192U
#define CUSTODY_UID_JAIL_BLOCK	65536U
#define CUSTODY_UID_BROKER_OFF	1U
#define CUSTODY_UID_MODEL_OFF	1000U
#define CUSTODY_UID_MODEL_INSIDE 1000U

#endif
