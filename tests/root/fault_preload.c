/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded with LD_PRELOAD into custodyd or a role by tests/root/64-faults.sh: makes the Nth call of
 * one kind fail, as the kernel or the allocator could. What and when stands in a file that the test
 * writes ($FAULT_FILE), mapped before the role gives up its privileges. Never part of the product.
 *
 * Everything goes to the kernel by hand: nothing here allocates, and no symbol is looked up.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault_kind {
	FAULT_ALLOC = 1,
	FAULT_WRITE,
	FAULT_FSYNC,
	FAULT_CLONE,
	FAULT_MOUNT,
	FAULT_BPF,
	FAULT_SEND,
	FAULT_FILE,	/* open, rename, mkdir: what makes a name or a descriptor of one */
	FAULT_FD,	/* sockets, pipes, timers, mappings, duplicates */
	FAULT_RECV,	/* a message is taken: it has not been when this fails */
	FAULT_TAKEN,	/* a message has been taken: counted after the call, and can only kill */
	FAULT_IOCTL,	/* a broker's work: a notification taken, checked, answered */
	FAULT_READ,	/* of a file's content */
};

struct fault_plan {
	uint32_t kind;		/* enum fault_kind; 0: nothing fails */
	int32_t left;		/* calls of that kind until one fails: 1 is the next */
	uint32_t error;		/* FAULT_DIE: the process is killed instead */
	uint32_t fired;		/* how many have failed */
	uint64_t from;		/* return address of the call, less the executable's base */
};

#define FAULT_DIE 9999
#define FAULT_EXPORT __attribute__((visibility("default")))

static struct fault_plan *fault_plan;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
int open64(const char *path, int flags, ...);
int openat64(int dir, const char *path, int flags, ...);

static long fault_call(long n, long a, long b, long c, long d, long e, long f)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = n;
	register long r __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(r)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
#endif
	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

