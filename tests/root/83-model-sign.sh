#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# custodyctl model sign and verify against others: what custody signs is checked with openssl and
# Python alone, and what these sign custody verifies. Then changed models, bad bundles, bad
# certificates and bad directories, each with its exit code.
set -u
# shellcheck source=tests/root/model.bash
. "$(dirname "$0")/model.bash"
VECTORS=${CUSTODY_VECTORS:-$PWD/../shared/vectors}/oms

# other.py: the format by another hand, Python's json, hashlib and the openssl command.
cat >"$TMP/other.py" <<'PY'
import base64, hashlib, json, os, subprocess, sys

def pae(payload, kind=b"application/vnd.in-toto+json"):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)

def openssl(*words, stdin=None):
    return subprocess.run(("openssl",) + words, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)

def resources(model):
    found = []
    for top, _, names in os.walk(model):
        for name in names:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, model)
            if relative.split("/")[0] in (".git", ".gitignore", "model.sig"):
                continue
            digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
            found.append({"name": relative, "algorithm": "sha256", "digest": digest})
    return sorted(found, key=lambda r: r["name"])

def root(found):
    return hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in found)).hexdigest()

def check(bundle, public, hash_name, model, work):
    """Signature, hint and manifest of a bundle that somebody else made."""
    b = json.load(open(bundle))
    payload = base64.b64decode(b["dsseEnvelope"]["payload"], validate=True)
    open(work + "/pae", "wb").write(pae(payload))
    (only,) = b["dsseEnvelope"]["signatures"]
    open(work + "/sig", "wb").write(base64.b64decode(only["sig"], validate=True))
    good = openssl("dgst", "-" + hash_name, "-verify", public, "-signature", work + "/sig",
                   work + "/pae").returncode == 0
    hint = b["verificationMaterial"].get("publicKey", {}).get("hint")
    s = json.loads(payload)
    found = resources(model)
    print("signature", good)
    print("hint", hint == hashlib.sha256(open(public, "rb").read()).hexdigest())
    print("resources", s["predicate"]["resources"] == found)
    print("root", s["subject"] == [{"name": os.path.basename(model), "digest": {"sha256": root(found)}}])
    print("form", set(b) == {"mediaType", "verificationMaterial", "dsseEnvelope"},
          b["mediaType"], s["_type"], s["predicateType"], sorted(s["predicate"]["serialization"]))

def make(bundle, private, public, hash_name, model, work, *certificates):
    """A bundle as another program would write it: indented, keyid null, no tlogEntries."""
    found = resources(model)
    statement = {"predicateType": "https://model_signing/signature/v1.0",
                 "_type": "https://in-toto.io/Statement/v1",
                 "subject": [{"name": "m", "digest": {"sha256": root(found)}}],
                 "predicate": {"serialization": {"method": "files", "hash_type": "sha256",
                                                 "allow_symlinks": False},
                               "resources": found}}
    payload = json.dumps(statement, indent=3).encode()
    open(work + "/pae", "wb").write(pae(payload))
    sig = openssl("dgst", "-" + hash_name, "-sign", private, work + "/pae").stdout
    material = {"publicKey": {"hint": hashlib.sha256(open(public, "rb").read()).hexdigest()}}
    if certificates:
        der = [openssl("x509", "-in", c, "-outform", "DER").stdout for c in certificates]
        material = {"x509CertificateChain": {"certificates":
                    [{"rawBytes": base64.b64encode(d).decode()} for d in der]}}
    json.dump({"dsseEnvelope": {"payloadType": "application/vnd.in-toto+json",
                                "signatures": [{"keyid": None, "sig": base64.b64encode(sig).decode()}],
                                "payload": base64.b64encode(payload).decode()},
               "verificationMaterial": material,
               "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"},
              open(bundle, "w"), indent=2)

{"check": check, "make": make}[sys.argv[1]](*sys.argv[2:])
PY

M=$TMP/m
mkdir -p "$M/a dir/deep" "$M/.git"
printf 'weights' >"$M/w.bin"
printf 'x' >"$M/a dir/deep/file with spaces"
printf 'y' >"$M/a dir.z"
printf 'ü' >"$M/gewichte-ü-🦙"
printf 'd' >"$M/.dot"
printf 'g' >"$M/.git/HEAD"
: >"$M/empty"

