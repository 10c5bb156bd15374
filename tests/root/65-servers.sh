#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unmodified servers under the real custodyd, each published on IPv4 and IPv6 at once: Python,
# Node and a C program with epoll. Nothing in them knows of custody.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
mkdir "$ROOT/bin"
install -m 755 "$TOP/build/root/broker_probe" "$ROOT/bin/epoll-server"
echo "from python" >"$ROOT/model/index.html"

# server NAME PORT COMMAND [EXTRA]: a profile with both loopback addresses.
server() {
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<EOF
[profile]
extends = base
[model]
path = $ROOT/model
[process]
command = $3
[network]
listen = tcp:127.0.0.1:$2 tcp:[::1]:$2
[retire]
drain-timeout = 1s
[files]
read += $ROOT/bin
${4:-}
EOF
}
get() {
	/usr/bin/python3 -c 'import sys, urllib.request as u
sys.stdout.write(u.build_opener(u.ProxyHandler({})).open("http://%s/" % sys.argv[1], timeout=5).read().decode())' "$1"
}
gets() { [ "$(get "$1")" = "$2" ]; }
# both NAME PORT ANSWER TEXT
both() {
	check "$4: starts" ctl start "$1"
	check "$4: answers on IPv4" wait_for 15 gets "127.0.0.1:$2" "$3"
	check "$4: answers on IPv6" wait_for 15 gets "[::1]:$2" "$3"
	check "$4: retires clean" ctl retire "$1"
}

PORT=$(free_port)
cat >"$ROOT/model/two.py" <<'PY'
import http.server, socket, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"from python")
    def log_message(self, *a): pass
class Six(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
four = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
six = Six(("::1", int(sys.argv[1])), Handler)
threading.Thread(target=six.serve_forever, daemon=True).start()
four.serve_forever()
PY
server python "$PORT" "/usr/bin/python3 {model}/two.py $PORT"
both python "$PORT" "from python" "Python, a socket for each family"

if [ -x /usr/bin/node ]; then
	PORT=$(free_port)
	cat >"$ROOT/model/server.js" <<'JS'
const http = require('http');
const port = Number(process.argv[2]);
const answer = (request, response) => response.end('from node');
http.createServer(answer).listen(port, '127.0.0.1');
http.createServer(answer).listen(port, '::1');
JS
	server node "$PORT" "/usr/bin/node {model}/server.js $PORT" $'jit = yes'
	both node "$PORT" "from node" "Node"
	check "Node logged nothing wrong" sh -c "! grep -i error '$ROOT/var/lib/custody/logs/node.log'"
else
	N=$((N + 1))
	echo "ok $N - Node # SKIP no /usr/bin/node"
fi

for address in 127.0.0.1 ::1; do
	PORT=$(free_port)
	server epoll "$PORT" "$ROOT/bin/epoll-server serve $address $PORT 2"
	check "C with epoll on $address: starts" ctl start epoll
	target=$address
	[ "$address" = 127.0.0.1 ] || target="[$address]"
	check "C with epoll on $address: answers" wait_for 15 gets "$target:$PORT" epoll
	check "C with epoll on $address: retires clean" ctl retire epoll
done
check "the ledger verifies" ctl ledger verify
daemon_stop
no_leaks "nothing is left"
finish
