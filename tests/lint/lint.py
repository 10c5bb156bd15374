#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the rules and prints TAP.

    lint.py             every rule on the source tree
    lint.py --samples   every rule on its good sample, where it must find nothing, and on its bad
                        one, where it must find something
"""

import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import binaries     # noqa: E402
import rules        # noqa: E402

RULES = (
    ("top-level", rules.top_level), ("opening", rules.opening), ("bpf-licence", rules.bpf_licence),
    ("sizes", rules.sizes), ("layout", rules.layout), ("comments", rules.comments),
    ("calls", rules.calls), ("typedefs", rules.typedefs), ("owners", rules.owners),
    ("leftovers", rules.leftovers), ("contracts", rules.contracts), ("shell", rules.shell),
    ("python", rules.python), ("manual", rules.manual), ("settings", rules.settings),
    ("messages", rules.messages), ("links", binaries.links), ("hardening", binaries.hardening),
    ("globals", binaries.globals_), ("shipped-profiles", binaries.shipped_profiles),
)


def report(number, text, problems):
    print("%sok %d - %s" % ("not " if problems else "", number, text))
    for problem in problems:
        print("# " + problem.replace("\n", "\n# "))
    sys.stdout.flush()


def lint_tree():
    for number, (name, rule) in enumerate(RULES, 1):
        report(number, "%s: %s" % (name, rule.__doc__.splitlines()[0]), rule(TOP))
    print("1..%d" % len(RULES))


def judge_sample(name, rule, kind):
    """What is wrong with a sample's verdict, as a list; a sample may bring a build.sh."""
    sample = os.path.join(HERE, "samples", name, kind)
    if not os.path.isdir(sample):
        return ["there is no %s" % os.path.relpath(sample, TOP)]
    with tempfile.TemporaryDirectory(prefix="custody-lint-") as work:
        tree = os.path.join(work, "tree")
        shutil.copytree(sample, tree)
        script = os.path.join(tree, "build.sh")
        if os.path.exists(script):
            subprocess.run(["sh", script], cwd=tree, check=True)
            os.unlink(script)
        problems = rule(tree)
    if kind == "good":
        return problems
    return [] if problems else ["the rule finds nothing wrong with it"]


def lint_samples():
    os.environ["B"] = "build"
    number = 0
    for name, rule in RULES:
        for kind in ("good", "bad"):
            number += 1
            report(number, "%s: the %s sample is judged %s" % (name, kind, kind),
                   judge_sample(name, rule, kind))
    print("1..%d" % number)


if __name__ == "__main__":
    if sys.argv[1:] == ["--samples"]:
        lint_samples()
    elif not sys.argv[1:]:
        lint_tree()
    else:
        sys.exit(__doc__)
