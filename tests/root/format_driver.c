/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_inspect() of each file named on standard input, one a line: prints its name, the answer
 * (0 or errno's number), the format, whether it carries pickles, and why. For
 * tests/root/85-formats.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "format.h"

int main(void)
{
	char path[4096];

	while (fgets(path, sizeof(path), stdin)) {
		struct format_finding finding = { 0 };
		cleanup_fd int fd = -1;
		struct stat st;
		int r;

		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		r = format_inspect(fd, (__u64)st.st_size, &finding);
		(void)printf("%s\t%d\t%s\t%s\t%s\n", path, -r, format_name(finding.format),
			     finding.pickles ? "pickles" : "data", finding.why.text);
	}
	return 0;
}
