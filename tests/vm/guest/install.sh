#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Inside a lab machine: puts what "make install" made onto the system, as a package would.
set -eu
cp -a /custody/build/install/. /
systemd-sysusers 2>/dev/null
systemd-tmpfiles --create /usr/lib/tmpfiles.d/custody.conf
systemctl daemon-reload
mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
