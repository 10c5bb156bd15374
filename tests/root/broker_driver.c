/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper, root: runs a command as a jail's broker would see it, without a jail.
 *
 *   broker_driver [-l] [-2] [-c] [-x LIMIT] -b BROKER -o DIR [-e ENDPOINT]... -- COMMAND...
 *
 * Starts the real custody-broker with a plan of the ENDPOINTs ("tcp:127.0.0.1:80",
 * "tcp:[::1]:80", "udp:...", "unix:/path"), then COMMAND in a new user namespace (owned by the
 * broker's uid) and network namespace, under a seccomp filter that sends bind() to the broker.
 *
 *   -l  PLAN_FLAG_LOOPBACK
 *   -2  tries to send a second listener
 *   -c  closes custodyd's end before COMMAND starts
 *   -x  bytes of one log file
 *
 * DIR gets `events`, `log.a`, `log.b` and, once the endpoints listen, `ready`. Exits with
 * COMMAND's status; 64 + the exit code of a refusal (67: the text is on standard error).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "message.h"
#include "plan.h"

#define DRIVER_SLOT 200U	/* far from what a custodyd of another test gives out */
#define DRIVER_BASE (CUSTODY_UID_JAIL_BASE + DRIVER_SLOT * CUSTODY_UID_JAIL_BLOCK)

struct driver {
	const char *broker;
	const char *directory;
	bool second;
	bool alone;
	__u64 log_limit;
	char **command;
	struct custody_plan *plan;
};

static __attribute__((noreturn)) void driver_fail(const char *what)
{
	perror(what);
	exit(99);
}

static struct plan_string driver_add_string(struct custody_plan *plan, const char *text)
{
	struct plan_string s = { .off = plan->pool_used, .len = (__u32)strlen(text) };

	memcpy(plan->pool + s.off, text, s.len + 1);
	plan->pool_used += s.len + 1;
	return s;
}

/* "tcp:ADDRESS:PORT", "udp:[ADDRESS]:PORT" or "unix:PATH" */
static void driver_add_endpoint(struct custody_plan *plan, char *text)
{
	struct plan_endpoint *e = &plan->endpoints[plan->n_endpoints++];
	char *address = strchr(text, ':');
	char *port = strrchr(text, ':');

	e->kind = PLAN_ENDPOINT_LISTEN;
	e->origin = driver_add_string(plan, "test.ini:7 [network] listen");
	if (!address)
		driver_fail("endpoint");
	*address++ = '\0';
	if (strcmp(text, "unix") == 0) {
		e->family = PLAN_FAMILY_UNIX;
		e->path = driver_add_string(plan, address);
		return;
	}
	*port++ = '\0';
	e->protocol = strcmp(text, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	e->port = (__u16)atoi(port);
	e->family = *address == '[' ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET;
	if (*address == '[') {
		address++;
		address[strlen(address) - 1] = '\0';
	}
	if (inet_pton(e->family == PLAN_FAMILY_INET ? AF_INET : AF_INET6, address, e->address) != 1)
		driver_fail(address);
}

static struct custody_plan *driver_make_plan(void)
{
	struct custody_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		driver_fail("calloc");
	plan->magic = PLAN_MAGIC;
	plan->version = PLAN_VERSION;
	plan->size = sizeof(*plan);
	(void)snprintf(plan->name, sizeof(plan->name), "broker-test");
	(void)snprintf(plan->profile, sizeof(plan->profile), "broker-test");
	plan->planes_required = CUSTODY_PLANE_STRUCTURE;
	plan->syscall_set = PLAN_SYSCALLS_MODEL_SERVER;
	plan->ioctl_set = PLAN_IOCTLS_ALL;
	plan->on_loss = PLAN_ON_LOSS_RECORD;
	plan->limit_processes = 64;
	plan->limit_open_files = 1024;
	plan->pool_used = 1;
	plan->n_args = 1;
	plan->args[0] = driver_add_string(plan, "/bin/true");
	plan->workdir = driver_add_string(plan, "/");
	return plan;
}

static int driver_seal_plan(const struct custody_plan *plan)
{
	int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, plan, sizeof(*plan)) != (ssize_t)sizeof(*plan) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		driver_fail("plan");
	return fd;
}

static int driver_open_file(const struct driver *driver, const char *name)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", driver->directory, name);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		driver_fail(path);
	return fd;
}

static pid_t driver_start_broker(const struct driver *driver, int channel)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(channel, CUSTODY_CHANNEL_FD) < 0 ||
	    (channel == CUSTODY_CHANNEL_FD && fcntl(channel, F_SETFD, 0) < 0))
		driver_fail("channel");
	execl(driver->broker, driver->broker, (char *)NULL);
	driver_fail(driver->broker);
}

