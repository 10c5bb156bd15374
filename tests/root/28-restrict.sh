#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `restrict` takes, where the kernel decides it: egress and endpoints, of connections that are
# there as well, and devices. All traffic stays on loopback.
. "$(dirname "$0")/policy_lib.sh"

EGRESS=0x1000000 DEVICES=0x2000000
P=$(free_port)	# a published endpoint
E=$((P + 1))	# an egress destination
F=$((P + 2))	# another
[ "$(drive open)" = "fresh planes=10" ]
tap $? "programs load"
drive install $JAIL "$MODEL" "$BROKER" listen=4:tcp:$P:127.0.0.1 egress=4:tcp:$E:127.0.0.1 \
	egress=4:udp:$E:127.0.0.1 egress=4:tcp:$F:127.0.0.1 device=c:1:11:/dev/kmsg
tap $? "policy is installed"
mknod "$TMP/kmsg" c 1 11

cat >"$TMP/echo.py" <<'PY'
import os, socket, sys, threading
def serve(c):
    with c:
        while data := c.recv(100):
            c.sendall(data)
def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen()
    return s
sockets = [listen(int(p)) for p in sys.argv[2:]]
open(sys.argv[1], "w").close()
for s in sockets:
    threading.Thread(target=lambda s=s: [threading.Thread(target=serve, args=(s.accept()[0],)).start()
        for _ in range(9)], daemon=True).start()
sys.stdin.read()
os._exit(0)
PY
# In a cgroup: one connection that stays, asked by lines.
cat >"$TMP/client.py" <<'PY'
import socket, sys
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
s = socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=10)
for line in sys.stdin:
    try:
        s.settimeout(2 if "dropped" in line else 20)
        s.sendall(line.encode())
        print(s.recv(100).decode().strip(), flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
PY
mkfifo "$TMP/hold"
/usr/bin/python3 "$TMP/echo.py" "$TMP/ready" "$E" "$F" <"$TMP/hold" &
STARTED="$STARTED $!"
exec 7>"$TMP/hold"
wait_for "$TMP/ready"
connect() { # connect NAME PORT: a client with fifos NAME.in and NAME.out
	mkfifo "$TMP/$1.in" "$TMP/$1.out"
	/usr/bin/python3 "$TMP/client.py" "$BROKER" "$2" <"$TMP/$1.in" >"$TMP/$1.out" 7>&- &
	STARTED="$STARTED $!"
}
connect one "$E"
exec 3>"$TMP/one.in" 4<"$TMP/one.out"
connect two "$F"
exec 5>"$TMP/two.in" 6<"$TMP/two.out"
asks() { # asks TEXT WANT IN OUT WORD
	local got=
	echo "$5" >&"$4"
	read -r -t 30 got <&"$3"
	is "$got" "$2" "$1"
}
asks "a connection out is there" one 4 3 one
asks "a second" two 6 5 two
is "$(probe "$MODEL" sendto 4 udp 127.0.0.1 $E)" 0 "UDP goes out"
is "$(probe "$MODEL" open "$TMP/kmsg" r)" 0 "the device opens"

# ---- one endpoint (index 1) ----
drive restrict "$MODEL" "$BROKER" 0 0x2
tap $? "an endpoint is dropped"
asks "its connection carries nothing" TimeoutError 4 3 dropped
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $E)" EPERM "nor is there a new one"
drive events >"$TMP/events"
like "$(cat "$TMP/events")" "class=7 object=1 verdict=2 plane=2 error=-1 " "which is an event"
like "$(cat "$TMP/events")" "class=9 object=1 verdict=2 plane=2 error=-1 " "as is the first packet"
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $F)" 0 "another is not touched"
asks "nor its connection" three 6 5 three
is "$(probe "$MODEL" sendto 4 udp 127.0.0.1 $E)" 0 "nor the same port by UDP"

# ---- all of egress ----
drive restrict "$MODEL" "$BROKER" $EGRESS 0
tap $? "egress is cut"
asks "the connection carries nothing" TimeoutError 6 5 dropped
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $F)" EPERM "no new one"
is "$(probe "$MODEL" sendto 4 udp 127.0.0.1 $E)" EPERM "no datagram"
is "$(probe "$BROKER" bind 4 tcp 127.0.0.1 $P)" 0 "what is published is not touched"
is "$(probe "$MODEL" open "$TMP/kmsg" r)" 0 "nor is the device"

# ---- devices ----
drive restrict "$MODEL" "$BROKER" $DEVICES 0
tap $? "devices are taken"
is "$(probe "$MODEL" open "$TMP/kmsg" r)" EPERM "the device opens no more"
like "$(drive events)" "class=4 object=[0-9]* verdict=2 plane=2 error=-1 .*device=0x10000000b" "which is an event"
is "$(probe "$MODEL" open /dev/null w)" 0 "the standard ones do"
is "$(probe "$MODEL" open /dev/urandom r)" 0 "likewise"

# ---- never loosened ----
drive restrict "$MODEL" "$BROKER" 0 0
tap $? "asked for nothing"
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $F)" EPERM "all of it holds: egress"
is "$(probe "$MODEL" open "$TMP/kmsg" r)" EPERM "devices"
! drive restrict "$MODEL" "$BROKER" 0x2 0 2>/dev/null
tap $? "flags that would give something are none of restrict's"
nothing_failed "no helper failed"
exec 7>&-
plan_end
