#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Socket programs: which sockets may be made, and which addresses a model and its broker may
# name. All traffic stays on loopback.
. "$(dirname "$0")/policy_lib.sh"

P=$(free_port)	# a published endpoint
E=$((P + 1))	# an egress destination
U=$((P + 2))	# named by nothing
is "$(drive open)" "fresh planes=10" "programs load"

for try in "socket 2 1 0" "socket 2 2 0" "socket 10 1 0" "bind 4 tcp 127.0.0.1 $P" "bind 6 tcp ::1 $P"; do
	is "$(probe "$OTHER" $try)" 0 "outside of custody's cgroup: $try"
done
is "$(probe "$OTHER" connect 4 tcp 127.0.0.1 $U)" ECONNREFUSED "outside connect reaches the stack"
is "$(probe "$OTHER" sendto 4 udp 127.0.0.1 $U)" 0 "outside sendto reaches the stack"
is "$(probe "$STRAY" socket 2 1 0)" EPERM "a cgroup below without an entry makes no socket"
nothing_failed "which is counted" 4 1

drive install $JAIL "$MODEL" "$BROKER" listen=4:tcp:$P:127.0.0.1 listen=6:tcp:$P:::1 \
	egress=4:tcp:$E:127.0.0.1 egress=4:udp:$E:127.0.0.1 egress=6:tcp:$E:::1
tap $? "policy is installed"
is "$(probe "$MODEL" socket 1 1 0)" 0 "model: UNIX stream socket"
is "$(probe "$MODEL" socket 2 1 0)" 0 "model: TCP"
is "$(probe "$MODEL" socket 10 2 0)" 0 "model: UDP over IPv6"
is "$(probe "$MODEL" socket 2 3 255)" EPERM "model: raw is denied"
is "$(probe - socket 2 3 255)" 0 "raw works outside"
for try in "2 1 262" "2 1 132" "2 2 136"; do	# MPTCP, SCTP, UDP-Lite, where the kernel has them
	[ "$(probe "$OTHER" socket $try)" = 0 ] || continue
	is "$(probe "$MODEL" socket $try)" EPERM "model: socket $try is denied"
done
events=$(drive events)
like "$events" 'class=5 object=0 verdict=2 plane=2 error=-1 .*access=0x3 .*family=4 protocol=255 ' "raw is an event"

is "$(probe "$BROKER" bind 4 tcp 127.0.0.1 $P)" 0 "broker: binds the endpoint"
is "$(probe "$BROKER" bind 6 tcp ::1 $P)" 0 "broker: and the one of IPv6"
is "$(probe "$BROKER" bind 4 tcp 127.0.0.1 $U)" EPERM "broker: no other port"
is "$(probe "$BROKER" bind 4 tcp 0.0.0.0 $P)" EPERM "broker: no other address"
is "$(probe "$BROKER" bind 4 udp 127.0.0.1 $P)" EPERM "broker: no other protocol"
is "$(probe "$BROKER" bind 4 tcp 127.0.0.1 $E)" EPERM "broker: not an egress destination"
is "$(probe "$BROKER" bind 6 tcp ::ffff:127.0.0.1 $P)" EPERM "broker: not its mapped address"
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $E)" ECONNREFUSED "broker: connects to the egress destination"
is "$(probe "$MODEL" bind 4 tcp 127.0.0.1 $P)" EPERM "model: does not bind the endpoint"
is "$(probe "$MODEL" bind 4 tcp 127.0.0.1 0)" EPERM "model: nor a free port"
is "$(probe "$MODEL" bind 6 tcp :: 0)" EPERM "model: nor of IPv6"
is "$(probe "$BROKER" connect 6 tcp ::1 $E)" ECONNREFUSED "broker: and to the one of IPv6"
is "$(probe "$BROKER" connect 6 tcp ::ffff:127.0.0.1 $E)" ECONNREFUSED "broker: also by its mapped address"
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $U)" EPERM "broker: to no other port"
is "$(probe "$BROKER" connect 4 tcp 127.0.0.1 $P)" EPERM "broker: not to its own endpoint"
is "$(probe "$MODEL" connect 4 tcp 127.0.0.1 $E)" EPERM "model: connects to nothing, not to the egress destination"
is "$(probe "$MODEL" connect 4 tcp 127.0.0.1 $U)" EPERM "model: to no other port"
is "$(probe "$MODEL" connect 4 tcp 127.0.0.2 $E)" EPERM "model: to no other address"
is "$(probe "$MODEL" connect 6 tcp ::ffff:127.0.0.1 $U)" EPERM "model: nor by a mapped address"
is "$(probe "$MODEL" connect 4 tcp 127.0.0.1 $P)" EPERM "model: not to its own endpoint"
is "$(probe "$MODEL" connect 4 udp 127.0.0.1 $U)" EPERM "model: nor by UDP"
is "$(probe "$MODEL" sendto 4 udp 127.0.0.1 $E)" 0 "model: sends to the egress destination"
is "$(probe "$MODEL" sendto 4 udp 127.0.0.1 $U)" EPERM "model: sends nowhere else"
is "$(probe "$MODEL" sendto 6 udp ::1 $E)" EPERM "model: nor by IPv6"
is "$(probe "$MODEL" sendto 6 udp ::ffff:127.0.0.1 $U)" EPERM "model: nor by a mapped address"
is "$(probe "$MODEL" sendto 4 tcp 127.0.0.1 $U)" EPIPE "model: (sendto on TCP without fast open is no connect)"

