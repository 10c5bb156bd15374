/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by devices: nodes made and found, numbers of ioctl(), and terminals.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nsfs.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "attack.h"


/* ---- nodes ---- */

static int device_make(mode_t mode, dev_t number)
{
	char path[512];
	int r;

	attack_path("DIR", "node", path, sizeof(path));
	(void)unlink(path);
	r = attack_result(mknod(path, mode | 0600, number));
	(void)unlink(path);
	return r;
}

static int try_make_memory(void)
{
	return device_make(S_IFCHR, makedev(1, 1));
}

static int try_make_disk(void)
{
	return device_make(S_IFBLK, makedev(254, 0));
}

static int try_make_gpu(void)
{
	return device_make(S_IFCHR, makedev(195, 0));
}

static int try_make_null(void)
{
	return device_make(S_IFCHR, makedev(1, 3));
}

/* ENXIO, EBUSY, EACCES and their like: the node is there, and its driver was asked. */
static int device_open(const char *path)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 && (errno == ENOENT || errno == ENOTDIR) ? -errno : 0;
}

#define NODE(id, path) static int try_##id(void) { return device_open(path); }
NODE(node_mem, "/dev/mem")
NODE(node_kmsg, "/dev/kmsg")
NODE(node_port, "/dev/port")
NODE(node_kvm, "/dev/kvm")
NODE(node_fuse, "/dev/fuse")
NODE(node_tun, "/dev/net/tun")
NODE(node_loop, "/dev/loop-control")
NODE(node_ptmx, "/dev/ptmx")
NODE(node_pts, "/dev/pts/ptmx")
NODE(node_tty, "/dev/tty")
NODE(node_console, "/dev/console")
NODE(node_disk, "/dev/vda")
NODE(node_nvidia, "/dev/nvidiactl")
NODE(node_render, "/dev/dri/renderD128")
NODE(node_kfd, "/dev/kfd")
NODE(node_vhost, "/dev/vhost-net")
NODE(node_vsock, "/dev/vsock")
NODE(node_uinput, "/dev/uinput")
NODE(node_snapshot, "/dev/snapshot")
NODE(node_msr, "/dev/cpu/0/msr")
NODE(node_log, "/dev/log")

/* ---- numbers ---- */

/* ENOTTY and EINVAL: the number reached the driver, which has no such request. */
static int device_ask(const char *path, unsigned long request)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char data[4096] = "";

	if (fd < 0)
		return attack_untried("no file to ask");
	if (syscall(16 /* ioctl, x86-64 */, fd, request, data) == 0 || errno == ENOTTY ||
	    errno == EINVAL || errno == EOPNOTSUPP)
		return 0;
	return -errno;
}

#define ASK(id, request) static int try_##id(void) { return device_ask("/dev/null", request); }
ASK(ask_push_high, 0xdeadbeef00000000UL | TIOCSTI)
ASK(ask_paste, 0x541c /* TIOCLINUX */)
ASK(ask_discipline, TIOCSETD)
ASK(ask_console, TIOCCONS)
ASK(ask_nvidia, 0xc020462aUL)
ASK(ask_uvm, 0x30000001UL)
ASK(ask_render, 0xc0406400UL)
ASK(ask_kvm, 0xae01UL)
ASK(ask_freeze, FIFREEZE)
ASK(ask_trim, FITRIM)
ASK(ask_reread, BLKRRPART)
ASK(ask_interfaces, 0x8912UL /* SIOCGIFCONF */)

static int device_ask_file(unsigned long request)
{
	char path[512];
	int r = attack_make_file(attack_path("DIR", "asked", path, sizeof(path)), NULL, "x");

	return r ? r : device_ask(path, request);
}

static int try_ask_flags(void)
{
	return device_ask_file(FS_IOC_SETFLAGS);
}

static int try_ask_clone(void)
{
	return device_ask_file(FICLONE) == -EBADF ? 0 : -errno;
}

