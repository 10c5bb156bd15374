# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# What the guard's scripts share. Sourced as root by tests/root/8*.sh, after house.bash.

PROBE=$TOP/build/root/guard_probe
FILE_PROBE=$TOP/build/root/guard_file_probe

guard_open() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	grep -qsw bpf /sys/kernel/security/lsm || skip_all "this kernel has no LSM plane"
	house_open
}
# says TEXT WANTED COMMAND...: ok when the command prints exactly WANTED.
says() {
	local text=$1 want=$2 got
	shift 2
	got=$("$@" 2>&1)
	if [ "$got" = "$want" ]; then ok "$text"; else not_ok "$text" "got: $got, wanted: $want"; fi
}
# is TEXT WANTED VERB...: ok when the probe prints exactly WANTED.
is() { says "$1" "$2" "$PROBE" "${@:3}"; }
by() { says "$1" "$2" "$FILE_PROBE" "${@:3}"; }
recorded() { # recorded TEXT REGEX: an event of the guard's whose JSON line matches
	if wait_for 20 recorded_now "$2"; then ok "recorded: $1"; else
		not_ok "recorded: $1" "none matches $2 in: $(ctl events --json | grep '"guard"' | tail -5)"
	fi
}
recorded_now() { ctl events --json | grep '"class": *"guard"' | grep -qE -- "$1"; }
# denied OBJECT ACCESS: the keys stand in the order of the alphabet.
denied() { recorded "$1 $2, denied" "\"access_name\": ?\"$2\".*\"error\": ?\"EPERM\".*\"object_name\": ?\"$1\".*\"denied\""; }
# denied_times N TEXT DIRECTORY OBJECT: to make or take away an entry is to write to the directory,
# which the kernel asks about first; nothing later is reached.
denied_times() {
	local words
	words="\"access_name\": ?\"write\".*\"error\": ?\"EPERM\".*\"inode\": ?$(stat -c %i "$3"),.*\"object_name\": ?\"$4\".*\"denied\""
	if wait_for 20 counted "$1" "$words"; then ok "recorded: $2, denied $1 times"; else
		not_ok "recorded: $2, denied $1 times" "not $1 of $words in: $(ctl events --json | grep '"guard"' | tail -20)"
	fi
}
counted() { [ "$(ctl events --json | grep '"class": *"guard"' | grep -cE -- "$2")" = "$1" ]; }
