/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-measurer: reads a model before it is launched, finds out which it is, and whether it
 * shows what its profile asks for. Started by custodyd as root, one shot: MEASURE_REQUEST in,
 * MEASURED (or REFUSED, with the reason) out; then, when the jail has the mount, MEASURE_COMPARE
 * in, MEASURE_SAME (or REFUSED) out.
 *
 * Parses what may be hostile: signatures, certificates, statements, headers of model files. So it
 * gives up everything before the first byte of them: its uid owns nothing, its root directory is an
 * empty file system, it has no network, Landlock opens what lies beneath the model's directory and
 * nothing else, and seccomp knows no call that changes a file or starts a program. The one
 * capability, CAP_DAC_READ_SEARCH, is for weights that only their owner may read. Keys, signature
 * and statements come in a memfd that custodyd has filled.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "log.h"
#include "measurer.h"
#include "message.h"
#include "plan.h"

#define MAIN_CAPABILITIES (1ULL << CAP_DAC_READ_SEARCH)
#define MAIN_MEANWHILE ((1ULL << CAP_SYS_CHROOT) | (1ULL << CAP_SETPCAP))
#define MAIN_MEMORY (8ULL << 30) /* half a million files in a manifest of JSON */

enum main_fd { MAIN_PLAN, MAIN_MODEL, MAIN_INPUTS, MAIN_KNOWN };

static const char *const main_syscalls[] = {
	CONFINE_OPENAT_READ_ONLY,
	CONFINE_IOCTL_IDENTITY,
	CONFINE_CLONE_THREAD,
	"openat2", /* its flags cannot be looked at; Landlock lets it read only */
	"getdents64",
	"pread64",
	"fadvise64",
	"memfd_create",
	"time",
	"sched_getaffinity",
};

int measurer_refuse(struct measurer *m, int error, const char *format, ...)
{
	va_list ap;

	if (m->why[0])
		return error;
	va_start(ap, format);
	(void)vsnprintf(m->why, sizeof(m->why), format, ap);
	va_end(ap);
	return error;
}

const char *measurer_origin(const struct measurer *m, struct plan_string origin)
{
	return origin.len > 0 ? plan_string(m->plan, origin) : "the profile";
}

static int main_limit(void)
{
	static const struct confine_limit limits[] = {
		{ RLIMIT_AS, MAIN_MEMORY },
		{ RLIMIT_NOFILE, 128 },
		{ RLIMIT_FSIZE, MEASURED_TABLE_MAX },
	};

	return confine_set_limits(limits, ARRAY_SIZE(limits));
}

/* An empty file system that nothing can be made in: a mount that is in no namespace. */
static int main_make_root(void)
{
	cleanup_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int root;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	root = fsmount(fs, FSMOUNT_CLOEXEC,
		       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			       MOUNT_ATTR_NOEXEC);
	return root < 0 ? -errno : root;
}

/* That becomes the root, and no path leads out of it. */
static int main_leave_files(int root)
{
	if (fchdir(root) < 0 || chroot(".") < 0)
		return -errno;
	/* A forbidden act: the host's root has a /proc. */
	return access("/proc", F_OK) < 0 && errno == ENOENT ? 0 : -EPERM;
}

/* libcrypto reads its configuration and makes its tables while it still may. */
static int main_wake_crypto(void)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
				NULL) != 1 ||
	    EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	return 0;
}

static int main_give_up(int *ret_proof)
{
	cleanup_fd int proof = confine_open_proof(), root = -1;
	int r = proof < 0 ? proof : confine_set_basics();

	if (r == 0)
		r = main_wake_crypto();
	if (r == 0)
		r = main_limit();
	if (r == 0)
		r = confine_leave_network();
	if (r == 0)
		r = root = main_make_root();
	/* Read back while there is a /proc; what is left is proven at the end. */
	if (r >= 0)
		r = confine_drop_privileges(CUSTODY_UID_MEASURER, CUSTODY_UID_MEASURER,
					    MAIN_CAPABILITIES | MAIN_MEANWHILE);
	if (r == 0)
		r = main_leave_files(root);
	if (r == 0)
		r = confine_reduce_kept(MAIN_CAPABILITIES);
	if (r == 0)
		*ret_proof = TAKE_FD(proof);
	return r;
}

/* The rest of it, when it is known which directory may be read. 0, -ENOSYS without Landlock. */
static int main_confine(int model, int proof)
{
	const struct confine_path path = { .fd = model, .access = CONFINE_READ };
	int r = confine_enter_landlock(&path, 1, true);

	if (r <= 0)
		return r < 0 ? r : -ENOSYS;
	r = confine_enter_seccomp(main_syscalls, ARRAY_SIZE(main_syscalls));
	return r < 0 ? r
		     : confine_prove(proof, CUSTODY_UID_MEASURER, CUSTODY_UID_MEASURER,
				     MAIN_CAPABILITIES);
}

static int main_fail(const struct measurer *m, int error, const char *step)
{
	(void)message_send_refused(m->channel, ROLE_MEASURER, m->id, CUSTODY_EXIT_INTERNAL, error,
				   "measurer: %s: %s", step, strerror(-error));
	log_error("%s: %s", step, strerror(-error));
	return CUSTODY_EXIT_INTERNAL;
}

/* Takes what it keeps of the fds. */
static int main_take_request(struct measurer *m, const struct measure_request *request,
			     struct message_fds *fds)
{
	const char *why = "";
	int r = plan_map(fds->fd[MAIN_PLAN], &m->plan, &why);

