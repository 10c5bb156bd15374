#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whom the attacks are after: a process that listens on ATTACK_PORT (TCP and UDP of 127.0.0.1), on
the abstract name ATTACK_ABSTRACT, at ATTACK_SINK and at ATTACK_ZONE/sink, and writes a line for whatever comes.

    victim.py FILE      "up" first, then TCP, UDP, ABSTRACT, PATH or ZONE each time
"""

import os
import select
import socket
import sys


def open_all():
    os.setpgid(0, 0)
    port = int(os.environ["ATTACK_PORT"])
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    tcp.bind(("127.0.0.1", port))
    udp.bind(("127.0.0.1", port))
    tcp.listen(50)
    found = {tcp: "TCP", udp: "UDP"}
    for name, word in (("\0" + os.environ["ATTACK_ABSTRACT"], "ABSTRACT"),
                       (os.environ["ATTACK_SINK"], "PATH"),
                       (os.environ["ATTACK_ZONE"] + "/sink", "ZONE")):
        local = socket.socket(socket.AF_UNIX)
        local.bind(name)
        if name[0] == "/":
            os.chmod(name, 0o777)
        local.listen(50)
        found[local] = word
    return found


def main():
    with open(sys.argv[1], "w", buffering=1, encoding="ascii") as file:
        sockets = open_all()
        print("up", file=file)
        while True:
            for ready in select.select(list(sockets), [], [])[0]:
                print(sockets[ready], file=file)
                if sockets[ready] == "UDP":
                    ready.recv(9)
                else:
                    ready.accept()


if __name__ == "__main__":
    main()
