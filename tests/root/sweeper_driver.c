/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper, root: asks the real custody-sweeper as custodyd does and prints its facts.
 *
 *   sweeper_driver -s SWEEPER [-c CGROUP] [-M ID] [-B ID] [-d DEV]... [-n KIND=INODE]...
 *                  [-g KIND]... [-a KIND]... [-e PROTOCOL/ADDRESS/PORT]... [-u PATH]...
 *                  [-m MODEL]
 *
 * -M, -B: cgroup ids of model and broker. KIND: position in enum jail_namespace; -g: gone,
 * -a: alive, as the kernel told custodyd. Prints first
 * what the kernel says of the confined sweeper, then one line for each fact:
 * "NAME value=N looked=N unseen=N DETAIL". Exits with the sweeper's status; 64 + the refusal's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "message.h"

static const char *const driver_facts[_FACT_MAX] = {
#define DRIVER_NAME(name, json, what) [FACT_##name] = json,
	EVIDENCE_FACTS(DRIVER_NAME)
#undef DRIVER_NAME
};

static __attribute__((noreturn)) void driver_fail(const char *what)
{
	perror(what);
	exit(99);
}

static struct reply_endpoint *driver_next_endpoint(struct sweep_request *request)
{
	struct reply_endpoint *e = &request->endpoints[request->n_endpoints++];

	e->kind = PLAN_ENDPOINT_LISTEN;
	return e;
}

static void driver_add_endpoint(struct sweep_request *request, char *text)
{
	struct reply_endpoint *e = driver_next_endpoint(request);
	char *address = strchr(text, '/');
	char *port = strrchr(text, '/');

	if (!address || address == port)
		driver_fail(text);
	*address++ = '\0';
	*port++ = '\0';
	e->protocol = strcmp(text, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	e->port = (__u16)atoi(port);
	e->family = strchr(address, ':') ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET;
	if (inet_pton(e->family == PLAN_FAMILY_INET ? AF_INET : AF_INET6, address, e->address) != 1)
		driver_fail(address);
}

static void driver_add_unix(struct sweep_request *request, const char *path)
{
	struct reply_endpoint *e = driver_next_endpoint(request);

	e->family = PLAN_FAMILY_UNIX;
	(void)snprintf(e->path, sizeof(e->path), "%s", path);
}

static void driver_set_namespace(struct sweep_request *request, const char *text)
{
	unsigned int kind;
	unsigned long long inode;

	if (sscanf(text, "%u=%llu", &kind, &inode) != 2 || kind >= _JAIL_NS_MAX)
		driver_fail(text);
	request->ns_inode[kind] = inode;
}

static void driver_add_scratch(struct sweep_request *request, const char *text)
{
	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		if (request->scratch_dev[i] != 0)
			continue;
		request->scratch_dev[i] = strtoull(text, NULL, 10);
		return;
	}
	driver_fail("too many -d");
}

static pid_t driver_start(const char *sweeper, int channel)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(channel, CUSTODY_CHANNEL_FD) < 0 ||
	    (channel == CUSTODY_CHANNEL_FD && fcntl(channel, F_SETFD, 0) < 0))
		driver_fail("channel");
	execl(sweeper, sweeper, (char *)NULL);
	driver_fail(sweeper);
}

/* The sweeper confines itself before it takes the request: wait for that and show it. */
static void driver_show_confinement(pid_t pid)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { 0 };
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/status", pid);
	for (int i = 0; i < 500 && status.seccomp != 2; i++) {
		if (confine_read_status(proc, path, &status) < 0)
			return;
		(void)usleep(10000);
	}
	(void)printf("confined uid=%u gid=%u caps=%llx bounding=%llx nnp=%u seccomp=%u\n",
		     status.uid[1], status.gid[1], (unsigned long long)status.cap_effective,
		     (unsigned long long)status.cap_bounding, status.no_new_privs, status.seccomp);
}

static int driver_take_facts(int channel)
{
	const __u64 permit = MSG_BIT(MSG_SWEEP_FACT) | MSG_BIT(MSG_SWEEP_DONE) |
			     MSG_BIT(MSG_REFUSED);
	union message_buffer message;
	const struct sweep_fact *one = (const struct sweep_fact *)&message;
	const struct sweep_done *done = (const struct sweep_done *)&message;
	const struct refused *refused = (const struct refused *)&message;
	unsigned int n = 0;

	for (;;) {
		const struct evidence_fact *fact = &one->fact;
		int r = message_recv(channel, ROLE_WARDEN, ROLE_SWEEPER, permit, &message, NULL);

		if (r < 0)
			return 98;
		if (message.head.type == MSG_REFUSED) {
			(void)printf("refused: %s\n", refused->text);
			return 64 + (int)refused->exit;
		}
		if (message.head.type == MSG_SWEEP_DONE)
			return done->n_facts == n ? 0 : 97;
		n++;
		(void)printf("%s value=%llu looked=%u unseen=%u %s\n",
			     fact->fact < _FACT_MAX ? driver_facts[fact->fact] : "?",
			     (unsigned long long)fact->value, fact->looked, fact->unseen,
			     fact->detail);
	}
}

static bool driver_take_option(struct sweep_request *request, int option, char *value)
{
	switch (option) {
	case 'c':
		(void)snprintf(request->cgroup, sizeof(request->cgroup), "%s", value);
		return true;
	case 'm':
		(void)snprintf(request->model, sizeof(request->model), "%s", value);
		return true;
	case 'M':
		request->cgroup_model = strtoull(value, NULL, 10);
		return true;
	case 'B':
		request->cgroup_broker = strtoull(value, NULL, 10);
		return true;
	case 'd':
		driver_add_scratch(request, value);
		return true;
	case 'g':
		request->ns_gone |= 1U << atoi(value);
		return true;
	case 'a':
		request->ns_alive |= 1U << atoi(value);
		return true;
	case 'n':
		driver_set_namespace(request, value);
		return true;
	case 'e':
		driver_add_endpoint(request, value);
		return true;
	case 'u':
		driver_add_unix(request, value);
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct sweep_request request = { .jail_id = 7, .phase = EVIDENCE_BEFORE_ERASE };
	const char *sweeper = NULL;
	int channel[2];
	int option;
	int status;
	int r;
	pid_t pid;

	while ((option = getopt(argc, argv, "s:c:M:B:d:n:g:a:e:u:m:")) != -1) {
		if (option == 's')
			sweeper = optarg;
		else if (!driver_take_option(&request, option, optarg))
			return 2;
	}
	if (!sweeper || message_make_pair(&channel[0], &channel[1]) < 0)
		return 2;
	pid = driver_start(sweeper, channel[1]);
	(void)close(channel[1]);
	driver_show_confinement(pid);
	/* A sweeper that refused is gone by now; what it said is still to be read. */
	(void)MESSAGE_SEND(channel[0], ROLE_WARDEN, SWEEP_REQUEST, 1, &request);
	r = driver_take_facts(channel[0]);
	if (waitpid(pid, &status, 0) != pid)
		driver_fail("waitpid");
	if (r != 0)
		return r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}
