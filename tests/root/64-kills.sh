#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every role killed with -9 at each message that it takes (before, "recv", and after, "taken"), each
# that it sends, each write, and each piece of work of its own, while a model is launched, serves, is
# registered, restricted, frozen, thawed, stopped and retired. What must hold each time is in fault.bash; besides,
# the model is retired afterwards, and its verdict is not "clean" where something was not looked at,
# nor "incomplete" without a record that says why.
#
# A row's number is how many points of that kind are tried; FULL=1 tries all of them.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts other executables in the place of custody's, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
# shellcheck source=tests/root/fault.bash
. "$(dirname "$0")/fault.bash"
# shellcheck disable=SC2034 # read by try
JUDGE=1
# What only FULL tries.
ALL=0
[ -z "${FULL:-}" ] || ALL=1
fault_run "${TABLE:-start custodyd die:recv=$ALL die:taken=1 die:send=$ALL die:write=$ALL die:file=$ALL
start custody-front die:recv=$ALL die:taken=$ALL die:send=$ALL
start custody-planner die:recv=$ALL die:taken=$ALL die:send=$ALL
start custody-jail die:recv=$ALL die:taken=1 die:send=$ALL die:clone=$ALL die:mount=$ALL
start custody-broker die:recv=$ALL die:taken=$ALL die:ioctl=1
start custody-measurer die:recv=2 die:taken=2 die:send=2 die:read=1 die:file=$ALL die:fd=$ALL
start custody-recorder die:recv=$ALL die:taken=1 die:write=$ALL die:fsync=$ALL
serve custody-broker die:ioctl=1
serve custody-recorder die:fsync=$ALL
register custodyd die:recv=$ALL die:taken=1 die:send=$ALL
register custody-measurer die:recv=1 die:taken=1 die:send=1
register custody-planner die:recv=$ALL die:taken=1 die:send=1
register custody-recorder die:taken=1
restrict custodyd die:taken=$ALL die:file=$ALL die:send=$ALL
restrict custody-front die:taken=$ALL
restrict custody-recorder die:taken=1
freeze custodyd die:taken=1 die:write=$ALL die:file=$ALL
freeze custody-recorder die:taken=$ALL
freeze custody-front die:send=$ALL
thaw custodyd die:taken=1 die:write=$ALL die:file=$ALL
thaw custody-recorder die:taken=$ALL
stop custodyd die:recv=$ALL die:taken=1 die:send=$ALL die:write=$ALL die:file=$ALL
stop custody-front die:taken=$ALL
stop custody-recorder die:taken=1 die:write=$ALL
retire custodyd die:recv=$ALL die:taken=1 die:send=$ALL die:file=$ALL
retire custody-front die:taken=$ALL die:send=$ALL
retire custody-recorder die:taken=1 die:fsync=$ALL
retire custody-sweeper die:recv=$ALL die:taken=$ALL die:send=1}"
