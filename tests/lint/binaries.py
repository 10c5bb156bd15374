# SPDX-License-Identifier: Apache-2.0
"""The rules about what was built. Like rules.py; they look into the build directory of a tree
(build/, or what B names).
"""

import glob
import os
import re
import subprocess

# executable: prefixes of symbols it must not hold, each with the reason
FORBIDDEN = {
    "custodyd": {"ini_": "custodyd parses no text", "json_": "custodyd parses no text"},
    "custody-front": {"json_": "the front parses no text", "bpf_": "front has no kernel policy", "libbpf_": "front has no kernel policy",
                      "ini_": "only the planner parses profiles"},
    "custody-planner": {"bpf_": "the planner has no kernel policy",
                        "libbpf_": "the planner has no kernel policy"},
    "custody-jail": {"json_": "the jail parses no text", "bpf_": "the jail has no kernel policy", "libbpf_": "the jail has no kernel policy",
                     "ini_": "only the planner parses profiles"},
    "custody-broker": {"json_": "the broker parses no text", "bpf_": "the broker has no kernel policy",
                       "libbpf_": "the broker has no kernel policy",
                       "ini_": "only the planner parses profiles"},
    "custody-sweeper": {"json_": "the sweeper parses no text", "bpf_": "the sweeper has no kernel policy",
                        "libbpf_": "the sweeper has no kernel policy",
                        "ini_": "only the planner parses profiles"},
    "custody-resolver": {"json_": "the resolver parses no text", "bpf_": "the resolver has no kernel policy",
                         "libbpf_": "the resolver has no kernel policy",
                         "ini_": "only the planner parses profiles"},
    "custody-measurer": {"bpf_": "the measurer has no kernel policy",
                         "libbpf_": "the measurer has no kernel policy",
                         "ini_": "only the planner parses profiles"},
    "custody-recorder": {"ini_": "only the planner parses profiles"},
    "custodyctl": {"ini_": "only the planner parses profiles"},
    "custody-verify": {"bpf_": "the verifier needs no host", "libbpf_": "the verifier needs no host",
                       "ini_": "only the planner parses profiles"},
}
# libraries whose presence alone would carry such symbols in
LIBRARIES = {"bpf_": "libbpf.so", "ini_": "libinih.so", "json_": "libjansson.so"}


def build_of(root):
    return os.path.join(root, os.environ.get("B", "build"))


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def executables(root):
    return sorted(f for f in glob.glob(os.path.join(build_of(root), "bin", "*")) if os.access(f, os.X_OK))


def symbols(path):
    """Every symbol, imported or its own; stripped executables still show what they import."""
    lines = tool("nm", "-D", path) + tool("nm", path)
    return {line.split()[-1].split("@")[0] for line in lines.splitlines() if line.strip()}


def links(root):
    """An executable holds only what its role may: see FORBIDDEN."""
    problems = []
    for path in executables(root):
        name, held = os.path.basename(path), None
        for prefix, reason in FORBIDDEN.get(name, {}).items():
            held = held if held is not None else symbols(path)
            found = sorted(s for s in held if s.startswith(prefix))
            if found:
                problems.append("%s holds %s: %s" % (name, ", ".join(found[:5]), reason))
            library = LIBRARIES.get(prefix)
            if library and library in tool("readelf", "-dW", path):
                problems.append("%s is linked with %s: %s" % (name, library, reason))
    return problems or ([] if executables(root) else ["nothing was built"])


def hardening(root):
    """Position-independent, full RELRO, stack protector, no executable stack."""
    problems = []
    for path in executables(root):
        name = os.path.basename(path)
        dynamic, segments = tool("readelf", "-dW", path), tool("readelf", "-lW", path)
        if "DYN " not in tool("readelf", "-hW", path):
            problems.append("%s is not position-independent" % name)
        if "GNU_RELRO" not in segments or not re.search(r"BIND_NOW|FLAGS_1.*NOW", dynamic):
            problems.append("%s has no full RELRO" % name)
        if not re.search(r"GNU_STACK\s+.*\sRW\s", segments):
            problems.append("%s has an executable stack" % name)
        if "__stack_chk_fail" not in symbols(path):
            problems.append("%s has no stack protector" % name)
    return problems or ([] if executables(root) else ["nothing was built"])


def globals_(root):
    """No variable that outlives a call, but the log's and options' (log_, arg_) and main()'s own."""
    problems = []
    pattern = re.compile(r"^\S+ .{7} (\.bss\S*|\.data(?!\.rel\.ro)\S*)\t[0-9a-f]+ +(?:\.hidden )?(\S+)$")
    objects = sorted(glob.glob(os.path.join(build_of(root), "obj", "daemon", "*", "*.o"))
                     + glob.glob(os.path.join(build_of(root), "obj", "tools", "*", "*.o")))
    for path in objects:
        for line in tool("objdump", "-t", path).splitlines():
            match = pattern.match(line)
            if not match or " O " not in line:
                continue
            symbol = match.group(2)
            # "name.0" is a static inside a function: in main.c, the context handed down from main().
            of_main = path.endswith("/main.o") and re.search(r"\.\d+$", symbol)
            if not symbol.startswith(("log_", "arg_")) and not of_main:
                problems.append("%s: %s" % (os.path.relpath(path, build_of(root)), symbol))
    return problems


def shipped_profiles(root):
    """custody-planner accepts every profile that is shipped."""
    planner, problems = os.path.join(build_of(root), "bin", "custody-planner"), []
    profiles = sorted(glob.glob(os.path.join(root, "profiles", "*.ini")))
    if not profiles:
        return ["profiles/ holds no profile"]
    for path in profiles:
        try:
            done = subprocess.run([planner, "--check", path], capture_output=True, text=True,
                                  check=False, timeout=30)
        except OSError as error:
            return ["%s: %s" % (planner, error)]
        if done.returncode != 0:
            problems.append("%s: %s" % (os.path.relpath(path, root), done.stderr.strip()))
    return problems
