/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zip archives of models: torch (data.pkl), NPZ, Keras. Run by whatever measures models. Pure.
 * Trusts nothing.
 *
 * Readers of zip disagree about archives that are not plain: which end record counts, what stands
 * between entries, which of two entries of one name. So only plain ones are taken: nothing before
 * the first entry, between entries, or behind the end record; no comment; no name twice, and names
 * that stay below where they are unpacked; local headers that say what the directory says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format_internal.h"

#define ZIP_LOCAL 0x04034b50U
#define ZIP_CENTRAL 0x02014b50U
#define ZIP_END 0x06054b50U
#define ZIP_END64 0x06064b50U
#define ZIP_LOCATOR64 0x07064b50U
#define ZIP_END_SIZE 22
#define ZIP_END64_SIZE 56
#define ZIP_LOCATOR_SIZE 20
#define ZIP_LOCAL_SIZE 30
#define ZIP_CENTRAL_SIZE 46
#define ZIP_TAIL (65535 + ZIP_END_SIZE)
#define ZIP_ENCRYPTED 0x2041 /* bits 0, 6 and 13 */
#define ZIP_DESCRIPTOR 0x0008
#define ZIP_DESCRIPTOR_MAX 24
#define ZIP_NAME_MAX 4096
#define ZIP_STORED 0
#define ZIP_DEFLATED 8

struct zip_entry {
	__u64 begin; /* of its local header */
	__u64 data;
	__u64 end;
	__u64 size; /* unpacked */
	__u64 hash; /* of its name */
	__u16 flags;
	__u16 method;
	bool npy;
};

struct zip {
	const struct format_source *source;
	struct format_finding *ret;
	__u64 directory;
	__u64 directory_end;
	__u64 n;
	struct zip_entry *entries;
	bool torch, npy, keras_config, keras_weights;
};

/* What a directory entry says before its name. */
struct zip_row {
	__u16 flags, method, name_n, extra_n, comment_n;
	__u64 packed, size, begin;
};

static __u64 zip_number(const __u8 *bytes, size_t at, size_t n)
{
	return format_number(bytes + at, n);
}

int format_is_zip(const struct format_source *source, const struct format_head *head)
{
	__u64 magic = head->n >= 4 ? format_number(head->bytes, 4) : 0;

	(void)source;
	return magic == ZIP_LOCAL || magic == ZIP_END || magic == ZIP_END64;
}

/* An end record whose directory is where it must be, or that a 64-bit locator stands before. */
static bool zip_is_end(const struct format_source *source, __u64 at, const __u8 *end)
{
	__u64 n = zip_number(end, 12, 4);
	__u8 bytes[4];

	if (at >= ZIP_LOCATOR_SIZE &&
	    format_read(source, at - ZIP_LOCATOR_SIZE, bytes, sizeof(bytes)) == 0 &&
	    format_number(bytes, 4) == ZIP_LOCATOR64)
		return true;
	return n >= 4 && n <= at && format_read(source, at - n, bytes, sizeof(bytes)) == 0 &&
	       format_number(bytes, 4) == ZIP_CENTRAL;
}

int format_is_zip_behind(const struct format_source *source, const struct format_head *head)
{
	size_t n = source->size < ZIP_TAIL ? (size_t)source->size : ZIP_TAIL;
	cleanup_ptr __u8 *tail = NULL;
	int r;

	if (n < ZIP_END_SIZE || format_is_zip(source, head))
		return 0;
	tail = malloc(n);
	if (!tail)
		return -ENOMEM;
	r = format_read(source, source->size - n, tail, n);
	if (r < 0)
		return r;
	for (size_t i = n - ZIP_END_SIZE + 1; i-- > 0;) {
		if (format_number(tail + i, 4) == ZIP_END &&
		    zip_is_end(source, source->size - n + i, tail + i))
			return 1;
	}
	return 0;
}

/* ---- the end record ---- */

