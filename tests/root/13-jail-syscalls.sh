#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-jail: every system call from 0 to 500 in every set, against tests/golden/syscalls; the
# other ABIs; ioctl() by whole values, as a GPU jail has it without the LSM plane.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
device=
dir=$(mktemp -d)
trap '[ -z "$device" ] || { kill "$device" 2>/dev/null; wait "$device" 2>/dev/null; }; rm -rf "$dir"' EXIT
pass() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { n=$((n + 1)); echo "not ok $n - $1"; [ ! -s "$dir/why" ] || sed 's/^/# /' "$dir/why"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
check() { # TEXT COMMAND...
	local text=$1
	shift
	if "$@" >"$dir/why" 2>&1; then pass "$text"; else fail "$text"; fi
}
chmod 755 "$dir"
install -m 755 -D build/root/syscall_probe "$dir/bin/syscall_probe"
PROBE=$dir/bin/syscall_probe
jail() { # WORD VALUE... -- ARG...
	timeout 300 build/root/jail_driver build/bin/custody-jail 240 runtime /usr:/usr \
		runtime "$dir/bin:/probe" processes 64 "$@" </dev/null >"$dir/out" 2>"$dir/err"
	rc=$?
}

# agrees SET: what the kernel answered is what the filters say. An answer of the kernel's own to
# senseless arguments is "allowed" as well, but for those that a filter gives too:
#   fchmod of /dev/null, setpgid and setsid of a session's leader: EPERM; futex with a command
#   that there is none of: ENOSYS.
# uretprobe and uprobe (335, 336) are the kernel's own return paths, which newer kernels hide from
# filters (kernel/seccomp.c); elsewhere they answer SIGILL and ENXIO.
agrees() {
	/usr/bin/python3 - "tests/golden/syscalls/$1" "$dir/out" <<'PY'
import sys
own = {("fchmod", "EPERM"), ("setpgid", "EPERM"), ("setsid", "EPERM"), ("futex", "ENOSYS")}
def rows(path):
    with open(path, encoding="ascii") as file:
        return [line.split() for line in file if not line.startswith("#")]
golden, answers = rows(sys.argv[1]), rows(sys.argv[2])
assert len(golden) == len(answers) == 501, (len(golden), len(answers))
bad = 0
for (number, name, *want), (same, *got) in zip(golden, answers):
    assert number == same
    if number in ("335", "336") and set(got) <= {"ENOSYS", "ended", "ENXIO"}:
        continue
    for arguments, w, g in zip(("zeros", "ones"), want, got):
        refused = g in ("ENOSYS", "EPERM", "EACCES", "failed") and (name, g) not in own
        if (refused if w in ("allowed", "broker") else g != w):
            print(number, name, arguments + ":", g, "and not", w)
            bad = 1
sys.exit(bad)
PY
}
set=0
for name in model-server model-server-gpu training; do
	set=$((set + 1))
	jail set "$set" listen 8089 -- /probe/syscall_probe table
	check "$name: system calls 0 to 500 answer as in tests/golden/syscalls/$name" agrees $name
done

# foreign ABI TEXT: ends the process, whatever the call; outside it does not.
foreign() {
	local outside
	outside=$("$PROBE" "$1")
	if [ "$outside" != allowed ] && [ "$outside" != ENOSYS ]; then
		skip "$2 ends the process" "this kernel has no such calls: $outside"
		return
	fi
	jail -- /probe/syscall_probe "$1"
	check "$2 ends the process (SIGSYS); outside: $outside" [ "$rc$(cat "$dir/out")" = $((128 + 31)) ]
}
foreign i386 "a system call by int 0x80"
foreign x32 "a system call of x32"

# ---- ioctl(): ENOTTY is the file's answer, EPERM the filter's ----
# Of a regular file, because Landlock has a word on devices.
VALUES="0xc020462a 0xdeadbeefc020462a 0xc020002a 0x8020462a 0xc030462a 0xc01046d3 0xdeadbeefc01046d3
	0xc90046c8 0x30000001 0x25 0x3e 0xc0406400 0xc0186441 0xc018649f 0xc01864a0 0x5421 0x5412 0x100005412"
# values_are FIRST ANSWER...: the answers in the order of VALUES
values_are() {
	local got
	got=$(awk '{ printf "%s ", $2 }' "$dir/out")
	[ "$got" = "$* " ] || { echo "got  $got"; echo "want $*"; cat "$dir/err"; return 1; }
}
N=ENOTTY
X=EPERM
# shellcheck disable=SC2086 # words
"$PROBE" ioctl "$PROBE" $VALUES >"$dir/out"
: >"$dir/err"
# FIONBIO (0x5421) is the kernel's own, for every file.
check "outside every value reaches the file" \
	values_are $N $N $N $N $N $N $N $N $N $N $N $N $N $N $N allowed $N $N
ioctls() { # WORD VALUE...
	# shellcheck disable=SC2086 # words
	jail "$@" -- /probe/syscall_probe ioctl "${node:-/probe/syscall_probe}" $VALUES
}
ioctls set 1
check "model-server: none of a GPU, none of a terminal's input" \
	values_are $X $X $X $X $X $X $X $X $X $X $X $X $X $X $X allowed $X $X
ioctls set 2
check "model-server-gpu without a GPU: the same" \
	values_are $X $X $X $X $X $X $X $X $X $X $X $X $X $X $X allowed $X $X
nodes() { # the nodes have names that tell their drivers: they are made there, if there is none
	local path
	for path in /dev/nvidia97 /dev/nvidia-uvm /dev/dri/renderD190; do
		[ ! -e "$path" ] || return 1
	done
}
cuse() { # a device 195:97, ready to be opened
	build/root/cuse_device "custody-syscalls-$$" 195 97 "$dir/ready" &
	device=$!
	for _ in $(seq 200); do
		[ -e "$dir/ready" ] && "$PROBE" ioctl /dev/nvidia97 0xc020462a >"$dir/out" && return 0
		sleep 0.05
	done
	return 1
}
node=
if nodes; then
	trap '[ -z "$device" ] || { kill "$device" 2>/dev/null; wait "$device" 2>/dev/null; }
		rm -f /dev/nvidia97 /dev/nvidia-uvm /dev/dri/renderD190
		[ -n "${made_dri:-}" ] && rmdir /dev/dri; rm -rf "$dir"' EXIT
	[ -d /dev/dri ] || { mkdir /dev/dri && made_dri=1; }
	mknod -m 666 /dev/nvidia97 c 195 97
	mknod /dev/nvidia-uvm c 511 0
	mknod /dev/dri/renderD190 c 226 190
	ioctls set 2 ioctls 2 device /dev/nvidia97:195:97 device /dev/nvidia-uvm:511:0
	check "NVIDIA, compute: the listed values, with any upper half; no other type, direction, size or number" \
		values_are $N $N $X $X $X $X $X $N $N $N $X $X $X $X $X allowed $X $X
	ioctls set 2 ioctls 2 device /dev/dri/renderD190:226:190
	check "DRM, compute: the core's values and the driver's numbers, none of NVIDIA's" \
		values_are $X $X $X $X $X $X $X $X $X $X $X $N $N $N $X allowed $X $X
	ioctls set 2 ioctls 1 device /dev/nvidia97:195:97
	check "ioctls = all: all but a terminal's input" \
		values_are $N $N $N $N $N $N $N $N $N $N $N $N $N $N $N allowed $X $X
	modprobe cuse 2>/dev/null
	if [ -c /dev/cuse ] && cuse; then
		node=/dev/nvidia97
		ioctls set 2 ioctls 2 device /dev/nvidia97:195:97
		check "the same of a device with NVIDIA's number, which answers every request" \
			values_are allowed allowed $X $X $X $X $X allowed $X $X $X $X $X $X $X allowed $X $X
		node=
	else
		skip "a device with NVIDIA's number" "no CUSE (CONFIG_CUSE) in this kernel"
	fi
	ioctls set 1 ioctls 1 device /dev/nvidia97:195:97
	check "model-server with a GPU all the same: none of its values" \
		values_are $X $X $X $X $X $X $X $X $X $X $X $X $X $X $X allowed $X $X
else
	skip "ioctl values of a GPU jail" "this host has such nodes"
fi
echo "1..$n"
