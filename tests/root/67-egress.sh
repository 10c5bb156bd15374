#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Egress: listed addresses, names and UNIX paths are reached by unmodified clients, everything else
# is refused with the errno that the profile says and is on record; a restart of custodyd takes the
# broker's channel up again. Runs in network and mount namespaces of its own, so that "outside" is
# a namespace that it made, and /etc/hosts and /etc/resolv.conf are its own.
set -u
if [ "${EGRESS_INSIDE:-}" != 1 ]; then
	[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
	EGRESS_INSIDE=1 exec unshare --net --mount --propagation private -- "$0" "$@"
fi
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
WORLD=
close_all() {
	# shellcheck disable=SC2086
	[ -z "$WORLD" ] || kill $WORLD 2>/dev/null
	umount /etc/hosts /etc/nsswitch.conf /etc/resolv.conf 2>/dev/null
	rm -rf "$O"
	house_close
}
trap close_all EXIT
ip link set lo up
O=$(mktemp -d /tmp/custody-outside.XXXXXX)
chmod 755 "$O"

# The world: a namespace behind a veth, with an echo server on TCP and UDP that tells what came.
cat >"$O/world.py" <<'PY'
import os, selectors, socket, sys
path, sel = sys.argv[1], selectors.DefaultSelector()
def log(*a):
    with open(path + "/seen", "a") as f: print(*a, file=f)
def tcp(family, address, port):
    s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port)); s.listen(64); sel.register(s, 1, ("accept", port))
tcp(socket.AF_INET, "10.203.7.2", 443); tcp(socket.AF_INET, "10.203.7.2", 9090)
tcp(socket.AF_INET, "10.203.7.2", 444); tcp(socket.AF_INET, "10.203.7.3", 9090)
tcp(socket.AF_INET6, "fd00:203::2", 443)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("10.203.7.2", 514)); sel.register(u, 1, ("udp", 514))
open(path + "/up", "w").close()
while True:
    for key, _ in sel.select():
        kind, port = key.data
        if kind == "accept":
            c, peer = key.fileobj.accept(); log("tcp", port); sel.register(c, 1, ("talk", port))
        elif kind == "talk":
            try: data = key.fileobj.recv(65536)
            except OSError: data = b""
            if data: key.fileobj.sendall(data)
            else: sel.unregister(key.fileobj); key.fileobj.close()
        else:
            data, peer = key.fileobj.recvfrom(2000); log("udp", port, data); key.fileobj.sendto(data, peer)
PY
unshare --net -- sh -c 'touch "$1/ns"; while [ ! -e "$1/go" ]; do sleep 0.05; done; ip link set lo up
	ip addr add 10.203.7.2/24 dev outer; ip addr add 10.203.7.3/24 dev outer
	ip -6 addr add fd00:203::2/64 dev outer nodad; ip link set outer up
	exec /usr/bin/python3 "$1/world.py" "$1"' sh "$O" &
WORLD=$!
wait_for 10 test -e "$O/ns"
ip link add inner type veth peer name outer netns "$WORLD" || skip_all "no veth here"
ip addr add 10.203.7.1/24 dev inner; ip -6 addr add fd00:203::1/64 dev inner nodad; ip link set inner up
ip neigh add 10.203.7.99 lladdr 02:00:00:00:00:99 dev inner nud permanent
touch "$O/go"
wait_for 20 test -e "$O/up"
cat >"$O/hosts" <<END
127.0.0.1 localhost
10.203.7.2 metrics.custody.test
10.203.7.3 other.custody.test
127.0.0.1 rebind.custody.test
169.254.169.254 rebind.custody.test
END
mount --bind "$O/hosts" /etc/hosts
printf 'hosts: files dns\npasswd: files\n' >"$O/nsswitch"
mount --bind "$O/nsswitch" /etc/nsswitch.conf
printf 'nameserver 127.0.0.1\noptions timeout:9 attempts:1 single-request\n' >"$O/resolv"
[ ! -e /etc/resolv.conf ] || mount --bind "$O/resolv" "$(readlink -f /etc/resolv.conf)"

