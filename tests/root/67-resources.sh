#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# [limits] by the controllers of cgroup v2: each is in the kernel as written and holds, what a jail
# runs into is recorded, also when no custodyd watched, and systemd's reloads change nothing. Bombs
# of every kind in one jail leave its neighbour answering. Without controllers: rlimits where the
# manual says so, and a refusal for everything else.
set -u
HOUSE_NO_GUARD=1 # custodyd is killed and started by hand here
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
OWN=$(mktemp -d /tmp/custody-resources.XXXXXX)
chmod 755 "$OWN"
WATCH=
close_all() {
	[ -z "$WATCH" ] || kill "$WATCH" 2>/dev/null
	mountpoint -q "$OWN/overlay" && umount "$OWN/overlay"
	rm -rf "$OWN"
	house_close
}
trap close_all EXIT
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got: $2, want: $3"; fi; }
like() { if grep -qE -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "got: $2, want: $3"; fi; }

P=$(free_port)
W=$(free_port)
head -c 4194304 /dev/urandom >"$ROOT/model/big"
echo weights >"$ROOT/model/file"
mkdir "$OWN/out"
chmod 777 "$OWN/out" # its uid is the jail's own
# What a hostile server does when it is asked to. Each answers with what it got, if it lives.
cat >"$ROOT/model/waster.py" <<'PY'
import http.server, os, socketserver, sys, time
MODEL, OUT = sys.argv[2], sys.argv[3]
def memory(size):       # in four processes, so that no rlimit of one process is reached
    for _ in range(4):
        if os.fork() == 0:
            block = bytearray(os.urandom(1 << 20)) * (size >> 20)
            for i in range(0, len(block), 4096):
                block[i] = 1
            time.sleep(3)
            os._exit(0)
    codes = [os.waitpid(-1, 0)[1] for _ in range(4)]
    return "held" if codes == [0] * 4 else "killed"
def forks():
    pids = []
    try:
        while len(pids) < 2000:
            pid = os.fork()
            if pid == 0:
                time.sleep(60); os._exit(0)
            pids.append(pid)
        out = "no end"
    except OSError as e:
        out = "%d errno %d" % (len(pids), e.errno)
    time.sleep(1)
    for pid in pids:
        os.kill(pid, 9); os.waitpid(pid, 0)
    return out
def files():
    held = []
    try:
        while len(held) < 1 << 20:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as e:
        out = "errno %d" % e.errno
    for fd in held:
        os.close(fd)
    return out
def fill():
    done, fd = 0, os.open("/scratch/x", os.O_WRONLY | os.O_CREAT)
    try:
        while done < 1 << 30:
            done += os.write(fd, b"x" * (1 << 20))
    except OSError as e:
        done = "%d errno %d" % (done, e.errno)
    os.close(fd); os.unlink("/scratch/x")
    return str(done)
def log():
    line = b"x" * 65536
    for _ in range(800):
        os.write(1, line)
    return "printed"
def burn():
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < 2:
        pass
    return "%d" % (100 * (time.process_time() - used) / 2)
