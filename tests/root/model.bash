# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# What the scripts share that start no custodyd (83-model-sign.sh, 84-model-attest.sh, 85-formats.sh):
# TAP, a temporary folder, and custodyctl model with its exit code. Sourced; goes to the tree's top.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CTL=$PWD/${BUILD:-build}/bin/custodyctl
PYTHON=/usr/bin/python3
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT
TESTS=0

tap() { # tap RC TEXT [DETAIL]
	TESTS=$((TESTS + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $TESTS - $2"
	else
		echo "not ok $TESTS - $2"
		[ -z "${3:-}" ] || printf '%s\n' "$3" | sed 's/^/# /'
	fi
}
skip() { # skip TEXT REASON
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - $1 # SKIP $2"
}
is() { # is GOT WANTED TEXT
	[ "$1" = "$2" ]
	tap $? "$3" "got: $1
wanted: $2"
}
ends() { # ends STATUS REGEX TEXT WORD...: custodyctl model WORD... ends so and says that
	local status=$1 regex=$2 text=$3 got output
	shift 3
	output=$("$CTL" model "$@" 2>&1)
	got=$?
	[ "$got" = "$status" ] && grep -qE -- "$regex" <<<"$output"
	tap $? "$text" "exit $got, wanted $status; wanted /$regex/ in: $output"
}
