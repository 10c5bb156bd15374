#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each role proves its own confinement before it serves. Here the kernel is made to lie: a tracer lets
# one call of the confining "succeed" without being carried out, and the role must find out, say so and
# do no work. Without the lie the same role does its work.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts tracers in the place of custody's executables, which the guard refuses.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
command -v strace >/dev/null || skip_all "needs strace"
mkdir "$ROOT/bin"
cp "$BIN"/* "$ROOT/bin/"
BIN=$ROOT/bin
PORT=$(free_port)
profile web "$PORT"
echo "hello" >"$ROOT/model/hello.txt"

# lie ROLE CALL [WHEN]: CALL is answered 0 and not carried out, in every ROLE that starts from now on
lie() {
	[ -e "$BIN/real-$1" ] || mv "$BIN/custody-$1" "$BIN/real-$1"
	printf '#!/bin/sh\nexec strace -D -qq -o /dev/null -e trace=%s -e inject=%s:retval=0:when=%s "%s"\n' \
		"$2" "$2" "${3:-1+}" "$BIN/real-$1" >"$BIN/custody-$1"
	chmod 755 "$BIN/custody-$1"
}
truth() { mv -f "$BIN/real-$1" "$BIN/custody-$1"; }
# The filter is loaded by the last seccomp() of many: libseccomp asks the kernel first what it can.
CALLS=$(strace -o /dev/stdout -e trace=seccomp "$BIN/custody-front" 3<>/dev/null 2>/dev/null |
	grep -c '^seccomp(')
lies="setresuid setresgid landlock_restrict_self seccomp"

# ---- front, on its own: it confines itself before it looks at its channel ----
front() { "$BIN/custody-front" 3<>/dev/null; }
refused "front, confined: goes on to its channel" 5 "no setup from custodyd" front
for call in unshare $lies; do
	lie front $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	refused "front, $call did nothing: it refuses to run" 5 "cannot confine itself" front
done
truth front

# ---- resolver, on its own: with a channel on which nobody asks anything ----
resolver() {
	/usr/bin/python3 -c 'import os, socket, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.dup2(theirs.fileno(), 3)
os.execv(sys.argv[1], sys.argv[1:])' "$BIN/custody-resolver"
}
refused "resolver, confined: goes on to its channel" 5 "taking the request" resolver
for call in $lies; do
	lie resolver $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	refused "resolver, $call did nothing: it resolves nothing" 5 "giving up privileges" resolver
done
truth resolver

# ---- recorder: custodyd does not begin to serve ----
for call in unshare $lies; do
	lie recorder $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	: >"$ROOT/custodyd.log"
	refused "recorder, $call did nothing: custodyd does not serve" "[1-9]" \
		"cannot confine itself, and records nothing" timeout 60 "$BIN/custodyd" --root "$ROOT" --no-guard
done
truth recorder

# ---- planner, broker: nothing is started ----
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
for call in $lies; do
	lie planner $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	refused "planner, $call did nothing: nothing is started" 5 "custody-planner: (Landlock and seccomp|dropping privileges)" ctl start web
done
truth planner
for call in setresuid setresgid seccomp; do
	# one seccomp() more: the broker asks for the size of notifications before
	lie broker $call "$([ $call = seccomp ] && echo $((CALLS + 1)) || echo 1+)"
	refused "broker, $call did nothing: nothing is started" 5 "broker: giving up privileges" ctl start web
done
truth broker

# ---- jail: Landlock, of which /proc says nothing; with jit signals alone show it (Linux 6.12) ----
cp "$ROOT/etc/custody/profiles/web.ini" "$ROOT/etc/custody/profiles/compiles.ini"
printf '[files]\njit = yes\n' >>"$ROOT/etc/custody/profiles/compiles.ini"
ABI=$(/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
lie jail landlock_restrict_self
sed -i 's/strace -D/strace -f -D/' "$BIN/custody-jail"
refused "jail, landlock_restrict_self did nothing: nothing is started" 5 "self-check: Landlock does not refuse" ctl start web
if [ "$ABI" -ge 6 ]; then
	refused "likewise with jit" 5 "self-check: Landlock does not refuse.*signals" ctl start compiles
else
	ok "likewise with jit # SKIP Landlock $ABI has no scopes"
fi
truth jail
check "with the jail as it is, it starts with jit" ctl start compiles
ctl retire compiles >/dev/null

# ---- measurer: nothing is started ----
profile measured "$PORT"
sed -i "s|^path = .*|&\nmeasure = yes|" "$ROOT/etc/custody/profiles/measured.ini"
for call in chroot capset unshare $lies; do
	lie measurer $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	refused "measurer, $call did nothing: nothing is started" 5 "measurer: (giving up privileges|Landlock and seccomp)" ctl start measured
done
lie measurer capset 2
refused "measurer, the last capset did nothing: nothing is started" 5 "measurer: Landlock and seccomp" ctl start measured
truth measurer
check "with the measurer as it is, it starts" ctl start measured
ctl retire measured >/dev/null

# ---- sweeper: nothing is said to be clean ----
for call in setresuid setresgid capset seccomp; do
	check "start" ctl start web
	check "serve" wait_for 10 fetch "$PORT" hello.txt
	lie sweeper $call "$([ $call = seccomp ] && echo "$CALLS" || echo 1+)"
	refused "sweeper, $call did nothing: it does not look" 4 "not looked at" ctl retire web
done
truth sweeper
check "start" ctl start web
check "serve" wait_for 10 fetch "$PORT" hello.txt
check "with every role as it is, the retirement is clean" ctl retire web
daemon_stop
no_leaks "nothing is left"
finish
