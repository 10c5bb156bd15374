/* SPDX-License-Identifier: Apache-2.0 */
/* What every message begins with: see custody/message.h. */
#ifndef CUSTODY_MESSAGE_HEAD_H
#define CUSTODY_MESSAGE_HEAD_H

#include <linux/types.h>

struct message_head {
	__u32 type;		/* enum custody_message_type */
	__u32 size;		/* of the whole struct */
	__u64 id;		/* request or transaction this belongs to */
};

#endif
