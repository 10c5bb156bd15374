/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes system calls by number and says what the kernel answered. Run by scripts beside it on the
 * host and in jails; never as root on the host with `table`, which makes every call there is.
 *
 * syscall_probe table [LAST]         each number from 0: "NUMBER ANSWER ANSWER", with arguments
 *                                    of all zeros and of all ones, each in its own process
 * syscall_probe call NUMBER [ARG]... one call: its answer; probe_site is the instruction after it
 * syscall_probe site                 where probe_site is in the file, by /proc/self/maps
 * syscall_probe ioctl PATH VALUE...  "VALUE ANSWER" each, all 64 bits of the value
 * syscall_probe i386|x32             getpid() by the other ABI: "allowed" when it is the pid
 * syscall_probe time ROUNDS NUMBER [ARG]   nanoseconds of that many such calls
 *
 * An ANSWER is "allowed", the name of an errno, or "ended": the process did not come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_ENDED (-4096)
#define PROBE_LAST 500
#define PROBE_TICK_US 200000	/* what waits is interrupted by it, again and again */
#define X32_BIT 0x40000000L

extern const char probe_site[];

/* noinline: the label is there once. A child of fork, vfork or clone ends here. */
static __attribute__((noinline)) long probe_call(long nr, const long args[6])
{
	register long a3 __asm__("r10") = args[3];
	register long a4 __asm__("r8") = args[4];
	register long a5 __asm__("r9") = args[5];
	long r;

	__asm__ volatile("syscall\n\t.globl probe_site\nprobe_site:"
			 : "=a"(r)
			 : "a"(nr), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(a3), "r"(a4),
			   "r"(a5)
			 : "rcx", "r11", "memory");
	if (r == 0 && (nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone))
		__asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(0) : "rcx", "r11");
	return r;
}

static const char *probe_name(long r)
{
	if (r == PROBE_ENDED)
		return "ended";
	return r < 0 && r > -4096 ? strerrorname_np((int)-r) : "allowed";
}

static void probe_tick(int sig)
{
	(void)sig;
}

static void probe_child(long nr, long value, volatile long *ret)
{
	const struct sigaction action = { .sa_handler = probe_tick };
	const struct itimerval tick = { { 0, PROBE_TICK_US }, { 0, PROBE_TICK_US } };
	const long args[6] = { value, value, value, value, value, value };

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &tick, NULL);
	*ret = probe_call(nr, args);
	_exit(0);
}

/* In a session of its own, so that a signal to the group stays there. */
static const char *probe_try(long nr, long value, volatile long *result)
{
	pid_t pid;

	*result = PROBE_ENDED;
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		probe_child(nr, value, result);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return "failed";
	return probe_name(*result);
}

static int probe_table(long last)
{
	volatile long *result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (result == MAP_FAILED)
		return EXIT_FAILURE;
	for (long nr = 0; nr <= last; nr++) {
		const char *zeros = probe_try(nr, 0, result);

		(void)printf("%ld %s ", nr, zeros);
		(void)printf("%s\n", probe_try(nr, -1, result));
		(void)fflush(stdout);
	}
	return EXIT_SUCCESS;
}

static int probe_one(int argc, char **argv)
{
	long args[6] = { 0 };

	for (int i = 3; i < argc && i < 9; i++)
		args[i - 3] = (long)strtoul(argv[i], NULL, 0);
	(void)printf("%s\n", probe_name(probe_call(strtol(argv[2], NULL, 0), args)));
	return EXIT_SUCCESS;
}

static int probe_find_site(void)
{
	const unsigned long site = (unsigned long)probe_site;
	unsigned long start, end, offset;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && site >= start &&
		    site < end)
			(void)printf("%lu\n", site - start + offset);
	}
	return maps && fclose(maps) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int probe_ioctl(int argc, char **argv)
{
	static char space[1 << 16];
	cleanup_fd int fd = open(argv[2], O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		(void)printf("open %s\n", strerrorname_np(errno));
		return EXIT_FAILURE;
	}
	for (int i = 3; i < argc; i++) {
		const long args[6] = { fd, (long)strtoul(argv[i], NULL, 0), (long)space };

		(void)printf("%s %s\n", argv[i], probe_name(probe_call(SYS_ioctl, args)));
	}
	return EXIT_SUCCESS;
}

static int probe_foreign(bool x32)
{
	static const long none[6];
	long r = x32 ? X32_BIT | SYS_getpid : 20; /* asm/unistd_32.h, __NR_getpid */

	if (x32)
		r = probe_call(r, none);
	else
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	(void)printf("%s\n", r == getpid() ? "allowed" : probe_name(r));
	return EXIT_SUCCESS;
}

static int probe_time(long rounds, long nr, long arg)
{
	const long args[6] = { arg };
	struct timespec begin, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long i = 0; i < rounds; i++)
		(void)probe_call(nr, args);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	(void)printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec -
				       begin.tv_nsec);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "table") == 0)
		return probe_table(argc > 2 ? strtol(argv[2], NULL, 0) : PROBE_LAST);
	if (argc == 2 && strcmp(argv[1], "site") == 0)
		return probe_find_site();
	if (argc >= 3 && strcmp(argv[1], "call") == 0)
		return probe_one(argc, argv);
	if (argc >= 4 && strcmp(argv[1], "ioctl") == 0)
		return probe_ioctl(argc, argv);
	if (argc == 2 && (strcmp(argv[1], "i386") == 0 || strcmp(argv[1], "x32") == 0))
		return probe_foreign(argv[1][0] == 'x');
	if (argc >= 4 && strcmp(argv[1], "time") == 0)
		return probe_time(strtol(argv[2], NULL, 0), strtol(argv[3], NULL, 0),
				  argc > 4 ? strtol(argv[4], NULL, 0) : 0);
	return 2;
}
