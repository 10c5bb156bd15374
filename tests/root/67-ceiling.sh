#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Egress ceilings through the real processes: an account that belongs to the model's name, kept over
# stop and start, a custodyd that is killed and a host that is; what is done when it is used up.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test ends the processes of a jail as a crash of the host would, which the guard refuses.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
PORT=$(free_port)
ACCOUNTS=$ROOT/var/lib/custody/ceilings
same() { [ "$2" = "$3" ] && ok "$1" || not_ok "$1" "got: $2, want: $3"; }
holds() { # holds TEXT NUMBER -ge|-le NUMBER
	if test "$2" "$3" "$4"; then ok "$1"; else not_ok "$1" "$2 $3 $4 is not so"; fi
}
capped() { # capped NAME LINES-OF-NETWORK
	profile "$1" "$PORT"
	printf '%s\n' "$2" >"$ROOT/lines"
	sed -i "/^listen = /r $ROOT/lines" "$ROOT/etc/custody/profiles/$1.ini"
}
ceiling() { # ceiling NAME KEY: of the whole, from status --json
	ctl status "$1" --json | /usr/bin/python3 -c 'import json, sys
c = json.load(sys.stdin)["ceilings"]
print(c[0][sys.argv[1]] if c else "none")' "$2"
}
state() { ctl ps --json | /usr/bin/python3 -c 'import json, sys
print([m["state"] for m in json.load(sys.stdin)["models"] if m["name"] == sys.argv[1]][-1])' "$1"; }
state_is() { [ "$(state "$1")" = "$2" ]; }
is_shut() { [ "$(ceiling "$1" shut)" = True ]; }
FETCH_S=2 # for what is never answered
size() { FETCH_S=60 fetch "$PORT" "$1" | wc -c; }
get() { [ "$(size "$1")" = "$2" ]; }
head -c 1000000 /dev/zero | tr '\0' a >"$ROOT/model/million"
echo small >"$ROOT/model/small"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
capped plain ""
check "a model without a ceiling" ctl start plain
check "serves" wait_for 60 get small 6
for _ in 1 2 3 4; do get million 1000000; done && ok "4 million bytes and more" || not_ok "4 million bytes and more"
same "it has no ceiling to show" "$(ceiling plain total)" none
check "it is retired" ctl retire plain

capped web 'egress-total = 2500K'
check "a model with a lifetime ceiling of 2500K" ctl start web
check "serves" wait_for 60 get small 6
check "a million bytes" get million 1000000
USED=$(ceiling web used)
holds "status: used, with headers" "$USED" -ge 1000000
same "and left" "$(ceiling web left)" $((2560000 - USED))
[[ $(ctl status web) =~ ceilings\ +all\ endpoints:.*of\ 2.4M\ out,.*left\ \(then\ cut\) ]] && ok "in words too" ||
	not_ok "in words too" "$(ctl status web)"
[[ $(ctl ps) =~ CEILING.*\ [0-9.]+K?M?/2.4M\  ]] && ok "and in ps" || not_ok "and in ps" "$(ctl ps)"
check "stop" ctl stop web
holds "a stopped model still shows it" "$(ceiling web used)" -ge "$USED"
USED=$(ceiling web used)
check "start" ctl start web
check "serves" wait_for 60 get small 6
holds "the account went on" "$(ceiling web used)" -ge $((USED + 100))
holds "and not by what was only set aside" "$(ceiling web used)" -le $((USED + 20000))
check "custodyd is there to be killed" state_is web running
daemon_kill
check "it is, and the model serves" get small 6
daemon_start || { not_ok "custodyd starts again"; finish; exit 1; }
holds "the next custodyd knows the account" "$(ceiling web used)" -ge $((USED + 200))
check "a second million" get million 1000000
refused "the third does not get through" "*" "timed out|IncompleteRead" fetch "$PORT" million
check "the ceiling shows as reached" wait_for 60 is_shut web
holds "not a byte more than it was used" "$(ceiling web used)" -le 2560000
refused "from then on nothing gets out" 1 "timed out" fetch "$PORT" small
seen() { ctl events web | grep -q 'ceiling.*EPERM.*egress-total'; }
check "the crossing is an event in the ledger" wait_for 60 seen
seen_state() { ctl events web --json | grep -q 'egress-total used up (on-ceiling = cut)'; }
check "and a state record" wait_for 60 seen_state
[[ $(ctl status web) =~ REACHED ]] && ok "status says so" || not_ok "status says so" "$(ctl status web)"
daemon_kill
daemon_start || { not_ok "custodyd starts again"; finish; exit 1; }
refused "a custodyd that was killed changes nothing" 1 "timed out" fetch "$PORT" small
same "the crossing is not recorded twice" "$(ctl events web --json | grep -c 'egress-total used up')" 1
check "stop" ctl stop web
refused "it does not start again" 3 "ceiling of web is used up: 2560000 of 2560000.*Raise" ctl start web
[ ! -d "$CGROUP" ] || [ -z "$(find "$CGROUP" -mindepth 1 -type d)" ]
same "and leaves nothing" $? 0
sed -i 's/^egress-total.*/egress-total = 8M/' "$ROOT/etc/custody/profiles/web.ini"
check "with a higher ceiling it does" ctl start web
check "and serves" wait_for 60 get small 6
holds "what was used before counts" "$(ceiling web used)" -ge 2560000
BEFORE=$(ceiling web used)

# The host goes down: no process, no map, nothing in /run, and what is on disk.
daemon_kill
echo 1 >"$CGROUP/cgroup.kill"
wait_for 60 grep -q 'populated 0' "$CGROUP/cgroup.events"
find "$CGROUP" -mindepth 1 -depth -type d -exec rmdir {} \; 2>/dev/null
rm -rf "$ROOT"/run/custody/jails/* "$ROOT"/sys/fs/bpf/custody
daemon_start || { not_ok "custodyd starts after the host"; finish; exit 1; }
check "after a crash of the host it starts" ctl start web
check "and serves" wait_for 60 get small 6
AFTER=$(ceiling web used)
holds "not a byte was forgotten" "$AFTER" -ge "$BEFORE"
holds "and no more than what was set aside counts as sent" "$AFTER" -le $((BEFORE + 1048576 + 5000))
check "stop" ctl stop web

# An account that does not hold is never begun anew.
cp "$ACCOUNTS/web" "$ROOT/account"
head -c 4000 "$ROOT/account" >"$ACCOUNTS/web"
refused "a torn account" 3 "$ACCOUNTS/web.*wrong size.*restore" ctl start web
printf 'x' | dd of="$ACCOUNTS/web" bs=1 seek=300 conv=notrunc 2>/dev/null
head -c "$(stat -c %s "$ROOT/account")" /dev/urandom >"$ACCOUNTS/web"
refused "one of garbage" 3 "not an account" ctl start web
cp "$ROOT/account" "$ACCOUNTS/web"
printf '\1' | dd of="$ACCOUNTS/web" bs=1 seek=208 conv=notrunc 2>/dev/null
refused "one with a changed byte" 3 "digest is wrong" ctl start web
cp "$ROOT/account" "$ACCOUNTS/other" 2>/dev/null
capped other 'egress-total = 8M'
refused "another model's" 3 "another model" ctl start other
rm "$ACCOUNTS/other"
cp "$ROOT/account" "$ACCOUNTS/web"
mount -t tmpfs -o size=4k,mode=0700 none "$ACCOUNTS"
refused "no room to set anything aside" 3 "cannot be written.*make room" ctl start other
umount "$ACCOUNTS"
same "nothing is left of what was refused" "$(find "$CGROUP" -mindepth 1 -type d)" ""

check "the good account is taken" ctl start web
check "and the model serves" wait_for 60 get small 6
check "retire: clean" ctl retire web
check "evidence" ctl evidence export web "$ROOT/bundle"
grep -rqE 'all: [0-9]+ of 8388608' "$ROOT/bundle" || ctl evidence show web 2>/dev/null | grep -q 'of 8388608' ||
	base64 -d <(grep -rhoE '"payload": ?"[A-Za-z0-9+/=]+"' "$ROOT/bundle" | head -1 | cut -d'"' -f4) | grep -qE 'all: [0-9]+ of 8388608'
[ $? = 0 ] && ok "has the bytes out and the ceiling" || not_ok "has the bytes out and the ceiling"
check "it verifies" "$BIN/custody-verify" "$ROOT/bundle" --key "$ROOT/var/lib/custody/ledger/ledger.pub"
[ ! -e "$ACCOUNTS/web" ] && ok "the account has ended" || not_ok "the account has ended"
check "a new model of that name begins" ctl start web
check "and serves" wait_for 60 get small 6
holds "at 0" "$(ceiling web used)" -le 20000
check "it is retired" ctl retire web

# What else may be done at a ceiling.
capped cold $'egress-total = 1M\non-ceiling = freeze'
check "on-ceiling = freeze" ctl start cold
check "serves" wait_for 60 get small 6
check "and is frozen" wait_for 60 eval 'fetch "$PORT" million; state_is cold frozen'
check "it can be thawed, to be looked at" ctl thaw cold
refused "but nothing gets out" 1 "timed out" fetch "$PORT" small
check "it is retired" ctl retire cold
capped dead $'egress-total = 1M\non-ceiling = kill'
check "on-ceiling = kill" ctl start dead
check "serves" wait_for 60 get small 6
check "and is stopped" wait_for 60 eval 'fetch "$PORT" million; state_is dead stopped'
refused "and stays so" 3 "used up" ctl start dead
check "it is retired" ctl retire dead
capped slow "egress-rate = 400K/s tcp:127.0.0.1:$PORT=200K/s"
check "rates" ctl start slow
check "serves" wait_for 60 get small 6
BEGIN=$(date +%s%N)
check "a million bytes" get million 1000000
MS=$((($(date +%s%N) - BEGIN) / 1000000))
holds "the endpoint's 200K/s hold: ($MS ms)" $MS -ge $(((1000000 - 131072) * 1000 / 204800))
check "it is retired" ctl retire slow

# auto: a part of what is stored of the weights.
head -c 16777216 /dev/urandom >"$ROOT/model/weights"
truncate -s 1T "$ROOT/model/hole"
capped auto 'egress-total = auto'
check "egress-total = auto" ctl start auto
STORED=$(find "$ROOT/model" -type f -printf '%b %s\n' | awk '{ b = $1 * 512; s += b < $2 ? b : $2 } END { print int(s / 32) }')
same "is a 32nd of what is stored, whatever the sizes say" "$(ceiling auto total)" "$STORED"
check "it is retired" ctl retire auto
rm "$ROOT/model/weights" "$ROOT/model/hole"
refused "of small weights there is no such part" 3 "auto.*set a number" ctl start auto

# What a profile may not ask for.
capped wrong 'egress-total = 1M'
sed -i 's|^listen = .*|& unix:/run/x.sock|' "$ROOT/etc/custody/profiles/wrong.ini"
refused "a UNIX endpoint under a ceiling" 2 'wrong\.ini:[0-9]+: \[network\] egress-total: .*UNIX' ctl start wrong
capped wrong 'on-rate = cut'
refused "an answer to no ceiling" 2 'wrong\.ini:[0-9]+: \[network\] on-rate: there is no ceiling' ctl start wrong
capped wrong 'egress-rate = 1M/s tcp:10.0.0.5:443=1M/s'
refused "a ceiling of no endpoint" 2 'wrong\.ini:[0-9]+: .*10.0.0.5:443 is in neither' ctl start wrong
daemon_stop
no_leaks "nothing is left"
finish
