/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-broker: owns the published endpoints of one jail and answers its bind(). One process
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

#include "cleanup.h"
#include "confine.h"
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
};

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

/* BROKER_SETUP: plan, socket to the jail, log pipe, two log files. */
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
	broker->jail = TAKE_FD(fds.fd[1]);
	broker->jail_id = setup->jail_id;
	broker->uid = CUSTODY_UID_JAIL_BASE + setup->slot * CUSTODY_UID_JAIL_BLOCK +
		      CUSTODY_UID_BROKER_OFF;
	return 0;
}

/* An event waits REPORT_WAIT_MS for room, so that a stuck custodyd delays no bind() for ever. */
static int main_prepare(struct broker *broker)
{
	struct seccomp_notif_sizes sizes = { 0 };
	struct timeval wait = { .tv_usec = REPORT_WAIT_MS * 1000 };
	socklen_t size = sizeof(broker->netns);
	cleanup_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (setsockopt(broker->channel, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
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
	int r = proof < 0 ? proof : confine_set_basics();

	if (r < 0)
		return r;
	broker->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (broker->proc < 0 || chroot("/proc") < 0 || chdir("/") < 0)
		return -errno;
	r = confine_drop_privileges(broker->uid, broker->uid, 0);
	if (r < 0)
		return r;
	r = confine_enter_seccomp(main_syscalls, ARRAY_SIZE(main_syscalls));
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
		.endpoints = ENDPOINT_SET_EMPTY, .log = LOGPUMP_EMPTY,
	};
	struct broker_listening listening = { 0 };
	const char *why = NULL;
	char text[CUSTODY_TEXT_SIZE];
	int r;

	log_setup("custody-broker", LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = main_take_setup(&broker, &why);
	if (r < 0)
		return main_refuse_step(&broker, r, why ? why : "taking the setup");
	r = main_prepare(&broker);
	if (r < 0)
		return main_refuse_step(&broker, r, "preparing");
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
