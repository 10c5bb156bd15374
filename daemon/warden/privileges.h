/* SPDX-License-Identifier: Apache-2.0 */
/* custodyd's own capabilities. Run by custodyd. */
#ifndef CUSTODY_WARDEN_PRIVILEGES_H
#define CUSTODY_WARDEN_PRIVILEGES_H

/*
 * Bounds custodyd and everything it starts to the capabilities of the table in privileges.c (as
 * far as it has them), sets no_new_privs, and reads both back. Returns 0, -EPERM when the kernel
 * shows something else, or -errno.
 */
int privileges_bound(void);

#endif
