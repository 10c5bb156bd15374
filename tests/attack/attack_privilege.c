/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks for privileges, and on kernel interfaces that have given them away before.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/securebits.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/io.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/quota.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

#define PRIVILEGE_SHM_BYTES (1UL << 34)

/* ---- identities ---- */

ATTACK_CALL(set_uid, setuid(geteuid() == 0 ? 1000 : 0))
ATTACK_CALL(set_resuid, setresuid(0, 0, 0))
ATTACK_CALL(set_gid, setgid(geteuid() == 0 ? 1000 : 0))
ATTACK_CALL(set_groups, setgroups(0, NULL))
ATTACK_CALL(set_fsuid, syscall(SYS_setfsuid, 0))
ATTACK_CALL(keep_caps, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
ATTACK_CALL(secure_bits, prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0))
ATTACK_CALL(drop_bounding, prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0))
ATTACK_CALL(ambient, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))

static int try_cap_set(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return attack_result(syscall(SYS_capset, &head, data));
}

/* A program with a bit that would make it root, or with capabilities of its file: what is it? */
static int privilege_read_status(const char *tool, const char *line, const char *nothing)
{
	char path[512];
	char text[4096] = "";
	const char *at;
	int ends[2];
	ssize_t n;
	pid_t pid;

	attack_path("TOOLS", tool, path, sizeof(path));
	if (access(path, X_OK) < 0)
		return attack_untried("there is no such program");
	if (pipe2(ends, 0) < 0 || (pid = fork()) < 0)
		return attack_untried("no process");
	if (pid == 0) {
		(void)dup2(ends[1], 1);
		(void)execl(path, path, "/proc/self/status", (char *)NULL);
		_exit(errno);
	}
	(void)close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	(void)waitpid(pid, NULL, 0);
	if (n <= 0)
		return attack_untried("the program said nothing");
	at = strstr(text, line);
	return at && strncmp(at + strlen(line), nothing, strlen(nothing)) == 0 ? -EPERM : 0;
}

static int try_setuid_file(void)
{
	char mine[32];

	(void)snprintf(mine, sizeof(mine), "%u\t%u", getuid(), getuid());
	return privilege_read_status("cat-setuid", "\nUid:\t", mine);
}

static int try_capable_file(void)
{
	return privilege_read_status("cat-capable", "\nCapEff:\t", "0000000000000000");
}

/* ---- kernel interfaces ---- */

static int try_bpf_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
				.max_entries = 1 };
	cleanup_fd int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : 0;
}

static int try_bpf_map_of_custody(void)
{
	union bpf_attr attr = { .start_id = 0 };

	return attack_result(syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &attr, sizeof(attr)));
}

static int try_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1 };
	cleanup_fd int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	return fd < 0 ? -errno : 0;
}

ATTACK_FD(userfault, syscall(SYS_userfaultfd, O_CLOEXEC))
ATTACK_FD(userfault_node, open("/dev/userfaultfd", O_RDWR | O_CLOEXEC))
ATTACK_CALL(key_add, syscall(SYS_add_key, "user", "custody-attack", "x", 1, -1 /* process */))
ATTACK_CALL(key_session, syscall(SYS_keyctl, 0, -3, 0, 0, 0))
ATTACK_CALL(key_request, syscall(SYS_request_key, "user", "custody-none", NULL, 0) < 0 &&
					 errno == ENOKEY ? 0 : -1)

static int try_uring(void)
{
	struct io_uring_params params = { 0 };
	cleanup_fd int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

	return fd < 0 ? -errno : 0;
}

static int try_uring_poll(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL };
	cleanup_fd int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

	return fd < 0 ? -errno : 0;
}

static int try_aio(void)
{
	unsigned long context = 0;
	int r = attack_result(syscall(SYS_io_setup, 1, &context));

	if (r == 0)
		(void)syscall(SYS_io_destroy, context);
	return r;
}

