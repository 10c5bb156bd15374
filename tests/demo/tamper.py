#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Flips bytes of an evidence bundle, one at a time, and requires that each is noticed.

    tamper.py BUNDLE VERIFIER ARGUMENT...

Runs VERIFIER BUNDLE ARGUMENT... after each flip: of every file the first, the middle and the last
byte, and every 509th. Exit 0 when each run ended with status 1 and a reason on standard error.
"""

import os
import subprocess
import sys

STRIDE = 509
FLIPS_MAX = 40          # of one file


def positions(size):
    spread = range(0, size, max(STRIDE, size // FLIPS_MAX))
    return sorted(set(spread) | {0, size // 2, size - 1})


def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bundle, command = sys.argv[1], [sys.argv[2], sys.argv[1]] + sys.argv[3:]
    flips = 0
    for folder, _, files in sorted(os.walk(bundle)):
        for name in sorted(files):
            path, reason = os.path.join(folder, name), ""
            size = os.path.getsize(path)
            for position in positions(size) if size else ():
                flip(path, position)
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                flip(path, position)
                reason = done.stderr.strip()
                if done.returncode != 1 or not reason:
                    sys.exit("tamper: byte %d of %s was flipped, and the verifier ended with %d: %s"
                             % (position, os.path.relpath(path, bundle), done.returncode,
                                reason or "no reason given"))
                flips += 1
            if reason:
                print("  %-28s %s" % (os.path.relpath(path, bundle), reason.splitlines()[-1]))
    if flips == 0:
        sys.exit("tamper: there was nothing to flip in " + bundle)
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        sys.exit("tamper: the bundle, put back as it was, is not accepted")
    print("  %d flips, %d refusals; put back as it was, it is accepted again" % (flips, flips))


if __name__ == "__main__":
    main()
