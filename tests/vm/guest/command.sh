#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Inside a lab machine: runs what the last disk says as root in /custody. Its output goes to the second
# serial port, what became of it to the third: "up", then "exit STATUS". Then the machine ends.
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
exec >/dev/ttyS1 2>&1
echo up >/dev/ttyS2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
cd /custody || exit 1
if /custody/tests/vm/guest/install.sh; then
	tr -d '\0' </dev/vdd >/run/lab-command
	/bin/bash /run/lab-command
	status=$?
else
	status=125
fi
exec >/dev/null 2>&1 # the last close waits until the output has left
echo "exit $status" >/dev/ttyS2
sleep 0.2
echo o >/proc/sysrq-trigger
sleep 60
