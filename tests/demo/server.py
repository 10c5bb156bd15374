#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small inference server: loads a pickled scikit-learn classifier and answers over HTTP.

    server.py MODEL.pkl ADDRESS PORT

    GET /health       {"status": "ok"}
    POST /classify    a JSON array of 64 pixel values, 0 to 16  ->  {"digit": N}

An ordinary server: it knows nothing of custody, and trusts the model file as such servers do.
"""

import json
import pickle
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIXELS = 64
BODY_MAX = 16384


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1               # one write for headers and body

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if self.path != "/classify" or not 0 < length <= BODY_MAX:
            self.close_connection = True
            self.answer(400, {"error": "POST /classify with a JSON body"})
            return
        try:
            pixels = [float(p) for p in json.loads(self.rfile.read(length))]
            if len(pixels) != PIXELS:
                raise ValueError("%d values are not %d" % (len(pixels), PIXELS))
        except (ValueError, TypeError) as error:
            self.answer(400, {"error": str(error)})
            return
        self.answer(200, {"digit": int(self.server.model.predict([pixels])[0])})

    def log_message(self, format, *args):
        pass


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        model = pickle.load(file)
    server = ThreadingHTTPServer((sys.argv[2], int(sys.argv[3])), Handler)
    server.model = model
    print("serving %s on %s:%s" % (type(model).__name__, sys.argv[2], sys.argv[3]), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
