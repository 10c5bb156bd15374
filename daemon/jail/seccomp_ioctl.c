/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter for ioctl(): an allow-list of whole request values, everything else EPERM. Linked
 * into custody-jail. Written out here because libseccomp has one default answer for all calls,
 * and ENOSYS, that of the set, is seen once and taken for a kernel without ioctl().
 *
 * seccomp is given 64 bits of the request, of which the kernel uses the lower 32
 * (fs/ioctl.c, unsigned int cmd): the filter compares those, so nothing in the upper half makes
 * another request of it, here or there.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "filter.h"
#include "ioctl_request.h"
#include "ioctl_set.h"
#include "jail.h"
#include "plan.h"

/* TCGETS2, newer libc's isatty(); its struct termios2 is not in this libc's headers. */
#define IOCTL_TCGETS2 _IOC(_IOC_READ, 'T', 0x2a, 44)

/*
 * Of terminals and descriptors, in every set: what libc asks (isatty(), ttyname()) and what loops
 * of events need. Nothing that puts a byte into a terminal's input, or changes whose it is.
 */
static const __u32 ioctl_common[] = {
	FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, FIOASYNC, TCGETS, IOCTL_TCGETS2, TCSETS, TCSETSW,
	TIOCGWINSZ, TIOCGPGRP, TIOCOUTQ,
};

#define IOCTL_HEAD 5
#define IOCTL_TAIL 1
#define IOCTL_PER_VALUE 2
#define IOCTL_PER_REQUEST 4

struct ioctl_code {
	struct sock_filter *code;
	unsigned short n;
};

static void ioctl_add(struct ioctl_code *c, struct sock_filter instruction)
{
	c->code[c->n++] = instruction;
}

/* A = the lower half of the request. */
static void ioctl_add_load(struct ioctl_code *c)
{
	const __u32 request = offsetof(struct seccomp_data, args[1]);

	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half comes first");
	ioctl_add(c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, request));
}

/* Ends with `allow` when A is the value. */
static void ioctl_add_value(struct ioctl_code *c, __u32 value)
{
	ioctl_add(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
	ioctl_add(c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void ioctl_add_request(struct ioctl_code *c, const struct ioctl_request *request)
{
	if (request->mask == 0xffffffffU) {
		ioctl_add_value(c, request->value);
		return;
	}
	ioctl_add(c, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, request->mask));
	ioctl_add_value(c, request->value);
	ioctl_add_load(c);
}

static bool ioctl_has_class(const struct custody_plan *plan, __u32 class)
{
	for (__u32 i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];

		if (ioctl_set_find_class(device->major, plan_string(plan, device->path)) == class)
			return true;
	}
	return false;
}

int ioctl_compile_filter(const struct custody_plan *plan, bool devices, struct jail_filter *ret)
{
	const size_t most = IOCTL_HEAD + ARRAY_SIZE(ioctl_common) * IOCTL_PER_VALUE +
			    ioctl_request_compute_n * IOCTL_PER_REQUEST + IOCTL_TAIL;
	struct ioctl_code c = { 0 };

	/* Every request is for the drivers to judge; seccomp_deny.c still refuses a few. */
	if (devices && plan->n_devices > 0 && plan->ioctl_set == PLAN_IOCTLS_ALL)
		return 0;
	c.code = calloc(most, sizeof(*c.code));
	if (!c.code)
		return -ENOMEM;
	ioctl_add(&c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr)));
	ioctl_add(&c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0));
	ioctl_add(&c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	ioctl_add_load(&c);
	for (size_t i = 0; i < ARRAY_SIZE(ioctl_common); i++)
		ioctl_add_value(&c, ioctl_common[i]);
	for (size_t i = 0; devices && i < ioctl_request_compute_n; i++) {
		if (ioctl_has_class(plan, ioctl_request_compute[i].class))
			ioctl_add_request(&c, &ioctl_request_compute[i]);
	}
	ioctl_add(&c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						   SECCOMP_RET_ERRNO | (__u32)EPERM));
	ret->code = c.code;
	ret->n = c.n;
	return 0;
}
