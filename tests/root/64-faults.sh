#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Nth allocation, write, fsync, clone, mount, map update, message, name or descriptor fails, in
# custodyd and in each role, while a model is launched, serves, is registered, restricted, stopped and retired
# (fault_preload.c). Each time: an error is a whole sentence, what runs is confined, nothing is
# left, what the ledger lacks it says that it lacks, and the next launch works.
# "die" instead of a failure: kill -9 at that call (64-cut-off.sh does it to custodyd's launch and stop).
#
# Where a kind is called more often than the table at the end says, N is sampled; the test's text says
# how many of how many. FULL=1 takes every N, or FULL_LIMIT (300) of them.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts other executables in the place of custody's, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
# shellcheck source=tests/root/fault.bash
. "$(dirname "$0")/fault.bash"
fault_run "${TABLE:-start custodyd clone=3 write=2 fsync=1 send=4 file=3 fd=3 map=3 alloc=4
start custody-planner file=1 write=1 alloc=2 die:file=1
start custody-jail clone=4 mount=3 write=2 file=2 alloc=2 die:mount=1
start custody-broker file=1 fd=1 send=1 die:send=1
start custody-measurer file=2 read=1 fd=1 write=1 send=1 clone=1 alloc=2
start custody-recorder fsync=1 die:fsync=1 die:send=1
start custody-front die:send=1
serve custodyd map=1
register custody-measurer file=1 fd=1 send=1 alloc=1
register custody-planner file=1 write=1 alloc=1
register custodyd clone=2 fd=1 send=2 alloc=2
restrict custodyd write=2 fsync=1 file=2 map=2 die:write=1
restrict custody-recorder die:write=1
stop custodyd write=2 file=2 send=2 map=2
stop custody-recorder fsync=2 die:write=2 die:fsync=2 die:send=1
retire custodyd file=2 write=1 send=1
retire custody-recorder fsync=1
retire custody-sweeper die:send=1}"
