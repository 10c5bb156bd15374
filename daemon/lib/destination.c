/* SPDX-License-Identifier: Apache-2.0 */
/* Host names and addresses of egress. Run by several roles. Pure; trusts no byte it is given. */
#include "destination.h"

#include <string.h>

#include "plan.h"

#define DESTINATION_LABEL_MAX 63
#define DESTINATION_DIGITS "0123456789"
#define DESTINATION_LETTERS "abcdefghijklmnopqrstuvwxyz_-" DESTINATION_DIGITS

static bool destination_check_label(const char *label, size_t n)
{
	return n > 0 && n <= DESTINATION_LABEL_MAX && strspn(label, DESTINATION_LETTERS) >= n &&
	       label[0] != '-' && label[n - 1] != '-';
}

bool destination_check_host(const char *name)
{
	const char *label = name;

	if (strlen(name) > PLAN_HOST_NAME_MAX || strcmp(name, "localhost") == 0 ||
	    strcmp(name, "custody") == 0)
		return false;
	for (;;) {
		size_t n = strcspn(label, ".");

		if (!destination_check_label(label, n))
			return false;
		if (label[n] == '\0')
			return strspn(label, DESTINATION_DIGITS) < n;
		label += n + 1;
	}
}

bool destination_is_stand_in(const __u8 *address)
{
	return address[0] == PLAN_NAME_PREFIX_0 && address[1] == PLAN_NAME_PREFIX_1;
}

static bool destination_is_mapped(const __u8 *address)
{
	static const __u8 mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

bool destination_check_address(__u16 family, const __u8 *address)
{
	static const __u8 zero[16];

	if (family == PLAN_FAMILY_INET)
		return address[0] != 0 && address[0] < 224 && !destination_is_stand_in(address);
	return address[0] != 0xff && memcmp(address, zero, sizeof(zero)) != 0 &&
	       !destination_is_mapped(address);
}

bool destination_check_resolved(__u16 family, const __u8 *address)
{
	static const __u8 loopback[16] = { [15] = 1 };

	if (!destination_check_address(family, address))
		return false;
	if (family == PLAN_FAMILY_INET)
		return address[0] != 127 && !(address[0] == 169 && address[1] == 254);
	return memcmp(address, loopback, sizeof(loopback)) != 0 &&
	       !(address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

__u32 destination_find_first(const struct custody_plan *plan, __u32 index)
{
	const char *name = plan_string(plan, plan->endpoints[index].path);

	for (__u32 i = 0; i < index; i++) {
		if (plan->endpoints[i].family == PLAN_FAMILY_NAME &&
		    strcmp(plan_string(plan, plan->endpoints[i].path), name) == 0)
			return i;
	}
	return index;
}

int destination_find_name(const struct custody_plan *plan, const __u8 *address, __u16 port)
{
	if (!destination_is_stand_in(address) || address[2] != 0 || address[3] == 0)
		return -1;
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		if (plan->endpoints[i].family == PLAN_FAMILY_NAME &&
		    plan->endpoints[i].port == port &&
		    destination_find_first(plan, i) + 1 == address[3])
			return (int)i;
	}
	return -1;
}
