#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-jail: what the jail is made of. One row for each property: on the host it is seen to be
# missing, inside to be there, and the self-check says so. 10-jail-boundaries.sh has the calls.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
slot=247
uid=$((1879048192 + slot * 65536 + 1000))
dir=$(mktemp -d)
token=custody-structure-$$
segment=
listener=
pattern=
cleanup() {
	[ -z "$pattern" ] || echo "$pattern" >/proc/sys/kernel/core_pattern
	[ -z "$listener" ] || kill "$listener" 2>/dev/null
	[ -z "$segment" ] || ipcrm -m "$segment"
	umount "$dir/ramfs" 2>/dev/null
	rm -rf "$dir" "/dev/shm/$token" "/tmp/$token" /tmp/custody-structure-core
}
trap cleanup EXIT
pass() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { n=$((n + 1)); echo "not ok $n - $1"; [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
is() { if [ "$1" = "$2" ]; then pass "$3: $2"; else fail "$3: $2 (got ${1:-nothing})" "$(cat "$dir/err" 2>/dev/null)"; fi; }

chmod 755 "$dir"
install -m 755 -D build/root/structure_probe "$dir/bin/probe" || exit 1
install -m 4755 build/root/structure_probe "$dir/bin/probe-setuid" || exit 1
mkdir -m 700 "$dir/weights"
echo private >"$dir/weights/private"
echo other >"$dir/weights/other"
chown 12345:12345 "$dir/weights/other"
chmod 600 "$dir/weights/"*
touch "/dev/shm/$token" "/tmp/$token"
segment=$(ipcmk -M 4096 | sed 's/.*: //')
key=$(($(ipcs -m | awk -v id="$segment" '$2 == id { print $1 }')))
exec 9< <(exec /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind("\0" + sys.argv[1]); s.listen(); print(flush=True); time.sleep(600)' "$token")
listener=$!
read -r _ <&9
export PROBE_TOP=$dir PROBE_SHM=$token PROBE_SEGMENT=$key PROBE_ABSTRACT=$token

jail() { # WORD VALUE... -- PROGRAM [ARG]...: the driver, started as by somebody who has a secret
	"$dir/bin/probe" secret timeout 120 build/root/jail_driver build/bin/custody-jail "$slot" \
		runtime /usr:/usr runtime "$dir/bin:/probe" tmp 1048576 shm 1048576 memory 268435456 \
		env "PROBE_SHM=$token" env "PROBE_SEGMENT=$key" env "PROBE_ABSTRACT=$token" "$@" 2>"$dir/err"
}
properties() { sed -n 's/^ready .* structure=//p' "$dir/err"; }
has() { case ,$(properties), in *,$1,*) return 0 ;; *) return 1 ;; esac; }

"$dir/bin/probe" secret "$dir/bin/probe" >"$dir/host" </dev/null
rm -rf /tmp/custody-structure-core
jail weights "$dir/weights:/weights" -- /probe/probe >"$dir/inside" </dev/null
answer() { sed -n "s/^$2 //p" "$dir/$1"; }
# Which kernels and file systems have what.
mapped=no
has weights-idmapped && mapped=yes
release=$(uname -r)
at_least() { [ "$(printf '%s\n%s\n' "$1" "${release%%-*}" | sort -V | head -n 1)" = "$1" ]; }

while read -r name host inside text; do
	case $name in '' | '#'*) continue ;; esac
	got_host=$(answer host "$name")
	got=$(answer inside "$name")
	if [ "$got_host" = ENOENT ] && [ "$got" = ENOENT ] && [ "$inside" != ENOENT ]; then
		skip "$text" "this kernel has none"
	elif [ "$got_host" = "$host" ] && [ "$got" = "$inside" ]; then
		pass "$text: $got inside, $got_host on the host"
	else
		fail "$text: $inside inside (got ${got:-nothing}), $host on the host (got ${got_host:-nothing})" \
			"$(cat "$dir/err")"
	fi
