/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-broker: owns the published endpoints of one jail, answers its bind() and, in a plan with
 * egress, its connect(), and makes the listed connections. One process
 * per jail, started by custodyd as root in the cgroup <jail>/broker and the host's network
 * namespace; serves as its own uid, which owns the jail's user namespace, without capabilities.
 *
 * Trusts custodyd and the sealed plan after plan_check(); distrusts everything of the jail.
 *
 * Confinement: root at /proc, seccomp, no capabilities, no_new_privs, not dumpable. No Landlock:
 * a Landlock domain forbids process_vm_readv() and pidfd_getfd() on every process outside the
 * domain (Linux security/landlock/task.c, hook_ptrace_access_check), and those two are the work.
 * What replaces it: the root is /proc, openat() can only read, and the uid owns no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "confine.h"
#include "connect.h"
#include "log.h"
#include "message.h"
#include "plan.h"
#include "report.h"
#include "serve.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Everything that serving needs; the common set of confine.h comes on top. */
static const char *const main_syscalls[] = {
	CONFINE_OPENAT_READ_ONLY,	/* /proc/TID/{status,comm,fdinfo} */
	CONFINE_IOCTL_SECCOMP,		/* receive, validate, add fd, answer */
	"process_vm_readv", "pidfd_open", "pidfd_getfd",
	"getsockopt", "setsockopt",	/* options carried to the granted socket */
	"ftruncate",			/* the log file whose turn it is */
	"accept4",			/* the next custodyd */
};

/* For a plan with egress only. The cgroup plane holds the first to what the plan lists. */
static const char *const main_egress[] = {
	CONFINE_SOCKET_CONNECT, "connect",
};

static bool main_connects(const struct custody_plan *plan)
{
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		if (plan->endpoints[i].kind == PLAN_ENDPOINT_EGRESS)
			return true;
	}
	return false;
}

static int main_refuse(const struct broker *broker, int error, const char *text)
{
	(void)message_send_refused(broker->channel, ROLE_BROKER, 0, CUSTODY_EXIT_REFUSED, error,
				   "%s", text);
	log_error("%s", text);
	return CUSTODY_EXIT_REFUSED;
}

static int main_refuse_step(const struct broker *broker, int error, const char *step)
{
	(void)message_send_refused(broker->channel, ROLE_BROKER, 0, CUSTODY_EXIT_INTERNAL, error,
				   "broker: %s: %s", step, strerror(-error));
	log_error("%s: %s", step, strerror(-error));
	return CUSTODY_EXIT_INTERNAL;
}

/* BROKER_SETUP: plan, socket to the jail, log pipe, two log files, socket for a later custodyd. */
static int main_take_setup(struct broker *broker, const char **ret_why)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer message;
	const struct broker_setup *setup = (const struct broker_setup *)&message;
	int r = message_recv(broker->channel, ROLE_BROKER, ROLE_WARDEN, MSG_BIT(MSG_BROKER_SETUP),
			     &message, &fds);

	if (r < 0)
		return r;
	if (setup->jail_id == 0 || setup->slot >= CUSTODY_JAILS_MAX)
		return -EPROTO;
	r = plan_map(fds.fd[0], &broker->plan, ret_why);
	if (r < 0)
		return r;
	r = logpump_open(fds.fd[2], fds.fd[3], fds.fd[4], setup->log_limit, &broker->log);
	if (r < 0)
		return r;
	fds.fd[2] = fds.fd[3] = fds.fd[4] = -1;
	broker->rejoin = TAKE_FD(fds.fd[5]);
	broker->jail = TAKE_FD(fds.fd[1]);
	broker->jail_id = setup->jail_id;
	broker->uid = CUSTODY_UID_JAIL_BASE + setup->slot * CUSTODY_UID_JAIL_BLOCK +
		      CUSTODY_UID_BROKER_OFF;
	return 0;
}

