#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration: one real model server, taken into custody, attacked from inside, watched,
# retired, and proven gone. Root; touches nothing outside a temporary directory but a network
# namespace, a veth pair and (only where there is none) /dev/nvidia0, all removed at the end.
# Exit 0 only when every step held.
#
#   KEEP=1 tests/demo/demo.sh     leaves the temporary directory for a look afterwards
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
bin=${CUSTODY_BIN:-$top/${B:-build}/bin}
python=/usr/bin/python3
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

say() { printf '\n\033[1m%s\033[0m\n' "$1"; shift; [ $# -eq 0 ] || printf '%s\n' "$@"; }
note() { printf '  %s\n' "$@"; }
fail() {
	printf '\ndemo: FAILED: %s\n' "$*" >&2
	[ ! -s "$root/custodyd.log" ] || sed 's/^/  custodyd.log: /' "$root/custodyd.log" | tail -n 20 >&2
	exit 1
}
ctl() { "$bin/custodyctl" --root "$root" "$@"; }

[ "$(id -u)" -eq 0 ] || { echo "demo: needs root: it makes jails" >&2; exit 3; }
for role in custodyd custody-jail custodyctl custody-verify; do
	[ -x "$bin/$role" ] || { echo "demo: $bin/$role is missing: run make" >&2; exit 2; }
done

# ---- what has to be undone ----
root=$(mktemp -d /tmp/custody-demo.XXXXXX)
chmod 755 "$root"
netns=custody-demo-$$
cgroup2=$(awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' \
	/proc/self/mountinfo)
[ -n "$cgroup2" ] || { echo "demo: no cgroup2 file system is mounted" >&2; exit 3; }
cgroup=$cgroup2/custody-demo-$$
custodyd=
gpu_made=
jobs_started=()

stop_custodyd() {
	[ -n "$custodyd" ] || return 0
	kill "$custodyd" 2>/dev/null || true
	wait "$custodyd" 2>/dev/null || true
	custodyd=
}

# A jail outlives custodyd by design: after a failed step, end what still runs.
end_jails() {
	local i
	[ -d "$cgroup" ] || return 0
	echo 1 >"$cgroup/cgroup.kill"
	for ((i = 0; i < 100; i++)); do
		! grep -q 'populated 1' "$cgroup/cgroup.events" || { sleep 0.05; continue; }
		break
	done
	find "$cgroup" -depth -type d -exec rmdir {} +
}

clean_up() {
	local status=$? pid
	trap - EXIT INT TERM
	set +e
	stop_custodyd
	end_jails
	for pid in "${jobs_started[@]}"; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	ip netns del "$netns" 2>/dev/null
	[ -z "$gpu_made" ] || rm -f /dev/nvidia0
	# Everything mounted below the temporary root, deepest first.
	awk -v r="$root/" 'index($5, r) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount "$mount"; done
	if [ -n "${KEEP:-}" ]; then
		echo "demo: kept $root"
	else
		rm -rf --one-file-system "$root"
	fi
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
	"$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for TEXT FILE SECONDS [PID]: until FILE holds a line with TEXT, or PID ended, or time is up
wait_for() {
	local i
	for ((i = 0; i < $3 * 20; i++)); do
		! grep -qs -- "$1" "$2" || return 0
		[ -z "${4:-}" ] || kill -0 "$4" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

connections() { grep -c '^connection' "$1" || true; }

# ---- 1 ----
say "1. A model, and custody" \
	"We train a classifier of handwritten digits, put it beside a small HTTP server that knows" \
	"nothing of custody, and start custodyd under $root."
weights=$root/srv/models/digits
program=$root/srv/digits-server
mkdir -p "$weights" "$program" "$root/etc/custody/profiles" "$root/usr/share/custody"
cp "$here/server.py" "$program/"
cp -r "$top/profiles" "$root/usr/share/custody/profiles"
"$python" "$here/train.py" "$weights/model.pickle" "$root/held-out.json" | sed 's/^/  /'
cp "$weights/model.pickle" "$root/clean.pkl"
port=$(free_port)
# The server's own directory is data: read by the interpreter, never run by the kernel.
cat >"$root/etc/custody/profiles/digits.ini" <<-END
	[profile]
	extends = sklearn-digits
	[model]
	path = $weights
	[process]
	command = $python $program/server.py --port $port --model {model}/model.pickle
	[files]
	data += $program
	[network]
	listen = tcp:127.0.0.1:$port
END
"$bin/custodyd" --root "$root" --cgroup "custody-demo-$$" 2>"$root/custodyd.log" &
custodyd=$!
wait_for 'custodyd: ready' "$root/custodyd.log" 30 "$custodyd" || fail "custodyd is not ready"
note "custodyd runs as process $custodyd; its profile for the server:"
sed 's/^/    /' "$root/etc/custody/profiles/digits.ini"

# ---- 2 ----
say "2. The model serves from its jail" \
	"custodyctl start digits builds the jail, installs the kernel's policy and reads it back, and" \
	"only then lets the server start. It has no network of its own: the listening socket on" \
	"127.0.0.1:$port was made outside and handed to it. We classify 200 images it never saw."
ctl start digits || fail "custodyctl start digits ended with $?"
"$python" "$here/client.py" "$root/held-out.json" 127.0.0.1 "$port" | sed 's/^/  /' ||
	fail "the served model does not answer as it should"

# ---- 3 ----
say "3. The same server loads a poisoned model" \
	"A pickle is a program. This one attacks the host while it is loaded, then turns into the true" \
	"classifier. First it is loaded outside custody, on stand-ins, to see that every attack works;" \
	"then in custody. The demo keeps a listener on the host's loopback and one in another network" \
	"namespace, and they must hear nothing."
bash -c 'exec -a custody-demo-canary sleep infinity' &
canary=$!
jobs_started+=("$canary")
"$python" "$here/listen.py" 127.0.0.1 0 "$root/loopback.log" &
jobs_started+=("$!")
ip netns add "$netns" || fail "cannot make a network namespace"
ip link add "cd$$" type veth peer name eth0 netns "$netns" || fail "cannot make a veth pair"
ip addr add 198.51.100.1/30 dev "cd$$"
ip link set "cd$$" up
ip -n "$netns" addr add 198.51.100.2/30 dev eth0
ip -n "$netns" link set eth0 up
ip netns exec "$netns" "$python" "$here/listen.py" 198.51.100.2 0 "$root/namespace.log" &
jobs_started+=("$!")
for log in loopback namespace; do
	wait_for '^listening' "$root/$log.log" 10 || fail "the listener of $log.log did not start"
done
if [ ! -e /dev/nvidia0 ]; then
	mknod /dev/nvidia0 c 195 0 || fail "cannot make a stand-in for a GPU node"
	gpu_made=1
fi
"$python" "$here/poison.py" "$root/clean.pkl" "$root/poisoned.pkl" \
	canary="$canary" canary_mark=custody-demo-canary outside="$root/outside" \
	loopback_port="$(awk '/^listening/ { print $2 }' "$root/loopback.log")" \
	namespace_address=198.51.100.2 \
	namespace_port="$(awk '/^listening/ { print $2 }' "$root/namespace.log")" \
	other_port="$(free_port)" gpu_node=/dev/nvidia0

mkdir -p "$root/outside-weights"
cp "$root/poisoned.pkl" "$root/outside-weights/model.pickle"
unshare --mount --propagation private "$python" "$here/server.py" \
	--model "$root/outside-weights/model.pickle" --port "$(free_port)" >"$root/outside.log" 2>&1 &
outside=$!
wait_for 'POISON DONE' "$root/outside.log" 60 "$outside" ||
	fail "outside custody the payload did not end: $(tail -n 3 "$root/outside.log")"
kill "$outside" && wait "$outside" 2>/dev/null || true
before_loopback=$(connections "$root/loopback.log")
before_namespace=$(connections "$root/namespace.log")
[ "$before_loopback" -eq 1 ] && [ "$before_namespace" -eq 1 ] ||
	fail "outside custody the listeners heard $before_loopback and $before_namespace connections"

ctl stop digits || fail "custodyctl stop digits ended with $?"
cp "$root/poisoned.pkl" "$weights/model.pickle"
ctl start digits || fail "custodyctl start digits (poisoned) ended with $?"
"$python" "$here/client.py" "$root/held-out.json" 127.0.0.1 "$port" | sed 's/^/  /' ||
	fail "the poisoned server does not serve: see $root/var/lib/custody/logs"
cat "$root"/var/lib/custody/logs/digits.log* >"$root/inside.log"
report() { "$python" "$here/report.py" "$root/outside.log" "$root/inside.log" "$root/events.json"; }
# The ledger is a moment behind the kernel: ask again until it has everything, at most 5 s.
for ((i = 0; i < 50; i++)); do
	ctl --json events digits >"$root/events.json" || fail "custodyctl events digits ended with $?"
	! report >/dev/null 2>&1 || break
	sleep 0.1
done
echo
report || fail "an attack was not refused and recorded as it must be"
[ "$(connections "$root/loopback.log")" -eq "$before_loopback" ] &&
	[ "$(connections "$root/namespace.log")" -eq "$before_namespace" ] ||
	fail "a listener heard from the jailed model"
note "" "both listeners heard nothing; the denials, as custodyctl events digits shows them:"
ctl events digits | grep -i denied | tail -n 12 | cut -c 1-150 | sed 's/^/    /'

# ---- 4 ----
say "4. What custody knows of it" \
	"ps is one line for each model; status has the planes that are in force, the endpoint, and" \
	"the kernel's own counters."
ctl ps >"$root/ps.txt" || fail "custodyctl ps ended with $?"
sed 's/^/  /' "$root/ps.txt"
grep -q digits "$root/ps.txt" || fail "ps does not name the model"
echo
ctl status digits >"$root/status.txt" || fail "custodyctl status ended with $?"
sed 's/^/  /' "$root/status.txt"
for word in structure cgroup "127.0.0.1:$port"; do
	grep -q -- "$word" "$root/status.txt" || fail "status does not say '$word'"
done

# ---- 5 ----
say "5. Retired, and proven" \
	"retire drains the endpoint, ends the model, looks for what is left of it, erases its scratch," \
	"looks again, judges the facts and signs. The evidence is then checked by someone who has" \
	"neither privilege, nor network, nor the daemon: uid 65534 in an empty network namespace."
ctl retire digits || fail "custodyctl retire digits ended with $?"
auditor=$root/auditor
ctl evidence export digits "$root/bundle" || fail "custodyctl evidence export ended with $?"
mkdir "$auditor"
cp -r "$root/bundle" "$auditor/bundle"
cp "$root/var/lib/custody/ledger/ledger.pub" "$bin/custody-verify" "$here/tamper.py" "$auditor/"
chown -R 65534:65534 "$auditor"
audit() { (cd "$auditor" && unshare --net "${nobody[@]}" "$@"); }
audit ./custody-verify bundle --key ledger.pub | sed 's/^/  /' ||
	fail "custody-verify does not accept the evidence"
note "" "now one byte at a time is flipped in every file of it:"
audit "$python" tamper.py bundle ./custody-verify --key ledger.pub ||
	fail "a flipped byte was not noticed"
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
	fail "something still answers on 127.0.0.1:$port"
fi
stop_custodyd
left=$(awk -v r="$root/" 'index($5, r) == 1 && $5 != r "sys/fs/bpf" { print $5 }' /proc/self/mountinfo
	[ ! -d "$cgroup" ] || find "$cgroup" -mindepth 1 -type d
	[ ! -d "$root/sys/fs/bpf/custody" ] || find "$root/sys/fs/bpf/custody" -type f)
[ -z "$left" ] || fail "something is left behind: $left"

say "Every step held." \
	"The model served, its poisoned twin was held, and its end is on record in a form that anyone" \
	"with the public key can check elsewhere. Read README.md for what that proves, and what it does not."
