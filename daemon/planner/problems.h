/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a profile, each with its place. Run by the planner. Everything quoted from
 * a profile is escaped before it gets in here (words_escape()).
 */
#ifndef CUSTODY_PLANNER_PROBLEMS_H
#define CUSTODY_PLANNER_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/message.h"

#define PROBLEMS_MAX 64		/* kept; the rest is counted */
#define PROBLEMS_TEXT_SIZE 768

/* Where a value stands. file is borrowed from the profile; line 0 is "the whole file". */
struct place {
	const char *file;
	unsigned int line;
};

struct problem {
	enum custody_exit exit;	/* USAGE: an error; REFUSED: well formed, but not to be had */
	unsigned int line;
	char file[256];
	char text[PROBLEMS_TEXT_SIZE];
};

struct problems {
	struct problem *list;
	size_t n;		/* in list */
	size_t dropped;		/* found, but not kept */
};

/* Adds one; out of memory counts as dropped, so that it is never "no problem". */
void problems_add(struct problems *problems, struct place place, enum custody_exit exit,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* problems_add() of an error. */
#define problems_error(problems, place, ...) \
	problems_add(problems, place, CUSTODY_EXIT_USAGE, __VA_ARGS__)

/* True when nothing was found. */
bool problems_none(const struct problems *problems);

/* USAGE when there is an error, else REFUSED when something was refused, else DONE. */
enum custody_exit problems_exit(const struct problems *problems);

/* The most important one, the first of its kind; NULL when none was kept. */
const struct problem *problems_first(const struct problems *problems);

/* By file, then line; what is about no line comes first. Stable order for people. */
void problems_sort(struct problems *problems);

void problems_clear(struct problems *problems);
#define cleanup_problems __attribute__((cleanup(problems_clear)))

#endif