make_key() { # make_key NAME CURVE
	openssl ecparam -name "$2" -genkey -noout -out "$TMP/$1.pem" &&
		openssl pkey -in "$TMP/$1.pem" -pubout -out "$TMP/$1.pub"
}
WANTED="signature True
hint True
resources True
root True
form True application/vnd.dev.sigstore.bundle.v0.3+json https://in-toto.io/Statement/v1 https://model_signing/signature/v1.0 ['allow_symlinks', 'hash_type', 'ignore_paths', 'method']"
for curve in prime256v1:sha256 secp384r1:sha384 secp521r1:sha512; do
	hash=${curve#*:} name=${curve%:*}
	make_key "$name" "$name"
	ends 0 "^Signed: 6 files of m, sha256:" "$name signs" sign "$M" --key "$TMP/$name.pem"
	is "$("$PYTHON" "$TMP/other.py" check "$M/model.sig" "$TMP/$name.pub" "$hash" "$M" "$TMP")" \
		"$WANTED" "openssl and Python accept every part of it with $hash"
	ends 0 "^Verified: 6 files" "custody verifies it" verify "$M" --key "$TMP/$name.pub"
	"$PYTHON" "$TMP/other.py" make "$M/model.sig" "$TMP/$name.pem" "$TMP/$name.pub" "$hash" "$M" "$TMP"
	ends 0 "^Verified: 6 files" "custody verifies what openssl and Python signed with $hash" \
		verify "$M" --key "$TMP/$name.pub"
done
wrong=sha512
"$PYTHON" "$TMP/other.py" make "$M/model.sig" "$TMP/prime256v1.pem" "$TMP/prime256v1.pub" $wrong "$M" "$TMP"
ends 1 "signature is wrong" "the hash must be the curve's" verify "$M" --key "$TMP/prime256v1.pub"

KEY=$TMP/prime256v1.pem PUB=$TMP/prime256v1.pub
"$CTL" model sign "$M" --key "$KEY" --quiet
ends 1 "another key" "another key does not verify it" verify "$M" --key "$TMP/secp384r1.pub"
mv "$M" "$TMP/moved"
ends 0 "^Verified" "a model may be moved" verify "$TMP/moved" --key "$PUB"
mv "$TMP/moved" "$M"
is "$("$CTL" model verify "$M" --key "$PUB" --json | "$PYTHON" -c 'import json, sys
d = json.load(sys.stdin); print(d["verified"], d["exit"], d["signed"]["items"], d["signed"]["ignored"])')" \
	"True 0 6 ['.git', '.gitattributes', '.github', '.gitignore', 'model.sig']" "the same as JSON"

# ---- what was changed is named ----
cp -a "$M" "$TMP/c"
printf 'weightS' >"$TMP/c/w.bin"
ends 1 "changed +w.bin" "one byte changed: the file is named" verify "$TMP/c" --key "$PUB"
rm "$TMP/c/empty"
ends 1 "1 changed, 1 missing, 0 unlisted" "a missing file too" verify "$TMP/c" --key "$PUB"
printf 'n' >"$TMP/c/a dir/new"
ends 1 "unlisted a dir/new" "an unlisted file too" verify "$TMP/c" --key "$PUB"
is "$("$CTL" model verify "$TMP/c" --key "$PUB" --json | "$PYTHON" -c 'import json, sys
d = json.load(sys.stdin); print(d["verified"], d["exit"], [(x["kind"], x["name"]) for x in d["differences"]])')" \
	"False 1 [('unlisted', 'a dir/new'), ('missing', 'empty'), ('changed', 'w.bin')]" "the same as JSON"
cp -a "$M/w.bin" "$M/empty" "$TMP/c/"
ends 1 "0 changed, 0 missing, 1 unlisted" "an unlisted file alone fails" verify "$TMP/c" --key "$PUB"
ends 0 "^Verified" "unless it is to be ignored" verify "$TMP/c" --key "$PUB" --ignore-unsigned-files
rm "$TMP/c/a dir/new"
for i in $(seq 20); do printf 'n' >"$TMP/c/new$i"; done
ends 1 "and 4 more" "of many only the first are named" verify "$TMP/c" --key "$PUB"
rm -r "$TMP/c"

# ---- what a model may not hold ----
refused() { # refused REGEX TEXT: as the model is now, for both commands
	ends 3 "$1" "$2: not verified" verify "$M" --key "$PUB"
	ends 3 "$1" "$2: not signed" sign "$M" --key "$KEY" --out "$TMP/none.sig"
}
ln -s w.bin "$M/link" && refused "link is a symbolic link" "a symbolic link" && rm "$M/link"
mkfifo "$M/fifo" && refused "fifo is a FIFO" "a FIFO" && rm "$M/fifo"
if mknod "$M/device" c 1 3 2>/dev/null; then
	refused "device is a device" "a device"
	rm "$M/device"
fi
printf 'x' >"$M/"$'bad\xff' && refused 'bad\\xff is no name' "a name that is not UTF-8" && rm "$M/"$'bad\xff'
printf 'x' >"$M/"$'bad\n' && refused 'bad\\x0a is no name' "a name with a control character" && rm "$M/"$'bad\n'
[ ! -e "$TMP/none.sig" ]
tap $? "and no signature was written"

# ---- one file; shards ----
ends 0 "^Signed: 1 files of w.bin" "a model of one file" sign "$M/w.bin" --key "$KEY"
ends 0 "^Verified: 1 files" "is verified beside others" verify "$M/w.bin" --key "$PUB"
rm "$M/w.bin.sig"
truncate -s 1000000001 "$TMP/big"
"$PYTHON" - "$CTL" "$TMP/big" "$KEY" >"$TMP/pty" <<'PY'
import os, pty, sys
def read(fd):
    data = os.read(fd, 4096)
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(
    [sys.argv[1], "model", "sign", sys.argv[2], "--shards", "--key", sys.argv[3]], read, lambda fd: b"")))
