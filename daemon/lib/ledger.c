/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the ledger. Run by the recorder only. Trusts its own earlier writes no
 * further than their hashes; see the invariants L1-L3 in ledger.h.
 */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "write_all.h"

#define LEDGER_WAIT_STEP_MS 20

/* A point between two records. */
struct ledger_mark {
	__u64 size;
	__u64 end;
	__u8 hash[CUSTODY_DIGEST_SIZE];
};

struct ledger {
	int fd;
	int heads_fd;
	struct ledger_ops ops;
	struct ledger_mark now;
	struct ledger_mark synced;
	bool dirty;		/* bytes beyond now.end may be in the file */
	bool heads_dirty;
	__u64 heads_end;
	__u64 head_size;	/* records under the newest head */
	__u64 torn;
};

static ssize_t ledger_real_write(void *data, int fd, const void *bytes, size_t n)
{
	(void)data;
	return write(fd, bytes, n);
}

static int ledger_real_sync(void *data, int fd)
{
	(void)data;
	return fdatasync(fd);
}

static int ledger_real_truncate(void *data, int fd, off_t size)
{
	(void)data;
	return ftruncate(fd, size);
}

static const struct ledger_ops ledger_real_ops = {
	.write = ledger_real_write,
	.sync = ledger_real_sync,
	.truncate = ledger_real_truncate,
};

void ledger_close(struct ledger **ledger)
{
	if (!*ledger)
		return;
	cleanup_close_fd(&(*ledger)->fd);
	cleanup_close_fd(&(*ledger)->heads_fd);
	free(*ledger);
	*ledger = NULL;
}