static int main_prepare(struct broker *broker)
{
	struct seccomp_notif_sizes sizes = { 0 };
	socklen_t size = sizeof(broker->netns);
	cleanup_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (channel_prepare(broker->channel) < 0)
		return -errno;
	if (probe < 0 || getsockopt(probe, SOL_SOCKET, SO_NETNS_COOKIE, &broker->netns, &size) < 0)
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	if (sizes.seccomp_notif > SERVE_NOTIF_MAX || sizes.seccomp_notif_resp > SERVE_NOTIF_MAX)
		return -E2BIG;
	return 0;
}

/*
 * Root at /proc before the uid is dropped (needs CAP_SYS_CHROOT), privileges before seccomp
 * (needs setresuid), seccomp last: it forbids all of the above.
 */
static int main_confine(struct broker *broker)
{
	cleanup_fd int proof = confine_open_proof();
	const char *names[ARRAY_SIZE(main_syscalls) + ARRAY_SIZE(main_egress)];
	size_t n = 0;
	int r = proof < 0 ? proof : confine_set_basics();

	if (r < 0)
		return r;
	broker->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (broker->proc < 0 || chroot("/proc") < 0 || chdir("/") < 0)
		return -errno;
	r = confine_drop_privileges(broker->uid, broker->uid, 0);
	if (r < 0)
		return r;
	/* Now, because who connects sees the process and the uid that listened. */
	if (listen(broker->rejoin, 1) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(main_syscalls); i++)
		names[n++] = main_syscalls[i];
	for (size_t i = 0; main_connects(broker->plan) && i < ARRAY_SIZE(main_egress); i++)
		names[n++] = main_egress[i];
	r = confine_enter_seccomp(names, n);
	if (r < 0)
		return r;
	return confine_prove(TAKE_FD(proof), broker->uid, broker->uid, 0);
}

static int main_serve(struct broker *broker)
{
	int r = serve_take_listener(broker);

	if (r == -ENODATA)
		return CUSTODY_EXIT_DONE;
	if (r < 0)
		return main_refuse_step(broker, r, "taking the jail's seccomp listener");
	r = serve_run(broker);
	if (broker->log.dropped > 0)
		log_warning("jail %u: %llu bytes of output reached no log file", broker->jail_id,
			    (unsigned long long)broker->log.dropped);
	broker->events_lost += broker->kept_n;
	if (broker->events_lost > 0)
		log_warning("jail %u: %llu events did not reach custodyd", broker->jail_id,
			    (unsigned long long)broker->events_lost);
	if (r < 0)
		return main_refuse_step(broker, r, "serving");
	return CUSTODY_EXIT_DONE;
}

int main(void)
{
	struct broker broker = {
		.channel = CUSTODY_CHANNEL_FD, .jail = -1, .listener = -1, .proc = -1,
		.rejoin = -1, .endpoints = ENDPOINT_SET_EMPTY, .log = LOGPUMP_EMPTY,
	};
	struct broker_listening listening = { 0 };
	const char *why = NULL;
	char text[CUSTODY_TEXT_SIZE];
	int r;

	log_setup("custody-broker", LOG_LEVEL_INFO);
	memset(broker.outside, 0xff, sizeof(broker.outside)); /* -1 each */
	(void)signal(SIGPIPE, SIG_IGN);
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = main_take_setup(&broker, &why);
	if (r < 0)
		return main_refuse_step(&broker, r, why ? why : "taking the setup");
	r = main_prepare(&broker);
	if (r < 0)
		return main_refuse_step(&broker, r, "preparing");
	r = connect_open_outside(broker.plan, broker.outside, text, sizeof(text));
	if (r == 0)
		r = endpoint_open_all(broker.plan, &broker.endpoints, text, sizeof(text));
	if (r < 0)
		return main_refuse(&broker, r, text);
	r = main_confine(&broker);
	if (r < 0)
		return main_refuse_step(&broker, r, "giving up privileges");
	listening.n_endpoints = broker.endpoints.n;
	r = MESSAGE_SEND(broker.channel, ROLE_BROKER, BROKER_LISTENING, 0, &listening);
	if (r < 0)
		return main_refuse_step(&broker, r, "reporting the endpoints");
	return main_serve(&broker);
}
