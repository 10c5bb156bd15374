/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs of model.check: each looks at the model, in a jail of its own, and the model starts
 * only if each ends by itself with exit code 0. Run by custodyd, which looks at nothing that they
 * say.
 *
 * C1  A check's jail is launched like every other: by the same list of steps, from a plan that
 *     passed plan_check(), with uids, cgroup, policy and records of its own. Its plan is the
 *     model's without network, devices and what can be written (plan_make_check()).
 * C2  It sees what was measured: a mount of the very directory, taken by descriptor, after the
 *     measurer is done. The comparison before the start (measure_step_compare()) comes after the
 *     last check, so what a check saw is what the jail gets.
 * C3  Deny unless: only an end that custodyd has seen, of a process that it has not killed, with
 *     status 0, within its time, with its output kept, lets the launch go on.
 * C4  Before the launch goes on nothing of the check's jail is left: no process, cgroup or policy.
 * C5  The two know each other by pointers that both lose when either is forgotten. What one says
 *     of its end reaches the other in a turn of the event loop of its own, never from within.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_output.h"
#include "cleanup.h"
#include "launch.h"
#include "limits.h"
#include "measured.h"
#include "paths.h"
#include "plan.h"
#include "sequence.h"

#define CHECK_OUTPUT_MS 10000 /* from its end to that of its broker, which writes its output */

static __u64 check_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000 + (__u64)now.tv_nsec / 1000000;
}

/* ---- the jail of a check ---- */

int check_make_plan(struct jail *jail)
{
	cleanup_ptr struct custody_plan *plan = malloc(sizeof(*plan));
	cleanup_fd int fd = -1;
	const char *why = "";
	int r;

	if (!plan || !jail->check_of)
		return -ENOMEM;
	r = plan_make_check(jail->check_of->plan, jail->check_of->n_checks, plan);
	if (r == -ENOSPC)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"the command, environment and paths of the profile leave "
					"no room for it");
	if (r == 0)
		r = measured_make_fd("plan", &fd);
	if (r == 0)
		r = measured_write(fd, plan, sizeof(*plan));
	if (r == 0)
		r = measured_seal(fd);
	return r < 0 ? r : launch_use_plan(jail, TAKE_FD(fd), &why);
}

/* One takes what fits; into the other nobody can write, so the broker drops the rest. */
int check_make_output(struct jail *jail, int *ret_output, int *ret_rest)
{
	cleanup_fd int output = -1, rest = -1;
	char link[64];
	int r = measured_make_fd("output", &output);

	if (r < 0)
		return r;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", output);
	rest = open(link, O_RDONLY | O_CLOEXEC);
	jail->check_output = fcntl(output, F_DUPFD_CLOEXEC, CUSTODY_CHANNEL_FD + 1);
	if (rest < 0 || jail->check_output < 0)
		return -errno;
	*ret_output = TAKE_FD(output);
	*ret_rest = TAKE_FD(rest);
	return 0;
}

