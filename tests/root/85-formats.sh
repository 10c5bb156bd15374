#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a model file is, asked of files that the real programs wrote: Python's pickle, numpy, joblib,
# scikit-learn, torch where it is installed, zip, tar, and the GGUF writer of these tests. Each that
# Python loads and runs must be said to run; and ordinary files of this system must be other.
set -u
# shellcheck source=tests/root/model.bash
. "$(dirname "$0")/model.bash"
DRIVER=$PWD/${BUILD:-build}/root/format_driver

all_are() { # all_are FOLDER FORMAT data|pickles TEXT: each file of the folder, and there are some
	local wrong seen
	seen=$(find "$TMP/$1" -type f | "$DRIVER")
	wrong=$(awk -F'\t' -v f="$2" -v p="$3" '$2 != 0 || $3 != f || $4 != p' <<<"$seen")
	[ -n "$seen" ] && [ -z "$wrong" ]
	tap $? "$4: $(wc -l <<<"$seen") files" "$wrong"
}

# A machine of tests/vm is small; what this asks is asked of the host.
if [ "${CUSTODY_LAB:-}" = 1 ] && ! $PYTHON -c 'import joblib, sklearn' 2>/dev/null; then
	echo "1..0 # SKIP no joblib and scikit-learn in this machine"
	exit 0
fi

cat >"$TMP/write.py" <<'PY'
import bz2, gzip, io, lzma, os, pickle, sys, tarfile, zipfile, zlib
import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

top = sys.argv[1]

def path(folder, name):
    os.makedirs(os.path.join(top, folder), exist_ok=True)
    return os.path.join(top, folder, name)

def write(folder, name, data):
    with open(path(folder, name), "wb") as f:
        f.write(data)

class Runs:
    def __reduce__(self):
        return (print, ("it ran",))

things = {"data": [1, -2, 3.5, "text", b"bytes", None, True, (1, {2}), {"a": [1] * 3000}],
          "call": Runs(), "array": np.arange(1000.0), "number": 7, "empty": {},
          "text": "V" * 70000, "model": LogisticRegression().fit([[0.0], [1.0]], [0, 1])}
for name, thing in things.items():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        write("pickle", f"{name}.{protocol}", pickle.dumps(thing, protocol))
    joblib.dump(thing, path("pickle", name + ".joblib"))
    for how in ("zlib", "gzip", "bz2", "lzma", "xz"):
        joblib.dump(thing, path("pickle", f"{name}.joblib.{how}"), compress=(how, 3))
