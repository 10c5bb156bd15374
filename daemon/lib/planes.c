/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which planes of enforcement this host offers, found by trying. Run by custodyd at start and by
 * doctor. Trusts the kernel's answers; a program that was loaded to see whether it may be is
 * closed again at once and never attached.
 */
#include "planes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "confine.h"

#define PLANES_NAMESPACES                                                                          \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | \
	 CLONE_NEWCGROUP | CLONE_NEWTIME)

__attribute__((format(printf, 2, 3))) static bool planes_miss(struct plane_state *state,
							      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(state->why, sizeof(state->why), format, args);
	va_end(args);
	state->present = false;
	return false;
}

__attribute__((format(printf, 2, 3))) static void planes_advise(struct plane_state *state,
								const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(state->remedy, sizeof(state->remedy), format, args);
	va_end(args);
}

/* ---- structure ---- */

/* In a child, so that nothing stays. Returns 0 or -errno of unshare(2). */
static int planes_try_namespaces(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(unshare(PLANES_NAMESPACES) < 0 ? errno : 0);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int planes_try_user_notification(void)
{
	__u32 action = SECCOMP_RET_USER_NOTIF;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static int planes_try_mount_api(void)
{
	cleanup_fd int fd = (int)syscall(SYS_fsopen, "tmpfs", 1U /* FSOPEN_CLOEXEC */);

	return fd < 0 ? -errno : 0;
}

static bool planes_probe_structure(struct plane_state *ret)
{
	int abi = confine_find_landlock_abi();
	int r = planes_try_namespaces();

	if (r < 0) {
		planes_advise(ret,
			      r == -ENOSPC
				      ? "raise user.max_user_namespaces and its neighbours (sysctl)"
				      : "run as root, not in a chroot, on a kernel with every "
					"namespace type (CONFIG_*_NS)");
		return planes_miss(ret, "a process cannot unshare its namespaces: %s",
				   strerror(-r));
	}
	r = planes_try_user_notification();
	if (r < 0) {
		planes_advise(ret, "use a kernel with CONFIG_SECCOMP_FILTER, 5.9 or later");
		return planes_miss(ret, "seccomp user notification: %s", strerror(-r));
	}
	r = planes_try_mount_api();
	if (r < 0) {
		planes_advise(ret, "run as root on Linux 5.2 or later");
		return planes_miss(ret, "mount API (fsopen): %s", strerror(-r));
	}
	if (abi == 0) {
		planes_advise(ret, "boot with landlock in lsm= (CONFIG_SECURITY_LANDLOCK)");
		return planes_miss(ret, "the kernel offers no Landlock");
	}
	(void)snprintf(ret->why, sizeof(ret->why),
		       "namespaces, seccomp user notification, mount API, Landlock ABI %d", abi);
	return true;
}

/* ---- BPF ---- */

/* Loads "return 1" (or 0) as a program of the type. Returns an fd or -errno. */
static int planes_load(enum bpf_prog_type type, enum bpf_attach_type attach, const char *target,
		       int value)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	int id;

	if (target) {
		id = libbpf_find_vmlinux_btf_id(target, attach);
		if (id < 0)
			return id;
		options.attach_btf_id = (__u32)id;
	}
	return bpf_prog_load(type, "custody_probe", "Dual BSD/GPL", code, ARRAY_SIZE(code),
			     &options);
}

static void planes_advise_bpf(struct plane_state *ret, int error)
{
	if (error == -EPERM || error == -EACCES)
		planes_advise(ret, "run as root (CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN) outside of a "
				   "container, with kernel lockdown off");
	else
		planes_advise(ret, "use a kernel with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF");
}

static bool planes_probe_cgroup(struct plane_state *ret)
{
	static const struct {
		const char *what;
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
	} kinds[] = {
		{ "device", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE },
		{ "socket", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE },
		{ "bind", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND },
		{ "packet", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS },
	};
	char mount[CUSTODY_PATH_SIZE];
	int r = cgroup_find_mount(mount, sizeof(mount));

	if (r < 0) {
		planes_advise(ret, "mount -t cgroup2 none /sys/fs/cgroup/unified");
		return planes_miss(ret, "no cgroup2 hierarchy is mounted");
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cleanup_fd int fd = planes_load(kinds[i].type, kinds[i].attach, NULL, 1);

		if (fd >= 0)
			continue;
		planes_advise_bpf(ret, fd);
		return planes_miss(ret, "cgroup2 is at %.128s, but a %s program does not load: %s",
				   mount, kinds[i].what, strerror(-fd));
	}
	(void)snprintf(ret->why, sizeof(ret->why), "cgroup2 at %.128s, programs load", mount);
	return true;
}

/* The list of active LSMs, from securityfs. Returns -errno when it cannot be read. */
static int planes_read_lsms(char *ret, size_t size)
{
	cleanup_fd int fd = open("/sys/kernel/security/lsm", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static bool planes_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* One hook for each way in which a kernel may have been built without some. */
static int planes_load_lsm(void)
{
	static const char *const hooks[] = { "file_open", "path_unlink", "socket_create" };

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		cleanup_fd int fd = planes_load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, hooks[i], 0);

		if (fd < 0)
			return fd;
	}
	return 0;
}

static bool planes_probe_lsm(struct plane_state *ret)
{
	char lsms[128] = "";
	int listed = planes_read_lsms(lsms, sizeof(lsms));
	int r;

	if (listed == 0 && !planes_list_has(lsms, "bpf")) {
		planes_advise(ret, "boot with bpf in lsm=: lsm=%s,bpf", lsms);
		return planes_miss(ret, "bpf is not among the active LSMs (%s)", lsms);
	}
	r = planes_load_lsm();
	if (r < 0) {
		if (geteuid() != 0)
			planes_advise(ret, "run as root");
		else if (r == -EPERM || r == -EACCES)
			planes_advise(ret,
				      "nothing custody can do: this kernel or its host refuses "
				      "LSM programs; run on one that permits them, as root");
		else
			planes_advise(ret,
				      "use a kernel with CONFIG_BPF_LSM, CONFIG_SECURITY_PATH, "
				      "CONFIG_SECURITY_NETWORK and BTF");
		return planes_miss(ret, "an LSM program does not load: %s", strerror(-r));
	}
	/* It loads whether or not the BPF LSM is active: without the list that is not enough. */
	if (listed < 0) {
		planes_advise(ret, "mount -t securityfs none /sys/kernel/security");
		return planes_miss(ret,
				   "LSM programs load, but whether bpf is an active LSM cannot be "
				   "read: %s",
				   strerror(-listed));
	}
	(void)snprintf(ret->why, sizeof(ret->why), "bpf is active (%s), LSM programs load", lsms);
	return true;
}

static bool planes_probe_observe(struct plane_state *ret)
{
	static const char *const points[] = { "sys_exit", "signal_generate",
					      "sched_process_exec", "sched_process_exit" };

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		planes_advise(ret, "use a kernel with CONFIG_DEBUG_INFO_BTF, and mount sysfs");
		return planes_miss(ret, "/sys/kernel/btf/vmlinux: %s", strerror(errno));
	}
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		cleanup_fd int fd =
			planes_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, points[i], 0);

		if (fd >= 0)
			continue;
		planes_advise_bpf(ret, fd);
		return planes_miss(ret, "a program for tracepoint %s does not load: %s", points[i],
				   strerror(-fd));
	}
	(void)snprintf(ret->why, sizeof(ret->why), "BTF, tracepoint programs load");
	return true;
}

