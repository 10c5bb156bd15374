#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The attackers' friend outside: a client of what the jail publishes, again and again.

    client.py       connects to ATTACK_TCP and ATTACK_UNIX until it is killed

TCP connections are held until the other side ends them, or a while. On the UNIX socket lines are taken:
"connect PORT" connects there; "give WHAT" hands over a descriptor, as makers below names them.
"""

import array
import ctypes
import os
import pty
import socket
import sys
import threading
import time

PAUSE_S = 0.02
HOLD_S = 1.5    # a side that was disconnected says nothing
THREADS = 3
RING_ENTRIES = 4
SYS_IO_URING_SETUP = 425
KEEP = []       # what is handed over must live until it has arrived


def make_ring():
    params = ctypes.create_string_buffer(120)
    return ctypes.CDLL(None, use_errno=True).syscall(SYS_IO_URING_SETUP, RING_ENTRIES, params)


def make_tcp():
    listener = socket.create_server(("127.0.0.1", 0))
    friend = socket.create_connection(listener.getsockname())
    KEEP.append((listener, friend))
    return friend.fileno()


def make_unix():
    friend = socket.socket(socket.AF_UNIX)
    KEEP.append(friend)
    return friend.fileno()


def make_terminal():
    pair = pty.openpty()
    KEEP.append(pair)
    return pair[1]


MAKERS = {
    "directory": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "path": lambda: os.open("/", os.O_PATH),
    "file": lambda: os.open(os.environ["ATTACK_GIVEN"], os.O_RDWR | os.O_CREAT, 0o600),
    "program": lambda: os.open("/usr/bin/true", os.O_RDONLY),
    "namespace": lambda: os.open("/proc/self/ns/net", os.O_RDONLY),
    "memory": lambda: os.open("/proc/%s/mem" % os.environ["ATTACK_VICTIM"], os.O_RDWR),
    "process": lambda: os.open("/proc/%s" % os.environ["ATTACK_VICTIM"], os.O_RDONLY),
    "pidfd": lambda: os.pidfd_open(int(os.environ["ATTACK_VICTIM"])),
    "cgroup": lambda: os.open("/sys/fs/cgroup", os.O_RDONLY),
    "random": lambda: os.open("/dev/random", os.O_RDWR),
    "faults": lambda: os.open("/dev/userfaultfd", os.O_RDWR),
    "machines": lambda: os.open("/dev/kvm", os.O_RDWR),
    "ring": make_ring,
    "tcp": make_tcp,
    "unix": make_unix,
    "terminal": make_terminal,
}


def give(connection, what):
    fd = MAKERS[what]()
    connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    if what not in ("tcp", "unix", "terminal"):
        os.close(fd)


def connect_back(port):
    with socket.socket() as back:
        back.settimeout(3)
        back.connect(("127.0.0.1", port))


def serve_line(connection, line):
    words = line.split()
    if len(words) == 2 and words[0] == "give":
        give(connection, words[1])
    elif len(words) == 2 and words[0] == "connect":
        connect_back(int(words[1]))


def hold(family, address, on_line):
    while True:
        with socket.socket(family) as connection:
            try:
                connection.settimeout(HOLD_S)
                connection.connect(address)
                while True:
                    data = connection.recv(256)
                    if not data:
                        break
                    on_line(connection, data.decode("ascii", "replace"))
            except OSError as error:
                print(address, error, file=sys.stderr, flush=True)
        time.sleep(PAUSE_S)


def main():
    address = ("127.0.0.1", int(os.environ["ATTACK_TCP"]))
    for _ in range(THREADS):
        threading.Thread(target=hold, args=(socket.AF_INET, address, lambda c, d: None),
                         daemon=True).start()
    hold(socket.AF_UNIX, os.environ["ATTACK_UNIX"], serve_line)


if __name__ == "__main__":
    main()
