#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What came of the attacks: one TAP point for each, without numbers.

    judge.py WORK LEAST [SETTING,...]

WORK holds `table` (what the programs list), `outside` and `inside` (what they said there) and
`events` (custodyctl events --json, of the jails that were attacked). Outcomes, as words of attack.h:

    denied, as expected     ok: outside it succeeded, inside it got one of the expected errnos,
                            and custody recorded it
    succeeded               not ok; ok when the README names it (ATTACK_KNOWN)
    denied otherwise        not ok: another errno or signal, or no record of it
    could not be tried      a skip with its reason: nothing is proven, nothing is counted

A denial is tied to its record by the process's comm, which is the attack's name, and the errno.
LEAST is how many attacks must have been denied as expected, or the corpus itself has failed.

With SETTINGs of the profile (jit, memfd, loopback), those attacks that the table says they open are
points of their own: what the table says comes of them, or, in the place of "succeeded", what they get
without the setting, where the lsm plane refuses them still. All others must go as they always do: one
point for all, and one for each that does not.
"""

import collections
import ctypes
import json
import os
import sys

USER, SILENT, KNOWN, INSIDE, SCOPED, SEALED = 1, 2, 4, 8, 16, 32
SYS_LANDLOCK_CREATE_RULESET, LANDLOCK_SCOPES = 444, 6
RECORDED = ("EPERM", "EACCES", "EROFS")
FIRST_SIGHT = ("ENOSYS", "EAFNOSUPPORT")
COMM = 15


def read_lines(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def read_answers(path):
    """name -> (outcome, reason)"""
    return {line[0]: (line[1], line[2]) for line in read_lines(path) if len(line) == 3}


def read_denials(path):
    """(comm, errno) -> planes, and errno -> planes, of every denial on record."""
    named, any_ = collections.defaultdict(set), collections.defaultdict(set)
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event.get("type") == "event" and event.get("verdict") == "denied" and "error" in event:
                named[event["comm"], event["error"]].add(event["plane"])
                any_[event["error"]].add(event["plane"])
    return named, any_


def find_record(name, errno, flags, denials):
    """Planes that recorded it; None when there should be a record and there is none."""
    named, any_ = denials
    if flags & SILENT or errno not in RECORDED + FIRST_SIGHT:
        return []
    found = named.get((name[:COMM], errno))
    if not found and errno in FIRST_SIGHT:
        found = any_.get(errno)
    return sorted(found) if found else None


def landlock_version():
    return ctypes.CDLL(None).syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1)


def judge(row, outside, inside, denials):
    """(outcome, sentence)"""
    name, errnos, flags, text = row[0], row[1].split(), int(row[2]), row[3]
    if flags & SCOPED and landlock_version() < LANDLOCK_SCOPES:
        flags |= KNOWN
    if flags & SEALED and not os.path.exists("/proc/sys/vm/memfd_noexec"):
        flags |= KNOWN
    there = outside.get(name, ("nothing", ""))
    here = inside.get(name, ("nothing", ""))
    known = "inside %s" % here[0] + (" (%s)" % here[1] if here[1] else "")
    if here[0] == "untried":
        return "untried", "%s # SKIP could not be tried inside: %s" % (text, here[1])
    if here[0] == "succeeded":
        if flags & KNOWN:
            return "known", "%s: succeeds, as the README says" % text
        return "succeeded", "%s: SUCCEEDED inside" % text
    if "nothing" in (here[0], there[0]) and not (flags & INSIDE and here[0] != "nothing"):
        return "otherwise", "%s: it was not run: %s, outside %s" % (text, known, there[0])
    if not flags & INSIDE and there[0] != "succeeded":
        why = there[1] or "it gets %s" % there[0]
        return "untried", "%s # SKIP could not be tried outside: %s" % (text, why)
    if here[0] not in errnos:
        return "otherwise", "%s: want %s, %s" % (text, "|".join(errnos), known)
    record = find_record(name, here[0], flags, denials)
    if record is None:
        return "otherwise", "%s: %s inside, but there is no record of it" % (text, here[0])
    by = ", recorded: " + " ".join(record) if record else ""
    return "denied", "%s: %s%s" % (text, here[0], by)


def judge_opened(row, settings, outside, inside, denials):
    """Like judge(); None as outcome where no setting concerns the attack."""
    opened = dict(word.split("=") for word in row[4].split())
    have = [key for key in opened if set(key.split("+")) <= set(settings)]
    want = [opened[key] for key in sorted(have, key=len, reverse=True)] # what names most comes first
    if not want:
        return None, judge(row, outside, inside, denials)
    here = inside.get(row[0], ("nothing", ""))
    if want[0] != "succeeded":
        return judge([row[0], want[0]] + row[2:], outside, inside, denials)
    if here[0] == "succeeded":
        return "opened", "%s: succeeds" % row[3]
    there = outside.get(row[0], ("nothing", ""))
    if not int(row[2]) & INSIDE and there[0] != "succeeded":
        return judge(row, outside, inside, denials)
    # The lsm plane may refuse it for a reason of its own: process.programs, the label of a zone.
    planes = find_record(row[0], here[0], int(row[2]), denials)
    if planes and "lsm" in planes:
        return "denied", "%s: still %s, by the lsm plane" % (row[3], here[0])
    return "otherwise", "%s: inside %s, and the setting is said to open it" % (row[3], here[0])


def main_opened(work, least, settings):
    table = read_lines(work + "/table")
    outside, inside = read_answers(work + "/outside"), read_answers(work + "/inside")
    denials = read_denials(work + "/events")
    denied, bad, concerned, by = 0, 0, 0, ", ".join(settings)
    for row in table:
        outcome, text = judge_opened(row, settings, outside, inside, denials)
        if outcome:
            concerned += 1
            print("%s - with %s, %s: %s" %
                  ("ok" if outcome in ("opened", "denied", "known", "untried") else "not ok", by, row[0], text))
            continue
        outcome, text = text
        denied += outcome == "denied"
        if outcome not in ("denied", "untried", "known"):
            bad += 1
            print("not ok - with %s, %s: %s" % (by, row[0], text))
    print("%s - with %s: %d others are denied as without (at least %d)" %
          ("ok" if denied >= least and not bad and concerned else "not ok", by, denied, least))


def main():
    work, least = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        main_opened(work, least, sys.argv[3].split(","))
        return
    table = read_lines(work + "/table")
    outside, inside = read_answers(work + "/outside"), read_answers(work + "/inside")
    denials = read_denials(work + "/events")
    names = [row[0][:COMM] for row in table]
    counts = collections.Counter()
    for row in table:
        outcome, text = judge(row, outside, inside, denials)
        counts[outcome] += 1
        good = outcome in ("denied", "untried", "known")
        print("%s - %s: %s" % ("ok" if good else "not ok", row[0], text))
    if len(set(names)) != len(names):
        print("not ok - every attack has a name of its own, in %d characters" % COMM)
    print("%s - %d attacks: %d denied as expected (at least %d), %d succeeded, %d denied otherwise, "
          "%d could not be tried, %d known to succeed" %
          ("ok" if counts["denied"] >= least else "not ok", len(table), counts["denied"], least,
           counts["succeeded"], counts["otherwise"], counts["untried"], counts["known"]))


if __name__ == "__main__":
    main()
