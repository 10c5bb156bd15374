#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guard: what root outside of custody can do to it without the guard, and cannot with it. Each
# thing is first done to something that is not custody's, and must be allowed there.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck source=tests/root/guard.bash
. "$(dirname "$0")/guard.bash"
guard_open
PORT=$(free_port)
profile guarded "$PORT"
echo weights >"$ROOT/model/weights.bin"
echo other >"$ROOT/other.bin"

# ---- before: every one of these is allowed ----
sleep 600 & BYSTANDER=$!
mkdir -p "$ROOT/plain"
for verb in trace mem writev getfd limit; do is "before: $verb" allowed "$verb" $BYSTANDER; done
is "before: kill" allowed kill $BYSTANDER 18
is "before: sigio" allowed sigio $BYSTANDER
wait $BYSTANDER 2>/dev/null
for verb in read write append truncate chmod xattr; do
	is "before: $verb of the weights" allowed "$verb" "$ROOT/model/weights.bin"
done
echo weights >"$ROOT/model/weights.bin"
is "before: hard link of the weights" allowed link "$ROOT/model/weights.bin" "$ROOT/plain/l"
is "before: unlink" allowed unlink "$ROOT/plain/l"
is "before: mount over the weights" allowed bind "$ROOT/model/weights.bin" "$ROOT/other.bin"
is "before: umount" allowed umount "$ROOT/model/weights.bin"
BEFORE_MAPS=$("$PROBE" ids map)
case $BEFORE_MAPS in *" 0 0") ok "before: every map, by id" ;; *) not_ok "before: every map" "$BEFORE_MAPS" ;; esac

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start a model" ctl start guarded
check "it serves" wait_for 30 fetch "$PORT" weights.bin
LEDGER=$ROOT/var/lib/custody/ledger
PINS=$ROOT/sys/fs/bpf/custody
# shellcheck disable=SC2034 # used by name, in the loop over processes
RECORDER=$(pgrep -f "$BIN/custody-recorder" -P "$DAEMON")
# shellcheck disable=SC2034
FRONT=$(pgrep -f "$BIN/custody-front" -P "$DAEMON")
JAIL=$(find "$CGROUP" -mindepth 1 -maxdepth 1 -type d | head -1)
# shellcheck disable=SC2034
MODEL=$(head -1 "$JAIL/model/cgroup.procs")
# shellcheck disable=SC2034
BROKER=$(head -1 "$JAIL/broker/cgroup.procs")
FILE=$(find "$LEDGER" -type f | head -1)

# ---- objects ----
for kind in map prog link; do
	count=$("$PROBE" ids "$kind")
	n=$(echo "$count" | cut -d' ' -f2)
	if [ "$n" -ge 15 ] && [ "${count##* }" = 0 ]; then
		ok "$kind fds by id are refused with EPERM ($n of custody's)"
	else
		not_ok "$kind fds by id are refused" "given, refused, other: $count"
	fi
done
is "a pinned map is not opened" EPERM pin "$PINS/map-jails"
is "a pinned link is not opened" EPERM pin "$PINS/link-guard-open"
is "a pin is not removed" EPERM unlink "$PINS/link-guard-open"
is "a pin is not renamed" EPERM rename "$PINS/link-guard-open" "$PINS/../x"
is "nothing is made beside the pins" EPERM create "$PINS/x"
is "the pins are not mounted over" EPERM bind "$PINS" "$ROOT/plain"
is "the pins' file system is not unmounted" EPERM umount "$ROOT/sys/fs/bpf"
recorded "a map by id" '"object_name": ?"map".*"denied"'
recorded "a program by id" '"object_name": ?"program".*"denied"'
recorded "a link by id" '"object_name": ?"link".*"denied"'
denied_times 3 "a pin removed, renamed, made" "$PINS" pin

# ---- processes ----
for who in DAEMON RECORDER FRONT MODEL BROKER; do
	is "$who is not traced" EPERM trace "${!who}"
	is "memory of $who is not opened" EACCES mem "${!who}"
	is "memory of $who is not written" EPERM writev "${!who}"
	is "$who gives no fd" EPERM getfd "${!who}"
	is "limits of $who are not set" EPERM limit "${!who}"
	is "$who is not killed" EPERM kill "${!who}" 9
	is "$who gets no SIGIO of ours" EPERM sigio "${!who}"
	is "that $who exists may be asked" allowed kill "${!who}" 0
done
recorded "tracing" '"object_name": ?"trace".*"denied"'
denied signal SIGKILL
recorded "a limit" '"object_name": ?"limit".*"denied"'
# Nothing asks before a process is moved: it is on record, whichever of the jail's it is.
profile forker "$(free_port)"
sed -i -e '/^listen/d' -e "s|^command = .*|command = /usr/bin/python3 -c 'import os, time; os.fork(); time.sleep(600)'|" \
	"$ROOT/etc/custody/profiles/forker.ini"
