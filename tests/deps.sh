#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that are missing, and says nothing when none is.
#
#   tests/deps.sh demo     what building and the demonstration need
#   tests/deps.sh check    that, and what lint and the tests need
#   tests/deps.sh list     the names of all of them, one a line
#
# Exit: 0 everything is there; 3 something is missing and could not be installed.
set -euo pipefail

build=(
	gcc libc6-dev make binutils clang-14 bpftool
	libbpf-dev libseccomp-dev libcap-dev libnl-3-dev libnl-genl-3-dev libnl-route-3-dev
	libnl-idiag-3-dev libinih-dev libjansson-dev libssl-dev libsystemd-dev zlib1g-dev
)
demo=(python3 python3-sklearn iproute2 util-linux procps)
check=(
	libclang-rt-14-dev libcmocka-dev shellcheck man-db groff-base nodejs openssl curl
	libcap2-bin bubblewrap strace qemu-system-x86 debootstrap e2fsprogs cpio busybox-static
	kmod xz-utils
)

missing_of() {
	local have p
	have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
	for p in "$@"; do
		grep -qxF "$p installed" <<<"$have" || echo "$p"
	done
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=120 "$@"
}

case "${1:-}" in
demo) wanted=("${build[@]}" "${demo[@]}") ;;
check) wanted=("${build[@]}" "${demo[@]}" "${check[@]}") ;;
list)
	printf '%s\n' "${build[@]}" "${demo[@]}" "${check[@]}"
	exit 0
	;;
*)
	echo "usage: tests/deps.sh demo|check|list" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: not a Debian system; nothing is installed for you. Needed: ${wanted[*]}" >&2
	exit 0
fi

mapfile -t missing < <(missing_of "${wanted[@]}")
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing: ${missing[*]}" >&2
	echo "deps: run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 3
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "deps: installing ${missing[*]}"
# The package lists of a fresh machine are absent or old: fetch them only when that shows.
if ! install_packages "${missing[@]}" >"$log" 2>&1; then
	if ! { apt-get update -q && install_packages "${missing[@]}"; } >>"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "deps: apt-get could not install: ${missing[*]}" >&2
		exit 3
	fi
fi
mapfile -t missing < <(missing_of "${wanted[@]}")
if [ ${#missing[@]} -ne 0 ]; then
	echo "deps: still missing after apt-get: ${missing[*]}" >&2
	exit 3
fi
