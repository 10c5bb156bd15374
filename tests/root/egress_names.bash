# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # O, P, U: of 67-egress.sh
#
# Part of 67-egress.sh, sourced by it in its world: names with ceilings, a freeze while a name is being
# resolved, a name that is dropped.
# A ceiling of a name: for whatever address it has, and with no way round it by another name.
cat >>"$O/hosts" <<END
10.203.7.2 alias.custody.test
END
P=$(free_port)
cat >"$ROOT/etc/custody/profiles/cap.ini" <<END
[profile]
extends = base
[model]
path = $ROOT/model
[process]
command = /usr/bin/python3 {model}/server.py $P $U
[network]
listen = tcp:127.0.0.1:$P udp:127.0.0.1:$U
egress = name:other.custody.test:9090 name:Metrics.custody.test:9090 name:alias.custody.test:9090
  tcp:10.203.7.2:443 name:alias.custody.test:443 name:slow.custody.test:443
egress-total = name:metrics.custody.test:9090=64K name:alias.custody.test:9090=64K
  name:alias.custody.test:443=64K
[retire]
drain-timeout = 0s
END
check "srv retires first" ctl retire srv
check "a model with ceilings of names starts" ctl start cap
wait_for 20 fetch "$P" hello
says echo/metrics.custody.test/9090/20000 20000 "within its ceiling a name is reached"
says echo/other.custody.test/9090/200000 200000 "another name is not held by it"
got=$(fetch "$P" echo/metrics.custody.test/9090/200000)
if [ "${got:-0}" -gt 10000 ] && [ "$got" -lt 45536 ]; then ok "past it the name gets nothing more"; else not_ok "past it the name gets nothing more" "$got came back"; fi
used=$(ctl status cap --json | /usr/bin/python3 -c 'import json, sys
print(*[c["used"] for c in json.load(sys.stdin)["ceilings"] if c.get("endpoint") == "name:metrics.custody.test:9090"])')
if [ "${used:-0}" -gt 60000 ] && [ "$used" -le 65536 ]; then ok "status shows what of it is used, not a byte more than there is"; else not_ok "status shows what of it is used" "used $used: $(ctl status cap --json)"; fi
got=$(fetch "$P" connect/alias.custody.test/9090)
[ "$got" != ping ]; check "an address that one name has is no way round it by another ($got)" test $? = 0
got=$(fetch "$P" connect/alias.custody.test/443)
[ "$got" != ping ]; check "nor one that is listed by itself ($got)" test $? = 0
ctl events cap --json >"$O/cap.events"
recorded "the address that was not used" "e['class'] == 'resolve' and e.get('path') == 'alias.custody.test' and e['verdict'] == 'denied' and e.get('error') == 'EADDRINUSE'" "$O/cap.events"
says connect/10.203.7.2/443 ping "the listed address is reached as before"
# A call that waits for a name server does not freeze: the broker answers it then.
rm -f "$O/answer"
fetch "$P" connect/slow.custody.test/443 >"$O/slow" &
SLOW=$!
check "a name is being resolved" wait_for 10 resolver
check "freeze does not wait for it" ctl freeze cap
check "thaw" ctl thaw cap
wait "$SLOW"
check "the call was answered, the name not reached" grep -qx EHOSTUNREACH "$O/slow"
touch "$O/answer"
reached() { [ "$(fetch "$P" connect/slow.custody.test/443)" = ping ]; }
check "and afterwards it is, as ever" wait_for 30 reached
check "restrict drops a name" ctl restrict cap --drop-endpoint name:other.custody.test:9090
got=$(fetch "$P" connect/other.custody.test/9090)
[ "$got" != ping ]; check "and it is not reached any more ($got)" test $? = 0
says connect/10.203.7.2/443 ping "which others still are"
