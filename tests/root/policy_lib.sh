# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the kernel planes (2N-*.sh) share: one cgroup like custody's with a jail's two
# below it and one that no policy knows, a pin directory, TAP, and cleaning up. Sourced, as root.
#
# Gives: $PIN $TOP $JAIL (7) $MODEL $BROKER $STRAY $TMP; drive, probe, is, like.
set -u
BUILD=${BUILD:-build}
JAIL=7
TESTS=0
FAILED=0
STARTED=

tap() { # tap RC TEXT [DETAIL]
	TESTS=$((TESTS + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $TESTS - $2"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $TESTS - $2"
		[ -z "${3:-}" ] || printf '%s\n' "$3" | sed 's/^/# /'
	fi
}
is() { # is GOT WANTED TEXT
	[ "$1" = "$2" ]
	tap $? "$3" "got: $1
wanted: $2"
}
like() { # like TEXT-THAT-MUST-HOLD-A-LINE REGEX TEXT
	grep -qE -- "$2" <<<"$1"
	tap $? "$3" "no line matches: $2
in: $1"
}
unlike() {
	! grep -qE -- "$2" <<<"$1"
	tap $? "$3" "a line matches: $2
in: $1"
}
plan_end() {
	echo "1..$TESTS"
	[ "$FAILED" -eq 0 ]
	exit
}
skip_all() {
	echo "ok 1 - ${0##*/} # SKIP $1"
	echo "1..1"
	exit 0
}

drive() { # drive VERB ARGUMENT...
	local verb=$1
	shift
	"$BUILD/root/policy_driver" "$verb" "$PIN" "$TOP" "$@"
}
probe() { "$BUILD/root/policy_probe" "$@"; }
counter() { # counter CLASS OBJECT: "allowed denied bytes emitted lost"
	drive counters "$JAIL" | awk -v c="$1" -v o="$2" '$1 == c && $2 == o { print $3, $4, $5, $6, $7; f = 1 }
		END { if (!f) print "0 0 0 0 0" }'
}
# nothing_failed TEXT [SITE REGEX]...: each count of "drive errors" is 0, but that of SITE (enum
# policy_error_site), which is like REGEX
nothing_failed() {
	local text=$1 counts wanted
	shift
	read -ra counts <<<"$(drive errors)"
	mapfile -t wanted < <(printf '0\n%.0s' "${counts[@]}")
	while [ $# -gt 0 ]; do
		wanted[$1]=$2
		shift 2
	done
	[ ${#counts[@]} -ge 9 ] && [[ "${counts[*]}" =~ ^${wanted[*]}$ ]]
	tap $? "$text" "got: ${counts[*]}
wanted: ${wanted[*]}"
}
need_lsm() { # with DRIVER_PLANES=14: skips where the host lacks the plane, fails where it breaks
	local out
	out=$(drive open 2>&1)
	[ "$out" != "fresh planes=10" ] || skip_all "this host does not offer the LSM plane"
	is "$out" "fresh planes=14" "every program of the LSM plane loads and is attached"
}
free_port() { # from a range that the kernel does not hand out by itself
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 10000))
		ss -Htan "sport = :$port" | grep -q . || break
	done
	echo "$port"
}
wait_for() { # wait_for FILE
	for _ in $(seq 200); do
		[ -e "$1" ] && return 0
		sleep 0.02
	done
	return 1
}

cleanup() {
	trap - EXIT
	for pid in $STARTED; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	for pid in $STARTED; do wait "$pid" 2>/dev/null; done
	drive unpin >/dev/null 2>&1
	[ ! -d "$PIN" ] || rm -r "$PIN"
	for c in "$MODEL" "$BROKER" "$STRAY" "$TOP/jail" "$TOP" "$OTHER"; do
		[ ! -d "$c" ] || rmdir "$c"
	done
	rm -rf "$TMP"
}

[ "$(id -u)" -eq 0 ] || skip_all "needs root"
grep -q ' /sys/fs/bpf bpf ' /proc/mounts || skip_all "no bpffs on /sys/fs/bpf"
CGROUP2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$CGROUP2" ] || skip_all "no cgroup2 mount"
TMP=$(mktemp -d) || exit 1
UNIQUE=${TMP##*.}
PIN=/sys/fs/bpf/custody-test-$UNIQUE
TOP=$CGROUP2/custody-test-$UNIQUE
OTHER=$CGROUP2/custody-other-$UNIQUE
MODEL=$TOP/jail/model
BROKER=$TOP/jail/broker
STRAY=$TOP/stray
trap 'cleanup' EXIT
trap 'exit 1' INT TERM
mkdir "$TOP" "$TOP/jail" "$MODEL" "$BROKER" "$STRAY" "$OTHER" || exit 1