/* Whether a custodyd has closed it is another question: one with --no-guard has not. */
static bool planes_probe_guard(struct plane_state *ret)
{
	if (!planes_probe_lsm(ret))
		return false;
	(void)snprintf(ret->why, sizeof(ret->why),
		       "the lsm plane is there: custodyd holds its BPF objects, processes, ledger, "
		       "keys, state and the weights against other root processes, unless it runs "
		       "with --no-guard");
	return true;
}

/* ---- limits ---- */

/*
 * A cgroup with processes of its own enables no controller for its children, except the root of
 * the hierarchy, which alone has no cgroup.type.
 */
static bool planes_can_enable(const char *mount, __u32 want)
{
	char path[CUSTODY_PATH_SIZE + 32], line[32];
	cleanup_file FILE *file = NULL;
	__u32 enabled = 0;

	if (cgroup_read_enabled(mount, &enabled) == 0 && (enabled & want) == want)
		return true;
	(void)snprintf(path, sizeof(path), "%s/cgroup.type", mount);
	if (access(path, F_OK) < 0)
		return errno == ENOENT;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", mount);
	file = fopen(path, "re");
	return file && !fgets(line, sizeof(line), file);
}

static bool planes_probe_limits(struct plane_state *ret)
{
	char mount[CUSTODY_PATH_SIZE], missing[PLANES_TEXT_SIZE / 2] = "";
	__u32 offered = 0;
	int r = cgroup_find_mount(mount, sizeof(mount));

	if (r == 0)
		r = cgroup_read_controllers(mount, &offered);
	if (r < 0) {
		planes_advise(ret, "mount -t cgroup2 none /sys/fs/cgroup/unified");
		return planes_miss(ret, "cgroup2: %s", strerror(-r));
	}
	if ((offered & CGROUP_CONTROLLERS_ALL) != CGROUP_CONTROLLERS_ALL) {
		cgroup_list_controllers(CGROUP_CONTROLLERS_ALL & ~offered, missing,
					sizeof(missing));
		planes_advise(ret, "free the controllers from cgroup v1: boot with "
				   "systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all");
		return planes_miss(ret, "%s lacks the controllers: %s", mount, missing);
	}
	if (!planes_can_enable(mount, CGROUP_CONTROLLERS_ALL)) {
		planes_advise(ret, "move the processes of %s into a cgroup below it", mount);
		return planes_miss(ret, "%s is not the root and has processes of its own: nothing "
				   "can be enabled below it", mount);
	}
	(void)snprintf(ret->why, sizeof(ret->why), "controllers memory, pids, cpu and io");
	return true;
}

