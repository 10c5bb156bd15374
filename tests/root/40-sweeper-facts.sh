#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-sweeper: each kind of residue is made, found and named, removed, and gone.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
dir=$(mktemp -d)
chmod 755 "$dir"
cg2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
jail=$cg2/custody-sweep-test-$$
jobs=
cleanup() {
	umount "$dir/netns" 2>/dev/null; umount "$dir/over" 2>/dev/null
	for pid in $jobs; do kill -9 "$pid" 2>/dev/null; done
	wait 2>/dev/null
	for _ in $(seq 50); do
		rmdir "$jail/broker/sub" "$jail/model" "$jail/broker" "$jail" 2>/dev/null
		[ -d "$jail" ] || break
		sleep 0.05
	done
	rm -rf "$dir"
}
trap cleanup EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
port() { /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET6); s.bind(("::", 0)); print(s.getsockname()[1])'; }
mkdir "$jail" "$jail/model" "$jail/broker" "$jail/broker/sub" || exit 1
mid=$(stat -c %i "$jail/model"); bid=$(stat -c %i "$jail/broker")

# start COMMAND...: runs it until it has written to $dir/up; its pid is $pid
start() {
	rm -f "$dir/up"
	"$@" &
	pid=$!
	jobs="$jobs $pid"
	for _ in $(seq 100); do [ -s "$dir/up" ] && return; sleep 0.05; done
	echo "# not up: $*"
}
# py PROGRAM: python with `up()`, which says that the residue is there and waits to be killed
cat >"$dir/residue.py" <<-'EOF'
	import ctypes, mmap, os, signal, socket, sys, threading
	up_file, program = sys.argv[1:3]
	def up():
	    with open(up_file, "w") as f:
	        f.write("up")
	    threading.Event().wait()
	exec(program)
EOF
py() { start /usr/bin/python3 "$dir/residue.py" "$dir/up" "$1"; }
stop() { kill -9 "$pid"; wait "$pid" 2>/dev/null; jobs=${jobs% $pid}; }
# Processes that even root cannot look into here (pid 1 of some sandboxes): they must be counted as
# unseen, exactly, by the facts that need to look into them; and not by those that the kernel has
# answered for the whole host.
hidden=0
for d in /proc/[0-9]*; do
	stat -L "$d/ns/net" 2>&1 >/dev/null | grep -q 'Permission denied' && hidden=$((hidden + 1))
done
sweep() { build/root/sweeper_driver -s build/bin/custody-sweeper "$@" >"$dir/facts"; }
# has PATTERN TEXT: a line of the last sweep
has() {
	if grep -qE "^$1" "$dir/facts"; then ok 0 "$2"; else ok 1 "$2"; sed 's/^/# /' "$dir/facts"; fi
}

sweep -c "$jail" -M "$mid" -B "$bid"
has 'confined uid=60614 gid=60614 caps=10080004 bounding=10080004 nnp=1 seccomp=2' \
	"the sweeper has its uid, three capabilities and a filter before it is asked"
has 'cgroup-present value=3 looked=1 unseen=0' "baseline: three cgroup directories"
has 'cgroup-populated value=0 looked=1 unseen=0' "baseline: nobody in them"
has 'broker-alive value=0 looked=1 unseen=0' "baseline: no broker"
has 'weights-open value=0 looked=1 unseen=0' "no model: nothing to hold"
has 'scratch-mounts value=0 looked=1 unseen=0' "no scratch: nothing mounted"
[ "$(grep -c value= "$dir/facts")" = 9 ]; ok $? "nine facts"

