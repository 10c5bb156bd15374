#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-jail: what it refuses to build and how it says so, when it ends, what it leaves behind.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
slot=242
uid=$((1879048192 + slot * 65536 + 1000))
dir=$(mktemp -d)
node=/dev/nvidia97
made_node=
cleanup() {
	pkill -KILL -U "$uid" 2>/dev/null
	[ -z "$made_node" ] || rm -f "$node"
	rm -rf "$dir"
}
trap cleanup EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else
	echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" "$dir/out"; fi; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
chmod 755 "$dir"
mkdir -p "$dir/bin" "$dir/zone/inner" "$dir/big"

# jail WORD VALUE... -- COMMAND...: output in out and err, status in rc
jail() {
	timeout 60 build/root/jail_driver build/bin/custody-jail "$slot" runtime /usr:/usr "$@" \
		>"$dir/out" 2>"$dir/err" </dev/null
	rc=$?
}
said() { grep -qE -- "$1" "$dir/err"; }
printed() { grep -qxE -- "$1" "$dir/out"; }
# Nothing of the jail is left: no process of its uids, no mount that shows here.
left() { ! pgrep -U "$uid" >/dev/null && ! grep -q "$dir" /proc/self/mountinfo; }
refused() { # ERRNO REGEX TEXT
	local r=1
	[ "$rc" = 3 ] && said "^refused exit=3 errno=$1: .*$2" && left && r=0
	ok $r "$3"
}

jail -- /nonexistent/server
refused ENOENT "test.conf:3 \[process\] command: command not found in the jail: /nonexistent/server" \
	"command not found: refused, naming the line"
jail data "$dir/bin:/data" -- /data
refused EACCES "cannot run /data in the jail" "a command that is no program: refused"
jail data "$dir/missing:/data" -- /usr/bin/true
refused ENOENT "test.conf:1 \[files\] zone: $dir/missing: No such file" "a missing source: refused, naming it"
jail optional "$dir/missing:/data" -- /usr/bin/test ! -e /data
ok $rc "a missing optional source: skipped"
jail data "$dir/zone:/zone" data "$dir/bin:/zone/new" -- /usr/bin/true
refused EXDEV "/zone/new lies below another zone" "a mount point on the host's file system: refused"
[ ! -e "$dir/zone/new" ]; ok $? "and nothing was made there"
echo inside >"$dir/bin/file"
jail data "$dir/zone:/zone" data "$dir/bin:/zone/inner" -- /usr/bin/cat /zone/inner/file
[ $rc = 0 ] && printed inside; ok $? "a zone below a zone"
ln -s "$dir/bin" "$dir/link"
jail data "$dir/link:/data" -- /usr/bin/cat /data/file
[ $rc = 0 ] && printed inside; ok $? "a source that is a link is resolved"
jail data "$dir/bin/file:/data/file" -- /usr/bin/cat /data/file
[ $rc = 0 ] && printed inside; ok $? "a single file as a zone"
mkfifo "$dir/fifo"
jail data "$dir/fifo:/data" -- /usr/bin/true
refused EINVAL "neither a directory nor a regular file" "a pipe as a zone: refused"
jail workdir /nowhere -- /usr/bin/true
refused ENOENT "working directory /nowhere" "a missing working directory: refused"
many=()
for i in $(seq 60); do mkdir "$dir/big/$i"; many+=(data "$dir/big/$i:/big/$i"); done
jail "${many[@]}" -- /usr/bin/true
refused E2BIG "64 are the most" "more mounts than can be reported: refused"
timeout 60 build/root/jail_driver build/bin/custody-jail "$slot" runtime /usr:/usr -- /usr/bin/true \
	</ >"$dir/out" 2>"$dir/err"
rc=$?
refused EISDIR "standard stream 0 is a directory" "a directory as standard input: refused"

# devices
if [ ! -e $node ] && mknod -m 666 $node c 195 97 2>/dev/null; then
	made_node=yes
	jail device $node:195:97 -- /usr/bin/dd if=$node count=1
	grep -q "No such device or address" "$dir/err"; ok $? "a planned device reaches its (absent) driver: ENXIO"
	jail -- /usr/bin/dd if=$node count=1
	grep -q "No such file or directory" "$dir/err"; ok $? "the same device, not planned: ENOENT"
	rm -f $node; mknod -m 666 $node c 195 96
	jail device $node:195:97 -- /usr/bin/true
	refused ENODEV "is not the character device 195:97" "a node with other numbers: refused"
	rm -f $node; made_node=
	jail device $node:195:97 -- /usr/bin/true
	refused ENOENT "test.conf:2 \[gpu\] devices: device $node" "a missing node: refused"
else
	for t in "a planned device" "not planned" "other numbers" "a missing node"; do skip "$t" "no test node can be made"; done
fi

# what may be run
cat >"$dir/bin/run.py" <<'EOF'
import os, sys
try:
    os.execv(sys.argv[1], sys.argv[1:])
except OSError as e:
    print("errno", e.errno)
