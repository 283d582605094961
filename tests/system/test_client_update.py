"""A client of a newer release than its daemon's: libbrine replaces what a client started, once, and nothing else.

The daemons of other releases are ours but for the number that they say: build/releases. The newer one here is
build/brined, and the older client is libbrine beside a daemon of release 9."""

import ctypes
import os
import signal
import socket
import struct
import threading
import time
import traceback

import pytest

import harness
from clibrary import Handle, byref, library, u32, u64  # noqa: F401
from clibrary import struct as c_struct
from test_library_daemon import IF_ABSENT
from test_making_room import NEWER, NEWER_NUMBER, OLDER, OLDER_NUMBER, SELF

BrineDaemon = c_struct("BrineDaemon", ("max_value", u64), ("epoch", u64), ("release", u32), ("uid", u32),
                       ("server_uid", u32))


class Place:
    """A user's data directory as the environment names it; ends the daemon that serves it last."""

    def __init__(self, folder):
        self.data = folder / "data"
        self.log = self.data / "brined.log"
        self.socket = self.data / "brine.sock"

    def open(self, library, program=harness.BRINED, socket=None, autostart=1):
        names = {"BRINE_DATA": str(self.data), "HOME": str(self.data.parent)}
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            return Handle(library, socket, timeout_ms=10000, autostart=autostart, daemon=str(program).encode())
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    def started(self):
        """How many daemons were started by clients, and how many of them left because they were not wanted."""
        said = self.log.read_text() if self.log.exists() else ""
        return said.count("listening at"), said.count("has its daemon already")

    def end(self):
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.socket))
            except OSError:
                return
            pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


@pytest.fixture
def place(folder):
    place = Place(folder)
    yield place
    place.end()


def release_of(handle):
    daemon, until, never = BrineDaemon(), time.monotonic() + harness.DEADLINE, threading.Event()
    while handle.ping(byref(daemon)) != 0:
        # A client waits a second at most for one that is being started, which a busy machine may take longer for.
        assert "does not answer yet" in handle.message() and time.monotonic() < until, handle.message()
        never.wait(0.01)
    return daemon.release


def work_until(handle, release, name):
    """Puts and gets until the daemon is of that release. Returns what failed."""
    failures, number = [], 0
    until = time.monotonic() + harness.DEADLINE
    while not failures and release_of(handle) != release:
        assert time.monotonic() < until
        number += 1
        key, value = b"%s:%d" % (name, number), b"%d" % number
        results = [handle.write(key, value, condition=IF_ABSENT)[0], handle.write(name, value)[0]]
        got = handle.read(name)
        if results != [0, 0] or isinstance(got, int) or got[0] != value:
            failures.append((number, results, got, handle.message()))
    return failures


def test_a_newer_client_replaces_the_daemon_that_an_older_one_started(library, make_daemon, place):
    old = make_daemon("--automatic", program=OLDER)
    handle = place.open(library)
    assert handle.write(b"k", b"v")[0] == 0, handle.message()
    assert work_until(handle, SELF, b"name") == []
    assert old.wait() == 0
    assert handle.read(b"k")[0] == b"v"
    assert handle.read(b"name:1") == 1 or handle.read(b"name:1")[0] == b"1"
    assert place.started() == (1, 0)
    handle.close()


def test_fifty_newer_clients_at_once_end_with_one_newer_daemon_and_no_failed_call(library, make_daemon, place):
    old = make_daemon("--automatic", program=OLDER)
    ready, go = os.pipe()
    children = []
    for number in range(50):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(go)
                os.read(ready, 1)
                handle = place.open(library)
                failures = work_until(handle, SELF, b"client %d" % number)
                if failures:
                    print(failures, flush=True)
                status = bool(failures)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    os.close(ready)
    os.close(go)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 50
    assert old.wait() == 0
    assert place.started()[0] == 1
    with harness.Client(place.socket) as client:
        assert client.hello.release == SELF


def keeps(library, place, release, tries, **options):
    """The daemon stays through some calls of two handles; so often one was started for nothing."""
    for _ in range(2):
        handle = place.open(library, **options)
        for number in range(20):
            assert handle.write(b"k", b"%d" % number)[0] == 0, handle.message()
            assert handle.read(b"k")[0] == b"%d" % number, handle.message()
        assert release_of(handle) == release
        handle.close()
    until = time.monotonic() + harness.DEADLINE
    while place.started() != (0, tries):
        assert time.monotonic() < until, place.started()
        time.sleep(0.005)
    with harness.Client(place.socket) as client:
        assert client.hello.release == release


def test_an_older_client_never_displaces_a_newer_daemon(library, make_daemon, place):
    make_daemon("--automatic", program=NEWER)
    keeps(library, place, NEWER_NUMBER, 0)


def test_a_client_that_may_not_start_a_daemon_displaces_none(library, make_daemon, place):
    make_daemon("--automatic", program=OLDER)
    keeps(library, place, OLDER_NUMBER, 0, autostart=0)


def test_a_daemon_at_a_socket_that_was_named_is_not_displaced(library, make_daemon, place):
    make_daemon("--automatic", program=OLDER)
    keeps(library, place, OLDER_NUMBER, 0, socket=place.socket)


def test_a_daemon_that_its_user_started_is_not_displaced(library, make_daemon, place):
    make_daemon(program=OLDER)
    keeps(library, place, OLDER_NUMBER, 0)


def test_a_newer_library_with_an_older_program_tries_once_and_displaces_nothing(library, make_daemon, place):
    make_daemon("--automatic", program=OLDER)
    keeps(library, place, OLDER_NUMBER, 2, program=OLDER)


def test_a_newer_program_that_cannot_start_displaces_nothing(library, make_daemon, place, folder):
    make_daemon("--automatic", program=OLDER)
    broken = folder / "broken"
    broken.write_text("#!/bin/sh\necho no libuv >&2\nexit 127\n")
    broken.chmod(0o700)
    keeps(library, place, OLDER_NUMBER, 0, program=broken)
    assert place.log.read_text().count("no libuv") == 2
