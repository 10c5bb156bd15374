/* SPDX-License-Identifier: Apache-2.0 */
/* INI text to settings. Run by the planner. Trusts no byte of the text. */
#include "profile.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#include "cleanup.h"
#include "plan.h"

/* What inih's reader and handler share: the rest of the text and the line they are on. */
struct profile_reader {
	const char *file;
	const char *text;
	size_t left;
	unsigned int line;
	bool indented;		       /* this line continues the key above it */
	bool has_key;		       /* there is a key above, in this section */
	bool unknown;		       /* the section is, and has been reported */
	const struct setting_row *row; /* of that key; NULL when it is unknown */
	struct settings *settings;
	struct problems *problems;
};

static struct place profile_place(const struct profile_reader *reader)
{
	return (struct place){ .file = reader->file, .line = reader->line };
}

/* "[section]" and nothing but a comment behind it. */
static bool profile_is_header(const char *line, size_t n)
{
	const char *end = memchr(line, ']', n);
	size_t i;

	if (!end)
		return false;
	for (i = (size_t)(end - line) + 1; i < n && (line[i] == ' ' || line[i] == '\t'); i++)
		;
	return i == n || line[i] == ';' || line[i] == '#';
}

/* "key = ...": inih would take ':' for '=' too, but there is one way to write it. */
static bool profile_is_key(const char *line, size_t n)
{
	const char *equals = memchr(line, '=', n);

	return equals && !memchr(line, ':', (size_t)(equals - line));
}

/* What is wrong with a line before inih sees it; NULL when nothing is. */
static const char *profile_check_line(struct profile_reader *reader, const char *line, size_t n)
{
	size_t blanks = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == '\0')
			return "the line holds a NUL byte; a profile is text";
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "the line holds a control character; a profile is text";
	}
	if (n > PROFILE_LINE_MAX)
		return "the line is longer than 198 characters; lists go on in the next line, "
		       "indented";
	while (blanks < n && (line[blanks] == ' ' || line[blanks] == '\t'))
		blanks++;
	if (blanks == n || line[blanks] == ';' || line[blanks] == '#')
		return NULL;
	reader->indented = blanks > 0;
	if (reader->indented && !reader->has_key)
		return "an indented line continues the key above it, and there is none; do not "
		       "indent keys";
	if (!reader->indented && line[0] == '[') {
		reader->has_key = false;
		if (!profile_is_header(line, n))
			return "a section is [name] alone on its line";
	} else if (!reader->indented && !profile_is_key(line, n)) {
		return "the line is no [section], no key = value and no comment";
	}
	return NULL;
}

/* "[name]": an unknown one is reported here, once, and its keys are not looked at. */
static void profile_enter_section(struct profile_reader *reader, const char *line, size_t n)
{
	const char *end = memchr(line, ']', n);
	char section[64];
	char text[256];

	(void)snprintf(section, sizeof(section), "%.*s", (int)(end - line) - 1, line + 1);
	reader->unknown = !settings_is_section(section);
	if (!reader->unknown)
		return;
	settings_explain_unknown(section, "", text, sizeof(text));
	problems_error(reader->problems, profile_place(reader), "%s", text);
}

/* inih's fgets(): one checked line with its newline; a wrong line is reported and left out. */
static char *profile_read_line(char *buffer, int size, void *stream)
{
	struct profile_reader *reader = stream;
	const char *end;
	const char *why;
	size_t n;
	size_t taken;

	if (reader->left == 0 || size < PROFILE_LINE_MAX + 2)
		return NULL;
	end = memchr(reader->text, '\n', reader->left);
	n = end ? (size_t)(end - reader->text) : reader->left;
	taken = n + (end ? 1 : 0);
	if (n > 0 && reader->text[n - 1] == '\r')
		n--;
	reader->line++;
	reader->indented = false;
	why = profile_check_line(reader, reader->text, n);
	if (why) {
		problems_error(reader->problems, profile_place(reader), "%s", why);
		n = 0;
	} else if (n > 0 && reader->text[0] == '[') {
		profile_enter_section(reader, reader->text, n);
	}
	memcpy(buffer, reader->text, n);
	buffer[n] = '\n';
	buffer[n + 1] = '\0';
	reader->text += taken;
	reader->left -= taken;
	return buffer;
}