PY
is "$?" 0 "1000000001 bytes are signed in shards"
grep -qaE '[0-9.]+[KMG] of 953M, [0-9.]+[KMG]?/s, [0-9msh]+ left' "$TMP/pty"
tap $? "with progress on the terminal" "$(cat -v "$TMP/pty")"
is "$("$PYTHON" -c 'import base64, json, sys
b = json.load(open(sys.argv[1])); s = json.loads(base64.b64decode(b["dsseEnvelope"]["payload"]))
print([r["name"] for r in s["predicate"]["resources"]], s["predicate"]["serialization"]["shard_size"])' "$TMP/big.sig")" \
	"['big:0:1000000000', 'big:1000000000:1000000001'] 1000000000" "a shard has 1000000000 bytes"
printf 'x' | dd of="$TMP/big" bs=1 seek=1000000000 conv=notrunc status=none
ends 1 "changed +big:1000000000:1000000001" "a changed shard is named" verify "$TMP/big" --key "$PUB"
rm "$TMP/big"

# ---- memory: of 2 GiB in 8 threads, with fingerprints, less than 64 MiB ----
DRIVER=$PWD/${BUILD:-build}/root/hash_driver
mkdir "$TMP/sparse"
truncate -s 2G "$TMP/sparse/w"
head -c 8M /dev/urandom >>"$TMP/sparse/w"
for shard in 0 200000000; do
	read -r _ _ digest _ values peak <<<"$("$DRIVER" "$TMP/sparse" 8 $shard "$TMP/index")"
	is "$(((peak >> 20) < 64)) $((values > 400))" "1 1" \
		"2 GiB take less than 64 MiB of memory (shards of $shard): $((peak >> 20)) MiB"
	is "$("$DRIVER" "$TMP/sparse" 1 $shard "$TMP/index1" | cut -d' ' -f3)" "$digest" \
		"one thread gives the same digest"
	cmp "$TMP/index" "$TMP/index1"
	tap $? "and the same index, byte by byte"
done
rm -r "$TMP/sparse"

# ---- certificates ----
certify() { # certify NAME ISSUER EXTENSIONS [openssl x509 option...]
	local name=$1 issuer=$2 extensions=$3
	shift 3
	make_key "$name" secp384r1
	openssl req -new -key "$TMP/$name.pem" -subj "/CN=$name" -out "$TMP/$name.csr" 2>/dev/null
	printf '%b' "$extensions" >"$TMP/ext"
	openssl x509 -req -in "$TMP/$name.csr" -CA "$TMP/$issuer.crt" -CAkey "$TMP/$issuer.pem" \
		-CAcreateserial -extfile "$TMP/ext" -out "$TMP/$name.crt" "$@" 2>/dev/null
}
CA='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
LEAF='keyUsage=digitalSignature\nextendedKeyUsage=codeSigning\n'
for ca in root other; do
	make_key $ca secp384r1
	openssl req -x509 -new -key "$TMP/$ca.pem" -subj /CN=root -days 100 -out "$TMP/$ca.crt" \
		-addext keyUsage=critical,keyCertSign
