"""The packages that `make deb` built, and a later release of the daemon's, rebuilt with another program in it."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", "build")).resolve()
# Says it is of release 9.0.0.
LATER_PROGRAM = BUILD / "releases/brined-9.0.0"
LATER = "9.0.0-1"


def built():
    found = [path for path in sorted((BUILD / "deb").glob("*.deb")) if "-dbgsym" not in path.name]
    assert found, "no packages: make deb"
    return found


def unpack(package, folder):
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(folder)], check=True)


def rebuild(package, to):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "package"
        unpack(package, folder)
        control = folder / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*$", f"Version: {LATER}", control.read_text(), flags=re.MULTILINE))
        shutil.copy(LATER_PROGRAM, folder / "usr/bin/brined")
        os.chmod(folder / "usr/bin/brined", 0o755)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(folder), str(to)], check=True,
                       stdout=subprocess.DEVNULL)


def put(folder):
    """All of them into folder/now, and the later daemon into folder/later."""
    (folder / "now").mkdir()
    (folder / "later").mkdir()
    for package in built():
        shutil.copy(package, folder / "now")
    daemon, = (path for path in built() if path.name.startswith("brined_"))
    rebuild(daemon, folder / "later/brined.deb")