/* A continuing line that looks like "key = value" of the same section. */
static bool profile_looks_like_key(const struct setting_row *row, const char *line)
{
	size_t n = strcspn(line, "= \t");
	const char *rest = line + n + strspn(line + n, " \t");
	char key[32];

	if (n == 0 || n >= sizeof(key) || *rest != '=' || (rest == line + n && rest[1] != ' '))
		return false;
	memcpy(key, line, n);
	key[n] = '\0';
	return settings_find_row(row->section, key) != NULL;
}

static void profile_continue_value(struct profile_reader *reader, const char *line)
{
	const struct setting_row *row = reader->row;
	struct place place = profile_place(reader);

	if (!row)
		return;
	if (profile_looks_like_key(row, line))
		problems_error(reader->problems, place,
			       "an indented line continues [%s] %s; do not indent keys",
			       row->section, row->key);
	else if (!setting_types[row->type].list)
		problems_error(reader->problems, place,
			       "[%s] %s takes one value, and this indented line continues it",
			       row->section, row->key);
	else
		(void)words_split(&settings_find_value(reader->settings, row)->words, line, place,
				  reader->problems);
}

static void profile_set_value(struct profile_reader *reader, const struct setting_row *row,
			      const char *text, bool append)
{
	struct setting_value *value = settings_find_value(reader->settings, row);
	struct place place = profile_place(reader);

	if (value->set) {
		problems_error(reader->problems, place,
			       "[%s] %s stands there twice, first on line %u", row->section,
			       row->key, value->place.line);
		return;
	}
	value->set = true;
	value->place = place;
	value->append = append;
	if (append && !setting_types[row->type].list)
		problems_error(reader->problems, place,
			       "[%s] %s takes one value: write =, not +=", row->section, row->key);
	if (row->type != SETTING_TYPE_TEXT)
		(void)words_split(&value->words, text, place, reader->problems);
	else if (text[0] != '\0' && words_append(&value->words, text, place) < 0)
		problems_error(reader->problems, place, "out of memory");
}

/* inih's handler: one key and its value, or one more line of the value of the same key. */
static int profile_take_line(void *user, const char *section, const char *name, const char *value)
{
	struct profile_reader *reader = user;
	size_t n = strlen(name);
	bool append = n > 0 && name[n - 1] == '+';
	char key[64];
	char text[256];

	if (reader->indented) {
		profile_continue_value(reader, value);
		return 1;
	}
	if (append)
		n--;
	while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t'))
		n--;
	(void)snprintf(key, sizeof(key), "%.*s", (int)n, name);
	reader->has_key = true;
	reader->row = settings_find_row(section, key);
	if (reader->unknown)
		return 1;
	if (reader->row) {
		profile_set_value(reader, reader->row, value, append);
		return 1;
	}
	settings_explain_unknown(section, key, text, sizeof(text));
	problems_error(reader->problems, profile_place(reader), "%s", text);
	return 1;
}

void profile_parse(const char *file, const char *text, size_t size, struct settings *ret,
		   struct problems *problems)
{
	struct profile_reader reader = {
		.file = file,
		.text = text,
		.left = size,
		.settings = ret,
		.problems = problems,
	};
	int line;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* byte order mark of UTF-8 */
		reader.text += 3;
		reader.left -= 3;
	}
	line = ini_parse_stream(profile_read_line, &reader, profile_take_line, &reader);
	if (line != 0)
		problems_error(problems,
			       ((struct place){ file, line > 0 ? (unsigned int)line : 0 }),
			       "the line is no [section], no key = value and no comment");
	if (reader.left > 0)
		problems_error(problems, profile_place(&reader),
			       "inih was built with too short lines");
	for (size_t i = 0; i < setting_rows_n; i++) {
		struct setting_value *value = settings_find_value(ret, &setting_rows[i]);

		if (value->set)
			settings_check_value(&setting_rows[i], value, problems);
	}
}

/* The profiles of one chain, from the one that was asked for to the last that is extended. */
struct profile_chain {
	struct settings settings[PROFILE_DEPTH_MAX];
	char name[PROFILE_DEPTH_MAX][CUSTODY_NAME_SIZE]; /* "" for a file without one */
	size_t n;
};