plain = pickle.dumps(things["model"])
for name, pack in (("gz", gzip.compress), ("zlib", zlib.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
    write("pickle", "model." + name, pack(plain))
with tarfile.open(path("pickle", "model.tar"), "w") as t:
    t.add(path("pickle", "call.4"), "call")
with zipfile.ZipFile(path("pickle", "model.zip"), "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("config.json", "{}")
    z.write(path("pickle", "call.0"), "weights/call")
head = b"#!/bin/sh\n"
write("pickle", "behind.zip", head + open(path("pickle", "model.zip"), "rb").read())

arrays = {"f4": np.zeros((3, 4), "<f4"), "bool": np.ones(5, bool), "scalar": np.array(1.0),
          "fields": np.zeros(2, [("a", "<f4"), ("b", "<i8", (2,))]), "text": np.array(["ab", "c"]),
          "bytes": np.array([b"ab"]), "empty": np.zeros((0, 3)), "fortran": np.asfortranarray(np.eye(3))}
for name, array in arrays.items():
    np.save(path("npz", name), array)
np.savez(path("npz", "all"), **arrays)
np.savez_compressed(path("npz", "packed"), **arrays)
objects = {"objects": np.array([Runs(), 1], dtype=object), "mixed": np.zeros(1, [("a", "<f4"), ("b", object)])}
for name, array in objects.items():
    np.save(path("npz-objects", name), array)
np.savez(path("npz-objects", "all"), x=arrays["f4"], **objects)
np.savez_compressed(path("npz-objects", "packed"), x=arrays["f4"], **objects)

write("other", "config.json", b'{"architectures": ["LlamaForCausalLM"], "hidden_size": 4096}\n')
write("other", "words.txt", b"cat\ncow\ndog\nhorse\n")
write("other", "words.txt.gz", gzip.compress(b"cat\ncow\ndog\nhorse\n"))
write("other", "zeros", bytes(100000))
with zipfile.ZipFile(path("other", "words.zip"), "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("words.txt", "cat\ncow\n")
PY
if "$PYTHON" "$TMP/write.py" "$TMP/out" 2>"$TMP/errors"; then
	all_are out/pickle pickle pickles "pickles and joblib's files, plain, packed and in archives"
	all_are out/npz npz data "numpy's arrays"
	all_are out/npz-objects npz pickles "numpy's arrays of objects"
	all_are out/other other data "files that are none"
else
	tap 1 "Python's writers" "$(tail -n 3 "$TMP/errors")"
fi

cat >"$TMP/of_torch.py" <<'PY'
import os, sys
import torch
top = sys.argv[1]
os.makedirs(top + "/torch"), os.makedirs(top + "/onnx")
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
for legacy in (False, True):
    for name, thing in (("state", model.state_dict()), ("model", model), ("tensor", torch.zeros(100, 100))):
        torch.save(thing, f"{top}/torch/{name}.{legacy}", _use_new_zipfile_serialization=not legacy)
torch.jit.save(torch.jit.script(model), top + "/torch/script")
try:
    torch.onnx.export(model, torch.zeros(1, 4), top + "/onnx/model")
except Exception as e:
    print(e, file=sys.stderr)
PY
if ! "$PYTHON" -c 'import torch' 2>/dev/null; then
	skip "torch's files" "no torch here"
elif "$PYTHON" "$TMP/of_torch.py" "$TMP/t" 2>"$TMP/errors"; then
	all_are t/torch torch pickles "torch's files, of both kinds, and TorchScript"
	if [ -s "$TMP/t/onnx/model" ]; then
		all_are t/onnx onnx data "torch's ONNX"
	else
		skip "torch's ONNX" "this torch exports none"
	fi
else
	tap 1 "torch's files" "$(tail -n 3 "$TMP/errors")"
fi

mkdir "$TMP/gguf"
"$PYTHON" tests/root/llama/gguf.py "$TMP/gguf/model" && all_are gguf gguf data "the model that llama.cpp serves"
size=$(stat -c %s "$TMP/gguf/model")
mkdir "$TMP/cut"
for part in 10 2 1; do
	head -c $((size - size / (part * 3))) "$TMP/gguf/model" >"$TMP/cut/$part"
done
cp "$TMP/gguf/model" "$TMP/cut/longer" && printf '%033d' 0 >>"$TMP/cut/longer"
[ "$(find "$TMP/cut" -type f | "$DRIVER" | cut -f 2 | sort -u)" = 74 ]
tap $? "cut off anywhere, or longer, it is refused"

# Text, programs, libraries, pictures, catalogues: none of them is a model.
find /usr/share/doc /usr/share/common-licenses /usr/share/locale /usr/share/misc /usr/bin /usr/include \
	/usr/lib/python3/dist-packages/sklearn /etc/ssl -xdev -type f \
	! -name '*.gz' ! -name '*.npy' ! -name '*.npz' ! -name '*.pkl' ! -name '*.zip' 2>/dev/null |
	head -n 20000 >"$TMP/list"
wrong=$("$DRIVER" <"$TMP/list" | awk -F'\t' '$2 != 0 || $3 != "other"')
n=$(wc -l <"$TMP/list")
[ "$n" -gt 1000 ] && [ -z "$wrong" ]
tap $? "ordinary files of this system are other: $n of them" "$wrong"
echo "1..$TESTS"