# ---- cgroups ----
py "open('$jail/model/cgroup.procs', 'w').write(str(os.getpid())); up()"
sweep -c "$jail" -M "$mid" -B "$bid"
has "cgroup-populated value=1 looked=1 unseen=0 pid $pid in $jail" "a process in the model's cgroup"
has 'broker-alive value=0' "and it is no broker"
stop
py "open('$jail/broker/sub/cgroup.procs', 'w').write(str(os.getpid())); up()"
sweep -c "$jail" -M "$mid" -B "$bid"
has 'cgroup-populated value=1' "a process below the broker's cgroup"
has "broker-alive value=1 looked=1 unseen=0 pid $pid python3" "and it is a broker"
stop
sweep -c "$jail" -M "$mid" -B "$bid"
has 'cgroup-populated value=0' "killed: the cgroups are empty"
has 'broker-alive value=0' "killed: no broker"
sweep -c /nonexistent/x
has "cgroup-present value=0 looked=0 unseen=0 '/nonexistent/x' lies below no cgroup2 mount" \
	"a path on no cgroup2 is not looked at, instead of gone"
has 'cgroup-populated value=0 looked=0' "nor is its population"
has 'broker-alive value=0 looked=0' "nor its broker"
sweep -c "$cg2/custody-sweep-test-none-$$"
has 'cgroup-present value=0 looked=1 unseen=0' "a cgroup that is gone is gone"

# ---- namespaces ----
start unshare -n -u sh -c "echo up >$dir/up; exec sleep 60"
net=$(stat -Lc %i "/proc/$pid/ns/net"); uts=$(stat -Lc %i "/proc/$pid/ns/uts")
sweep -c "$jail" -n "5=$net" -n "4=$uts"
has "namespace-processes value=1 looked=1 unseen=$hidden pid $pid sleep" "a process in two of the namespaces counts once"
sweep -c "$jail" -n "4=$net"
has "namespace-processes value=0 looked=1 unseen=$hidden" "an inode of another kind of namespace is no match"
stop
sweep -c "$jail" -n "5=$net" -n "4=$uts"
has "namespace-processes value=0 looked=1 unseen=$hidden" "killed: nobody in them"
py "def inside():
    assert ctypes.CDLL(None).unshare(0x04000000) == 0
    with open('$dir/uts', 'w') as f:
        f.write(str(os.stat('/proc/thread-self/ns/uts').st_ino))
    up()
threading.Thread(target=inside).start()"
sweep -c "$jail" -n "4=$(cat "$dir/uts")"
has "namespace-processes value=1 looked=1 unseen=$hidden pid $pid python3" "a single thread in a namespace"
stop


# Asked of the kernel: all eight namespaces, taken as custodyd does, then gone, or held by something.
start unshare -m -u -i -n -p -f -C -T -U -r sh -c "echo up >$dir/up; exec sleep 60"
inner=$(pgrep -P "$pid")
jobs="$jobs $inner"
every=
for kind in 0=user 1=mnt 2=pid 3=ipc 4=uts 5=net 6=cgroup 7=time; do
	every="$every -n ${kind%=*}=$(stat -Lc %i "/proc/$inner/ns/${kind#*=}")"
done
coproc ask { exec build/root/nshandle_driver "$inner"; }
ask_pid=$!; jobs="$jobs $ask_pid"
read -r taken <&"${ask[0]}"
# answer: what the kernel says about the eight namespaces now, in $answer
answer() { echo >&"${ask[1]}"; read -r answer <&"${ask[0]}"; answer=${answer% }; }
build/root/nshandle_driver $$ | grep -q 'refused: Operation not permitted'
ok $? "namespaces that are custodyd's own are refused"
case $taken in
"taken: 8 handles")
	ok 0 "this kernel has handles of all eight namespaces"
	answer
	[ "$answer" = "-a 0 -a 1 -a 2 -a 3 -a 4 -a 5 -a 6 -a 7" ]; ok $? "all eight are alive"
	# shellcheck disable=SC2086 # options
	sweep -c "$jail" $every $answer
	has "namespace-processes value=[12] looked=1 unseen=$hidden pid [0-9]+ (unshare|sleep)" \
		"alive: the process in them is named"
	: >"$dir/netns"
	mount --bind "/proc/$inner/ns/net" "$dir/netns"
	kill -9 "$inner"; stop; jobs=${jobs/ $inner/}
	kept="-a 0 -g 1 -g 2 -g 3 -g 4 -a 5 -g 6 -g 7"
	for _ in $(seq 100); do answer; [ "$answer" = "$kept" ] && break; sleep 0.05; done
	[ "$answer" = "$kept" ]
	ok $? "killed: gone, but for the one that a bind mount keeps and the user namespace that owns it"
	# shellcheck disable=SC2086
	sweep -c "$jail" $every $answer
	has "namespace-processes value=1 looked=1 unseen=$hidden mount [0-9]* of one, seen by pid " \
		"a namespace that a bind mount keeps, without a process"
	umount "$dir/netns"
	for _ in $(seq 100); do answer; [[ $answer == *-a* ]] || break; sleep 0.05; done
	# shellcheck disable=SC2086
	sweep -c "$jail" $every $answer
	[ "$answer" = "-g 0 -g 1 -g 2 -g 3 -g 4 -g 5 -g 6 -g 7" ]; ok $? "unmounted: all eight are gone"
	has 'namespace-processes value=0 looked=1 unseen=0 $' "gone: nobody is in them, and nobody is unseen"
	;;