EOF
try="/usr/bin/python3 /data/run.py"
# shellcheck disable=SC2086
jail data "$dir/bin:/data" program none -- $try /bin/sh -c 'echo ran'
[ $rc = 0 ] && printed "errno 13"; ok $? "a shell in a runtime zone cannot be run: EACCES"
# shellcheck disable=SC2086
jail data "$dir/bin:/data" program none -- $try /usr/bin/true
printed "errno 13"; ok $? "nor any other program that the profile does not name"
# shellcheck disable=SC2086
jail data "$dir/bin:/data" program none -- $try /usr/bin/python3 -c 'print("ran")'
[ $rc = 0 ] && printed ran; ok $? "the command itself can be run again"
# shellcheck disable=SC2086
jail data "$dir/bin:/data" program /usr/bin/dash -- $try /bin/sh -c 'echo ran'
[ $rc = 0 ] && printed ran; ok $? "a named program can be run, by any of its names"
# shellcheck disable=SC2086
jail data "$dir/bin:/data" program /usr/bin -- $try /bin/sh -c 'echo ran'
[ $rc = 0 ] && printed ran; ok $? "a named directory of programs likewise"
jail program /usr/bin/nonexistent -- /usr/bin/true
refused ENOENT "test.conf:4 \[process\] programs: program /usr/bin/nonexistent is not in the jail" "a named program that is absent: refused"
jail program -/usr/bin/nonexistent -- /usr/bin/true
ok $rc "unless it may be absent"

# what the model is
jail -- /bin/sh -c 'exit 7'
[ $rc = 7 ] && left; ok $? "the model's exit status is the jail's"
jail -- /bin/sh -c 'kill -KILL $$'
[ $rc = 137 ] && left; ok $? "death by a signal is 128 + its number"
jail tmp 1048576 -- /bin/sh -c 'sleep 60 & exit 0'
[ $rc = 0 ] && left; ok $? "what the model leaves behind in its pid namespace ends with it"
jail -- /bin/sh -c 'uname -n; cat /proc/sys/vm/memfd_noexec /proc/sys/user/max_user_namespaces; umask; echo /proc/[0-9]*'
[ $rc = 0 ] && printed custody && printed 0077 && printed '/proc/2' && printed 0; ok $? "own host name, pid namespace, no user namespaces below"
if [ -e /proc/sys/vm/memfd_noexec ]; then printed 2; ok $? "vm.memfd_noexec is 2"; else skip "vm.memfd_noexec is 2" "before Linux 6.3"; fi
jail files 9 processes 5 memory 1073741824 -- /bin/sh -c 'ulimit -n; ulimit -p; ulimit -d; ulimit -Hc'
[ $rc = 0 ] && printed 9 && printed 6 && printed 1048576 && printed 0; ok $? "limits of files, processes, memory, core"
jail processes 4 -- /bin/sh -c 'for i in 1 2 3 4 5 6; do sleep 5 & done; wait'
grep -q "Cannot fork" "$dir/err" && left; ok $? "more processes than the limit: fork fails"
jail -- /bin/sh -c 'for x in user mnt pid ipc uts net cgroup time; do readlink /proc/self/ns/$x; done'
r=$rc
for x in user mnt pid ipc uts net cgroup time; do
	own=$(readlink "/proc/self/ns/$x")
	grep -q "^$x:" "$dir/out" && ! grep -qF "$own" "$dir/out" || r=1
done
ok $r "eight namespaces, none of them the host's"
jail tmp 1048576 scratch 2097152 -- /bin/sh -c 'head -c 3000000 /dev/zero >/scratch/x'
[ $rc != 0 ] && grep -q "No space left" "$dir/err"; ok $? "scratch ends at its size"
said "scratch=1 noswap=" ; ok $? "the scratch file system is reported"

# when the channel closes before the go, and after
for when in built ready; do
	jail hangup $when -- /usr/bin/touch "$dir/ran"
	[ $rc = 0 ] && said "hung up" && left && [ ! -e "$dir/ran" ]; ok $? "channel closed when $when: the jail ends, nothing ran"
done
jail after-go leave -- /usr/bin/sleep 60
pid=$(sed -n 's/^built pid=\([0-9]*\).*/\1/p' "$dir/err")
[ $rc = 0 ] && [ -n "$pid" ] && [ "$(pgrep -c -U "$uid")" = 2 ]; ok $? "custodyd gone after the go: the model goes on"
[ -z "$(ls -A "/proc/$pid/fd" 2>/dev/null)" ]; ok $? "the jail's init holds no fd"
grep -q "^Seccomp:.2" "/proc/$pid/status" && grep -q "^CapBnd:.0000000000000000" "/proc/$pid/status"; ok $? "the jail's init is confined"
# The broker's uid owns the jail's user namespace: it reads this jail's memory, no other uid does.
model=$(pgrep -U "$uid" -x sleep)
cat >"$dir/peek.py" <<'EOF'
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
buf = ctypes.create_string_buffer(8)
# No process has page 0: who may look gets EFAULT, who may not EPERM.
libc.process_vm_readv(int(sys.argv[1]), ctypes.byref(iovec(ctypes.addressof(buf), 8)), 1,
                      ctypes.byref(iovec(8, 8)), 1, 0)
print(errno.errorcode[ctypes.get_errno()])
EOF
chmod 644 "$dir/peek.py"
as() { setpriv --reuid="$1" --regid="$1" --clear-groups --inh-caps=-all --bounding-set=-all \
	-- /usr/bin/python3 "$dir/peek.py" "$model" 2>&1; }
[ "$(as $((uid - 999)))" = EFAULT ]; ok $? "the broker's uid may read the model's memory"
[ "$(as $((uid - 999 + 65536)))" = EPERM ]; ok $? "the broker of another jail may not"
[ "$(as "$uid")" = EPERM ]; ok $? "the model's uid outside the jail may not"
kill -TERM "$pid"
for _ in $(seq 100); do pgrep -U "$uid" >/dev/null || break; sleep 0.05; done
left; ok $? "SIGTERM to the jail's init ends the model"
echo "1..$n"
