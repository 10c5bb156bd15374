#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# custodyctl model attest and verify-attestation against others: what custody signs is checked with
# openssl and Python alone, and what these sign custody verifies, plain and in a Sigstore bundle.
# Then wrong keys, changed models, other types and damaged envelopes, each with its exit code.
set -u
# shellcheck source=tests/root/model.bash
. "$(dirname "$0")/model.bash"
TYPE=https://in-toto.io/attestation/test-result/v0.1

# other.py: the format by another hand, Python's json, hashlib and the openssl command.
cat >"$TMP/other.py" <<'PY'
import base64, hashlib, json, os, subprocess, sys

def pae(payload, kind):
    kind = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)

def openssl(*words):
    return subprocess.run(("openssl",) + words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

def root(model):
    """SHA-256 over the files' digests, in the order of their paths."""
    found = []
    for top, _, names in os.walk(model):
        for name in names:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, model)
            if relative != "model.sig" and relative.split("/")[0] != ".git":
                found.append((relative.encode(), hashlib.sha256(open(path, "rb").read()).digest()))
    return hashlib.sha256(b"".join(digest for _, digest in sorted(found))).hexdigest()

def words(kind, sign, key, work):
    """openssl's words to sign or verify work/pae into or from work/sig."""
    if kind == "ed25519":
        return ("pkeyutl", "-sign" if sign else "-verify", "-rawin", "-in", work + "/pae",
                *(("-inkey", key, "-out", work + "/sig") if sign else
                  ("-pubin", "-inkey", key, "-sigfile", work + "/sig")))
    return ("dgst", "-" + kind, *(("-sign", key, "-out", work + "/sig") if sign else
                                  ("-verify", key, "-signature", work + "/sig")), work + "/pae")

def check(file, public, kind, model, work):
    e = json.load(open(file))
    payload = base64.b64decode(e["payload"], validate=True)
    (only,) = e["signatures"]
    open(work + "/pae", "wb").write(pae(payload, e["payloadType"]))
    open(work + "/sig", "wb").write(base64.b64decode(only["sig"], validate=True))
    s = json.loads(payload)
    print("signature", openssl(*words(kind, False, public, work)).returncode == 0)
    print("form", sorted(e), e["payloadType"], sorted(s), s["_type"])
    print("subject", s["subject"] == [{"name": os.path.basename(model),
                                       "digest": {"sha256": root(model)}}])
    print("says", s["predicateType"], json.dumps(s["predicate"]))

def make(file, private, kind, model, work, edit="", form="plain"):
    """An envelope as another program would write it. edit: Python that changes s, e or payload."""
    s = {"predicateType": "https://in-toto.io/attestation/test-result/v0.1",
         "predicate": {"result": "PASSED"},
         "subject": [{"name": "other", "digest": {"sha1": "00", "sha256": "00" * 32}},
                     {"digest": {"sha512": "1"}},
                     {"name": "any", "digest": {"sha256": root(model)}, "annotations": {}}],
         "_type": "https://in-toto.io/Statement/v1", "later": [1]}
    scope = {"s": s, "kind": "application/vnd.in-toto+json"}
    exec(edit if edit.startswith("s") or edit.startswith("kind") else "", scope)
    payload = json.dumps(scope["s"], indent=1).encode()
    if edit.startswith("payload"):
        scope["payload"] = payload
        exec(edit, scope)
        payload = scope["payload"]
    open(work + "/pae", "wb").write(pae(payload, scope["kind"]))
    openssl(*words(kind, True, private, work))
    sig = base64.urlsafe_b64encode(open(work + "/sig", "rb").read()).decode().rstrip("=")
    e = {"payloadType": scope["kind"], "payload": base64.b64encode(payload).decode(),
         "signatures": [{"sig": base64.b64encode(b"somebody else's").decode(), "keyid": "x"},
                        {"sig": sig}]}
    if form == "bundle":
        e["signatures"] = e["signatures"][1:]
        e = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": e,
             "verificationMaterial": {"publicKey": {"hint": "any"}}}
    scope["e"] = e
    exec(edit if edit.startswith("e[") else "", scope)
    json.dump(e, open(file, "w"))