*)
	kill -9 "$inner"; stop; jobs=${jobs/ $inner/}
	n=$((n + 1)); echo "ok $n - handles of namespaces # SKIP $taken: this kernel has none"
	;;
esac
sweep -c "$jail" -n 4=1 -g 5
has "namespace-processes value=0 looked=1 unseen=$hidden" "not asked: who cannot be read is unseen"
kill "$ask_pid" 2>/dev/null; wait "$ask_pid" 2>/dev/null; jobs=${jobs/ $ask_pid/}

# ---- sockets ----
p=$(port)
py "s = socket.socket(); s.bind(('0.0.0.0', $p)); s.listen(); up()"
sweep -c "$jail" -e "tcp/127.0.0.1/$p" -e "tcp/::1/$p" -e "udp/127.0.0.1/$p" -e "tcp/127.0.0.1/1"
has "endpoints-bound value=1 looked=1 unseen=0 endpoint 0, tcp port $p" "a wildcard listener serves the IPv4 endpoint only"
stop
py "s = socket.socket(socket.AF_INET6); s.bind(('::', $p)); s.listen(); up()"
sweep -c "$jail" -e "tcp/127.0.0.1/$p" -e "tcp/::1/$p"
has 'endpoints-bound value=2 looked=1' "a dual-stack listener serves both"
stop
py "s = socket.socket(socket.AF_INET6); s.setsockopt(41, 26, 1); s.bind(('::', $p)); s.listen(); up()"
sweep -c "$jail" -e "tcp/127.0.0.1/$p" -e "tcp/::1/$p"
has 'endpoints-bound value=1 looked=1 unseen=0 endpoint 1' "with IPV6_V6ONLY, the IPv6 one"
stop
py "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', $p)); up()"
sweep -c "$jail" -e "tcp/127.0.0.1/$p" -e "udp/0.0.0.0/$p" -e "udp/127.0.0.2/$p"
has 'endpoints-bound value=1 looked=1 unseen=0 endpoint 1, udp' "a bound UDP socket"
stop
sweep -c "$jail" -e "tcp/127.0.0.1/$p" -e "udp/0.0.0.0/$p"
has 'endpoints-bound value=0 looked=1 unseen=0' "killed: nobody serves them"
py "open('$jail/model/cgroup.procs', 'w').write(str(os.getpid()))
s = socket.socket(); s.bind(('127.0.0.1', $p)); s.listen()
c = socket.create_connection(('127.0.0.1', $p)); a, _ = s.accept(); up()"
sweep -c "$jail" -M "$mid" -B "$bid"
has "sockets-inet value=3 looked=1 unseen=0 tcp port" "listener, client and accepted socket of the model's cgroup"
sweep -c "$jail" -M "$bid"
has 'sockets-inet value=0 looked=1 unseen=0' "and they are not another cgroup's"
stop
sweep -c "$jail" -M "$mid" -B "$bid"
has 'sockets-inet value=0 looked=1 unseen=0' "killed: none"
py "s = socket.socket(socket.AF_UNIX); s.bind('$dir/m.sock'); up()"
sweep -c "$jail" -u "$dir/m.sock" -u "$dir/other.sock"
has "sockets-unix value=1 looked=1 unseen=0 $dir/m.sock" "a UNIX socket on a published path"
stop
sweep -c "$jail" -u "$dir/m.sock"
has 'sockets-unix value=0 looked=1 unseen=0' "killed: none, though the file is still there"

