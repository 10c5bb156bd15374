/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries on disk: text that a planner made, put in place so that a crash leaves the old one or
 * the new one. Run by custodyd, which reads no byte of it.
 *
 *   /var/lib/custody/models/            root, group of the planner, 0750
 *   /var/lib/custody/models/NAME/registry.json                      0640
 */
#ifndef CUSTODY_WARDEN_REGISTRY_FILE_H
#define CUSTODY_WARDEN_REGISTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * 0: there is a registry of that name below the open directory of all models (whatever it holds);
 * -ENOENT: there is none; -errno: it cannot be told.
 */
int registry_file_find(int models, const char *name);

/*
 * The bytes of text_fd, a sealed memfd, become the registry of `name`. Holds the exclusive lock of
 * `models` meanwhile. 0; -EWOULDBLOCK: somebody else holds that lock; -EPROTO: text_fd is not what
 * a planner may send; -EUCLEAN: it is in place, and perhaps not after a power cut, because the last
 * fsync() failed; else -errno, and the registry is as it was.
 */
int registry_file_replace(int models, const char *name, gid_t group, int text_fd);

#endif
