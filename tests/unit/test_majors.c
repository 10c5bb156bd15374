/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Majors out of a list like /proc/devices.
 *
 * link: daemon/warden/majors.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "../../daemon/warden/majors.h"

static int find(const char *text, const char *driver, __u32 *ret)
{
	FILE *list = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	assert_non_null(list);
	r = majors_find(list, driver, ret);
	(void)fclose(list);
	return r;
}

static void test_majors(void **state)
{
	static const char list[] = "Character devices:\n  1 mem\n195 nvidia\n195 nvidia-modeset\n"
				   "507 nvidia-uvm\n\nBlock devices:\n259 blkext\n510 kfd\n";
	__u32 major = 99;

	(void)state;
	assert_int_equal(find(list, "nvidia-uvm", &major), 0);
	assert_int_equal(major, 507);
	assert_int_equal(find(list, "nvidia", &major), 0);
	assert_int_equal(major, 195);
	major = 99;
	assert_int_equal(find(list, "nvidia-uv", &major), -ENODEV);
	assert_int_equal(find(list, "kfd", &major), -ENODEV); /* a block device of that name */
	assert_int_equal(find("\n", "mem", &major), -ENODEV);
	assert_int_equal(major, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_majors) };

	return cmocka_run_group_tests_name("majors", tests, NULL, NULL);
}