# A name server that knows one name.
cat >"$O/dns.py" <<'PY'
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 53))
while True:
    q, peer = s.recvfrom(600)
    end = q.index(b"\0", 12) + 5
    name, (kind,) = q[12:end - 4], struct.unpack(">H", q[end - 4:end - 2])
    known = name in (b"\3dns\7custody\4test\0", b"\4slow\7custody\4test\0")
    if name.startswith(b"\4slow"):
        while not os.path.exists(sys.argv[1] + "/answer"): time.sleep(0.05)
    answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("10.203.7.2") if known and kind == 1 else b""
    s.sendto(q[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if answers else 0, 0, 0) + q[12:end] + answers, peer)
PY
/usr/bin/python3 "$O/dns.py" "$O" &
WORLD="$WORLD $!"

# A UNIX server of the host, in a directory that the jail does not see.
mkdir -m 755 "$O/run"
/usr/bin/python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); s.listen(8)
while True:
    c, _ = s.accept(); c.sendall(b"hello " + c.recv(100)); c.close()' "$O/run/x.sock" &
WORLD="$WORLD $!"
# A listener of the host itself, which nobody listed.
/usr/bin/python3 -c 'import socket
import sys
s = socket.socket(); s.bind(("127.0.0.1", 7777)); s.listen(8)
while True:
    c, _ = s.accept(); c.close()
    with open(sys.argv[1], "a") as f: print("GOT", file=f)' "$O/host" &
WORLD="$WORLD $!"
wait_for 10 test -S "$O/run/x.sock"

profile_egress() { # NAME REFUSE-LINE
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<END
[profile]
extends = base
[model]
path = $ROOT/model
[process]
command = /usr/bin/python3 -m http.server 8080 --bind 127.0.0.1 --directory {model}
programs = -/usr/bin/node -/usr/bin/curl
[network]
egress = tcp:10.203.7.2:443 tcp:[fd00:203::2]:443 udp:10.203.7.2:514 unix:$O/run/x.sock
  tcp:10.203.7.2:445 tcp:[::ffff:10.203.7.2]:9090 name:metrics.custody.test:443
  name:Metrics.Custody.test:9090 name:other.custody.test:9090 name:rebind.custody.test:443
  name:absent.custody.test:443 tcp:10.203.7.99:443 name:dns.custody.test:443
$2
[retire]
drain-timeout = 2s
END
}
profile_egress eg ""
profile_egress er "refuse = econnrefused"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
run() { local name=$1; shift; timeout 120 "$BIN/custodyctl" --root "$ROOT" run --profile "$name" --name "$name" -- "$@"; }
answer() { sed -n "s/^$2 //p" "$O/$1.out"; }
same() { if [ "$(answer "$1" "$2")" = "$3" ]; then ok "$4"; else not_ok "$4" "got $(answer "$1" "$2"), wanted $3"; fi; }

cat >"$ROOT/model/try.py" <<'PY'
import errno, os, select, signal, socket, struct, sys, threading, time
unix = sys.argv[1]
def say(name, what): print(name, what, flush=True)
def attempt(name, f):
    try: say(name, f())
    except socket.gaierror as e: say(name, "gai")
    except OSError as e: say(name, errno.errorcode.get(e.errno, str(e)))
def talk(s, text=b"ping"):
    s.sendall(text); return s.recv(100).decode()
def tcp(address, family=socket.AF_INET, setup=None):
    s = socket.socket(family); s.settimeout(None)
    if setup: setup(s)
    s.connect(address); r = talk(s); s.close(); return r
def nonblock(address, family=socket.AF_INET):
    s = socket.socket(family); s.setblocking(False); r = s.connect_ex(address)
    first = errno.errorcode.get(r, str(r))
    p = select.poll(); p.register(s, select.POLLOUT); p.poll(10000)
    e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    again = s.connect_ex(address)
    return "%s %s %s" % (first if r not in (0,) else "EINPROGRESS", errno.errorcode.get(e, e), errno.errorcode.get(again, again))
attempt("tcp4", lambda: tcp(("10.203.7.2", 443)))
attempt("tcp6", lambda: tcp(("fd00:203::2", 443), socket.AF_INET6))
attempt("mapped", lambda: tcp(("::ffff:10.203.7.2", 443), socket.AF_INET6))
attempt("listed-mapped", lambda: tcp(("10.203.7.2", 9090)))
attempt("port", lambda: tcp(("10.203.7.2", 444)))
attempt("address", lambda: tcp(("10.203.7.3", 443)))
attempt("host-loopback", lambda: tcp(("127.0.0.1", 7777)))
attempt("any", lambda: tcp(("0.0.0.0", 7777)))
attempt("host-veth", lambda: tcp(("10.203.7.1", 7777)))
attempt("closed", lambda: tcp(("10.203.7.2", 445)))
attempt("nonblock", lambda: nonblock(("10.203.7.2", 443)))
attempt("nonblock-closed", lambda: nonblock(("10.203.7.2", 445)))
attempt("nonblock-denied", lambda: nonblock(("10.203.7.2", 444)))
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect(("10.203.7.2", 514))
    s.send(b"dgram"); return s.recv(100).decode()
