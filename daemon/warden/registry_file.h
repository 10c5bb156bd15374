/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries on disk: text that a planner made, put in place so that a crash leaves the old one or
 * the new one. Run by custodyd, which reads no byte of it.
 *
 *   /var/lib/custody/models/            root, group of the planner, 0750
 *   /var/lib/custody/models/NAME/registry.json                      0640
 *   /var/lib/custody/models/NAME/fingerprints-HEX, root's alone,    0600
 *
 * An index of fingerprints (fingerprint.h) is called by the SHA-256 of its bytes: versions that are
 * the same have the same, one that a crash left is used again, and none is ever written over by
 * another. It is on disk before a text names it.
 */
#ifndef CUSTODY_WARDEN_REGISTRY_FILE_H
#define CUSTODY_WARDEN_REGISTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "custody/model.h"

/*
 * 0: there is a registry of that name below the open directory of all models (whatever it holds);
 * -ENOENT: there is none; -errno: it cannot be told.
 */
int registry_file_find(int models, const char *name);

#define REGISTRY_FILE_INDEX "fingerprints-"
#define REGISTRY_FILE_INDEX_SIZE (sizeof(REGISTRY_FILE_INDEX) + 2 * CUSTODY_DIGEST_SIZE)

/* The SHA-256 of an index, a sealed memfd. 0; -EPROTO: it is no such thing; -EIO. */
int registry_file_digest_index(int index_fd, __u8 ret[CUSTODY_DIGEST_SIZE]);
void registry_file_name_index(const __u8 digest[CUSTODY_DIGEST_SIZE],
			      char ret[REGISTRY_FILE_INDEX_SIZE]);

/*
 * Whether the index of that digest is there: root's own file, of the size that its head says. Its
 * bytes are not compared (4 MiB at most, but every start would wait for that).
 */
bool registry_file_has_index(int models, const char *name, const __u8 digest[CUSTODY_DIGEST_SIZE]);

/* Puts an index where it was. 0; -ENOENT: no such model; else as below. */
int registry_file_restore_index(int models, const char *name, int index_fd);

/*
 * The bytes of text_fd, a sealed memfd, become the registry of `name`; before that, those of
 * index_fd (-1: none) an index beside it. Holds the exclusive lock of `models` meanwhile. 0;
 * -EWOULDBLOCK: somebody else holds that lock; -EPROTO: text_fd or index_fd is not what a role may
 * send; -EUCLEAN: it is in place, and perhaps not after a power cut, because the last
 * fsync() failed; else -errno, and the registry is as it was.
 */
int registry_file_replace(int models, const char *name, gid_t group, int text_fd,
			  int index_fd);

#endif
