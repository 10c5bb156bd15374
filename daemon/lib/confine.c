/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Self-confinement of the roles, each step read back from the kernel. Run by every role before
 * its first untrusted byte. Trusts the kernel's /proc/self/status.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "landlock.h"

int confine_close_fds_from(int first)
{
	if (syscall(SYS_close_range, (unsigned int)first, ~0U, 0) < 0)
		return -errno;
	return 0;
}

int confine_set_basics(void)
{
	const struct rlimit core = { .rlim_cur = 1, .rlim_max = 1 };
	struct rlimit now;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (setrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_CORE, &now) < 0)
		return -errno;
	(void)umask(077);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || now.rlim_max != 1)
		return -EPERM;
	return 0;
}

int confine_set_limits(const struct confine_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct rlimit limit = { limits[i].value, limits[i].value };

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
			return -errno;
	}
	return 0;
}

/* Empties the bounding set but for `keep`; needs CAP_SETPCAP, so it comes before the drop. */
static int confine_bound_capabilities(__u64 keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (keep & (1ULL << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

static int confine_set_capabilities(__u64 keep)
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

static int confine_prove_privileges(uid_t uid, gid_t gid, __u64 keep)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { .uid = { ~0U } };
	int r;

	/* A role whose root is /proc itself finds "self" at the top; anything else fails below. */
	if (proc < 0 && errno == ENOENT)
		proc = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	r = confine_read_status(proc, "self/status", &status);
	if (r < 0)
		return r;
	for (int i = 0; i < 4; i++) {
		if (status.uid[i] != uid || status.gid[i] != gid)
			return -EPERM;
	}
	if (status.cap_permitted != keep || status.cap_effective != keep ||
	    status.cap_inheritable != 0 || status.cap_ambient != 0 ||
	    (status.cap_bounding & ~keep) != 0)
		return -EPERM;
	return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

int confine_drop_privileges(uid_t uid, gid_t gid, __u64 keep)
{
	int r = confine_bound_capabilities(keep);

	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0) < 0)
		return -errno;
	if (getgroups(0, NULL) != 0 && setgroups(0, NULL) < 0)
		return -errno;
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	r = confine_set_capabilities(keep);
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return -errno;
	return confine_prove_privileges(uid, gid, keep);
}

int confine_drop_kept(uid_t uid, gid_t gid)
{
	int r = confine_bound_capabilities(0);

	if (r == 0)
		r = confine_set_capabilities(0);
	return r == 0 ? confine_prove_privileges(uid, gid, 0) : r;
}

int confine_reduce_kept(__u64 keep)
{
	int r = confine_bound_capabilities(keep);

	return r < 0 ? r : confine_set_capabilities(keep);
}

int confine_find_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	return abi > 0 ? (int)abi : 0;
}

/* Landlock's rights for ours, for a directory or for a single file. */
static __u64 confine_translate_access(__u64 access, __u64 handled, bool directory)
{
	__u64 rights = 0;

	if (access & CONFINE_READ)
		rights |= LANDLOCK_FS_READ;
	if (access & CONFINE_EXEC)
		rights |= LANDLOCK_FS_EXECUTE;
	if (access & CONFINE_WRITE)
		rights |= LANDLOCK_FS_WRITE;
	if (access & CONFINE_MODIFY)
		rights |= LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE;
	if (access & CONFINE_LIST)
		rights |= LANDLOCK_FS_READ_DIR;
	if (access & CONFINE_IOCTL)
		rights |= LANDLOCK_FS_IOCTL_DEV;
	if (!directory)
		rights &= LANDLOCK_FS_FILE_ONLY;
	return rights & handled;
}

