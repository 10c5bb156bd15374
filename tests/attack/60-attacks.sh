#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The corpus of attacks: every attack_* program is run outside, in namespaces that are thrown away,
# where its attacks must succeed, and then as the model of a real jail. judge.py says what came of
# each. The profile is as open as the shipped ones get, and adds what a hostile model would wish
# for: programs to run, three endpoints, scratch.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/../root/house.bash"
house_open
HERE=$TOP/tests/attack
OWN=$(mktemp -d /tmp/custody-attack.XXXXXX)
VICTIM=
close_all() {
	[ -z "$VICTIM" ] || kill "$VICTIM" 2>/dev/null
	rm -rf "$OWN"
	house_close
}
trap close_all EXIT
# shellcheck source=tests/attack/world.bash
. "$HERE/world.bash"

world_make "$ROOT/world"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
world_victim
world_profile atk "$ROOT/world" >"$ROOT/etc/custody/profiles/atk.ini"
: >"$OWN/table"
: >"$OWN/outside"
: >"$OWN/inside"
for program in "$ROOT"/world/prog/attack_*; do
	name=${program##*/}
	"$program" list >>"$OWN/table" || not_ok "$name lists its attacks"
	world_outside "$program" "$OWN/$name.outside"
	world_inside "$program" "$OWN/$name.inside"
	cat "$OWN/$name.outside" >>"$OWN/outside"
	cat "$OWN/$name.inside" >>"$OWN/inside"
done
ctl events atk --json >"$OWN/events"
"$HERE/judge.py" "$OWN" 150 >"$OWN/judged" || not_ok "the attacks are judged"
cat "$OWN/judged"
N=$((N + $(wc -l <"$OWN/judged")))
# Again with what a profile can open: each setting opens what the table says, and all of them together
# open no more. An emulated machine looks at execution and the network only, with all at once.
lines_of() { # jit, memfd, loopback: a line for sed
	case $1 in
	jit) echo 's/^shm = .*/&\njit = yes/' ;;
	memfd) echo 's/^\[process\]/&\nmemfd = yes/' ;;
	loopback) echo 's/^\[network\]/&\nloopback = yes/' ;;
	esac
}
# again LEAST SETTING,... SUBJECT...
again() {
	local least=$1 settings=$2 work=$OWN/$2 setting name lines=()
	local profile=${settings//,/.}
	shift 2
	mkdir "$work"
	for setting in ${settings//,/ }; do lines+=(-e "$(lines_of "$setting")"); done
	world_profile "$profile" "$ROOT/world" | sed "${lines[@]}" >"$ROOT/etc/custody/profiles/$profile.ini"
	for name in "${@/#/attack_}"; do
		"$ROOT/world/prog/$name" list >>"$work/table"
		world_inside "$ROOT/world/prog/$name" "$work/$name.inside" "$profile"
		cat "$OWN/$name.outside" >>"$work/outside"
		cat "$work/$name.inside" >>"$work/inside"
	done
	ctl events "$profile" --json >"$work/events"
	"$HERE/judge.py" "$work" "$least" "$settings" >"$work/judged" || not_ok "with $settings: the attacks are judged"
	cat "$work/judged"
	N=$((N + $(wc -l <"$work/judged")))
}
if [ "${CUSTODY_LAB:-}" = 1 ]; then
	again 40 jit,memfd,loopback exec network
else
	SUBJECTS=("$ROOT"/world/prog/attack_*)
	again 150 jit,memfd,loopback "${SUBJECTS[@]#"$ROOT"/world/prog/attack_}"
	again 40 jit exec file process
	again 10 memfd exec
	again 20 loopback custody network
fi
# A socket that a friend hands over is the friend's, where no LSM plane keeps it out.
known=$(cat "$OWN/inside" "$OWN"/*/inside | grep -cE '^(tcp_reconnect|unix_abstract).succeeded')
heard=$(grep -vx -e up -e ZONE "$OWN/heard")
[ "$(grep -c . <<<"$heard")" = "$known" ] && [ "$(wc -l <"$OWN/heard.outside")" -gt 20 ] &&
	ok "the host's listeners heard $(wc -l <"$OWN/heard.outside") attacks from outside and none from the jail" ||
	not_ok "the host's listeners heard the attacks from outside and none from the jail" "$heard"
check "the ledger verifies" ctl ledger verify
daemon_stop
left=$(leaks | grep -v '^state ')
[ -z "$left" ] && ok "nothing is left" || not_ok "nothing is left" "$left"
finish
