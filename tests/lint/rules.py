# SPDX-License-Identifier: Apache-2.0
"""The rules of style and structure. Each is a function of a tree's root that returns sentences;
none means that the rule holds. tests/lint/samples/RULE/{good,bad} hold one tree for each verdict.
"""

import ast
import os
import re
import subprocess

import source

FILE_LINES = 600
FUNCTION_LINES = 80
NESTING = 3
COLUMNS = 100
TAB = 8
TOP_LEVEL = {"Makefile", "README.md", "LICENSE", "daemon", "bpf", "include", "profiles", "tests",
             "tools", "systemd"}
# Of the source tree, this is all that lint does not read: samples are wrong on purpose.
SAMPLES = "tests/lint/samples"
FORBIDDEN = ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "system", "popen", "tmpnam",
             "mktemp", "alloca")


def walk(root, accept):
    """(path relative to root, absolute path) of every file that accept() likes, sorted."""
    for folder, folders, files in os.walk(root):
        relative = os.path.relpath(folder, root)
        folders[:] = sorted(f for f in folders
                            if not (relative == "." and (f.startswith("build") or f == ".git"))
                            and f != "__pycache__"
                            and os.path.normpath(os.path.join(relative, f)) != SAMPLES)
        for name in sorted(files):
            path = os.path.normpath(os.path.join(relative, name))
            if accept(path):
                yield path, os.path.join(folder, name)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def is_c(path):
    return path.endswith((".c", ".h"))


def c_files(root):
    for path, full in walk(root, is_c):
        yield path, read(full)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def is_shell(path, full):
    if path.endswith((".sh", ".bash")):
        return True
    return "." not in os.path.basename(path) and re.match(r"#!\S*[/ ](ba)?sh\b", read(full)[:80])


# ---- the tree ----

def top_level(root):
    """The top level holds nothing else."""
    seen = {n for n in os.listdir(root)
            if not n.startswith((".", "build")) and n != "debian"}
    return ["%s does not belong at the top level" % n for n in sorted(seen - TOP_LEVEL)]


def opening(root):
    """Every C file opens with its licence and a comment: what, which process, what it trusts."""
    problems = []
    both = "GPL-2.0-only OR BSD-2-Clause"
    for path, text in c_files(root):
        first, _, rest = text.partition("\n")
        match = re.match(r"/\* SPDX-License-Identifier: (.*) \*/$", first)
        wanted = {both} if path.startswith("bpf/") else {"Apache-2.0"}
        if path.startswith("include/"):
            wanted = {both, "Apache-2.0"}
        if not match or match.group(1) not in wanted:
            problems.append("%s:1: does not open with SPDX-License-Identifier: %s"
                            % (path, " or ".join(sorted(wanted))))
        comment = re.match(r"\s*/\*(.*?)\*/", rest, re.S)
        if not comment or len(re.sub(r"[\s*]+", " ", comment.group(1))) < 40:
            problems.append("%s:2: no comment says what the file is for" % path)
    return problems


def bpf_licence(root):
    """What bpf/ includes of include/custody/ carries the kernel's licence too."""
    both, problems = "GPL-2.0-only OR BSD-2-Clause", []
    included = set()
    for path, text in c_files(root):
        if path.startswith("bpf/"):
            included |= set(re.findall(r'#include "(custody/[^"]+)"', text))
    for name in sorted(included):
        path = os.path.join(root, "include", name)
        if os.path.exists(path) and both not in read(path).partition("\n")[0]:
            problems.append("include/%s: included by bpf/ but not %s" % (name, both))
    return problems


def sizes(root):
    """Files below 600 lines, functions below 80, control nesting at most 3."""
    problems = []
    for path, full in walk(root, lambda p: is_c(p) or p.endswith((".py", ".sh"))
                           or p in ("tests/run", "Makefile")):
        lines = read(full).count("\n")
        if lines >= FILE_LINES:
            problems.append("%s: %d lines; fewer than %d" % (path, lines, FILE_LINES))
    for path, text in c_files(root):
        for f in source.functions(text):
            if f.lines >= FUNCTION_LINES:
                problems.append("%s:%d: %s() has %d lines; fewer than %d"
                                % (path, f.line, f.name, f.lines, FUNCTION_LINES))
            if f.nesting > NESTING:
                problems.append("%s:%d: %s() nests %d deep; at most %d"
                                % (path, f.line, f.name, f.nesting, NESTING))
    return problems


def layout(root):
    """At most 100 columns (tables excepted), no blank at the end of a line, a newline at the end of a file."""
    problems = []
    for path, text in c_files(root):
        tables = re.compile(r"/\* clang-format off \*/.*?/\* clang-format on \*/", re.S)
        text = tables.sub(lambda m: "\n" * m.group(0).count("\n"), text)
        for number, line in enumerate(text.split("\n"), 1):
            if len(line.expandtabs(TAB)) > COLUMNS:
                problems.append("%s:%d: wider than %d columns" % (path, number, COLUMNS))
            if line != line.rstrip():
                problems.append("%s:%d: ends with a blank" % (path, number))
        if not text.endswith("\n"):
            problems.append("%s: no newline at the end" % path)
    return problems


