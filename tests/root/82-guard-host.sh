#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody.conf: who may read weights, whose GPU nodes are, and what a bad file does.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck source=tests/root/guard.bash
. "$(dirname "$0")/guard.bash"
guard_open
PORT=$(free_port)
profile guarded "$PORT"
W=$ROOT/model/weights.bin
echo weights >"$W"
chmod 644 "$W"
CONF=$ROOT/etc/custody/custody.conf
mkdir -p "$ROOT/bin"
cp "$PROBE" "$ROOT/bin/backup"
chmod 755 "$ROOT/bin" "$ROOT/bin/backup"
ln -s backup "$ROOT/bin/link"

# ---- what is refused: the file, the line, and what there is ----
bad() { # bad TEXT WORDS CONTENTS
	printf '%b' "$3" >"$CONF"
	refused "bad: $1" 3 "$2" timeout 120 "$BIN/custodyd" --root "$ROOT"
}
bad "unknown key" "custody.conf:2: .*no \[guard\] reader; there are: readers, deny-read, gpu-nodes" '[guard]\nreader = /bin/x\n'
bad "unknown section" "custody.conf:1: there is no section \[gard\]; there is: \[guard\]" '[gard]\n'
bad "value" "custody.conf:3: .*maybe is not understood; write yes or no" '[guard]\n# comment\ndeny-read = maybe\n'
bad "nodes" "custody.conf:2: .*write jails-only or any" '[guard]\ngpu-nodes = all\n'
bad "uid" "custody.conf:2: .*uid:x is not understood" '[guard]\nreaders = uid:x\n'
bad "executable that is not there" "custody.conf:3: .*$ROOT/bin/none cannot be found" "[guard]\nreaders = uid:1\n  $ROOT/bin/none\n"
chmod 777 "$ROOT/bin/backup"
bad "executable that others may change" "custody.conf:2: .*others than root" "[guard]\nreaders = $ROOT/bin/backup\n"
chmod 755 "$ROOT/bin/backup"

# ---- readers and nodes ----
# The number of an NVIDIA GPU that no machine has, answered by a CUSE device.
NODE=/dev/nvidia77
NODE_PID=
setup_node() {
	modprobe cuse 2>/dev/null
	[ -e /dev/cuse ] && [ ! -e $NODE ] && [ ! -e /dev/nvidiactl ] || return 1
	"$TOP/build/root/cuse_device" "custody-guard-$$" 195 77 "$ROOT/node-ready" &
	NODE_PID=$!
	wait_for 10 test -e "$ROOT/node-ready" && mknod -m 666 $NODE c 195 77 &&
		mknod -m 666 /dev/nvidiactl c 195 255
}
remove_node() {
	[ -n "$NODE_PID" ] || return 0
	kill "$NODE_PID"
	rm -f $NODE /dev/nvidiactl
}
if setup_node; then
	trap 'remove_node; house_close' EXIT
	is "before: the node opens" allowed read $NODE
	by "before: it may be handed on" allowed pass $NODE
else
	ok "before: the node opens # SKIP no CUSE here, or a real GPU"
	NODE=
fi
printf '%b' "[guard]\nreaders = $ROOT/bin/link\n  uid:4711\ndeny-read = yes\ngpu-nodes = jails-only\n" >"$CONF"
is "before: reading" allowed read "$W"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start a model" ctl start guarded
check "it serves" fetch "$PORT" weights.bin
is "reading from outside" EPERM read "$W"
says "by the reader, an executable" allowed "$ROOT/bin/backup" read "$W"
says "but it does not write" EPERM "$ROOT/bin/backup" write "$W"
says "by the uid" allowed setpriv --reuid 4711 --regid 4711 --clear-groups "$PROBE" read "$W"
says "by another uid" EPERM setpriv --reuid 4712 --regid 4712 --clear-groups "$PROBE" read "$W"
cp "$PROBE" "$ROOT/bin/new" && mv "$ROOT/bin/new" "$ROOT/bin/backup"
says "an executable that was put in its place is none" EPERM "$ROOT/bin/backup" read "$W"
denied read open-read
recorded "a reader's reading" '"comm": ?"backup".*"object_name": ?"read".*"observed"'
if [ -n "$NODE" ]; then
	is "the node is for jails only" EPERM read $NODE
	denied gpu-node open-read
	profile gpu "$(free_port)" $'[gpu]\ndevices = nvidia:77\n[syscalls]\nset = model-server-gpu'
	sed -i '/^listen/d' "$ROOT/etc/custody/profiles/gpu.ini"
	refused "a jail opens it" 0 inside ctl run --profile gpu --name gpu -- /usr/bin/python3 -c \
		"open('$NODE', 'rb', 0); print('inside')"
	check "and is retired" ctl retire gpu
fi
check "retire" ctl retire guarded
daemon_stop
no_leaks "a clean stop leaves nothing"
is "afterwards: reading" allowed read "$W"
[ -z "$NODE" ] || is "afterwards: the node" allowed read $NODE

# ---- taken out again by a restart ----
printf '%b' "[guard]\n" >"$CONF"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start a model" ctl start guarded
is "an empty section denies nothing" allowed read "$W"
printf '%b' "[guard]\ndeny-read = yes\n" >"$CONF"
is "the file alone changes nothing" allowed read "$W"
daemon_kill
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
is "a restart reads it again" EPERM read "$W"
check "retire" ctl retire guarded
daemon_stop
finish
