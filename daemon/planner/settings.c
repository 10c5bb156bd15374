/* SPDX-License-Identifier: Apache-2.0 */
/* The settings as a table of values. Run by the planner. Trusts no word that it holds. */
#include "settings.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "value.h"

const struct setting_row setting_rows[] = {
#define SETTING_ROW(section, key, type, member, fallback, help)                                    \
	{ section, key, SETTING_TYPE_##type, offsetof(struct settings, member), fallback, help },
	SETTINGS(SETTING_ROW)
#undef SETTING_ROW
};
const size_t setting_rows_n = ARRAY_SIZE(setting_rows);

const struct setting_row *settings_find_row(const char *section, const char *key)
{
	for (size_t i = 0; i < setting_rows_n; i++) {
		if (strcmp(setting_rows[i].section, section) == 0 &&
		    strcmp(setting_rows[i].key, key) == 0)
			return &setting_rows[i];
	}
	return NULL;
}

bool settings_is_section(const char *section)
{
	for (size_t i = 0; i < setting_rows_n; i++) {
		if (strcmp(setting_rows[i].section, section) == 0)
			return true;
	}
	return false;
}

static void settings_explain_section(const char *section, char *ret, size_t size)
{
	const char *near = NULL;
	size_t best = 3;
	char text[64];

	for (size_t i = 0; i < setting_rows_n; i++) {
		size_t distance = value_distance(section, setting_rows[i].section, 3);

		if (distance < best) {
			best = distance;
			near = setting_rows[i].section;
		}
	}
	words_escape(section, text, sizeof(text));
	(void)snprintf(ret, size, "unknown section [%s]%s%s%s", text,
		       near ? ", did you mean [" : "; the sections are in custody.profile(5)",
		       near ? near : "", near ? "]?" : "");
}

/* No key is near: all that there are. */
static void settings_list_keys(const char *section, const char *key, char *ret, size_t size)
{
	int n = snprintf(ret, size, "unknown key %s in [%s]; its keys are:", key, section);

	for (size_t i = 0; i < setting_rows_n && n >= 0 && (size_t)n < size; i++) {
		if (strcmp(setting_rows[i].section, section) == 0)
			n += snprintf(ret + n, size - (size_t)n, " %s", setting_rows[i].key);
	}
}

/* The nearest key: in the section itself, else the same word in another section. */
void settings_explain_unknown(const char *section, const char *key, char *ret, size_t size)
{
	const struct setting_row *near = NULL;
	size_t best = 4;
	char text[64];

	if (section[0] == '\0' && key[0] != '\0') {
		words_escape(key, text, sizeof(text));
		(void)snprintf(ret, size, "the key %s stands before the first [section]", text);
		return;
	}
	if (!settings_is_section(section)) {
		settings_explain_section(section, ret, size);
		return;
	}
	for (size_t i = 0; i < setting_rows_n; i++) {
		bool here = strcmp(setting_rows[i].section, section) == 0;
		size_t distance = value_distance(key, setting_rows[i].key, 4) + (here ? 0 : 2);

		if (distance < best) {
			best = distance;
			near = &setting_rows[i];
		}
	}
	words_escape(key, text, sizeof(text));
	if (near)
		(void)snprintf(ret, size, "unknown key %s in [%s], did you mean [%s] %s?", text,
			       section, near->section, near->key);
	else
		settings_list_keys(section, text, ret, size);
}

struct setting_value *settings_find_value(struct settings *settings, const struct setting_row *row)
{
	return (struct setting_value *)((char *)settings + row->offset);
}

static const struct setting_value *settings_get_value(const struct settings *settings,
						      const struct setting_row *row)
{
	return (const struct setting_value *)((const char *)settings + row->offset);
}

bool settings_is_none(const struct setting_value *value)
{
	if (!value->set || value->words.n == 0)
		return true;
	return value->words.n == 1 && strcmp(value->words.list[0].text, "none") == 0;
}

/* What makes two words of one list the same: all of it, or the name before '='. */
static size_t settings_identity_length(enum setting_type_id type, const char *word)
{
	return type == SETTING_TYPE_ENVIRONMENT ? strcspn(word, "=") + 1 : strlen(word) + 1;
}

static bool settings_same_word(enum setting_type_id type, const char *a, const char *b)
{
	size_t n = settings_identity_length(type, a);

	return n == settings_identity_length(type, b) && strncmp(a, b, n) == 0;
}

static void settings_check_repeats(const struct setting_row *row, const struct setting_value *value,
				   struct problems *problems)
{
	for (size_t i = 1; i < value->words.n; i++) {
		const struct word *word = &value->words.list[i];

		for (size_t j = 0; j < i; j++) {
			char text[128];

			if (!settings_same_word(row->type, value->words.list[j].text, word->text))
				continue;
			words_escape(word->text, text, sizeof(text));
			problems_error(problems, word->place, "[%s] %s: %s stands there twice",
				       row->section, row->key, text);
			break;
		}
	}
}

static void settings_check_word(const struct setting_row *row, const struct word *word,
				struct setting_value *value, struct problems *problems)
{
	const struct setting_type *type = &setting_types[row->type];
	char text[192];
	int r;

	words_escape(word->text, text, sizeof(text));
	if (type->none && strcmp(word->text, "none") == 0) {
		if (value->words.n > 1)
			problems_error(problems, word->place,
				       "[%s] %s: none stands alone or not at all", row->section,
				       row->key);
		return;
	}
	r = type->check(type, word->text, value);
	if (r < 0)
		problems_error(problems, word->place, "[%s] %s: %s %s; write %s", row->section,
			       row->key, text,
			       r == -ERANGE ? "is out of range" : "is not understood", type->form);
}

bool settings_begins_line(const struct setting_value *value, size_t index)
{
	const struct place *a, *b;

	if (index == 0)
		return true;
	a = &value->words.list[index - 1].place;
	b = &value->words.list[index].place;
	return a->line != b->line || strcmp(a->file, b->file) != 0;
}

#define SETTINGS_LINE_MAX 180 /* with the longest key before it less than PROFILE_LINE_MAX */

/* Printed, a line of model.check must be one line again. */
static void settings_check_lines(const struct setting_row *row, const struct setting_value *value,
				 struct problems *problems)
{
	cleanup_ptr char *text = NULL;
	cleanup_file FILE *out = NULL;
	size_t length = 0, size = 0;

	out = open_memstream(&text, &size);
	for (size_t i = 0; out && i < value->words.n; i++) {
		const struct word *word = &value->words.list[i];
		const size_t before = settings_begins_line(value, i) ? 0 : length + 1;

		length = before + words_print(out, word->text);
		if (length > SETTINGS_LINE_MAX && before <= SETTINGS_LINE_MAX)
			problems_error(problems, word->place,
				       "[%s] %s: a line has at most %d characters; put what is "
				       "longer into a script", row->section, row->key,
				       SETTINGS_LINE_MAX);
	}
	if (!out || fflush(out) != 0)
		problems_error(problems, value->place, "out of memory");
}

void settings_check_value(const struct setting_row *row, struct setting_value *value,
			  struct problems *problems)
{
	const struct setting_type *type = &setting_types[row->type];

	value->number = 0;
	if (value->words.n == 0) {
		problems_error(problems, value->place,
			       "[%s] %s is empty; write %s, or leave the key out", row->section,
			       row->key, type->form);
		return;
	}
	if (!type->list && value->words.n > 1) {
		problems_error(problems, value->place, "[%s] %s takes one value; write %s",
			       row->section, row->key, type->form);
		return;
	}
	for (size_t i = 0; i < value->words.n; i++)
		settings_check_word(row, &value->words.list[i], value, problems);
	if (type->list && row->type != SETTING_TYPE_COMMAND && row->type != SETTING_TYPE_CHECKS &&
	    row->type != SETTING_TYPE_ATTESTATIONS)
		settings_check_repeats(row, value, problems);
	if (row->type == SETTING_TYPE_CHECKS)
		settings_check_lines(row, value, problems);
}

void settings_set_defaults(struct settings *settings, struct problems *problems)
{
	for (size_t i = 0; i < setting_rows_n; i++) {
		const struct setting_row *row = &setting_rows[i];
		struct setting_value *value = settings_find_value(settings, row);

		if (row->fallback[0] == '\0')
			continue;
		value->place = (struct place){ .file = "default", .line = 0 };
		value->set = true;
		if (words_split(&value->words, row->fallback, value->place, problems) == 0)
			settings_check_value(row, value, problems);
	}
}

/* Drops from `old` what `extra` sets again: variables of the environment. */
static void settings_drop_replaced(const struct setting_row *row, struct words *old,
				   const struct words *extra)
{
	if (row->type != SETTING_TYPE_ENVIRONMENT)
		return;
	for (size_t i = old->n; i > 0; i--) {
		for (size_t j = 0; j < extra->n; j++) {
			if (!settings_same_word(row->type, old->list[i - 1].text,
						extra->list[j].text))
				continue;
			words_remove(old, i - 1);
			break;
		}
	}
}

static void settings_merge_value(const struct setting_row *row, struct setting_value *to,
				 struct setting_value *from, struct problems *problems)
{
	if (from->append && settings_is_none(from))
		return;
	if (!from->append || settings_is_none(to))
		words_clear(&to->words);
	settings_drop_replaced(row, &to->words, &from->words);
	if (to->words.n + from->words.n > WORDS_MAX)
		problems_error(problems, from->place,
			       "[%s] %s: more than %d words with what it extends", row->section,
			       row->key, WORDS_MAX);
	else if (words_move(&to->words, &from->words) < 0)
		problems_error(problems, from->place, "out of memory");
	to->place = from->place;
	to->set = true;
	settings_check_value(row, to, problems);
}

void settings_merge(struct settings *to, struct settings *from, struct problems *problems)
{
	for (size_t i = 0; i < setting_rows_n; i++) {
		struct setting_value *value = settings_find_value(from, &setting_rows[i]);

		if (value->set)
			settings_merge_value(&setting_rows[i],
					     settings_find_value(to, &setting_rows[i]), value,
					     problems);
	}
	settings_clear(from);
}

/* Where lines mean something, they are kept. */
static bool settings_same_line(const struct setting_row *row, const struct setting_value *value,
			       size_t index)
{
	return row->type == SETTING_TYPE_CHECKS && !settings_begins_line(value, index);
}

void settings_print_value(FILE *out, const struct setting_row *row,
			  const struct setting_value *value)
{
	const struct setting_type *type = &setting_types[row->type];

	if (type->print && !(type->none && settings_is_none(value))) {
		type->print(out, value->number);
		return;
	}
	if (row->type == SETTING_TYPE_TEXT) {
		(void)fputs(value->words.list[0].text, out);
		return;
	}
	for (size_t i = 0; i < value->words.n; i++) {
		if (i > 0)
			(void)fputs(settings_same_line(row, value, i) ? " " : "\n  ", out);
		(void)words_print(out, value->words.list[i].text);
	}
}

void settings_print(FILE *out, const struct settings *settings)
{
	const char *section = "";

	for (size_t i = 0; i < setting_rows_n; i++) {
		const struct setting_row *row = &setting_rows[i];
		const struct setting_value *value = settings_get_value(settings, row);

		if (!value->set || value == &settings->extends)
			continue;
		if (strcmp(section, row->section) != 0)
			(void)fprintf(out, "%s[%s]\n", section[0] ? "\n" : "", row->section);
		section = row->section;
		(void)fprintf(out, "%s = ", row->key);
		settings_print_value(out, row, value);
		(void)fputc('\n', out);
	}
}

void settings_clear(struct settings *settings)
{
	for (size_t i = 0; i < setting_rows_n; i++)
		words_clear(&settings_find_value(settings, &setting_rows[i])->words);
	*settings = (struct settings){ 0 };
}
