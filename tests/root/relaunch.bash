# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# What 86-relaunch.sh and 86-relaunch-guard.sh share: a signed model, and how much of it is read when it
# starts. Sourced as root after house_open.
command -v openssl >/dev/null || skip_all "needs openssl"
PYTHON=/usr/bin/python3
PORT=$(free_port)
MODEL=$ROOT/model
SIZE=20	# MiB of its largest file
[ "${CUSTODY_LAB:-}" != 1 ] || SIZE=2	# each byte is hashed in an emulated machine
openssl ecparam -genkey -name prime256v1 -noout -out "$ROOT/a.pem" 2>/dev/null
openssl ec -in "$ROOT/a.pem" -pubout -out "$ROOT/a.pub" 2>/dev/null
skip() { N=$((N + 1)); echo "ok $N - $1 # SKIP $2"; }

asks() { # asks DIRECTORY: the profile "known" of a signed model there
	profile known "$PORT"
	sed -i "s|^path = .*|path = $1\nrequire-signature = yes\ntrusted-keys = $ROOT/a.pub|; s|--directory $MODEL|--directory $1|" \
		"$ROOT/etc/custody/profiles/known.ini"
}
fill() { # fill DIRECTORY
	mkdir -p "$1/sub"
	echo hello >"$1/index.html"
	head -c 300000 /dev/urandom >"$1/sub/a.bin"
	truncate -s "${SIZE}M" "$1/b.bin"
	sign "$1"
}
sign() { "$BIN/custodyctl" --quiet model sign "$1" --key "$ROOT/a.pem" >/dev/null; }
# reads TEXT BYTES [known]: it starts, and so many bytes of it are read for that
reads() {
	local row
	check "$1: it starts" ctl start known
	row=$(ctl status known --json | $PYTHON -c 'import json, sys
m = json.load(sys.stdin)["measured"]
print(m["bytes_read"], "known" if "known" in m["flags"] else "")')
	[ "$row" = "$2 ${3:-}" ] && ok "$1: $2 bytes are read" || not_ok "$1: $2 bytes are read" "$row"
	ctl stop known >/dev/null
}
ALL=$((6 + 300000 + (SIZE << 20)))
