/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-jail: builds one jail and becomes the model in it. Started by custodyd as root, in the
 * jail's cgroup, with its channel on fd 3; one shot. The three tables below are the whole
 * sequence; jail.h says which process runs which.
 *
 * It answers REFUSED with the reason, or JAIL_BUILT, JAIL_READY and, after JAIL_GO, the end of
 * the channel: then the exec has succeeded. Whatever fails, its processes end and the mounts,
 * which only their namespace holds, end with them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "message.h"

static const struct jail_step jail_outer[] = {
	{ receive_plan, "receive the plan", "nothing is known before it" },
	{ seccomp_compile_filters, "compile the filters", "libseccomp allocates: not in the jail" },
	{ namespace_keep_proc, "keep /proc", "the ids are mapped through it, after the pivot" },
	{ namespace_unshare_all, "unshare", "as real root, so the host's root owns them" },
	{ namespace_set_names, "name the host", "in the new uts namespace only" },
	{ namespace_start_init, "start init", "only children are in the new pid namespace" },
};

static const struct jail_step jail_outer_rest[] = {
	{ namespace_map_ids, "map ids", "init cannot map its own: it has left the host's root" },
	{ namespace_report_built, "report", "after the last namespace; releases init" },
};

static const struct jail_step jail_init[] = {
	{ namespace_forget_outer, "drop the host's /proc", "first: it is a way out" },
	{ weights_start_holder, "hold a user namespace", "the kernel makes none over the next" },
	{ root_mount_tmpfs, "mount the root", "everything else is mounted into it" },
	{ root_make_etc, "make /etc", "before the zones, so that a zone below /etc wins" },
	{ device_make_tree, "make /dev", "before the zones: one may be /dev/shm" },
	{ procfs_make_tree, "make /proc", "in the pid namespace; keeps /proc/sys for a while" },
	{ root_mount_zones, "mount the zones", "in the plan's order, which is by depth" },
	{ weights_end_holder, "end its holder", "it has a way to the host's root" },
	{ root_make_links, "make /bin and its like", "after the zones: only where /usr is one" },
	{ procfs_forbid_memfd_exec, "forbid executable memfds", "needs real root" },
	{ procfs_limit_shm, "limit shared memory", "needs real root, in the new ipc namespace" },
	{ procfs_empty_core, "empty core dumps", "the model inherits it" },
	{ procfs_offer_to_oom, "offer to the OOM killer", "as root, so that it is the least" },
	{ root_enter, "enter the root", "after the last source: the host's files are gone now" },
	{ limits_raise, "set limits", "raising needs real root" },
	{ namespace_enter_user, "enter the user namespace", "after the last use of real root" },
	{ namespace_give_up_root, "give up root", "before the first process that is the model's" },
	{ structure_leave_keyring, "own keyring", "as the model's uid, which is to own it" },
	{ init_start_model, "start the model's process", "inherits all of the above" },
};

static const struct jail_step jail_init_rest[] = {
	{ init_forget_all, "close everything", "init needs no fd; the channel must end at exec" },
	{ init_confine, "confine init", "after the closing, which it then could not do" },
	{ init_serve, "serve", "does not return" },
};

static const struct jail_step jail_model[] = {
	{ model_leave_session, "own session", "no terminal to push input into; default signals" },
	{ model_enter_landlock, "enter Landlock", "by mount fds, which it closes" },
	{ limits_lower, "lower limits", "after the mount fds are closed: one limit is of fds" },
	{ seccomp_enter_filters, "enter seccomp", "last: the filters refuse the steps above" },
	{ model_give_listener, "give the listener", "exists since the filters do" },
	{ model_close_fds, "close fds", "the broker's socket is of no further use" },
	{ selfcheck_report, "check", "what the kernel says now is what the model will have" },
	{ model_wait_go, "wait for the go", "policy and ledger are ready when it comes" },
	{ model_execute, "become the model", "does not return" },
};

int jail_refuse(struct jail *jail, enum custody_exit exit_code, int error, const char *format, ...)
{
	char text[CUSTODY_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (!jail->refused)
		(void)message_send_refused(jail->channel, ROLE_JAIL, jail->build.head.id, exit_code,
					   error, "%s", text);
	jail->refused = true;
	return error < 0 ? error : -EIO;
}

void jail_run_steps(struct jail *jail, const struct jail_step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (steps[i].run(jail) < 0)
			_exit(EXIT_FAILURE);
	}
}

static void jail_clear(struct jail *jail)
{
	memset(jail, 0, sizeof(*jail));
	jail->channel = CUSTODY_CHANNEL_FD;
	jail->broker = -1;
	jail->host_proc = -1;
	jail->peer = -1;
	jail->host_root = -1;
	jail->root = -1;
	jail->proc_sys = -1;
	jail->listener = -1;
	jail->weights = -1;
	for (size_t i = 0; i < ARRAY_SIZE(jail->mounts); i++)
		jail->mounts[i].fd = -1;
}

int main(int argc, char **argv)
{
	struct jail jail;

	(void)argv;
	if (argc != 1 || !message_is_channel(CUSTODY_CHANNEL_FD)) {
		(void)fprintf(stderr, "custody-jail: custodyd starts this program, nobody else. "
				      "To run a command in custody: custodyctl run -- CMD\n");
		return CUSTODY_EXIT_USAGE;
	}
	(void)umask(0);
	jail_clear(&jail);
	jail_run_steps(&jail, jail_outer, ARRAY_SIZE(jail_outer));
	if (jail.init > 0) {
		jail_run_steps(&jail, jail_outer_rest, ARRAY_SIZE(jail_outer_rest));
		return EXIT_SUCCESS;
	}
	jail_run_steps(&jail, jail_init, ARRAY_SIZE(jail_init));
	if (jail.model > 0)
		jail_run_steps(&jail, jail_init_rest, ARRAY_SIZE(jail_init_rest));
	jail_run_steps(&jail, jail_model, ARRAY_SIZE(jail_model));
	return EXIT_FAILURE;
}
