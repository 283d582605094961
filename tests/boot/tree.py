"""A small Debian with systemd, made once by debootstrap and kept; each test run boots a copy of it."""

import os
import pathlib
import subprocess

# Of the distribution that the packages are built for.
SUITE = "bookworm"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
# What boots, what the packages depend on, and what the tests use inside.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "libpam-systemd", "init-system-helpers", "python3",
            "libinih1", "liblmdb0", "libuv1")
KEPT = pathlib.Path("/var/tmp") / f"brine-boot-{SUITE}-{os.geteuid()}"


class CannotMake(Exception):
    """There is no such Debian to be had here, and why is in the text."""


def make(folder):
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(folder), MIRROR]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        log = folder / "debootstrap/debootstrap.log"
        raise CannotMake(f"debootstrap failed: {result.stdout[-2000:]}\n"
                         f"{log.read_text()[-2000:] if log.exists() else ''}")


def kept():
    """The path of the tree, made now if there is none of these packages."""
    mark = KEPT / "tree.packages"
    wanted = " ".join((*PACKAGES, MIRROR))
    if mark.exists() and mark.read_text() == wanted:
        return KEPT / "tree"
    # A debootstrap that was broken off may have left something of the host mounted in there.
    subprocess.run(["rm", "-rf", "--one-file-system", str(KEPT)], check=True)
    KEPT.mkdir(mode=0o700)
    make(KEPT / "tree")
    mark.write_text(wanted)
    return KEPT / "tree"


def copy(folder):
    subprocess.run(["cp", "-a", str(kept()), str(folder)], check=True)
