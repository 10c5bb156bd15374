/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on the file system: out of the root, into what is read-only, and into /proc.
 * link: tests/attack/common.c
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "attack.h"

#define FILE_SECRET "/etc/shadow"
#define FILE_RACES 20000

/* ---- out of the root by names ---- */

static int try_climb(void)
{
	char path[512];

	return attack_read(attack_path("DIR", "../../../../../../../../etc/shadow", path,
				       sizeof(path)));
}

static int file_read_link(const char *target)
{
	char path[512];

	attack_path("DIR", "link", path, sizeof(path));
	(void)unlink(path);
	if (symlink(target, path) < 0)
		return attack_untried("no link can be made");
	return attack_read(path);
}

static int try_link(void)
{
	return file_read_link(FILE_SECRET);
}

static int try_link_init_root(void)
{
	return file_read_link("/proc/1/root" FILE_SECRET);
}

static int try_hard_link(void)
{
	char path[512];
	char file[512];

	attack_path("DIR", "hard", path, sizeof(path));
	(void)unlink(path);
	return attack_result(link(attack_path("ZONE", "file", file, sizeof(file)), path));
}

/* A name that is now a link to the zone, now one to the secret, while it is opened. */
static int try_race_link(void)
{
	char path[512];
	char other[512];
	int r = -ENOENT;
	pid_t pid;

	attack_path("DIR", "race", path, sizeof(path));
	attack_path("DIR", "race2", other, sizeof(other));
	if (symlink(FILE_SECRET, other) < 0 || symlink(attack_env("ZONE"), path) < 0)
		return attack_untried("no links can be made");
	pid = fork();
	for (int i = 0; pid == 0 && i < FILE_RACES; i++)
		(void)renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
	if (pid == 0)
		_exit(0);
	for (int i = 0; i < FILE_RACES && r < 0; i++) {
		cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct stat st;

		r = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -ENOENT;
	}
	(void)waitpid(pid, NULL, 0);
	(void)unlink(path);
	(void)unlink(other);
	return r;
}

/* A directory is moved up while somebody stands below it: .. must not pass the mount's root. */
static int try_rename_up(void)
{
	char a[512];
	char b[512];
	cleanup_fd int deep = -1;
	cleanup_fd int out = -1;

	(void)mkdir(attack_path("DIR", "a", a, sizeof(a)), 0700);
	(void)mkdir(attack_path("DIR", "a/b", a, sizeof(a)), 0700);
	deep = open(a, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (deep < 0 || rename(a, attack_path("DIR", "b", b, sizeof(b))) < 0)
		return attack_untried("no directory can be moved");
	out = openat(deep, "../../../../../../../../../etc/shadow", O_RDONLY | O_CLOEXEC);
	(void)rmdir(b);
	return out < 0 ? -errno : 0;
}

static int try_openat2_magic(void)
{
	const struct {
		unsigned long long flags, mode, resolve;
	} how = { .flags = O_RDONLY | O_CLOEXEC };
	cleanup_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/proc/1/root" FILE_SECRET, &how,
					 sizeof(how));

	return fd < 0 ? -errno : 0;
}

ATTACK_READ(secret, FILE_SECRET)
ATTACK_FD(init_cwd, open("/proc/1/cwd", O_PATH | O_CLOEXEC))
ATTACK_FD(init_root, open("/proc/1/root", O_PATH | O_CLOEXEC))
ATTACK_FD(init_exe, open("/proc/1/exe", O_RDONLY | O_CLOEXEC))
ATTACK_READ(victim_root, ({
	static char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/root/etc/shadow", attack_victim());
	path;
}))
ATTACK_READ(sys_fs, "/sys/kernel/uevent_seqnum")
ATTACK_FD(cgroup_fs, open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
ATTACK_FD(bpf_fs, open("/sys/fs/bpf", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
ATTACK_FD(debug_fs, open("/sys/kernel/debug", O_RDONLY | O_DIRECTORY | O_CLOEXEC))

/* ---- mounts ---- */

ATTACK_CALL(chroot_dot, chroot("."))
ATTACK_CALL(mount_tmpfs, mount("none", attack_env("DIR"), "tmpfs", 0, NULL))
ATTACK_CALL(mount_bind, mount("/", attack_env("DIR"), NULL, MS_BIND, NULL))
ATTACK_CALL(mount_remount, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL))
ATTACK_FD(fs_open, syscall(SYS_fsopen, "tmpfs", 0))
ATTACK_FD(open_tree_clone, syscall(SYS_open_tree, AT_FDCWD, "/", 1 | O_CLOEXEC))
ATTACK_FD(fs_pick, syscall(SYS_fspick, AT_FDCWD, "/", 0))

static int try_mount_overlay(void)
{
	char upper[512];
	char work[512];
	char options[2048];

	(void)mkdir(attack_path("DIR", "up", upper, sizeof(upper)), 0700);
	(void)mkdir(attack_path("DIR", "work", work, sizeof(work)), 0700);
	(void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		       attack_env("ZONE"), upper, work);
	return attack_result(mount("o", attack_env("DIR"), "overlay", 0, options));
}

ATTACK_CALL(move_mount, syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, attack_env("DIR"), 0))

static int try_mount_setattr(void)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY };

	return attack_result(syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &attr, sizeof(attr)));
}

