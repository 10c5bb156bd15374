/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/devices: "Character devices:", lines of a major and a name, an empty line. See majors.h. */
#include "majors.h"

#include <errno.h>
#include <string.h>

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
