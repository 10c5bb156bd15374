# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the end-to-end scripts share: a temporary root, a custodyd in it, TAP, and a leak check.
# Sourced as root by tests/root/6*.sh. Makes nothing outside the root but the cgroup that
# custodyd names after it, and removes both.

# shellcheck source=tests/root/flip.bash
. "$(dirname "${BASH_SOURCE[0]}")/flip.bash"
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=$TOP/build/bin
N=0
ROOT=
DAEMON=

ok() { N=$((N + 1)); echo "ok $N - $1"; }
not_ok() {
	N=$((N + 1))
	echo "not ok $N - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}
# check TEXT COMMAND...: ok when the command succeeds; its output is shown when it does not.
check() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$text"; else not_ok "$text" "exit $?: $out"; fi
}
# refused TEXT EXIT WORDS COMMAND...: ok when the command ends with EXIT (a pattern) and says WORDS (a regex).
refused() {
	local text=$1 want=$2 words=$3 out got=0
	shift 3
	out=$("$@" 2>&1) || got=$?
	# shellcheck disable=SC2053 # WANT may be a pattern
	if [[ $got == $want ]] && printf '%s' "$out" | grep -qE -- "$words"; then
		ok "$text"
	else
		not_ok "$text" "exit $got (want $want), said: $out (want: $words)"
	fi
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
finish() { echo "1..$N"; }

ctl() { "$BIN/custodyctl" --root "$ROOT" "$@"; }

# Most of these run in emulated machines too, where starting a program is what costs: what the shell
# can do by itself, it does.

# A descriptor that never has anything to read, so that `read -t` on it is a sleep without a process.
exec {NEVER}<> <(:)
nap() { read -rt "$1" -u "$NEVER" || :; }
# wait_for SECONDS COMMAND...: polls until the command succeeds; the poll is bounded, and short until
# it is clear that this takes long. A machine that its host has put aside for a while must not find
# that its time is over: it has a number of polls in any case.
wait_for() {
	local end=$((SECONDS + $1)) least=$(($1 < 12 ? $1 * 4 : 48)) n=0
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || [ $n -lt $least ] || return 1
		if ((n++ < 20)); then nap 0.05; else nap 0.2; fi
	done
}

free_port() { # from a range that the kernel does not hand out by itself; none twice in one house
	local port
	while :; do
		port=$((20000 + RANDOM % 10000))
		grep -qsx "$port" "$ROOT/ports" && continue
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	[ ! -d "$ROOT" ] || echo "$port" >>"$ROOT/ports"
	echo "$port"
}

cgroup_of_root() {
	local mount i byte hash=5381
	mount=$(awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i+1) == "cgroup2") { print $5; exit } }' \
		/proc/self/mountinfo)
	for ((i = 0; i < ${#ROOT}; i++)); do
		printf -v byte %d "'${ROOT:i:1}"
		hash=$(((hash * 33 + byte) & 0xffffffff))
	done
	printf '%s/custody-%08x\n' "$mount" "$hash"
}

house_open() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	ROOT=$(mktemp -d /tmp/custody-test.XXXXXX)
	chmod 755 "$ROOT"
	CGROUP=$(cgroup_of_root)
	mkdir -p "$ROOT/usr/share/custody/profiles" "$ROOT/etc/custody/profiles" "$ROOT/model"
	cp "$TOP"/profiles/*.ini "$ROOT/usr/share/custody/profiles/"
	trap house_close EXIT
}

daemon_serves() {
	local log
	read -rd '' log <"$ROOT/custodyd.log"
	[[ $log =~ ready($|$'\n') ]]
}
daemon_start() {
	: >"$ROOT/custodyd.log"
	"$BIN/custodyd" --root "$ROOT" ${HOUSE_NO_GUARD:+--no-guard} "$@" 2>>"$ROOT/custodyd.log" &
	DAEMON=$!
	wait_for 120 daemon_serves || { sed 's/^/# /' "$ROOT/custodyd.log"; return 1; }
}
daemon_stop() {
	[ -n "$DAEMON" ] || return 0
	kill -TERM "$DAEMON" 2>/dev/null
	wait "$DAEMON" 2>/dev/null
	DAEMON=
}
daemon_kill() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	DAEMON=
}

# What a jail or a custodyd may have left, one per line. Nothing printed = nothing left.
leaks() {
	local pid exe
	[ ! -d "$CGROUP" ] || find "$CGROUP" -mindepth 1 -type d -printf 'cgroup %p\n'
	while read -r pid exe; do
		case $exe in
		"$BIN"/custody-jail | "$BIN"/custody-broker | "$BIN"/custody-planner | "$BIN"/custody-sweeper | "$BIN"/custody-resolver | "$BIN"/custody-measurer)
			grep -qs "${CGROUP##*/}" "$pid/cgroup" && echo "process ${pid#/proc/}" ;;
		esac
	done < <(find /proc/[0-9]* -maxdepth 1 -name exe -printf '%h %l\n' 2>/dev/null)
	find "$ROOT/run/custody/jails" -type f -printf 'state %p\n' 2>/dev/null
	[ ! -d "$ROOT/sys/fs/bpf/custody" ] || [ -n "$DAEMON" ] || echo "pins in $ROOT/sys/fs/bpf/custody"
	grep -F " $ROOT/" /proc/self/mountinfo | grep -vF " $ROOT/sys/fs/bpf " | awk '{ print "mount " $5 }'
}
no_leaks() {
	local left
	left=$(leaks)
	if [ -z "$left" ]; then ok "$1"; else not_ok "$1" "$left"; fi
}

house_close() {
	local status=$?
	daemon_stop
	if [ -d "$CGROUP" ]; then
		echo 1 >"$CGROUP/cgroup.kill" 2>/dev/null
		wait_for 5 grep -q 'populated 0' "$CGROUP/cgroup.events"
		find "$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null
	fi
	umount "$ROOT/var/lib/custody/ledger" 2>/dev/null
	umount "$ROOT/sys/fs/bpf" 2>/dev/null
	rm -rf "$ROOT"
	exit $status
}

# profile NAME PORT [EXTRA LINES]: a Python HTTP server on the model directory.
profile() {
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<EOF
[profile]
extends = base
description = test server
[model]
path = $ROOT/model
[process]
command = /usr/bin/python3 -m http.server $2 --bind 127.0.0.1 --directory $ROOT/model
[network]
listen = tcp:127.0.0.1:$2
[retire]
drain-timeout = 2s
${3:-}
EOF
}
# A connection that nobody answers takes the kernel minutes to give up: a process of its own does it.
fetch() { # fetch PORT [PATH]: what the server answers with 200
	local answer status
	# shellcheck disable=SC2016 # its own variables
	answer=$(timeout "${FETCH_S:-5}" bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
		printf "GET /%s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$2" >&3
		cat <&3 && printf .' fetch "$1" "${2:-}")
	status=$?
	[ $status != 124 ] || echo "timed out" >&2
	[ $status = 0 ] || return 1
	[[ $answer =~ ^HTTP/1\.[01]\ 200 ]] || { echo "${answer%%$'\r'*}" >&2; return 1; }
	answer=${answer%.} # which kept the last newline
	printf %s "${answer#*$'\r\n\r\n'}"
}
# state_of NAME: as "ps" shows it; absent when it does not.
state_of() {
	local rows
	rows=$(ctl ps --json) || return 1
	[[ $rows == *"\"name\": \"$1\""* ]] || { echo absent; return; }
	rows=${rows#*"\"name\": \"$1\""}
	rows=${rows#*\"state\": \"}
	echo "${rows%%\"*}"
}
