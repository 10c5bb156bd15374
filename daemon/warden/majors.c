/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/devices: "Character devices:", lines of a major and a name, an empty line. See majors.h. */
#include "majors.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#include "cleanup.h"

#define MAJORS_LINE 128

int majors_find(FILE *list, const char *driver, __u32 *ret)
{
	char line[MAJORS_LINE], name[64];
	unsigned int major;

	while (fgets(line, sizeof(line), list)) {
		if (strncmp(line, "Block devices:", 14) == 0)
			break;
		if (sscanf(line, "%u %63s", &major, name) != 2 || strcmp(name, driver) != 0)
			continue;
		*ret = major;
		return 0;
	}
	return ferror(list) ? -EIO : -ENODEV;
}

void majors_list_nodes(char *ret, size_t size)
{
	static const char *const patterns[] = { "/dev/nvidia[0-9]*", "/dev/nvidia-uvm",
						"/dev/dri/renderD[0-9]*", "/dev/kfd" };
	int n = snprintf(ret, size, "none");

	for (size_t i = 0, at = 0; i < ARRAY_SIZE(patterns); i++) {
		glob_t found = { 0 };

		if (glob(patterns[i], 0, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc && n >= 0; j++) {
			n = snprintf(ret + at, size - at, "%s%s", at ? " " : "",
				     found.gl_pathv[j]);
			if (n < 0 || (size_t)n >= size - at)
				break;
			at += (size_t)n;
		}
		globfree(&found);
	}
}
