#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custodyd's capabilities are the ones that are needed and no more: with all of them a model lives and
# is retired clean; with one taken away, something breaks, and the table says what. One custodyd
# each, on a root of its own in which another has served before.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
command -v setpriv >/dev/null || skip_all "needs setpriv"
echo "hello" >"$ROOT/model/hello.txt"

# low_port: a port below 1024 that nothing serves
low_port() {
	/usr/bin/python3 - <<'PY'
import socket
for port in range(700, 1000):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
PY
}
# What breaks, and what is said about it. Left of "|" the capability, then where life ends.
TABLE='
sys_admin        | custodyd      | can be mounted .*Operation not permitted
net_admin        | custodyd      | The front could not be started .Operation not permitted
net_bind_service | start         | endpoint tcp:127.0.0.1:[0-9]*.*Permission denied
chown            | custodyd      | cannot be given to uid
dac_override     | custodyd      | Permission denied
dac_read_search  | retire        | not looked at
kill             | stop          | "status":9
setuid           | custodyd      | dropping privileges: Operation not permitted
setgid           | custodyd      | dropping privileges: Operation not permitted
setpcap          | custodyd      | .
sys_chroot       | start         | broker: giving up privileges: Operation not permitted
sys_ptrace       | start         | user namespace: Permission denied
lease            | retire        | not looked at
sys_resource     | start         | RLIMIT_NOFILE to 8192: Operation not permitted
'
PORT=$(low_port)
profile web "$PORT"
sed -i "s/^drain-timeout.*/drain-timeout = 30s/" "$ROOT/etc/custody/profiles/web.ini"
# The sandbox of a developer may lack this one from the start; a limit above our own shows it.
FILES=1024
setpriv --dump | grep -q 'bounding set:.*sys_resource' && FILES=8192
printf '[limits]\nopen-files = %s\n' "$FILES" >>"$ROOT/etc/custody/profiles/web.ini"

serves() { fetch "$PORT" hello.txt; }
ready_or_gone() { daemon_serves || ! kill -0 "$DAEMON"; }
custodyd() {
	: >"$ROOT/custodyd.log"
	prlimit --nofile=4096:4096 setpriv ${1:+--bounding-set=-$1} "$BIN/custodyd" --root "$ROOT" \
		--no-guard 2>>"$ROOT/custodyd.log" &
	DAEMON=$!
	wait_for "$PATIENCE" ready_or_gone
	daemon_serves && kill -0 "$DAEMON" 2>/dev/null
}
# How the model ended: it was asked to (SIGTERM: 128 + 15), not only killed.
ended_asked() {
	ctl events web --json | grep '"stopped"' | tail -1 >"$ROOT/said"
	grep -q '"status": *36608' "$ROOT/said" || { sed -i 's/"status": */"status":/' "$ROOT/said"; return 1; }
}
# life: the first thing that does not work, or nothing; what was said about it is in $ROOT/said.
life() {
	local step
	for step in "start web" serves "stop web" ended_asked "start web" "freeze web" "thaw web" \
		"restrict --read-only-scratch --cut-egress web" "retire web"; do
		case $step in
		serves) wait_for "$PATIENCE" serves || { echo serve; return; } ;;
		ended_asked) ended_asked || { echo stop; return; } ;;
		*) # shellcheck disable=SC2086 # words
			timeout "$PATIENCE" "$BIN/custodyctl" --root "$ROOT" $step >"$ROOT/said" 2>&1 ||
				{ echo "${step%% *}"; return; } ;;
		esac
	done
}
# A root in which nothing has been made yet; custodyd twice, with one capability less; then life.
without() {
	rm -rf "${ROOT:?}/var" "${ROOT:?}/run"
	: >"$ROOT/said"
	echo custodyd >"$ROOT/broken"
	if custodyd "$1"; then
		daemon_stop
		custodyd "$1" && life >"$ROOT/broken"
	fi
	[ -s "$ROOT/said" ] || cp "$ROOT/custodyd.log" "$ROOT/said"
	[ ! -s "$ROOT/broken" ] || timeout 10 "$BIN/custodyctl" --root "$ROOT" stop web >/dev/null 2>&1
	daemon_stop
	[ ! -d "$CGROUP" ] || echo 1 >"$CGROUP/cgroup.kill"
	[ ! -d "$CGROUP" ] || wait_for 5 grep -q 'populated 0' "$CGROUP/cgroup.events"
	find "$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null
	umount "$ROOT/sys/fs/bpf" 2>/dev/null
}

PATIENCE=120
without ""
[ ! -s "$ROOT/broken" ] && ok "with all of them: custodyd, start, stop, freeze, restrict, retire" ||
	not_ok "with all of them" "$(cat "$ROOT/broken" "$ROOT/said")"
PATIENCE=$((2 + SECONDS))
while IFS='|' read -r cap where words; do
	read -r cap <<<"$cap"
	read -r where <<<"$where"
	read -r words <<<"$words"
	[ -n "$cap" ] || continue
	# Two dozen custodyds attach and detach programs at every hook, which patches the kernel's text.
	# An emulated processor has then executed a breakpoint that memory did not hold any more (the
	# panic shows the finished call in its place, on a machine with one processor). There, only
	# what other hosts lack.
	if [ "$cap" != sys_resource ] && [ "$(systemd-detect-virt 2>/dev/null)" = qemu ]; then
		ok "without $cap # SKIP an emulated machine"
		continue
	fi
	if [ "$cap" = sys_resource ] && [ "$FILES" = 1024 ]; then
		ok "without sys_resource # SKIP this host has not got it"
		continue
	fi
	without "$cap"
	[ "$(cat "$ROOT/broken")" = "$where" ] && grep -qE -- "$words" "$ROOT/said" &&
		ok "without $cap: $where" ||
		not_ok "without $cap: $where" "broken: $(cat "$ROOT/broken"); said: $(tail -3 "$ROOT/said")"
done <<<"$TABLE"

# The table is the set: what custodyd has, no more and no less, and what the unit gives it.
have=$(sed -n 's/^\t{ CAP_\([A-Z_]*\),.*/\L\1/p' "$TOP/daemon/warden/privileges.c" | sort)
want=$(awk -F'|' 'NF > 1 { gsub(/ /, "", $1); print $1 }' <<<"$TABLE" | sort)
[ "$have" = "$want" ] && ok "privileges.c names these and no others" ||
	not_ok "privileges.c names these and no others" "$(diff <(echo "$want") <(echo "$have"))"
unit=$(sed -n '/^CapabilityBoundingSet=/,/[^\\]$/p' "$TOP/systemd/custodyd.service" | grep -o 'CAP_[A-Z_]*' | sed 's/CAP_//' | tr 'A-Z' 'a-z' | sort)
[ "$unit" = "$want" ] && ok "and so does the unit" || not_ok "and so does the unit" "$(diff <(echo "$want") <(echo "$unit"))"
rm -f "$ROOT"/run/custody/jails/*
no_leaks "nothing is left"
finish
