/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's files, read only. Run by custodyctl as the caller. Trusts nothing in them. */
#include "ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "paths.h"

static int ledger_file_complain_open(const char *path, int error)
{
	if (error == -ENOENT)
		client_complain("There is no %s: custodyd has recorded nothing under this root "
				"yet.", client_quote(path).text);
	else if (error == -EACCES)
		client_complain("%s may not be read by you: the ledger is root's; run this as "
				"root.", client_quote(path).text);
	else
		client_complain("%s cannot be read: %s.", client_quote(path).text,
				strerror(-error));
	return CUSTODY_EXIT_REFUSED;
}

int ledger_file_open(const struct command_options *options, const char *name, int *ret_fd)
{
	char path[CUSTODY_PATH_SIZE * 2];
	char below[CUSTODY_PATH_SIZE];
	struct stat st;
	int fd;

	(void)snprintf(below, sizeof(below), "%s/%s", PATHS_LEDGER, name);
	if (paths_join(options->root, below, path, sizeof(path)) < 0) {
		client_complain("The path of the root is too long.");
		return CUSTODY_EXIT_USAGE;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ledger_file_complain_open(path, -errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return ledger_file_complain_open(path, -EBADF);
	}
	*ret_fd = fd;
	return CUSTODY_EXIT_DONE;
}

int ledger_file_read(const struct command_options *options, const char *name, size_t max,
		     char **ret, size_t *ret_n)
{
	cleanup_ptr char *bytes = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	size_t used = 0;
	int r = ledger_file_open(options, name, &fd);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > max) {
		client_complain("The ledger's file %s is larger than it can be.", name);
		return CUSTODY_EXIT_FALSE;
	}
	bytes = malloc((size_t)st.st_size + 1);
	while (bytes && used < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + used, (size_t)st.st_size - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (!bytes || used != (size_t)st.st_size) {
		client_complain("The ledger's file %s cannot be read.", name);
		return CUSTODY_EXIT_INTERNAL;
	}
	bytes[used] = '\0';
	*ret_n = used;
	*ret = TAKE_PTR(bytes);
	return CUSTODY_EXIT_DONE;
}

int ledger_file_complain(const struct ledger_reader *reader, int error, const char *why)
{
	if (error != -EBADMSG) {
		client_complain("The ledger cannot be read: %s.", strerror(-error));
		return CUSTODY_EXIT_INTERNAL;
	}
	client_complain("The ledger is damaged: file %s, record %llu at byte %llu: %s.", LEDGER_LOG,
			(unsigned long long)reader->seq, (unsigned long long)reader->offset, why);
	return CUSTODY_EXIT_FALSE;
}

int ledger_names_add(struct ledger_names *names, const struct ledger_launch *launch)
{
	struct ledger_name *grown = reallocarray(names->rows, names->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	names->rows = grown;
	grown[names->n].jail_id = launch->jail_id;
	memcpy(grown[names->n].name, launch->name, sizeof(launch->name));
	names->n++;
	return 0;
}

int ledger_names_take(struct ledger_names *names, const struct record_entry *entry)
{
	struct ledger_launch refused = { .jail_id = entry->head.jail_id };

	if (entry->head.type == LEDGER_LAUNCH)
		return ledger_names_add(names, &entry->payload.launch);
	if (entry->head.jail_id == 0 ||
	    (entry->head.type != LEDGER_MEASURED && entry->head.type != LEDGER_CHECKED))
		return 0;
	memcpy(refused.name, entry->head.type == LEDGER_MEASURED ? entry->payload.measured.name :
								   entry->payload.checked.name,
	       sizeof(refused.name));
	return ledger_names_add(names, &refused);
}

const char *ledger_names_find(const struct ledger_names *names, __u32 jail_id)
{
	for (size_t i = names->n; i > 0; i--) {
		if (names->rows[i - 1].jail_id == jail_id)
			return names->rows[i - 1].name;
	}
	return NULL;
}

bool ledger_names_has(const struct ledger_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->rows[i].name, name) == 0)
			return true;
	}
	return false;
}

void ledger_names_free(struct ledger_names *names)
{
	free(names->rows);
	names->rows = NULL;
	names->n = 0;
}
