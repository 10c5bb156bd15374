#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Egress ceilings in the packet program, measured outside: bytes that arrive in another network
# namespace at the far end of a veth, by its counters (payload and IP headers, without the 14
# bytes of Ethernet), while several threads on every processor send as much as they can.
. "$(dirname "$0")/policy_lib.sh"

NS=ceil-$UNIQUE
NEAR=10.213.77.1
FAR=10.213.77.2
away() { ip netns exec "$NS" "$@"; } # with its own /sys, which hides the cgroups
inside() { nsenter --net=/run/netns/"$NS" "$@"; }
blast() { "$BUILD/root/ceiling_probe" "$@"; }
leave() {
	ip link del cn-"${UNIQUE:0:8}" 2>/dev/null
	ip netns del "$NS" 2>/dev/null
	cleanup
}
trap 'leave' EXIT

ip netns add "$NS" 2>/dev/null || skip_all "no network namespace can be made"
modprobe veth 2>/dev/null
ip link add cn-"${UNIQUE:0:8}" type veth peer name far netns "$NS" 2>/dev/null || skip_all "no veth"
# Nothing but the test's own packets on it: no neighbours, no IPv6.
sysctl -qw net.ipv6.conf.cn-"${UNIQUE:0:8}".disable_ipv6=1 2>/dev/null
away sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
ip addr add $NEAR/30 dev cn-"${UNIQUE:0:8}" && ip link set cn-"${UNIQUE:0:8}" arp off up &&
	away ip addr add $FAR/30 dev far && away ip link set far arp off up && away ip link set lo up
tap $? "a network namespace at the far end of a veth"
# Without ARP the kernel sends to the device's own address: give both ends the same one.
ip link set cn-"${UNIQUE:0:8}" address 02:00:00:00:77:01
away ip link set far address 02:00:00:00:77:01

arrived() { # IP bytes that came to the far end so far
	away cat /sys/class/net/far/statistics/rx_bytes /sys/class/net/far/statistics/rx_packets |
		{ read -r b; read -r p; echo $((b - 14 * p)); }
}
account() { drive ceilings $JAIL | awk -v s="$1" -v f="$2" '$1 == s { print $f }'; }
used() { account "$1" 2; }
at_most() { # at_most VALUE LIMIT TEXT
	[ "$1" -le "$2" ]
	tap $? "$3" "$1 is more than $2"
}
at_least() {
	[ "$1" -ge "$2" ]
	tap $? "$3" "$1 is less than $2"
}
again() { # again OPTION...: a new policy, a new start; "tcp" is an endpoint on a port of its own,
	# because connections that a ceiling has cut go on trying
	P=$((P + 1))
	set -- "${@/#tcp/listen=4:tcp:$P:$NEAR}"
	drive remove $JAIL
	drive events >/dev/null
	drive install $JAIL "$MODEL" "$BROKER" "$@"
	tap $? "policy:$(printf " %s" "$@")"
	START=$(arrived)
}
P=$(free_port)
U=egress=4:udp:9:$FAR
T=tcp
SIZE=1000
PACKET=$((SIZE + 28))

blast_udp() { # blast_udp THREADS PACKETS: sets REFUSED PAYLOAD GOT
	rm -f "$TMP/up"
	inside "$BUILD/root/ceiling_probe" - count-udp $FAR 9 1000 "$TMP/up" >"$TMP/count" &
	local counter=$!
	wait_for "$TMP/up"
	read -r _ REFUSED < <(blast "$MODEL" udp 0.0.0.0 0 $FAR 9 "$1" "$2" $SIZE)
	wait $counter
	read -r PAYLOAD GOT <"$TMP/count"
}
blast_tcp() { # blast_tcp CONNECTIONS SECONDS SKIP: sets BYTES GOODPUT
	rm -f "$TMP/up"
	blast "$BROKER" tcp $NEAR "$P" "$1" "$2" "$TMP/up" &
	local server=$!
	wait_for "$TMP/up"
	read -r BYTES GOODPUT < <(inside "$BUILD/root/ceiling_probe" - count-tcp $NEAR "$P" "$1" "$2" "$3")
	wait $server
}

is "$(drive open)" "fresh planes=10" "programs load"

# ---- a lifetime ceiling, cut ----
TOTAL=2000000
again "$U"
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" 0 "without a ceiling a packet goes out"
blast_udp 4 2000
is "$((PAYLOAD + 28 * GOT)) $REFUSED" "$((8000 * PACKET)) 0" "and 8000 from 4 threads, every byte of them"
again "$U" total=$TOTAL on-total=2
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" 0 "below the ceiling a packet goes out"
blast_udp 4 2000
at_most "$(used 16)" $TOTAL "4 threads of UDP: not a byte more than the ceiling is charged"
at_least "$(used 16)" $((TOTAL - PACKET + 1)) "and less than a packet of it is left"
is "$((PAYLOAD + 28 * GOT))" "$(($(used 16) - 29))" "what arrived outside is what was charged, to the byte"
is "$(($(arrived) - START))" "$(used 16)" "the far end's device counted the same"
at_least "$REFUSED" $((8000 - TOTAL / PACKET)) "the rest was refused with EPERM"
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" EPERM "after the cut even what would fit is refused (EPERM)"
drive events | grep class=19 >"$TMP/events"
like "$(cat "$TMP/events")" "class=19 object=65535 verdict=2 plane=2 error=-1 .*access=0x2 " "the crossing is an event"
is "$(wc -l <"$TMP/events")" 1 "one, not one for each packet"
at_least "$(counter 19 65535 | cut -d' ' -f2)" "$REFUSED" "each packet that was dropped is counted"