ATTACK_CALL(umount_proc, umount2("/proc", MNT_DETACH))

static int try_pivot_root(void)
{
	if (mount("none", attack_env("DIR"), "tmpfs", 0, NULL) < 0 && geteuid() == 0)
		return attack_untried("no mount to turn to");
	(void)!chdir(attack_env("DIR"));
	return attack_result(syscall(SYS_pivot_root, ".", "."));
}

/* A handle made by hand opens any file of the file system, whatever the root. */
static int try_open_by_handle(void)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	cleanup_fd int at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	int id;

	if (name_to_handle_at(at, "usr", &h.handle, &id, 0) < 0 && geteuid() == 0)
		return attack_untried("this file system gives no handles");
	fd = open_by_handle_at(at, &h.handle, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int try_name_to_handle(void)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int id;

	return attack_result(name_to_handle_at(AT_FDCWD, "/usr", &h.handle, &id, 0));
}

/* ---- what was handed over ---- */

static int try_stdin_write(void)
{
	return attack_open("/proc/self/fd/0", O_WRONLY);
}

static int try_stdin_truncate(void)
{
	return attack_result(truncate("/proc/self/fd/0", 0));
}

static int try_stdout_reopen(void)
{
	return attack_open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
}

ATTACK_CALL(stdout_chmod, fchmod(1, 0666))

static int try_inherited(void)
{
	cleanup_dir DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!dir)
		return -errno;
	/* 100 is the attack's own */
	while ((entry = readdir(dir))) {
		const int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(dir) && fd < 100 && fcntl(fd, F_GETFD) == 0)
			return 0;
	}
	return -EBADF;
}

/* ---- what is read-only ---- */

static int try_exe_overwrite(void)
{
	return attack_open("/proc/self/exe", O_WRONLY);
}

static int try_weights_write(void)
{
	char path[512];

	return attack_open(attack_path("ZONE", "file", path, sizeof(path)), O_WRONLY);
}

static int try_weights_truncate(void)
{
	char path[512];

	return attack_result(truncate(attack_path("ZONE", "scrap", path, sizeof(path)), 0));
}

static int try_weights_unlink(void)
{
	char path[512];

	return attack_result(unlink(attack_path("ZONE", "scrap", path, sizeof(path))));
}

static int try_weights_create(void)
{
	char path[512];

	return attack_open(attack_path("ZONE", "new", path, sizeof(path)), O_WRONLY | O_CREAT);
}

static int try_weights_chmod(void)
{
	char path[512];

	return attack_result(chmod(attack_path("ZONE", "file", path, sizeof(path)), 0666));
}

static int try_weights_times(void)
{
	char path[512];

	return attack_result(
		utimensat(AT_FDCWD, attack_path("ZONE", "file", path, sizeof(path)), NULL, 0));
}

static int try_weights_xattr(void)
{
	char path[512];

	return attack_result(setxattr(attack_path("ZONE", "file", path, sizeof(path)),
				      "trusted.attack", "x", 1, 0));
}

static int try_weights_allocate(void)
{
	char path[512];
	cleanup_fd int fd = open(attack_path("ZONE", "file", path, sizeof(path)),
				 O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : attack_result(fallocate(fd, 0, 0, 4096));
}

static int try_weights_fifo(void)
{
	char path[512];

	return attack_open(attack_path("ZONE", "pipe", path, sizeof(path)), O_RDWR | O_NONBLOCK);
}

static int file_control(int command, long argument)
{
	char path[512];
	cleanup_fd int fd = open(attack_path("ZONE", "file", path, sizeof(path)),
				 O_RDONLY | O_CLOEXEC);

	return fd < 0 ? attack_untried("no weights") : attack_result(fcntl(fd, command, argument));
}

static int try_weights_lease(void)
{
	return file_control(F_SETLEASE, F_RDLCK);
}

static int try_weights_lock(void)
{
	char path[512];
	cleanup_fd int fd = open(attack_path("ZONE", "file", path, sizeof(path)),
				 O_RDONLY | O_CLOEXEC);

	return attack_result(flock(fd, LOCK_EX | LOCK_NB));
}

static int try_watch_programs(void)
{
	cleanup_fd int fd = inotify_init1(IN_CLOEXEC);

	return attack_result(inotify_add_watch(fd, "/usr/bin", IN_OPEN));
}

ATTACK_FD(fanotify, syscall(SYS_fanotify_init, 0, 0))

static int try_usr_create(void)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/usr/custody-attack.%d", getpid());
	r = attack_open(path, O_WRONLY | O_CREAT);
	(void)unlink(path);
	return r;
}

