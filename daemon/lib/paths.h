/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are. Every path of custody can be moved under another root ("--root DIR"), which
 * is what tests and the demo do; the host's own files (/usr, /proc, /sys/fs/cgroup) are not moved.
 */
#ifndef CUSTODY_PATHS_H
#define CUSTODY_PATHS_H

#include <stddef.h>

#include "custody/limits.h"

#define PATHS_PROFILES_ETC	"/etc/custody/profiles"
#define PATHS_PROFILES_USR	"/usr/share/custody/profiles"
#define PATHS_ETC		"/etc/custody"
#define PATHS_CONF_NAME		"custody.conf"	/* in PATHS_ETC */
#define PATHS_STATE		"/var/lib/custody"
#define PATHS_NEXT_JAIL		"/var/lib/custody/next-jail"
#define PATHS_LEDGER		"/var/lib/custody/ledger"
#define PATHS_EVIDENCE		"/var/lib/custody/evidence"
#define PATHS_KEYS		"/var/lib/custody/keys"
#define PATHS_CEILINGS		"/var/lib/custody/ceilings"
#define PATHS_MEASURED		"/var/lib/custody/measured"
#define PATHS_MODELS		"/var/lib/custody/models"
#define PATHS_LOGS		"/var/lib/custody/logs"
#define PATHS_RUN		"/run/custody"
#define PATHS_SOCKET		"/run/custody/control.sock"
#define PATHS_JAILS		"/run/custody/jails"
#define PATHS_UIDS		"/run/custody-uids"	/* of the host: no --root moves it */
#define PATHS_LOCK		"/run/custody/lock"
#define PATHS_BPF		"/sys/fs/bpf/custody"

/*
 * root + path into ret (size bytes). root is NULL or "" for the host, else an absolute directory
 * without a trailing slash. Returns 0, or -ENAMETOOLONG with ret untouched.
 */
int paths_join(const char *root, const char *path, char *ret, size_t size);

/* Directory of the running executable: where the other roles' executables stand. */
int paths_find_libexec(char *ret, size_t size);

/* mkdir -p with mode for what is missing. Returns 0 or -errno. */
int paths_make_directory(const char *path, unsigned int mode);

#endif
