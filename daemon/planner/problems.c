/* SPDX-License-Identifier: Apache-2.0 */
/* The list of what is wrong with a profile. Run by the planner; trusts its callers. */
#include "problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problems_add(struct problems *problems, struct place place, enum custody_exit exit,
		  const char *format, ...)
{
	struct problem *list = NULL;
	struct problem *problem;
	va_list ap;

	if (problems->n < PROBLEMS_MAX)
		list = reallocarray(problems->list, problems->n + 1, sizeof(*list));
	if (!list) {
		problems->dropped++;
		return;
	}
	problems->list = list;
	problem = &list[problems->n++];
	*problem = (struct problem){ .exit = exit, .line = place.line };
	(void)snprintf(problem->file, sizeof(problem->file), "%s", place.file ? place.file : "");
	va_start(ap, format);
	(void)vsnprintf(problem->text, sizeof(problem->text), format, ap);
	va_end(ap);
}

bool problems_none(const struct problems *problems)
{
	return problems->n == 0 && problems->dropped == 0;
}

enum custody_exit problems_exit(const struct problems *problems)
{
	const struct problem *first = problems_first(problems);

	if (first)
		return first->exit;
	return problems_none(problems) ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL;
}

const struct problem *problems_first(const struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		if (problems->list[i].exit != CUSTODY_EXIT_REFUSED)
			return &problems->list[i];
	}
	return problems->n > 0 ? &problems->list[0] : NULL;
}

static int problems_compare(const void *a, const void *b)
{
	const struct problem *x = a;
	const struct problem *y = b;
	int r = strcmp(x->file, y->file);

	if (r == 0 && x->line != y->line)
		r = x->line < y->line ? -1 : 1;
	return r != 0 ? r : strcmp(x->text, y->text);
}

void problems_sort(struct problems *problems)
{
	if (problems->n > 1)
		qsort(problems->list, problems->n, sizeof(*problems->list), problems_compare);
}

void problems_clear(struct problems *problems)
{
	free(problems->list);
	*problems = (struct problems){ 0 };
}