def comments(root):
    """Comments are /* like this */."""
    problems = []
    for path, text in c_files(root):
        code = source.blank(text, keep_comments=True)
        for match in re.finditer(r"/\*.*?\*/|(//)", code, re.S):
            if match.group(1):
                problems.append("%s:%d: // comment" % (path, line_of(code, match.start())))
    return problems


def calls(root):
    """No call whose bound is not written down, and no shell."""
    problems = []
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(FORBIDDEN))
    for path, text in c_files(root):
        code = source.blank(text)
        for match in pattern.finditer(code):
            problems.append("%s:%d: %s()" % (path, line_of(code, match.start()), match.group(1)))
    return problems


def typedefs(root):
    """A struct is called struct."""
    problems = []
    for path, text in c_files(root):
        code = source.blank(text)
        for match in re.finditer(r"\btypedef\s+(struct|union|enum)\b", code):
            problems.append("%s:%d: typedef %s" % (path, line_of(code, match.start()), match.group(1)))
    return problems


def owners(root):
    """A local with a cleanup attribute has a value from the start, or cleanup reads garbage."""
    problems = []
    pattern = re.compile(r"^\s+cleanup_(fd|ptr|file|dir)\b([^;{=]*)([;=])", re.M)
    for path, text in c_files(root):
        code = source.blank_directives(source.blank(text))
        for match in pattern.finditer(code):
            if match.group(3) == ";" or "," in match.group(2):
                problems.append("%s:%d: cleanup_%s local without a value of its own"
                                % (path, line_of(code, match.start(1)), match.group(1)))
    return problems


def leftovers(root):
    """Nothing is left for later in a comment."""
    words = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)))
    problems = []
    for path, full in walk(root, lambda p: not p.endswith((".pem", ".bin", ".pkl"))
                           and "/corpus/" not in p):
        text = read(full)
        for match in words.finditer(text):
            problems.append("%s:%d: %s" % (path, line_of(text, match.start()), match.group(1)))
    return problems


def contracts(root):
    """Every header of include/custody compiles alone."""
    problems = []
    for path, full in walk(root, lambda p: p.startswith("include/custody/") and p.endswith(".h")):
        done = subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                               "-I", os.path.join(root, "include"), "-x", "c", "-include", full,
                               "/dev/null"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            problems.append("%s: %s" % (path, done.stderr.strip()))
    return problems


# ---- scripts and documents ----

def shell(root):
    """Shell scripts pass shellcheck."""
    scripts = [full for path, full in walk(root, lambda p: True) if is_shell(path, full)]
    if not scripts:
        return []
    done = subprocess.run(["shellcheck", "--severity=warning", "--format=gcc", *scripts],
                          capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def python(root):
    """Python scripts parse."""
    problems = []
    for path, full in walk(root, lambda p: p.endswith(".py") or p == "tests/run"):
        try:
            ast.parse(read(full))
        except SyntaxError as error:
            problems.append("%s: %s" % (path, error))
    return problems


def manual(root):
    """Manual pages are formatted without a warning."""
    problems = []
    for path, full in walk(root, lambda p: re.search(r"\.[1-8]$", p)):
        done = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-Tutf8", "-Z", "-l", full],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8"), check=False)
        if done.returncode or done.stderr.strip():
            problems.append("%s: %s" % (path, done.stderr.strip() or "man failed"))
    return problems


# ---- contracts that two places must keep ----

def setting_rows(root):
    """(section, key) of every row of the planner's table."""
    path = os.path.join(root, "daemon/planner/settings.h")
    text = read(path) if os.path.exists(path) else ""
    return re.findall(r'^\s*SETTING\("([a-z]+)", "([a-z-]+)", ', text, re.M)


def settings(root):
    """Every setting of the planner's table is in the manual page and in a test."""
    rows = setting_rows(root)
    if not rows:
        return ["daemon/planner/settings.h: no row was found"]
    page = os.path.join(root, "profiles/custody.profile.5")
    manual_text = read(page).replace("\\-", "-") if os.path.exists(page) else ""
    tests = "".join(read(full) for _, full in walk(root, lambda p: p.startswith("tests/")
                                                   and not p.startswith("tests/lint/")))
    problems = []
    for section, key in rows:
        word = r"(?<![\w-])%s(?![\w-])" % re.escape(key)
        if not re.search(r"^\..*" + word, manual_text, re.M):
            problems.append("[%s] %s has no entry in profiles/custody.profile.5" % (section, key))
        if not re.search(word + r"\s*\+?=", tests):
            problems.append("[%s] %s is set in no test" % (section, key))
    return problems


def messages(root):
    """Every message type is used by some process, or it is no contract."""
    path = os.path.join(root, "include/custody/message.h")
    if not os.path.exists(path):
        return ["include/custody/message.h is missing"]
    types = re.findall(r"^\s*X\((\w+), \w+,", read(path), re.M)
    if not types:
        return ["include/custody/message.h: no row was found"]
    code = "".join(source.blank(text) for p, text in c_files(root)
                   if p.startswith(("daemon/", "tools/")) and not p.startswith("daemon/lib/"))
    return ["message type %s is used by nobody" % t for t in types
            if not re.search(r"\b(MSG_)?%s\b" % t, code)]
