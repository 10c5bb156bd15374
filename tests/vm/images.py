# SPDX-License-Identifier: Apache-2.0
"""The pieces of a lab machine. All lie in one folder (build/vm, or $CUSTODY_VM_CACHE to share one
between trees), each in a file whose name holds a digest of what made it. A piece that nobody has
used for a while is removed when another of its kind is made: trees that need different ones leave
each other's alone.

    base-DIGEST.ext4        Debian 12 with systemd and what custody's executables and tests need
    kernel-NAME-DIGEST/     vmlinuz, initrd and modules.ext4 of one packaged kernel
    tree-DIGEST.ext4        a source tree, its build, and custody as "make install" leaves it
"""

import contextlib
import fcntl
import glob
import hashlib
import inspect
import os
import re
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("B", "build"))
SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "kmod", "python3", "iproute2", "procps", "psmisc", "bpftool",
    "openssl", "strace", "curl", "nodejs", "libbpf1", "libseccomp2", "libcap2", "libcap2-bin", "libnl-3-200",
    "libnl-genl-3-200", "libnl-route-3-200", "libnl-idiag-3-200", "libinih1", "libjansson4",
    "libssl3", "libsystemd0",
)
# Nothing starts by itself that a test does not need.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
          "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-timesyncd.service",
          "getty@tty1.service", "getty-static.service", "serial-getty@ttyS0.service",
          "systemd-tmpfiles-clean.timer", "systemd-random-seed.service", "dev-hugepages.mount",
          "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "modprobe@.service",
          "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service", "systemd-logind.service",
          "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-journal-flush.service", "systemd-modules-load.service",
          "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
          "systemd-initctl.socket")
# In this order; a module that is built in is left out.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_blk", "crc16", "crc32c_generic", "mbcache", "jbd2", "ext4")


# Of the build.
BUILT = ("bin", "root", "bpf", "attack")
# Unused for so long, a piece may go: seconds.
KEEP_SYSTEM_S = 14 * 86400
KEEP_TREE_S = 1800


class LabError(Exception):
    """A sentence for whoever runs the lab."""


def run(command, **options):
    """Runs a command quietly; its output is part of the error."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-20:])
        raise LabError("%s: exit status %d\n%s" % (" ".join(command[:6]), done.returncode, last))
    return done.stdout


def cache_folder():
    path = os.environ.get("CUSTODY_VM_CACHE") or os.path.join(BUILD, "vm")
    os.makedirs(path, exist_ok=True)
    return path


def digest_of(*parts):
    """A short name for what these bytes and texts make."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:16]


def source_of(*functions):
    """The text of what makes a piece."""
    return "".join(inspect.getsource(function) for function in functions)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def locked(path):
    """One at a time. Returns at once for the first, waits for the others."""
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def making(folder):
    """One maker of pieces at a time; what one that was killed left half made is removed."""
    with locked(os.path.join(folder, "lock")):
        for path in glob.glob(os.path.join(folder, "making-*")):
            run(["rm", "-rf", "--one-file-system", path])
        yield