/* ---- /proc ---- */

ATTACK_WRITE(core_pattern, "/proc/sys/kernel/core_pattern", NULL)
ATTACK_WRITE(modprobe, "/proc/sys/kernel/modprobe", NULL)
ATTACK_WRITE(sysrq, "/proc/sysrq-trigger", NULL)
ATTACK_WRITE(proc_hostname, "/proc/sys/kernel/hostname", NULL)
ATTACK_WRITE(overcommit, "/proc/sys/vm/overcommit_memory", NULL)
ATTACK_WRITE(ip_forward, "/proc/sys/net/ipv4/ip_forward", NULL)
ATTACK_WRITE(own_oom_score, "/proc/self/oom_score_adj", "-1000")
ATTACK_WRITE(own_coredump, "/proc/self/coredump_filter", "0xff")
ATTACK_WRITE(own_loginuid, "/proc/self/loginuid", NULL)
ATTACK_WRITE(own_comm, "/proc/self/comm", NULL)
ATTACK_READ(kcmdline, "/proc/cmdline")
ATTACK_READ(kallsyms, "/proc/kallsyms")
ATTACK_READ(modules, "/proc/modules")
ATTACK_READ(kcore, "/proc/kcore")
ATTACK_READ(kmsg, "/proc/kmsg")
ATTACK_READ(keys, "/proc/keys")
ATTACK_READ(key_users, "/proc/key-users")
ATTACK_READ(partitions, "/proc/partitions")
ATTACK_READ(diskstats, "/proc/diskstats")
ATTACK_READ(locks, "/proc/locks")
ATTACK_READ(interrupts, "/proc/interrupts")
ATTACK_READ(timer_list, "/proc/timer_list")
ATTACK_READ(slabinfo, "/proc/slabinfo")
ATTACK_FD(kpageflags, open("/proc/kpageflags", O_RDONLY | O_CLOEXEC))
ATTACK_READ(vmallocinfo, "/proc/vmallocinfo")
ATTACK_READ(init_environ, "/proc/1/environ")

