/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where two JSON values differ. Run by custody-verify, on statements whose signature was good.
 * Pure.
 */
#include "difference.h"

#include <stdio.h>
#include <string.h>

#include "escape.h"

#define DIFFERENCE_DEPTH_MAX 32

struct difference {
	char *path;
	size_t size;
	int depth;
};

static bool difference_walk(struct difference *d, const json_t *a, const json_t *b);

/* Goes one step down the path, and leaves the path there when the difference is below. */
static bool difference_step(struct difference *d, const char *step, const json_t *a,
			    const json_t *b)
{
	size_t used = strlen(d->path);
	bool differs;

	(void)snprintf(d->path + used, d->size - used, "%s", step);
	if (!a || !b || ++d->depth > DIFFERENCE_DEPTH_MAX)
		return true;
	differs = difference_walk(d, a, b);
	d->depth--;
	if (!differs)
		d->path[used] = '\0';
	return differs;
}

static bool difference_walk_object(struct difference *d, const json_t *a, const json_t *b)
{
	json_t *walked = (json_t *)a;
	const char *key;
	json_t *value;

	json_object_foreach(walked, key, value) {
		char name[256];
		char step[260];

		(void)escape_text(key, strlen(key), true, name, sizeof(name));
		(void)snprintf(step, sizeof(step), "%s%s", *d->path ? "." : "", name);
		if (difference_step(d, step, value, json_object_get(b, key)))
			return true;
	}
	if (json_object_size(a) != json_object_size(b))
		return difference_step(d, " (a key too many)", NULL, NULL);
	return false;
}

static bool difference_walk_array(struct difference *d, const json_t *a, const json_t *b)
{
	for (size_t i = 0; i < json_array_size(a) || i < json_array_size(b); i++) {
		char step[32];

		(void)snprintf(step, sizeof(step), "[%zu]", i);
		if (difference_step(d, step, json_array_get(a, i), json_array_get(b, i)))
			return true;
	}
	return false;
}

static bool difference_walk(struct difference *d, const json_t *a, const json_t *b)
{
	if (json_typeof(a) != json_typeof(b))
		return true;
	if (json_is_object(a))
		return difference_walk_object(d, a, b);
	if (json_is_array(a))
		return difference_walk_array(d, a, b);
	return !json_equal(a, b);
}

bool difference_find(const json_t *a, const json_t *b, char *ret, size_t size)
{
	struct difference d = { .path = ret, .size = size };

	ret[0] = '\0';
	return difference_walk(&d, a, b);
}