__attribute__((constructor)) static void fault_open(void)
{
	const char *path = getenv("FAULT_FILE");
	long fd, at;

	if (!path)
		return;
	fd = fault_call(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return;
	at = fault_call(SYS_mmap, 0, sizeof(*fault_plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	(void)fault_call(SYS_close, fd, 0, 0, 0, 0, 0);
	if (at != -1)
		fault_plan = (struct fault_plan *)at;
}

/* True when this call is to fail; errno is set. */
static int fault_is_due(enum fault_kind kind, void *from)
{
	struct fault_plan *plan = fault_plan;

	if (!plan || __atomic_load_n(&plan->kind, __ATOMIC_RELAXED) != (uint32_t)kind)
		return 0;
	if (__atomic_sub_fetch(&plan->left, 1, __ATOMIC_RELAXED) != 0)
		return 0;
	plan->from = (uint64_t)(uintptr_t)from - (getauxval(AT_PHDR) & ~0xfffUL);
	plan->fired++;
	if (plan->error == FAULT_DIE)
		(void)fault_call(SYS_kill, fault_call(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0,
				 0, 0);
	errno = (int)plan->error;
	return 1;
}

#define FAULT(kind) fault_is_due(kind, __builtin_return_address(0))

FAULT_EXPORT void *malloc(size_t size)
{
	return FAULT(FAULT_ALLOC) ? NULL : __libc_malloc(size);
}

FAULT_EXPORT void *calloc(size_t n, size_t size)
{
	return FAULT(FAULT_ALLOC) ? NULL : __libc_calloc(n, size);
}

FAULT_EXPORT void *realloc(void *old, size_t size)
{
	return FAULT(FAULT_ALLOC) ? NULL : __libc_realloc(old, size);
}

#define L(x) ((long)(x))
#define FAULT_WRAP(kind, type, name, params, number, a, b, c, d, e, f) \
	FAULT_EXPORT type name params \
	{ \
		if (FAULT(kind)) \
			return (type)-1; \
		return (type)fault_call(number, L(a), L(b), L(c), L(d), L(e), L(f)); \
	}

FAULT_WRAP(FAULT_WRITE, ssize_t, write, (int fd, const void *p, size_t n), SYS_write, fd, p, n, 0,
	   0, 0)
FAULT_WRAP(FAULT_WRITE, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), SYS_pwrite64,
	   fd, p, n, at, 0, 0)
FAULT_WRAP(FAULT_WRITE, ssize_t, writev, (int fd, const struct iovec *v, int n), SYS_writev, fd, v,
	   n, 0, 0, 0)
FAULT_WRAP(FAULT_READ, ssize_t, pread, (int fd, void *p, size_t n, off_t at), SYS_pread64, fd, p, n,
	   at, 0, 0)
FAULT_WRAP(FAULT_READ, ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), SYS_pread64, fd,
	   p, n, at, 0, 0)
FAULT_WRAP(FAULT_FSYNC, int, fsync, (int fd), SYS_fsync, fd, 0, 0, 0, 0, 0)
FAULT_WRAP(FAULT_FSYNC, int, fdatasync, (int fd), SYS_fdatasync, fd, 0, 0, 0, 0, 0)
FAULT_WRAP(FAULT_CLONE, int, unshare, (int flags), SYS_unshare, flags, 0, 0, 0, 0, 0)
FAULT_WRAP(FAULT_CLONE, int, setns, (int fd, int type), SYS_setns, fd, type, 0, 0, 0, 0)
FAULT_WRAP(FAULT_CLONE, pid_t, fork, (void), SYS_clone, SIGCHLD, 0, 0, 0, 0, 0)
FAULT_WRAP(FAULT_MOUNT, int, mount,
	   (const char *from, const char *to, const char *type, unsigned long flags,
	    const void *data), SYS_mount, from, to, type, flags, data, 0)
FAULT_WRAP(FAULT_MOUNT, int, umount2, (const char *at, int flags), SYS_umount2, at, flags, 0, 0, 0,
	   0)
FAULT_WRAP(FAULT_MOUNT, int, open_tree, (int dir, const char *path, unsigned int flags),
	   SYS_open_tree, dir, path, flags, 0, 0, 0)
FAULT_WRAP(FAULT_MOUNT, int, move_mount,
	   (int from, const char *a, int to, const char *b, unsigned int flags), SYS_move_mount,
	   from, a, to, b, flags, 0)
FAULT_WRAP(FAULT_MOUNT, int, fsopen, (const char *type, unsigned int flags), SYS_fsopen, type,
	   flags, 0, 0, 0, 0)
FAULT_WRAP(FAULT_MOUNT, int, fsconfig,
	   (int fd, unsigned int command, const char *key, const void *value, int aux),
	   SYS_fsconfig, fd, command, key, value, aux, 0)
FAULT_WRAP(FAULT_MOUNT, int, fsmount, (int fd, unsigned int flags, unsigned int attributes),
	   SYS_fsmount, fd, flags, attributes, 0, 0, 0)
struct mount_attr;
FAULT_WRAP(FAULT_MOUNT, int, mount_setattr,
	   (int dir, const char *path, unsigned int flags, struct mount_attr *attr, size_t size),
	   SYS_mount_setattr, dir, path, flags, attr, size, 0)
FAULT_WRAP(FAULT_SEND, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), SYS_sendmsg,
	   fd, m, flags, 0, 0, 0)
FAULT_WRAP(FAULT_IOCTL, int, ioctl, (int fd, unsigned long request, void *argument), SYS_ioctl, fd,
	   request, argument, 0, 0, 0)

FAULT_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n;

	if (FAULT(FAULT_RECV))
		return -1;
	n = fault_call(SYS_recvmsg, fd, L(m), flags, 0, 0, 0);
	if (n > 0)
		(void)FAULT(FAULT_TAKEN);
	return n;
}

FAULT_WRAP(FAULT_FILE, int, rename, (const char *a, const char *b), SYS_renameat2, AT_FDCWD, a,
	   AT_FDCWD, b, 0, 0)