{"check": check, "make": make}[sys.argv[1]](*sys.argv[2:])
PY

M=$TMP/m
mkdir -p "$M/a dir" "$M/.git"
printf 'weights' >"$M/w.bin"
printf 'x' >"$M/a dir/x"
printf 'y' >"$M/a dir.y"
printf 'g' >"$M/.git/HEAD"
: >"$M/empty"
printf '{"result": "PASSED", "of": [1, 2.5, "\\u00fc"]}' >"$TMP/p.json"
for curve in prime256v1 secp384r1 secp521r1; do
	openssl ecparam -name $curve -genkey -noout -out "$TMP/$curve.pem"
done
openssl genpkey -algorithm ed25519 -out "$TMP/ed.pem"
openssl genpkey -algorithm rsa -out "$TMP/rsa.pem" 2>/dev/null
for key in prime256v1 secp384r1 secp521r1 ed rsa; do
	openssl pkey -in "$TMP/$key.pem" -pubout -out "$TMP/$key.pub"
done
A=$TMP/a.json
attest() { # attest KEY [WORD...]: signs p.json about m into a.json
	local key=$1
	shift
	"$CTL" model attest "$M" --type $TYPE --predicate "$TMP/p.json" --key "$TMP/$key.pem" \
		--output "$A" --quiet "$@"
}
WANTED="signature True
form ['payload', 'payloadType', 'signatures'] application/vnd.in-toto+json ['_type', 'predicate', 'predicateType', 'subject'] https://in-toto.io/Statement/v1
subject True
says $TYPE {\"result\": \"PASSED\", \"of\": [1, 2.5, \"\\u00fc\"]}"
for pair in prime256v1:sha256 secp384r1:sha384 secp521r1:sha512 ed:ed25519; do
	key=${pair%:*} kind=${pair#*:}
	attest "$key"
	is "$("$PYTHON" "$TMP/other.py" check "$A" "$TMP/$key.pub" "$kind" "$M" "$TMP")" "$WANTED" \
		"openssl and Python accept what $key signed"
	ends 0 "^Verified: $TYPE about m, sha256:" "custody verifies it" \
		verify-attestation "$M" "$A" --key "$TMP/$key.pub"
	for form in plain bundle; do
		"$PYTHON" "$TMP/other.py" make "$A" "$TMP/$key.pem" "$kind" "$M" "$TMP" "" $form
		ends 0 "^Verified" "custody verifies what openssl and Python signed by it, $form" \
			verify-attestation "$M" "$A" --key "$TMP/$key.pub" --type $TYPE
	done
done

PUB=$TMP/prime256v1.pub
attest prime256v1
[ "$(stat -c %a "$A")" = 644 ]
tap $? "it may be read"
is "$("$CTL" model verify-attestation "$M" "$A" --key "$PUB" --json | "$PYTHON" -c 'import json, sys
d = json.load(sys.stdin); print(d["verified"], d["exit"], d["why"], d["type"], d["predicate"]["of"])')" \
	"True 0 None $TYPE [1, 2.5, 'ü']" "the same as JSON"
ends 1 "another key" "another key" verify-attestation "$M" "$A" --key "$TMP/secp384r1.pub"
openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout -out "$TMP/other.pub"
ends 1 "another key" "another key of the same curve" \
	verify-attestation "$M" "$A" --key "$TMP/other.pub"
ends 1 "of the type $TYPE, not of urn:x" "another type" \
	verify-attestation "$M" "$A" --key "$PUB" --type urn:x
is "$("$CTL" model verify-attestation "$M" "$A" --key "$PUB" --type urn:x --json | "$PYTHON" -c 'import json, sys
d = json.load(sys.stdin); print(d["verified"], d["exit"], d["predicate"])')" "False 1 None" \
	"the same as JSON, without what it says"

# ---- the model ----
"$CTL" model sign "$M" --key "$TMP/prime256v1.pem" --quiet
ends 0 "^Verified" "a model that was signed since is the same" verify-attestation "$M" "$A" --key "$PUB"
is "$("$CTL" model sign "$M" --key "$TMP/prime256v1.pem" | grep -o 'sha256:.*')" \
	"$("$CTL" model verify-attestation "$M" "$A" --key "$PUB" | grep -o 'sha256:.*')" \
	"the digest is the signature's"
rm "$M/model.sig"
cp -a "$M" "$TMP/c"
ends 0 "^Verified" "a copy is the same model" verify-attestation "$TMP/c" "$A" --key "$PUB"
printf 'weightS' >"$TMP/c/w.bin"
ends 1 "about another model" "one byte changed" verify-attestation "$TMP/c" "$A" --key "$PUB"
cp -a "$M/w.bin" "$TMP/c/" && printf 'n' >"$TMP/c/new"
ends 1 "about another model" "one file more" verify-attestation "$TMP/c" "$A" --key "$PUB"
rm "$TMP/c/new" "$TMP/c/w.bin"
ends 1 "about another model" "one file less" verify-attestation "$TMP/c" "$A" --key "$PUB"
ends 1 "about another model" "in shards, where empty files do not count, it has another digest" \
	verify-attestation "$M" "$A" --key "$PUB" --shards
attest prime256v1 --shards
ends 0 "^Verified" "attested in shards" verify-attestation "$M" "$A" --key "$PUB" --shards
ends 3 "lies in the model" "not into the model's directory" attest "$M" --type $TYPE \
	--predicate "$TMP/p.json" --key "$TMP/prime256v1.pem" --output "$M/a dir/a.json"
[ ! -e "$M/a dir/a.json" ]
tap $? "and nothing was written there"
ends 0 "^Attested: $TYPE about w.bin" "a model of one file" attest "$M/w.bin" --type $TYPE \
	--predicate "$TMP/p.json" --key "$TMP/prime256v1.pem" --output "$A"
ends 0 "^Verified" "is verified" verify-attestation "$M/w.bin" "$A" --key "$PUB"
ends 1 "about another model" "the digest of one file is not that of a model with it" \
	verify-attestation "$M" "$A" --key "$PUB"
mkfifo "$TMP/c/fifo"
ends 3 "fifo is a FIFO" "a model with a FIFO" verify-attestation "$TMP/c" "$A" --key "$PUB"

# ---- what is signed, and still no statement about this model ----
bad() { # bad STATUS REGEX TEXT EDIT [FORM]
	"$PYTHON" "$TMP/other.py" make "$A" "$TMP/prime256v1.pem" sha256 "$M" "$TMP" "$4" "${5:-plain}"
	ends "$1" "$2" "$3" verify-attestation "$M" "$A" --key "$PUB"
}
bad 0 "^Verified" "another in-toto payload type" 'kind = "application/vnd.in-toto.x+json"'
bad 1 "payloadType" "another payload type" 'kind = "text/json"'
bad 1 "_type" "a statement of v0.1" 's["_type"] = "https://in-toto.io/Statement/v0.1"'
bad 1 "subject is missing" "no subject" 's.pop("subject")'
bad 1 "0 subjects" "an empty list of subjects" 's["subject"] = []'
bad 1 "no digest" "a subject without a digest" 's["subject"][0].pop("digest")'
bad 1 "64 lower-case" "a digest of 63 digits" 's["subject"][0]["digest"]["sha256"] = "0" * 63'
bad 1 "64 lower-case" "a digest in capitals" 's["subject"][2]["digest"]["sha256"] = "AB" * 32'
bad 1 "not a string" "a digest that is a number" 's["subject"][0]["digest"]["sha1"] = 1'
bad 1 "about another model" "the digest under another algorithm" \
	's["subject"][2]["digest"] = {"sha512": s["subject"][2]["digest"]["sha256"]}'
bad 1 "about another model" "the model's name only" 's["subject"] = [{"name": "m", "digest": {"sha256": "0" * 64}}]'
bad 1 "no URI" "a type with a blank" 's["predicateType"] = "a: b"'
bad 1 "predicateType is not a string" "a type that is a number" 's["predicateType"] = 1'
bad 1 "predicate is not an object" "a predicate that is a list" 's["predicate"] = []'
bad 0 "^Verified" "no predicate" 's.pop("predicate")'
bad 1 "duplicate" "a key twice" 'payload = payload[:-2] + b",\"_type\": \"x\"}"'
bad 1 "not JSON" "no UTF-8" 'payload = payload.replace(b"other", b"oth\xff")'
bad 1 "not JSON" "a NUL" 'payload = payload.replace(b"other", b"oth\\u0000")'
bad 1 "nests deeper" "too deep" 'payload = payload.replace(b"[\n  1", b"[" * 40 + b"1" + b"]" * 39)'
bad 1 "signature is wrong" "a payload that was exchanged" 'e["payload"] = "e30="'
bad 1 "0 signatures" "no signature" 'e["signatures"] = []'
bad 1 "signatures; 1 to 16" "17 signatures" 'e["signatures"] *= 9'
bad 1 "not base64" "a signature that is not base64" 'e["signatures"][1]["sig"] = "!"'
bad 1 "at once" "an envelope that is a bundle too" 'e["mediaType"] = "x"'
bad 3 "by a certificate" "a bundle by certificate" \
	'e["verificationMaterial"] = {"x509CertificateChain": {"certificates": [{"rawBytes": "AA=="}]}}' bundle
bad 1 "one is needed" "a bundle with two signatures" 'e["dsseEnvelope"]["signatures"] *= 2' bundle
attest prime256v1
size=$(stat -c %s "$A")
failed=""
for n in $(seq 0 37 $((size - 3))); do
	head -c "$n" "$A" >"$TMP/cut"
	"$CTL" model verify-attestation "$M" "$TMP/cut" --key "$PUB" >/dev/null 2>&1
	[ $? = 1 ] || failed="$failed $n"
done
is "$failed" "" "truncated anywhere: none is verified"
cat "$A" "$A" >"$TMP/lines"
ends 1 "not JSON" "two envelopes in one file" verify-attestation "$M" "$TMP/lines" --key "$PUB"
truncate -s 17M "$TMP/big"
ends 1 "bytes; 1 to" "an attestation that is too large" verify-attestation "$M" "$TMP/big" --key "$PUB"
ends 4 "cannot be read" "an attestation that is not there" verify-attestation "$M" "$TMP/none" --key "$PUB"

# ---- what cannot be signed ----
refused() { # refused STATUS REGEX TEXT TYPE PREDICATE KEY
	ends "$1" "$2" "$3" attest "$M" --type "$4" --predicate "$5" --key "$TMP/$6" --output "$TMP/none"
}
printf '[1]' >"$TMP/list.json"
printf '{"a": 1, "a": 2}' >"$TMP/twice.json"
"$PYTHON" -c 'print("{\"a\":" + "[" * 100 + "]" * 100 + "}")' >"$TMP/deep.json"
refused 3 "no predicate type" "a type that is no URI" "test result" "$TMP/p.json" prime256v1.pem
refused 3 "is a JSON object" "a predicate that is a list" $TYPE "$TMP/list.json" prime256v1.pem
refused 3 "duplicate" "a predicate with a key twice" $TYPE "$TMP/twice.json" prime256v1.pem
refused 3 "nests deeper" "a predicate that no reader takes" $TYPE "$TMP/deep.json" prime256v1.pem
refused 3 "Ed25519" "an RSA key" $TYPE "$TMP/p.json" rsa.pem
refused 3 "no private key" "a public key" $TYPE "$TMP/p.json" prime256v1.pub
refused 4 "cannot be read" "a predicate that is not there" $TYPE "$TMP/nothing" prime256v1.pem
[ ! -e "$TMP/none" ]
tap $? "and nothing was written"
ends 2 "takes" "no type" attest "$M" --predicate "$TMP/p.json" --key "$TMP/ed.pem" --output "$TMP/none"
ends 2 "takes" "no key" verify-attestation "$M" "$A"
ends 2 "takes" "no attestation" verify-attestation "$M" --key "$PUB"
echo "1..$TESTS"