static void driver_send_listener(const struct driver *driver, int jail, int listener)
{
	struct broker_listener message = { 0 };
	struct pollfd p = { .fd = jail, .events = POLLIN };

	if (message_send(jail, ROLE_JAIL, MSG_BROKER_LISTENER, 0, &message, sizeof(message),
			 &listener, 1) < 0)
		driver_fail("listener");
	/* The broker closes its end after the first: it serves, a second cannot be sent. */
	if (poll(&p, 1, 5000) != 1)
		driver_fail("listener not taken");
	if (driver->second) {
		int r = message_send(jail, ROLE_JAIL, MSG_BROKER_LISTENER, 0, &message,
				     sizeof(message), &listener, 1);

		(void)dprintf(STDOUT_FILENO, "second listener: %s\n",
			      r < 0 ? strerror(-r) : "taken");
	}
}

static int driver_load_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(bind), 0) < 0 ||
	    seccomp_load(ctx) < 0)
		driver_fail("seccomp");
	return seccomp_notify_fd(ctx);
}

static void driver_raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		driver_fail("lo");
}

/* The jail's side: namespaces as the broker's uid, then the model's uid, filter, command. */
static void driver_run_command(const struct driver *driver, int sync, int jail, int log)
{
	const uid_t owner = DRIVER_BASE + CUSTODY_UID_BROKER_OFF;
	const uid_t inside = CUSTODY_UID_MODEL_INSIDE;
	int listener;
	char byte;

	if (setresgid(owner, owner, owner) < 0 || setresuid(owner, owner, owner) < 0 ||
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		driver_fail("unshare");
	driver_raise_loopback();
	if (write(sync, "u", 1) != 1 || read(sync, &byte, 1) != 1)
		driver_fail("sync");
	if (setresgid(inside, inside, inside) < 0 || setresuid(inside, inside, inside) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		driver_fail("setresuid");
	listener = driver_load_filter();
	driver_send_listener(driver, jail, listener);
	if (write(sync, "l", 1) != 1 || read(sync, &byte, 1) != 1)
		driver_fail("sync");
	(void)close(listener);
	(void)close(jail);
	if (dup2(log, STDERR_FILENO) < 0)
		driver_fail("stderr");
	execvp(driver->command[0], driver->command);
	driver_fail(driver->command[0]);
}

static void driver_write_map(pid_t pid, const char *file)
{
	char path[64];
	char line[64];
	int n = snprintf(line, sizeof(line), "%u %u 1\n", CUSTODY_UID_MODEL_INSIDE,
			 DRIVER_BASE + CUSTODY_UID_MODEL_OFF);
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		driver_fail(path);
}

/* With -c, closes custodyd's end as soon as the broker has its listener. */
static pid_t driver_start_command(const struct driver *driver, int *channel, int jail, int log)
{
	int sync[2];
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync) < 0)
		driver_fail("socketpair");
	pid = fork();
	if (pid == 0) {
		(void)close(sync[0]);
		driver_run_command(driver, sync[1], jail, log);
	}
	(void)close(sync[1]);
	if (pid < 0 || read(sync[0], &byte, 1) != 1)
		driver_fail("command");
	driver_write_map(pid, "uid_map");
	driver_write_map(pid, "gid_map");
	if (write(sync[0], "m", 1) != 1 || read(sync[0], &byte, 1) != 1)
		driver_fail("sync");
	if (driver->alone)
		cleanup_close_fd(channel);
	if (write(sync[0], "g", 1) != 1)
		driver_fail("sync");
	(void)close(sync[0]);
	return pid;
}

static void driver_print_event(int file, const struct broker_event *message)
{
	const struct custody_event *e = &message->event;
	char address[INET6_ADDRSTRLEN] = "-";

	if (e->family == 4 || e->family == 6)
		(void)inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->address, address,
				sizeof(address));
	(void)dprintf(file,
		      "verdict=%u jail=%u pid=%u tid=%u class=%u object=%u plane=%u family=%u "
		      "protocol=%u port=%u address=%s error=%d comm=%.16s path=%.*s lost=%llu\n",
		      e->verdict, e->jail_id, e->pid, e->tid, e->class, e->object, e->plane,
		      e->family, e->protocol, e->port, address, e->error, e->comm, e->path_len,
		      e->path, (unsigned long long)message->lost);
}

/*
 * Takes events until the broker closes the channel, and the command's status as soon as it ends:
 * before Linux 6.11 a zombie keeps its filter, and the broker its listener, until it is reaped.
 */
