/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the recorder opens its key and its ledger. Run by custody-recorder while it is still root,
 * before it reads its first event. Trusts custodyd's fds; checks what the files hold.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "cleanup.h"

#define OPEN_STATUS_UNKNOWN 0x7fffffff	/* struct ledger_state */

static void open_note_end(struct recorder *recorder, const struct record_entry *entry)
{
	struct recorder_launch *launch;

	if (entry->head.type != LEDGER_VERDICT &&
	    (entry->head.type != LEDGER_STATE ||
	     (entry->payload.state.state != JAIL_STATE_STOPPED &&
	      entry->payload.state.state != JAIL_STATE_RETIRED)))
		return;
	launch = recorder_find_launch(recorder, entry->head.jail_id);
	if (!launch || launch->ended)
		return;
	launch->ended = true;
	launch->ended_seq = entry->head.seq;
}

static int open_visit(void *data, const struct record_entry *entry, __u64 offset,
		      const __u8 previous[CUSTODY_DIGEST_SIZE])
{
	struct recorder *recorder = data;
	struct recorder_launch launch = {
		.jail_id = entry->head.jail_id, .seq = entry->head.seq, .offset = offset,
	};

	open_note_end(recorder, entry);
	if (entry->head.type == LEDGER_OPENED)
		memcpy(recorder->boot_id, entry->payload.opened.boot_id,
		       sizeof(recorder->boot_id));
	if (entry->head.type != LEDGER_LAUNCH)
		return 0;
	memcpy(launch.previous, previous, sizeof(launch.previous));
	return recorder_add_launch(recorder, &launch);
}

/* Bytes of a small file; -ENOENT when there is none. */
static int open_read_text(int dirfd, const char *name, char *ret, size_t size)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return (int)n;
}

