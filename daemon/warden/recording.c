/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder, from custodyd's side: start it, tell it, notice what it lost. Run by custodyd.
 * Trusts the kernel's counters; the recorder's answers are only acknowledgements.
 *
 * Events of a broker may be dropped when the recorder is slow (then they are counted as lost);
 * everything else waits for it, because nothing may happen that is not on record.
 */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ceiling.h"
#include "cleanup.h"
#include "guard.h"
#include "launch.h"
#include "limits.h"
#include "paths.h"
#include "plan.h"
#include "registry.h"
#include "retire.h"
#include "sequence.h"

#define RECORDING_SEND_MS 5000
#define RECORDING_FSYNC_MS 1000
#define RECORDING_TIMER_US 1000000
#define RECORDING_HOST_GAP (1ULL << 32)	/* id of a loss of no jail's; others: the jail's id */
#define RECORDING_FALLS_MAX 5U		/* ends of the recorder within ... */
#define RECORDING_FALLS_US 20000000ULL	/* ... this time that are one too many */

/* Opens the signing key; the recorder fills it at its first start. */
static int recording_open_key(struct warden *warden)
{
	char path[CUSTODY_PATH_SIZE * 2];
	int fd;

	if (paths_join(warden->root, PATHS_KEYS "/ledger.pem", path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

/* A launch on record that is not among these, and has no end there, has lost it. */
static void recording_list_custody(const struct warden *warden, struct recorder_setup *setup)
{
	setup->custody_known = 1;
	for (const struct jail *j = warden->jails; j; j = j->next) {
		if (!jails_is_alive(j))
			continue;
		if (setup->n_custody == CUSTODY_JAILS_MAX)
			setup->custody_known = 0;
		else
			setup->custody[setup->n_custody++] = j->id;
	}
}

int recording_start(struct warden *warden)
{
	struct recorder_setup setup = { .fsync_ms = RECORDING_FSYNC_MS };
	cleanup_fd int dir = setup_open_directory(warden, PATHS_LEDGER);
	cleanup_fd int evidence = setup_open_directory(warden, PATHS_EVIDENCE);
	cleanup_fd int key = recording_open_key(warden);
	char host[40] = "host";
	int fds[4] = { policy_ring_fd(warden->policy), dir, key, evidence };
	int r;

	if (dir < 0 || evidence < 0 || key < 0)
		return -ENOENT;
	(void)gethostname(host, sizeof(host) - 1);
	for (char *c = host; *c; c++) {
		if (*c == ' ' || *c == '+' || *c == '/' || (unsigned char)*c < 0x21)
			*c = '-';
	}
	(void)snprintf(setup.origin, sizeof(setup.origin), "custody/%s/chain-v1", host);
	recording_list_custody(warden, &setup);
	warden->recorder_running = warden->recorder_served = false;
	r = spawn_role(warden, NULL, &warden->recorder, ROLE_RECORDER, NULL);
	if (r < 0)
		return r;
	return message_send(warden->recorder.channel, ROLE_WARDEN, MSG_RECORDER_SETUP, 0, &setup,
			    sizeof(setup), fds, 4);
}

/* One that does not stay up is worse than none: it would keep models frozen and thawed by turns. */
static bool recording_falls_often(struct warden *warden)
{
	struct timespec now = { 0 };
	__u64 usec;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	usec = (__u64)now.tv_sec * 1000000 + (__u64)now.tv_nsec / 1000;
	if (usec - warden->recorder_fell > RECORDING_FALLS_US)
		warden->recorder_falls = 0;
	if (warden->recorder_falls++ == 0)
		warden->recorder_fell = usec;
	return warden->recorder_falls > RECORDING_FALLS_MAX;
}

/* Models whose profile says so are killed or frozen while nobody records. */
void recording_gone(struct warden *warden)
{
	bool served = warden->recorder_served;
	struct jail *next;

	warden->recorder_running = false;
	/* What it was told and did not answer is told to the next one, with the same totals. */
	recording_answered(warden, false);
	if (warden->stopping)
		return;
	if (warden->planes & CUSTODY_PLANE_GUARD)
		warden->recorders_lost++;
	log_error(
		"The recorder ended. Each profile's on-loss answer is carried out; the ring buffer "
		"keeps what it has room for.");
	for (struct jail *j = warden->jails; j; j = next) {
		next = j->next;
		life_recorder_gone(j);
		retire_recorder_gone(j);
		launch_recorder_gone(j);
	}
	registry_recorder_gone(warden);
	if (served && !recording_falls_often(warden) && recording_start(warden) == 0)
		return;
	log_error("No recorder stays up; custodyd ends. The jails go on under the policy in the "
		  "kernel.");
	(void)sd_event_exit(warden->event, CUSTODY_EXIT_INTERNAL);
}

/* Gaps and states that nobody could take when they happened. */
static void recording_pay(struct jail *jail)
{
	__u32 owed = jail->gaps_owed;

	jail->gaps_owed = 0;
	for (__u32 cause = LEDGER_GAP_RING_FULL; cause < _LEDGER_GAP_MAX; cause++) {
		if (!(owed & (1U << cause)))
			continue;
		jail->gaps--;	/* counted when it happened */
		recording_put_gap(jail, (enum ledger_gap_cause)cause, 0, 1);
	}
	if (restrict_record(jail) < 0)
		log_error("What was taken from %s could not be recorded yet.", jail->name);
	if (jail->state_owed)
		jail->state_owed = recording_put_state(jail, jail->state, jail->state_why,
						       ~0U, 0) < 0;
}

static bool recording_owes(const struct jail *jail)
{
	return jail->gaps_owed || jail->state_owed || jail->restricted_owed || jail->cut_owed;
}

void recording_settle(struct jail *jail)
{
	if (recording_owes(jail))
		recording_pay(jail);
	if (!jail->state_owed)
		return;
	jail->state_owed = false;
	recording_put_gap(jail, LEDGER_GAP_RECORDER_DOWN, 0, 1);
}

int recording_runs(struct warden *warden, const struct recorder_running *running)
{
	warden->recorder_running = warden->recorder_served = true;
	warden->recorder.permit =
		MSG_BIT(MSG_RECORDED) | MSG_BIT(MSG_RETIRED) | MSG_BIT(MSG_REFUSED);
	if (running->torn_bytes)
		log_warning("The ledger ended in a torn record; %llu bytes were cut off.",
			    (unsigned long long)running->torn_bytes);
	if (guard_add_ledger(warden) < 0)
		return -EIO;
	for (struct jail *j = warden->jails; j; j = j->next)
		recording_pay(j);
	rejoin_all(warden);
	life_resume(warden);
	control_start_front(warden);
	return 0;
}

/* Sends to the recorder; waits for room when `must`. */
static int recording_send(struct warden *warden, __u32 type, __u64 id, void *body, size_t size,
			  bool must)
{
	struct pollfd p = { .fd = warden->recorder.channel, .events = POLLOUT };
	int r;

	if (!warden->recorder_running || p.fd < 0)
		return -ENOTCONN;
	r = message_send(p.fd, ROLE_WARDEN, type, id, body, size, NULL, 0);
	if (r != -EAGAIN || !must)
		return r;
	if (poll(&p, 1, RECORDING_SEND_MS) <= 0) {
		/* It hangs, and everything would with it: from here on it counts as ended. */
		log_error("The recorder takes nothing any more; it is ended.");
		warden->recorder_running = false;
		if (warden->recorder.pid > 0)
			(void)kill(warden->recorder.pid, SIGKILL);
		return -ETIMEDOUT;
	}
	return message_send(p.fd, ROLE_WARDEN, type, id, body, size, NULL, 0);
}

int recording_put_launch(struct jail *jail, __u64 id)
{
	struct record_launch record = { 0 };
	struct ledger_launch *launch = &record.launch;

	launch->jail_id = jail->id;
	launch->slot = jail->slot;
	(void)snprintf(launch->name, sizeof(launch->name), "%s", jail->name);
	(void)snprintf(launch->profile, sizeof(launch->profile), "%s", jail->profile);
	memcpy(launch->profile_digest, jail->plan->profile_digest, CUSTODY_DIGEST_SIZE);
	memcpy(launch->plan_digest, jail->plan_digest, CUSTODY_DIGEST_SIZE);
	launch->planes_required = jail->plan->planes_required;
	launch->planes_active = jail->planes_active;
	launch->cgroup_model = jail->cgroup_model;
	launch->cgroup_broker = jail->cgroup_broker;
	memcpy(launch->ns_inode, jail->ns_inode, sizeof(launch->ns_inode));
	launch->pid = (__u32)jail->init;
	launch->requester_uid = jail->ticket.peer.uid;
	launch->structure = jail->structure;
	launch->landlock_abi = jail->landlock_abi;
	return recording_send(jail->warden, MSG_RECORD_LAUNCH, id, &record, sizeof(record), true);
}

int recording_put_measured(struct jail *jail, __u64 id)
{
	struct record_measured record = { .measured = jail->measured };

	return recording_send(jail->warden, MSG_RECORD_MEASURED, id, &record, sizeof(record),
			      true);
}

int recording_put_checked(struct jail *jail, const struct ledger_checked *checked, __u64 id)
{
	struct record_checked record = { .check = *checked };

	return recording_send(jail->warden, MSG_RECORD_CHECKED, id, &record, sizeof(record), true);
}

int recording_put_state(struct jail *jail, enum jail_state state, const char *why, __u32 uid,
			__u64 id)
{
	struct record_state record = {
		.state = { .jail_id = jail->id, .state = state, .status = jail->wait_status,
			   .requester_uid = uid },
	};

	(void)snprintf(record.state.why, sizeof(record.state.why), "%s", why);
	return recording_send(jail->warden, MSG_RECORD_STATE, id, &record, sizeof(record), true);
}

struct recording_counter_context {
	struct warden *warden;
	int error;
};

static void recording_on_counter(const struct policy_counter_key *key,
			      const struct policy_counter *counter, void *data)
{
	struct recording_counter_context *context = data;
	struct record_counter record = { .counter = { .key = *key, .counter = *counter } };
	int r;

	if (!counter->allowed && !counter->denied && !counter->bytes && !counter->lost)
		return;
	r = recording_send(context->warden, MSG_RECORD_COUNTER, 0, &record, sizeof(record), true);
	if (r < 0)
		context->error = r;
}

int recording_put_counters(struct jail *jail)
{
	struct recording_counter_context context = { .warden = jail->warden };
	int r = policy_read_counters(jail->warden->policy, jail->id, recording_on_counter,
				     &context);

	return r < 0 ? r : context.error;
}

int recording_put_fact(struct jail *jail, const struct evidence_fact *fact)
{
	struct record_fact record = { .fact = { .jail_id = jail->id, .fact = *fact } };

	return recording_send(jail->warden, MSG_RECORD_FACT, 0, &record, sizeof(record), true);
}

int recording_put_model(struct warden *warden, const struct ledger_model *model, __u64 id)
{
	struct record_model record = { .model = *model };

	return recording_send(warden, MSG_RECORD_MODEL, id, &record, sizeof(record), true);
}

static bool recording_swap_is_on(void)
{
	cleanup_fd int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t n;
	int lines = 0;

	if (fd < 0)
		return true;	/* unknown: claim less */
	n = read(fd, text, sizeof(text));
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines > 1;	/* the first line is the heading */
}

int recording_put_retire(struct jail *jail)
{
	struct record_retire record = { 0 };
	struct ledger_retire *retire = &record.retire;

	retire->jail_id = jail->id;
	retire->requester_uid = jail->ticket.peer.uid;
	retire->planes_required = jail->plan->planes_required;
	retire->planes_active = jail->planes_active;
	retire->started_ns = jail->started_ns;
	retire->drained_ns = jail->drained_ns;
	retire->erase = EVIDENCE_ERASE_NOTHING;
	if (jail->scratch_dev[0])
		retire->erase = !jail->scratch_noswap && recording_swap_is_on()
					? EVIDENCE_ERASE_SWAPPABLE
					: EVIDENCE_ERASE_MEMORY;
	(void)snprintf(retire->name, sizeof(retire->name), "%s", jail->name);
	(void)snprintf(retire->profile, sizeof(retire->profile), "%s", jail->profile);
	memcpy(retire->profile_digest, jail->plan->profile_digest, CUSTODY_DIGEST_SIZE);
	memcpy(retire->plan_digest, jail->plan_digest, CUSTODY_DIGEST_SIZE);
	return recording_send(jail->warden, MSG_RECORD_RETIRE, jail->id, &record, sizeof(record),
			      true);
}

void recording_put_gap(struct jail *jail, enum ledger_gap_cause cause, __u64 lost, __u64 total)
{
	struct record_gap record = {
		.gap = { .jail_id = jail->id, .cause = cause, .lost = lost, .total = total },
	};

	jail->gaps++;
	if (recording_send(jail->warden, MSG_RECORD_GAP, 0, &record, sizeof(record), true) < 0)
		jail->gaps_owed |= 1U << cause;
	if (jail->state != JAIL_STATE_STARTING)
		(void)state_save(jail);
}

/* Of a UNIX path or a host name that is listed: the plan's. The model's own words are left out. */
static void recording_set_path(const struct jail *jail, struct custody_event *event)
{
	const struct plan_endpoint *endpoint;
	size_t n;

	event->path_len = 0;
	memset(event->path, 0, sizeof(event->path));
	if (!jail->plan || event->object >= jail->plan->n_endpoints)
		return;
	endpoint = &jail->plan->endpoints[event->object];
	n = endpoint->path.len < sizeof(event->path) ? endpoint->path.len : sizeof(event->path);
	memcpy(event->path, plan_string(jail->plan, endpoint->path), n);
	event->path_len = (__u16)n;
}

/* The broker runs as another uid and may be lying about whose event it is; it is this jail's. */
void recording_put_broker_event(struct jail *jail, const struct broker_event *said)
{
	struct record_event record = { .event = said->event };
	int r;

	record.event.size = sizeof(record.event);
	record.event.version = EVENT_VERSION;
	record.event.jail_id = jail->id;
	record.event.plane = EVENT_PLANE_BROKER;
	record.event.cgroup_id = jail->cgroup_model;
	recording_set_path(jail, &record.event);
	r = recording_send(jail->warden, MSG_RECORD_EVENT, 0, &record, sizeof(record), false);
	if (r < 0)
		jail->broker_unsent++;
	if (said->lost > jail->broker_lost)
		jail->broker_lost = said->lost;
}

int recording_put_event(struct jail *jail, const struct custody_event *event)
{
	struct record_event record = { .event = *event };

	record.event.size = sizeof(record.event);
	record.event.version = EVENT_VERSION;
	record.event.jail_id = jail->id;
	if (record.event.cgroup_id == 0)
		record.event.cgroup_id = jail->cgroup_broker;
	return recording_send(jail->warden, MSG_RECORD_EVENT, 0, &record, sizeof(record), true);
}

void recording_check_jail(struct jail *jail)
{
	__u64 lost = jail->tally.lost + jail->broker_lost + jail->broker_unsent;

	if (lost <= jail->lost_told)
		return;
	recording_put_gap(jail, LEDGER_GAP_RING_FULL, lost - jail->lost_told, lost);
	jail->lost_told = lost;
	if (jail->state != JAIL_STATE_STARTING)
		(void)state_save(jail);
	if (jails_is_alive(jail))
		life_lost_events(jail);
}

/* Losses that belong to no jail that is known go to the ledger under jail 0. */
static void recording_put_host_gap(struct warden *warden, enum ledger_gap_cause cause, __u32 site,
				   __u64 now, __u64 *sent)
{
	struct record_gap record = {
		.gap = { .cause = cause, .lost = now - *sent, .total = now, .site = site },
	};

	if (now <= *sent ||
	    recording_send(warden, MSG_RECORD_GAP, RECORDING_HOST_GAP, &record, sizeof(record),
			   true) < 0)
		return;
	*sent = now;
	warden->losses_unanswered++;
}

static void recording_check_errors(struct warden *warden)
{
	struct host_losses *sent = &warden->losses_sent;
	__u64 now[_POLICY_ERROR_MAX];

	if (policy_read_errors(warden->policy, now) == 0) {
		for (__u32 site = 0; site < _POLICY_ERROR_MAX; site++) {
			/* A cgroup of ours without an entry was denied: no event was lost. */
			if (site != POLICY_ERROR_NO_JAIL)
				recording_put_host_gap(warden, LEDGER_GAP_HELPER, site, now[site],
						       &sent->helpers[site]);
		}
	}
	recording_put_host_gap(warden, LEDGER_GAP_RECORDER_DOWN, 0, warden->recorders_lost,
			       &sent->recorders);
}

void recording_answered(struct warden *warden, bool written)
{
	if (!written) {
		warden->losses_sent = warden->losses_told;
		warden->losses_unanswered = 0;
	} else if (warden->losses_unanswered > 0 && --warden->losses_unanswered == 0) {
		warden->losses_told = warden->losses_sent;
	}
}

void recording_check_losses(struct warden *warden)
{
	__u64 host_lost = 0;
	struct jail *next;
	bool known = jails_tally(warden, &host_lost) == 0;

	for (struct jail *j = warden->jails; known && j; j = next) {
		next = j->next;
		/* a model that has stopped may be guarded still (life_release()) */
		if ((jails_is_alive(j) && j->cgroup_model) ||
		    (j->measured.flags & MEASURED_GUARDED))
			recording_check_jail(j);
	}
	if (known)
		recording_put_host_gap(warden, LEDGER_GAP_RING_FULL, 0, host_lost,
				       &warden->losses_sent.guard);
	recording_check_errors(warden);
}

static bool recording_is_known_child(const struct warden *warden, pid_t pid)
{
	if (pid == warden->front.pid || pid == warden->recorder.pid ||
	    registry_knows_child(warden, pid))
		return true;
	for (const struct jail *j = warden->jails; j; j = j->next) {
		if (pid == j->init || pid == j->planner.pid || pid == j->builder.pid ||
		    pid == j->broker.pid || pid == j->sweeper.pid ||
		    pid == j->resolver.pid || pid == j->measurer.pid)
			return true;
	}
	return false;
}

/* custodyd is the subreaper: what a jail that failed to start left behind ends here. */
static void recording_reap_orphans(struct warden *warden)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		if (recording_is_known_child(warden, info.si_pid))
			return;
		(void)waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

static int recording_on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct warden *warden = data;

	if (warden->recorder_running)
		recording_check_losses(warden);
	ceiling_check(warden);
	if (warden->recorder_running)
		registry_tick(warden);
	recording_reap_orphans(warden);
	for (struct jail *j = warden->jails; j; j = j->next) {
		if (j->state == JAIL_STATE_STOPPED)
			life_note_scratch(j);
		if (warden->recorder_running && !j->sequence && recording_owes(j))
			recording_pay(j);
		life_retry(j);
		limits_watch(j);
	}
	(void)sd_event_source_set_time(source, usec + RECORDING_TIMER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

int recording_start_timer(struct warden *warden)
{
	return sd_event_add_time_relative(warden->event, &warden->loss_timer, CLOCK_MONOTONIC,
					  RECORDING_TIMER_US, 10000, recording_on_timer, warden);
}
