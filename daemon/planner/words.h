/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a value: splitting with quotes, and printing so that it splits to the same again.
 * Run by the planner on untrusted text. Pure but for memory.
 *
 * Words are separated by blanks. '...' takes everything literally; "..." knows \" and \\ only.
 * Quoted and bare parts that touch make one word. A blank followed by ';' starts a comment.
 */
#ifndef CUSTODY_PLANNER_WORDS_H
#define CUSTODY_PLANNER_WORDS_H

#include <stdbool.h>
#include <stdio.h>

#include "problems.h"

/*
 * Longest word as it is printed: with the longest key, " = " and its quotes it fits one line of
 * inih as Debian builds it (INI_MAX_LINE 200), so the canonical print always parses.
 */
#define WORDS_PRINT_MAX 160
#define WORDS_MAX 256		/* in one value: PLAN_ARGS_MAX */

struct word {
	char *text;
	struct place place;
};

struct words {
	struct word *list;
	size_t n;
};

/*
 * Appends the words of one line. Returns 0; -EINVAL with a problem added (unclosed quote, bad
 * escape, control character, word too long, too many); -ENOMEM with a problem added. What was
 * appended before a failure stays.
 */
int words_split(struct words *words, const char *line, struct place place,
		struct problems *problems);

/* Appends one word as it is. Returns 0 or -ENOMEM. */
int words_append(struct words *words, const char *text, struct place place);

/* Moves all of `from` to the end of `to`; `from` is empty then. Returns 0 or -ENOMEM. */
int words_move(struct words *to, struct words *from);

/* Removes the word at index. */
void words_remove(struct words *words, size_t index);

/* Writes the word, quoted where it must be. Returns the characters written. */
size_t words_print(FILE *out, const char *text);

/*
 * text for people: printable ASCII as it is, everything else as \xNN, cut with "..." to fit.
 * Always terminates ret.
 */
void words_escape(const char *text, char *ret, size_t size);

void words_clear(struct words *words);

#endif
