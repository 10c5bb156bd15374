#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Classifies the held-out images over HTTP, on one kept-alive connection.

    client.py HELD-OUT.json ADDRESS PORT

Waits for the server at most 60 s. Exit 0 when accuracy is above 0.9.
"""

import http.client
import json
import sys
import time

WAIT_S = 60
ENOUGH = 0.9


def wait_for_server(address, port):
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            connection = http.client.HTTPConnection(address, port, timeout=10)
            connection.request("GET", "/health")
            answer = connection.getresponse()
            if answer.status == 200 and json.loads(answer.read()) == {"status": "ok"}:
                return connection
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                sys.exit("client: no server at %s:%d after %d s: %s" % (address, port, WAIT_S, error))
        connection.close()
        time.sleep(0.1)


def classify(connection, pixels):
    connection.request("POST", "/classify", json.dumps(pixels),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    if answer.status != 200:
        sys.exit("client: the server answered %d: %s" % (answer.status, body))
    return body["digit"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="ascii") as file:
        images = json.load(file)
    connection = wait_for_server(sys.argv[2], int(sys.argv[3]))
    began = time.monotonic()
    right = sum(classify(connection, i["pixels"]) == i["digit"] for i in images)
    seconds = time.monotonic() - began
    accuracy = right / len(images)
    print("%d images, accuracy %.3f, %.0f requests/s" % (len(images), accuracy, len(images) / seconds))
    if accuracy <= ENOUGH:
        sys.exit("client: accuracy is not above %.1f" % ENOUGH)


if __name__ == "__main__":
    main()