#define ROW ATTACK_ROW
#define OPENED ATTACK_ROW_OPENED
static const struct attack attacks[] = {
	ROW(climb, "ENOENT", 0, "up and out by .."),
	ROW(link, "ENOENT", 0, "a link of one's own to the host's files"),
	ROW(link_init_root, "ENOENT", 0, "a link through init's root"),
	ROW(hard_link, "EXDEV", 0, "a hard link to the weights"),
	ROW(race_link, "ENOENT", 0, "a link that changes while it is opened"),
	ROW(rename_up, "ENOENT", 0, "a directory moved up below one's feet"),
	ROW(openat2_magic, "ENOENT", 0, "openat2() through a magic link"),
	ROW(secret, "ENOENT", 0, "/etc/shadow"),
	ROW(init_root, "ENOENT", 0, "init's root"),
	ROW(init_exe, "ENOENT", 0, "init's program, which is custody's"),
	ROW(init_cwd, "ENOENT", 0, "init's working directory"),
	ROW(victim_root, "ENOENT", 0, "the root of a process of the host"),
	ROW(sys_fs, "ENOENT", 0, "/sys"),
	ROW(cgroup_fs, "ENOENT", 0, "the cgroup file system"),
	ROW(bpf_fs, "ENOENT", 0, "custody's pins"),
	ROW(debug_fs, "ENOENT", 0, "debugfs"),
	ROW(chroot_dot, "EPERM", 0, "chroot()"),
	ROW(mount_tmpfs, "EPERM", 0, "a new mount"),
	ROW(mount_bind, "EPERM", 0, "a bind mount"),
	ROW(mount_remount, "EPERM", 0, "a remount without its flags"),
	ROW(mount_overlay, "EPERM", 0, "an overlay over the weights"),
	ROW(fs_open, "EPERM", 0, "fsopen()"),
	ROW(fs_pick, "EPERM", 0, "fspick()"),
	ROW(open_tree_clone, "EPERM", 0, "a detached copy of the root"),
	ROW(move_mount, "EPERM", 0, "moving /proc away"),
	ROW(mount_setattr, "EPERM", 0, "noexec taken off /proc"),
	ROW(umount_proc, "EPERM", 0, "unmounting /proc and its covers"),
	ROW(pivot_root, "EPERM", 0, "pivot_root()"),
	ROW(name_to_handle, "EPERM", 0, "name_to_handle_at()"),
	ROW(open_by_handle, "EPERM", 0, "open_by_handle_at()"),
	ROW(stdin_write, "EACCES", 0, "the file that is standard input, opened to be written"),
	ROW(stdin_truncate, "EACCES", 0, "the file that is standard input, cut"),
	ROW(stdout_reopen, "EACCES", 0, "standard output, opened again to be read"),
	ROW(stdout_chmod, "EPERM EACCES", 0, "the mode of standard output"),
	ROW(inherited, "EBADF", ATTACK_SILENT | ATTACK_INSIDE, "an inherited descriptor"),
	ROW(exe_overwrite, "EACCES EROFS ETXTBSY", ATTACK_INSIDE, "writing the running program"),
	ROW(weights_write, "EACCES EROFS", 0, "writing the weights"),
	ROW(weights_truncate, "EACCES EROFS", 0, "cutting the weights"),
	ROW(weights_unlink, "EACCES EROFS", 0, "removing the weights"),
	ROW(weights_create, "EACCES EROFS", 0, "a file beside the weights"),
	ROW(weights_chmod, "EACCES EROFS", 0, "the mode of the weights"),
	ROW(weights_times, "EACCES EROFS", 0, "the times of the weights"),
	ROW(weights_xattr, "EPERM", 0, "an attribute of the weights"),
	ROW(weights_allocate, "EACCES EROFS", 0, "fallocate() on the weights"),
	ROW(weights_fifo, "EACCES", 0, "a FIFO in the weights, opened to be written"),
	ROW(weights_lease, "EACCES", 0, "a lease on the weights"),
	ROW(weights_lock, "", ATTACK_KNOWN, "a lock on a shared zone"),
	ROW(watch_programs, "", ATTACK_KNOWN, "watching what others open in a shared zone"),
	ROW(fanotify, "EPERM", 0, "fanotify"),
	ROW(usr_create, "EROFS EACCES", 0, "a file in /usr"),
	ROW(core_pattern, "EACCES EROFS", 0, "opening core_pattern to write"),
	ROW(modprobe, "EACCES EROFS", 0, "opening the module loader's name to write"),
	ROW(sysrq, "EACCES EROFS", 0, "opening sysrq-trigger to write"),
	ROW(proc_hostname, "EACCES EROFS", 0, "opening the host name to write"),
	ROW(overcommit, "EACCES EROFS", 0, "opening the host's overcommit to write"),
	ROW(ip_forward, "EACCES EROFS", 0, "opening ip_forward to write"),
	ROW(own_oom_score, "EACCES", 0, "going last when memory runs out"),
	OPENED(own_coredump, "EACCES", 0, "jit=succeeded", "coredump_filter"),
	OPENED(own_loginuid, "EACCES EPERM", 0, "jit=succeeded", "the audit id"),
	OPENED(own_comm, "EACCES", 0, "jit=succeeded", "writing below /proc/self"),
	ROW(kcmdline, "EACCES", 0, "the host's command line"),
	ROW(kallsyms, "EACCES", 0, "kernel addresses"),
	ROW(modules, "EACCES", 0, "kernel modules"),
	ROW(kcore, "EACCES", 0, "kernel memory"),
	ROW(kmsg, "EACCES", 0, "the kernel's log"),
	ROW(keys, "EACCES", 0, "keys"),
	ROW(key_users, "EACCES", 0, "key quotas"),
	ROW(partitions, "EACCES", 0, "disks"),
	ROW(diskstats, "EACCES", 0, "disk statistics"),
	ROW(locks, "EACCES", 0, "file locks of the host"),
	ROW(interrupts, "EACCES", 0, "interrupts (keystrokes)"),
	ROW(timer_list, "EACCES", 0, "timers"),
	ROW(slabinfo, "EACCES", 0, "kernel memory by kind"),
	ROW(kpageflags, "EACCES", 0, "what physical pages hold"),
	ROW(vmallocinfo, "EACCES", 0, "kernel mappings"),
	ROW(init_environ, "ENOENT", 0, "init's environment"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
