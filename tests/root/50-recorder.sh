#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# custody-recorder as a process: confined, fed by a real ring buffer, orphaned, given malformed
# events, a full disk, a damaged ledger; what it wrote is read by custodyctl and custody-verify.
# Makes nothing outside one temporary directory but mounts below it.

# shellcheck source=tests/root/flip.bash
. "$(dirname "$0")/flip.bash"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
B=${B:-build}
BIN=$TOP/$B/bin
[ "${B#/}" = "$B" ] || BIN=$B/bin
DRIVER=${BIN%/bin}/root/recorder_driver
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }

N=0
ok() { N=$((N + 1)); echo "ok $N - $1"; }
not_ok() {
	N=$((N + 1))
	echo "not ok $N - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}
check() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$text"; else not_ok "$text" "exit $?: $out"; fi
}
# refused TEXT EXIT WORDS COMMAND...
refused() {
	local text=$1 want=$2 words=$3 out got=0
	shift 3
	out=$("$@" 2>&1) || got=$?
	if [ "$got" = "$want" ] && printf '%s' "$out" | grep -qE -- "$words"; then
		ok "$text"
	else
		not_ok "$text" "exit $got (want $want), said: $out (want: $words)"
	fi
}
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2', want '$3'"; fi; }

ROOT=$(mktemp -d /tmp/custody-recorder.XXXXXX)
STATE=
FOLLOWER=
# shellcheck disable=SC2317,SC2329
clean_up() {
	[ -z "$FOLLOWER" ] || kill "$FOLLOWER" 2>/dev/null
	umount "$ROOT"/*/var/lib/custody/ledger 2>/dev/null
	rm -rf "$ROOT"
}
trap clean_up EXIT
# house NAME: a root of its own, as custodyd leaves it to the recorder
house() {
	HOUSE=$ROOT/$1
	STATE=$HOUSE/var/lib/custody
	mkdir -p "$STATE/ledger" "$STATE/evidence" "$STATE/keys"
	chmod 750 "$STATE/ledger" "$STATE/evidence"
	chmod 700 "$STATE/keys"
}
drive() { "$DRIVER" "$BIN/custody-recorder" "$STATE" "$@"; }
ctl() { "$BIN/custodyctl" --root "$HOUSE" "$@"; }
count() { ctl --json events | grep -c "\"type\":\"$1\""; }

house life
check "a life from launch to evidence, by a recorder without privilege" drive life 1000
same "every event of the ring is in the ledger" "$(count event)" 1000
check "the ledger verifies" ctl ledger verify
check "the newest signed head is printed" ctl ledger checkpoint
refused "no short proofs yet, and it says so" 2 "Merkle" ctl ledger prove
refused "a model nobody knows" 3 "no model called" ctl events nobody
same "every line shows the program's name without its escape byte" \
	"$(ctl events digits | LC_ALL=C grep -cF "$(printf 'poison\\x1b[2J')")" 1000
same "no escape byte is printed" "$(ctl events digits | LC_ALL=C grep -c "$(printf '\033')")" 0
check "the line of a denial reads as it should" sh -c \
	"$BIN/custodyctl --root '$HOUSE' events digits | grep -qE 'digits +denied +observe +open +EACCES +openat +poison.x1b.2J.5. zone-1:/etc/shadow'"
check "the evidence is exported" ctl evidence export digits "$HOUSE/bundle"
refused "not over something that is there" 3 "not empty" ctl evidence export digits "$HOUSE/bundle"
refused "no evidence of another model" 1 "no evidence" ctl evidence export other "$HOUSE/other"
cp "$STATE/ledger/ledger.pub" "$STATE/ledger/ledger.vkey" "$BIN/custody-verify" "$HOUSE/"
chmod -R a+rX "$ROOT" "$HOUSE/bundle"
chmod 755 "$ROOT" "$HOUSE"
auditor() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
check "an unprivileged auditor verifies it by PEM key" auditor \
	"$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/ledger.pub"
check "and by vkey" auditor "$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/ledger.vkey"
check "and in JSON" sh -c "'$HOUSE/custody-verify' '$HOUSE/bundle' --key '$HOUSE/ledger.pub' --json |
	grep -q '\"verdict\": \"clean\"'"
if openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout -out "$HOUSE/other.pub" 2>/dev/null; then
	refused "another key is refused" 1 "another key" \
		"$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/other.pub"
fi
refused "without a key nothing is verified" 2 "--key" "$HOUSE/custody-verify" "$HOUSE/bundle"
touch "$HOUSE/bundle/readme"
refused "a file too many is refused" 1 "readme" \
	"$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/ledger.pub"
rm "$HOUSE/bundle/readme"
mv "$HOUSE/bundle/head.note" "$HOUSE/head.note"
ln -s "$HOUSE/head.note" "$HOUSE/bundle/head.note"
refused "a symbolic link is refused" 1 "symbolic link" \
	"$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/ledger.pub"
rm "$HOUSE/bundle/head.note"
refused "a missing file is refused" 1 "head.note.*missing" \
	"$HOUSE/custody-verify" "$HOUSE/bundle" --key "$HOUSE/ledger.pub"
check "two recorders never write one ledger" drive second
check "a message that is not for it ends the recorder" drive protocol
check "and the ledger still verifies" ctl ledger verify
cp "$STATE/ledger/log" "$HOUSE/log.whole"
flip "$STATE/ledger/log" 500
refused "a changed byte: the place is named" 1 "record [12] at byte [0-9]+" ctl ledger verify
refused "and events stops there" 1 "damaged" ctl events
check "a recorder does not write to it, and names the place" sh -c \
	"'$DRIVER' '$BIN/custody-recorder' '$STATE' damaged | grep -qE 'damaged.*record [12] at byte [0-9]+'"
head -c 2000 "$HOUSE/log.whole" >"$STATE/ledger/log"
refused "a ledger that was cut is known by its signed heads" 1 "was cut" ctl ledger verify
check "and not written to either" sh -c \
	"'$DRIVER' '$BIN/custody-recorder' '$STATE' damaged | grep -q 'records are missing'"

house orphan
read -r emitted dropped < <(drive orphan 20000)
[ "${emitted:-0}" -gt 5000 ] && [ "${dropped:-0}" -gt 0 ] && ok "the ring was filled until it dropped" ||
	not_ok "the ring was filled until it dropped" "$emitted emitted, $dropped dropped"
same "an orphaned recorder writes all that the ring held, whatever signal it gets" \
	"$(count event)" "$emitted"
check "and signs it" ctl ledger verify

"$BIN/custodyctl" --root "$HOUSE" events -f digits >"$HOUSE/followed" & # a process, so that it can be killed
FOLLOWER=$!
wait_for() { for _ in $(seq 200); do "$@" 2>/dev/null && return; sleep 0.05; done; return 1; }
followed() { [ "$(grep -c denied "$HOUSE/followed")" = "$emitted" ]; }
check "events -f shows what is there" wait_for followed
check "a state change while it follows" drive state
check "and what comes" wait_for grep -q "state     frozen: test" "$HOUSE/followed"
kill "$FOLLOWER"
wait "$FOLLOWER" 2>/dev/null

house malformed
check "malformed events are counted, and make the verdict incomplete" drive malformed 50
same "they are no event records" "$(count event)" 0
check "a gap record tells of all 50" sh -c \
	"'$BIN/custodyctl' --root '$HOUSE' --json events | grep malformed-event | grep -q '\"total\":50'"

house full
if mount -t tmpfs -o size=64k,mode=0750 custody-test "$STATE/ledger"; then
	head -c 36864 /dev/zero >"$STATE/ledger/filler"
	check "a full disk: refused with what to do; with room again it goes on" drive full 200
	check "the ledger verifies" ctl ledger verify
	check "a gap record tells of the events that did not fit" sh -c \
		"'$BIN/custodyctl' --root '$HOUSE' --json events | grep -q ledger-unwritable"
	ctl evidence export digits "$HOUSE/bundle" >/dev/null
	refused "the evidence is true and incomplete" 4 "incomplete" \
		"$BIN/custody-verify" "$HOUSE/bundle" --key "$STATE/ledger/ledger.pub"
else
	echo "ok $((N += 1)) - a full disk # SKIP no tmpfs can be mounted"
fi
echo "1..$N"
