/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership in one function: cleanup attributes for fds, memory and FILEs, and TAKE to let one
 * escape. Linked by every role; trusts nothing.
 *
 * Rule: an owning local is declared with its attribute and an empty value (-1, NULL); it leaves
 * the function only through TAKE_FD()/TAKE_PTR().
 */
#ifndef CUSTODY_CLEANUP_H
#define CUSTODY_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

static inline void cleanup_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline void cleanup_free_ptr(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void cleanup_close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
	*f = NULL;
}

static inline void cleanup_close_dir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
	*d = NULL;
}

#define cleanup_fd	__attribute__((cleanup(cleanup_close_fd)))
#define cleanup_ptr	__attribute__((cleanup(cleanup_free_ptr)))
#define cleanup_file	__attribute__((cleanup(cleanup_close_file)))
#define cleanup_dir	__attribute__((cleanup(cleanup_close_dir)))

#define TAKE_FD(fd)				\
	__extension__({				\
		int taken_ = (fd);		\
		(fd) = -1;			\
		taken_;				\
	})

#define TAKE_PTR(p)				\
	__extension__({				\
		__typeof__(p) taken_ = (p);	\
		(p) = NULL;			\
		taken_;				\
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
