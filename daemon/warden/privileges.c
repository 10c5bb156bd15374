/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of root custodyd keeps. Run by custodyd. Each capability stands with what needs it; the
 * bounding set is also the ceiling of every role that it starts as root.
 */
#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "confine.h"

struct privilege {
	int capability;
	const char *needed_for;
};

static const struct privilege privilege_table[] = {
	{ CAP_SYS_ADMIN, "the jail's namespaces and mounts; BPF, for which CAP_BPF and CAP_PERFMON "
			 "would not be enough" },
	{ CAP_NET_ADMIN, "cgroup network programs; lo in the jail's network namespace" },
	{ CAP_NET_BIND_SERVICE, "endpoints below port 1024 (broker)" },
	{ CAP_CHOWN, "directories of other roles; scratch of the model" },
	{ CAP_DAC_OVERRIDE, "directories that belong to the recorder" },
	{ CAP_DAC_READ_SEARCH, "the sweeper's look at every file" },
	{ CAP_KILL, "signals to models and roles" },
	{ CAP_SETUID, "each role's and each model's own uid" },
	{ CAP_SETGID, "likewise" },
	{ CAP_SETPCAP, "emptying bounding sets" },
	{ CAP_SYS_CHROOT, "the broker's root, pivot_root of the jail" },
	{ CAP_SYS_PTRACE, "the sweeper's look at other processes' fds and namespaces" },
	{ CAP_LEASE, "the sweeper asks the kernel for a lease on each file of the model" },
	{ CAP_SYS_RESOURCE, "limits above our own" },
};

static __u64 privileges_wanted(void)
{
	__u64 mask = 0;

	for (size_t i = 0; i < ARRAY_SIZE(privilege_table); i++)
		mask |= 1ULL << privilege_table[i].capability;
	return mask;
}

static int privileges_set(__u64 keep)
{
	cap_t caps = cap_init();
	int r = 0;

	if (!caps)
		return -ENOMEM;
	for (cap_value_t cap = 0; cap < 64; cap++) {
		if (!(keep & (1ULL << cap)))
			continue;
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_SET) < 0 ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_SET) < 0)
			r = -errno;
	}
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	(void)cap_free(caps);
	return r;
}

/* A forbidden act: a raw socket is what an unbounded root may make, and custodyd may not. */
static int privileges_try_forbidden(void)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd < 0 && (errno == EPERM || errno == EAFNOSUPPORT) ? 0 : -EPERM;
}

int privileges_bound(void)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { 0 };
	__u64 keep;
	int r;

	if (proc < 0)
		return -errno;
	r = confine_read_status(proc, "self/status", &status);
	if (r < 0)
		return r;
	keep = privileges_wanted() & status.cap_permitted;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(keep & (1ULL << cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	r = privileges_set(keep);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = confine_read_status(proc, "self/status", &status);
	if (r < 0)
		return r;
	if (status.cap_permitted != keep || status.cap_effective != keep ||
	    status.cap_inheritable != 0 || (status.cap_bounding & ~keep) != 0 ||
	    status.no_new_privs != 1)
		return -EPERM;
	return privileges_try_forbidden();
}