static int confine_add_path(int ruleset, const struct confine_path *path, __u64 handled)
{
	struct landlock_path_rule rule = { .parent_fd = path->fd };
	struct stat st;

	if (fstat(path->fd, &st) < 0)
		return -errno;
	rule.allowed_access = confine_translate_access(path->access, handled, S_ISDIR(st.st_mode));
	if (rule.allowed_access == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

int confine_enter_landlock(const struct confine_path *paths, size_t n, bool deny_tcp)
{
	int abi = confine_enter_landlock_net(
		paths, n, deny_tcp ? CONFINE_TCP_BIND | CONFINE_TCP_CONNECT : 0);
	int r = abi > 0 ? confine_prove_landlock() : 0;

	return r < 0 ? r : abi;
}

int confine_prove_landlock(void)
{
	cleanup_fd int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return root < 0 && errno == EACCES ? 0 : -EPERM;
}

int confine_enter_landlock_net(const struct confine_path *paths, size_t n, __u64 deny_tcp)
{
	int abi = confine_find_landlock_abi();
	struct landlock_ruleset ruleset = { 0 };
	cleanup_fd int fd = -1;

	if (abi == 0)
		return 0;
	ruleset.handled_access_fs = landlock_fs_rights(abi);
	ruleset.handled_access_net = landlock_net_rights(abi) & deny_tcp;
	ruleset.scoped = landlock_scopes(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, landlock_ruleset_size(abi), 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int r = confine_add_path(fd, &paths[i], ruleset.handled_access_fs);

		if (r < 0)
			return r;
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -errno;
	return abi;
}

/* What every role needs to go on living: memory, time, signals, its open fds, its end. */
static const char *const confine_common[] = {
	"read", "write", "readv", "writev", "close", "fstat", "newfstatat", "lseek",
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	"futex", "restart_syscall", "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday",
	"getpid", "gettid", "getrandom", "exit", "exit_group", "poll", "ppoll", "sendmsg",
	"recvmsg", "rseq", "set_robust_list", "fcntl", "tgkill",
	"sysinfo",	/* glibc's qsort() above 1 KiB: how much memory may it take */
};

/* A family that no kernel has (EAFNOSUPPORT); the filter's answer, which no socket() gives. */
#define CONFINE_PROBE_FAMILY 0x7fff
#define CONFINE_PROBE_ERROR EOWNERDEAD

#ifdef CUSTODY_SECCOMP_ERRNO
#define CONFINE_DEFAULT SCMP_ACT_ERRNO(ENOSYS)
#else
#define CONFINE_DEFAULT SCMP_ACT_KILL_PROCESS
#endif

static int confine_allow_sockets(scmp_filter_ctx ctx, bool resolve)
{
	static const struct {
		int family;
		int type;
	} kinds[] = { { AF_INET, SOCK_STREAM }, { AF_INET, SOCK_DGRAM }, { AF_INET6, SOCK_STREAM },
		      { AF_INET6, SOCK_DGRAM }, { AF_UNIX, SOCK_STREAM },
		      { AF_UNIX, SOCK_SEQPACKET }, { AF_NETLINK, SOCK_RAW } };
	const size_t n = resolve ? ARRAY_SIZE(kinds) : ARRAY_SIZE(kinds) - 1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)kinds[i].family),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf,
					     (scmp_datum_t)kinds[i].type));
	return r;
}

static int confine_allow_requests(scmp_filter_ctx ctx)
{
	static const unsigned long requests[] = { FS_IOC_GETVERSION, FS_IOC_MEASURE_VERITY };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(requests); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
					     (scmp_datum_t)requests[i]));
	return r;
}

static int confine_allow_threads(scmp_filter_ctx ctx)
{
	const unsigned long wanted = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
	const unsigned long refused = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
				      CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PTRACE;
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				 SCMP_A0(SCMP_CMP_MASKED_EQ, wanted | refused, wanted));

	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* A syscall with checked arguments; -ENOENT when the name is a plain one. */
static int confine_allow_checked(scmp_filter_ctx ctx, const char *name)
{
	const unsigned int modify = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);

	if (strcmp(name, CONFINE_OPENAT_READ_ONLY) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
					SCMP_A2(SCMP_CMP_MASKED_EQ, modify, O_RDONLY));
	if (strcmp(name, CONFINE_IOCTL_SECCOMP) == 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00,
						SECCOMP_IOC_MAGIC << 8));
	if (strcmp(name, CONFINE_CLONE_THREAD) == 0)
		return confine_allow_threads(ctx);
	if (strcmp(name, CONFINE_IOCTL_IDENTITY) == 0)
		return confine_allow_requests(ctx);
	if (strcmp(name, CONFINE_SOCKET_CONNECT) == 0)
		return confine_allow_sockets(ctx, false);
	if (strcmp(name, CONFINE_SOCKET_RESOLVE) == 0)
		return confine_allow_sockets(ctx, true);
	return -ENOENT;
}

static int confine_allow_syscalls(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		int r = confine_allow_checked(ctx, names[i]);

		if (r == 0)
			continue;
		if (r != -ENOENT)
			return r;
		if (nr == __NR_SCMP_ERROR)
			return -EINVAL;
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static void confine_release_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int confine_enter_seccomp(const char *const *syscalls, size_t n)
{
	__attribute__((cleanup(confine_release_filter))) scmp_filter_ctx ctx =
		seccomp_init(CONFINE_DEFAULT);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = confine_allow_syscalls(ctx, confine_common, ARRAY_SIZE(confine_common));
	if (r == 0)
		r = confine_allow_syscalls(ctx, syscalls, n);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(CONFINE_PROBE_ERROR), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, CONFINE_PROBE_FAMILY));
	if (r == 0)
		r = seccomp_load(ctx);
	if (r < 0)
		return r;
	/* Whether it is in force is for confine_prove() to say; /proc is closed by now. */
	return 0;
}

