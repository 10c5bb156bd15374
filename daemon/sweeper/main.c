/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-sweeper: looks over the whole host for what is left of one jail and sends facts. One
 * shot: SWEEP_REQUEST in, SWEEP_FACT for each fact, SWEEP_DONE. Started by custodyd as root in
 * the host's namespaces; looks as its own uid.
 *
 * Trusts custodyd's request and the kernel's /proc, cgroupfs and sock_diag. Distrusts every name
 * and path in them.
 *
 * Capabilities, measured on Linux 6.18: CAP_SYS_PTRACE for /proc/PID/{ns,maps,root} of others;
 * CAP_DAC_READ_SEARCH for /proc/PID/fd of others and for the model's files and directories;
 * CAP_LEASE to ask for leases on files of others (facts_kernel.c). Nothing needs a fourth; without
 * any of the three it refuses, instead of finding nothing.
 *
 * No Landlock: a domain forbids the ptrace access check on every process outside it, and with it
 * /proc/PID/{ns,maps,fd} (measured: EACCES with ABI 7, even when / may be read). What stands in
 * its place: seccomp lets openat() only read and knows no call that changes a file; no capability
 * that writes; the uid owns nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "log.h"
#include "message.h"
#include "sweep.h"

#define MAIN_CAPABILITIES \
	((1ULL << CAP_DAC_READ_SEARCH) | (1ULL << CAP_SYS_PTRACE) | (1ULL << CAP_LEASE))

static const char *const main_syscalls[] = {
	CONFINE_OPENAT_READ_ONLY,
	"getdents64", "statx", "readlinkat",
	"kcmp",		/* do two threads share their fd table */
	"ustat",	/* does a file system of that device exist; a lease is fcntl() */
	"fstatfs",
};

/* The facts that are made here; the others of evidence.h are custodyd's. */
static const enum evidence_fact_id main_facts[] = {
	FACT_CGROUP_POPULATED, FACT_CGROUP_PRESENT, FACT_NAMESPACE_PIDS, FACT_SOCKETS_INET,
	FACT_ENDPOINTS_BOUND, FACT_SOCKETS_UNIX, FACT_SCRATCH_MOUNTS, FACT_WEIGHTS_OPEN,
	FACT_BROKER_ALIVE,
};

/* Before seccomp, which knows no socket(). A failure blinds the facts about sockets. */
static void main_open_netlink(struct sweep *sweep)
{
	struct nl_sock *netlink = nl_socket_alloc();

	sweep->netlink_error = -ENOMEM;
	if (!netlink)
		return;
	if (nl_connect(netlink, NETLINK_SOCK_DIAG) < 0) {
		sweep->netlink_error = errno ? -errno : -EIO;
		nl_socket_free(netlink);
		return;
	}
	sweep->netlink = netlink;
}

/* Netlink and /proc while they can be opened; then the uid, then seccomp, which forbids both. */
static int main_confine(struct sweep *sweep)
{
	cleanup_fd int proof = confine_open_proof();
	int r = proof < 0 ? proof : confine_set_basics();

	if (r < 0)
		return r;
	main_open_netlink(sweep);
	sweep->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sweep->proc < 0)
		return -errno;
	r = confine_drop_privileges(CUSTODY_UID_SWEEPER, CUSTODY_UID_SWEEPER, MAIN_CAPABILITIES);
	if (r < 0)
		return r;
	r = confine_enter_seccomp(main_syscalls, ARRAY_SIZE(main_syscalls));
	if (r < 0)
		return r;
	return confine_prove(TAKE_FD(proof), CUSTODY_UID_SWEEPER, CUSTODY_UID_SWEEPER,
			     MAIN_CAPABILITIES);
}

static int main_check_request(const struct sweep_request *request)
{
	if (request->jail_id == 0 || request->n_endpoints > CUSTODY_ENDPOINTS_MAX ||
	    (request->phase != EVIDENCE_BEFORE_ERASE && request->phase != EVIDENCE_AFTER_ERASE))
		return -EPROTO;
	for (unsigned int i = 0; i < request->n_endpoints; i++) {
		const struct reply_endpoint *e = &request->endpoints[i];

		if (!memchr(e->path, '\0', sizeof(e->path)))
			return -EPROTO;
	}
	return 0;
}

static void main_look(struct sweep *sweep)
{
	for (size_t i = 0; i < ARRAY_SIZE(main_facts); i++) {
		sweep->facts[main_facts[i]].fact = main_facts[i];
		sweep->facts[main_facts[i]].phase = sweep->request->phase;
		sweep->facts[main_facts[i]].looked = 1;
	}
	facts_cgroup_look(sweep);
	facts_kernel_ask(sweep);
	facts_weights_collect(sweep);
	facts_process_look(sweep);
	facts_kernel_conclude(sweep);
	facts_socket_look(sweep);
}

static int main_send_facts(const struct sweep *sweep)
{
	struct sweep_done done = { .n_facts = ARRAY_SIZE(main_facts) };

	for (size_t i = 0; i < ARRAY_SIZE(main_facts); i++) {
		struct sweep_fact message = { .fact = sweep->facts[main_facts[i]] };
		int r = MESSAGE_SEND(CUSTODY_CHANNEL_FD, ROLE_SWEEPER, SWEEP_FACT,
				     sweep->request->head.id, &message);

		if (r < 0)
			return r;
	}
	return MESSAGE_SEND(CUSTODY_CHANNEL_FD, ROLE_SWEEPER, SWEEP_DONE, sweep->request->head.id,
			    &done);
}

static int main_refuse(int error, const char *step)
{
	(void)message_send_refused(CUSTODY_CHANNEL_FD, ROLE_SWEEPER, 0, CUSTODY_EXIT_INTERNAL,
				   error, "sweeper: %s: %s", step, strerror(-error));
	log_error("%s: %s", step, strerror(-error));
	return CUSTODY_EXIT_INTERNAL;
}

int main(void)
{
	union message_buffer message;
	struct sweep sweep = { .request = (const struct sweep_request *)&message, .proc = -1 };
	int r;

	log_setup("custody-sweeper", LOG_LEVEL_INFO);
	if (!message_is_channel(CUSTODY_CHANNEL_FD)) {
		log_error("custodyd starts this program, nobody else.");
		return CUSTODY_EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	/* Sent when somebody opens a file in the instant that we have a lease on it. */
	(void)signal(SIGIO, SIG_IGN);
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = main_confine(&sweep);
	if (r < 0)
		return main_refuse(r, "giving up privileges");
	r = message_recv(CUSTODY_CHANNEL_FD, ROLE_SWEEPER, ROLE_WARDEN, MSG_BIT(MSG_SWEEP_REQUEST),
			 &message, NULL);
	if (r == 0)
		r = main_check_request(sweep.request);
	if (r < 0)
		return main_refuse(r, "taking the request");
	main_look(&sweep);
	r = main_send_facts(&sweep);
	nl_socket_free(sweep.netlink);
	sweep_files_free(&sweep.weights);
	sweep_files_free(&sweep.seen_mounts);
	sweep_files_free(&sweep.seen_views);
	if (r < 0)
		return main_refuse(r, "sending the facts");
	return CUSTODY_EXIT_DONE;
}
