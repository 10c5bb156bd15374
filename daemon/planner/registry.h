/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of one model: every version that was registered, which of them is current, what
 * became of each. Run by the planner; pure but for memory. Trusts no text and no request.
 *
 * The text is JSON in one canonical form (jansson, two spaces), with the SHA-256 of its first
 * member's compact form as its second: registry_parse() takes exactly what registry_print() would
 * have written. A file that was cut off, damaged or edited is refused, and nothing is guessed.
 */
#ifndef CUSTODY_PLANNER_REGISTRY_H
#define CUSTODY_PLANNER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/message.h"

/* Of one sentence for people. */
#define REGISTRY_WHY_SIZE 768

struct registry {
	char name[CUSTODY_NAME_SIZE];
	__u32 current;			/* 0: no version yet */
	__u32 n;
	struct model_version *versions;	/* versions[i].version == i + 1 */
};

void registry_free(struct registry *registry);
#define cleanup_registry __attribute__((cleanup(registry_free)))

/*
 * Text of the registry of model `name` (n bytes). 0; -ENOMEM; -EBADMSG with *ret_why a static
 * text, "it ...". ret is untouched on failure.
 */
int registry_parse(const char *text, size_t n, const char *name, struct registry *ret,
		   const char **ret_why);

/* The canonical text; free() it. 0; -ENOMEM; -E2BIG: longer than REGISTRY_TEXT_MAX. */
int registry_print(const struct registry *registry, char **ret, size_t *ret_n);

/*
 * What the request asks: ret is the version that it is about, as it is afterwards; *ret_changed
 * when the registry has to be written. Anything but CUSTODY_EXIT_DONE is a refusal with a whole
 * sentence in why, and changes nothing. An empty registry (n == 0) takes only REGISTRY_ADD.
 */
enum custody_exit registry_apply(struct registry *registry, const struct registry_request *request,
				 struct model_version *ret, bool *ret_changed,
				 char why[REGISTRY_WHY_SIZE]);

/* A text that may stand in the registry: UTF-8 without controls, as escape.h would leave it. */
bool registry_check_text(const char *text);

/* "2026-11-22T06:20:00Z" */
#define REGISTRY_TIME_SIZE 32
void registry_print_time(__u64 time_s, char ret[REGISTRY_TIME_SIZE]);

#endif
