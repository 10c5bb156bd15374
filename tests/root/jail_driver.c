/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A custodyd and a broker for tests of custody-jail alone: makes a plan from its arguments, gives
 * the order to build, answers the notifications, and says what it was told, line by line, on
 * standard error. Run by tests/root/1*-jail-*.sh as root.
 *
 * jail_driver JAIL SLOT [WORD VALUE]... -- PROGRAM [ARG]...
 *   runtime|data|weights|write|optional SOURCE:TARGET   a zone
 *   scratch|tmp|shm BYTES         a private zone
 *   program [-]PATH|none
 *   device PATH:MAJOR:MINOR       listen PORT            flag jit|loopback|memfd
 *   env NAME=VALUE                workdir DIR            files N      processes N    memory BYTES
 *   bind continue|refuse          what the broker answers (continue)
 *   set NUMBER                    enum plan_syscall_set   ioctls NUMBER   enum plan_ioctl_set
 *   hangup built|ready            close the channel when that has come, instead of the go
 *   after-go leave                end at once after the go, as a custodyd that is killed
 * Exit status: the jail's; 3 after REFUSED; 99 when something is not as the protocol says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <netinet/in.h>

#include "cleanup.h"
#include "message.h"
#include "plan.h"

#define DRIVER_FAILED 99
#define DRIVER_REFUSED 3

struct driver {
	struct custody_plan plan;
	const char *jail;
	__u32 slot;
	bool refuse_bind;
	bool leave;
	__u32 hangup;		/* message type, 0 = none */
	int channel;
	int broker;		/* our end */
	int listener;
	pid_t outer;
	pid_t init;
	bool programs;
};

static void driver_die(const char *what)
{
	(void)fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(DRIVER_FAILED);
}

static struct plan_string driver_add_string(struct custody_plan *plan, const char *text)
{
	struct plan_string s = { .off = plan->pool_used, .len = (__u32)strlen(text) };

	if (s.len == 0)
		return (struct plan_string){ 0 };
	if (plan->pool_used + s.len + 1 > PLAN_POOL_SIZE)
		exit(DRIVER_FAILED);
	memcpy(plan->pool + s.off, text, s.len + 1);
	plan->pool_used += s.len + 1;
	return s;
}

static struct plan_zone *driver_add_zone(struct custody_plan *plan, __u32 label, __u32 rights)
{
	struct plan_zone *zone = &plan->zones[plan->n_zones++];

	zone->label = label;
	zone->rights = rights;
	zone->origin = driver_add_string(plan, "test.conf:1 [files] zone");
	return zone;
}

static bool driver_take_bind(struct custody_plan *plan, const char *word, char *value)
{
	static const struct {
		const char *word;
		__u32 label;
		__u32 rights;
		__u32 flags;
	} rows[] = {
		{ "runtime", CUSTODY_LABEL_RUNTIME, CUSTODY_RIGHT_READ | CUSTODY_RIGHT_EXEC, 0 },
		{ "optional", CUSTODY_LABEL_DATA, CUSTODY_RIGHT_READ, PLAN_ZONE_OPTIONAL },
		{ "data", CUSTODY_LABEL_DATA, CUSTODY_RIGHT_READ, 0 },
		{ "weights", CUSTODY_LABEL_WEIGHTS, CUSTODY_RIGHT_READ, 0 },
		{ "write", CUSTODY_LABEL_WRITE,
		  CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE, 0 },
	};
	char *colon = strchr(value, ':');

	for (size_t i = 0; colon && i < ARRAY_SIZE(rows); i++) {
		struct plan_zone *zone;

		if (strcmp(word, rows[i].word) != 0)
			continue;
		*colon = '\0';
		zone = driver_add_zone(plan, rows[i].label, rows[i].rights);
		zone->flags = rows[i].flags;
		zone->source = driver_add_string(plan, value);
		zone->target = driver_add_string(plan, colon + 1);
		if (zone->label == CUSTODY_LABEL_WEIGHTS)
			plan->model_path = driver_add_string(plan, value);
		return true;
	}
	return false;
}

