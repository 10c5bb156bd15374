#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A model that was measured is not read again while the guard was around it all the time, custodyd
# killed in between included; and is read where it was not. Needs the LSM plane.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck source=tests/root/guard.bash
. "$(dirname "$0")/guard.bash"
guard_open
# shellcheck source=tests/root/relaunch.bash
. "$(dirname "$0")/relaunch.bash"

fill "$MODEL"
asks "$MODEL"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
reads "first" "$ALL"
ctl status known --json | grep -q '"guarded"' && ok "the guard was around it" || not_ok "the guard was around it" "$(ctl status known)"
refused "a model that has stopped stays guarded" 1 "not permitted" dd if=/dev/zero of="$MODEL/b.bin" bs=1 count=1 conv=notrunc
refused "nor are its times set back" 1 "not permitted" touch -d 2001-01-01 "$MODEL/b.bin"
recorded "both, of the model that has stopped" '"comm": ?"touch".*"error": ?"EPERM".*"name": ?"known".*"object_name": ?"artifact".*"denied"'
if $PYTHON -c 'import platform; v = platform.release().split("."); raise SystemExit((int(v[0]), int(v[1].split("-")[0])) < (6, 8))'; then
	reads "nobody can have written" 0 known
	daemon_kill
	daemon_start || not_ok "custodyd says ready again"
	reads "after custodyd was killed" 0 known
else
	reads "without unique mount ids (before Linux 6.8) it is read" "$ALL"
fi
check "retired" ctl retire known
check "then it may be written" dd if=/dev/zero of="$MODEL/b.bin" bs=1 count=1 conv=notrunc
printf '\0' | dd of="$MODEL/b.bin" bs=1 conv=notrunc 2>/dev/null
reads "and is read" "$ALL"
daemon_stop
daemon_start || not_ok "custodyd says ready"
reads "after a clean stop of custodyd, which opened it, it is read" "$ALL"
daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left"
finish