/* C2. */
static int check_open_model(const struct jail *jail, int *ret)
{
	cleanup_fd int fd =
		open_tree(jail->model_dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct stat is, was;

	if (fd < 0 || fstat(fd, &is) < 0 || fstat(jail->model_fd, &was) < 0)
		return -errno;
	if (is.st_dev != was.st_dev || is.st_ino != was.st_ino)
		return -ESTALE;
	*ret = TAKE_FD(fd);
	return 0;
}

/* ---- how it ended ---- */

static int check_on_settled(sd_event_source *source, void *data);

/* C5: what comes next is the launch's, in a turn of its own. */
static void check_settle(struct jail *jail)
{
	struct ledger_checked *record = &jail->checks[jail->n_checks];

	if (!(record->flags & CHECK_PASSED))
		(void)snprintf(record->why, sizeof(record->why), "%.255s", jail->fail_text);
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	if (sd_event_add_defer(jail->warden->event, &jail->check_event, check_on_settled, jail) < 0)
		log_error("The launch of %s cannot go on: out of memory.", jail->name);
}

static const char *check_origin(const struct jail *jail)
{
	return plan_string(jail->plan, jail->plan->checkers[jail->n_checks].origin);
}

static void check_describe(int status, bool late, __u32 timeout_s, char *ret, size_t size)
{
	const int code = WEXITSTATUS(status);

	if (late)
		(void)snprintf(ret, size, "had not ended after %u s (check-timeout)", timeout_s);
	else if (status == LEDGER_STATUS_UNKNOWN)
		(void)snprintf(ret, size, "ended, and nobody saw how");
	else if (WIFSIGNALED(status))
		(void)snprintf(ret, size, "was killed with its jail (signal %d)", WTERMSIG(status));
	else if (code > 128)
		(void)snprintf(ret, size, "ended with exit code %d, or by signal %d", code,
			       code - 128);
	else
		(void)snprintf(ret, size, "ended with exit code %d", code);
}

/* The sentence that whoever asked for the model gets. */
static void check_explain(struct jail *jail, const struct ledger_checked *record,
			  const struct check_output *output)
{
	char how[128], where[CUSTODY_PATH_SIZE] = "";

	check_describe(record->status, record->flags & CHECK_LATE, jail->plan->checker_timeout_s,
		       how, sizeof(how));
	if (output->size)
		(void)snprintf(where, sizeof(where), "; its output is in %.200s%s/%s",
			       jail->warden->root, PATHS_LOGS, record->output);
	/* The hostile part comes last: it can push nothing out of the sentence. */
	(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EPERM,
			       "%.200s: %s %s, so %s was not started%s. %s%s%s", check_origin(jail),
			       record->command, how, jail->name, where,
			       output->line[0] ? "The last line of it: \""
			       : output->size  ? "It printed blanks only."
					       : "It printed nothing.",
			       output->line, output->line[0] ? "\"." : "");
}

static int check_keep(struct jail *jail, const struct jail *by, struct ledger_checked *record,
		      struct check_output *output)
{
	cleanup_fd int logs = setup_open_directory(jail->warden, PATHS_LOGS);
	int r = logs < 0 ? logs : 0;

	(void)snprintf(record->output, sizeof(record->output), "%s%s.%u.%u.out", jail->name,
		       PLAN_CHECKER_SUFFIX, jail->id, record->index + 1);
	if (r == 0)
		r = check_output_keep(by->check_output, logs, record->output, output);
	if (r < 0 || output->size == 0)
		memset(record->output, 0, sizeof(record->output));
	if (r < 0)
		return r;
	record->output_size = output->size;
	memcpy(record->output_digest, output->digest, sizeof(record->output_digest));
	if (by->check_cut || output->size == CHECK_OUTPUT_MAX)
		record->flags |= CHECK_OUTPUT_CUT;
	return 0;
}

/* C3: `by` has ended, and nothing of it is left when `removed`. */
static void check_judge(struct jail *jail, const struct jail *by, bool removed, const char *why)
{
	struct ledger_checked *record = &jail->checks[jail->n_checks];
	struct check_output output = { 0 };
	int r = check_keep(jail, by, record, &output);

	record->check_jail = by->id;
	record->status = by->wait_status;
	record->ran_ms = check_now_ms() - by->check_begun_ms;
	if (by->check_late)
		record->flags |= CHECK_LATE;
	if (!removed)
		(void)sequence_explain(jail, CUSTODY_EXIT_INTERNAL, -EBUSY,
				       "%.200s: the jail of %s could not be taken down, so %s was "
				       "not started: %.500s",
				       check_origin(jail), record->command, jail->name, why);
	else if (r < 0)
		(void)sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
				       "%.200s: what %s printed cannot be kept in %s%s (%s), so %s "
				       "was not started; make room there.",
				       check_origin(jail), record->command, jail->warden->root,
				       PATHS_LOGS, strerror(-r), jail->name);
	else if (by->check_late || by->wait_status != 0)
		check_explain(jail, record, &output);
	else
		record->flags |= CHECK_PASSED;
}

void check_ended(struct jail *jail, bool removed, const char *why)
{
	struct jail *of = jail->check_of;

	if (of) {
		check_judge(of, jail, removed, why);
		check_forget(jail);
		check_settle(of);
	}
	if (!removed)
		return; /* tried again, without the launch: life_retry() */
	if (state_remove(jail) < 0)
		log_error("The state of jail %u could not be removed.", jail->id);
	jails_forget(jail);
}

void check_not_launched(struct jail *jail, const char *why)
{
	struct jail *of = jail->check_of;
	struct ledger_checked *record;

	if (!of)
		return;
	record = &of->checks[of->n_checks];
	record->check_jail = jail->id;
	record->flags |= CHECK_NOT_RUN;
	(void)sequence_explain(of, CUSTODY_EXIT_REFUSED, -ENOEXEC,
			       "%.200s%s%s could not be run, so %s was not started: %.600s",
			       strstr(why, check_origin(of)) ? "" : check_origin(of),
			       strstr(why, check_origin(of)) ? "" : ": ", record->command, of->name,
			       why);
	check_forget(jail);
	check_settle(of);
}