# ---- scratch ----
mkdir "$dir/mnt"
start unshare -m --propagation private sh -c "mount -t tmpfs scratch $dir/mnt && stat -c %d $dir/mnt >$dir/dev && echo up >$dir/up; cd /; exec sleep 60"
dev=$(cat "$dir/dev")
sweep -c "$jail" -d "$dev"
has "scratch-mounts value=1 looked=1 unseen=$hidden mount [0-9]+, seen by pid $pid sleep" "a tmpfs in another mount namespace"
stop
sweep -c "$jail" -d "$dev"
has "scratch-mounts value=0 looked=1 unseen=0 $" "killed: the kernel knows no such file system, nobody is unseen"
start unshare -m --propagation private sh -c "mount -t tmpfs scratch $dir/mnt && stat -c %d $dir/mnt >$dir/dev; exec 5>$dir/mnt/file; umount -l $dir/mnt; echo up >$dir/up; exec sleep 60"
sweep -c "$jail" -d "$(cat "$dir/dev")"
has "scratch-mounts value=1 looked=1 unseen=$hidden open in pid $pid sleep" "unmounted, but kept alive by an open file"
stop
py "import subprocess
assert ctypes.CDLL(None).unshare(0x20000) == 0
subprocess.check_call(['mount', '--make-rprivate', '/'])
subprocess.check_call(['mount', '-t', 'tmpfs', 'scratch', '$dir/mnt'])
open('$dir/dev', 'w').write(str(os.stat('$dir/mnt').st_dev))
a, b = socket.socketpair(); f = os.open('$dir/mnt/file', os.O_RDWR | os.O_CREAT)
socket.send_fds(a, [b'x'], [f]); os.close(f)
subprocess.check_call(['umount', '-l', '$dir/mnt'])
up()"
sweep -c "$jail" -d 1048575 -d "$(cat "$dir/dev")"
has "scratch-mounts value=1 looked=1 unseen=$hidden device 0:[0-9]+ lives, held by a process that /proc does not show" \
	"the second of two devices, kept alive by an fd in a UNIX socket's queue"
stop
sweep -c "$jail" -d 1048575 -d "$(cat "$dir/dev")"
has 'scratch-mounts value=0 looked=1 unseen=0 $' "killed: both are gone"

# ---- weights ----
mkdir -p "$dir/model/a/b"; chmod 700 "$dir/model"
head -c 8192 /dev/zero >"$dir/model/a/b/w.bin"; echo x >"$dir/model/config"
sweep -c "$jail" -m "$dir/model"
has 'weights-open value=0 looked=1 unseen=0 $' "baseline: nobody holds the weights, nobody is unseen"
case $(stat -f -c %T "$dir") in
ext2/ext3|xfs|btrfs|tmpfs|f2fs) ;;
*) echo "# this file system is not asked for leases; the next tests see /proc only" ;;
esac
py "f = open('$dir/model/a/b/w.bin'); os.rename('$dir/model/a/b/w.bin', '$dir/model/renamed'); up()"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=1 looked=1 unseen=$hidden pid $pid python3" "an open file, renamed meanwhile"
stop
py "f = open('$dir/model/renamed', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
f.close(); os.closerange(3, 100); up()"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=1 looked=1 unseen=$hidden pid $pid python3" "a mapping without a descriptor"
stop
py "a, b = socket.socketpair(); f = os.open('$dir/model/renamed', os.O_RDONLY)
socket.send_fds(a, [b'x'], [f]); os.close(f); up()"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=1 looked=1 unseen=$hidden 1 files held by a process that /proc does not show" \
	"an fd in a UNIX socket's queue, which no fd table shows"