static int driver_take_events(const struct driver *driver, int channel, pid_t command)
{
	cleanup_fd int file = driver_open_file(driver, "events");
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, command, 0);
	struct pollfd p[] = {
		{ .fd = channel, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN },
	};
	union message_buffer message;
	int status = 0;

	if (pidfd < 0)
		driver_fail("pidfd_open");
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0)
			driver_fail("poll");
		if (p[1].fd >= 0 && p[1].revents && waitpid(command, &status, 0) == command)
			p[1].fd = -1;
		if (p[0].fd < 0 || !p[0].revents)
			continue;
		if (message_recv(channel, ROLE_WARDEN, ROLE_BROKER, MSG_BIT(MSG_BROKER_EVENT),
				 &message, NULL) == 0)
			driver_print_event(file, (const struct broker_event *)&message);
		else
			p[0].fd = -1;
	}
	return status;
}

static void driver_wait_listening(const struct driver *driver, int channel)
{
	union message_buffer message;
	const struct broker_listening *listening = (const struct broker_listening *)&message;
	int r = message_recv(channel, ROLE_WARDEN, ROLE_BROKER,
			     MSG_BIT(MSG_BROKER_LISTENING) | MSG_BIT(MSG_REFUSED), &message, NULL);

	if (r < 0) {
		(void)fprintf(stderr, "broker: %s\n", strerror(-r));
		exit(98);
	}
	if (message.head.type == MSG_REFUSED) {
		const struct refused *refused = (const struct refused *)&message;

		(void)fprintf(stderr, "refused: %s\n", refused->text);
		exit(64 + (int)refused->exit);
	}
	(void)dprintf(driver_open_file(driver, "ready"), "%u\n", listening->n_endpoints);
}

/* DIR/rejoin: what a later custodyd would connect to */
static int driver_open_rejoin(const struct driver *driver)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/rejoin", driver->directory);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		driver_fail(un.sun_path);
	return fd;
}

static int driver_run(const struct driver *driver)
{
	struct broker_setup setup = { .jail_id = 7, .slot = DRIVER_SLOT,
				      .log_limit = driver->log_limit };
	int channel[2];
	int jail[2];
	int log[2];
	int fds[6];
	int status;
	int broker_status;
	pid_t broker;
	pid_t command;

	if (message_make_pair(&channel[0], &channel[1]) < 0 ||
	    message_make_pair(&jail[0], &jail[1]) < 0 || pipe2(log, O_CLOEXEC) < 0)
		driver_fail("pairs");
	broker = driver_start_broker(driver, channel[1]);
	(void)close(channel[1]);
	fds[0] = driver_seal_plan(driver->plan);
	fds[1] = jail[0];
	fds[2] = log[0];
	fds[3] = driver_open_file(driver, "log.a");
	fds[4] = driver_open_file(driver, "log.b");
	fds[5] = driver_open_rejoin(driver);
	if (message_send(channel[0], ROLE_WARDEN, MSG_BROKER_SETUP, 0, &setup, sizeof(setup), fds,
			 6) < 0)
		driver_fail("setup");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	driver_wait_listening(driver, channel[0]);
	command = driver_start_command(driver, &channel[0], jail[1], log[1]);
	(void)close(jail[1]);
	(void)close(log[1]);
	status = driver_take_events(driver, channel[0], command);
	if (waitpid(broker, &broker_status, 0) != broker)
		driver_fail("waitpid");
	if (!WIFEXITED(broker_status) || WEXITSTATUS(broker_status) != 0) {
		(void)fprintf(stderr, "broker: wait status %#x\n", (unsigned int)broker_status);
		return 97;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	struct driver driver = { .log_limit = 1 << 20, .plan = driver_make_plan() };
	int option;

	while ((option = getopt(argc, argv, "+l2cx:b:o:e:")) != -1) {
		switch (option) {
		case 'l':
			driver.plan->flags |= PLAN_FLAG_LOOPBACK;
			break;
		case '2':
			driver.second = true;
			break;
		case 'c':
			driver.alone = true;
			break;
		case 'x':
			driver.log_limit = strtoull(optarg, NULL, 10);
			break;
		case 'b':
			driver.broker = optarg;
			break;
		case 'o':
			driver.directory = optarg;
			break;
		case 'e':
			driver_add_endpoint(driver.plan, optarg);
			break;
		default:
			return 2;
		}
	}
	if (!driver.broker || !driver.directory || !argv[optind])
		return 2;
	driver.command = argv + optind;
	return driver_run(&driver);
}
