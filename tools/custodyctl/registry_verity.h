/* SPDX-License-Identifier: Apache-2.0 */
/* fs-verity for the files of a model that is to be registered. Run by custodyctl, as the caller. */
#ifndef CUSTODYCTL_REGISTRY_VERITY_H
#define CUSTODYCTL_REGISTRY_VERITY_H

/*
 * Has the kernel make fs-verity's tree of every file below the directory: none of them can be
 * written any more, ever. One that has it already is left as it is. 0, or an exit code with a
 * complaint that names the first file for which it cannot be done; those before it have it then.
 */
int registry_enable_verity(const char *directory);

#endif
