"""Builds the wheel with the Makefile: one for all CPython from 3.11 on, and nothing to install beside it.

The package goes where packages go; brined and brine go into bin/, where the package finds the daemon, and a shell
the command line. Their C libraries are linked in, so the machine that runs them needs only its C library.
"""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent
BUILD = "build/wheel"
SCRATCH = f"{BUILD}/setuptools"
LICENSES = f"{SCRATCH}/licenses"
PROGRAMS = ("brined", "brine")
# Of what is linked in, each under a licence that wants to come along.
LINKED = ("libuv1-dev", "liblmdb-dev", "libinih-dev", "libmsgpack-dev", "libxxhash-dev")


def version():
    return re.search(r"^VERSION\s*=\s*(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


def wheel_platform():
    """What is built here runs with this C library and any later one (PEP 600)."""
    library, release = platform.libc_ver()
    assert library == "glibc", "on another C library than glibc nothing has been tried"
    return f"manylinux_{release.replace('.', '_')}_{platform.machine()}"


def gather_licenses():
    folder = ROOT / LICENSES
    folder.mkdir(parents=True, exist_ok=True)
    for package in LINKED:
        notice = pathlib.Path("/usr/share/doc", package, "copyright")
        if not notice.exists():
            raise SystemExit(f"{notice}: not there; it belongs into the wheel. `make deps` installs {package}")
        shutil.copyfile(notice, folder / f"{package.removesuffix('-dev')}.txt")


class MakePackage(build_py):
    def run(self):
        jobs = len(os.sched_getaffinity(0))
        subprocess.run(["make", f"-j{jobs}", f"BUILD={BUILD}", f"PYTHON={sys.executable}", "STATIC=1", "all"], cwd=ROOT, check=True)
        built = ROOT / BUILD
        binaries = [built / "python/brine/_brine.abi3.so", *(built / name for name in PROGRAMS)]
        subprocess.run(["strip", *binaries], check=True)
        package = pathlib.Path(self.build_lib) / "brine"
        shutil.rmtree(package, ignore_errors=True)  # what an earlier build left
        shutil.copytree(built / "python/brine", package, ignore=shutil.ignore_patterns("__pycache__"))


class WithPrograms(Distribution):
    def has_ext_modules(self):
        return True  # of one platform, though setuptools compiles nothing itself


gather_licenses()
setup(
    version=version(),
    distclass=WithPrograms,
    packages=["brine"],
    package_dir={"brine": "client/python/brine"},
    data_files=[("bin", [f"{BUILD}/{name}" for name in PROGRAMS])],
    cmdclass={"build_py": MakePackage},
    options={
        "build": {"build_base": SCRATCH},
        "egg_info": {"egg_base": SCRATCH},
        "bdist_wheel": {"py_limited_api": "cp311", "plat_name": wheel_platform()},
    },
)