static bool driver_take_private(struct custody_plan *plan, const char *word, const char *value)
{
	static const struct {
		const char *word;
		const char *target;
		__u32 label;
	} rows[] = {
		{ "scratch", "/scratch", CUSTODY_LABEL_SCRATCH },
		{ "tmp", "/tmp", CUSTODY_LABEL_SCRATCH },
		{ "shm", "/dev/shm", CUSTODY_LABEL_SHM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_zone *zone;

		if (strcmp(word, rows[i].word) != 0)
			continue;
		zone = driver_add_zone(plan, rows[i].label,
				       CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE |
					       CUSTODY_RIGHT_CREATE);
		zone->size = strtoull(value, NULL, 10);
		zone->target = driver_add_string(plan, rows[i].target);
		return true;
	}
	return false;
}

static bool driver_take_number(struct custody_plan *plan, const char *word, const char *value)
{
	const unsigned long long n = strtoull(value, NULL, 10);

	if (strcmp(word, "files") == 0) {
		plan->limit_open_files = n;
	} else if (strcmp(word, "processes") == 0) {
		plan->limit_processes = n;
	} else if (strcmp(word, "memory") == 0) {
		plan->limit_memory = n;
	} else if (strcmp(word, "set") == 0) {
		plan->syscall_set = (__u32)n;
	} else if (strcmp(word, "ioctls") == 0) {
		plan->ioctl_set = (__u32)n;
	} else if (strcmp(word, "planes") == 0) {
		plan->planes_required = (__u32)n;
	} else if (strcmp(word, "listen") == 0) {
		struct plan_endpoint *endpoint = &plan->endpoints[plan->n_endpoints++];

		endpoint->kind = PLAN_ENDPOINT_LISTEN;
		endpoint->family = PLAN_FAMILY_INET;
		endpoint->protocol = IPPROTO_TCP;
		endpoint->port = (__u16)n;
		endpoint->address[0] = 127;
		endpoint->address[3] = 1;
	} else {
		return false;
	}
	return true;
}

static bool driver_take_device(struct custody_plan *plan, const char *word, char *value)
{
	struct plan_device *device = &plan->devices[plan->n_devices];
	char path[128];

	if (strcmp(word, "device") != 0 ||
	    sscanf(value, "%127[^:]:%u:%u", path, &device->major, &device->minor) != 3)
		return false;
	device->type = 'c';
	device->path = driver_add_string(plan, path);
	device->origin = driver_add_string(plan, "test.conf:2 [gpu] devices");
	plan->n_devices++;
	return true;
}

/* "none", a path, or a path after '-'. Without the word all of /usr/bin may be run. */
static void driver_add_program(struct driver *d, const char *value)
{
	struct plan_program *program = &d->plan.programs[d->plan.n_programs];
	bool optional = value[0] == '-';

	d->programs = true;
	if (strcmp(value, "none") == 0)
		return;
	program->flags = optional ? PLAN_ZONE_OPTIONAL : 0;
	program->path = driver_add_string(&d->plan, value + optional);
	program->origin = driver_add_string(&d->plan, "test.conf:4 [process] programs");
	d->plan.n_programs++;
}

static bool driver_take_text(struct driver *d, const char *word, const char *value)
{
	struct custody_plan *plan = &d->plan;

	if (strcmp(word, "env") == 0)
		plan->env[plan->n_env++] = driver_add_string(plan, value);
	else if (strcmp(word, "workdir") == 0)
		plan->workdir = driver_add_string(plan, value);
	else if (strcmp(word, "flag") == 0 && strcmp(value, "jit") == 0)
		plan->flags |= PLAN_FLAG_JIT;
	else if (strcmp(word, "flag") == 0 && strcmp(value, "loopback") == 0)
		plan->flags |= PLAN_FLAG_LOOPBACK;
	else if (strcmp(word, "flag") == 0 && strcmp(value, "memfd") == 0)
		plan->flags |= PLAN_FLAG_MEMFD;
	else if (strcmp(word, "program") == 0)
		driver_add_program(d, value);
	else if (strcmp(word, "bind") == 0)
		d->refuse_bind = strcmp(value, "refuse") == 0;
	else if (strcmp(word, "after-go") == 0)
		d->leave = strcmp(value, "leave") == 0;
	else if (strcmp(word, "hangup") == 0)
		d->hangup = strcmp(value, "built") == 0 ? MSG_JAIL_BUILT : MSG_JAIL_READY;
	else
		return false;
	return true;
}

static void driver_parse(struct driver *d, int argc, char **argv)
{
	struct custody_plan *plan = &d->plan;
	int i = 3;

	if (argc < 5)
		exit(DRIVER_FAILED);
	d->jail = argv[1];
	d->slot = (__u32)strtoul(argv[2], NULL, 10);
	for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
		if (!driver_take_bind(plan, argv[i], argv[i + 1]) &&
		    !driver_take_private(plan, argv[i], argv[i + 1]) &&
		    !driver_take_number(plan, argv[i], argv[i + 1]) &&
		    !driver_take_device(plan, argv[i], argv[i + 1]) &&
		    !driver_take_text(d, argv[i], argv[i + 1])) {
			(void)fprintf(stderr, "driver: unknown word %s\n", argv[i]);
			exit(DRIVER_FAILED);
		}
	}
	if (!d->programs)
		driver_add_program(d, "-/usr/bin");
	for (i++; i < argc; i++)
		plan->args[plan->n_args++] = driver_add_string(plan, argv[i]);
}