static int zip_take_end64(struct zip *zip, __u64 locator, const __u8 *end)
{
	__u8 bytes[ZIP_END64_SIZE];
	__u64 at = 0;
	int r = format_read(zip->source, locator, bytes, ZIP_LOCATOR_SIZE);

	if (r == 0) {
		at = zip_number(bytes, 8, 8);
		r = format_read(zip->source, at, bytes, sizeof(bytes));
	}
	if (r == -ENODATA || (r == 0 && (format_number(bytes, 4) != ZIP_END64 || at > locator ||
					 zip_number(bytes, 4, 8) != locator - at - 12)))
		return format_refuse(zip->ret, "The zip's 64-bit end record is not where its "
					       "locator says.");
	if (r < 0)
		return r;
	zip->n = zip_number(bytes, 32, 8);
	zip->directory = zip_number(bytes, 48, 8);
	zip->directory_end = at;
	if (zip_number(bytes, 40, 8) != at - zip->directory || zip->directory > at)
		return format_refuse(zip->ret,
				     "The zip's directory does not end at its end record.");
	if ((zip_number(end, 10, 2) != 0xffff && zip_number(end, 10, 2) != zip->n) ||
	    (zip_number(end, 16, 4) != 0xffffffff && zip_number(end, 16, 4) != zip->directory))
		return format_refuse(zip->ret, "The zip's two end records contradict one another.");
	return 0;
}

static int zip_take_end(struct zip *zip)
{
	const struct format_source *source = zip->source;
	__u8 end[ZIP_END_SIZE], locator[4] = { 0 };
	__u64 at = source->size - ZIP_END_SIZE;
	int r = source->size < ZIP_END_SIZE ? -ENODATA : format_read(source, at, end, sizeof(end));

	if (r == -ENODATA ||
	    (r == 0 && (format_number(end, 4) != ZIP_END || zip_number(end, 20, 2) != 0)))
		return format_refuse(zip->ret,
				     "The zip does not end with its end record: it is "
				     "truncated, has a comment, or something follows it.");
	if (r == 0 && at >= ZIP_LOCATOR_SIZE)
		r = format_read(source, at - ZIP_LOCATOR_SIZE, locator, sizeof(locator));
	if (r < 0)
		return r;
	if (format_number(locator, 4) == ZIP_LOCATOR64)
		return zip_take_end64(zip, at - ZIP_LOCATOR_SIZE, end);
	zip->n = zip_number(end, 10, 2);
	zip->directory = zip_number(end, 16, 4);
	zip->directory_end = at;
	if (zip->directory > at || zip_number(end, 12, 4) != at - zip->directory)
		return format_refuse(zip->ret,
				     "The zip's directory does not end at its end record.");
	return 0;
}

/* ---- the directory ---- */

/* 64-bit sizes, for those fields that are full of ones, in this order. */
static bool zip_take_extra(struct zip_row *row, const __u8 *extra, size_t n)
{
	__u64 *const fields[] = { &row->size, &row->packed, &row->begin };
	size_t at = 0, len = 0;

	while (at + 4 <= n && zip_number(extra, at, 2) != 1)
		at += 4 + (size_t)zip_number(extra, at + 2, 2);
	if (at + 4 <= n) {
		len = (size_t)zip_number(extra, at + 2, 2);
		at += 4;
		len = len <= n - at ? len : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (*fields[i] != 0xffffffff)
			continue;
		if (len < 8)
			return false;
		*fields[i] = zip_number(extra, at, 8);
		at += 8;
		len -= 8;
	}
	return true;
}

static int zip_take_row(struct format_cursor *cursor, struct zip_row *ret, char *name, __u8 *extra)
{
	__u8 bytes[ZIP_CENTRAL_SIZE];
	int r = format_take(cursor, bytes, sizeof(bytes));

	if (r < 0)
		return r;
	if (format_number(bytes, 4) != ZIP_CENTRAL)
		return -ENODATA;
	*ret = (struct zip_row){
		.flags = (__u16)zip_number(bytes, 8, 2),
		.method = (__u16)zip_number(bytes, 10, 2),
		.packed = zip_number(bytes, 20, 4),
		.size = zip_number(bytes, 24, 4),
		.name_n = (__u16)zip_number(bytes, 28, 2),
		.extra_n = (__u16)zip_number(bytes, 30, 2),
		.comment_n = (__u16)zip_number(bytes, 32, 2),
		.begin = zip_number(bytes, 42, 4),
	};
	if (ret->name_n == 0 || ret->name_n > ZIP_NAME_MAX)
		return -ENODATA;
	r = format_take(cursor, name, ret->name_n);
	if (r == 0)
		r = format_take(cursor, extra, ret->extra_n);
	if (r == 0)
		r = format_skip(cursor, ret->comment_n);
	name[ret->name_n] = '\0';
	return r < 0 || zip_take_extra(ret, extra, ret->extra_n) ? r : -ENODATA;
}

static int zip_refuse(struct zip *zip, const char *name, size_t n, const char *what)
{
	return format_refuse(zip->ret, "The zip's entry %s %s.", oms_quote(name, n).text, what);
}

