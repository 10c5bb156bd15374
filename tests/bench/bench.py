#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What custody costs: launches, system calls, requests to a server; plainly, under bubblewrap, in custody;
and measuring a model, against openssl.

    bench.py [ROUNDS]

The ways take turns in one run, each round in another order, so that a busy machine is busy for all
of them. A ratio is the median of the rounds' ratios to the plain way: ratios are comparable between
machines, times are not. Run as root; makes a temporary root and a cgroup, and removes both.
"""

import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import hashing

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.join(TOP, os.environ.get("B", "build"), "bin")
PYTHON = "/usr/bin/python3"
PROGRAM = "/usr/bin/true"
PROBE = os.path.join(TOP, os.environ.get("B", "build"), "root", "syscall_probe")
CALLS = 200000
GETPPID = ["110"]
PRCTL = ["157", "3"]        # PR_GET_DUMPABLE, which the filters tell by its argument
READY_S = 30
REQUESTS = 200
BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
         "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"]


# ---- a custodyd of this run's own ----

class Custody:
    """custodyd in a temporary root. Everything it made is gone after close()."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="custody-bench.")
        self.cgroup = "custody-bench-%d" % os.getpid()
        self.daemon = None
        os.chmod(self.root, 0o755)
        shutil.copytree(os.path.join(TOP, "profiles"), self.path("usr/share/custody/profiles"))
        os.makedirs(self.path("etc/custody/profiles"))

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def start(self):
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.daemon = subprocess.Popen([os.path.join(BIN, "custodyd"), "--root", self.root,
                                            "--cgroup", self.cgroup], stderr=log)
        deadline = time.monotonic() + READY_S
        while True:
            with open(self.path("log"), encoding="utf-8") as log:
                text = log.read()
            if "custodyd: ready" in text:
                return
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("custodyd is not ready:\n" + text)
            time.sleep(0.05)

    def ctl(self, *words):
        return [os.path.join(BIN, "custodyctl"), "--quiet", "--root", self.root, *words]

    def write_profile(self, name, text):
        with open(self.path("etc/custody/profiles", name + ".ini"), "w", encoding="ascii") as file:
            file.write("[profile]\nextends = base\n" + text)

    def end_jails(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
        group = next(m[4] for m in mounts if m[m.index("-") + 1] == "cgroup2") + "/" + self.cgroup
        if not os.path.isdir(group):
            return
        with open(os.path.join(group, "cgroup.kill"), "w", encoding="ascii") as file:
            file.write("1")
        for folder, folders, _ in os.walk(group, topdown=False):
            for name in folders:
                remove_cgroup(os.path.join(folder, name))
        remove_cgroup(group)

    def close(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait()
        self.end_jails()
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split()[4] for line in file]
        for mount in sorted((m for m in mounts if m.startswith(self.root + "/")), reverse=True):
            subprocess.run(["umount", mount], check=True)
        shutil.rmtree(self.root)


def remove_cgroup(path):
    """A cgroup is busy for a moment after its last process was killed."""
    deadline = time.monotonic() + 5
    while os.path.isdir(path):
        try:
            os.rmdir(path)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def take_turns(names, turn):
    """The names, begun at another one each turn."""
    names = list(names)
    return names[turn % len(names):] + names[:turn % len(names)]


# ---- launches ----

def time_launch(command):
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError("%s ended with %d: %s"
                           % (command[0], done.returncode, done.stderr.decode()))
    return seconds


def measure_launches(custody, rounds):
    custody.write_profile("bench", "[process]\ncommand = %s\n" % PROGRAM)
    ways = {"plain": [PROGRAM], "custody": custody.ctl("run", "--profile", "bench", "--", PROGRAM)}
    if shutil.which("bwrap"):
        ways["bubblewrap"] = BWRAP + [PROGRAM]
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in take_turns(ways, turn):
            seconds = time_launch(ways[name])
            if turn > 0:        # the first round warms caches
                times[name].append(seconds)
    return times


# ---- system calls ----

def time_calls(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s ended with %d: %s"
                           % (command[0], done.returncode, done.stderr.decode()))
    return int(done.stdout) / CALLS


def measure_calls(custody, rounds, words):
    """Nanoseconds of one system call: its number and first argument are `words`."""
    folder = custody.path("calls")
    os.makedirs(folder, exist_ok=True)
    probe = shutil.copy(PROBE, folder)
    custody.write_profile("calls", "[process]\ncommand = %s\n[files]\nread += %s\n"
                          % (probe, folder))
    command = [probe, "time", str(CALLS)] + words
    ways = {"plain": command,
            "custody": custody.ctl("run", "--profile", "calls", "--") + command}
    if shutil.which("bwrap"):
        ways["bubblewrap"] = BWRAP + ["--ro-bind", folder, folder] + command
    times = {name: [] for name in ways}
    for turn in range(rounds):
        for name in take_turns(ways, turn):
            times[name].append(time_calls(ways[name]))
    return times


# ---- requests ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, count, connection_each):
    """Requests answered per second, by one client that waits for each answer."""
    began = time.perf_counter()
    connection = None
    for _ in range(count):
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        if len(connection.getresponse().read()) != 1024:
            raise RuntimeError("port %d gives another answer than the bench's server" % port)
        if connection_each:
            connection.close()
            connection = None
    return count / (time.perf_counter() - began)


def wait_for_server(port):
    deadline = time.monotonic() + READY_S
    while True:
        try:
            ask(port, 1, True)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError("no server answers on port %d" % port) from error
            time.sleep(0.05)


def start_servers(custody, jobs):
    """Starts the server each way; {way: port}."""
    script = custody.path("server.py")
    shutil.copy(os.path.join(HERE, "server.py"), script)
    ports = {"plain": free_port()}
    jobs.append(subprocess.Popen([PYTHON, script, str(ports["plain"])]))
    if shutil.which("bwrap"):
        ports["bubblewrap"] = free_port()
        jobs.append(subprocess.Popen(BWRAP + ["--share-net", "--die-with-parent", "--ro-bind", script,
                                              script, PYTHON, script, str(ports["bubblewrap"])]))
    ports["custody"] = free_port()
    custody.write_profile("server", "[process]\ncommand = %s %s %d\n[files]\ndata += %s\n"
                          "[network]\nlisten = tcp:127.0.0.1:%d\n"
                          % (PYTHON, script, ports["custody"], script, ports["custody"]))
    subprocess.run(custody.ctl("start", "server"), check=True)
    for port in ports.values():
        wait_for_server(port)
    return ports


def measure_requests(custody, rounds):
    """({way: rates on one connection}, {way: rates with a connection each})"""
    jobs = []
    try:
        ports = start_servers(custody, jobs)
        kept = {name: [] for name in ports}
        fresh = {name: [] for name in ports}
        for turn in range(rounds):
            for name in take_turns(ports, turn):
                kept[name].append(ask(ports[name], REQUESTS, False))
                fresh[name].append(ask(ports[name], REQUESTS, True))
        return kept, fresh
    finally:
        for job in jobs:
            job.kill()
            job.wait()


# ---- the report ----

def report(heading, values, form):
    print(heading)
    for name in ("plain", "bubblewrap", "custody"):
        if name not in values:
            print("  %-11s not measured: it is not installed" % name)
            continue
        ratio = statistics.median(a / b for a, b in zip(values[name], values["plain"]))
        print("  %-11s %s  %6.2f x plain" % (name, form(statistics.median(values[name])), ratio))
    print(flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if os.geteuid() != 0:
        sys.exit("bench: needs root: it makes jails")
    custody = Custody()
    try:
        custody.start()
        print("Medians of %d rounds in which the ways take turns. Compare ratios, not times.\n"
              % rounds)
        report("Launch of %s, until it has ended" % PROGRAM, measure_launches(custody, rounds),
               lambda s: "%8.1f ms" % (s * 1000))
        report("getppid(), which every set allows", measure_calls(custody, rounds, GETPPID),
               lambda ns: "%8.0f ns" % ns)
        report("prctl(PR_GET_DUMPABLE), allowed by its argument",
               measure_calls(custody, rounds, PRCTL), lambda ns: "%8.0f ns" % ns)
        kept, fresh = measure_requests(custody, rounds)
        report("Requests to a Python HTTP server, 1 KiB answers, all on one connection", kept,
               lambda rate: "%8.0f /s" % rate)
        report("The same, a connection for each request", fresh, lambda rate: "%8.0f /s" % rate)
        hashing.report(custody.path("model"), max(rounds // 4, 1))
    except RuntimeError as error:
        sys.exit("bench: %s" % error)
    finally:
        custody.close()


if __name__ == "__main__":
    main()