static void driver_begin_plan(struct custody_plan *plan)
{
	plan->magic = PLAN_MAGIC;
	plan->version = PLAN_VERSION;
	plan->size = sizeof(*plan);
	plan->pool_used = 1;
	(void)snprintf(plan->name, sizeof(plan->name), "jail-test");
	(void)snprintf(plan->profile, sizeof(plan->profile), "jail-test");
	plan->planes_required = CUSTODY_PLANE_STRUCTURE;
	plan->syscall_set = PLAN_SYSCALLS_MODEL_SERVER;
	plan->ioctl_set = PLAN_IOCTLS_ALL;
	plan->on_loss = PLAN_ON_LOSS_RECORD;
	plan->limit_processes = 64;
	plan->limit_open_files = 64;
	plan->workdir = driver_add_string(plan, "/");
	plan->command_origin = driver_add_string(plan, "test.conf:3 [process] command");
}

static int driver_seal_plan(const struct custody_plan *plan)
{
	const char *why = "";
	int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (!plan_check(plan, &why)) {
		(void)fprintf(stderr, "driver: plan refused: %s\n", why);
		exit(DRIVER_FAILED);
	}
	if (fd < 0 || write(fd, plan, sizeof(*plan)) != (ssize_t)sizeof(*plan) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		driver_die("memfd");
	return fd;
}

static void driver_start(struct driver *d)
{
	struct jail_build build = { .jail_id = 1, .slot = d->slot };
	int jail_end = -1;
	int broker_end = -1;
	int fds[5] = { driver_seal_plan(&d->plan), 0, 1, 2, -1 };

	if (message_make_pair(&d->channel, &jail_end) < 0 ||
	    message_make_pair(&d->broker, &broker_end) < 0)
		driver_die("socketpair");
	d->outer = fork();
	if (d->outer < 0)
		driver_die("fork");
	if (d->outer == 0) {
		/* An fd that custody-jail inherits and must close: a way to the host. */
		int leak = open("/", O_RDONLY | O_DIRECTORY);

		if (leak < 0 || dup2(jail_end, CUSTODY_CHANNEL_FD) < 0)
			_exit(DRIVER_FAILED);
		if (jail_end == CUSTODY_CHANNEL_FD)
			(void)fcntl(CUSTODY_CHANNEL_FD, F_SETFD, 0);
		(void)execl(d->jail, d->jail, (char *)NULL);
		_exit(DRIVER_FAILED);
	}
	fds[4] = broker_end;
	if (message_send(d->channel, ROLE_WARDEN, MSG_JAIL_BUILD, 7, &build, sizeof(build), fds,
			 5) < 0)
		driver_die("JAIL_BUILD");
	(void)close(jail_end);
	(void)close(broker_end);
	(void)close(fds[0]);
}

static void driver_print_built(const struct jail_built *built)
{
	(void)fprintf(stderr, "built pid=%u zones=%u scratch=%d noswap=%u\n", built->pid,
		      built->n_zones, built->scratch_dev[0] != 0, built->scratch_noswap);
	for (__u32 i = 0; i < built->n_zones; i++)
		(void)fprintf(stderr, "zone id=%llu label=%u rights=%u %s\n",
			      (unsigned long long)built->zones[i].mount_id, built->zones[i].label,
			      built->zones[i].rights, built->zones[i].target);
}

static const char *driver_print_structure(__u32 structure, char text[512])
{
	static const char *const names[] = {
#define DRIVER_NAME(name, json, what) json,
		EVIDENCE_STRUCTURE(DRIVER_NAME)
#undef DRIVER_NAME
	};
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (structure & (1U << i))
			n += (size_t)snprintf(text + n, 512 - n, "%s%s", n ? "," : "", names[i]);
	}
	return text;
}

