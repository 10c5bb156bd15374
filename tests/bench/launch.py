#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes until a program has run and ended: plainly, under bubblewrap, in custody.

    launch.py [ROUNDS]

The three take turns in one run, so that a busy machine is busy for all of them. Prints the median
of each and its ratio to the plain launch: ratios are comparable between machines, times are not.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(TOP, os.environ.get("B", "build"), "bin")
PROGRAM = "/usr/bin/true"
READY_S = 30


def start_custodyd(root):
    log = open(os.path.join(root, "log"), "w+", encoding="utf-8")
    daemon = subprocess.Popen([os.path.join(BIN, "custodyd"), "--root", root], stderr=log)
    deadline = time.monotonic() + READY_S
    while True:
        log.seek(0)
        text = log.read()
        if "custodyd: ready" in text:
            return daemon
        if daemon.poll() is not None or time.monotonic() > deadline:
            sys.exit("launch: custodyd is not ready:\n" + text)
        time.sleep(0.05)


def unmount_below(root):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file]
    for mount in sorted((m for m in mounts if m.startswith(root + "/")), reverse=True):
        subprocess.run(["umount", mount], check=True)


def measure(command):
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit("launch: %s ended with %d: %s" % (command[0], done.returncode, done.stderr.decode()))
    return seconds


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    root = tempfile.mkdtemp(prefix="custody-bench.")
    os.chmod(root, 0o755)
    shutil.copytree(os.path.join(TOP, "profiles"), os.path.join(root, "usr/share/custody/profiles"))
    os.makedirs(os.path.join(root, "etc/custody/profiles"))
    with open(os.path.join(root, "etc/custody/profiles/bench.ini"), "w", encoding="ascii") as file:
        file.write("[profile]\nextends = base\n[process]\ncommand = %s\n[files]\nread = /usr\n" % PROGRAM)
    ways = {
        "plain exec": [PROGRAM],
        "bubblewrap": ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib",
                       "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
                       PROGRAM],
        "custody": [os.path.join(BIN, "custodyctl"), "--root", root, "run", "--profile", "bench",
                    "--", PROGRAM],
    }
    daemon = start_custodyd(root)
    try:
        times = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, command in ways.items():
                seconds = measure(command)
                if turn > 0:        # the first round warms caches
                    times[name].append(seconds)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        unmount_below(root)
        shutil.rmtree(root)
    plain = statistics.median(times["plain exec"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print("%-12s median %7.1f ms   %6.1f x a plain exec" % (name, median * 1000, median / plain))


if __name__ == "__main__":
    main()
