# SPDX-License-Identifier: Apache-2.0
"""Reads C well enough to measure it: blanks comments and strings, finds functions, counts nesting.

Not a compiler. It sees text before the preprocessor, so a macro that opens a brace and does not
close it would confuse it; the sources have none.
"""

import re

TOKEN = re.compile(r"[A-Za-z_]\w*|[^\s\w]|\d[\w.]*")
CONTROL = {"if", "for", "while", "switch"}


def blank(text, keep_comments=False):
    """The text with comments, string and character contents replaced by spaces, line by line."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def space(match):
        found = match.group(0)
        if found[0] == "/":
            return found if keep_comments else re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]

    return pattern.sub(space, text)


def blank_directives(text):
    """Also without preprocessor lines and their continuations; takes what blank() returned."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  text, flags=re.M)


class Token:
    def __init__(self, text, line):
        self.text = text
        self.line = line


def tokens(code):
    line, last, out = 1, 0, []
    for match in TOKEN.finditer(code):
        line += code.count("\n", last, match.start())
        last = match.start()
        out.append(Token(match.group(0), line))
    return out


def skip_group(toks, i):
    """Index after the bracket group that opens at i."""
    depth = 0
    while i < len(toks):
        if toks[i].text in "([{":
            depth += 1
        elif toks[i].text in ")]}":
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return i


def after_statement(toks, i):
    """Index after the ';' that ends the plain statement at i, or at the '}' that ends its block."""
    while i < len(toks) and toks[i].text not in ";}":
        i = skip_group(toks, i) if toks[i].text in "([{" else i + 1
    return i + 1 if i < len(toks) and toks[i].text == ";" else i


def measure_if(toks, i, depth):
    i, deepest = measure(toks, skip_group(toks, i + 1), depth + 1)
    if i < len(toks) and toks[i].text == "else":
        chained = i + 1 < len(toks) and toks[i + 1].text == "if"
        i, other = measure(toks, i + 1, depth if chained else depth + 1)
        deepest = max(deepest, other)
    return i, deepest


def measure_block(toks, i, depth):
    deepest, i = depth, i + 1
    while i < len(toks) and toks[i].text != "}":
        i, inner = measure(toks, i, depth)
        deepest = max(deepest, inner)
    return i + 1, deepest


def measure(toks, i, depth):
    """One statement at i: (index after it, deepest control nesting in it). else-if adds nothing."""
    word = toks[i].text
    following = toks[i + 1].text if i + 1 < len(toks) else ""
    if word == "{":
        return measure_block(toks, i, depth)
    if word == "if" and following == "(":
        return measure_if(toks, i, depth)
    if word in CONTROL and following == "(":
        return measure(toks, skip_group(toks, i + 1), depth + 1)
    if word == "do":
        i, deepest = measure(toks, i + 1, depth + 1)
        return after_statement(toks, i), deepest
    if word in ("case", "default"):
        while i < len(toks) and toks[i].text != ":":
            i += 1
        return i + 1, depth
    if following == ":" and re.match(r"[A-Za-z_]", word):
        return i + 2, depth
    if following == "(" and re.match(r"[A-Za-z_]", word):
        end = skip_group(toks, i + 1)
        if end < len(toks) and toks[end].text == "{":       # a loop macro
            return measure(toks, end, depth + 1)
    return max(after_statement(toks, i), i + 1), depth


class Function:
    def __init__(self, name, line, lines, nesting):
        self.name = name
        self.line = line
        self.lines = lines
        self.nesting = nesting


def function_name(head):
    """Name in the tokens before a top-level '{', or None when they are no function's."""
    texts = [t.text for t in head]
    if not texts or "=" in texts or texts[-1] != ")" or "(" not in texts:
        return None
    opening = texts.index("(")
    name = texts[opening - 1] if opening else None
    if name in ("SEC", "__attribute__"):
        end = skip_group(head, opening)
        return function_name(head[end:])
    if name == "BPF_PROG" and opening + 1 < len(texts):
        return texts[opening + 1]
    return name


def functions(text):
    toks = tokens(blank_directives(blank(text)))
    found, head, i = [], [], 0
    while i < len(toks):
        if toks[i].text == "{":
            end = skip_group(toks, i)
            name = function_name(head)
            if name:
                lines = toks[end - 1].line - toks[i].line + 1
                found.append(Function(name, head[0].line, lines, measure(toks, i, 0)[1]))
                head = []
            i = end
            continue
        if toks[i].text == ";":
            head = []
        else:
            head.append(toks[i])
        i += 1
    return found