/* "Name:\thex" or "Name:\tdec dec dec dec" of one line; 0 when the line is another one. */
static bool confine_parse_hex(const char *line, const char *name, __u64 *ret)
{
	size_t n = strlen(name);

	if (strncmp(line, name, n) != 0)
		return false;
	*ret = strtoull(line + n, NULL, 16);
	return true;
}

static bool confine_parse_ids(const char *line, const char *name, __u32 ret[4])
{
	size_t n = strlen(name);

	if (strncmp(line, name, n) != 0)
		return false;
	return sscanf(line + n, "%u %u %u %u", &ret[0], &ret[1], &ret[2], &ret[3]) == 4;
}

static void confine_parse_line(const char *line, struct confine_status *status)
{
	__u64 value;

	if (confine_parse_hex(line, "CapInh:", &status->cap_inheritable) ||
	    confine_parse_hex(line, "CapPrm:", &status->cap_permitted) ||
	    confine_parse_hex(line, "CapEff:", &status->cap_effective) ||
	    confine_parse_hex(line, "CapBnd:", &status->cap_bounding) ||
	    confine_parse_hex(line, "CapAmb:", &status->cap_ambient) ||
	    confine_parse_ids(line, "Uid:", status->uid) ||
	    confine_parse_ids(line, "Gid:", status->gid))
		return;
	if (confine_parse_hex(line, "NoNewPrivs:", &value))
		status->no_new_privs = (__u32)value;
	else if (confine_parse_hex(line, "Seccomp:", &value))
		status->seccomp = (__u32)value;
}

static int confine_read_text(int fd, struct confine_status *ret)
{
	struct confine_status status = *ret;
	char text[8192];
	size_t used = 0;
	char *save = NULL;

	for (;;) {
		ssize_t n = read(fd, text + used, sizeof(text) - 1 - used);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == sizeof(text) - 1)
			return -EFBIG;
	}
	text[used] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		confine_parse_line(line, &status);
	*ret = status;
	return 0;
}

int confine_read_status(int proc_fd, const char *path, struct confine_status *ret)
{
	cleanup_fd int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : confine_read_text(fd, ret);
}

/* ---- the proof ---- */

int confine_open_proof(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool confine_has_ids(const struct confine_status *status, uid_t uid, gid_t gid)
{
	for (int i = 0; i < 4; i++) {
		if (status->uid[i] != uid || status->gid[i] != gid)
			return false;
	}
	return true;
}

int confine_prove(int fd, uid_t uid, gid_t gid, __u64 keep)
{
	struct confine_status status = { .uid = { ~0U }, .cap_permitted = ~0ULL };
	cleanup_fd int own = fd, probe = -1;
	int r = confine_read_text(own, &status);

	if (r < 0)
		return r;
	if (!confine_has_ids(&status, uid, gid) || status.no_new_privs != 1 ||
	    status.seccomp != SECCOMP_MODE_FILTER)
		return -EPERM;
	if (status.cap_permitted != keep || status.cap_effective != keep ||
	    status.cap_inheritable != 0 || status.cap_ambient != 0 ||
	    (status.cap_bounding & ~keep) != 0)
		return -EPERM;
	probe = socket(CONFINE_PROBE_FAMILY, SOCK_STREAM, 0);
	return probe < 0 && errno == CONFINE_PROBE_ERROR ? 0 : -EPERM;
}

/*
 * A namespace that was just made has not even loopback up. Loopback, because a host may have a
 * route to nowhere else; 192.0.2.1, which is nobody's (RFC 5737), because it may have that one
 * only. To connect a datagram socket sends nothing.
 */
static int confine_prove_no_network(void)
{
	static const __u32 places[] = { INADDR_LOOPBACK, 0xc0000201 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct sockaddr_in place = { .sin_family = AF_INET, .sin_port = htons(9),
						   .sin_addr.s_addr = htonl(places[i]) };
		cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return errno == EAFNOSUPPORT ? 0 : -errno;
		if (connect(fd, (const struct sockaddr *)&place, sizeof(place)) == 0 ||
		    errno != ENETUNREACH)
			return -EPERM;
	}
	return 0;
}

int confine_leave_network(void)
{
	return unshare(CLONE_NEWNET) < 0 ? -errno : confine_prove_no_network();
}