/* All or nothing: through a second name. */
static int open_write_text(int dirfd, const char *name, const char *text)
{
	cleanup_fd int fd = -1;
	char next[64];

	(void)snprintf(next, sizeof(next), "%s.new", name);
	fd = openat(dirfd, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -ENOSPC;
	if (fchmod(fd, 0644) < 0 || fsync(fd) < 0 ||
	    renameat(dirfd, next, dirfd, name) < 0 || fsync(dirfd) < 0)
		return -errno;
	return 0;
}

/* The public key stands beside the ledger; one that belongs to another key is never replaced. */
static int open_publish_key(struct recorder *recorder, int dirfd, bool made, char *problem,
			    size_t size)
{
	char pem[KEY_FILE_MAX];
	char vkey[512];
	char text[KEY_FILE_MAX];
	int r = key_print_pem(recorder->key, pem, sizeof(pem));

	if (r == 0)
		r = key_print_vkey(recorder->key, recorder->origin, vkey, sizeof(vkey));
	if (r < 0)
		return r;
	r = open_read_text(dirfd, LEDGER_PUB, text, sizeof(text));
	if (r >= 0 && strcmp(text, pem) != 0) {
		(void)snprintf(problem, size,
			       "the signing key is not the one that signed this ledger (%s): %s; "
			       "put the old key back, or begin a new ledger directory",
			       LEDGER_PUB,
			       made ? "the key file was empty, and a new key was made" :
				      "the key file was replaced");
		return -EKEYREJECTED;
	}
	if (r == -ENOENT)
		r = open_write_text(dirfd, LEDGER_PUB, pem);
	if (r < 0)
		return r;
	r = open_read_text(dirfd, LEDGER_VKEY, text, sizeof(text));
	if (r < 0 || strcmp(text, vkey) != 0)
		r = open_write_text(dirfd, LEDGER_VKEY, vkey);
	return r < 0 ? r : 0;
}

static void open_describe_problem(int error, const struct ledger_problem *where, char *problem,
				  size_t size)
{
	if (error == -EBADMSG)
		(void)snprintf(problem, size,
			       "the ledger is damaged and is not written to: file %s, record %llu "
			       "at byte %llu: %s; keep the directory as it is for inquiry, and "
			       "begin a new one",
			       where->file, (unsigned long long)where->seq,
			       (unsigned long long)where->offset,
			       *where->why ? where->why : "not a regular file of its own");
	else if (error == -EBUSY)
		(void)snprintf(problem, size,
			       "another recorder holds the ledger and did not end within %d s",
			       RECORDER_LOCK_WAIT_MS / 1000);
	else
		(void)snprintf(problem, size, "the ledger cannot be opened: %s: %s", where->file,
			       strerror(-error));
}

static int open_key(struct recorder *recorder, int key_fd, bool *ret_made, char *problem,
		    size_t size)
{
	int r = key_open(key_fd, &recorder->key, ret_made);

	if (r == -EBADMSG)
		(void)snprintf(problem, size,
			       "the key file holds no Ed25519 private key in PEM: put the right "
			       "file back; an empty file gets a new key, for a new ledger only");
	else if (r < 0)
		(void)snprintf(problem, size, "the key file cannot be used: %s", strerror(-r));
	return r;
}

int recorder_open(struct recorder *recorder, int channel, int ledger_dirfd, int key_fd,
		  int evidence_fd, const struct recorder_setup *setup, char *problem, size_t size)
{
	struct ledger_problem where;
	bool made = false;
	int r;

	memset(recorder, 0, sizeof(*recorder));
	recorder->channel = channel;
	recorder->evidence_fd = evidence_fd;
	recorder->fsync_ms = setup->fsync_ms;
	recorder->custody_known = setup->custody_known && setup->n_custody <= CUSTODY_JAILS_MAX;
	recorder->n_custody = recorder->custody_known ? setup->n_custody : 0;
	memcpy(recorder->custody, setup->custody, sizeof(recorder->custody));
	(void)snprintf(problem, size, "the ledger's name must be printable, without space or '+'");
	if (!note_check_origin(setup->origin))
		return -EINVAL;
	memcpy(recorder->origin, setup->origin, strlen(setup->origin));
	r = ledger_open(ledger_dirfd, NULL, RECORDER_LOCK_WAIT_MS, open_visit, recorder,
			&recorder->ledger, &where);
	if (r < 0) {
		open_describe_problem(r, &where, problem, size);
		recorder_close(recorder);
		return r;
	}
	r = open_key(recorder, key_fd, &made, problem, size);
	if (r == 0) {
		(void)snprintf(problem, size, "the public key cannot be written");
		r = open_publish_key(recorder, ledger_dirfd, made, problem, size);
	}
	if (r < 0)
		recorder_close(recorder);
	return r;
}

/* 0 or -errno. The text is 36 characters: 8-4-4-4-12 hex digits. */
static int open_read_boot_id(__u8 ret[16])
{
	cleanup_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[40] = { 0 };
	size_t digits = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) < 36)
		return -EIO;
	for (const char *p = text; digits < 32 && *p; p++) {
		unsigned int value;

		if (*p == '-')
			continue;
		if (sscanf((const char[]){ *p, '\0' }, "%1x", &value) != 1)
			return -EIO;
		ret[digits / 2] = (__u8)(ret[digits / 2] << 4 | value);
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

static bool open_is_in_custody(const struct recorder *recorder, __u32 jail_id)
{
	for (__u32 i = 0; i < recorder->n_custody; i++) {
		if (recorder->custody[i] == jail_id)
			return true;
	}
	return false;
}

/* Launches whose end was lost with an earlier recorder, an earlier custodyd or the host (R4). */
static int open_end_launches(struct recorder *recorder)
{
	int r = 0;

	for (size_t i = 0; recorder->custody_known && r == 0 && i < recorder->n_launches; i++) {
		struct recorder_launch *launch = &recorder->launches[i];
		struct ledger_gap gap = {
			.jail_id = launch->jail_id, .cause = LEDGER_GAP_RECORDER_DOWN, .total = 1,
		};
		struct ledger_state state = {
			.jail_id = launch->jail_id, .state = JAIL_STATE_STOPPED,
			.status = OPEN_STATUS_UNKNOWN, .requester_uid = ~0U,
			.why = "no longer in custody: its end reached no record",
		};

		if (launch->ended || open_is_in_custody(recorder, launch->jail_id))
			continue;
		r = ledger_append(recorder->ledger, LEDGER_GAP, launch->jail_id, &gap, sizeof(gap),
				  NULL);
		if (r == 0)
			r = ledger_append(recorder->ledger, LEDGER_STATE, launch->jail_id, &state,
					  sizeof(state), &launch->ended_seq);
		launch->ended = r == 0;
	}
	return r;
}

int recorder_begin(struct recorder *recorder)
{
	struct ledger_opened opened = { .torn_bytes = ledger_torn(recorder->ledger) };
	bool first = ledger_size(recorder->ledger) == 0;
	struct utsname uts;
	int r;

	if (uname(&uts) < 0)
		return -errno;
	(void)snprintf(opened.kernel, sizeof(opened.kernel), "%.*s",
		       (int)sizeof(opened.kernel) - 1, uts.release);
	r = open_read_boot_id(opened.boot_id);
	if (r < 0)
		return r;
	r = ledger_append(recorder->ledger, LEDGER_OPENED, 0, &opened, sizeof(opened), NULL);
	if (r < 0)
		return r;
	/* what a predecessor had in memory or unsynced when the host went down is gone */
	if (!first && memcmp(opened.boot_id, recorder->boot_id, sizeof(opened.boot_id)) != 0) {
		struct ledger_gap gap = { .cause = LEDGER_GAP_RECORDER_DOWN };

		r = ledger_append(recorder->ledger, LEDGER_GAP, 0, &gap, sizeof(gap), NULL);
	}
	if (r == 0)
		r = open_end_launches(recorder);
	return r < 0 ? r : recorder_sign(recorder);
}
