/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a log record by record. Run by the recorder, custodyctl and custody-verify. Trusts
 * nothing in the file; changes nothing.
 */
#include "ledger.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void ledger_reader_setup(struct ledger_reader *reader, int fd, __u64 offset, __u64 seq,
			 const __u8 *previous, bool check)
{
	memset(reader, 0, offsetof(struct ledger_reader, buffer));
	reader->fd = fd;
	reader->check = check;
	reader->offset = offset;
	reader->seq = seq;
	if (previous)
		memcpy(reader->hash, previous, sizeof(reader->hash));
}

/* Moves what is left to the front and reads behind it. Returns bytes read, 0 at the end. */
static int ledger_reader_fill(struct ledger_reader *reader)
{
	size_t left = reader->used - reader->at;
	ssize_t n;

	memmove(reader->buffer, reader->buffer + reader->at, left);
	reader->at = 0;
	reader->used = left;
	do {
		n = pread(reader->fd, reader->buffer + left, sizeof(reader->buffer) - left,
			  (off_t)(reader->offset + left));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	reader->used += (size_t)n;
	return (int)n;
}

int ledger_reader_next(struct ledger_reader *reader, struct record_entry *ret,
		       const char **ret_why)
{
	for (;;) {
		int r = record_decode(reader->buffer + reader->at, reader->used - reader->at,
				      reader->check ? reader->hash : NULL, reader->seq, ret,
				      ret_why);

		if (r == 0)
			break;
		if (r != -EAGAIN)
			return r;
		r = ledger_reader_fill(reader);
		if (r < 0)
			return r;
		if (r == 0)
			return reader->used == 0 ? -ENODATA : -EAGAIN;
	}
	reader->at += ret->size;
	reader->offset += ret->size;
	reader->seq++;
	memcpy(reader->hash, ret->head.hash, sizeof(reader->hash));
	return 0;
}