done <<'TABLE'
# name		host	inside		property
shm_file	allowed	ENOENT		/dev/shm is its own
tmp_file	allowed	ENOENT		/tmp is its own
fill_shm	allowed	ENOSPC		/dev/shm has a size
fill_tmp	allowed	ENOSPC		/tmp has a size
mount		allowed	EPERM		no new mounts
mknod		allowed	EPERM		no device nodes are made
others		1	0		/proc shows no other processes
init_status	allowed	ENOENT		nor the jail's init
cpuinfo		allowed	allowed		what servers read in /proc is there: cpuinfo
meminfo		allowed	allowed		what servers read in /proc is there: meminfo
cmdline		allowed	EACCES		masked: /proc/cmdline
keys		allowed	EACCES		masked: /proc/keys
key_users	allowed	EACCES		masked: /proc/key-users
kallsyms	allowed	EACCES		masked: /proc/kallsyms
diskstats	allowed	EACCES		masked: /proc/diskstats
interrupts	allowed	EACCES		masked: /proc/interrupts
locks		allowed	EACCES		masked: /proc/locks
swaps		allowed	EACCES		masked: /proc/swaps
timer_list	allowed	EACCES		masked: /proc/timer_list
memfd_setting	0	2		vm.memfd_noexec of its pid namespace
nesting		1	0		no user namespace below its own
core_contents	1	0		coredump_filter takes nothing
core_lower	allowed	EPERM		RLIMIT_CORE stays 1: setrlimit()
core_lower_prlimit allowed EPERM	RLIMIT_CORE stays 1: prlimit()
core_ask	allowed	allowed		RLIMIT_CORE may be asked for
keyring		allowed	EPERM		no key of who started it is found
segment		allowed	ENOENT		System V memory of the host is not there
segment_size	allowed	ENOSPC		System V memory has a size
abstract	allowed	ECONNREFUSED	abstract UNIX sockets of the host are not there
weights_lease	allowed	EACCES		a lease on the weights
TABLE

# A core file: the host's pattern says whether there is one outside.
case $(cat /proc/sys/kernel/core_pattern):$(answer host core_file) in
[\|@]*) skip "a crash leaves no core file" "core dumps of this host are not files" ;;
*:1) is "$(answer inside core_file)" 0 "a crash leaves no core file, and one on the host" ;;
*) fail "a crash leaves a core file on the host" ;;
esac

# Weights that only their owner may read.
is "$(setpriv --reuid=65534 --regid=65534 --clear-groups cat "$dir/weights/private" 2>&1 | grep -c denied)" 1 \
	"without a mapping nobody else reads the weights"
if [ "$mapped" = yes ]; then
	is "$(answer inside weights_own)" allowed "weights of mode 0600 are read inside"
	is "$(answer inside weights_owner)" 1000 "their owner inside is the model"
	is "$(answer inside weights_write)" EROFS "and writes nothing"
	is "$(answer inside weights_other)" EACCES "another owner's file among them stays closed"
else
	fail "the file system of $dir maps owners" "$(cat "$dir/err"; stat -f -c %T "$dir")"
fi
is "$(stat -c '%u %a' "$dir/weights/private")" "0 600" "on the host they are as they were"

# A file system that cannot: readable as it is, or refused.
mkdir "$dir/ramfs"
mount -t ramfs none "$dir/ramfs"
mkdir -p "$dir/ramfs/model/deep"
echo hello | tee "$dir/ramfs/model/deep/open" >"$dir/ramfs/model/deep/closed"
chmod 644 "$dir/ramfs/model/deep/"*
is "$(jail weights "$dir/ramfs/model:/weights" -- /usr/bin/cat /weights/deep/open </dev/null)" hello \
	"a file system that cannot map owners, with files that all may read"
if has weights-idmapped || [ -z "$(properties)" ]; then fail "and the self-check does not say that it did"; else pass "and the self-check does not say that it did"; fi
chmod 600 "$dir/ramfs/model/deep/closed"
jail weights "$dir/ramfs/model:/weights" -- /usr/bin/cat /weights/deep/open </dev/null >"$dir/out"
is "$?" 3 "with a file that not all may read it is refused"
if grep -q "refused exit=3 errno=EACCES: test.conf:1 .*: ./deep/closed in $dir/ramfs/model is not readable" "$dir/err"; then
	pass "and the file is named, with its setting"