/* ---- all ---- */

static const struct {
	const char *name;
	bool (*probe)(struct plane_state *ret);
} planes_table[PLANES_COUNT] = {
	{ "structure", planes_probe_structure },
	{ "cgroup", planes_probe_cgroup },
	{ "lsm", planes_probe_lsm },
	{ "observe", planes_probe_observe },
	{ "guard", planes_probe_guard },
	{ "limits", planes_probe_limits },
};
_Static_assert(CUSTODY_PLANE_STRUCTURE == 1 && CUSTODY_PLANE_CGROUP == 2 &&
		       CUSTODY_PLANE_LSM == 4 && CUSTODY_PLANE_OBSERVE == 8 &&
		       CUSTODY_PLANE_GUARD == 16 && CUSTODY_PLANE_LIMITS == 32 &&
		       CUSTODY_PLANES_ALL == (1 << PLANES_COUNT) - 1,
	       "planes_table is in the order of the bits");

const char *planes_name(__u32 plane)
{
	for (int i = 0; i < PLANES_COUNT; i++) {
		if (plane == 1U << i)
			return planes_table[i].name;
	}
	return NULL;
}

static int planes_print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

bool planes_probe(__u32 plane, struct plane_state *ret)
{
	libbpf_print_fn_t print;

	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < PLANES_COUNT; i++) {
		if (plane != 1U << i)
			continue;
		/* A load that fails is an answer here, not something to print. */
		print = libbpf_set_print(planes_print_nothing);
		ret->present = planes_table[i].probe(ret);
		(void)libbpf_set_print(print);
		return ret->present;
	}
	return planes_miss(ret, "no such plane");
}

__u32 planes_probe_all(struct plane_state states[PLANES_COUNT])
{
	__u32 planes = 0;

	for (int i = 0; i < PLANES_COUNT; i++) {
		if (planes_probe(1U << i, &states[i]))
			planes |= 1U << i;
	}
	return planes;
}
