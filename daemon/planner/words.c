/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting and quoting of words. Run by the planner. Trusts no byte of its input. */
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_LINE_MAX 1024 /* of any line handed in; inih gives at most 200 */

static bool words_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int words_append(struct words *words, const char *text, struct place place)
{
	struct word *list = reallocarray(words->list, words->n + 1, sizeof(*list));
	char *copy;

	if (!list)
		return -ENOMEM;
	words->list = list;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	list[words->n++] = (struct word){ .text = copy, .place = place };
	return 0;
}

/* One double-quoted part: *c stands behind the opening quote, and then on the closing one. */
static const char *words_read_double(const char **c, char *word, size_t *n)
{
	for (; **c != '"'; (*c)++) {
		if (**c == '\0')
			return "the quote \" is not closed on this line; to have a blank and ; in "
			       "it, "
			       "write \"a \"\";b\"";
		if (**c == '\\' && *++*c != '"' && **c != '\\')
			return "inside \"...\" a backslash stands only before \" and \\";
		word[(*n)++] = **c;
	}
	return NULL;
}

static const char *words_read_single(const char **c, char *word, size_t *n)
{
	for (; **c != '\''; (*c)++) {
		if (**c == '\0')
			return "the quote ' is not closed on this line; to have a blank and ; in "
			       "it, "
			       "write 'a '';b'";
		word[(*n)++] = **c;
	}
	return NULL;
}

/* Reads one word from *c into word; returns NULL or what is wrong. */
static const char *words_read_word(const char **c, char *word, size_t *n)
{
	const char *why = NULL;

	while (**c != '\0' && !words_is_blank(**c) && !why) {
		char first = *(*c)++;

		if (first == '"')
			why = words_read_double(c, word, n);
		else if (first == '\'')
			why = words_read_single(c, word, n);
		else
			word[(*n)++] = first;
		if (!why && (first == '"' || first == '\''))
			(*c)++;
	}
	return why;
}

static const char *words_check_word(const char *word)
{
	size_t n = 0;

	for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return "a word holds a control character";
		n++;
	}
	if (n > WORDS_PRINT_MAX || words_print(NULL, word) > WORDS_PRINT_MAX)
		return "a word is longer than 160 characters";
	return NULL;
}

int words_split(struct words *words, const char *line, struct place place,
		struct problems *problems)
{
	char word[WORDS_LINE_MAX];
	const char *c = line;

	if (strlen(line) >= sizeof(word)) {
		problems_error(problems, place, "the line is too long");
		return -EINVAL;
	}
	for (;;) {
		const char *why;
		size_t n = 0;

		c += strspn(c, " \t");
		if (*c == '\0' || (*c == ';' && c > line && words_is_blank(c[-1])))
			return 0;
		why = words_read_word(&c, word, &n);
		word[n] = '\0';
		if (!why)
			why = words_check_word(word);
		if (!why && words->n >= WORDS_MAX)
			why = "more than 256 words";
		if (why) {
			problems_error(problems, place, "%s", why);
			return -EINVAL;
		}
		if (words_append(words, word, place) < 0) {
			problems_error(problems, place, "out of memory");
			return -ENOMEM;
		}
	}
}

int words_move(struct words *to, struct words *from)
{
	struct word *list;

	if (from->n == 0) {
		words_clear(from);
		return 0;
	}
	list = reallocarray(to->list, to->n + from->n, sizeof(*list));
	if (!list)
		return -ENOMEM;
	memcpy(list + to->n, from->list, from->n * sizeof(*list));
	to->list = list;
	to->n += from->n;
	free(from->list);
	*from = (struct words){ 0 };
	return 0;
}

void words_remove(struct words *words, size_t index)
{
	free(words->list[index].text);
	words->n--;
	memmove(words->list + index, words->list + index + 1,
		(words->n - index) * sizeof(*words->list));
}

static void words_put(FILE *out, char c, size_t *n)
{
	if (out)
		(void)fputc(c, out);
	(*n)++;
}

size_t words_print(FILE *out, const char *text)
{
	bool quoted = text[0] == '\0' || strpbrk(text, " \"';#") != NULL;
	size_t n = 0;

	if (quoted)
		words_put(out, '"', &n);
	for (const char *c = text; *c; c++) {
		/* inih takes a blank and ';' for a comment, quotes or not: part them by quotes. */
		if (*c == ';' && c > text && c[-1] == ' ') {
			words_put(out, '"', &n);
			words_put(out, '"', &n);
		}
		if (quoted && (*c == '"' || *c == '\\'))
			words_put(out, '\\', &n);
		words_put(out, *c, &n);
	}
	if (quoted)
		words_put(out, '"', &n);
	return n;
}

void words_escape(const char *text, char *ret, size_t size)
{
	size_t n = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		char piece[8];
		size_t len;

		if (*c >= 0x20 && *c < 0x7f)
			len = (size_t)snprintf(piece, sizeof(piece), "%c", *c);
		else
			len = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", *c);
		if (n + len + 4 > size) {
			n += (size_t)snprintf(ret + n, size - n, "...");
			break;
		}
		memcpy(ret + n, piece, len);
		n += len;
	}
	if (n < size)
		ret[n] = '\0';
}

void words_clear(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->list[i].text);
	free(words->list);
	*words = (struct words){ 0 };
}