attempt("udp", udp)
def udp_denied():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("10.203.7.2", 515)); return "connected"
attempt("udp-denied", udp_denied)
def udp_turn():     # a connected socket of ours, then another address by sendto()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("10.203.7.2", 514))
    return s.sendto(b"x", ("10.203.7.2", 515))
attempt("udp-turn", udp_turn)
attempt("unix", lambda: tcp(unix, socket.AF_UNIX))
attempt("unix-other", lambda: tcp(unix + "x", socket.AF_UNIX))
attempt("unix-dots", lambda: tcp(os.path.dirname(unix) + "/./x.sock", socket.AF_UNIX))
def unix_dgram():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(unix); return "connected"
attempt("unix-dgram", unix_dgram)
def by_name(host, port): return lambda: talk(socket.create_connection((host, port), 30))
attempt("name", by_name("metrics.custody.test", 443))
attempt("name-port2", by_name("metrics.custody.test", 9090))
attempt("name-port3", by_name("metrics.custody.test", 444))
attempt("name-other", by_name("other.custody.test", 9090))
attempt("name-rebind", by_name("rebind.custody.test", 443))
attempt("name-dns", by_name("dns.custody.test", 443))
attempt("name-absent", by_name("absent.custody.test", 443))
attempt("name-unlisted", by_name("unlisted.custody.test", 443))
attempt("name-raw", lambda: tcp(("127.128.0.250", 443)))
def timeout():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 300000))
    t = time.monotonic(); r = s.connect_ex(("10.203.7.99", 443)); d = time.monotonic() - t
    return "%s %s" % (errno.errorcode.get(r, r), 0.2 < d < 3)
attempt("sndtimeo", timeout)
def interrupted():  # a signal handler that raises ends a blocking connect() to an address that does not answer
    class Alarm(Exception): pass
    def ring(*a): raise Alarm
    signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.4)
    s = socket.socket(); t = time.monotonic()
    try: s.connect(("10.203.7.99", 443)); return "connected"
    except Alarm: return "interrupted %s" % (time.monotonic() - t < 2)