again "$T" total=20000000 on-total=2
blast_tcp 4 6 1
at_most "$(used 16)" 20000000 "4 TCP connections: not a byte more than the ceiling"
at_least "$(used 16)" $((20000000 - 70000)) "and less than the longest packet of it is left"
is "$(($(arrived) - START))" "$(used 16)" "what arrived outside is what was charged, to the byte"
at_most "$BYTES" "$(used 16)" "the clients read less than that: headers are charged too"
rm -f "$TMP/up"
blast "$BROKER" tcp $NEAR "$P" 1 1 "$TMP/up" 2>/dev/null &
LATE=$!
wait_for "$TMP/up"
is "$(inside "$BUILD/root/policy_probe" - fetch 4 $NEAR "$P")" EINPROGRESS "a new connection is not answered"
kill $LATE
wait $LATE 2>/dev/null

# ---- by destination; both roles draw on one account ----
again "egress=4:udp:9:$FAR" "egress=4:udp:10:$FAR" "$T" total=100000 total@0=5000 on-total=2
is "$(probe "$MODEL" sendto 4 udp $FAR 9)" 0 "the model sends to its first destination"
is "$(used 0) $(used 16)" "29 29" "which is charged to it and to the whole"
blast_tcp 1 1 0
is "$(used 0)" 29 "the broker's endpoint is charged to the whole only"
at_least "$(used 16)" 50000 "namely there"
is "$(($(arrived) - START))" "$(used 16)" "all that arrived was charged"
drive remove $JAIL
drive install $JAIL "$MODEL" "$BROKER" "egress=4:udp:9:$FAR" "egress=4:udp:10:$FAR" total=100000 \
	total@0=5000 on-total=2
blast "$MODEL" udp 0.0.0.0 0 $FAR 9 1 10 $SIZE >"$TMP/sends"
is "$(used 0) $(used 16) $(cat "$TMP/sends")" "$((4 * PACKET)) $((4 * PACKET)) 4 6" "the destination's ceiling holds"
is "$(probe "$MODEL" sendto 4 udp $FAR 9)" EPERM "it is shut (EPERM)"
is "$(probe "$BROKER" connect 4 udp $FAR 9)" EPERM "a connect() of the broker to it is refused (EPERM)"
is "$(probe "$MODEL" sendto 4 udp $FAR 10)" 0 "the other destination is open"
is "$(probe "$BROKER" connect 4 udp $FAR 10)" 0 "and may be connected to"
like "$(drive events)" "class=19 object=0 verdict=2 .*access=0x2 " "the event names the destination"

# ---- what stays in the jail is not charged ----
again "$U" loopback total=3000 on-total=2
inside "$BUILD/root/ceiling_probe" "$MODEL" udp 127.0.0.1 "$P" 127.0.0.1 10 2 50 $SIZE >"$TMP/private"
is "$(used 16) $(cat "$TMP/private")" "0 100 0" "the model's own loopback is not charged"

# ---- rates ----
for RATE in 1000000 8000000 64000000; do
	BURST=$((RATE / 4 > 131072 ? RATE / 4 : 131072))
	again "$T" rate=$RATE
	BEFORE=$(date +%s%N)
	blast_tcp 1 8 2
	NS_PASSED=$(($(date +%s%N) - BEFORE))
	at_most $(($(arrived) - START)) $((BURST + RATE * (NS_PASSED / 1000) / 1000000)) \
		"$RATE bytes/s: never more than bucket and time allow"
	# The fastest one is for the bound above: a loaded machine may not send that much at all.
	[ $RATE -gt 8000000 ] || at_least "$GOODPUT" $((RATE * 80 / 100)) "one TCP stream gets at least 80% of it ($GOODPUT)"
	at_most "$GOODPUT" $((RATE * 103 / 100)) "and no more than it"
done
again "$U" rate=100000
blast_udp 4 500
like "$(drive events)" "class=19 object=65535 verdict=2 .*access=0x1 " "the first packet over the rate is an event"
at_most "$(used 16)" $((131072 + 100000 * 40)) "UDP over the rate: the bucket and no more"
is "$REFUSED" 0 "it is told nothing: packets are lost, as on a network"
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" 0 "and small ones go out again when there is room"
again "$U" rate=100000 on-rate=2
blast_udp 4 500
at_least "$REFUSED" 1 "a rate with on-rate = cut cuts"
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" EPERM "for good (EPERM)"

# ---- fail closed ----
DRIVER_GRANTED=100000 again "$U" total=1000000 on-total=2
blast_udp 4 500
at_most "$(used 16)" 100000 "no more than what custodyd has set aside"
is "$(account 16 5)" 0 "which is no crossing"
DRIVER_NO_ACCOUNT=1 again "$U" total=1000000
is "$(blast "$MODEL" sendto 0.0.0.0 0 $FAR 9)" EPERM "a jail with ceilings and no account sends nothing"
nothing_failed "which is counted, and nothing else failed" 4 '[0-9]+' 8 '[1-9][0-9]*'
drive remove $JAIL
is "$(drive count $JAIL)" 0 "removal leaves no entry"
plan_end