static void profile_clear_chain(struct profile_chain **chain)
{
	for (size_t i = 0; *chain && i < (*chain)->n; i++)
		settings_clear(&(*chain)->settings[i]);
	free(*chain);
	*chain = NULL;
}

/* Takes the text of one more profile into the chain. path is taken too. */
static void profile_add_link(struct profile_chain *chain, struct profile *profile, const char *name,
			     char *path, const char *text, size_t size, struct problems *problems)
{
	profile->files[profile->n_files++] = path;
	(void)snprintf(chain->name[chain->n], CUSTODY_NAME_SIZE, "%s", name);
	profile_parse(path, text, size, &chain->settings[chain->n++], problems);
}

/* One more link, by name. from is where it was asked for. Returns false when there is none. */
static bool profile_read_link(const struct profile_source *source, const char *name,
			      struct place from, struct profile_chain *chain,
			      struct profile *profile, struct problems *problems)
{
	cleanup_ptr char *text = NULL;
	cleanup_ptr char *path = NULL;
	char why[512];
	size_t size = 0;
	int r;

	for (size_t i = 0; i < chain->n; i++) {
		if (strcmp(chain->name[i], name) == 0) {
			problems_error(problems, from, "[profile] extends: %s extends itself",
				       name);
			return false;
		}
	}
	if (chain->n >= PROFILE_DEPTH_MAX) {
		problems_error(problems, from, "[profile] extends: more than %d profiles in a row",
			       PROFILE_DEPTH_MAX);
		return false;
	}
	r = source->read(source->context, name, &text, &size, &path);
	if (r == -ENOENT) {
		source->explain(source->context, name, why, sizeof(why));
		problems_error(problems, from, "%s%s", from.file ? "[profile] extends: " : "", why);
		return false;
	}
	if (r < 0) {
		problems_error(problems, from,
			       "%s cannot be read: %s; it must be a regular file of at "
			       "most 64 KiB that everyone may read",
			       path ? path : name, strerror(-r));
		return false;
	}
	profile_add_link(chain, profile, name, TAKE_PTR(path), text, size, problems);
	return true;
}

/* Follows extends to its end and merges: defaults, the last link, ..., the first. */
static void profile_follow(const struct profile_source *source, struct profile_chain *chain,
			   struct profile *profile, struct problems *problems)
{
	for (;;) {
		const struct setting_value *extends = &chain->settings[chain->n - 1].extends;

		if (!problems_none(problems))
			return;
		if (!extends->set)
			break;
		if (!profile_read_link(source, extends->words.list[0].text, extends->place, chain,
				       profile, problems))
			return;
	}
	settings_set_defaults(&profile->settings, problems);
	for (size_t i = chain->n; i > 0; i--)
		settings_merge(&profile->settings, &chain->settings[i - 1], problems);
}

void profile_load(const struct profile_source *source, const char *name, struct profile *ret,
		  struct problems *problems)
{
	__attribute__((cleanup(profile_clear_chain))) struct profile_chain *chain =
		calloc(1, sizeof(*chain));
	struct place nowhere = { 0 };
	char text[128];

	if (!chain) {
		problems_error(problems, nowhere, "out of memory");
		return;
	}
	if (!plan_check_name(name)) {
		words_escape(name, text, sizeof(text));
		problems_error(problems, nowhere,
			       "%s is no profile name: a-z 0-9 . _ -, not beginning with . _ -",
			       text);
		return;
	}
	if (profile_read_link(source, name, nowhere, chain, ret, problems))
		profile_follow(source, chain, ret, problems);
}

void profile_load_text(const struct profile_source *source, const char *path, const char *text,
		       size_t size, struct profile *ret, struct problems *problems)
{
	__attribute__((cleanup(profile_clear_chain))) struct profile_chain *chain =
		calloc(1, sizeof(*chain));
	char *copy = strdup(path);

	if (!chain || !copy) {
		free(copy);
		problems_error(problems, ((struct place){ 0 }), "out of memory");
		return;
	}
	profile_add_link(chain, ret, "", copy, text, size, problems);
	profile_follow(source, chain, ret, problems);
}

void profile_clear(struct profile *profile)
{
	settings_clear(&profile->settings);
	for (size_t i = 0; i < profile->n_files; i++)
		free(profile->files[i]);
	*profile = (struct profile){ 0 };
}