/* The entry's local header: the same name and method, and all of it before the directory. */
static int zip_check_local(struct zip *zip, const struct zip_row *row, const char *name,
			   struct zip_entry *ret)
{
	char local[ZIP_NAME_MAX];
	__u8 bytes[ZIP_LOCAL_SIZE];
	int r = format_read(zip->source, row->begin, bytes, sizeof(bytes));

	if (r == 0 &&
	    (format_number(bytes, 4) != ZIP_LOCAL || zip_number(bytes, 26, 2) != row->name_n ||
	     zip_number(bytes, 8, 2) != row->method))
		r = -ENODATA;
	if (r == 0)
		r = format_read(zip->source, row->begin + ZIP_LOCAL_SIZE, local, row->name_n);
	if (r == -ENODATA || (r == 0 && memcmp(local, name, row->name_n) != 0))
		return zip_refuse(zip, name, row->name_n, "is not where the directory says");
	if (r < 0)
		return r;
	ret->begin = row->begin;
	ret->data = row->begin + ZIP_LOCAL_SIZE + row->name_n + zip_number(bytes, 28, 2);
	if (ret->data > zip->directory || row->packed > zip->directory - ret->data)
		return zip_refuse(zip, name, row->name_n, "reaches into the directory");
	ret->end = ret->data + row->packed;
	if (row->method == ZIP_STORED && !(row->flags & ZIP_ENCRYPTED) && row->packed != row->size)
		return zip_refuse(zip, name, row->name_n, "is stored in two sizes");
	return 0;
}

/* FNV-1a: names that collide on purpose are taken for one, and refused. */
static __u64 zip_hash(const char *name, size_t n)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (__u8)name[i]) * 0x100000001b3ULL;
	return hash;
}

static int zip_take_entry(struct zip *zip, const struct zip_row *row, const char *name,
			  struct zip_entry *ret)
{
	const char *slash = memrchr(name, '/', row->name_n);
	const char *base = slash ? slash + 1 : name;
	size_t n = row->name_n - (name[row->name_n - 1] == '/');

	if (strlen(name) != row->name_n || !oms_check_path(name, n))
		return zip_refuse(zip, name, row->name_n, "has no name that stays below");
	ret->hash = zip_hash(name, row->name_n);
	ret->flags = row->flags;
	ret->method = row->method;
	ret->size = row->size;
	ret->npy = n > 4 && strcmp(name + row->name_n - 4, ".npy") == 0;
	zip->npy |= ret->npy;
	zip->torch |= strcmp(base, "data.pkl") == 0;
	zip->keras_config |= strcmp(name, "config.json") == 0;
	zip->keras_weights |= strcmp(name, "model.weights.h5") == 0;
	return zip_check_local(zip, row, name, ret);
}

static int zip_take_directory(struct zip *zip)
{
	cleanup_ptr __u8 *extra = malloc(65536);
	char name[ZIP_NAME_MAX + 1];
	struct format_cursor cursor;
	struct zip_row row;
	int r = 0;

	if (zip->n > FORMAT_ZIP_ENTRIES_MAX ||
	    zip->directory_end - zip->directory > FORMAT_ZIP_DIRECTORY_MAX)
		return format_refuse(zip->ret,
				     "The zip has %llu entries; at most %u, and 64 MiB of "
				     "directory, are read.",
				     (unsigned long long)zip->n, FORMAT_ZIP_ENTRIES_MAX);
	zip->entries = calloc(zip->n + 1, sizeof(*zip->entries));
	if (!zip->entries || !extra)
		return -ENOMEM;
	format_begin(&cursor, zip->source, zip->directory, zip->directory_end);
	for (__u64 i = 0; r == 0 && i < zip->n; i++) {
		r = zip_take_row(&cursor, &row, name, extra);
		if (r == 0)
			r = zip_take_entry(zip, &row, name, &zip->entries[i]);
	}
	if (r == -ENODATA || (r == 0 && cursor.at != cursor.end))
		return format_refuse(zip->ret, "The zip's directory is damaged.");
	return r;
}

/* ---- the whole of it ---- */

