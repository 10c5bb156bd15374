# SPDX-License-Identifier: Apache-2.0
"""What measuring a model costs, against what the processor can do at SHA-256.

The yardstick is `openssl speed` on every core at once, over memory, in turns with the rest. By wall
clock the ratio is what a user waits; by processor time it is what the code costs, which is what can
be compared when other programs are busy on the same cores. The files lie in the page cache, written
in large pieces as a download or read-ahead leaves them; a disk may be slower than the processor.
"""

import os
import re
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DRIVER = os.path.join(TOP, os.environ.get("B", "build"), "root", "hash_driver")
FILES = 8
FILE_BYTES = 160 << 20
TOTAL = FILES * FILE_BYTES
SHARD = 64 << 20
MIB = 1 << 20


def make_model(folder):
    os.makedirs(folder)
    for number in range(FILES):
        with open(os.path.join(folder, "part-%d" % number), "wb", buffering=0) as file:
            for _ in range(FILE_BYTES // (16 * MIB)):
                file.write(os.urandom(16 * MIB))


def openssl_speed(*words):
    done = subprocess.run(["openssl", "speed", *words, "-evp", "sha256", "-seconds", "1",
                           "-bytes", str(MIB)], capture_output=True, text=True, check=True)
    return float(re.search(r"^sha256\s+([\d.]+)k", done.stdout, re.M).group(1)) * 1000


def measure(folder, threads, shard, index):
    """(bytes per second, bytes per second of processor time, bytes of index, peak memory)"""
    done = subprocess.run([DRIVER, folder, str(threads), str(shard), index], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("hash_driver: " + done.stderr)
    words = done.stdout.split()
    return TOTAL / float(words[0]), TOTAL / float(words[1]), int(words[3]), int(words[5])


WAYS = (("files", 0, 0, "none"),
        ("files, with fingerprints", 0, 0, "-"),
        ("shards of 64 MiB", 0, SHARD, "none"),
        ("shards, with fingerprints", 0, SHARD, "-"),
        ("files, one thread", 1, 0, "none"))


def report(folder, rounds):
    """Prints one line for each way: the medians of the rounds' ratios."""
    cores = len(os.sched_getaffinity(0))
    rows = {way: [] for way in WAYS}
    make_model(folder)
    measure(folder, *WAYS[0][1:])
    for turn in range(rounds):
        wall = openssl_speed("-elapsed", "-multi", str(cores))
        processor = openssl_speed()
        for number in range(len(WAYS)):
            way = WAYS[(number + turn) % len(WAYS)]
            rows[way].append(measure(folder, *way[1:]) + (wall, processor))
    print("Measuring a model of %d MiB in %d files, %d cores, against openssl speed on all of them"
          % (TOTAL // MIB, FILES, cores))
    for way in WAYS:
        print("  %-26s %6.2f GB/s %6.2f x openssl by the clock %6.2f by processor time"
              % (way[0], statistics.median(r[0] for r in rows[way]) / 1e9,
                 statistics.median(r[0] / r[4] for r in rows[way]),
                 statistics.median(r[1] / r[5] for r in rows[way])))
    last = rows[WAYS[1]][-1]
    print("  The index has %.4f %% of the model. Peak memory %.0f MiB.\n"
          % (100 * last[2] / TOTAL, max(r[3] for all_ in rows.values() for r in all_) / MIB),
          flush=True)


if __name__ == "__main__":
    import sys
    import tempfile
    with tempfile.TemporaryDirectory(prefix="custody-hashing.") as top:
        report(os.path.join(top, "model"), int(sys.argv[1]) if len(sys.argv) > 1 else 5)
