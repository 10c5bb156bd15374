#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-jail: every boundary of the structure plane, tried on the host and inside, by errno.
# A denial counts only where the host, asked the same as root, answers something else.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
slot=241
uid=$((1879048192 + slot * 65536 + 1000))
dir=$(mktemp -d)
cleanup() { umount "$dir/zone/data/below" 2>/dev/null; rm -rf "$dir"; rm -f /usr/custody-probe /etc/custody-probe /dev/custody-probe; }
trap cleanup EXIT
pass() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { n=$((n + 1)); echo "not ok $n - $1"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

chmod 755 "$dir"
make_zones() { # DIR OWNER
	mkdir -p "$1/weights" "$1/data/below" "$1/output"
	echo weights >"$1/weights/model"
	echo table >"$1/data/table"
	ln -s "$dir/outside" "$1/data/link"
	chmod -R a+rX "$1"
	chown -R "$2" "$1/output"
}
make_zones "$dir/host" 0
make_zones "$dir/zone" "$uid"
echo secret >"$dir/host/data/below/secret"
echo outside >"$dir/outside"
# A mount below a zone must not come along.
mount -t tmpfs none "$dir/zone/data/below" && echo secret >"$dir/zone/data/below/secret"
install -m 755 -D build/root/jail_probe "$dir/bin/jail_probe"

# A listener of the host, which no jail reaches.
exec 9< <(exec /usr/bin/python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(120)')
listener=$!
read -r port <&9

PROBE_TOP=$dir/host PROBE_PORT=$port build/root/jail_probe </dev/null >"$dir/out.host"
rm -f /usr/custody-probe /etc/custody-probe /dev/custody-probe
jail() { # NAME WORD VALUE...
	local name=$1
	shift
	timeout 60 build/root/jail_driver build/bin/custody-jail "$slot" runtime /usr:/usr \
		runtime "$dir/bin:/probe" weights "$dir/zone/weights:/weights" \
		data "$dir/zone/data:/data" write "$dir/zone/output:/output" tmp 1048576 \
		env "PROBE_PORT=$port" "$@" -- /probe/jail_probe </dev/null \
		>"$dir/out.$name" 2>"$dir/err.$name" || sed 's/^/# /' "$dir/err.$name"
	rm -f "$dir/zone/output/"*
}
answer() { sed -n "s/^$2 //p" "$dir/out.$1"; }
# What must be refused: NAME ERRNO TEXT
denied() {
	local host inside
	host=$(answer host "$1")
	inside=$(answer jail "$1")
	if [ "$host$inside" = ENOENTENOENT ]; then
		skip "$3: $2" "this host has none"
	elif [ "$inside" != "$2" ]; then
		fail "$3: $2 inside (got ${inside:-nothing}, host $host)"
	elif [ "$host" = "$2" ]; then
		skip "$3: $2" "this host answers $2 itself"
	else
		pass "$3: $2 inside, $host on the host"
	fi
}
# What must still work: NAME TEXT
allowed() {
	if [ "$(answer jail "$1")" = allowed ]; then pass "$2 works inside"; else fail "$2 works inside ($(answer jail "$1"))"; fi
}

jail jail
# What Landlock decides depends on its version; without it the same ends otherwise.
abi=$(/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
landlock() { # ABI NAME ERRNO INSTEAD TEXT
	if [ "$abi" -ge "$1" ]; then denied "$2" "$3" "$5"; else zone "$2" "$4" "$5, Landlock $abi"; fi
}
while read -r name want text; do
	case $name in '' | '#'*) continue ;; esac
	if [ "$want" = allowed ]; then allowed "$name" "$text"; else denied "$name" "$want" "$text"; fi
done <<'TABLE'
getpid allowed a plain syscall
open_null allowed /dev/null
open_urandom allowed /dev/urandom
list_root allowed listing /
fionread allowed ioctl(FIONCLEX)
personality_ask allowed asking for the personality
clone_plain allowed fork
exec_true allowed running a program of a runtime zone
protect_read allowed mprotect(PROT_READ)
socket_inet allowed an IPv4 TCP socket
socket_inet6_udp allowed an IPv6 UDP socket
socket_unix allowed a UNIX socket
open_shadow ENOENT /etc/shadow
open_sysctl EACCES writing a sysctl
write_comm EACCES writing below /proc/self
open_kmsg EACCES /proc/kmsg
open_sysrq EACCES /proc/sysrq-trigger
open_init_root ENOENT /proc/1/root
open_tty ENOENT /dev/ptmx
write_usr EROFS creating a file in /usr
write_etc EROFS creating a file in /etc
write_dev EROFS creating a file in /dev
submount ENOENT a file of a mount below a zone
list_processes ESRCH seeing other processes
inherited_fds EBADF an inherited fd
core_dump EFBIG a core dump
mount EPERM mount
umount EPERM umount2
fsopen EPERM fsopen
open_tree EPERM open_tree
move_mount EPERM move_mount
mount_setattr EPERM mount_setattr
pivot_root EPERM pivot_root
chroot EPERM chroot
ptrace EPERM ptrace
process_vm_readv EPERM process_vm_readv
pidfd_getfd EPERM pidfd_getfd
kcmp EPERM kcmp
bpf EPERM bpf
perf_event_open EPERM perf_event_open
userfaultfd EPERM userfaultfd
io_uring_setup EPERM io_uring_setup
keyctl EPERM keyctl
seccomp EPERM seccomp
prctl_seccomp EPERM prctl(PR_SET_SECCOMP)
prctl_mm EPERM prctl(PR_SET_MM)
init_module EPERM init_module
kexec_load EPERM kexec_load
reboot EPERM reboot
syslog EPERM syslog
settimeofday EPERM settimeofday
clock_settime EPERM clock_settime
iopl EPERM iopl
swapon EPERM swapon
setns EPERM setns
setuid EPERM setuid
mknod EPERM making a device node
open_by_handle_at EPERM open_by_handle_at
name_to_handle_at EPERM name_to_handle_at
fanotify_init EPERM fanotify_init
memfd EPERM memfd_create
memfd_secret EPERM memfd_secret
execveat EPERM execveat
personality EPERM personality(READ_IMPLIES_EXEC)
sethostname EPERM sethostname
unshare_user EPERM a user namespace by unshare
unshare_net EPERM a network namespace by unshare
clone_user EPERM a user namespace by clone
clone3_user ENOSYS a user namespace by clone3
tiocsti EPERM ioctl(TIOCSTI)
tiocsti_high_bits EPERM ioctl(TIOCSTI) with other upper bits
shm_exec EPERM shmat(SHM_EXEC)
socket_netlink EAFNOSUPPORT a netlink socket
socket_netlink_high EAFNOSUPPORT a netlink socket with other upper bits
socket_packet EAFNOSUPPORT a packet socket
socket_alg EAFNOSUPPORT an AF_ALG socket
socket_raw EPERM a raw socket
socket_mptcp EPROTONOSUPPORT an MPTCP socket
socket_mptcp_high EPROTONOSUPPORT an MPTCP socket with other upper bits
socket_ping EPROTONOSUPPORT a ping socket
map_write_exec EPERM memory that is writable and executable
map_exec EPERM anonymous executable memory
protect_exec EPERM making memory executable
exec_written EACCES running a program that was written inside
bind_any EACCES bind() without an endpoint
TABLE

# The zones, as the model names them.
zone() { # NAME WANT TEXT
	local got
	got=$(answer jail "$1")
	if [ "$got" = "$2" ]; then pass "$3: $2"; else fail "$3: $2 (got ${got:-nothing})"; fi
}
landlock 6 kill_init EPERM allowed "a signal to the jail's init"
landlock 4 connect_host EACCES ECONNREFUSED "the listener on the host's loopback"
zone read_weights allowed "reading the weights"
# Where the file system maps owners the model is theirs, and it is the mount that refuses.
grep -q "^ready.*weights-idmapped" "$dir/err.jail" && owned=EROFS || owned=EACCES
zone write_weights "$owned" "writing the weights"
zone create_weights EROFS "creating a file beside the weights"
zone read_data allowed "reading data"
zone write_output allowed "writing outputs"
zone link_out ENOENT "a link in a zone that points out of the jail"

# What a profile opens is open, and nothing else with it.
jail jit flag jit
jail memfd flag memfd
jail cgroup planes 3
jail notify listen "$port" bind refuse
for row in "jit map_write_exec allowed" "jit protect_exec allowed" "jit write_comm allowed" "jit memfd EPERM" \
	"memfd memfd allowed" "memfd map_exec EPERM" "memfd execveat EPERM" \
	"cgroup connect_host ECONNREFUSED" "notify bind_any EACCES" "notify mount EPERM"; do
	read -r run name want <<<"$row"
	got=$(answer "$run" "$name")
	if [ "$got" = "$want" ]; then pass "with $run: $name is $want"; else fail "with $run: $name is $want (got ${got:-nothing})"; fi
done
if grep -q "listener given" "$dir/err.notify" && grep -q "listener none" "$dir/err.jail"; then
	pass "the broker has a listener where there is an endpoint, and only there"
else
	fail "the broker has a listener where there is an endpoint, and only there"
fi
if grep -q "^ready nnp=1 seccomp=2 caps=0 uid=$uid gid=$uid mounts=\([0-9]*\) fds=5" "$dir/err.jail" &&
	[ "$(grep -c ^zone "$dir/err.jail")" = "$(sed -n 's/.*mounts=\([0-9]*\).*/\1/p' "$dir/err.jail")" ]; then
	pass "the self-check read back: no privilege, no capability, every mount reported"
else
	fail "the self-check read back: no privilege, no capability, every mount reported"
fi
kill "$listener" 2>/dev/null
echo "1..$n"
