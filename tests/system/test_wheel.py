"""The wheel: one file from which the package, the daemon and the command line run."""

import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

import harness
from brine_command import end, peer_pid

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = re.compile(r"brine_cache-[\d.]+-cp311-abi3-manylinux_\d+_\d+_\w+\.whl")
C_LIBRARY = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
PROGRAM = """
import brine, os, sys
cache = brine.Cache(on_error="raise", timeout=20)
cache["from the wheel"] = {"hello": "world"}
assert cache["from the wheel"] == {"hello": "world"}
print(cache._where())
"""

pytestmark = pytest.mark.skipif("asan" in str(harness.BUILD) or "tsan" in str(harness.BUILD),
                                reason="a sanitizer's run builds no wheel of its own")


def pip(*arguments):
    result = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], cwd=ROOT,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", str(folder), ".")
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-index", "--target", str(folder), str(wheel))
    return folder


def test_one_wheel_serves_every_later_python(wheel):
    assert NAME.fullmatch(wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    assert {"brine/py.typed", "brine/_brine.pyi", "brine/_brine.abi3.so"} <= set(names)
    for library in ("libuv1", "liblmdb", "libinih", "libmsgpack", "libxxhash"):
        assert any(name.endswith(f"dist-info/{library}.txt") for name in names), "its licence comes along"


def test_what_the_wheel_installs_needs_the_c_library_alone(installed):
    for binary in ("bin/brined", "bin/brine", "brine/_brine.abi3.so"):
        told = subprocess.run(["readelf", "-d", installed / binary], capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"NEEDED.*\[(.*)\]", told)) <= C_LIBRARY, binary


def test_a_program_and_a_shell_share_what_the_wheels_daemon_keeps(installed, tmp_path):
    data = tmp_path / "data"
    env = {"HOME": str(tmp_path), "BRINE_DATA": str(data), "PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    program = [sys.executable, "-c", PROGRAM]
    for _ in range(30):  # a busy machine takes longer than the second for which the first call waits
        result = subprocess.run(program, env=env, capture_output=True, text=True, cwd="/")
        if "does not answer yet" not in result.stderr:
            break
    assert result.returncode == 0, result.stderr
    daemon = peer_pid(data / "brine.sock")
    try:
        assert os.readlink(f"/proc/{daemon}/exe") == str(installed / "bin/brined")
        keys = subprocess.run([installed / "bin/brine", "keys"], env=env, capture_output=True, text=True, cwd="/")
        assert (keys.returncode, keys.stdout) == (0, "from the wheel\n"), keys.stderr
    finally:
        end(daemon)
