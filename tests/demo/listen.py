#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A listener that must stay alone: writes one line into LOG for each connection it gets.

    listen.py ADDRESS PORT LOG      (port 0: any; the first line of LOG is "listening PORT")
"""

import socket
import sys


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server, \
            open(sys.argv[3], "w", encoding="ascii", buffering=1) as log:
        log.write("listening %d\n" % server.getsockname()[1])
        while True:
            connection, peer = server.accept()
            connection.close()
            log.write("connection %s %d\n" % peer[:2])


if __name__ == "__main__":
    main()
