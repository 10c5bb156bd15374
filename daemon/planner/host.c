/* SPDX-License-Identifier: Apache-2.0 */
/* custody.conf to struct host_settings. Run by the planner. Trusts no byte of the text. */
#include "host.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "custody/guard.h"
#include "value.h"
#include "words.h"

#define HOST_LINE_MAX 512
#define HOST_LINES_MAX 4096
#define HOST_UID_MAX 4294967293ULL	/* uid + 1 is a key, and -1 is nobody */

/* One key of [guard]: what it expects, and how one word of its value is taken. */
struct host_key {
	const char *name;
	const char *form;
	bool list;
	/* 0, or -EINVAL: not of this form; -E2BIG: too many. */
	int (*take)(struct host_settings *settings, const char *word, unsigned int line);
};

struct host_parser {
	const char *file;
	unsigned int line;
	bool in_guard;
	const struct host_key *key;	/* the one that an indented line continues */
	unsigned int seen;		/* bit for each row of host_keys */
	struct host_settings *settings;
	struct problems *problems;
};

static int host_take_reader(struct host_settings *settings, const char *word, unsigned int line)
{
	struct host_reader reader = { .line = line };
	__u64 uid = 0;

	if (settings->n_readers >= HOST_READERS_MAX)
		return -E2BIG;
	if (strncmp(word, "uid:", 4) == 0) {
		if (value_parse_count(word + 4, HOST_UID_MAX, &uid) < 0)
			return -EINVAL;
		reader.uid = (__u32)uid;
	} else {
		if (!value_check_path(word) || strlen(word) >= sizeof(reader.path))
			return -EINVAL;
		(void)snprintf(reader.path, sizeof(reader.path), "%s", word);
	}
	settings->readers[settings->n_readers++] = reader;
	return 0;
}

static int host_take_deny_read(struct host_settings *settings, const char *word, unsigned int line)
{
	bool yes = false;

	(void)line;
	if (value_parse_yes(word, &yes) < 0)
		return -EINVAL;
	settings->guard |= yes ? GUARD_SETTING_DENY_READ : 0U;
	return 0;
}

static int host_take_nodes(struct host_settings *settings, const char *word, unsigned int line)
{
	(void)line;
	if (strcmp(word, "jails-only") == 0)
		settings->guard |= GUARD_SETTING_NODES;
	else if (strcmp(word, "any") != 0)
		return -EINVAL;
	return 0;
}

static const struct host_key host_keys[] = {
	{ "readers", "absolute paths of executables, and uids as uid:1234", true,
	  host_take_reader },
	{ "deny-read", "yes or no", false, host_take_deny_read },
	{ "gpu-nodes", "jails-only or any", false, host_take_nodes },
};

static struct place host_place(const struct host_parser *parser)
{
	return (struct place){ .file = parser->file, .line = parser->line };
}

/* Words of a value, of this key's first line or of one that continues it. */
static void host_take_value(struct host_parser *parser, const char *text, bool first)
{
	const struct host_key *key = parser->key;
	struct words words = { 0 };
	char escaped[128];
	int r = words_split(&words, text, host_place(parser), parser->problems);

	if (r == 0 && ((first && words.n == 0) || (!key->list && words.n > 1)))
		problems_error(parser->problems, host_place(parser),
			       "[guard] %s: write %s, or leave the key out", key->name, key->form);
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		r = key->take(parser->settings, words.list[i].text, parser->line);
		words_escape(words.list[i].text, escaped, sizeof(escaped));
		if (r == -E2BIG)
			problems_error(parser->problems, host_place(parser),
				       "[guard] %s: more than %d", key->name, HOST_READERS_MAX);
		else if (r < 0)
			problems_error(parser->problems, host_place(parser),
				       "[guard] %s: %s is not understood; write %s", key->name,
				       escaped, key->form);
	}
	if (parser->settings->guard_line == 0 &&
	    (parser->settings->guard != 0 || parser->settings->n_readers > 0))
		parser->settings->guard_line = parser->line;
	words_clear(&words);
}

static void host_take_key(struct host_parser *parser, char *line)
{
	char *equals = strchr(line, '=');
	char escaped[128];
	size_t n;

	parser->key = NULL;
	if (!equals) {
		problems_error(parser->problems, host_place(parser),
			       "the line is no [section], no key = value and no comment");
		return;
	}
	n = (size_t)(equals - line);
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	line[n] = '\0';
	if (!parser->in_guard) {
		problems_error(parser->problems, host_place(parser),
			       "the key stands in no section that there is; there is: [guard]");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(host_keys); i++) {
		if (strcmp(host_keys[i].name, line) != 0)
			continue;
		if (parser->seen & (1U << i))
			problems_error(parser->problems, host_place(parser),
				       "[guard] %s stands there twice", line);
		parser->seen |= 1U << i;
		parser->key = &host_keys[i];
		host_take_value(parser, equals + 1, true);
		return;
	}
	words_escape(line, escaped, sizeof(escaped));
	problems_error(parser->problems, host_place(parser),
		       "there is no [guard] %s; there are: readers, deny-read, gpu-nodes",
		       escaped);
}

static void host_take_section(struct host_parser *parser, const char *line)
{
	char escaped[128];

	parser->key = NULL;
	parser->in_guard = strcmp(line, "[guard]") == 0;
	if (parser->in_guard)
		return;
	words_escape(line, escaped, sizeof(escaped));
	problems_error(parser->problems, host_place(parser),
		       "there is no section %s; there is: [guard]", escaped);
}

/* line: without its newline, NUL-terminated; trailing blanks are cut off. */
static void host_take_line(struct host_parser *parser, char *line, size_t n)
{
	const char *text = line + strspn(line, " \t");

	for (size_t i = 0; i < n; i++) {
		if (((unsigned char)line[i] >= 0x20 || line[i] == '\t') && line[i] != 0x7f)
			continue;
		problems_error(parser->problems, host_place(parser),
			       "the line holds a control character; custody.conf is text");
		return;
	}
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		line[--n] = '\0';
	if (n == 0 || *text == ';' || *text == '#')
		return;
	if (text == line && *line == '[')
		host_take_section(parser, line);
	else if (text == line)
		host_take_key(parser, line);
	else if (parser->key && parser->key->list)
		host_take_value(parser, text, false);
	else
		problems_error(parser->problems, host_place(parser),
			       "an indented line continues the list above it, and there is none; "
			       "do not indent keys");
}

void host_parse(const char *file, const char *text, size_t size, struct host_settings *ret,
		struct problems *problems)
{
	struct host_parser parser = { .file = file, .settings = ret, .problems = problems };
	char line[HOST_LINE_MAX];

	while (size > 0 && parser.line < HOST_LINES_MAX) {
		const char *end = memchr(text, '\n', size);
		size_t taken = end ? (size_t)(end - text) + 1 : size;
		size_t n = end ? taken - 1 : size;

		parser.line++;
		if (n > 0 && text[n - 1] == '\r')
			n--;
		if (n >= sizeof(line)) {
			problems_error(problems, host_place(&parser),
				       "the line is longer than %d characters",
				       HOST_LINE_MAX - 1);
			n = 0;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		host_take_line(&parser, line, n);
		text += taken;
		size -= taken;
	}
	if (size > 0)
		problems_error(problems, host_place(&parser), "more than %d lines",
			       HOST_LINES_MAX);
}