	m->jail_id = request->jail_id;
	m->trust_known = request->trust_known == 1;
	m->fingerprinted = request->fingerprints == 1;
	if (r == 0)
		r = measured_map_fd(fds->fd[MAIN_INPUTS],
				    MEASURED_SIGNATURE_SIZE + MEASURED_STATEMENTS_SIZE +
					    MEASURED_INPUTS_MAX * (size_t)MEASURED_INPUT_SIZE,
				    &m->inputs_map);
	if (r == 0)
		m->inputs = measured_check_inputs(&m->inputs_map);
	if (r == 0 && !m->inputs)
		r = -EPROTO;
	if (r < 0)
		return r;
	/* A table that does not hold is none: the model is read. */
	if (measured_map_fd(fds->fd[MAIN_KNOWN], MEASURED_TABLE_MAX, &m->known_map) == 0)
		m->known = measured_check_table(&m->known_map);
	m->model = TAKE_FD(fds->fd[MAIN_MODEL]);
	return 0;
}

static int main_measure(struct measurer *m)
{
	static int (*const steps[])(struct measurer * m) = {
		admit_read_signature, /* first: it says how the files are hashed, and costs least */
		measure_list,
		measure_files,
		measure_check_again,
		admit_check_formats,
		admit_check_manifest,
		admit_check_attestations, /* last: they are about the digest of the whole */
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](m);
	return r;
}

static int main_send_measured(struct measurer *m)
{
	struct measured message = { .measured = { .jail_id = m->jail_id,
						  .files = m->listed,
						  .bytes = m->listed_bytes,
						  .read = m->read,
						  .formats = m->formats,
						  .attestations = m->attestations,
						  .unlisted = m->unlisted } };
	struct ledger_measured *measured = &message.measured;
	cleanup_fd int table = -1, index = -1;
	int r = table_make(m, &table);

	if (r == 0)
		r = table_make_index(m, &index);
	if (r < 0)
		return r;
	memcpy(measured->digest, m->signed_ ? m->signed_->root : m->found->root,
	       sizeof(measured->digest));
	measured->flags = (m->signed_ ? MEASURED_SIGNED : 0) |
			  (m->found->method == OMS_SHARDS ? MEASURED_SHARDS : 0) |
			  (m->pickles ? MEASURED_PICKLE : 0) |
			  (m->read == 0 && m->listed_bytes > 0 ? MEASURED_KNOWN : 0);
	/* cut where it is too long for a record */
	(void)snprintf(measured->signer, sizeof(measured->signer), "%.127s", m->signer.text);
	return message_send(m->channel, ROLE_MEASURER, MSG_MEASURED, m->id, &message,
			    sizeof(message), (int[]){ table, index }, 2);
}

static int main_refuse(const struct measurer *m, int error)
{
	(void)message_send_refused(m->channel, ROLE_MEASURER, m->id, CUSTODY_EXIT_REFUSED, error,
				   "%s", m->why[0] ? m->why : strerror(-error));
	return CUSTODY_EXIT_REFUSED;
}

static int main_compare(struct measurer *m)
{
	struct measure_same same = { 0 };
	union message_buffer message;
	int r = message_recv(m->channel, ROLE_MEASURER, ROLE_WARDEN, MSG_BIT(MSG_MEASURE_COMPARE),
			     &message, NULL);

	if (r == -ENODATA)
		return CUSTODY_EXIT_DONE; /* the launch has failed for another reason */
	if (r < 0)
		return main_fail(m, r, "waiting for the jail");
	r = compare_model(m);
	if (r < 0)
		return main_refuse(m, r);
	r = MESSAGE_SEND(m->channel, ROLE_MEASURER, MEASURE_SAME, m->id, &same);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

static int main_serve(struct measurer *m, int proof)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer message;
	int r = message_recv(m->channel, ROLE_MEASURER, ROLE_WARDEN, MSG_BIT(MSG_MEASURE_REQUEST),
			     &message, &fds);

	if (r < 0) {
		(void)close(proof);
		return main_fail(m, r, "waiting for the request");
	}
	m->id = message.head.id;
	r = main_confine(fds.fd[MAIN_MODEL], proof);
	if (r == -ENOSYS) {
		(void)measurer_refuse(m, r,
				      "The kernel has no Landlock: add landlock to its lsm= "
				      "parameter.");
		return main_refuse(m, r);
	}
	if (r < 0)
		return main_fail(m, r, "Landlock and seccomp");
	r = main_take_request(m, (const struct measure_request *)&message, &fds);
	if (r < 0)
		return main_fail(m, r, "taking the request");
	r = main_measure(m);
	if (r < 0)
		return main_refuse(m, r);
	r = main_send_measured(m);
	if (r < 0)
		return main_fail(m, r, "sending what was measured");
	return main_compare(m);
}

int main(void)
{
	struct measurer m = { .channel = CUSTODY_CHANNEL_FD, .model = -1 };
	int proof = -1;
	int r;

	log_setup("custody-measurer", LOG_LEVEL_INFO);
	if (!message_is_channel(CUSTODY_CHANNEL_FD)) {
		log_error("custodyd starts this program, nobody else.");
		return CUSTODY_EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = main_give_up(&proof);
	if (r < 0)
		return main_fail(&m, r, "giving up privileges");
	r = main_serve(&m, proof);
	measure_free(&m);
	cleanup_close_fd(&m.model);
	plan_unmap(&m.plan);
	return r;
}
