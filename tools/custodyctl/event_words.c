/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and accesses of events in words. Run by custodyctl. Pure. Trusts no number. */
#include "event_words.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "custody/guard.h"
#include "custody/policy.h"

static const char *const event_words_guard[_GUARD_OBJECT_MAX] = {
	[GUARD_MAP] = "map",		   [GUARD_PROGRAM] = "program",
	[GUARD_LINK] = "link",		   [GUARD_PIN] = "pin",
	[GUARD_TRACE] = "trace",	   [GUARD_SIGNAL] = "signal",
	[GUARD_LIMIT] = "limit",	   [GUARD_LEDGER] = "ledger",
	[GUARD_KEY] = "key",		   [GUARD_STATE] = "state",
	[GUARD_EXECUTABLE] = "executable", [GUARD_CGROUP] = "cgroup",
	[GUARD_MOUNT] = "mount",	   [GUARD_ARTIFACT] = "artifact",
	[GUARD_READ] = "read",		   [GUARD_NODE] = "gpu-node",
	[GUARD_DOOR] = "door",		   [GUARD_ESCAPE] = "escape",
};

static const char *const event_words_guard_change[] = {
	"unlink", "rename", "link", "mount", "umount", "attribute", "receive", "ioctl", "write",
};
_Static_assert(ARRAY_SIZE(event_words_guard_change) == _GUARD_CHANGE_MAX - GUARD_CHANGE_UNLINK,
	       "every change that the guard knows has a word");

static const char *const event_words_door[_GUARD_DOOR_MAX] = {
	[0] = "passed",
	[GUARD_DOOR_TRACED] = "traced",
	[GUARD_DOOR_NOT_ROOT] = "not-root",
	[GUARD_DOOR_STRANGER] = "stranger",
	[GUARD_DOOR_FULL] = "full",
};

static const char *const event_words_change[_POLICY_CHANGE_MAX] = {
	[POLICY_CHANGE_CREATE] = "create",   [POLICY_CHANGE_NODE] = "node",
	[POLICY_CHANGE_MKDIR] = "mkdir",     [POLICY_CHANGE_SYMLINK] = "symlink",
	[POLICY_CHANGE_LINK] = "link",	     [POLICY_CHANGE_UNLINK] = "unlink",
	[POLICY_CHANGE_RMDIR] = "rmdir",     [POLICY_CHANGE_RENAME] = "rename",
	[POLICY_CHANGE_TRUNCATE] = "truncate", [POLICY_CHANGE_MODE] = "mode",
	[POLICY_CHANGE_OWNER] = "owner",     [POLICY_CHANGE_TIMES] = "times",
	[POLICY_CHANGE_XATTR] = "xattr",
};

static const char *const event_words_task[_POLICY_TASK_MAX] = {
	[POLICY_TASK_PTRACE] = "ptrace",     [POLICY_TASK_SIGNAL] = "signal",
	[POLICY_TASK_CAPABLE] = "capability", [POLICY_TASK_USERNS] = "userns",
	[POLICY_TASK_MOUNT] = "mount",	     [POLICY_TASK_BPF] = "bpf",
	[POLICY_TASK_PERF] = "perf",	     [POLICY_TASK_MODULE] = "module",
	[POLICY_TASK_URING] = "io_uring",    [POLICY_TASK_USERFAULT] = "userfaultfd",
};

static const char *const event_words_limit[_POLICY_LIMIT_MAX] = {
	[POLICY_LIMIT_MEMORY] = "memory",
	[POLICY_LIMIT_HOST_MEMORY] = "host-memory",
	[POLICY_LIMIT_PROCESSES] = "processes",
};

static const char *const event_words_uring[] = {
	[POLICY_URING_MAKE] = "make", [POLICY_URING_CREDS] = "creds",
	[POLICY_URING_SQPOLL] = "sqpoll", [POLICY_URING_CMD] = "cmd",
};