check "start a model of two processes" ctl start forker
two() { [ "$(wc -l <"$(echo "$CGROUP"/forker-*/model/cgroup.procs)")" = 3 ]; } # and its init
check "it has two" wait_for 20 two
WORKER=$(tail -1 "$CGROUP"/forker-*/model/cgroup.procs)
mkdir -p "$CGROUP-elsewhere"
echo "$WORKER" >"$CGROUP-elsewhere/cgroup.procs"
recorded "a model's process that was moved away" "\"inode\": ?$WORKER,.*\"object_name\": ?\"escape\""
check "stop it" ctl stop forker
empty() { rmdir "$CGROUP-elsewhere"; }
check "the moved process ended with its jail" wait_for 20 empty
retired forker

# ---- files ----
for verb in write append truncate unlink chmod xattr; do
	is "ledger: $verb" EPERM "$verb" "$FILE"
done
is "ledger: reading is allowed" allowed read "$FILE"
is "ledger: nothing is made in it" EPERM create "$LEDGER/x"
is "ledger: not renamed" EPERM rename "$LEDGER" "$ROOT/x"
is "ledger: not in its place either" EPERM rename "$LEDGER" "$LEDGER.x"
is "ledger: a file of it is not renamed" EPERM rename "$FILE" "$ROOT/x"
is "ledger: no hard link" EPERM link "$FILE" "$ROOT/plain/l"
is "ledger: not mounted over" EPERM bind "$LEDGER" "$ROOT/plain"
is "the key is not read" EPERM read "$ROOT/var/lib/custody/keys/ledger.pem"
is "state is not written" EPERM write "$(find "$ROOT/run/custody/jails" -type f | head -1)"
is "ids are not reset" EPERM unlink "$ROOT/var/lib/custody/next-jail"
is "executables are not written" EPERM write "$BIN/custody-sweeper"
is "nor replaced" EPERM rename "$BIN/custody-sweeper" "$BIN/x"
is "no process enters a jail's cgroup by clone3" EPERM enter "$JAIL/model"
is "nor by cgroup.procs" EPERM write "$JAIL/model/cgroup.procs"
is "a jail is not killed by its cgroup" EPERM write "$JAIL/cgroup.kill"
denied_times 4 "the ledger moved; a file of it removed, made, renamed" "$LEDGER" ledger
denied ledger rename
denied ledger attribute
denied ledger link
recorded "the key" '"object_name": ?"key".*"denied"'
recorded "the cgroup" '"object_name": ?"cgroup".*"denied"'
refused "a second custodyd is told" 3 "Another custodyd" "$BIN/custodyd" --root "$ROOT"
says "ps: the guard is closed" yes sh -c "'$BIN/custodyctl' --root '$ROOT' ps --json | grep -q '\"guard\"' && echo yes"
recorded_launch() { ctl events --json | grep '"type": *"launch"' | grep -qE '"planes_active": *(31|63),'; }
check "so says the launch record" recorded_launch

W=$ROOT/model/weights.bin
# ---- the door ----
daemon_kill
check "custodyd gone: the model still serves" fetch "$PORT" weights.bin
is "custodyd gone: pins stay shut" EPERM pin "$PINS/map-jails"
if /usr/bin/python3 -c 'import subprocess, sys
sys.exit(subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, timeout=20).returncode == 0)' \
	"$BIN/custodyd" --root "$ROOT"; then
	ok "a custodyd that a stranger starts is not let in"
else
	not_ok "a custodyd that a stranger starts is not let in"
fi
"$BIN/custodyd" --root "$ROOT" --no-guard 2>"$ROOT/open.log"
if [ $? = 3 ] && grep -q "does not open it" "$ROOT/open.log"; then
	ok "nor does --no-guard open what is closed around a model"
else
	not_ok "nor does --no-guard open what is closed" "$(cat "$ROOT/open.log")"
fi
# Not in a subshell: the keeper is this very process.
if daemon_start; then ok "a custodyd that the keeper starts is"; else not_ok "a custodyd that the keeper starts is"; fi
recorded "the door, refused" '"access_name": ?"stranger".*"object_name": ?"door".*"denied"'
recorded "the door, passed" '"access_name": ?"passed".*"object_name": ?"door".*"observed"'
check "it has its jail again" ctl status guarded
is "and is guarded" EPERM kill "$DAEMON" 9
retired guarded
is "the weights are free" allowed write "$W"
daemon_stop
no_leaks "a clean stop leaves nothing"
AFTER=$("$PROBE" ids map)
case $AFTER in *" 0 0") ok "after a clean stop: every map, by id" ;; *) not_ok "after" "$AFTER" ;; esac
is "the ledger is free" allowed append "$FILE"
finish