def make_ext4(tree, image, spare_mib, label):
    """An ext4 image of a tree, with room to spare."""
    used = int(run(["du", "-s", "--block-size=1M", tree]).split()[0])
    run(["mkfs.ext4", "-q", "-F", "-L", label, "-O", "^has_journal", "-m", "0", "-d", tree, image,
         "%dM" % (used * 5 // 4 + spare_mib)])


def find_piece(path):
    """Is it there? Then it is in use from now on."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return True
    return False


def remove_unused(folder, pattern, keep, age):
    """Removes pieces that nobody has used for `age` seconds. One that a machine has open lives on
    until the machine ends."""
    for path in glob.glob(os.path.join(folder, pattern)):
        if path == keep or time.time() - os.stat(path).st_mtime < age:
            continue
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


# ---- the base system ----

def mirror():
    """Where this host's apt gets the suite from."""
    text = run(["apt-get", "indextargets", "--format", "$(CODENAME) $(CREATED_BY) $(SITE)"])
    for line in text.splitlines():
        codename, _, site = line.split(" ", 2)
        if codename == SUITE:
            return site
    raise LabError("no source of Debian's %s is configured in apt: the lab is made of it" % SUITE)


def configure_base(tree):
    """What makes a debootstrap tree a machine that starts fast and asks nothing."""
    for unit in MASKED:
        path = os.path.join(tree, "etc/systemd/system", unit)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink("/dev/null", path)
    texts = {
        "etc/hostname": "lab\n",
        "etc/hosts": "127.0.0.1 localhost lab\n::1 localhost\n",
        "etc/fstab": "",
        "etc/machine-id": "c0570d9c0570d9c0570d9c0570d9c057\n",
        "etc/systemd/journald.conf": "[Journal]\nStorage=volatile\nForwardToConsole=no\n",
    }
    for name, text in texts.items():
        with open(os.path.join(tree, name), "w", encoding="ascii") as file:
            file.write(text)
    os.makedirs(os.path.join(tree, "custody"))
    os.makedirs(os.path.join(tree, "usr/lib/modules"), exist_ok=True)
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man",
                  "usr/share/locale"):
        shutil.rmtree(os.path.join(tree, waste), ignore_errors=True)
    run(["chroot", tree, "passwd", "-d", "root"])


def base_image(folder, say):
    """The base system's image; makes it where it is missing."""
    key = digest_of(SUITE, repr(PACKAGES), repr(MASKED),
                    source_of(configure_base, base_image, make_ext4))
    image = os.path.join(folder, "base-%s.ext4" % key)
    if find_piece(image):
        return image
    say("making the base system (about a minute, once)")
    with tempfile.TemporaryDirectory(prefix="making-", dir=folder) as work:
        tree = os.path.join(work, "tree")
        # In a mount namespace of its own: what it mounts in the tree goes with it, however it ends.
        run(["unshare", "--mount", "--kill-child", "debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), SUITE, tree,
             mirror()])
        configure_base(tree)
        make_ext4(tree, os.path.join(work, "image"), 384, "lab-base")
        os.rename(os.path.join(work, "image"), image)
    remove_unused(folder, "base-*.ext4", image, KEEP_SYSTEM_S)
    return image


# ---- kernels ----

def list_kernels():
    """name -> (package, tests, all tests, command line), in the order of tests/vm/kernels."""
    kernels = {}
    with open(os.path.join(HERE, "kernels"), encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            words = line.split(None, 4)
            if len(words) < 4 or words[0] in kernels:
                raise LabError("tests/vm/kernels:%d: NAME PACKAGE TESTS ALL-TESTS [COMMAND LINE], each "
                               "name "
                               "once" % number)
            kernels[words[0]] = (*words[1:4], words[4].strip() if len(words) > 4 else "")
    return kernels


def resolve_package(package):
    """(package, version) that a metapackage of the archive stands for."""
    text = run(["apt-cache", "show", "--no-all-versions", package])
    depends = re.search(r"^Depends: (linux-image-\S+) \(= (\S+)\)", text, re.M)
    if depends:
        return depends.group(1), depends.group(2)
    return package, re.search(r"^Version: (\S+)", text, re.M).group(1)


def download_package(package, version, folder):
    """The package's file, from this host's archive; not installed."""
    os.chmod(folder, 0o755)
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root",
               "%s=%s" % (package, version)]
    try:
        run(command, cwd=folder)
    except LabError:
        run(["apt-get", "update", "-q"])
        run(command, cwd=folder)
    return glob.glob(os.path.join(folder, "*.deb"))[0]


def make_initrd(modules, version, image):
    """init, busybox, and the modules that lead to the disks."""
    built_in = read_bytes(os.path.join(modules, version, "modules.builtin")).decode()
    with tempfile.TemporaryDirectory(prefix="initrd-", dir=os.path.dirname(image)) as work:
        for name in ("bin", "modules", "proc", "sys", "dev", "root"):
            os.mkdir(os.path.join(work, name))
        shutil.copy("/bin/busybox", os.path.join(work, "bin/busybox"))
        shutil.copy(os.path.join(HERE, "guest/init"), os.path.join(work, "init"))
        order = []
        for name in MODULES:
            found = glob.glob(os.path.join(modules, version, "kernel/**", name + ".ko*"),
                              recursive=True)
            if not found and "/%s.ko" % name not in built_in:
                raise LabError("kernel %s has no %s" % (version, name))
            if found:
                data = read_bytes(found[0])
                if found[0].endswith(".xz"):
                    data = subprocess.run(["xz", "-dc"], input=data, stdout=subprocess.PIPE,
                                          check=True).stdout
                with open(os.path.join(work, "modules", name + ".ko"), "wb") as file:
                    file.write(data)
                order.append(name + ".ko")
        with open(os.path.join(work, "modules/order"), "w", encoding="ascii") as file:
            file.write("".join(name + "\n" for name in order))
        run(["sh", "-c", "find . | cpio -o -H newc -R 0:0 --quiet >\"$1\"", "sh", image], cwd=work)


def kernel_folder(folder, name, say):
    """The folder with one kernel's pieces; makes it where it is missing."""
    package = list_kernels()[name][0]
    package, version = resolve_package(package)
    key = digest_of(package, version, repr(MODULES), read_bytes(os.path.join(HERE, "guest/init")),
                    source_of(kernel_folder, make_initrd, make_ext4))
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", list_kernels()[name][0])
    place = os.path.join(folder, "kernel-%s-%s" % (stem, key))
    if find_piece(place):
        return place
    say("fetching %s %s" % (package, version))
    with tempfile.TemporaryDirectory(prefix="making-", dir=folder) as work:
        deb = download_package(package, version, work)
        tree = os.path.join(work, "tree")
        run(["dpkg-deb", "-x", deb, tree])
        release = glob.glob(os.path.join(tree, "boot/vmlinuz-*"))[0].split("vmlinuz-", 1)[1]
        run(["depmod", "-b", tree, release])
        modules = os.path.join(tree, "lib/modules")
        made = os.path.join(work, "made")
        os.mkdir(made)
        shutil.copy(os.path.join(tree, "boot/vmlinuz-" + release), os.path.join(made, "vmlinuz"))
        make_initrd(modules, release, os.path.join(made, "initrd"))
        make_ext4(modules, os.path.join(made, "modules.ext4"), 16, "lab-modules")
        with open(os.path.join(made, "package"), "w", encoding="ascii") as file:
            file.write("%s %s %s\n" % (package, version, release))
        os.rename(made, place)
        os.utime(place)
    remove_unused(folder, "kernel-*", place, KEEP_SYSTEM_S)
    return place


# ---- the tree ----

def build_tree():
    """What the machines run is built; more than one machine may ask for it at a time."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL",
                                                                     "MFLAGS")}
    os.makedirs(BUILD, exist_ok=True)
    with locked(os.path.join(BUILD, "lab.lock")):
        run(["make", "-C", TOP, "--no-print-directory", "-j%d" % (os.cpu_count() or 1), "all",
             "root"], env=environment)


def tree_files():
    """What of this tree is in the image, as (path in TOP or BUILD's, stat), sorted."""
    found = []
    for folder in [TOP] + [os.path.join(BUILD, name) for name in BUILT]:
        for place, folders, files in os.walk(folder):
            if place == TOP:
                folders[:] = [f for f in folders if f != ".git" and not f.startswith("build")]
                files = [f for f in files if f != ".git"]
            found += [os.path.join(place, name) for name in files]
    return [(path, os.lstat(path)) for path in sorted(found)]


def tree_image(folder):
    """The image of the tree as it is now; the build comes first (build_tree)."""
    facts = ["%s %d %d %o" % (path, stat.st_size, stat.st_mtime_ns, stat.st_mode)
             for path, stat in tree_files()]
    key = digest_of("\n".join(facts), source_of(tree_image, make_ext4))
    image = os.path.join(folder, "tree-%s.ext4" % key)
    if find_piece(image):
        return image
    with tempfile.TemporaryDirectory(prefix="making-", dir=folder) as work:
        stage = os.path.join(work, "stage")
        build = os.path.join(stage, "build")
        os.makedirs(build)
        run(["make", "-C", TOP, "--no-print-directory", "install",
             "DESTDIR=" + os.path.join(build, "install")])
        run(["sh", "-c", "tar -C \"$1\" --exclude=./.git --exclude='./build*' -cf - . | "
             "tar -C \"$2\" --no-same-owner -xf -", "sh", TOP, stage])
        for name in BUILT:
            shutil.copytree(os.path.join(BUILD, name), os.path.join(build, name))
        make_ext4(stage, os.path.join(work, "image"), 64, "lab-tree")
        os.rename(os.path.join(work, "image"), image)
    remove_unused(folder, "tree-*.ext4", image, KEEP_TREE_S)
    return image