static int zip_compare_hash(const void *a, const void *b)
{
	const struct zip_entry *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int zip_compare_begin(const void *a, const void *b)
{
	const struct zip_entry *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int zip_check_layout(struct zip *zip)
{
	__u64 at = 0, slack = 0;

	qsort(zip->entries, zip->n, sizeof(*zip->entries), zip_compare_hash);
	for (__u64 i = 1; i < zip->n; i++) {
		if (zip->entries[i].hash == zip->entries[i - 1].hash)
			return format_refuse(zip->ret, "The zip has two entries of one name.");
	}
	qsort(zip->entries, zip->n, sizeof(*zip->entries), zip_compare_begin);
	for (__u64 i = 0; i <= zip->n; i++) {
		const struct zip_entry *entry = &zip->entries[i];
		__u64 begin = i < zip->n ? entry->begin : zip->directory;

		if (begin < at || begin > at + slack)
			return format_refuse(zip->ret,
					     "The zip has something at offset %llu that belongs to "
					     "no entry, or to two.",
					     (unsigned long long)(begin < at ? begin : at));
		at = entry->end;
		slack = entry->flags & ZIP_DESCRIPTOR ? ZIP_DESCRIPTOR_MAX : 0;
	}
	return 0;
}

/* The beginning of an entry, unpacked. *ret_n = 0 with -EOPNOTSUPP when that cannot be had. */
static int zip_unpack(const struct zip *zip, const struct zip_entry *entry, __u8 *ret,
		      size_t *ret_n)
{
	size_t n = entry->size < FORMAT_PREFIX ? (size_t)entry->size : FORMAT_PREFIX;
	bool whole = false;
	int r;

	*ret_n = 0;
	if ((entry->flags & ZIP_ENCRYPTED) ||
	    (entry->method != ZIP_STORED && entry->method != ZIP_DEFLATED))
		return -EOPNOTSUPP;
	if (n == 0)
		return 0;
	if (entry->method == ZIP_DEFLATED) {
		r = format_inflate(zip->source, entry->data, entry->end, true, ret, n, ret_n,
				   &whole);
		return r == 0 && *ret_n == n			 ? 0
		       : r < 0 && r != -EBADMSG && r != -ENODATA ? r
								 : -EBADMSG;
	}
	*ret_n = n;
	return format_read(zip->source, entry->data, ret, n);
}

static int zip_judge_entry(struct zip *zip, const struct zip_entry *entry, __u8 *bytes)
{
	struct format_source inner = { .fd = -1, .data = bytes, .size = entry->size };
	struct format_finding found = { 0 };
	size_t n = 0;
	int r = zip_unpack(zip, entry, bytes, &n);

	inner.held = n;
	if (r == -EBADMSG)
		return format_refuse(zip->ret, "An entry of the zip is damaged.");
	if (r == -EOPNOTSUPP) {
		zip->ret->pickles = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (entry->npy && n > 0) {
		r = n >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0 ? format_check_npy(&inner, &found)
								 : -ENOMSG;
		if (r == -EBADMSG)
			return format_refuse(zip->ret, "In the zip: %s", found.why.text);
		if (r != -ENOMSG) {
			zip->ret->pickles |= r == 0 && found.pickles;
			return r;
		}
	}
	r = n > 0 ? format_hides_pickle(bytes, n, entry->size) : 0;
	zip->ret->pickles |= r > 0;
	return r < 0 ? r : 0;
}

static int zip_judge(struct zip *zip)
{
	cleanup_ptr __u8 *bytes = NULL;
	int r = 0;

	if (zip->torch) {
		zip->ret->format = CUSTODY_FORMAT_TORCH;
		zip->ret->pickles = true;
		(void)oms_explain(&zip->ret->why, 0,
				  "It is a torch file: its data.pkl is a "
				  "pickle, and loading it runs what it says.");
		return 0;
	}
	bytes = malloc(FORMAT_PREFIX);
	if (!bytes)
		return -ENOMEM;
	for (__u64 i = 0; r == 0 && i < zip->n; i++)
		r = zip_judge_entry(zip, &zip->entries[i], bytes);
	if (r < 0)
		return r;
	if (zip->npy)
		zip->ret->format = CUSTODY_FORMAT_NPZ;
	else if (zip->keras_config && zip->keras_weights)
		zip->ret->format = CUSTODY_FORMAT_TENSORFLOW;
	else if (zip->ret->pickles)
		zip->ret->format = CUSTODY_FORMAT_PICKLE;
	if (zip->ret->pickles)
		(void)oms_explain(&zip->ret->why, 0,
				  "In the zip is a pickle, an array of objects, or something that "
				  "custody does not look into.");
	return 0;
}

int format_check_zip(const struct format_source *source, struct format_finding *ret)
{
	struct zip zip = { .source = source, .ret = ret };
	int r = zip_take_end(&zip);

	if (r == 0)
		r = zip_take_directory(&zip);
	if (r == 0)
		r = zip_check_layout(&zip);
	if (r == 0)
		r = zip_judge(&zip);
	free(zip.entries);
	return r;
}
