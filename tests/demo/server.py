#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small inference server: loads a pickled scikit-learn classifier and answers over HTTP.

    server.py --model FILE [--host ADDRESS] [--port PORT]

    GET /health       {"status": "ok"}
    POST /classify    a JSON array of 64 pixel values, 0 to 16  ->  {"digit": N}

An ordinary server: it knows nothing of custody, and trusts the model file as such servers do.
"""

import argparse
import json
import pickle
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
    parser = argparse.ArgumentParser(description="classifies digits over HTTP")
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    with open(options.model, "rb") as file:
        model = pickle.load(file)
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.model = model
    print("serving %s on %s:%d" % (type(model).__name__, options.host, options.port), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