static void driver_print_ready(const struct jail_ready *ready)
{
	char text[512];

	(void)fprintf(
	    stderr,
	    "ready nnp=%u seccomp=%u caps=%llu uid=%u gid=%u mounts=%u fds=%u landlock=%u "
	    "structure=%s\n",
	    ready->no_new_privs, ready->seccomp,
	    (unsigned long long)(ready->cap_permitted | ready->cap_effective |
				 ready->cap_inheritable | ready->cap_bounding | ready->cap_ambient),
	    ready->uid, ready->gid, ready->n_mounts, ready->n_fds, ready->landlock_abi,
	    driver_print_structure(ready->structure, text));
}

/* Waits until every process of the jail is gone; the init's status. */
static int driver_reap(const struct driver *d)
{
	int result = DRIVER_FAILED;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0) {
		if (pid == d->init)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return result;
}

static void driver_refused(struct driver *d, const struct refused *refused)
{
	(void)fprintf(stderr, "refused exit=%u errno=%s: %s\n", refused->exit,
		      refused->error ? strerrorname_np(-refused->error) : "0", refused->text);
	(void)close(d->channel);
	(void)driver_reap(d);
	exit(DRIVER_REFUSED);
}

/* Next message of the jail, which must be `type`; exits on REFUSED. */
static void driver_expect(struct driver *d, __u32 type, union message_buffer *buf)
{
	int r = message_recv_timeout(d->channel, ROLE_WARDEN, ROLE_JAIL,
				     MSG_BIT(type) | MSG_BIT(MSG_REFUSED), buf, NULL, 30000);

	if (r < 0) {
		errno = -r;
		driver_die(message_type_name(type));
	}
	if (buf->head.type == MSG_REFUSED)
		driver_refused(d, (const struct refused *)buf);
	if (type == MSG_JAIL_BUILT)
		d->init = (pid_t)((const struct jail_built *)buf)->pid;
	if (d->hangup == type) {
		(void)close(d->channel);
		(void)fprintf(stderr, "hung up\n");
		exit(driver_reap(d) == EXIT_FAILURE ? EXIT_SUCCESS : DRIVER_FAILED);
	}
}

static void driver_take_listener(struct driver *d)
{
	struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer buf;

	d->listener = -1;
	if (message_recv_timeout(d->broker, ROLE_BROKER, ROLE_JAIL, MSG_BIT(MSG_BROKER_LISTENER),
				 &buf, &fds, 10000) == 0)
		d->listener = fds.fd[0];
	(void)fprintf(stderr, "listener %s\n", d->listener >= 0 ? "given" : "none");
}

static void driver_answer(const struct driver *d)
{
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp answer = { 0 };

	if (ioctl(d->listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return;
	answer.id = request.id;
	if (d->refuse_bind)
		answer.error = -EACCES;
	else
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(d->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Answers until the last process of the jail has closed its filter. */
static void driver_serve(const struct driver *d)
{
	struct pollfd p = { .fd = d->listener, .events = POLLIN };

	while (d->listener >= 0) {
		if (poll(&p, 1, 60000) <= 0 || (p.revents & POLLHUP))
			return;
		if (p.revents & POLLIN)
			driver_answer(d);
	}
}

/* Also with a listener: end of the channel means that exec succeeded. */
static void driver_await_exec(struct driver *d)
{
	union message_buffer buf;
	int r = message_recv_timeout(d->channel, ROLE_WARDEN, ROLE_JAIL, MSG_BIT(MSG_REFUSED), &buf,
				     NULL, 30000);

	if (r == 0)
		driver_refused(d, (const struct refused *)&buf);
	if (r != -ENODATA) {
		errno = -r;
		driver_die("end of channel");
	}
	(void)fprintf(stderr, "executed\n");
}

int main(int argc, char **argv)
{
	static struct driver d = { .channel = -1, .broker = -1, .listener = -1 };
	struct jail_go go = { 0 };
	union message_buffer buf;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		driver_die("subreaper");
	driver_begin_plan(&d.plan);
	driver_parse(&d, argc, argv);
	driver_start(&d);
	driver_expect(&d, MSG_JAIL_BUILT, &buf);
	driver_print_built((const struct jail_built *)&buf);
	driver_expect(&d, MSG_JAIL_READY, &buf);
	driver_print_ready((const struct jail_ready *)&buf);
	driver_take_listener(&d);
	if (MESSAGE_SEND(d.channel, ROLE_WARDEN, JAIL_GO, 7, &go) < 0)
		driver_die("JAIL_GO");
	driver_await_exec(&d);
	if (d.leave)
		return EXIT_SUCCESS;
	driver_serve(&d);
	return driver_reap(&d);
}
