/* SPDX-License-Identifier: Apache-2.0 */
/* What messages of custody/message.h have in common: how they begin, who asks, how it ended. */
#ifndef CUSTODY_MESSAGE_HEAD_H
#define CUSTODY_MESSAGE_HEAD_H

#include <linux/types.h>

struct message_head {
	__u32 type;		/* enum custody_message_type */
	__u32 size;		/* of the whole struct */
	__u64 id;		/* request or transaction this belongs to */
};

/* Who asked, from SO_PEERCRED. Zero from custodyctl; front fills it in. */
struct message_peer {
	__u32 pid;
	__u32 uid;
	__u32 gid;
	__u32 pad;
};

/* The documented exit codes: what a reply carries is what custodyctl exits with. */
enum custody_exit {
	CUSTODY_EXIT_DONE = 0,
	CUSTODY_EXIT_FALSE = 1,		/* what was asked for is not so: residue, bad signature */
	CUSTODY_EXIT_USAGE = 2,
	CUSTODY_EXIT_REFUSED = 3,	/* by policy, by a missing plane, by state */
	CUSTODY_EXIT_INCOMPLETE = 4,
	CUSTODY_EXIT_INTERNAL = 5,
};

#endif
