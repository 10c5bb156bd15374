/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of what was measured: when a file is the one that was measured, and which tables are
 * believed. What makes a file another one is each field by itself: a clock that was set back gives
 * the same times to other bytes, but then size, inode, generation or the other time tell, or the
 * guard (tests/root/86-relaunch.sh).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cleanup.h"
#include "measured.h"

static struct measured_file make_file(void)
{
	return (struct measured_file){
		.device = 1, .inode = 2, .generation = 3, .size = 4, .mtime = 5, .ctime = 6,
		.n_pieces = 1, .flags = MEASURED_FILE_READ,
	};
}

static void test_each_field_tells(void **state)
{
	const struct measured_file was = make_file();
	struct measured_file now[9];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		now[i] = was;
	assert_true(measured_is_same(&was, &now[0]));
	now[0].device++;
	now[1].inode++; /* swapped */
	now[2].generation++; /* the inode's number was used again */
	now[3].size++;
	now[4].mtime++;
	now[5].mtime--;
	now[6].ctime++; /* written, and its mtime set back */
	now[7].ctime--; /* written after the clock was set back */
	now[8].verity = 1; /* another kind of file than was measured */
	now[8].verity_size = 32;
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		assert_false(measured_is_same(&was, &now[i]));
}

static void test_verity_is_its_digest(void **state)
{
	struct measured_file was = make_file();
	struct measured_file now;

	(void)state;
	now = was;
	assert_false(measured_is_same_verity(&was, &now)); /* it has none */
	was.verity = 1;
	was.verity_size = 32;
	memset(was.verity_digest, 7, 32);
	now = was;
	now.inode = now.ctime = now.device = 99; /* wherever it lies */
	assert_true(measured_is_same_verity(&was, &now));
	assert_false(measured_is_same(&was, &now));
	now.verity_digest[31]++;
	assert_false(measured_is_same_verity(&was, &now));
	now = was;
	now.size++;
	assert_false(measured_is_same_verity(&was, &now));
	now = was;
	now.verity = 2;
	assert_false(measured_is_same_verity(&was, &now));
	now = was;
	now.verity_size = 31;
	assert_false(measured_is_same_verity(&was, &now));
}

/* Two files, a piece each. */
struct test_table {
	struct measured_table head;
	struct measured_file files[2];
	struct measured_piece pieces[2];
	char names[4];
};

static struct test_table make_table(void)
{
	struct test_table t = {
		.head = {
			.magic = MEASURED_TABLE_MAGIC,
			.version = MEASURED_TABLE_VERSION,
			.n_files = 2,
			.n_pieces = 2,
			.files_off = offsetof(struct test_table, files),
			.pieces_off = offsetof(struct test_table, pieces),
			.names_off = offsetof(struct test_table, names),
			.names_size = 4,
		},
		.files = { make_file(), make_file() },
		.pieces = { { .end = 4 }, { .end = 4 } },
		.names = { 'a', '\0', 'b', '\0' },
	};

	t.head.size = t.head.names_off + 4;
	t.files[1].name = 2;
	t.files[1].first_piece = 1;
	return t;
}

static bool is_believed(const struct test_table *t)
{
	const struct measured_map map = { .data = t,
					  .size = offsetof(struct test_table, names) + 4 };

	return measured_check_table(&map) != NULL;
}

static void test_whole_table_is_believed(void **state)
{
	const struct test_table t = make_table();
	struct measured_map map = { .data = &t, .size = t.head.size };

	(void)state;
	assert_true(is_believed(&t));
	assert_string_equal(measured_name(&t.head, &measured_files(&t.head)[1]), "b");
	for (map.size = 0; map.size < t.head.size; map.size++)
		assert_null(measured_check_table(&map));
	map.data = NULL;
	assert_null(measured_check_table(&map));
}

#define BAD_TABLES(X)                                                                              \
	X(head.magic = 1)                                                                          \
	X(head.version = 2)                                                                        \
	X(head.size++)                                                                             \
	X(head.files_off++)                                                                        \
	X(head.pieces_off += 4)                                                                    \
	X(head.names_off = ~0ULL)                                                                  \
	X(head.n_files = ~0ULL)                                                                    \
	X(head.n_files = 3)                                                                        \
	X(head.n_files = 1) /* names that nobody has */                                            \
	X(head.n_pieces = 1ULL << 60)                                                              \
	X(names[3] = 'x')                                                                          \
	X(names[2] = 'a') /* twice */                                                              \
	X(names[0] = 'c') /* not in order */                                                       \
	X(files[1].name = 0)                                                                       \
	X(files[1].name = ~0ULL)                                                                   \
	X(files[0].n_pieces = 3)                                                                   \
	X(files[0].n_pieces = 2) /* with the other's: three of two */                              \
	X(files[1].first_piece = ~0ULL)                                                            \
	X(files[0].verity_size = 65)                                                               \
	X(files[0].verity = 1)                                                                     \
	X(files[0].verity_size = 1)                                                                \
	X(pieces[1].end = 5)                                                                       \
	X(pieces[0].start = 5)

static void test_bad_table_is_none(void **state)
{
	const char *believed = NULL;

	(void)state;
#define TRY_TABLE(change)                                                                          \
	do {                                                                                       \
		struct test_table t = make_table();                                                \
                                                                                                   \
		t.change;                                                                          \
		if (is_believed(&t))                                                               \
			believed = #change;                                                        \
	} while (0);
	BAD_TABLES(TRY_TABLE)
#undef TRY_TABLE
	if (believed)
		fail_msg("a table with %s is believed", believed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_tells),
		cmocka_unit_test(test_verity_is_its_digest),
		cmocka_unit_test(test_whole_table_is_believed),
		cmocka_unit_test(test_bad_table_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
