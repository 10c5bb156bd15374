#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-broker: unmodified servers in an empty network namespace, reached on the host's loopback.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
dir=$(mktemp -d)
chmod 755 "$dir"
job=
# The server goes with the driver, and the broker with the server
cleanup() {
	# shellcheck disable=SC2046
	[ -n "$job" ] && kill $(cat "/proc/$job/task/$job/children" 2>/dev/null) "$job" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
port() { /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET6); s.bind(("::", 0)); print(s.getsockname()[1])'; }

# serve NAME ENDPOINTS -- COMMAND...: starts the driver and waits until the endpoints listen
serve() {
	out=$dir/$1; shift
	mkdir -m 755 "$out"
	local args=()
	while [ "$1" != -- ]; do args+=(-e "$1"); shift; done
	shift
	build/root/broker_driver -b build/bin/custody-broker -o "$out" "${args[@]}" -- "$@" \
		>"$out/stdout" 2>"$out/stderr" &
	job=$!
	for _ in $(seq 100); do [ -e "$out/ready" ] && return 0; sleep 0.05; done
	sed 's/^/# /' "$out/stderr"
	return 1
}
fetch() { curl -s --noproxy '*' --max-time 20 "$1"; }
# The child of the driver that is the server (the broker is the other one)
stop() {
	local pid
	for pid in $(cat "/proc/$job/task/$job/children" 2>/dev/null); do
		grep -q custody-broker "/proc/$pid/comm" 2>/dev/null || kill "$pid" 2>/dev/null
	done
	wait "$job"
	job=
}
check() { # NAME TEXT URL...
	local text=$1 r=0; shift
	for url in "$@"; do fetch "$url" | grep -q "$text" || r=1; done
	return $r
}

install -m 755 build/root/broker_probe "$dir/probe"
mkdir -m 755 "$dir/www"; echo custody-www >"$dir/www/index.html"; chmod 644 "$dir/www/index.html"
cat >"$dir/server.js" <<-'EOF'
	const http = require('http');
	const [, , port, host] = process.argv;
	const server = http.createServer((q, r) => r.end('custody-node'));
	host ? server.listen({ port: +port, host, ipv6Only: process.argv[4] === 'only' }) : server.listen(+port);
EOF
chmod 644 "$dir/server.js"

p=$(port)
serve py4 "tcp:127.0.0.1:$p" -- /usr/bin/python3 -m http.server "$p" --directory "$dir/www"
check custody-www "http://127.0.0.1:$p/"; ok $? "python http.server (0.0.0.0) is reached on 127.0.0.1"
for broker in $(cat "/proc/$job/task/$job/children"); do
	grep -q custody-broker "/proc/$broker/comm" && break
done
status=$(tr '\n\t' '  ' <"/proc/$broker/status")
uid=$((1879048192 + 200 * 65536 + 1))
[[ $status == *"Uid: $uid $uid $uid $uid "*"Gid: $uid $uid $uid $uid "*"Groups:   "* ]]
ok $? "the broker runs as its own uid without groups"
[[ $status == *"CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 "* ]]
ok $? "the broker has no capability, no_new_privs and a seccomp filter"
[ "$(stat -c %d:%i "/proc/$broker/root/.")" = "$(stat -c %d:%i /proc/.)" ]; ok $? "the broker's root is /proc"
# 0-3, log pipe, two logs, /proc, listener, the next custodyd's socket, one endpoint
[ "$(ls "/proc/$broker/fd" | wc -l)" = 11 ]; ok $? "the broker holds eleven descriptors and no other"
stop
grep -q "verdict=1 .*object=0 plane=16 .*port=$p address=0.0.0.0 error=0 comm=python3" "$out/events"
ok $? "the grant is an event with endpoint, port, address and comm"
grep -q 'GET / HTTP' "$out/log.a"; ok $? "the server's output is in the log file"

p=$(port)
serve py6 "tcp:[::1]:$p" -- /usr/bin/python3 -m http.server "$p" --bind ::1 --directory "$dir/www"
check custody-www "http://[::1]:$p/"; ok $? "python http.server on ::1"
stop

p=$(port)
serve pyany6 "tcp:127.0.0.1:$p" -- /usr/bin/python3 -m http.server "$p" --bind :: --directory "$dir/www"
check custody-www "http://127.0.0.1:$p/"; ok $? "python http.server on :: is given the IPv4 endpoint"
stop

p=$(port)
serve py4on6 "tcp:[::1]:$p" -- /usr/bin/python3 -m http.server "$p" --directory "$dir/www"
check custody-www "http://[::1]:$p/"; ok $? "python http.server on 0.0.0.0 is given the IPv6 endpoint"
stop

p=$(port)
serve pylocal "tcp:0.0.0.0:$p" -- /usr/bin/python3 -m http.server "$p" --bind 127.0.0.1 --directory "$dir/www"
check custody-www "http://127.0.0.1:$p/"; ok $? "a server that binds 127.0.0.1 gets the listed address"
stop

p=$(port)
serve dual "tcp:0.0.0.0:$p" "tcp:[::]:$p" -- /usr/bin/python3 -m http.server "$p" --directory "$dir/www"
check custody-www "http://127.0.0.1:$p/" "http://[::1]:$p/"
ok $? "0.0.0.0 and [::] both listed: one server is reached by both families"
stop

if [ -x /usr/bin/node ]; then
	p=$(port)
	serve node4 "tcp:127.0.0.1:$p" -- /usr/bin/node "$dir/server.js" "$p"
	check custody-node "http://127.0.0.1:$p/"; ok $? "node listen(port), which binds [::], on an IPv4 endpoint"
	stop
	p=$(port)
	serve node6 "tcp:[::1]:$p" -- /usr/bin/node "$dir/server.js" "$p"
	check custody-node "http://[::1]:$p/"; ok $? "node listen(port) on an IPv6 endpoint"
	stop
	p=$(port)
	serve nodeh "tcp:127.0.0.1:$p" -- /usr/bin/node "$dir/server.js" "$p" 127.0.0.1
	check custody-node "http://127.0.0.1:$p/"; ok $? "node listen(port, 127.0.0.1)"
	stop
else
	for _ in 1 2 3; do skip "node server" "node is not installed"; done
fi

p=$(port)
serve epoll4 "tcp:127.0.0.1:$p" -- "$dir/probe" serve 0.0.0.0 "$p" 20
r=0
for _ in $(seq 20); do check epoll "http://127.0.0.1:$p/" || r=1; done
ok $r "C epoll server, IPv4, 20 requests"
wait "$job"; ok $? "server and broker end together when the server exits"; job=

p=$(port)
serve epoll6 "tcp:[::1]:$p" -- "$dir/probe" serve ::1 "$p" 3
r=0
for _ in 1 2 3; do check epoll "http://[::1]:$p/" || r=1; done
ok $r "C epoll server, IPv6"
wait "$job"; job=
! fetch "http://[::1]:$p/" >/dev/null; ok $? "the port is free after the broker ended"

p=$(port)
cat >"$dir/workers.py" <<-'EOF'
	import os, socket, sys
	port = int(sys.argv[1])
	def worker(name):
	    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
	    s.bind(("0.0.0.0", port)); s.listen(8)
	    for _ in range(2):
	        c, peer = s.accept(); c.recv(1000)
	        c.sendall(b"HTTP/1.0 200 OK\r\n\r\nworker"); c.close()
	pids = []
	for i in range(2):
	    pid = os.fork()
	    if pid == 0:
	        worker(i); os._exit(0)
	    pids.append(pid)
	sys.exit(sum(os.waitpid(p, 0)[1] for p in pids))
EOF
chmod 644 "$dir/workers.py"
serve workers "tcp:127.0.0.1:$p" -- /usr/bin/python3 "$dir/workers.py" "$p"
r=0
for _ in 1 2 3 4; do check worker "http://127.0.0.1:$p/" || r=1; done
[ $r = 0 ] || stop		# workers that were not asked wait for ever
[ -z "$job" ] || wait "$job" || r=1
job=
[ "$(grep -c verdict=1 "$out/events")" = 2 ] || r=1
ok $r "SO_REUSEPORT workers share one endpoint"

p=$(port)
serve udp "udp:127.0.0.1:$p" -- /usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', $p))
d, a = s.recvfrom(100); s.sendto(b'udp:' + d, a)"
/usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.sendto(b'hello', ('127.0.0.1', $p)); assert s.recv(100) == b'udp:hello'"
ok $? "UDP server"
wait "$job"; job=

serve unix "unix:$dir/unix.sock" -- /usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_UNIX); s.bind('$dir/unix.sock'); s.listen(4)
c, _ = s.accept(); c.sendall(b'unix:' + c.recv(100))"
/usr/bin/python3 -c "import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect('$dir/unix.sock')
s.sendall(b'hello'); assert s.recv(100) == b'unix:hello'"
ok $? "UNIX server"
[ "$(stat -c %a:%u "$dir/unix.sock")" = 660:0 ]; ok $? "the UNIX endpoint is root's and mode 0660"
wait "$job"; job=

echo "1..$n"
