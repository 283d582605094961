"""Private daemons and a private environment for each test: nothing of the caller's own cache is touched."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import hypothesis
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", ROOT / "build"))
sys.path[:0] = [str(BUILD / "python"), str(ROOT / "tests/python"), str(ROOT / "tests/system")]

import brine  # noqa: E402
import harness  # noqa: E402
from brine import _errors  # noqa: E402
from played import PlayedDaemon  # noqa: E402
from private import Daemon  # noqa: E402

# The same examples every time, and nothing that depends on how busy the machine is.
hypothesis.settings.register_profile("check", hypothesis.settings(
    derandomize=True, deadline=None, database=None, max_examples=60,
    suppress_health_check=list(hypothesis.HealthCheck)))
hypothesis.settings.load_profile("check")


@pytest.fixture
def folder():
    """Short enough for a socket's path, whatever the test is called."""
    path = tempfile.mkdtemp(prefix="brine-py-")
    yield pathlib.Path(path)
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def private_environment(monkeypatch, folder):
    for name in list(os.environ):
        if name.startswith(("BRINE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("BRINE_AUTOSTART", "0")
    monkeypatch.setenv("PYTHONPATH", str(BUILD / "python"))
    _errors._said.clear()


@pytest.fixture
def daemon(folder):
    daemon = Daemon(folder).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def cache(daemon):
    with brine.Cache(socket=daemon.socket, timeout=harness.DEADLINE) as cache:
        yield cache


@pytest.fixture
def played(folder):
    played = PlayedDaemon(folder / "played.sock")
    yield played
    played.close()


@pytest.fixture
def played_cache(played):
    with brine.Cache(socket=played.path, timeout=harness.DEADLINE) as cache:
        yield cache


class Run:
    """A finished Python program."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


@pytest.fixture
def run_python(folder):
    """run_python(source, *args, name=..., **environment) runs it as a script in a process of its own."""
    def run(source, *args, name="script.py", check=True, **environment):
        script = folder / name
        script.write_text(source)
        done = subprocess.run([sys.executable, script, *args], env=dict(os.environ, **environment),
                              capture_output=True, text=True, timeout=harness.DEADLINE)
        assert not check or done.returncode == 0, done.stderr
        return Run(done)
    return run
