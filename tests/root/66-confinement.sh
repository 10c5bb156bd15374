#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What each process of custody may do, read from /proc/PID/status while it runs, against a table of
# what the README claims. custodyd, front, recorder, broker and model are read as they serve; the
# planner, the measurer and the sweeper are halted at a system call that they make after confining themselves.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts executables of its own in the place of custody's, which the guard refuses.
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

# confined WHO PID UIDS PERMITTED SECCOMP [PROGRAM]: all four uids and gids; permitted = effective,
# which for a confined role is all it ever gets; NoNewPrivs; Seccomp; no supplementary group.
confined() {
	check "$1: uid, capabilities, no_new_privs, seccomp" /usr/bin/python3 - "${@:2}" <<'PY'
import os, sys
pid, uid, caps, seccomp = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(), int(sys.argv[4])
names = """chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot
sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease
audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read
perfmon bpf checkpoint_restore""".split()
# What the caller itself lacks, custodyd cannot have either.
ours = int(dict(l.rstrip("\n").split(":", 1) for l in open("/proc/self/status"))["CapPrm"], 16)
want = 0
for cap in caps:
    want |= ours & 1 << names.index(cap)
status = dict(l.rstrip("\n").split(":", 1) for l in open("/proc/%s/status" % pid))
def show(mask):
    return " ".join(n for i, n in enumerate(names) if mask >> i & 1) or "none"
bad = []
for line in "Uid", "Gid":
    if [int(x) for x in status[line].split()] != [uid] * 4:
        bad.append("%s: %s, want %d" % (line, status[line].split(), uid))
for line, mask in ("CapPrm", want), ("CapEff", want), ("CapInh", 0), ("CapAmb", 0):
    if int(status[line], 16) != mask:
        bad.append("%s: %s, want %s" % (line, show(int(status[line], 16)), show(mask)))
# No exec could give more than what is there already.
bound = int(status["CapBnd"], 16)
if bound & ~want:
    bad.append("CapBnd: %s" % show(bound))
if status["NoNewPrivs"].strip() != "1":
    bad.append("NoNewPrivs: " + status["NoNewPrivs"].strip())
if int(status["Seccomp"]) != seccomp:
    bad.append("Seccomp: %s, want %d" % (status["Seccomp"].strip(), seccomp))
if uid and set(status["Groups"].split()) - {str(uid)}:
    bad.append("Groups: " + status["Groups"])
print("\n".join(bad))
sys.exit(1 if bad else 0)
PY
}
# fds_are WHO PID PATTERN: every open fd is of the kinds that the pattern (a regex) names.
fds_are() {
	local other
	other=$(find "/proc/$2/fd" -type l -printf '%l\n' | grep -vxE -- "$3")
	[ -z "$other" ] && ok "$1: holds no other fd than its own" || not_ok "$1: holds no other fd than its own" "$other"
}
child() {
	local pid
	for pid in $(pgrep -P "$DAEMON"); do
		[ "$(readlink "/proc/$pid/exe")" = "$BIN/custody-$1" ] && echo "$pid" && return
	done
	return 1
}
# A role held at a system call: a tracer stops it there (SIGSTOP), and it is read.
hold() {
	mv "$BIN/custody-$1" "$BIN/real-$1"
	printf '#!/bin/sh\nexec strace -D -qq -o /dev/null -e trace=%s -e inject=%s:signal=STOP:when=%s "%s"\n' \
		"$2" "$2" "$3" "$BIN/real-$1" >"$BIN/custody-$1"
	chmod 755 "$BIN/custody-$1"
}
release() { mv -f "$BIN/real-$1" "$BIN/custody-$1"; }
held() {
	for pid in /proc/[0-9]*; do
		[ "$pid/exe" -ef "$BIN/real-$1" ] || continue # no process for each: it is in a hurry
		grep -q '^State:[[:space:]]*[Tt]' "$pid/status" && echo "${pid#/proc/}" >"$ROOT/held" && return 0
	done
	return 1
}
# The stop of the tracer itself looks alike: held twice in a row is a stop that stays.
held_still() { held "$1" && sleep 0.1 && held "$1"; }

CUSTODYD="chown dac_override dac_read_search kill setgid setuid setpcap net_bind_service
	net_admin sys_chroot sys_ptrace sys_admin sys_resource lease"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start" ctl start web
check "it serves" wait_for 10 fetch "$PORT" hello.txt
BASE=$((1879048192))
INIT=$(ctl ps --json | grep -o '"pid":[ 0-9]*' | grep -o '[0-9]*' | head -1)
MODEL=$(pgrep -P "$INIT" | head -1)
confined custodyd "$DAEMON" 0 "$CUSTODYD" 0
confined front "$(child front)" 60611 "" 2
confined recorder "$(child recorder)" 60613 "" 2
confined broker "$(child broker)" $((BASE + 1)) "" 2
confined "init of the jail" "$INIT" $((BASE + 1000)) "" 2
confined model "$MODEL" $((BASE + 1000)) "" 2
fds_are front "$(child front)" 'socket:.*|/dev/null|/.*\.log|pipe:.*'
fds_are init "$INIT" 'nothing'
for role in front recorder broker; do
	[ "$(stat -c %U "/proc/$(child $role)/mem")" = root ] && ok "$role: not dumpable, so its uid may not read it" ||
		not_ok "$role: not dumpable, so its uid may not read it"
done

hold planner memfd_create 1
profile other "$(free_port)"
"$BIN/custodyctl" --root "$ROOT" start other >"$ROOT/other.out" 2>&1 &
CLIENT=$!
check "the planner is held as it makes the plan" wait_for 8 held_still planner
confined planner "$(cat "$ROOT/held")" 60612 "" 2
kill -CONT "$(cat "$ROOT/held")"
wait "$CLIENT"
release planner

hold measurer memfd_create 1
profile measured "$(free_port)"
sed -i "s|^path = .*|&\nmeasure = yes|" "$ROOT/etc/custody/profiles/measured.ini"
"$BIN/custodyctl" --root "$ROOT" start measured >"$ROOT/measured.out" 2>&1 &
CLIENT=$!
check "the measurer is held as it makes its table" wait_for 8 held_still measurer
confined measurer "$(cat "$ROOT/held")" 60615 "dac_read_search" 2
[ -z "$(ls -A "/proc/$(cat "$ROOT/held")/root/")" ] && ok "measurer: its root directory is empty" ||
	not_ok "measurer: its root directory is empty" "$(ls -A "/proc/$(cat "$ROOT/held")/root/")"
[ "$(readlink "/proc/$(cat "$ROOT/held")/ns/net")" != "$(readlink /proc/self/ns/net)" ] && ok "measurer: not on the host's network" ||
	not_ok "measurer: not on the host's network"
kill -CONT "$(cat "$ROOT/held")"
wait "$CLIENT"
release measurer
ctl stop measured >/dev/null 2>&1

hold sweeper sendmsg 1
"$BIN/custodyctl" --root "$ROOT" retire web >"$ROOT/retire.out" 2>&1 &
CLIENT=$!
for phase in before after; do
	check "the sweeper is held as it reports ($phase erasing)" wait_for 20 held_still sweeper
	confined sweeper "$(cat "$ROOT/held")" 60614 "dac_read_search sys_ptrace lease" 2
	kill -CONT "$(cat "$ROOT/held")"
	sleep 0.3
done
wait "$CLIENT"
release sweeper
grep -q "is retired" "$ROOT/retire.out" && ok "and the retirement ends" || not_ok "and the retirement ends" "$(cat "$ROOT/retire.out")"
ctl stop other >/dev/null 2>&1
daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left"
finish