done
certify middle root "$CA" -days 100
certify leaf middle "$LEAF" -days 100
certify expired middle "$LEAF" -days -1
certify server middle 'keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n' -days 100
cat "$TMP/leaf.crt" "$TMP/middle.crt" "$TMP/root.crt" >"$TMP/chain"
ends 0 "^Signed" "a certificate's key signs" sign "$M" --key "$TMP/leaf.pem" --cert "$TMP/chain"
ends 0 "Signed by certificate /CN=leaf" "and is verified by the root" verify "$M" --roots "$TMP/root.crt"
is "$("$PYTHON" "$TMP/other.py" check "$M/model.sig" "$TMP/leaf.pub" sha384 "$M" "$TMP" | head -n 1)" \
	"signature True" "openssl verifies it by the leaf's key"
ends 1 "not trusted" "not by another root of the same name" verify "$M" --roots "$TMP/other.crt"
ends 1 "roots are needed" "nor by a key" verify "$M" --key "$TMP/leaf.pub"
ends 1 "not the key's" "a foreign certificate does not sign" sign "$M" --key "$KEY" --cert "$TMP/chain"
foreign() { # foreign NAME REGEX TEXT: signed by openssl with that certificate
	"$PYTHON" "$TMP/other.py" make "$M/model.sig" "$TMP/$1.pem" "$TMP/$1.pub" sha384 "$M" "$TMP" \
		"$TMP/$1.crt" "$TMP/middle.crt"
	ends "$4" "$2" "$3" verify "$M" --roots "$TMP/root.crt"
}
foreign leaf "^Verified" "a chain that openssl and Python made" 0
foreign expired "has expired" "an expired certificate" 1
foreign server "not meant for signing" "a certificate for servers" 1
ends 1 "has expired" "with an expired certificate nothing is signed" \
	sign "$M" --key "$TMP/expired.pem" --cert "$TMP/expired.crt" --out "$TMP/none.sig"

# ---- bad bundles and bad words ----
"$CTL" model sign "$M" --key "$KEY" --quiet
size=$(stat -c %s "$M/model.sig")
head -c $((size / 2)) "$M/model.sig" >"$TMP/half"
ends 1 "not JSON" "half a bundle" verify "$M" --key "$PUB" --signature "$TMP/half"
truncate -s 68M "$TMP/half"
ends 1 "at most" "68 MiB of bundle" verify "$M" --key "$PUB" --signature "$TMP/half"
"$PYTHON" -c 'print("[" * 100000)' >"$TMP/half"
ends 1 "nests" "100000 brackets" verify "$M" --key "$PUB" --signature "$TMP/half"
"$PYTHON" - "$M/model.sig" >"$TMP/half" <<'PY'
import base64, json, sys
bundle = json.load(open(sys.argv[1]))
bundle["verificationMaterial"] = {
    "certificate": {"rawBytes": base64.b64encode(b"whatever").decode()},
    "tlogEntries": [{"logIndex": "1"}]}
print(json.dumps(bundle))
PY
ends 3 "sigstore method.*does not verify. Sign by a key or by a certificate" "a bundle of the sigstore method" \
	verify "$M" --key "$PUB" --signature "$TMP/half"
ends 4 "cannot be read" "no signature at all" verify "$M" --key "$PUB" --signature "$TMP/absent"
ends 4 "cannot be read" "no model at all" verify "$TMP/absent" --key "$PUB"
ends 3 "no public key" "a key that is none" verify "$M" --key "$M/w.bin"
openssl genpkey -algorithm ed25519 -out "$TMP/ed.pem"
ends 3 "P-256" "a key of another kind" sign "$M" --key "$TMP/ed.pem" --out "$TMP/none.sig"
ends 2 "takes" "no key" verify "$M"
ends 2 "takes" "a key and roots" verify "$M" --key "$PUB" --roots "$TMP/root.crt"
ends 2 "takes" "no such verb" forget "$M"
if [ -d "$VECTORS" ]; then
	for f in "$VECTORS"/invalid/*.json; do
		ends 1 "^custodyctl: m: " "vector ${f##*/}" verify "$M" --key "$PUB" --signature "$f"
	done
	ends 3 "sigstore method" "the vector of the sigstore method is refused, and why is said" \
		verify "$M" --key "$PUB" --signature "$VECTORS/valid/sigstore.bundle.json"
else
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - vectors # SKIP no ../shared/vectors beside the repository"
fi
echo "1..$TESTS"
