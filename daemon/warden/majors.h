/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Majors that the kernel gives out when a driver is loaded, and the GPU nodes that there are. Run
 * by custodyd at launch. Trusts /proc/devices, which is the kernel's, and of /dev the names.
 */
#ifndef CUSTODY_WARDEN_MAJORS_H
#define CUSTODY_WARDEN_MAJORS_H

#include <linux/types.h>
#include <stddef.h>
#include <stdio.h>

/*
 * The major of a character device driver in a list that is written like /proc/devices. 0 with
 * *ret, -ENODEV when no driver of this name is loaded.
 */
int majors_find(FILE *list, const char *driver, __u32 *ret);

/*
 * The GPU nodes that a host has under /dev, by name, separated by blanks and cut off when there is
 * no room for more; "none" when there is none.
 */
void majors_list_nodes(char *ret, size_t size);

#endif