ATTACK_CALL(module, syscall(SYS_init_module, "x", 1, "") < 0 && errno == ENOEXEC ? 0 : -1)
ATTACK_CALL(module_file, syscall(SYS_finit_module, 0, "", 0) < 0 && errno != EPERM &&
					 errno != ENOSYS ? 0 : -1)
/* Unloads nothing: there is nothing. */
ATTACK_CALL(kexec, syscall(SYS_kexec_load, 0, 0, NULL, 0))
ATTACK_CALL(reboot, syscall(SYS_reboot, 0, 0, 0, NULL) < 0 && errno == EINVAL ? 0 : -1)
ATTACK_CALL(kernel_log, syscall(SYS_syslog, 10, NULL, 0))
ATTACK_CALL(swap_on, swapon("/nothing", 0) < 0 && errno == ENOENT ? 0 : -1)
ATTACK_CALL(swap_off, swapoff("/nothing") < 0 && errno == ENOENT ? 0 : -1)
ATTACK_CALL(account, acct("/nothing") < 0 && errno == ENOENT ? 0 : -1)
ATTACK_CALL(quota, quotactl(QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL))
ATTACK_CALL(ports, iopl(3))
ATTACK_CALL(port_bits, ioperm(0x80, 1, 1))
ATTACK_CALL(descriptors, syscall(SYS_modify_ldt, 0, NULL, 0))
ATTACK_CALL(host_name, sethostname("attack", 6))
ATTACK_CALL(domain_name, setdomainname("attack", 6))
ATTACK_CALL(hang_up, syscall(SYS_vhangup))

static int try_clock(void)
{
	/* Outside only asked: no time is set that is none. */
	const struct timespec none = { .tv_nsec = -1 };
	int r = attack_result(syscall(SYS_clock_settime, CLOCK_REALTIME, &none));

	return r == -EINVAL ? 0 : r;
}

static int try_time_of_day(void)
{
	const struct timeval none = { .tv_usec = -1 };
	int r = attack_result(syscall(SYS_settimeofday, &none, NULL));

	return r == -EINVAL ? 0 : r;
}

ATTACK_CALL(no_layout_chance, personality(ADDR_NO_RANDOMIZE))
ATTACK_CALL(read_is_exec, personality(READ_IMPLIES_EXEC))
ATTACK_CALL(map_null, ({
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	p == MAP_FAILED ? -1 : 0;
}))
ATTACK_CALL(mm_pointers, prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0) < 0 && errno == EINVAL ? 0 : -1)
ATTACK_CALL(speculation,
	    prctl(PR_SET_SPECULATION_CTRL, 99, 0, 0, 0) < 0 && errno == ENODEV ? 0 : -1)
ATTACK_CALL(deny_by_mdwe, prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0))
ATTACK_CALL(machine_check, prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0))
ATTACK_FD(secret_memory, syscall(SYS_memfd_secret, 0) < 0 && errno == ENOSYS && geteuid() == 0 ?
				 -1 : syscall(SYS_memfd_secret, 0))

/* ---- IPC of System V and POSIX ---- */

static int try_shm(void)
{
	int id = shmget(IPC_PRIVATE, PRIVILEGE_SHM_BYTES, IPC_CREAT | 0600);

	return id < 0 ? -errno : attack_result(shmctl(id, IPC_RMID, NULL));
}

static int try_semaphores(void)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

	return id < 0 ? -errno : attack_result(semctl(id, 0, IPC_RMID));
}

static int try_messages(void)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	return id < 0 ? -errno : attack_result(msgctl(id, IPC_RMID, NULL));
}

static int try_queue(void)
{
	int fd = (int)syscall(SYS_mq_open, "custody-attack", O_CREAT | O_RDWR, 0600, NULL);

	return fd < 0 ? -errno : attack_result(mq_unlink("/custody-attack"));
}