stop
py "f = os.open('$dir/model/renamed', os.O_WRONLY); up()"
sweep -c "$jail" -m "$dir/model/renamed"
has "weights-open value=1 looked=1 unseen=$hidden pid $pid python3" "a model that is one file, open for writing"
stop
sweep -c "$jail" -m "$dir/model/renamed"
has 'weights-open value=0 looked=1 unseen=0 $' "closed: free"
mkfifo "$dir/model/fifo"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=0 looked=1 unseen=$hidden" "a FIFO is not opened: it is looked for in /proc"
rm "$dir/model/fifo"
ln -s /dev/null "$dir/model/link"
sweep -c "$jail" -m "$dir/model"
has 'weights-open value=0 looked=1 unseen=0 $' "a symbolic link holds nothing and is not followed"
rm "$dir/model/link"
mkdir "$dir/upper" "$dir/work" "$dir/over"
if mount -t overlay overlay -o "lowerdir=$dir/model,upperdir=$dir/upper,workdir=$dir/work" "$dir/over" 2>/dev/null; then
	py "f = open('$dir/over/renamed', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
f.close(); os.closerange(3, 100); up()"
	sweep -c "$jail" -m "$dir/over"
	# Before Linux 6.8 the mapping shows the inode of the layer below.
	found=$([ "$(printf '6.8\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.8 ] && echo 1 || echo 0)
	has "weights-open value=$found looked=1 unseen=$hidden" "overlayfs is not asked: the file behind it is another one"
	stop
	sweep -c "$jail" -m "$dir/over"
	has "weights-open value=0 looked=1 unseen=$hidden" "overlayfs: /proc alone decides"
	umount "$dir/over"
else
	n=$((n + 1)); echo "ok $n - overlayfs # SKIP it cannot be mounted here"
fi
py "def inside():
    assert ctypes.CDLL(None).unshare(0x400) == 0
    f = os.open('$dir/model/config', os.O_RDONLY)
    up()
threading.Thread(target=inside).start()"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=1 looked=1 unseen=$hidden pid $pid python3" "a thread with an fd table of its own"
stop
py "open('/proc/self/comm', 'w').write('\033[31m\\\\x')
f = open('$dir/model/config'); up()"
sweep -c "$jail" -m "$dir/model"
has "weights-open value=1 looked=1 unseen=$hidden pid $pid \\\\x1b\[31m" "a hostile process name is escaped"
stop
sweep -c "$jail" -m "$dir/model"
has 'weights-open value=0 looked=1 unseen=0 $' "killed: nobody"
sweep -c "$jail" -m "$dir/nowhere"
has "weights-open value=0 looked=0 unseen=0 model '$dir/nowhere': No such file" "a model that cannot be found is not looked at"

if [ "$hidden" -gt 0 ]; then
	sweep -c "$jail" -m "$dir/model" -d 1048575 -n 4=1
	has "namespace-processes value=0 looked=1 unseen=$hidden cannot read pid [0-9]+ " "a process that cannot be read is named"
	has 'scratch-mounts value=0 looked=1 unseen=0 $' "it is not unseen by what the kernel answered: scratch"
	has 'weights-open value=0 looked=1 unseen=0 $' "nor by what it answered about the weights"
else
	n=$((n + 1)); echo "ok $n - a process that cannot be read # SKIP every process can be read here"
fi

# ---- without what it needs ----
if command -v capsh >/dev/null; then
	for cap in cap_sys_ptrace cap_dac_read_search cap_lease; do
		capsh --drop=$cap -- -c "build/root/sweeper_driver -s build/bin/custody-sweeper -c $jail" >"$dir/facts" 2>/dev/null
		r=$?
		[ $r = 69 ] && grep -q 'refused: sweeper: giving up privileges' "$dir/facts"
		ok $? "without $cap the sweeper refuses, instead of finding nothing"
	done
else
	for cap in cap_sys_ptrace cap_dac_read_search cap_lease; do
		n=$((n + 1)); echo "ok $n - without $cap # SKIP capsh is not installed"
	done
fi

rmdir "$jail/broker/sub" "$jail/model" "$jail/broker" "$jail"
sweep -c "$jail" -M "$mid" -B "$bid"
has 'cgroup-present value=0 looked=1 unseen=0' "removed: no cgroup directory is left"

echo "1..$n"
