/* SPDX-License-Identifier: Apache-2.0 */
/* All of the bytes into a file, however many calls that takes. */
#ifndef CUSTODY_LIB_WRITE_ALL_H
#define CUSTODY_LIB_WRITE_ALL_H

#include <stddef.h>
#include <sys/types.h>

/* write(2), or what stands for it. */
typedef ssize_t (*write_all_fn)(void *data, int fd, const void *bytes, size_t n);

/* 0, or -errno after which some of them may be there; -EIO when nothing more is taken. */
int write_all(int fd, const void *bytes, size_t n);
int write_all_by(write_all_fn write_some, void *data, int fd, const void *bytes, size_t n);

#endif
