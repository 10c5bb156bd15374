#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A refused system call on record: its name, what it asked for, and the instruction that made it;
# a process that was ended for one; and, where the profile does without the observe plane, the
# kernel's audit log.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
install -m 755 -D "$TOP/build/root/syscall_probe" "$ROOT/bin/syscall_probe"
PROBE=$ROOT/bin/syscall_probe
profile_of() { # NAME PLANES
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<END
[profile]
extends = base
[files]
read += $ROOT/bin
[require]
planes = $2
END
}
profile_of probe "structure cgroup observe"
profile_of quiet "structure cgroup"
run() { # PROFILE NAME ARG...
	local profile=$1 name=$2
	shift 2
	"$BIN/custodyctl" --root "$ROOT" run --profile "$profile" --name "$name" -- "$PROBE" "$@" 2>&1
}
# The offset in the file of the instruction after the probe's system call.
OFFSET=$("$PROBE" site)
# recorded NAME KEY=VALUE...: one event of a refused call of the jail has all of them
recorded() {
	local name=$1
	shift
	ctl events "$name" --json >"$ROOT/events.json" || return 1
	/usr/bin/python3 - "$ROOT/events.json" "$@" <<'PY'
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
want = dict(word.split("=", 1) for word in sys.argv[2:])
calls = [r for r in rows if r.get("class") == "syscall"]
ok = [r for r in calls if all(str(r.get(k)) == v for k, v in want.items())]
assert len(ok) == 1, (want, calls)
PY
}
# case NAME ANSWER CALL NUMBER [ARG]... -- KEY=VALUE...: refused with ANSWER, and so recorded
case_of() {
	local name=$1 answer=$2 call=$3 got args=()
	shift 3
	while [ "$1" != -- ]; do args+=("$1"); shift; done
	shift
	got=$(run probe "$name" call "${args[@]}")
	[ "$got" = "$answer" ] && ok "$call: $answer" || not_ok "$call: $answer" "$got"
	wait_for 20 recorded "$name" "syscall_name=$call"
	check "and it is on record, with its call site in the probe, +$OFFSET" recorded "$name" \
		"syscall_name=$call" "error=$answer" verdict=denied plane=observe comm=syscall_probe \
		path=/syscall_probe "site_offset=$OFFSET" "$@"
}

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
[ -n "$OFFSET" ] && ok "the probe's call site is known" || not_ok "the probe's call site is known"
got=$("$PROBE" call 157 38 1 0 0 0)
[ "$got" = allowed ] && ok "outside a prctl() is allowed" || not_ok "outside a prctl() is allowed" "$got"
case_of mount EPERM mount 165 0 0 0 0 -- syscall=165 access=0
case_of socket EAFNOSUPPORT socket 41 38 5 0 -- access=38
case_of prctl EPERM prctl 157 59 1 -- access=59
case_of tiocsti EPERM ioctl 16 0 0x5412 0 -- access=21522
case_of high EPERM ioctl 16 0 0x100005412 0 -- access=21522
case_of gpu EPERM ioctl 16 0 0xc020462a 0 -- access=3223340586
case_of unknown ENOSYS clone3 435 0 0 -- access=0
case_of option ENOSYS prctl 157 33 1 -- access=33
case_of shm EPERM shmat 30 0 0 0100000 -- access=32768
check "in words: the name, the argument, the file and the place in it" \
	bash -c "'$BIN/custodyctl' --root '$ROOT' events tiocsti | grep -E 'denied +observe +syscall +EPERM +ioctl +syscall_probe\[[0-9]+\] 0x5412 at /syscall_probe\+0x$(printf %x "$OFFSET")\$'"

# ended ABI NAME NUMBER
ended() {
	local outside got status=0
	outside=$("$PROBE" "$1")
	if [ "$outside" != allowed ] && [ "$outside" != ENOSYS ]; then
		N=$((N + 1))
		echo "ok $N - a call of $1 ends the model, on record # SKIP this kernel has none: $outside"
		return
	fi
	got=$(run probe "$1" "$1") || status=$?
	[ "$status" = 159 ] && ok "a call of $1 ends the model (outside: $outside)" ||
		not_ok "a call of $1 ends the model" "exit $status: $got"
	wait_for 20 recorded "$1" killed=True
	check "and it is on record by its name" recorded "$1" killed=True "abi=$1" verdict=denied \
		plane=structure "syscall_name=$1:getpid" path=/syscall_probe error=None
}
ended i386
ended x32

# Without observe: the kernel's log. Not every host lets it be read.
if dmesg >/dev/null 2>&1 && ! pidof auditd >/dev/null; then
	logged() { dmesg | grep 'type=1326' | grep 'comm="syscall_probe"' | grep -c ' syscall=101 .* ip=0x'; }
	before=$(logged)
	more() { [ "$(logged)" -gt "$before" ]; }
	got=$(run quiet quiet call 101 0 0 0 0)
	[ "$got" = EPERM ] && ok "without observe ptrace is refused all the same" ||
		not_ok "without observe ptrace is refused all the same" "$got"
	if wait_for 10 more; then
		ok "and the kernel's audit log has it, with the call and its site"
	else
		not_ok "and the kernel's audit log has it, with the call and its site" \
			"$before before; now: $(dmesg | grep 'type=1326' | tail -3)"
	fi
else
	N=$((N + 1))
	echo "ok $N - a refused call in the audit log # SKIP the kernel's log cannot be read here"
fi
finish
