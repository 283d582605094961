import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


@pytest.fixture
def folder():
    with harness.private_folder() as path:
        yield path


@pytest.fixture
def make_daemon(folder):
    """Starts daemons on the test's folder: make_daemon("--set", "name=value", env={})."""
    daemons = []

    def make(*arguments, start=True, **options):
        daemon = harness.Daemon(folder, *arguments, **options)
        daemons.append(daemon)
        return daemon.start() if start else daemon

    yield make
    for daemon in daemons:
        daemon.kill()
    for daemon in daemons:
        if daemon.process and daemon.process.returncode not in (0, -9):
            print(daemon.log())


@pytest.fixture
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def client(daemon):
    with daemon.client() as client:
        yield client