else
	fail "and the file is named, with its setting" "$(cat "$dir/err")"
fi

# A program that sets its uid.
if [ "$(setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/bin/probe-setuid" euid)" = 0 ]; then
	is "$(jail -- /probe/probe-setuid euid </dev/null)" 1000 "a setuid program runs as the model"
else
	skip "a setuid program runs as the model" "$dir is nosuid on this host"
fi

# While it runs: its own session keyring, of a uid that nobody else has. (Keys go a little after.)
slot=248
uid=$((1879048192 + slot * 65536 + 1000))
keys() { sed -n "s/^ *$uid: *[0-9]* \([0-9]*\).*/\1/p" /proc/key-users; }
for _ in $(seq 300); do [ -z "$(keys)" ] && break; sleep 0.1; done
is "keys:$(keys)" keys: "no key of the model's uid before"
mkfifo "$dir/hold"
jail -- /probe/probe wait <"$dir/hold" &
driver=$!
exec 8>"$dir/hold"
for _ in $(seq 300); do grep -q ^executed "$dir/err" && break; sleep 0.1; done
is "$(keys)" 1 "one key while it runs: its session keyring"
pid=$(sed -n 's/^built pid=\([0-9]*\).*/\1/p' "$dir/err")
is "$(stat -c %u "/proc/$pid/cwd" 2>/dev/null)" 0 "the jail's init is not dumpable: /proc shows it as root's"
exec 8>&-
wait "$driver"

# What the self-check reads back. `always` is what no jail is launched without.
jail weights "$dir/weights:/weights" -- /usr/bin/true </dev/null
for property in no-setuid proc-hidden no-user-namespaces own-keyring own-ipc sized-memory no-core-dump \
	not-dumpable weights-idmapped; do
	if has "$property"; then pass "self-check: $property"; else fail "self-check: $property" "$(cat "$dir/err")"; fi
done
since() { # PROPERTY YES|NO WHY
	local got=no
	[ -n "$(properties)" ] || got=nothing
	has "$1" && got=yes
	is "$got" "$2" "self-check: $1, $3"
}
abi=$(/usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
since landlock-scopes "$([ "$abi" -ge 6 ] && echo yes || echo no)" "Landlock $abi"
NOEXEC=$([ -e /proc/sys/vm/memfd_noexec ] && echo yes || echo no)
since memfd-noexec "$NOEXEC" "Linux $release"
since noswap "$(at_least 6.4 && echo yes || echo no)" "Linux $release"
jail flag memfd -- /usr/bin/true </dev/null
since memfd-noexec "$NOEXEC" "with process.memfd too"
jail flag memfd flag jit -- /usr/bin/true </dev/null
since memfd-noexec no "with process.memfd and files.jit"

# A core pattern with a pipe is run at RLIMIT_CORE 0, and not at 1. The setting is the whole host's.
text="a crash runs no handler of core dumps"
if [ "$(systemd-detect-virt 2>/dev/null)" != qemu ]; then
	skip "$text" "changes the host's core_pattern: only in the lab"
else
	pattern=$(cat /proc/sys/kernel/core_pattern)
	printf '#!/bin/sh\ncat >/dev/null\necho "$1" >>%s/handled\n' "$dir" >"$dir/handler"
	chmod 755 "$dir/handler"
	echo "|$dir/handler %P" >/proc/sys/kernel/core_pattern
	(ulimit -c 0; exec "$dir/bin/probe" crash) 2>/dev/null
	for _ in $(seq 300); do [ -s "$dir/handled" ] && break; sleep 0.1; done
	before=$(grep -c . "$dir/handled")
	jail -- /probe/probe crash </dev/null
	status=$?
	(ulimit -c 0; exec "$dir/bin/probe" crash) 2>/dev/null
	for _ in $(seq 300); do [ "$(grep -c . "$dir/handled")" -gt "$before" ] && break; sleep 0.1; done
	is "$before $status $(grep -c . "$dir/handled")" "1 134 2" "$text, and one outside"
fi
echo "1..$n"
