/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a sample of the ring buffer. What is accepted is a valid record, and
 * what is printed of it holds no control byte. Trusts nothing.
 * link: tools/custodyctl/render_ceiling.c tools/custodyctl/render_limits.c
 * link: tools/custodyctl/render_measured.c tools/custodyctl/render_model.c
 * link: daemon/recorder/event.c tools/custodyctl/record_render.c tools/custodyctl/render.c
 * link: tools/custodyctl/event_words.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/recorder/event.h"
#include "tools/custodyctl/record_render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void print(const struct custody_event *event)
{
	struct record_entry entry = {
		.head = { .type = LEDGER_EVENT, .jail_id = event->jail_id },
		.payload = { .event = *event },
	};
	char line[RECORD_RENDER_LINE];
	const char *why = "";
	json_t *json;

	if (!record_check(LEDGER_EVENT, event->jail_id, &entry.payload, &why))
		abort();
	for (const char *p = record_render_line(&entry, NULL, line); *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
	}
	json = record_render_json(&entry, "digits");
	if (!json)
		abort();
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct custody_event event;
	const char *why = "";

	if (event_decode_ring(data, n, &event, &why))
		print(&event);
	if (n == sizeof(event)) {
		memcpy(&event, data, n);
		if (event_decode_broker(&event, &event, &why))
			print(&event);
	}
	return 0;
}
