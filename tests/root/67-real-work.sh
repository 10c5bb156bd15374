#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The syscall sets at work, under the shipped profiles: PyTorch and scikit-learn train with worker
# processes and threads, Node serves with worker threads. llama.cpp is 66-llama.sh's. Of every job
# the record says what was refused: what libraries fall back from, and nothing that they needed.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
# Not below /tmp, which is the jail's own under the profile training.
JOBS=$(mktemp -d /var/tmp/custody-jobs.XXXXXX)
chmod 755 "$JOBS"
trap 'rm -rf "$JOBS"; house_close' EXIT

cat >"$JOBS/torch_job.py" <<'PY'
import os, torch, torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
torch.set_num_threads(2)
x = torch.randn(512, 16)
y = (x.sum(1) > 0).long()
def network():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
net = network()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(4):
    for a, b in DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, num_workers=2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(a), b).backward()
        optimizer.step()
torch.save(net.state_dict(), "/scratch/net.pt")
with open("/scratch/net.pt", "rb") as file:
    os.fsync(file.fileno())
os.sync()
again = network()
again.load_state_dict(torch.load("/scratch/net.pt"))
traced = torch.jit.trace(again, x[:1])
right = (traced(x).argmax(1) == y).float().mean().item()
shape = tuple(nn.Conv2d(3, 8, 3)(torch.randn(2, 3, 32, 32)).shape)
print("trained" if right > 0.9 and shape == (2, 8, 30, 30) else "wrong: %s %s" % (right, shape))
PY
cat >"$JOBS/sklearn_job.py" <<'PY'
import pickle
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import cross_val_score
digits = load_digits()
forest = RandomForestClassifier(n_estimators=10, random_state=0)
scores = cross_val_score(forest, digits.data, digits.target, cv=3, n_jobs=2)  # processes (loky)
openmp = HistGradientBoostingClassifier(max_iter=5).fit(digits.data[:600], digits.target[:600])
with open("/scratch/model.pickle", "wb") as file:
    pickle.dump(openmp, file)
with open("/scratch/model.pickle", "rb") as file:
    right = pickle.load(file).score(digits.data[600:900], digits.target[600:900])
print("trained" if scores.mean() > 0.8 and right > 0.7 else "wrong: %s %s" % (scores, right))
PY
cat >"$JOBS/node_job.js" <<'JS'
const http = require('http');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) {
  parentPort.on('message', (n) => {
    let sum = 0;
    for (let i = 0; i <= n; i += 1) sum += i;
    parentPort.postMessage(sum);
  });
} else {
  const workers = [new Worker(__filename), new Worker(__filename)];
  let next = 0;
  const server = http.createServer((request, response) => {
    const worker = workers[next % 2];
    next += 1;
    worker.once('message', (sum) => response.end(String(sum)));
    worker.postMessage(Number(request.url.slice(1)));
  });
  const get = (n) => new Promise((resolve, reject) => {
    http.get(`http://127.0.0.1:8081/${n}`, (reply) => {
      let text = '';
      reply.on('data', (data) => { text += data; });
      reply.on('end', () => resolve(text));
    }).on('error', reject);
  });
  server.listen(8081, '127.0.0.1', async () => {
    const sums = [];
    for (const n of [10, 100, 1000, 10000]) sums.push(await get(n));
    console.log(sums.join(' ') === '55 5050 500500 50005000' ? 'served' : `wrong: ${sums}`);
    process.exit(0);
  });
}
JS
cat >"$ROOT/etc/custody/profiles/node.ini" <<END
[profile]
extends = base
[files]
jit = yes
[network]
loopback = yes
END

# refused_only NAME CALL...: every event of a refused call is of one of these
refused_only() {
	local name=$1
	shift
	ctl events "$name" --json >"$ROOT/events.json" || return 1
	/usr/bin/python3 - "$ROOT/events.json" "$@" <<'PY'
import json, sys
allowed = set(sys.argv[2:])
with open(sys.argv[1], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
denied = [r for r in rows if r.get("verdict") == "denied" and r.get("class") == "syscall"]
other = [(r["syscall_name"], r.get("error"), r["access"], r.get("path"), r["comm"])
         for r in denied if r["syscall_name"] not in allowed and
         # isatty() of /dev/null, which Landlock gives no ioctl
         (r["syscall_name"], r.get("error"), r["access"]) != ("ioctl", "EACCES", 0x5401)]
assert any(r.get("verdict") == "observed" and r.get("class") == "exit" for r in rows), "not ended"
assert not other, sorted(set(other))
assert all("site_address" in r for r in denied), denied
PY
}
refused_compiler() { # NAME
	ctl events "$1" --json | grep '"syscall_name": *"m\(map\|protect\)"' | grep '"site_address"' |
		grep '"access": *[4-7]\b' | tee "$ROOT/compiler.json" | grep -q '"path": *"/[^"]*\.so'
}
# job NAME PROFILE WORD CALLS COMMAND...
job() {
	local name=$1 profile=$2 word=$3 calls=$4 out
	shift 4
	out=$(timeout 300 "$BIN/custodyctl" --root "$ROOT" run --profile "$profile" --model "$JOBS" \
		--name "$name" -- "$@" 2>&1)
	if grep -qx "$word" <<<"$out"; then ok "$name: $word"; else not_ok "$name: $word" "$out"; fi
	# shellcheck disable=SC2086 # words
	wait_for 20 refused_only "$name" $calls
	# shellcheck disable=SC2086 # words
	check "$name: refused were at most $calls" refused_only "$name" $calls
}
skipped() {
	N=$((N + 1)); echo "ok $N - $1 # SKIP $2"
	N=$((N + 1)); echo "ok $N - what $1 was refused # SKIP $2"
}

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
	job torch pytorch trained "clone3" /usr/bin/python3 "$JOBS/torch_job.py"
	job torch-nojit training "RuntimeError: could not create a primitive" "clone3 mmap mprotect" \
		/usr/bin/python3 "$JOBS/torch_job.py"
	check "with jit = no its compiler was refused executable memory, and the record says where" \
		refused_compiler torch-nojit
else
	skipped PyTorch "python3-torch is not installed"
fi
if /usr/bin/python3 -c 'import sklearn' 2>/dev/null; then
	job sklearn training trained "clone3" /usr/bin/python3 "$JOBS/sklearn_job.py"
else
	skipped scikit-learn "python3-sklearn is not installed"
fi
if [ -x /usr/bin/node ]; then
	job node node served "clone3" /usr/bin/node "$JOBS/node_job.js"
else
	skipped Node "nodejs is not installed"
fi
finish
