#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custody-jail: unmodified inference servers under the syscall set, on the jail's own loopback.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else
	echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" "$dir/out"; fi; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
chmod 755 "$dir"
mkdir -m 755 "$dir/app"
cat >"$dir/app/server.py" <<'EOF'
import http.server, json, threading, urllib.request
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
digits = load_digits()
model = RandomForestClassifier(n_estimators=10, n_jobs=2, random_state=0)
model.fit(digits.data[:1500], digits.target[:1500])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        row = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps([int(x) for x in model.predict([row])]).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
right = 0
for i in range(1500, 1520):
    data = json.dumps(list(digits.data[i])).encode()
    reply = urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080/", data=data))
    right += json.loads(reply.read())[0] == digits.target[i]
print("classified" if right > 15 else "wrong")
EOF
cat >"$dir/app/server.js" <<'EOF'
const http = require('http');
const server = http.createServer((q, r) => r.end('hello'));
server.listen(8081, '127.0.0.1', () => http.get('http://127.0.0.1:8081/', (r) => {
  let text = '';
  r.on('data', (d) => { text += d; });
  r.on('end', () => { console.log(text); server.close(); });
}));
EOF
chmod 644 "$dir/app/"*
jail() {
	timeout 120 build/root/jail_driver build/bin/custody-jail 243 runtime /usr:/usr \
		optional /etc/alternatives:/etc/alternatives runtime "$dir/app:/app" tmp 104857600 \
		flag loopback processes 256 files 1024 "$@" >"$dir/out" 2>"$dir/err" </dev/null
	rc=$?
}
if /usr/bin/python3 -c 'import sklearn' 2>/dev/null; then
	jail -- /usr/bin/python3 /app/server.py
	[ $rc = 0 ] && grep -qx classified "$dir/out"; ok $? "Python, scikit-learn, HTTP: trains, serves, classifies"
	jail bind refuse -- /usr/bin/python3 /app/server.py
	[ $rc = 1 ] && grep -q "PermissionError: \[Errno 13\]" "$dir/err"; ok $? "the broker's refusal of bind() is EACCES in Python"
else
	skip "scikit-learn server" "python3-sklearn is not installed"
fi
if [ -x /usr/bin/node ]; then
	jail flag jit -- /usr/bin/node /app/server.js
	[ $rc = 0 ] && grep -qx hello "$dir/out"; ok $? "Node with jit=yes: serves HTTP"
	jail -- /usr/bin/node --jitless /app/server.js
	[ $rc = 0 ] && grep -qx hello "$dir/out"; ok $? "Node --jitless with jit=no: serves HTTP"
	jail -- /usr/bin/node /app/server.js
	[ $rc != 0 ] && ! grep -qx hello "$dir/out"; ok $? "Node with a JIT and jit=no: does not come up"
else
	skip "Node server" "node is not installed"
fi
echo "1..$n"
