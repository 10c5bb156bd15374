/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types of settings: what one word may be, and what it means. Run by the planner. Trusts no
 * byte of its input. Pure.
 */
#include <errno.h>
#include <string.h>

#include "custody/plan.h"
#include "plan.h"
#include "settings.h"
#include "value.h"

#define TYPES_DAY 86400ULL

/* Position, from 1, of word in a list by blanks; 0 when it is not in it. */
static __u64 types_find_choice(const char *choices, const char *word)
{
	size_t len = strlen(word);
	__u64 position = 1;

	for (const char *c = choices; *c; position++) {
		size_t n = strcspn(c, " ");

		if (n == len && strncmp(c, word, n) == 0)
			return position;
		c += n + (c[n] == ' ');
	}
	return 0;
}

static int types_check_choice(const struct setting_type *type, const char *word,
			      struct setting_value *value)
{
	__u64 position = types_find_choice(type->choices, word);

	if (position == 0)
		return -EINVAL;
	value->number = position;
	return 0;
}

/* Several choices: a mask with bit 0 for the first. The planes are in the order of their bits. */
static int types_check_mask(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	__u64 position = types_find_choice(type->choices, word);

	if (position == 0)
		return -EINVAL;
	value->number |= 1ULL << (position - 1);
	return 0;
}

static int types_check_name(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	(void)type;
	(void)value;
	return plan_check_name(word) ? 0 : -EINVAL;
}

static int types_check_text(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	(void)type;
	(void)value;
	if (word[0] == ';') /* after "= " it is a comment, so it could not be printed */
		return -EINVAL;
	for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return -EINVAL;
	}
	return strlen(word) <= WORDS_PRINT_MAX ? 0 : -ERANGE;
}

static int types_check_path(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	(void)type;
	(void)value;
	return value_check_path(word) ? 0 : -EINVAL;
}

static int types_check_optional_path(const struct setting_type *type, const char *word,
				     struct setting_value *value)
{
	return types_check_path(type, word + (word[0] == '-'), value);
}

static int types_check_yes(const struct setting_type *type, const char *word,
			   struct setting_value *value)
{
	bool yes = false;
	int r = value_parse_yes(word, &yes);

	(void)type;
	if (r == 0)
		value->number = yes;
	return r;
}

static int types_check_size(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	(void)type;
	return value_parse_size(word, &value->number);
}

static int types_check_memory(const struct setting_type *type, const char *word,
			      struct setting_value *value)
{
	__u64 size = 0;
	int r = value_parse_size(word, &size);

	(void)type;
	if (r == 0 && size < 1ULL << 20)
		r = -ERANGE;
	if (r == 0)
		value->number = size;
	return r;
}

static int types_check_disk_rate(const struct setting_type *type, const char *word,
				 struct setting_value *value)
{
	__u64 rate = 0;
	int r = value_parse_rate(word, &rate);

	(void)type;
	if (r == 0 && rate < PLAN_DISK_RATE_MIN)
		r = -ERANGE;
	if (r == 0)
		value->number = rate;
	return r;
}

static int types_check_rate(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	struct value_ceiling ceiling;

	(void)type;
	(void)value;
	return value_parse_ceiling(word, true, &ceiling);
}

static int types_check_total(const struct setting_type *type, const char *word,
			     struct setting_value *value)
{
	struct value_ceiling ceiling;

	(void)type;
	(void)value;
	return value_parse_ceiling(word, false, &ceiling);
}

static int types_check_count(const struct setting_type *type, const char *word,
			     struct setting_value *value)
{
	__u64 count = 0;
	int r = value_parse_count(word, 1ULL << 20, &count);

	(void)type;
	if (r == 0 && count == 0)
		r = -ERANGE;
	if (r == 0)
		value->number = count;
	return r;
}

static int types_check_percent(const struct setting_type *type, const char *word,
			       struct setting_value *value)
{
	(void)type;
	return value_parse_percent(word, &value->number);
}

static int types_check_timeout(const struct setting_type *type, const char *word,
			       struct setting_value *value)
{
	__u64 seconds = 0;
	int r = value_parse_duration(word, &seconds);

	(void)type;
	if (r == 0 && seconds > 3600)
		r = -ERANGE;
	if (r == 0)
		value->number = seconds;
	return r;
}

static int types_check_days(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	__u64 seconds = 0;
	int r = value_parse_duration(word, &seconds);

	(void)type;
	if (r == 0 && (seconds == 0 || seconds % TYPES_DAY != 0))
		r = -ERANGE;
	if (r == 0)
		value->number = seconds;
	return r;
}

static int types_check_word(const struct setting_type *type, const char *word,
			    struct setting_value *value)
{
	(void)type;
	(void)value;
	return word[0] != '\0' || value->words.n > 1 ? 0 : -EINVAL;
}

