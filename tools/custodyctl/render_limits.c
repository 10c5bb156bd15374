/* SPDX-License-Identifier: Apache-2.0 */
/* See render_limits.h. Run by custodyctl. Pure. Trusts no number. */
#include "render_limits.h"

#include <stdarg.h>
#include <stdio.h>

#include "custody/plan.h"
#include "render.h"

/* Appends after a comma; what has no room is left out. */
__attribute__((format(printf, 2, 3))) static void render_limits_add(char *ret, const char *format,
								    ...)
{
	size_t used = 0;
	va_list args;

	while (ret[used])
		used++;
	if (used > 0 && used + 2 < RENDER_LIMITS) {
		ret[used++] = ',';
		ret[used++] = ' ';
		ret[used] = '\0';
	}
	va_start(args, format);
	(void)vsnprintf(ret + used, RENDER_LIMITS - used, format, args);
	va_end(args);
}

void render_limits_line(const struct reply_row *row, char *ret)
{
	const struct reply_limits *limits = &row->limits;
	const char *each = row->planes_active & CUSTODY_PLANE_LIMITS ? "" : " in each process";
	char word[RENDER_WORD];

	ret[0] = '\0';
	render_bytes(limits->memory, word);
	render_limits_add(ret, "%s of memory%s", limits->memory ? word : "any amount",
			  limits->memory ? each : "");
	render_bytes(limits->memory_high, word);
	if (limits->memory_high)
		render_limits_add(ret, "slow from %s", word);
	render_limits_add(ret, "%llu processes", limits->processes);
	if (limits->cpu_percent)
		render_limits_add(ret, "%llu%% CPU", limits->cpu_percent);
	render_bytes(limits->io_read, word);
	if (limits->io_read)
		render_limits_add(ret, "%s/s from a disk", word);
	render_bytes(limits->io_write, word);
	if (limits->io_write)
		render_limits_add(ret, "%s/s to a disk", word);
}

void render_limits_hits(const struct reply_row *row, char *ret)
{
	ret[0] = '\0';
	if (row->limits.memory_killed)
		render_limits_add(ret, "%llu processes killed for want of memory",
				  row->limits.memory_killed);
	if (row->limits.forks_refused)
		render_limits_add(ret, "%llu forks refused", row->limits.forks_refused);
}

json_t *render_limits_json(const struct reply_row *row)
{
	const struct reply_limits *limits = &row->limits;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}",
			 "memory", render_count_json(limits->memory),
			 "memory_high", render_count_json(limits->memory_high),
			 "processes", render_count_json(limits->processes),
			 "cpu_percent", render_count_json(limits->cpu_percent),
			 "io_read", render_count_json(limits->io_read),
			 "io_write", render_count_json(limits->io_write),
			 "of_the_whole_jail", !!(row->planes_active & CUSTODY_PLANE_LIMITS),
			 "memory_killed", render_count_json(limits->memory_killed),
			 "forks_refused", render_count_json(limits->forks_refused));
}