FAULT_WRAP(FAULT_FILE, int, renameat, (int d, const char *a, int e, const char *b), SYS_renameat2,
	   d, a, e, b, 0, 0)
FAULT_WRAP(FAULT_FILE, int, mkdir, (const char *a, mode_t mode), SYS_mkdirat, AT_FDCWD, a, mode, 0,
	   0, 0)
FAULT_WRAP(FAULT_FILE, int, mkdirat, (int d, const char *a, mode_t mode), SYS_mkdirat, d, a, mode,
	   0, 0, 0)
FAULT_WRAP(FAULT_FD, int, socket, (int domain, int type, int protocol), SYS_socket, domain, type,
	   protocol, 0, 0, 0)
FAULT_WRAP(FAULT_FD, int, socketpair, (int domain, int type, int protocol, int fds[2]),
	   SYS_socketpair, domain, type, protocol, fds, 0, 0)
FAULT_WRAP(FAULT_FD, int, pipe2, (int fds[2], int flags), SYS_pipe2, fds, flags, 0, 0, 0, 0)
FAULT_WRAP(FAULT_FD, int, memfd_create, (const char *name, unsigned int flags), SYS_memfd_create,
	   name, flags, 0, 0, 0, 0)
FAULT_WRAP(FAULT_FD, int, timerfd_create, (clockid_t clock, int flags), SYS_timerfd_create, clock,
	   flags, 0, 0, 0, 0)
FAULT_WRAP(FAULT_FD, void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t off),
	   SYS_mmap, at, n, prot, flags, fd, off)
FAULT_WRAP(FAULT_FD, void *, mmap64, (void *at, size_t n, int prot, int flags, int fd, off_t off),
	   SYS_mmap, at, n, prot, flags, fd, off)
struct epoll_event;
FAULT_WRAP(FAULT_FD, int, epoll_ctl, (int fd, int op, int what, struct epoll_event *event),
	   SYS_epoll_ctl, fd, op, what, event, 0, 0)

#define FAULT_WRAP_OPEN(name, dir) \
	FAULT_EXPORT int name(dir const char *path, int flags, ...) \
	{ \
		va_list ap; \
		mode_t mode; \
\
		va_start(ap, flags); \
		mode = va_arg(ap, mode_t); \
		va_end(ap); \
		if (FAULT(FAULT_FILE)) \
			return -1; \
		return (int)fault_call(SYS_openat, FAULT_DIR, L(path), flags, mode, 0, 0); \
	}
#define FAULT_DIR AT_FDCWD
FAULT_WRAP_OPEN(open, )
FAULT_WRAP_OPEN(open64, )
#undef FAULT_DIR
#define FAULT_DIR at
#define FAULT_AT int at,
FAULT_WRAP_OPEN(openat, FAULT_AT)
FAULT_WRAP_OPEN(openat64, FAULT_AT)

static enum fault_kind fault_classify(long number)
{
	switch (number) {
	case SYS_clone3:
	case SYS_clone:
	case SYS_unshare:
	case SYS_setns:
		return FAULT_CLONE;
	case SYS_bpf:
		return FAULT_BPF;
	case SYS_pivot_root:
	case SYS_open_tree:
	case SYS_move_mount:
	case SYS_fsopen:
	case SYS_fsconfig:
	case SYS_fsmount:
	case SYS_mount_setattr:
		return FAULT_MOUNT;
	case SYS_pidfd_open:
		return FAULT_FD;
	case SYS_openat2:
		return FAULT_FILE;
	default:
		return 0;
	}
}

FAULT_EXPORT long syscall(long number, ...)
{
	enum fault_kind kind = fault_classify(number);
	long a, b, c, d, e, f;
	va_list ap;

	va_start(ap, number);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	f = va_arg(ap, long);
	va_end(ap);
	if (kind && FAULT(kind))
		return -1;
	return fault_call(number, a, b, c, d, e, f);
}
