#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server that answers every GET with 1 KiB: what bench.py asks. Knows no custody.

    server.py PORT
"""

import http.server
import sys

BODY = b"x" * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
