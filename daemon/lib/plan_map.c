/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed plan, mapped and checked. Run by custodyd, jail and broker. Trusts the kernel's seals:
 * what has been checked cannot change any more.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PLAN_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int plan_map(int fd, const struct custody_plan **ret, const char **ret_why)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *map;

	if (seals < 0 || (seals & PLAN_SEALS) != PLAN_SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)sizeof(struct custody_plan)) {
		*ret_why = "not the size of a plan";
		return -EPROTO;
	}
	/* Private: a shared mapping of a write-sealed memfd is refused before Linux 6.7. */
	map = mmap(NULL, sizeof(struct custody_plan), PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (!plan_check(map, ret_why)) {
		(void)munmap(map, sizeof(struct custody_plan));
		return -EPROTO;
	}
	*ret = map;
	return 0;
}

void plan_unmap(const struct custody_plan **plan)
{
	if (!plan || !*plan)
		return;
	(void)munmap((void *)(uintptr_t)*plan, sizeof(**plan));
	*plan = NULL;
}
