#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may ask custodyd for what, by real uids: root everything; members of custody's group how things
# stand; everybody else nothing. And: two custodyds on one host give no two models the same uids, a
# jail whose custodyd is dead included.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
command -v setpriv >/dev/null || skip_all "needs setpriv"
READERS=60616
chmod 711 "$ROOT"
PORT=$(free_port)
profile web "$PORT"
profile other "$(free_port)"
echo weights >"$ROOT/model/file"
as_nobody() { setpriv --reuid 12345 --regid 12345 --clear-groups "$BIN/custodyctl" --root "$ROOT" "$@"; }
as_reader() { setpriv --reuid 12346 --regid 12346 --groups $READERS "$BIN/custodyctl" --root "$ROOT" "$@"; }
as_main() { setpriv --reuid 12347 --regid $READERS --clear-groups "$BIN/custodyctl" --root "$ROOT" "$@"; }
setpriv --reuid 12345 --regid 12345 --clear-groups test -x "$BIN/custodyctl" || skip_all "$BIN is not for everybody"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "root starts a model" ctl start web
wait_for 10 fetch "$PORT"
check "root registers a version" ctl model register other "$ROOT/model"
check "and another" ctl model register other "$ROOT/model"
VERSIONS=$(ctl model list other --json)
CHANGES=("stop web" "freeze web" "thaw web" "retire web" "start other" "restrict --cut-egress web"
	"start other@1" "model register other $ROOT/model" "model rollback other" "model rollback other --restart"
	"model revoke other --reason none" "model revoke other@1 --reason none")
for verb in "ps" "status web" "model list" "model list other" "${CHANGES[@]}"; do
	# shellcheck disable=SC2086 # words
	refused "nobody in particular: $verb" 3 "Only root" as_nobody $verb
done
for who in as_reader as_main; do
	check "$who: ps" $who ps
	check "$who: status" $who status web
	check "$who: model list" $who model list other
	for verb in "${CHANGES[@]}"; do
		# shellcheck disable=SC2086 # words
		refused "$who: not $verb" 3 "Only root may ask for this" $who $verb
	done
	refused "$who: not run" 3 "Only root may ask for this" $who run --name mine -- /bin/true
done
check "the model did not notice" fetch "$PORT"
if [ "$(ctl model list other --json)" = "$VERSIONS" ]; then ok "the registry is as it was"; else not_ok "the registry is as it was"; fi
check "nor is it restricted" eval '! ctl status web | grep -q RESTRICTED'
check "ids are the kernel's word: a user in a user namespace is root only there" \
	eval '! setpriv --reuid 12345 --regid 12345 --clear-groups unshare -Ur "$BIN/custodyctl" --root "$ROOT" ps 2>/dev/null'

# ---- uids ----
uids() { "$BIN/custodyctl" --root "$1" status "$2" --json | grep -o '"uid_first": *[0-9]*' | grep -o '[0-9]*$'; }
FIRST=$(uids "$ROOT" web)
OTHER=$(mktemp -d /tmp/custody-test.XXXXXX)
chmod 711 "$OTHER"
mkdir -p "$OTHER/usr/share/custody/profiles" "$OTHER/etc/custody/profiles"
cp "$ROOT"/usr/share/custody/profiles/* "$OTHER/usr/share/custody/profiles/"
sed "s/:[0-9]*$/:$(free_port)/; s/http.server [0-9]*/http.server 0/" "$ROOT/etc/custody/profiles/other.ini" \
	>"$OTHER/etc/custody/profiles/other.ini"
sed -i "s/http.server 0/http.server $(sed -n 's/^listen = .*://p' "$OTHER/etc/custody/profiles/other.ini")/" \
	"$OTHER/etc/custody/profiles/other.ini"
second_start() {
	: >"$OTHER/log"
	"$BIN/custodyd" --root "$OTHER" --no-guard >/dev/null 2>>"$OTHER/log" &
	SECOND=$!
	wait_for 60 grep -q 'ready$' "$OTHER/log"
}
second_ends() { kill "-$1" "$SECOND"; wait "$SECOND" 2>/dev/null; }
if ! second_start; then
	ok "a second custodyd # SKIP not beside the first: $(tail -1 "$OTHER/log")"
else
	check "a second custodyd starts a model" "$BIN/custodyctl" --root "$OTHER" start other
	SECONDS_FIRST=$(uids "$OTHER" other)
	[ -n "$FIRST" ] && [ -n "$SECONDS_FIRST" ] && [ "$FIRST" != "$SECONDS_FIRST" ] && ok "with uids of its own" ||
		not_ok "with uids of its own" "$FIRST $SECONDS_FIRST"
	INIT=$("$BIN/custodyctl" --root "$OTHER" status other --json | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$')
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$INIT/status")" = $((SECONDS_FIRST + 1000)) ] &&
		ok "which its processes have" || not_ok "which its processes have" "$(grep ^Uid "/proc/$INIT/status")"
	"$BIN/custodyctl" --root "$OTHER" events other | grep -q "uids $SECONDS_FIRST-" && ok "and the ledger" || not_ok "and the ledger"
	# Its custodyd dies and its lock with it; the jail goes on, and keeps its uids.
	second_ends KILL
	check "the first starts another" ctl start other
	THIRD=$(uids "$ROOT" other)
	[ "$THIRD" != "$SECONDS_FIRST" ] && [ "$THIRD" != "$FIRST" ] && ok "which has neither's uids, nor those of the orphan" ||
		not_ok "which has neither's uids" "$FIRST $SECONDS_FIRST $THIRD"
	second_start && ok "the second custodyd is back" || not_ok "the second custodyd is back" "$(cat "$OTHER/log")"
	[ "$(uids "$OTHER" other)" = "$SECONDS_FIRST" ] && ok "and its model's uids are what they were" || not_ok "and its model's uids are what they were"
	check "it is stopped" "$BIN/custodyctl" --root "$OTHER" stop other
	check "and the first uses its uids again" eval 'ctl stop other && ctl stop web && ctl start web && ctl start other'
	second_ends TERM
	ctl stop other >/dev/null
fi
ctl stop web >/dev/null
daemon_stop
umount "$OTHER/sys/fs/bpf" 2>/dev/null
rm -rf "$OTHER"
rm -f "$ROOT"/run/custody/jails/*
no_leaks "nothing is left"
finish