/* A word of TYPE by KEYFILE; which of the three it is, is for build_admission.c to say. */
static int types_check_attestation(const struct setting_type *type, const char *word,
				   struct setting_value *value)
{
	(void)type;
	(void)value;
	for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
		if (*c <= 0x20 || *c >= 0x7f)
			return -EINVAL;
	}
	return word[0] != '\0' ? 0 : -EINVAL;
}

static int types_check_variable(const struct setting_type *type, const char *word,
				struct setting_value *value)
{
	static const char names[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = strspn(word, names);

	(void)type;
	(void)value;
	return n > 0 && word[n] == '=' && (word[0] < '0' || word[0] > '9') ? 0 : -EINVAL;
}

static int types_check_listen(const struct setting_type *type, const char *word,
			      struct setting_value *value)
{
	struct value_endpoint endpoint;

	(void)type;
	(void)value;
	return value_parse_endpoint(word, &endpoint);
}

static int types_check_egress(const struct setting_type *type, const char *word,
			      struct setting_value *value)
{
	struct value_endpoint endpoint;

	(void)type;
	(void)value;
	return value_parse_egress(word, &endpoint);
}

static int types_check_device(const struct setting_type *type, const char *word,
			      struct setting_value *value)
{
	struct value_device nodes[VALUE_DEVICE_NODES];
	size_t n = 0;

