/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc without trusting the processes behind it. Run by custody-sweeper. parse_* are
 * pure: text that the kernel wrote, with names in it that processes chose.
 */
#ifndef CUSTODY_SWEEPER_PROCFS_H
#define CUSTODY_SWEEPER_PROCFS_H

#include <dirent.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Opens a directory or file below dir for reading. Returns an fd or -errno. */
int procfs_open(int dir, const char *name, int flags);

/* opendir() of a name below dir. Returns 0 or -errno. */
int procfs_open_dir(int dir, const char *name, DIR **ret);

/* fopen() for reading of a name below dir. Returns 0 or -errno. */
int procfs_open_file(int dir, const char *name, FILE **ret);

/* True when the name is a number; *ret is it. */
bool procfs_parse_number(const char *name, unsigned int *ret);

/* comm of a /proc/PID directory, without its newline; "?" when it cannot be read. */
void procfs_read_comm(int pid_dir, char *ret, size_t size);

/* The mount id and device of one line of mountinfo: "ID PARENT MAJOR:MINOR ...". */
bool procfs_parse_mount(const char *line, __u64 *ret_id, unsigned int *ret_major,
			unsigned int *ret_minor);

/* Device and inode of one line of maps: "A-B PERM OFF MAJOR:MINOR INODE NAME"; inode 0: no file. */
bool procfs_parse_map(const char *line, unsigned int *ret_major, unsigned int *ret_minor,
		      __u64 *ret_inode);

#endif