/* ---- its time ---- */

static int check_on_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	if (jail->sequence || jail->init == 0)
		return 0;
	jail->check_late = true;
	life_end_model(jail, "its time was over (check-timeout)");
	return 0;
}

void check_launched(struct jail *jail)
{
	const struct jail *of = jail->check_of;

	jail->check_begun_ms = check_now_ms();
	if (of && sd_event_add_time_relative(
			  jail->warden->event, &jail->check_event, CLOCK_MONOTONIC,
			  of->plan->checker_timeout_s * 1000000ULL, 1000, check_on_late, jail) >= 0)
		return;
	jail->check_late = true;
	life_end_model(jail, "its time could not be taken");
}

static int check_on_output_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;

	(void)source;
	(void)usec;
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	jail->check_cut = true;
	spawn_kill(&jail->broker);
	life_ended(jail);
	return 0;
}

/* Its broker ends when the last process that could print has ended and all is written. */
bool check_waits_for_output(struct jail *jail)
{
	if (!jail->is_check || jail->check_output < 0 || jail->broker.channel < 0)
		return false;
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	return sd_event_add_time_relative(jail->warden->event, &jail->check_event, CLOCK_MONOTONIC,
					  CHECK_OUTPUT_MS * 1000ULL, 1000, check_on_output_late,
					  jail) >= 0;
}

bool check_lost_output(struct jail *jail)
{
	struct pollfd p = { .fd = jail->log_read, .events = POLLIN };

	if (!jail->is_check)
		return true;
	if (jail->log_read < 0 || poll(&p, 1, 0) <= 0 || (p.revents & POLLIN))
		jail->check_cut = true;
	return jail->check_cut;
}

/* ---- the launch that waits for it ---- */

static void check_begin_record(struct jail *jail, struct ledger_checked *record)
{
	const struct plan_checker *checker = &jail->plan->checkers[jail->n_checks];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool done = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	*record = (struct ledger_checked){ .jail_id = jail->id,
					   .index = jail->n_checks,
					   .status = LEDGER_STATUS_UNKNOWN };
	memcpy(record->model_digest, jail->measured.digest, sizeof(record->model_digest));
	(void)snprintf(record->name, sizeof(record->name), "%s", jail->name);
	(void)snprintf(record->command, sizeof(record->command), "%.127s",
		       plan_string(jail->plan, checker->args[0]));
	for (__u32 i = 0; done && i < checker->n_args; i++)
		done = EVP_DigestUpdate(md, plan_string(jail->plan, checker->args[i]),
					checker->args[i].len + 1) == 1;
	if (done)
		(void)EVP_DigestFinal_ex(md, record->command_digest, NULL);
	EVP_MD_CTX_free(md);
}

static int check_try(struct jail *jail)
{
	cleanup_fd int model = -1;
	char name[CUSTODY_NAME_SIZE];
	int r;

	check_begin_record(jail, &jail->checks[jail->n_checks]);
	(void)snprintf(name, sizeof(name), "%.57s%s", jail->name, PLAN_CHECKER_SUFFIX);
	if (jails_find(jail->warden, name))
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, -EEXIST,
					"%.200s: the name %s is in use, which the jail of a check "
					"has. Retire that model, or give this one another name.",
					check_origin(jail), name);
	r = check_open_model(jail, &model);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"%.200s: the model's directory cannot be shown to a check "
					"(%s).",
					check_origin(jail), strerror(-r));
	r = launch_begin_check(jail, name, TAKE_FD(model));
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"%.200s: no jail can be had for a check (%s).",
					check_origin(jail), strerror(-r));
	return -EINPROGRESS;
}

/* -EINPROGRESS: whatever becomes of it is told by check_on_settled(). */
static int check_begin(struct jail *jail)
{
	struct ledger_checked *record = &jail->checks[jail->n_checks];
	int r = check_try(jail);

	if (r == -EINPROGRESS)
		return r;
	record->flags |= CHECK_NOT_RUN;
	(void)snprintf(record->why, sizeof(record->why), "%.255s", jail->fail_text);
	jail->n_checks++;
	return r;
}

