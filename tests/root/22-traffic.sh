#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Packet programs: bytes by endpoint, for the sockets of the broker (those it listens with and
# those accepted from them, and those it connects). All traffic stays on loopback.
. "$(dirname "$0")/policy_lib.sh"

P=$(free_port)
E=$((P + 1))
SIZE=50000
is "$(drive open)" "fresh planes=10" "programs load"
drive install $JAIL "$MODEL" "$BROKER" listen=4:tcp:$P:0.0.0.0 listen=6:tcp:$P::: egress=4:tcp:$E:127.0.0.1
tap $? "policy is installed: two endpoints on wildcard addresses, one destination"

serve() { # serve CGROUP FAMILY ADDRESS PORT NAME
	"$BUILD/root/policy_probe" "$1" serve "$2" "$3" "$4" $SIZE "$TMP/$5" >"$TMP/$5.out" &
	STARTED="$STARTED $!"
	wait_for "$TMP/$5"
}
bytes() { counter "$1" "$2" | cut -d' ' -f3; }
between() { # between VALUE LOW HIGH TEXT
	[ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
	tap $? "$4" "$1 is not in $2..$3"
}

serve "$BROKER" 4 0.0.0.0 $P v4
is "$(probe "$OTHER" fetch 4 127.0.0.1 $P)" $SIZE "a client outside fetches $SIZE bytes by IPv4"
wait $!
is "$(cat "$TMP/v4.out")" 0 "the server saw the end"
between "$(bytes 9 0)" $SIZE $((SIZE + 4000)) "egress of endpoint 0 has the payload and the headers"
between "$(bytes 10 0)" 100 4000 "ingress of endpoint 0 has the client's packets"

serve "$BROKER" 6 :: $P v6
is "$(probe "$OTHER" fetch 6 ::1 $P)" $SIZE "the same by IPv6"
wait $!
between "$(bytes 9 1)" $SIZE $((SIZE + 6000)) "egress of endpoint 1"
before=$(bytes 9 1)
serve "$BROKER" 6 :: $P mapped
is "$(probe "$OTHER" fetch 4 127.0.0.1 $P)" $SIZE "an IPv4 client of the IPv6 endpoint"
wait $!
between $(($(bytes 9 1) - before)) $SIZE $((SIZE + 6000)) "is counted at the IPv6 endpoint"

serve "$OTHER" 4 127.0.0.1 $E out
is "$(probe "$BROKER" fetch 4 127.0.0.1 $E)" $SIZE "the broker's socket fetches from its egress destination"
wait $!
between "$(bytes 10 2)" $SIZE $((SIZE + 6000)) "ingress of endpoint 2, on the broker's socket"
between "$(bytes 9 2)" 100 6000 "egress of endpoint 2"
is "$(counter 9 65535)" "0 0 0 0 0" "no packet out belongs to no endpoint"
is "$(counter 10 65535)" "0 0 0 0 0" "no packet in either"
drive events >/dev/null

serve "$BROKER" 4 0.0.0.0 $P drained
drive drain "$BROKER"
tap $? "the jail drains"
is "$(probe "$OTHER" fetch 4 127.0.0.1 $P)" EINPROGRESS "no new connection reaches the endpoint"
like "$(drive events)" "class=10 object=0 verdict=2 .*port=$P " "which is an event"
drive remove $JAIL
drive install $JAIL "$MODEL" "$BROKER" "listen=4:tcp:$((P + 2)):0.0.0.0"
serve "$BROKER" 4 0.0.0.0 $((P + 2)) gone
drive remove $JAIL
is "$(probe "$OTHER" fetch 4 127.0.0.1 $((P + 2)))" EINPROGRESS "once its policy is removed, no packet reaches the endpoint"
nothing_failed "which is counted, and nothing else failed" 4 '[1-9][0-9]*'
plan_end