	(void)type;
	(void)value;
	return value_parse_device(word, nodes, &n);
}

static void types_print_size(FILE *out, __u64 number)
{
	value_print_size(out, number);
}

static void types_print_rate(FILE *out, __u64 number)
{
	value_print_size(out, number);
	(void)fputs("/s", out);
}

static void types_print_yes(FILE *out, __u64 number)
{
	(void)fputs(number ? "yes" : "no", out);
}

static void types_print_count(FILE *out, __u64 number)
{
	(void)fprintf(out, "%llu", (unsigned long long)number);
}

static void types_print_percent(FILE *out, __u64 number)
{
	(void)fprintf(out, "%llu%%", (unsigned long long)number);
}

#define TYPE_LIST .list = true, .none = true
#define TYPE_CHOICE(words) .form = "one of: " words, .choices = words, .check = types_check_choice
#define TYPE_MASK(words) .form = "some of: " words, .choices = words, .check = types_check_mask

const struct setting_type setting_types[_SETTING_TYPE_MAX] = {
	[SETTING_TYPE_NAME] = { .form = "a profile name: a-z 0-9 . _ -, not beginning with . _ -",
				.check = types_check_name },
	[SETTING_TYPE_TEXT] = { .form = "text of at most 160 characters that does not begin with "
					"';'",
				.check = types_check_text },
	[SETTING_TYPE_PATH] = { .form = "an absolute path without //, . or .. and without / at its "
					"end",
				.check = types_check_path },
	[SETTING_TYPE_PATHS] = { .form = "absolute paths without //, . or .. and without / at "
					 "their end",
				 .check = types_check_path,
				 TYPE_LIST },
	[SETTING_TYPE_OPTIONAL_PATHS] = { .form = "absolute paths without //, . or .., each with - "
						  "before it when it may be absent",
					  .check = types_check_optional_path,
					  TYPE_LIST },
	[SETTING_TYPE_YES] = { .form = "yes or no",
			       .check = types_check_yes,
			       .print = types_print_yes },
	[SETTING_TYPE_FORMATS] = { TYPE_MASK("gguf safetensors onnx pickle npz torch hdf5 "
					      "tensorflow"),
				    TYPE_LIST },
	[SETTING_TYPE_ATTESTATIONS] = { .form = "TYPE by KEYFILE, such as "
						"https://slsa.dev/provenance/v1 by /etc/custody/"
						"trust/builds.pem, or none",
					.check = types_check_attestation,
					TYPE_LIST },
	[SETTING_TYPE_CHECKS] = { .form = "on each line a program and its arguments, or none",
				  .check = types_check_word,
				  TYPE_LIST },
	[SETTING_TYPE_COMMAND] = { .form = "a program and its arguments",
				   .check = types_check_word,
				   .list = true },
	[SETTING_TYPE_ENVIRONMENT] = { .form = "NAME=VALUE, NAME of letters, digits and _",
				       .check = types_check_variable,
				       TYPE_LIST },
	[SETTING_TYPE_SIZE] = { .form = "a size such as 64M (K, M, G, T), at most 1024T, or none",
				.check = types_check_size,
				.print = types_print_size,
				.none = true },
	[SETTING_TYPE_MEMORY] = { .form = "a size such as 2G, from 1M to 1024T, or none",
				  .check = types_check_memory,
				  .print = types_print_size,
				  .none = true },
	[SETTING_TYPE_LISTEN] = { .form = "tcp:ADDRESS:PORT, tcp:[IPV6]:PORT, udp:..., or "
					  "unix:/PATH, ports 1-65535",
				  .check = types_check_listen,
				  TYPE_LIST },
	[SETTING_TYPE_EGRESS] = { .form = "tcp:ADDRESS:PORT, tcp:[IPV6]:PORT, udp:..., "
					  "unix:/PATH, name:HOST:PORT, or none",
				  .check = types_check_egress,
				  TYPE_LIST },
	[SETTING_TYPE_RATE] = { .form = "a rate such as 50M/s (at most 32G/s), and such as "
					"tcp:10.0.0.5:443=1M/s for one endpoint",
				.check = types_check_rate,
				TYPE_LIST },
	[SETTING_TYPE_DISK_RATE] = { .form = "a rate such as 50M/s, from 64K/s to 1024T/s, or none",
				     .check = types_check_disk_rate,
				     .print = types_print_rate,
				     .none = true },
	[SETTING_TYPE_TOTAL] = { .form = "a size such as 10G, or auto, and such as "
					 "tcp:10.0.0.5:443=1G for one endpoint",
				 .check = types_check_total,
				 TYPE_LIST },
	[SETTING_TYPE_ON_CEILING] = { TYPE_CHOICE("throttle cut freeze kill") },
	[SETTING_TYPE_REFUSE] = { TYPE_CHOICE("eacces econnrefused") },
	[SETTING_TYPE_DEVICES] = { .form = "nvidia:N (0-127), dri:N (128-191), nvidia-uvm:MAJOR, "
					   "kfd:MAJOR, or none",
				   .check = types_check_device,
				   TYPE_LIST },
	[SETTING_TYPE_IOCTLS] = { TYPE_CHOICE("all compute") },
	[SETTING_TYPE_COUNT] = { .form = "a number from 1 to 1048576",
				 .check = types_check_count,
				 .print = types_print_count },
	[SETTING_TYPE_PERCENT] = { .form = "a percentage such as 200% (two cores), or none",
				   .check = types_check_percent,
				   .print = types_print_percent,
				   .none = true },
	[SETTING_TYPE_SYSCALLS] = { TYPE_CHOICE("model-server model-server-gpu training") },
	[SETTING_TYPE_PLANES] = { TYPE_MASK("structure cgroup lsm observe guard limits"),
				  .list = true },
	[SETTING_TYPE_ON_LOSS] = { TYPE_CHOICE("record freeze kill") },
	[SETTING_TYPE_DAYS] = { .form = "whole days such as 180d, from 1d to 36500d",
				.check = types_check_days,
				.print = value_print_duration },
	[SETTING_TYPE_TIMEOUT] = { .form = "a time such as 60s or 5m, at most 1h",
				   .check = types_check_timeout,
				   .print = value_print_duration },
	[SETTING_TYPE_SCAN] = { .form = "absolute paths, or none",
				.check = types_check_path,
				TYPE_LIST },
	[SETTING_TYPE_ERASE] = { TYPE_CHOICE("memory crypto-erase") },
};

_Static_assert(CUSTODY_PLANE_STRUCTURE == 1U << 0 && CUSTODY_PLANE_CGROUP == 1U << 1 &&
		       CUSTODY_PLANE_LSM == 1U << 2 && CUSTODY_PLANE_OBSERVE == 1U << 3 &&
		       CUSTODY_PLANE_GUARD == 1U << 4 && CUSTODY_PLANE_LIMITS == 1U << 5,
	       "the words of require.planes are in the order of the bits");
_Static_assert(CUSTODY_FORMAT_GGUF == 1U << 0 && CUSTODY_FORMAT_SAFETENSORS == 1U << 1 &&
		       CUSTODY_FORMAT_ONNX == 1U << 2 && CUSTODY_FORMAT_PICKLE == 1U << 3 &&
		       CUSTODY_FORMAT_NPZ == 1U << 4 && CUSTODY_FORMAT_TORCH == 1U << 5 &&
		       CUSTODY_FORMAT_HDF5 == 1U << 6 && CUSTODY_FORMAT_TENSORFLOW == 1U << 7 &&
		       CUSTODY_FORMATS_ALL == (1U << 8) - 1,
	       "the words of model.formats are in the order of the bits");
_Static_assert(PLAN_IOCTLS_ALL == 1 && PLAN_IOCTLS_COMPUTE == 2 && _PLAN_IOCTLS_MAX == 3,
	       "the words of gpu.ioctls are in the order of the enum");
_Static_assert(PLAN_SYSCALLS_MODEL_SERVER == 1 && PLAN_SYSCALLS_MODEL_SERVER_GPU == 2 &&
		       PLAN_SYSCALLS_TRAINING == 3 && _PLAN_SYSCALLS_MAX == 4,
	       "the words of syscalls.set are in the order of the enum");
_Static_assert(CEILING_THROTTLE == 1 && CEILING_CUT == 2 && CEILING_FREEZE == 3 &&
		       CEILING_KILL == 4 && _CEILING_ACTION_MAX == 5,
	       "the words of network.on-ceiling are in the order of the enum");
_Static_assert(PLAN_ON_LOSS_RECORD == 1 && PLAN_ON_LOSS_FREEZE == 2 && PLAN_ON_LOSS_KILL == 3,
	       "the words of evidence.on-loss are in the order of the enum");