int check_step_run(struct jail *jail)
{
	return jail->plan->n_checkers == 0 ? 0 : check_begin(jail);
}

static int check_on_settled(sd_event_source *source, void *data)
{
	struct jail *jail = data;
	bool passed = jail->checks[jail->n_checks].flags & CHECK_PASSED;

	(void)source;
	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	if (!sequence_waits_in(jail, check_step_run))
		return 0;
	jail->n_checks++;
	if (!passed ||
	    (jail->n_checks < jail->plan->n_checkers && check_begin(jail) != -EINPROGRESS))
		sequence_fail(jail);
	else if (!jail->checked_by && jail->n_checks == jail->plan->n_checkers)
		sequence_continue(jail);
	return 0;
}

/* Its end as life.c brings it about, but at once: whoever waits for the launch is told after it. */
static void check_end_now(struct jail *jail, const char *why)
{
	int r;

	if (jail->sequence) {
		launch_cancel(jail, why);
		return; /* or it is ending already, and goes on with that */
	}
	recording_settle(jail);
	jail->state = JAIL_STATE_STOPPING;
	jail->why = "its launch was ended";
	(void)state_save(jail);
	limits_look(jail);
	(void)recording_put_counters(jail);
	r = life_release(jail);
	if (r < 0) {
		log_error("%s could not be ended at once (%s); that is tried again.", jail->name,
			  strerror(-r));
		return;
	}
	if (recording_put_state(jail, JAIL_STATE_STOPPED, jail->why, jail->ticket.peer.uid, 0) < 0)
		log_error("The end of %s could not be recorded.", jail->name);
	check_ended(jail, true, "");
}

void check_undo(struct jail *jail)
{
	struct jail *by = jail->checked_by;
	int error = 0;

	jail->check_event = sd_event_source_disable_unref(jail->check_event);
	if (by) {
		struct ledger_checked *record = &jail->checks[jail->n_checks++];

		record->check_jail = by->id;
		(void)snprintf(record->why, sizeof(record->why), "%.255s", jail->fail_text);
		check_forget(by);
		check_end_now(by, "the launch that it checked for was ended");
	}
	cleanup_close_fd(&jail->model_dir);
	while (check_tell_next(jail, 0, &error)) {
		if (error < 0)
			log_error("A check of %s could not be recorded.", jail->name);
	}
}

bool check_tell_next(struct jail *jail, __u64 id, int *ret_error)
{
	if (jail->checks_told >= jail->n_checks)
		return false;
	*ret_error = recording_put_checked(jail, &jail->checks[jail->checks_told++], id);
	return true;
}

int check_send_rows(const struct jail *jail, __u64 id)
{
	int r = 0;

	for (__u32 i = 0; r == 0 && i < jail->n_checks; i++) {
		struct reply_checked reply = { .check = jail->checks[i] };

		r = MESSAGE_SEND(jail->warden->front.channel, ROLE_WARDEN, REPLY_CHECKED, id,
				 &reply);
	}
	return r;
}

bool check_take_request(struct jail *jail, const struct ticket *ticket, __u32 verb)
{
	struct jail *of = jail->check_of ? jail->check_of : jail;
	struct warden *warden = jail->warden;
	const __u64 id = ticket->id;
	char text[CUSTODY_TEXT_SIZE];

	if (ticket->peer.uid != 0 || (verb != REQUEST_STOP && verb != REQUEST_RETIRE) ||
	    !sequence_waits_in(of, check_step_run))
		return false;
	(void)snprintf(text, sizeof(text),
		       "The launch of %s has been ended while its model was "
		       "being checked.%s",
		       of->name,
		       verb == REQUEST_STOP
			       ? ""
			       : " It never ran, so there is nothing to retire and no evidence.");
	launch_cancel(of, "it was told to stop while its model was being checked");
	control_reply(warden, id, verb == REQUEST_STOP ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_REFUSED,
		      0, text);
	return true;
}

void check_abandon(struct jail *jail)
{
	if (sequence_waits_in(jail, check_step_run))
		launch_cancel(jail, "whoever asked for it went away while its model was being "
				    "checked");
}

void check_forget(struct jail *jail)
{
	if (jail->check_of)
		jail->check_of->checked_by = NULL;
	if (jail->checked_by)
		jail->checked_by->check_of = NULL;
	jail->check_of = jail->checked_by = NULL;
}
