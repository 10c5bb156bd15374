/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sweep: what is asked, what is found, and the facts being made of it. Run by
 * custody-sweeper. The request is custodyd's; everything looked at may be hostile text.
 */
#ifndef CUSTODY_SWEEPER_SWEEP_H
#define CUSTODY_SWEEPER_SWEEP_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "custody/message.h"

struct nl_sock;

/* A file, however it is named. */
struct sweep_file {
	__u64 dev;		/* st_dev */
	__u64 inode;
};

/* Sorted array without duplicates once it is complete. */
struct sweep_files {
	struct sweep_file *at;
	size_t n;
	size_t room;
};

#define SWEEP_FILES_MAX	(1U << 20)	/* files below request.model */
#define SWEEP_DEPTH_MAX	64		/* directories below request.model or a cgroup */

struct sweep {
	const struct sweep_request *request;
	int proc;			/* directory fd of /proc */
	struct nl_sock *netlink;	/* NETLINK_SOCK_DIAG, made before seccomp; NULL: none */
	int netlink_error;		/* why netlink is NULL, -errno */
	struct evidence_fact facts[_FACT_MAX];	/* by enum evidence_fact_id */
	unsigned int patience;		/* waits left for what the kernel is still taking down */

	/* The pass over /proc is for what the kernel did not call gone (facts_kernel.c). */
	__u64 scratch[SCRATCH_DEVICES_MAX];	/* devices of scratch file systems */
	unsigned int n_scratch;
	__u64 scratch_alive;		/* one that does live, as the kernel says; 0: none known */
	__u32 namespaces;		/* bit per enum jail_namespace */
	__u64 nsfs_dev;			/* st_dev of every namespace's file; 0: not known */
	struct sweep_files weights;	/* files below request.model */
	__u64 weights_asked;		/* how many files below request.model there are */
	__u64 weights_held;		/* of them, those that are open, as the kernel says */
	__u64 weights_dev;		/* st_dev of request.model */
	__u64 weights_map_dev;		/* the same device as /proc/PID/maps shows it */
	struct sweep_files seen_mounts;	/* mount ids counted already, as inode */
	struct sweep_files seen_views;	/* (mount namespace, root) looked at already */
};

/* ---- facts ---- */

/* Adds n things left, and keeps the first description for people, escaped. */
void sweep_add(struct sweep *sweep, enum evidence_fact_id id, __u64 n, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * One more process or socket that could not be read although it is still there. Its description
 * stands in the detail until a residue is found.
 */
void sweep_miss(struct sweep *sweep, enum evidence_fact_id id, const char *who);

/* The fact is not known: looked = 0 with the reason. The first reason stays. */
void sweep_blind(struct sweep *sweep, enum evidence_fact_id id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* True for an error that only says that the thing went away while we looked. */
bool sweep_is_gone(int error);

/* ---- sets ---- */

/* Adds (unsorted). Returns 0, -E2BIG at SWEEP_FILES_MAX, -ENOMEM. */
int sweep_files_add(struct sweep_files *files, __u64 dev, __u64 inode);
void sweep_files_sort(struct sweep_files *files);
/* After sweep_files_sort(). */
bool sweep_files_has(const struct sweep_files *files, __u64 dev, __u64 inode);
/* Any order, small sets: true when it was not there yet and is now. */
bool sweep_files_note(struct sweep_files *files, __u64 dev, __u64 inode);
void sweep_files_free(struct sweep_files *files);

/* ---- families of facts, each in its file ---- */

void facts_cgroup_look(struct sweep *sweep);	/* CGROUP_POPULATED, CGROUP_PRESENT */
void facts_socket_look(struct sweep *sweep);	/* SOCKETS_INET, ENDPOINTS_BOUND, SOCKETS_UNIX */
void facts_process_look(struct sweep *sweep);	/* the other four: one pass over every task */

/* Before the pass: fills sweep->scratch and ->namespaces with what it has to look for. */
void facts_kernel_ask(struct sweep *sweep);

/* After it: what lives by the kernel's word is left, whether the pass found its holder or not. */
void facts_kernel_conclude(struct sweep *sweep);

enum facts_answer {
	FACTS_UNKNOWN,		/* the kernel cannot be asked: the pass decides */
	FACTS_HELD,
	FACTS_FREE,
};

/* Is the regular file `name` below dir (as lstat() showed it) open anywhere on the host. */
enum facts_answer facts_kernel_ask_file(struct sweep *sweep, int dir, const char *name,
					const struct stat *seen);

/* True for the nsfs file of a namespace in sweep->namespaces. */
bool facts_kernel_is_namespace(const struct sweep *sweep, __u64 dev, __u64 inode);

/* True for a device in sweep->scratch. */
bool facts_kernel_is_scratch(const struct sweep *sweep, __u64 dev);

/* Where request.cgroup is in /proc/PID/cgroup ("/custody/x-1"). 0, -ENOENT: no cgroup2 there. */
int facts_cgroup_find_path(const struct sweep *sweep, const char **ret);

/* Fills sweep->weights from the files below request.model that may be open. */
void facts_weights_collect(struct sweep *sweep);

/* Files that one process holds, of those that are looked for. */
struct facts_held {
	bool weights;
	bool scratch;
	bool namespace;		/* the nsfs file of a namespace */
	bool missed;		/* something could not be read */
};

/* Adds what the fd table and, with maps, the memory of one task (/proc/PID/task/TID) hold. */
void facts_file_look_task(const struct sweep *sweep, int task, bool maps, struct facts_held *held);

/*
 * Counts mounts of the scratch file system, and of nsfs files of the jail's namespaces, in what one
 * task sees; mount_ns 0: not known, looked at in any case. `who`: "pid N COMM". Returns 0, or
 * -errno when it is there and cannot be read.
 */
int facts_mount_look_task(struct sweep *sweep, int task, __u64 mount_ns, const char *who);

#endif