def read():
    fd = os.open(MODEL + "/big", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.monotonic()
    while os.read(fd, 1 << 20):
        pass
    return "%d" % (1000 * (time.monotonic() - began))
def write():
    # A file of its own: what is flushed of an old one is charged to whoever wrote it before.
    fd = os.open(OUT + "/%d" % time.time_ns(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    began = time.monotonic()
    os.write(fd, os.urandom(4 << 20)); os.fsync(fd)
    return "%d" % (1000 * (time.monotonic() - began))
ASK = {"bomb": lambda: memory(24 << 20), "some": lambda: memory(1 << 20), "forks": forks,
       "files": files, "fill": fill, "log": log, "burn": burn, "read": read, "write": write,
       "file": lambda: "weights"}
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        out = ASK[self.path.strip("/")]()
        self.send_response(200); self.end_headers(); self.wfile.write(out.encode())
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
# waster NAME LIMITS [REST]
waster() {
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<END
[profile]
extends = base
[model]
path = $ROOT/model
[files]
write = $OWN/out
scratch = 16M
[process]
command = /usr/bin/python3 $ROOT/model/waster.py $P $ROOT/model $OWN/out
[network]
listen = tcp:127.0.0.1:$P
[retire]
drain-timeout = 2s
[limits]
open-files = 128
$2
${3:-}
END
}
ask() { # ask WHAT: the waster's answer; nothing when it did not live to give one
	timeout 120 /usr/bin/python3 -c 'import sys, urllib.request as u
print(u.urlopen("http://127.0.0.1:%s/%s" % tuple(sys.argv[1:]), timeout=110).read().decode())' "$P" "$1" 2>/dev/null
}
limit_events() { ctl events "$1" --json | grep '"class": *"limit"'; }
cgroup_of() { echo "$CGROUP/$1"-*; }
stopped() { ! ctl ps | grep -qE "^$1 +running"; }

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
CONTROLLERS=$(cat "$CGROUP/cgroup.subtree_control")
profile web "$W"
check "a neighbour starts" ctl start web
check "and serves" wait_for 60 fetch "$W" file

# ---- the neighbour is asked all the time; the longest that it took is written down ----
/usr/bin/python3 - "$W" "$OWN/longest" <<'PY' &
import os, sys, time, urllib.request
longest = n = failed = 0
while True:
    began = time.monotonic()
    try:
        urllib.request.urlopen("http://127.0.0.1:%s/file" % sys.argv[1], timeout=60).read()
    except OSError:
        failed += 1
    n += 1
    longest = max(longest, time.monotonic() - began)
    with open(sys.argv[2] + ".new", "w") as f:
        print("%d %.1f %d" % (n, longest, failed), file=f)
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    time.sleep(0.1)
PY
WATCH=$!
wait_for 60 test -s "$OWN/longest"

if [[ " $CONTROLLERS " == *" memory "* && " $CONTROLLERS " == *" io "* ]]; then
	# ---- as written ----
	like "planes of a jail: limits is in force" "$(ctl ps --json | grep -A9 '"active"')" '"limits"'
	waster some $'memory = 128M\nprocesses = 32'
	check "a model with little to hold it" ctl start some
	wait_for 60 ask file
	same "where memory is left, memory is had" "$(ask some)" held
	FAST_READ=$(ask read)
	FAST_WRITE=$(ask write)
	FAST_BURN=$(ask burn)
	check "stop" ctl stop some
	waster all $'memory = 64M\nmemory-high = 60M\nprocesses = 32\ncpu = 50%\nio-read = 1M/s\nio-write = 512K/s' \
		$'[require]\nplanes = structure cgroup limits'
	check "every limit, and the plane required" ctl start all
	wait_for 120 ask file
	C=$(cgroup_of all)
	DISK=$(mountpoint -d "$(stat -c %m "$ROOT/model")")
	as_written() {
		same "$1: memory.max" "$(cat "$C/memory.max")" $((64 << 20))
		same "$1: memory.high" "$(cat "$C/memory.high")" $((60 << 20))
		same "$1: memory.swap.max" "$(cat "$C/memory.swap.max" 2>/dev/null || echo 0)" 0
		same "$1: memory.oom.group" "$(cat "$C/model/memory.oom.group")" 1
		same "$1: pids.max" "$(cat "$C/pids.max")" 32
		same "$1: cpu.max" "$(cat "$C/cpu.max")" "50000 100000"
		like "$1: io.max" "$(cat "$C/io.max")" "^$DISK rbps=1048576 wbps=524288 "
	}
	as_written "in the kernel"
	SLOW=$(ask burn)
	[ "$SLOW" -le 75 ] && [ "$FAST_BURN" -gt "$SLOW" ] && ok "CPU: $SLOW % instead of $FAST_BURN %" ||
		not_ok "CPU is half of one" "$SLOW %, without limit $FAST_BURN %"
	SLOW=$(ask read)
	[ "$SLOW" -ge 2500 ] && [ "$FAST_READ" -lt 2000 ] && ok "4M are read in $SLOW ms instead of $FAST_READ" ||
		not_ok "reading is slowed down" "$SLOW ms, without limit $FAST_READ ms"
	SLOW=$(ask write)
	[ "$SLOW" -ge 5000 ] && [ "$FAST_WRITE" -lt 4000 ] && ok "4M are written in $SLOW ms instead of $FAST_WRITE" ||
		not_ok "writing is slowed down" "$SLOW ms, without limit $FAST_WRITE ms"
	like "status says what holds" "$(ctl status all)" \
		'limits +64M of memory, slow from 60M, 32 processes, 50% CPU, 1.0M/s from a disk, 512K/s to a disk'
	if [ "$(cat /proc/1/comm)" = systemd ]; then
		systemctl daemon-reload
		systemd-run -q --wait -p CPUWeight=50 -p IOWeight=50 -p MemoryMax=64M true
		systemctl daemon-reload
		as_written "after systemd reloaded, started and stopped"
		like "at the top" "$(cat "${CGROUP%/*}/cgroup.subtree_control")" "cpu.*io.*memory.*pids"
	fi

	# ---- run into ----
	FORKS=$(ask forks)
	like "forks end at limits.processes" "$FORKS" '^2[0-9] errno 11$'
	told() { limit_events all | grep '"object_name": *"processes"' | grep -q '"error": *"EAGAIN"'; }
	check "which is recorded" wait_for 20 told
	like "and shown" "$(ctl status all)" 'RAN INTO +[1-9][0-9]* forks refused'
	same "no memory was wanting so far" "$(limit_events all | grep -c memory)" 0
	OOM=$(ask bomb)
	same "memory beyond limits.memory: no answer comes" "$OOM" ""
	check "the model has ended, all of it" wait_for 60 stopped all
	# They die one after the other, some because their init has died: one record, or a few.
	same "it is recorded: whose limit, and how many processes" \
		"$(limit_events all | /usr/bin/python3 -c 'import json, sys
events = [e for e in map(json.loads, sys.stdin) if e["object_name"] != "processes"]
print(sorted({(e["object_name"], e["error"], e["verdict"]) for e in events}),
      sum(e["access"] for e in events) == max(e["total"] for e in events) >= 2)')" \
		"[('memory', 'ENOMEM', 'denied')] True"
	like "in words" "$(ctl events all)" 'denied +cgroup +limit +ENOMEM .* memory: [0-9]+ killed, [0-9]+ in all'
	like "why it ended, too" "$(ctl events all)" 'stopped: killed: its memory ran out'
	like "the neighbour runs" "$(ctl ps)" '^web +running'

	# ---- when nobody watches ----
	waster alone $'memory = 64M\nprocesses = 32'
	check "another" ctl start alone
	wait_for 60 ask file
	daemon_kill
	same "custodyd is dead, memory runs out" "$(ask bomb)" ""
	if daemon_start; then ok "a new custodyd"; else not_ok "a new custodyd"; fi
	recorded() { limit_events alone | grep -q '"object_name": *"memory"'; }
	check "it records what happened before it" wait_for 30 recorded
	same "once" "$(limit_events alone | grep -c '"memory"')" 1
	check "the ledger verifies" ctl ledger verify
	check "and the retirement is clean" ctl retire alone

	# ---- what cannot be held ----
	mkdir "$OWN"/{lower,upper,work,overlay}
	if mount -t overlay -o "lowerdir=$OWN/lower,upperdir=$OWN/upper,workdir=$OWN/work" overlay "$OWN/overlay" 2>/dev/null; then
		waster over $'io-read = 1M/s'
		sed -i "s|^scratch = .*|&\ndata = $OWN/overlay|" "$ROOT/etc/custody/profiles/over.ini"
		refused "a zone without a disk of its own" 3 "over.ini:[0-9]+ \[files\] data.*no disk of its own" ctl start over
		sed -i "s|^io-read = .*||" "$ROOT/etc/custody/profiles/over.ini"
		check "which starts without io-read" ctl start over
		check "stop it" ctl stop over
	else
		ok "a zone without a disk of its own # SKIP no overlay"
	fi
else
	# ---- no controllers: nothing is pretended ----
	for limit in "cpu = 50%" "memory-high = 60M" "io-read = 1M/s" "io-write = 1M/s"; do
		waster none "$limit"
		refused "without controllers: ${limit%% *} is refused" 3 "\[limits\] ${limit%% *}.*lacks the controller.*none" ctl start none
	done
	waster none "" $'[require]\nplanes = structure cgroup limits'
	refused "and the plane limits, where it is required" 3 'requires the plane "limits"' ctl start none
	unlike_limits() { ! ctl ps --json | grep -A9 '"active"' | grep -q '"limits"'; }
	check "planes of a jail: limits is not in force" unlike_limits
	like "status says whose memory is bounded" "$(ctl status web --json)" '"of_the_whole_jail": false'
	ok "limits by controllers # SKIP this host's cgroup v2 has: ${CONTROLLERS:-none}"
fi

# ---- bombs, everywhere, while the neighbour is asked ----
waster bombs $'memory = 128M\nprocesses = 32'
check "a model that will drop bombs" ctl start bombs
wait_for 60 ask file
like "fork bomb: EAGAIN" "$(ask forks)" '^[23][0-9] errno 11$'
same "descriptor bomb: EMFILE" "$(ask files)" "errno 24"
same "disk filler: ENOSPC at the size of scratch" "$(ask fill)" "16777216 errno 28"
same "log flood of 50M: it goes on" "$(ask log)" printed
LOG=$(du -sk "$ROOT/var/lib/custody/logs" | cut -f1)
[ "$LOG" -lt 40000 ] && ok "its log is bounded ($LOG kB)" || not_ok "its log is bounded" "$LOG kB"
ask bomb >/dev/null
check "memory bomb: custodyd answers" ctl ps
read -r ASKED LONGEST FAILED <"$OWN/longest"
before=$ASKED
more() { read -r ASKED LONGEST FAILED <"$OWN/longest" && [ "$ASKED" -gt $((before + 2)) ]; }
check "the neighbour was asked to the end" wait_for 60 more
same "and answered each time" "$FAILED" 0
if /usr/bin/python3 -c 'import sys; sys.exit(float(sys.argv[1]) > 10)' "$LONGEST"; then
	ok "within 10 s: $ASKED times, $LONGEST s at most"
else
	not_ok "within 10 s" "$ASKED times, $LONGEST s at most"
fi
kill "$WATCH"
wait "$WATCH" 2>/dev/null
WATCH=
for name in bombs web; do ctl stop $name >/dev/null 2>&1; done
daemon_stop
left=$(leaks | grep -v '^state ')
same "nothing is left" "$left" ""
finish