events=$(drive events)
like "$events" "class=6 object=0 verdict=1 plane=2 error=0 .*family=4 protocol=6 port=$P address=127.0.0.1 " \
	"the broker's bind is an event with its endpoint"
like "$events" "class=7 object=2 verdict=1 .*port=$E address=127.0.0.1 " "so is the first connect"
like "$events" "class=7 object=65535 verdict=2 plane=2 error=-1 .*family=4 protocol=6 port=$U address=127.0.0.1 " \
	"so is each denied one"
like "$events" "class=8 object=3 verdict=1 .*protocol=17 port=$E " "so is sendmsg"
like "$events" "class=8 object=65535 verdict=2 .*family=6 protocol=17 port=$E address=::1 " "denied by IPv6 too"
is "$(counter 6 0)" "1 1 0 2 0" "counter bind, IPv4 endpoint"
is "$(counter 6 2)" "0 1 0 1 0" "counter bind, egress destination"
is "$(counter 6 65535)" "0 6 0 6 0" "counter bind, no endpoint"
is "$(counter 7 2)" "2 1 0 2 0" "counter connect, IPv4 destination: twice by the broker, one first sight, once by the model"
is "$(counter 7 65535)" "0 5 0 5 0" "counter connect, no endpoint"
is "$(counter 8 65535)" "0 3 0 3 0" "counter sendmsg, no endpoint"

# Loopback: the flag, a loopback address and a socket of the model's own making.
drive remove $JAIL && drive install $JAIL "$MODEL" "$BROKER" loopback listen=4:tcp:$P:127.0.0.1
tap $? "policy with private loopback"
is "$(probe "$MODEL" bind 4 tcp 127.0.0.1 0)" 0 "model: binds loopback"
is "$(probe "$MODEL" bind 6 tcp ::1 0)" 0 "model: of IPv6 too"
is "$(probe "$MODEL" bind 4 tcp 0.0.0.0 0)" EPERM "model: not the wildcard address"
is "$(probe "$MODEL" connect 4 tcp 127.0.0.1 $U)" ECONNREFUSED "model: connects to loopback"
is "$(probe "$MODEL" sendto 6 udp ::1 $U)" 0 "model: sends to loopback"
is "$(probe "$MODEL" connect 4 tcp 192.0.2.1 $U)" EPERM "model: nowhere else"
is "$(probe "$BROKER" bind 4 tcp 127.0.0.1 0)" EPERM "the broker has no loopback"

# The broker's sockets live in the host's network namespace, and the model holds them.
"$BUILD/root/policy_probe" "$OTHER" serve 4 127.0.0.1 $U 10 "$TMP/target" >"$TMP/target.out" &
STARTED="$STARTED $!"
wait_for "$TMP/target"
drive events >/dev/null
probe "$BROKER" regain "$OTHER" "$MODEL" $P $U "$TMP/regained" >"$TMP/regain.out" &
STARTED="$STARTED $!"
wait_for "$TMP/regained"
is "$(probe "$OTHER" fetch 4 127.0.0.1 "$(cat "$TMP/regained")")" EINPROGRESS \
	"nobody reaches a listener on a free port that the model opened with a regained socket"
wait $!
is "$(sed -n 1p "$TMP/regain.out")" EPERM "a regained socket does not connect to the host's loopback"
is "$(sed -n 2p "$TMP/regain.out")" EPERM "nor bind it"
is "$(sed -n 3p "$TMP/regain.out")" ETIMEDOUT "nor accept on a free port"
events=$(drive events)
like "$events" "class=7 object=65535 verdict=2 .*port=$U address=127.0.0.1 " "the connect is an event"
like "$events" "class=10 object=65535 verdict=2 plane=2 .*port=$(cat "$TMP/regained") " "the dropped packet is an event"
is "$(probe "$OTHER" fetch 4 127.0.0.1 $U)" 10 "the host's listener was there all the time"
nothing_failed "no helper failed" 4 1
plan_end