static void event_words_pick(const char *const *words, size_t n, __u32 value, char *ret)
{
	if (value < n && words[value])
		(void)snprintf(ret, EVENT_WORDS_SIZE, "%s", words[value]);
	else
		(void)snprintf(ret, EVENT_WORDS_SIZE, "%u", value);
}

#define EVENT_WORDS_PICK(words, value, ret) \
	event_words_pick(words, ARRAY_SIZE(words), value, ret)

static void event_words_set_signal(__u32 number, char *ret)
{
	const char *name = number < 65 ? sigabbrev_np((int)number) : NULL;

	(void)snprintf(ret, EVENT_WORDS_SIZE, name ? "SIG%s" : "%s%u", name ? name : "", number);
}

/* "r-x,protect,anonymous" */
static void event_words_set_mapping(__u32 access, char *ret)
{
	(void)snprintf(ret, EVENT_WORDS_SIZE, "%c%c%c%s%s%s%s", access & PROT_READ ? 'r' : '-',
		       access & PROT_WRITE ? 'w' : '-', access & PROT_EXEC ? 'x' : '-',
		       access & POLICY_EXECMAP_PROTECT ? ",protect" : "",
		       access & POLICY_EXECMAP_ANONYMOUS ? ",anonymous" : "",
		       access & POLICY_EXECMAP_MEMFD ? ",memfd" : "",
		       access & POLICY_EXECMAP_UNLINKED ? ",unlinked" : "");
}

static void event_words_set_open(__u32 flags, char *ret)
{
	static const char *const modes[] = { "open-read", "open-write", "open-both", "open" };

	(void)snprintf(ret, EVENT_WORDS_SIZE, "%s", modes[flags & O_ACCMODE]);
}

static void event_words_set_guard(const struct custody_event *event, char *ret)
{
	__u32 change = event->access - GUARD_CHANGE_UNLINK;

	switch (event->object) {
	case GUARD_SIGNAL:
		event_words_set_signal(event->access, ret);
		return;
	case GUARD_DOOR:
		EVENT_WORDS_PICK(event_words_door, event->access, ret);
		return;
	case GUARD_MAP:
	case GUARD_PROGRAM:
	case GUARD_LINK:
	case GUARD_TRACE:
	case GUARD_LIMIT:
	case GUARD_ESCAPE:
		return;
	default:
		break;
	}
	if (event->access >= GUARD_CHANGE_UNLINK && event->access < _GUARD_CHANGE_MAX)
		EVENT_WORDS_PICK(event_words_guard_change, change, ret);
	else
		event_words_set_open(event->access, ret);
}

static void event_words_set_task(const struct custody_event *event, char *ret)
{
	if (event->object == POLICY_TASK_SIGNAL)
		event_words_set_signal(event->access, ret);
	else if (event->object == POLICY_TASK_URING)
		EVENT_WORDS_PICK(event_words_uring, event->access, ret);
	else if (event->access != 0)
		(void)snprintf(ret, EVENT_WORDS_SIZE, "%u", event->access);
}

void event_words_object(const struct custody_event *event, char ret[EVENT_WORDS_SIZE])
{
	ret[0] = '\0';
	if (event->class == POLICY_CLASS_GUARD)
		EVENT_WORDS_PICK(event_words_guard, event->object, ret);
	else if (event->class == POLICY_CLASS_TASK)
		EVENT_WORDS_PICK(event_words_task, event->object, ret);
	else if (event->class == POLICY_CLASS_LIMIT)
		EVENT_WORDS_PICK(event_words_limit, event->object, ret);
}

void event_words_access(const struct custody_event *event, char ret[EVENT_WORDS_SIZE])
{
	ret[0] = '\0';
	switch (event->class) {
	case POLICY_CLASS_GUARD:
		event_words_set_guard(event, ret);
		return;
	case POLICY_CLASS_TASK:
		event_words_set_task(event, ret);
		return;
	case POLICY_CLASS_CHANGE:
		EVENT_WORDS_PICK(event_words_change, event->access, ret);
		return;
	case POLICY_CLASS_EXECMAP:
		event_words_set_mapping(event->access, ret);
		return;
	default:
		return;
	}
}
