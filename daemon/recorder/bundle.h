/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one retirement, written below the evidence directory. Run by custody-recorder.
 */
#ifndef CUSTODY_RECORDER_BUNDLE_H
#define CUSTODY_RECORDER_BUNDLE_H

#include <linux/types.h>
#include <stddef.h>

struct bundle {
	const char *name;		/* of the model, checked */
	__u32 jail_id;
	const char *statement;		/* envelope */
	size_t statement_n;
	const char *note;		/* signed head over the last of the records */
	int log_fd;
	__u64 first;			/* bytes of the log: launch record ... */
	__u64 end;			/* ... up to behind the verdict record */
};

/*
 * Writes <name>-<jail_id>/ (or, where that is taken, <name>-<jail_id>.2/ and on) all or nothing:
 * into a hidden directory, synced, then renamed. ret (size bytes) gets the name. 0 or -errno
 * with nothing left behind.
 */
int bundle_write(int evidence_fd, const struct bundle *bundle, char *ret, size_t size);

#endif
