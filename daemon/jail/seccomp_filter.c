/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the filters from the tables (filter.h says why several) and puts them in force. Run by
 * custody-jail: compiled by the outer process, loaded by the one that becomes the model. The
 * programs are exported and loaded by hand because libseccomp 2.5 cannot ask for
 * SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, without which a Go runtime's signals make a notified
 * bind() start over for ever. Drop the export when libseccomp 2.6 is the oldest supported.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "jail.h"
#include "plan.h"
#include "filter.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)	/* Linux 5.19 */
#endif

static void filter_release(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}
#define cleanup_filter __attribute__((cleanup(filter_release)))

static bool filter_applies(const struct jail *jail, enum seccomp_when when)
{
	const struct custody_plan *plan = jail->plan;

	switch (when) {
	case SECCOMP_ALWAYS:
		return true;
	case SECCOMP_JIT:
		return plan->flags & PLAN_FLAG_JIT;
	case SECCOMP_NO_JIT:
		return !(plan->flags & PLAN_FLAG_JIT);
	case SECCOMP_MEMFD:
		return plan->flags & PLAN_FLAG_MEMFD;
	case SECCOMP_NO_MEMFD:
		return !(plan->flags & PLAN_FLAG_MEMFD);
	case SECCOMP_BIND_NOTIFY:
		return jail->notify;
	case SECCOMP_BIND_REFUSE:
		return !jail->notify;
	}
	return false;
}

static int filter_resolve(const char *name, int *ret)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR)
		return -EINVAL;
	*ret = nr;
	return 0;
}

static int filter_add_names(scmp_filter_ctx ctx, __u32 action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr;
		int r = filter_resolve(names[i], &nr);

		if (r == 0)
			r = seccomp_rule_add_exact(ctx, action, nr, 0);
		/* A negative pseudo number: a call that this architecture never had. */
		if (r < 0 && !(r == -EDOM && nr < 0))
			return r;
	}
	return 0;
}

static int filter_add_rules(const struct jail *jail, scmp_filter_ctx ctx,
			    const struct seccomp_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct seccomp_rule *rule = &rules[i];
		int nr;
		int r;

		if (!filter_applies(jail, rule->when))
			continue;
		r = filter_resolve(rule->syscall, &nr);
		if (r == 0)
			r = seccomp_rule_add_exact_array(ctx, rule->action, nr, rule->n_args,
							 rule->args);
		if (r < 0)
			return r;
	}
	return 0;
}

static int filter_set_attributes(scmp_filter_ctx ctx)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return r;
}

/* Through a pipe, which holds more than the longest program the kernel takes (4096 * 8 bytes). */
static int filter_export(scmp_filter_ctx ctx, struct jail_filter *ret)
{
	const size_t most = BPF_MAXINSNS * sizeof(struct sock_filter);
	cleanup_ptr struct sock_filter *code = malloc(most + sizeof(struct sock_filter));
	cleanup_fd int in = -1;
	cleanup_fd int out = -1;
	int pair[2];
	ssize_t n;
	int r;

	if (!code)
		return -ENOMEM;
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	in = pair[0];
	out = pair[1];
	r = seccomp_export_bpf(ctx, out);
	if (r < 0)
		return r;
	n = read(in, code, most + sizeof(struct sock_filter));
	if (n < 0)
		return -errno;
	if (n == 0 || (size_t)n > most || (size_t)n % sizeof(struct sock_filter) != 0)
		return -EFBIG;
	ret->n = (unsigned short)((size_t)n / sizeof(struct sock_filter));
	ret->code = TAKE_PTR(code);
	return 0;
}

static int filter_compile_set(const struct jail *jail, struct jail_filter *ret)
{
	cleanup_filter scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	const struct seccomp_set *set = seccomp_set_find(jail->plan->syscall_set);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = set ? filter_set_attributes(ctx) : -EINVAL;
	for (size_t i = 0; r == 0 && i < set->n_groups; i++)
		r = filter_add_names(ctx, SCMP_ACT_ALLOW, set->groups[i]->syscalls,
				     set->groups[i]->n);
	if (r == 0)
		r = filter_add_rules(jail, ctx, seccomp_set_rules, seccomp_set_n_rules);
	return r == 0 ? filter_export(ctx, ret) : r;
}

static int filter_compile_deny(const struct jail *jail, struct jail_filter *ret)
{
	cleanup_filter scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = filter_set_attributes(ctx);
	if (r == 0)
		r = filter_add_names(ctx, SCMP_ACT_ERRNO(EPERM), seccomp_deny_syscalls,
				     seccomp_deny_n_syscalls);
	if (r == 0)
		r = filter_add_rules(jail, ctx, seccomp_deny_rules, seccomp_deny_n_rules);
	return r == 0 ? filter_export(ctx, ret) : r;
}

static bool filter_needs_broker(const struct custody_plan *plan)
{
	if (plan->flags & PLAN_FLAG_LOOPBACK)
		return true;
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		if (plan->endpoints[i].kind == PLAN_ENDPOINT_LISTEN)
			return true;
	}
	return false;
}

int seccomp_compile_filters(struct jail *jail)
{
	int r;

	jail->notify = filter_needs_broker(jail->plan);
	r = filter_compile_set(jail, &jail->allow);
	if (r == 0)
		r = ioctl_compile_filter(jail->plan,
					 seccomp_set_find(jail->plan->syscall_set)->devices,
					 &jail->ioctl);
	if (r == 0)
		r = filter_compile_deny(jail, &jail->deny);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot compile the filters: %s",
				   strerror(-r));
	return 0;
}

static int filter_load(const struct jail_filter *filter, unsigned long flags)
{
	const struct sock_fprog program = { .len = filter->n, .filter = filter->code };
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	return r < 0 ? -errno : (int)r;
}

/*
 * Where the profile does without the observe plane, which sees each refusal as the call ends, the
 * kernel writes them into the host's audit log (AUDIT_SECCOMP: call, site, pid). Either way a
 * call that is not refused pays nothing for it. What ends the process is in that log always.
 */
static unsigned long filter_log_flag(const struct custody_plan *plan)
{
	return plan->planes_required & CUSTODY_PLANE_OBSERVE ? 0 : SECCOMP_FILTER_FLAG_LOG;
}

int seccomp_enter_filters(struct jail *jail)
{
	const unsigned long notify =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	const unsigned long log = filter_log_flag(jail->plan);
	int r;

	/* `deny` last: its errno is the one that shows, and it closes seccomp() for good. */
	r = filter_load(&jail->allow, log | (jail->notify ? notify : 0));
	if (r >= 0 && jail->notify)
		jail->listener = r;
	if (r >= 0 && jail->ioctl.n > 0)
		r = filter_load(&jail->ioctl, log);
	if (r >= 0)
		r = filter_load(&jail->deny, log);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot enter the filters: %s",
				   strerror(-r));
	return 0;
}
