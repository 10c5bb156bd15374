# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# How a test damages a file. Sourced by house.bash and 50-recorder.sh.

# flip FILE OFFSET: that byte becomes another one, whatever it was.
flip() {
	printf '%b' "\\x$(printf %02x $((255 - $(od -An -tu1 -j "$2" -N 1 "$1"))))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