static int try_ask_namespace(void)
{
	cleanup_fd int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return attack_result(ioctl(fd, NS_GET_NSTYPE));
}

/* ---- terminals ---- */

/* Input pushed into a terminal is read by the shell that has it next. */
static int try_terminal_input(void)
{
	int own = -1;
	int other = -1;

	if (openpty(&own, &other, NULL, NULL, NULL) == 0) {
		(void)setsid();
		(void)ioctl(other, TIOCSCTTY, 0);
		return attack_result(ioctl(other, TIOCSTI, "x"));
	}
	return attack_result(ioctl(0, TIOCSTI, "x"));
}

static int try_terminal_take(void)
{
	int own = -1;
	int other = -1;

	(void)setsid();
	if (openpty(&own, &other, NULL, NULL, NULL) == 0)
		return attack_result(ioctl(other, TIOCSCTTY, 0));
	return attack_result(ioctl(0, TIOCSCTTY, 0));
}

#define ROW ATTACK_ROW
#define NO_NODE(id, text) ROW(id, "ENOENT", 0, text)
static const struct attack attacks[] = {
	ROW(make_memory, "EPERM", 0, "a node for the machine's memory"),
	ROW(make_disk, "EPERM", 0, "a node for a disk"),
	ROW(make_gpu, "EPERM", 0, "a node for a GPU"),
	ROW(make_null, "EPERM", 0, "a node for the null device"),
	NO_NODE(node_mem, "/dev/mem"), NO_NODE(node_kmsg, "/dev/kmsg"),
	NO_NODE(node_port, "/dev/port"), NO_NODE(node_kvm, "/dev/kvm"),
	NO_NODE(node_fuse, "/dev/fuse"), NO_NODE(node_tun, "/dev/net/tun"),
	NO_NODE(node_loop, "/dev/loop-control"), NO_NODE(node_ptmx, "/dev/ptmx"),
	NO_NODE(node_pts, "/dev/pts"), NO_NODE(node_tty, "/dev/tty"),
	NO_NODE(node_console, "/dev/console"), NO_NODE(node_disk, "a disk"),
	NO_NODE(node_nvidia, "an NVIDIA GPU"), NO_NODE(node_render, "a render node"),
	NO_NODE(node_kfd, "an AMD GPU"), NO_NODE(node_vhost, "/dev/vhost-net"),
	NO_NODE(node_vsock, "/dev/vsock"), NO_NODE(node_uinput, "a keyboard of one's own"),
	NO_NODE(node_snapshot, "the image of a hibernation"),
	NO_NODE(node_msr, "processor registers"),
	NO_NODE(node_log, "the host's log"),
	ROW(ask_push_high, "EPERM", 0, "TIOCSTI with other upper bits"),
	ROW(ask_paste, "EPERM", 0, "TIOCLINUX"),
	ROW(ask_discipline, "EPERM", 0, "a line discipline"),
	ROW(ask_console, "EPERM", 0, "the console's output"),
	ROW(ask_nvidia, "EPERM", 0, "an NVIDIA request without a GPU"),
	ROW(ask_uvm, "EPERM", 0, "a UVM request without a GPU"),
	ROW(ask_render, "EPERM", 0, "a DRM request without a GPU"),
	ROW(ask_kvm, "EPERM", 0, "a virtual machine"),
	ROW(ask_freeze, "EPERM", 0, "freezing a file system"),
	ROW(ask_trim, "EPERM", 0, "trimming a disk"),
	ROW(ask_reread, "EPERM", 0, "reading a partition table anew"),
	ROW(ask_interfaces, "EPERM", 0, "a request for sockets, on a file"),
	ROW(ask_flags, "EPERM", 0, "the flags of a file"),
	ROW(ask_clone, "EPERM", 0, "a clone of a file"),
	ROW(ask_namespace, "EPERM EACCES", 0, "a request for namespaces"),
	ROW(terminal_input, "EPERM", 0, "input pushed into a terminal"),
	ROW(terminal_take, "EPERM", 0, "a terminal as one's own"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