#define ROW ATTACK_ROW
static const struct attack attacks[] = {
	ROW(set_uid, "EPERM", 0, "setuid(0)"),
	ROW(set_resuid, "EPERM", 0, "setresuid(0, 0, 0)"),
	ROW(set_gid, "EPERM", 0, "setgid(0)"),
	ROW(set_groups, "EPERM", 0, "setgroups()"),
	ROW(set_fsuid, "EPERM", 0, "setfsuid(0)"),
	ROW(cap_set, "EPERM", 0, "capset()"),
	ROW(keep_caps, "EPERM", 0, "capabilities kept over setuid()"),
	ROW(secure_bits, "EPERM", 0, "securebits"),
	ROW(drop_bounding, "EPERM", 0, "the bounding set"),
	ROW(ambient, "EPERM", 0, "ambient capabilities"),
	ROW(setuid_file, "EPERM", ATTACK_USER | ATTACK_SILENT, "a program that is setuid root"),
	ROW(capable_file, "EPERM", ATTACK_USER | ATTACK_SILENT, "a program with file capabilities"),
	ROW(bpf_map, "EPERM", 0, "a BPF map"),
	ROW(bpf_map_of_custody, "EPERM", 0, "the ids of the kernel's BPF maps"),
	ROW(perf, "EPERM", 0, "perf_event_open()"),
	ROW(userfault, "EPERM", 0, "userfaultfd()"),
	ROW(userfault_node, "ENOENT", 0, "/dev/userfaultfd"),
	ROW(key_add, "EPERM", 0, "a key"),
	ROW(key_session, "EPERM", 0, "the session's keyring"),
	ROW(key_request, "EPERM", 0, "request_key(), which starts a program of the host"),
	ROW(uring, "EPERM", 0, "io_uring_setup()"),
	ROW(uring_poll, "EPERM", 0, "io_uring with a kernel thread"),
	ROW(aio, "ENOSYS", 0, "kernel AIO"),
	ROW(module, "EPERM", 0, "a kernel module from memory"),
	ROW(module_file, "EPERM", 0, "a kernel module from a file"),
	ROW(kexec, "EPERM", 0, "another kernel"),
	ROW(reboot, "EPERM", 0, "reboot()"),
	ROW(kernel_log, "EPERM", 0, "the kernel's log by syslog()"),
	ROW(swap_on, "EPERM", 0, "swapon()"),
	ROW(swap_off, "EPERM", 0, "swapoff()"),
	ROW(account, "EPERM", 0, "process accounting"),
	ROW(quota, "EPERM", 0, "quotactl()"),
	ROW(ports, "EPERM", 0, "iopl()"),
	ROW(port_bits, "EPERM", 0, "ioperm()"),
	ROW(descriptors, "EPERM", 0, "modify_ldt()"),
	ROW(host_name, "EPERM", 0, "sethostname()"),
	ROW(domain_name, "EPERM", 0, "setdomainname()"),
	ROW(hang_up, "EPERM", 0, "vhangup()"),
	ROW(clock, "EPERM", 0, "clock_settime()"),
	ROW(time_of_day, "EPERM", 0, "settimeofday()"),
	ROW(no_layout_chance, "EPERM", 0, "no randomised addresses"),
	ROW(read_is_exec, "EPERM", 0, "readable pages that are executable"),
	ROW(map_null, "EPERM", 0, "a page at address 0"),
	ROW(mm_pointers, "EPERM", 0, "PR_SET_MM"),
	ROW(speculation, "EPERM", 0, "the speculation controls"),
	ROW(deny_by_mdwe, "ENOSYS", 0, "an option of prctl() that no server needs"),
	ROW(machine_check, "ENOSYS", 0, "PR_MCE_KILL"),
	ROW(secret_memory, "EPERM", 0, "memory that the kernel itself cannot read"),
	ROW(shm, "ENOSPC", 0, "System V shared memory beyond the limit"),
	ROW(semaphores, "ENOSYS", 0, "System V semaphores"),
	ROW(messages, "ENOSYS", 0, "System V message queues"),
	ROW(queue, "ENOSYS", 0, "POSIX message queues"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