attempt("interrupted", interrupted)
def options():
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100000)
    s.connect(("10.203.7.2", 443))
    return "%d %d %d" % (s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
attempt("options", options)
results = []
def worker():
    for _ in range(10):
        try: results.append(tcp(("10.203.7.2", 443)))
        except OSError as e: results.append(e.errno)
threads = [threading.Thread(target=worker) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
say("threads", "%d %s" % (len(results), set(results)))
def forked():
    r, w = os.pipe()
    if os.fork() == 0:
        os.write(w, tcp(("10.203.7.2", 443)).encode()); os._exit(0)
    os.close(w); out = os.read(r, 100).decode(); os.wait(); return out
attempt("fork", forked)
def not_socket():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    buf = struct.pack("=HH4s8x", 2, socket.htons(443), socket.inet_aton("10.203.7.2"))
    fd = os.open("/dev/null", os.O_RDONLY); out = []
    for f, b, n in ((fd, buf, 16), (999, buf, 16), (socket.socket().fileno(), buf, 16)):
        libc.connect(f, b, n); out.append(errno.errorcode[ctypes.get_errno()])
    s = socket.socket()
    for b, n in ((buf, 3), (buf, -1), (buf, 4096), (ctypes.c_void_p(8), 16)):
        libc.connect(s.fileno(), b, n); out.append(errno.errorcode[ctypes.get_errno()])
    return " ".join(out)
attempt("malformed", not_socket)
def fastopen():
    s = socket.socket(); return s.sendto(b"x", 0x20000000, ("10.203.7.2", 443))
attempt("fastopen", fastopen)
def reconnect():    # dissolve a granted connection, then use the socket for another address
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    s = socket.socket(); s.connect(("10.203.7.2", 443))
    r = libc.connect(s.fileno(), struct.pack("=H14x", 0), 16)
    out = ["dissolved" if r == 0 else errno.errorcode[ctypes.get_errno()]]
    for where in (("127.0.0.1", 7777), ("10.203.7.2", 444)):
        out.append(errno.errorcode.get(s.connect_ex(where)))
    try: s.sendto(b"x", 0x20000000, ("127.0.0.1", 7777)); out.append("sent")
    except OSError as e: out.append(errno.errorcode[e.errno])
    s.connect(("10.203.7.2", 443)); out.append(talk(s)); return " ".join(map(str, out))
attempt("reconnect", reconnect)
def rewrite():      # the address turns between a listed and an unlisted port while connect() runs
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    good = struct.pack("=HH4s8x", 2, socket.htons(443), socket.inet_aton("10.203.7.2"))
    bad = struct.pack("=HH4s8x", 2, socket.htons(444), socket.inet_aton("10.203.7.2"))
    buf = ctypes.create_string_buffer(good, 16); stop = []
    spare = socket.socket(); spare.connect(("10.203.7.2", 443))
    libc.connect(spare.fileno(), struct.pack("=H14x", 0), 16)  # an open socket of the host's namespace
    target = socket.socket(); inside = socket.socket()
    def turn():
        while not stop: buf.raw = bad; buf.raw = good
    def swap():
        while not stop:
            os.dup2(spare.fileno(), target.fileno()); os.dup2(inside.fileno(), target.fileno())
    threads = [threading.Thread(target=f) for f in (turn, swap)]
    [t.start() for t in threads]; codes = {}
    for i in range(400):
        s = target if i % 2 else socket.socket()
        r = libc.connect(s.fileno(), buf, 16); e = 0 if r == 0 else ctypes.get_errno()
        codes[e] = codes.get(e, 0) + 1
        if s is not target: s.close()
    stop.append(1); [t.join() for t in threads]
    print("rewrite-codes", codes, file=sys.stderr)
    return "both" if codes.get(0) and len(codes) > 1 else "one"
if len(sys.argv) > 2: attempt("rewrite", rewrite)
def killed():       # processes that end while their connect() waits for a name
    pids = []
    for i in range(60):
        pid = os.fork()
        if pid == 0:
            try: socket.create_connection(("127.128.0.11" if i % 2 else "10.203.7.2", 443), 5)
            except OSError: pass
            os._exit(0)
        pids.append(pid)
    for pid in pids: os.kill(pid, signal.SIGKILL)
    for pid in pids: os.waitpid(pid, 0)
    return tcp(("10.203.7.2", 443))
if len(sys.argv) > 2: attempt("killed", killed)
PY
# The same script in the world of the host shows that each refused call is possible there.
/usr/bin/python3 "$ROOT/model/try.py" "$O/run/x.sock" >"$O/host.out" 2>"$O/host.err"
grep -q 'tcp 444' "$O/seen"; check "the world answers on the port that is not listed" test $? = 0
grep -q GOT "$O/host"; check "and the listener on the loopback of the host" test $? = 0
: >"$O/seen"
: >"$O/host"
run eg /usr/bin/python3 "$ROOT/model/try.py" "$O/run/x.sock" attacks >"$O/eg.out" 2>"$O/eg.err" || sed 's/^/# /' "$O/eg.err"
ctl events eg --json >"$O/eg.events"
cat >"$ROOT/model/short.py" <<'PY'
import errno, socket
for name, where in (("listed", ("10.203.7.2", 443)), ("port", ("10.203.7.2", 444)), ("loopback", ("127.0.0.1", 7777))):
    s = socket.socket(); r = s.connect_ex(where); print(name, errno.errorcode.get(r, r), flush=True)
PY
run er /usr/bin/python3 "$ROOT/model/short.py" >"$O/er.out" 2>"$O/er.err" || sed 's/^/# /' "$O/er.err"
cp "$O/host" "$O/host-before"; cp "$O/seen" "$O/seen-eg"

# both NAME HOST JAIL TEXT: what the host's own script saw, and what the jail's did.
both() { if [ "$(answer host "$1")" = "$2" ] && [ "$(answer eg "$1")" = "$3" ]; then ok "$4"; else not_ok "$4" "host: $(answer host "$1") (wanted $2), jail: $(answer eg "$1") (wanted $3)"; fi; }
both tcp4 ping ping "a listed address of IPv4"
both tcp6 ping ping "a listed address of IPv6"
both mapped ping ping "the listed address by a socket of IPv6"
both listed-mapped ping ping "an address listed as ::ffff:a.b.c.d"
both port ping EACCES "another port of that address is refused: EACCES"
same eg address EACCES "the port at another address is refused"
same eg host-loopback EACCES "a listener on the host's loopback is refused"
same eg any EACCES "0.0.0.0, which is the host, is refused"
same eg host-veth EACCES "the host's own address is refused"
both closed ECONNREFUSED ECONNREFUSED "a listed port that is closed: the destination's own ECONNREFUSED"
both nonblock "EINPROGRESS 0 0" "EINPROGRESS 0 0" "non-blocking: EINPROGRESS, poll, SO_ERROR, connect() again"
same eg nonblock-closed "EINPROGRESS ECONNREFUSED EINPROGRESS" "non-blocking to a closed port: SO_ERROR says so"
same eg nonblock-denied "EACCES 0 EACCES" "non-blocking to what is not listed: EACCES at once"
both udp dgram dgram "a listed UDP destination, and its answer"
both udp-denied connected EACCES "another UDP port is refused"
both udp-turn 1 EPERM "a connected UDP socket sends to no other address (EPERM: the cgroup plane)"
both unix "hello ping" "hello ping" "a listed UNIX path that the jail's files do not have"
same eg unix-other ENOENT "another UNIX path is the jail's own: ENOENT"
both unix-dots "hello ping" ENOENT "the listed path in other words is the jail's own too"
same eg unix-dgram EACCES "no datagram socket is given to a UNIX path"
both name ping ping "a host name, by getaddrinfo() without any network"
both name-port2 ping ping "the same name, written in capitals in the profile, another port"
both name-port3 ping EACCES "a port of that name that is not listed"
both name-other ping ping "another name has its own address"
both name-dns ping ping "a name that only DNS knows"
same eg name-rebind EHOSTUNREACH "a name that leads to loopback or to link-local addresses is not followed"
same eg name-absent EHOSTUNREACH "a name that nobody knows"
same eg name-unlisted gai "a name that is not listed does not exist"
same eg name-raw EACCES "an address of the stand-ins that stands for nothing"
same eg sndtimeo "EALREADY True" "SO_SNDTIMEO bounds a blocking connect()"
both interrupted "interrupted True" "interrupted True" "a signal ends a blocking connect()"
both options "1 1 200000" "1 1 200000" "socket options set before connect() are carried over"
both threads "80 {'ping'}" "80 {'ping'}" "80 connections by 8 threads"
both fork ping ping "a forked process connects"
both malformed "ENOTSOCK EBADF EBADF EINVAL EINVAL EINVAL EFAULT" "ENOTSOCK EBADF EBADF EINVAL EINVAL EINVAL EFAULT" \
	"wrong descriptors, lengths and pointers answer as connect(2) does"
both fastopen 1 EPERM "connecting by sendto(MSG_FASTOPEN) is refused (EPERM: the cgroup plane)"
same eg reconnect "dissolved EACCES EACCES EPERM ping" "a granted socket, dissolved, reaches nothing new, and the listed again"
same eg rewrite both "an address and a descriptor that change during the call: both outcomes happen"
same eg killed ping "60 processes killed inside connect(): the broker goes on"
grep -q 'tcp 443' "$O/seen-eg" && ! grep -q 'tcp 444' "$O/seen-eg"
check "and the world never saw a connection to the unlisted port" test $? = 0
check "nor did the host's own listener" test ! -s "$O/host-before"
same er listed 0 "refuse = econnrefused: what is listed is reached"
same er port ECONNREFUSED "what is not is refused: ECONNREFUSED"
same er loopback ECONNREFUSED "the host's loopback likewise"

# With a loopback of its own: what is not listed there is the jail's, never the host's.
profile_egress el ""
sed -i 's|^\[network\]|[network]\nloopback = yes|' "$ROOT/etc/custody/profiles/el.ini"
cat >"$ROOT/model/loop.py" <<'PY'
import ctypes, errno, socket, struct, threading
def name(r): return errno.errorcode.get(r, r)
s = socket.socket(); s.bind(("127.0.0.1", 5555)); s.listen()
def serve():
    c, _ = s.accept(); c.sendall(b"own"); c.close()
threading.Thread(target=serve, daemon=True).start()
print("own", socket.create_connection(("127.0.0.1", 5555), 10).recv(10).decode(), flush=True)
print("host", name(socket.socket().connect_ex(("127.0.0.1", 7777))), flush=True)
print("stand-in", name(socket.socket().connect_ex(("127.128.0.7", 7777))), flush=True)
c = socket.create_connection(("metrics.custody.test", 9090), 30); c.sendall(b"ping"); print("name", c.recv(10).decode(), flush=True)
d = socket.socket(); d.connect(("10.203.7.2", 443))
ctypes.CDLL(None).connect(d.fileno(), struct.pack("=H14x", 0), 16)
print("dissolved", name(d.connect_ex(("127.0.0.1", 7777))), flush=True)
print("outside", name(socket.socket().connect_ex(("10.203.7.2", 444))), flush=True)
PY
: >"$O/host"
run el /usr/bin/python3 "$ROOT/model/loop.py" >"$O/el.out" 2>"$O/el.err" || sed 's/^/# /' "$O/el.err"
same el own own "private loopback: the jail's own listener"
same el host ECONNREFUSED "private loopback: the host's port is nobody's"
same el stand-in ECONNREFUSED "private loopback: an unlisted port of a stand-in is nobody's"
same el name ping "private loopback: names are reached all the same"
same el dissolved EACCES "a granted socket, dissolved, does not reach the host's loopback"
same el outside EACCES "nor does anything else"
check "the host's listener heard nothing" test ! -s "$O/host"

# Clients as they come, by name.
client() { # TEXT PROGRAM ARGUMENTS...
	if [ ! -x "$2" ]; then N=$((N + 1)); echo "ok $N - $1 # SKIP no $2 here"; return; fi
	got=$( (echo ping; sleep 2) | run ej "${@:2}" 2>"$O/client.err")
	if [ "$got" = ping ]; then ok "$1"; else not_ok "$1" "got $got; $(head -5 "$O/client.err")"; fi
}
profile_egress ej ""
sed -i 's|^\[process\]|[files]\njit = yes\n[process]|' "$ROOT/etc/custody/profiles/ej.ini"
client "curl connects by name" /usr/bin/curl -s --max-time 1 telnet://metrics.custody.test:9090
client "node connects by name" /usr/bin/node -e 'const s = require("net").connect(9090, "metrics.custody.test");
s.on("connect", () => s.write("ping\n")); s.on("data", d => { process.stdout.write(d); process.exit(0) });
s.on("error", e => { console.error(e); process.exit(1) })'
client "node connects by name, with IPv4 only" /usr/bin/node -e 'const s = require("net").connect({port: 9090, host: "metrics.custody.test", family: 4});
s.on("connect", () => s.write("ping\n")); s.on("data", d => { process.stdout.write(d); process.exit(0) });
s.on("error", e => { console.error(e); process.exit(1) })'
mkdir -m 755 "$O/program"
MUSL=${MUSL_GCC:-musl-gcc}
! command -v "${MUSL%% *}" >/dev/null || $MUSL -static -o "$O/program/musl" "$TOP/tests/root/name_client.c"
[ ! -x "$O/program/musl" ] || sed -i "s|^jit = yes|&\nread += $O/program|" "$ROOT/etc/custody/profiles/ej.ini"
client "a static client of musl connects by name" "$O/program/musl" metrics.custody.test 9090
client "busybox connects by name" /usr/bin/busybox nc metrics.custody.test 9090

# recorded TEXT EXPRESSION: an event for which the Python expression holds.
recorded() { check "on record: $1" /usr/bin/python3 -c 'import json, sys
sys.exit(0 if any(eval(sys.argv[2], {"e": e}) for e in map(json.loads, open(sys.argv[1])) if e["type"] == "event") else 1)' "${3:-$O/eg.events}" "$2"; }
ctl events er --json >"$O/er.events"
recorded "the denied connect() with address, port, errno and program" \
	"e['class'] == 'connect' and e['plane'] == 'broker' and e.get('address') == 'tcp:10.203.7.2:444' and e.get('error') == 'EACCES' and e['comm'] == 'python3'"
recorded "ECONNREFUSED by the profile" "e['class'] == 'connect' and e['plane'] == 'broker' and e.get('port') == 444 and e.get('error') == 'ECONNREFUSED'" "$O/er.events"
recorded "the first connection to a destination, as seen by the kernel" \
	"e['class'] == 'connect' and e['plane'] == 'cgroup' and e.get('object') == 0 and e['verdict'] == 'allowed'"
recorded "a connection by name, with the name" "e['class'] == 'connect' and e['plane'] == 'broker' and e.get('path') == 'metrics.custody.test'"
recorded "a connection to a UNIX path, with the path" "e['class'] == 'connect' and e['plane'] == 'broker' and e.get('path') == '$O/run/x.sock'"
recorded "a resolution: name and address" "e['class'] == 'resolve' and e.get('path') == 'metrics.custody.test' and e.get('address') == 'tcp:10.203.7.2:443' and e['verdict'] == 'allowed'"
recorded "the address that DNS gave" "e['class'] == 'resolve' and e.get('path') == 'dns.custody.test' and e['verdict'] == 'allowed'"
recorded "the address that no name may have" "e['class'] == 'resolve' and e.get('address') == 'tcp:169.254.169.254:443' and e.get('error') == 'EACCES'"
recorded "the name that nobody knows" "e['class'] == 'resolve' and e.get('path') == 'absent.custody.test' and e['verdict'] == 'denied'"
recorded "fast open, by the cgroup plane" "e['class'] == 'connect' and e['plane'] == 'cgroup' and e.get('error') == 'EPERM'"

# A server with endpoints of both kinds, through a restart of custodyd.
P=$(free_port) U=$(free_port)
cat >"$ROOT/model/server.py" <<'PY'
import errno, http.server, socket, sys, threading, urllib.parse
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", int(sys.argv[2])))
last = []
def udp():
    while True:
        data, peer = u.recvfrom(2000); last[:] = [peer]
        if data != b"quiet":
            u.sendto(b"answer " + data, peer)
threading.Thread(target=udp, daemon=True).start()
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        what = self.path.strip("/").split("/")
        try:
            if what[0] == "connect":
                s = socket.create_connection((what[1], int(what[2])), 30); s.sendall(b"ping"); out = s.recv(10).decode()
            elif what[0] == "echo": # what[3] bytes there and back; how many came back
                s = socket.create_connection((what[1], int(what[2])), 5); s.settimeout(3); got = 0
                try:
                    while got < int(what[3]):
                        s.sendall(b"x" * 1000); got += len(s.recv(1000, socket.MSG_WAITALL))
                except OSError: pass
                out = str(got)
            elif what[0] == "sendto":
                u.sendto(b"unasked", (what[1], int(what[2]))); out = "sent"
            else: out = "hello"
        except OSError as e: out = errno.errorcode.get(e.errno, "gai")
        self.send_response(200); self.end_headers(); self.wfile.write(out.encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
cat >"$ROOT/etc/custody/profiles/srv.ini" <<END
[profile]
extends = base
[model]
path = $ROOT/model
[process]
command = /usr/bin/python3 {model}/server.py $P $U
[network]
listen = tcp:127.0.0.1:$P udp:0.0.0.0:$U
egress = tcp:10.203.7.2:443 name:metrics.custody.test:9090 name:other.custody.test:9090
  name:slow.custody.test:9090
[retire]
drain-timeout = 2s
END
check "a server with endpoints of both kinds starts" ctl start srv
wait_for 20 fetch "$P" hello
says() { local got; got=$(fetch "$P" "$1"); if [ "$got" = "$2" ]; then ok "$3"; else not_ok "$3" "got $got, wanted $2"; fi; }
says connect/10.203.7.2/443 ping "it reaches a listed address"
says connect/metrics.custody.test/9090 ping "and a name"
status=$(ctl status srv)
if grep -q 'may reach *tcp:10.203.7.2:443' <<<"$status" && grep -q 'may reach *name:metrics.custody.test:9090' <<<"$status"; then
	ok "status shows what it may reach"
else
	not_ok "status shows what it may reach" "$status"
fi
ctl ps --json >"$O/ps"; ctl status srv --json >"$O/status"
check "ps --json lists them with kind egress" /usr/bin/python3 -c 'import json, sys
t = open(sys.argv[1]).read(); assert "\"egress\"" in t and "name:other.custody.test:9090" in t, t' "$O/ps"
counted() { ctl status srv --json >"$O/status"; /usr/bin/python3 - "$O/status" "$@" <<'PY'
import json, sys
def walk(x):
    if isinstance(x, dict):
        if x.get("class") == sys.argv[2] and x.get("label", x.get("object")) == sys.argv[3] and x.get(sys.argv[4], 0) > 0: sys.exit(0)
        for v in x.values(): walk(v)
    elif isinstance(x, list):
        for v in x: walk(v)
walk(json.load(open(sys.argv[1])))
print(open(sys.argv[1]).read()); sys.exit(1)
PY
}
check "bytes out are counted for a listed address" counted egress "tcp:10.203.7.2:443" bytes
check "bytes in are counted for a name" counted ingress "name:metrics.custody.test:9090" bytes
check "connections are counted for a name" counted connect "name:metrics.custody.test:9090" allowed

# While a name is looked up: the resolver is what it should be, and the broker serves others.
fetch "$P" connect/slow.custody.test/9090 >"$O/slow" &
SLOW=$!
resolver() { pgrep -P "$DAEMON" -x custody-resolve >"$O/resolver" && grep -q '^Seccomp:[[:space:]]*2' "/proc/$(cat "$O/resolver")/status"; }
check "a resolver runs while a name server takes its time" wait_for 10 resolver
status=$(tr '\n\t' '  ' <"/proc/$(cat "$O/resolver")/status")
if [[ $status == *"Uid: 60617 60617 60617 60617 "*"Groups:   "*"CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 "* ]]; then
	ok "the resolver has its own uid, no group, no capability, no_new_privs and a seccomp filter"
else
	not_ok "the resolver has its own uid, no group, no capability, no_new_privs and a seccomp filter" "$status"
fi
check "it is in none of the jails' cgroups" test -z "$(grep "${CGROUP##*/}/" "/proc/$(cat "$O/resolver")/cgroup")"
says connect/10.203.7.2/443 ping "another connection does not wait for it"
touch "$O/answer"
wait "$SLOW"
check "the name is reached when it is resolved" grep -qx ping "$O/slow"

ask_udp() { # from the world: ask, and print the answer
	nsenter -t "${WORLD%% *}" -n /usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.203.7.2", int(sys.argv[3]))); s.settimeout(float(sys.argv[4]))
s.sendto(sys.argv[2].encode(), ("10.203.7.1", int(sys.argv[1])))
try: print(s.recv(100).decode())
except TimeoutError: print("nothing")' "$U" "$1" "$2" "$3"
}
got=$(ask_udp query 6001 10)
[ "$got" = "answer query" ]; check "a published UDP endpoint answers whom it heard from" test $? = 0
ask_udp quiet 6002 0.1 >/dev/null
says sendto/10.203.7.2/6002 sent "also later, on the same socket"
says sendto/10.203.7.2/6003 EPERM "but sends to no port that it has not heard from"
says sendto/10.203.7.3/6002 EPERM "nor to another address"
check "the answers are counted at the endpoint" counted egress "udp:0.0.0.0:$U" bytes

check "while custodyd lives, the broker talks to no other process, root or not" /usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(10); s.connect(sys.argv[1])
try: assert s.recv(100) == b""
except ConnectionResetError: pass' "$(find "$ROOT/run/custody/jails" -name '*.broker' | sort -V | tail -1)"
daemon_kill
says connect/10.203.7.2/443 ping "without custodyd: a listed address is reached"
says connect/metrics.custody.test/9090 ping "a name that was resolved is reached"
says connect/10.203.7.2/444 EACCES "what is not listed is refused"
daemon_start || not_ok "custodyd is ready again"
seen_event() { ctl events srv --json >"$O/srv.events"; grep '"broker"' "$O/srv.events" | grep -q "$1"; }
check "the refusal that nobody was there to record is on record after the restart" wait_for 20 seen_event '10.203.7.2:444'
says connect/other.custody.test/9090 ping "a name is resolved for the adopted jail"
says connect/10.203.7.3/443 EACCES "a refusal after the restart"
check "is on record" wait_for 20 seen_event '10.203.7.3:443'
recorded "the resolution after the restart" "e['class'] == 'resolve' and e.get('path') == 'other.custody.test'" "$O/srv.events"
if grep -q '"gap"' "$O/srv.events"; then not_ok "nothing was lost" "$(grep gap "$O/srv.events")"; else ok "nothing was lost"; fi
# shellcheck source=tests/root/egress_names.bash
. "$(dirname "$0")/egress_names.bash"
for name in cap eg er ej el; do check "$name retires" ctl retire $name; done
umount /etc/hosts /etc/nsswitch.conf /etc/resolv.conf
no_leaks "nothing is left"
check "no socket of a broker is left" test -z "$(find "$ROOT/run/custody/jails" -name '*.broker')"
finish