/* Opens a file of the ledger; a new one is made durable in its directory. */
static int ledger_open_file(int dirfd, const char *name)
{
	cleanup_fd int fd = -1;
	struct stat st;

	fd = openat(dirfd, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return -EBADMSG;
	if (st.st_size == 0 && (fchmod(fd, 0640) < 0 || fsync(dirfd) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static int ledger_lock(int fd, int wait_ms)
{
	const struct timespec step = { .tv_nsec = LEDGER_WAIT_STEP_MS * 1000000L };

	for (int waited = 0;; waited += LEDGER_WAIT_STEP_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited >= wait_ms)
			return -EBUSY;
		(void)nanosleep(&step, NULL);
	}
}

/* ---- opening ---- */

static int ledger_read_heads(int fd, size_t size, char **ret)
{
	cleanup_ptr char *text = malloc(size + 1);
	size_t used = 0;

	if (!text)
		return -ENOMEM;
	while (used < size) {
		ssize_t n = pread(fd, text + used, size - used, (off_t)used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		used += (size_t)n;
	}
	text[size] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

/* The newest whole head; a torn one behind it is marked to be cut. */
static int ledger_load_heads(struct ledger *ledger, struct note_head *ret,
			     struct ledger_problem *problem)
{
	cleanup_ptr char *text = NULL;
	struct stat st;
	size_t at = 0;
	size_t bad = 0;
	int r;

	if (fstat(ledger->heads_fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size > LEDGER_HEADS_MAX)
		return -EFBIG;
	r = ledger_read_heads(ledger->heads_fd, (size_t)st.st_size, &text);
	if (r < 0)
		return r;
	problem->file = LEDGER_HEADS;
	for (;;) {
		size_t n = note_find_end(text + at, (size_t)st.st_size - at);

		if (n == 0)
			break;
		if (note_parse(text + at, n, NULL, ret, &problem->why, &bad) < 0) {
			problem->offset = at + bad;
			problem->seq = ret->size;
			return -EBADMSG;
		}
		at += n + 1;
	}
	ledger->heads_end = at;
	ledger->heads_dirty = at != (size_t)st.st_size;
	ledger->head_size = ret->size;
	return 0;
}

/* True when the file holds nothing but zero bytes from offset to its end. */
static bool ledger_tail_is_zero(int fd, __u64 offset)
{
	char buffer[4096];

	for (;;) {
		ssize_t n = pread(fd, buffer, sizeof(buffer), (off_t)offset);

		if (n < 0)
			return false;
		if (n == 0)
			return true;
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] != 0)
				return false;
		}
		offset += (__u64)n;
	}
}

/* Is the bad record at the reader's place the very last thing in the file? */
static bool ledger_tail_is_torn(const struct ledger_reader *reader, __u64 file_size)
{
	struct ledger_record head;
	size_t need;

	memcpy(&head, reader->buffer + reader->at, sizeof(head));
	need = record_payload_size(head.type);
	if (head.magic == LEDGER_MAGIC && need > 0 && head.length == need &&
	    reader->offset + sizeof(head) + need >= file_size)
		return true;
	return ledger_tail_is_zero(reader->fd, reader->offset);
}

static int ledger_check_head(const struct ledger_reader *reader, const struct note_head *head,
			     struct ledger_problem *problem)
{
	if (head->size == 0 || reader->seq != head->size ||
	    memcmp(reader->hash, head->hash, sizeof(head->hash)) == 0)
		return 0;
	problem->why = "the chain is not the one that the newest signed head was made for";
	return -ESTALE;
}

static int ledger_scan(struct ledger *ledger, const struct note_head *head, ledger_visit_fn visit,
		       void *visit_data, struct ledger_reader *reader,
		       struct ledger_problem *problem)
{
	struct record_entry entry;
	int r;

	for (;;) {
		__u64 offset = reader->offset;
		__u8 previous[CUSTODY_DIGEST_SIZE];

		memcpy(previous, reader->hash, sizeof(previous));
		r = ledger_reader_next(reader, &entry, &problem->why);
		problem->seq = reader->seq;
		problem->offset = reader->offset;
		if (r < 0)
			break;
		r = ledger_check_head(reader, head, problem);
		if (r == 0 && visit)
			r = visit(visit_data, &entry, offset, previous);
		if (r < 0)
			return r;
	}
	ledger->now.size = reader->seq;
	ledger->now.end = reader->offset;
	memcpy(ledger->now.hash, reader->hash, sizeof(ledger->now.hash));
	return r == -ENODATA ? 0 : r;
}

static int ledger_load_log(struct ledger *ledger, const struct note_head *head,
			   ledger_visit_fn visit, void *visit_data,
			   struct ledger_problem *problem)
{
	cleanup_ptr struct ledger_reader *reader = malloc(sizeof(*reader));
	struct stat st;
	int r;

	if (!reader)
		return -ENOMEM;
	if (fstat(ledger->fd, &st) < 0)
		return -errno;
	problem->file = LEDGER_LOG;
	ledger_reader_setup(reader, ledger->fd, 0, 0, NULL, true);
	r = ledger_scan(ledger, head, visit, visit_data, reader, problem);
	if (r < 0 && r != -EAGAIN && r != -EBADMSG)
		return r == -ESTALE ? -EBADMSG : r;
	if (r == -EBADMSG && !ledger_tail_is_torn(reader, (__u64)st.st_size))
		return r;
	if (ledger->now.size < head->size) {
		problem->why = "records are missing that the newest signed head covers";
		return -EBADMSG;
	}
	ledger->torn = (__u64)st.st_size - ledger->now.end;
	ledger->dirty = ledger->torn != 0;
	return 0;
}

static int ledger_cut(struct ledger *ledger)
{
	if (ledger->dirty) {
		if (ledger->ops.truncate(ledger->ops.data, ledger->fd,
					 (off_t)ledger->now.end) < 0)
			return -errno;
		ledger->dirty = false;
	}
	if (ledger->heads_dirty) {
		if (ledger->ops.truncate(ledger->ops.data, ledger->heads_fd,
					 (off_t)ledger->heads_end) < 0)
			return -errno;
		ledger->heads_dirty = false;
	}
	return 0;
}

int ledger_open(int dirfd, const struct ledger_ops *ops, int wait_ms, ledger_visit_fn visit,
		void *visit_data, struct ledger **ret, struct ledger_problem *ret_problem)
{
	cleanup_ledger struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct note_head head = { .size = 0 };
	int r;

	if (!ledger)
		return -ENOMEM;
	ledger->fd = ledger->heads_fd = -1;
	ledger->ops = ops ? *ops : ledger_real_ops;
	memset(ret_problem, 0, sizeof(*ret_problem));
	ret_problem->why = "";
	ret_problem->file = LEDGER_LOG;
	ledger->fd = ledger_open_file(dirfd, LEDGER_LOG);
	if (ledger->fd < 0)
		return ledger->fd;
	r = ledger_lock(ledger->fd, wait_ms);
	if (r < 0)
		return r;
	ret_problem->file = LEDGER_HEADS;
	ledger->heads_fd = ledger_open_file(dirfd, LEDGER_HEADS);
	if (ledger->heads_fd < 0)
		return ledger->heads_fd;
	r = ledger_load_heads(ledger, &head, ret_problem);
	if (r == 0)
		r = ledger_load_log(ledger, &head, visit, visit_data, ret_problem);
	if (r == 0)
		r = ledger_cut(ledger);
	if (r < 0)
		return r;
	/* what an earlier writer left unsynced must be durable before anything is built on it */
	if (ledger->ops.sync(ledger->ops.data, ledger->fd) < 0)
		return -errno;
	ledger->synced = ledger->now;
	*ret = TAKE_PTR(ledger);
	return 0;
}

/* ---- writing ---- */

/* All of the bytes, or a failure after which the caller must cut. */
static int ledger_write_all(struct ledger *ledger, int fd, const void *bytes, size_t n)
{
	return write_all_by(ledger->ops.write, ledger->ops.data, fd, bytes, n);
}

int ledger_append(struct ledger *ledger, enum ledger_type type, __u32 jail_id,
		  const void *payload, size_t n, __u64 *ret_seq)
{
	struct record_entry entry = { 0 };
	__u8 bytes[RECORD_SIZE_MAX];
	struct timespec now;
	const char *why;
	int r;

	if (record_payload_size(type) == 0 || record_payload_size(type) != n)
		return -EINVAL;
	memcpy(&entry.payload, payload, n);
	record_clean_texts(type, &entry.payload);
	if (!record_check(type, jail_id, &entry.payload, &why))
		return -EINVAL;
	r = ledger_cut(ledger);
	if (r < 0)
		return r;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	entry.size = sizeof(entry.head) + n;
	entry.head = (struct ledger_record){
		.magic = LEDGER_MAGIC, .version = LEDGER_VERSION, .type = (__u16)type,
		.length = (__u32)n, .jail_id = jail_id, .seq = ledger->now.size,
		.time_ns = (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec,
	};
	r = record_hash(ledger->now.hash, &entry, entry.head.hash);
	if (r < 0)
		return r;
	record_encode(&entry, bytes);
	r = ledger_write_all(ledger, ledger->fd, bytes, entry.size);
	if (r < 0) {
		ledger->dirty = true;
		(void)ledger_cut(ledger);	/* still dirty when it fails: the next call cuts */
		return r;
	}
	if (ret_seq)
		*ret_seq = ledger->now.size;
	ledger->now.size++;
	ledger->now.end += entry.size;
	memcpy(ledger->now.hash, entry.head.hash, sizeof(ledger->now.hash));
	return 0;
}

int ledger_sync(struct ledger *ledger, __u64 *ret_lost)
{
	int r;

	if (ret_lost)
		*ret_lost = 0;
	r = ledger_cut(ledger);
	if (r < 0 || ledger_unsynced(ledger) == 0)
		return r;
	if (ledger->ops.sync(ledger->ops.data, ledger->fd) == 0) {
		ledger->synced = ledger->now;
		return 0;
	}
	r = -errno;
	/*
	 * After a failed fsync the kernel may have dropped the dirty pages and call them clean:
	 * asking again proves nothing. What was not durable is taken back.
	 */
	if (ret_lost)
		*ret_lost = ledger_unsynced(ledger);
	ledger->now = ledger->synced;
	ledger->dirty = true;
	(void)ledger_cut(ledger);
	return r;
}

int ledger_sign(struct ledger *ledger, const struct key *key, const char *origin, char *ret)
{
	struct note_head head = { .size = ledger->now.size };
	char note[NOTE_SIZE_MAX];
	int r;

	r = ledger_sync(ledger, NULL);
	if (r < 0)
		return r;
	if (strnlen(origin, sizeof(head.origin)) == sizeof(head.origin))
		return -EINVAL;
	memcpy(head.origin, origin, strlen(origin));
	memcpy(head.hash, ledger->now.hash, sizeof(head.hash));
	r = note_sign(&head, key, note, sizeof(note) - 1);
	if (r < 0)
		return r;
	if (head.size != ledger->head_size) {
		size_t n = strlen(note);

		note[n] = '\n';
		r = ledger_write_all(ledger, ledger->heads_fd, note, n + 1);
		note[n] = '\0';
		if (r == 0 && ledger->ops.sync(ledger->ops.data, ledger->heads_fd) < 0)
			r = -errno;
		if (r < 0) {
			ledger->heads_dirty = true;
			(void)ledger_cut(ledger);
			return r;
		}
		ledger->heads_end += n + 1;
		ledger->head_size = head.size;
	}
	if (ret)
		memcpy(ret, note, sizeof(note));
	return 0;
}

__u64 ledger_size(const struct ledger *ledger)
{
	return ledger->now.size;
}

__u64 ledger_end(const struct ledger *ledger)
{
	return ledger->now.end;
}

__u64 ledger_unsynced(const struct ledger *ledger)
{
	return ledger->now.size - ledger->synced.size;
}

__u64 ledger_torn(const struct ledger *ledger)
{
	return ledger->torn;
}

const __u8 *ledger_hash(const struct ledger *ledger)
{
	return ledger->now.hash;
}

int ledger_fd(const struct ledger *ledger)
{
	return ledger->fd;
}
