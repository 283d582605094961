"""A daemon that a client started makes room for a newer one, and for nothing else.

The daemons of other releases are ours but for the number that they say: build/releases."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import harness
from harness import GOAWAY, HELLO, PING, REPLY, SYNC
from test_daemon_life import LISTEN, another_or_skip

RELEASES = harness.BUILD / "releases"
OLDER, NEWER = RELEASES / "brined-0.0.1", RELEASES / "brined-9.0.0"
OLDER_NUMBER, NEWER_NUMBER = 0x000001, 0x090000
VERSION = re.search(r"^VERSION *= *([0-9.]+)$",
                    (pathlib.Path(__file__).parents[2] / "Makefile").read_text(), re.M).group(1)
SELF = int.from_bytes(map(int, VERSION.split(".")))


def ask(daemon, **fields):
    """A HELLO with these fields: its connection and its answer."""
    client = daemon.client(hello=False)
    return client, client.call(HELLO, fields)


def test_only_a_daemon_that_a_client_started_says_that_it_makes_room(make_daemon):
    daemon = make_daemon("--automatic")
    with daemon.client() as client:
        assert (client.hello.makes_room, client.hello.release) == (1, SELF)
    daemon.stop()
    daemon.arguments.remove("--automatic")
    daemon.start()
    with daemon.client() as client:
        assert client.hello.makes_room is None


def test_a_newer_daemon_gets_the_place_and_what_was_accepted_is_answered(make_daemon):
    daemon = make_daemon("--automatic", "--set", "commit_delay=200ms", "--set", "max_unflushed=5s")
    with daemon.client() as client, daemon.client() as idle:
        client.put(b"k", b"v")
        number = client.send(SYNC)
        client.call(PING)
        waiting, hello = ask(daemon, release=NEWER_NUMBER, successor=NEWER_NUMBER)
        assert (hello.kind, hello.makes_room) == (REPLY, 1)
        away = waiting.read()
        assert (away.kind, away.last_id) == (GOAWAY, 0)
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            daemon.client(hello=False)
        assert idle.read().kind == GOAWAY
        assert client.reply(number).kind == REPLY
        with pytest.raises(harness.Closed):
            client.read()
        waiting.socket.close()
    assert daemon.wait() == 0
    daemon.start()
    with daemon.client() as client:
        assert client.get(b"k").body == b"v"


def test_a_service_manager_s_daemon_takes_the_place_of_any_that_a_client_started(make_daemon, folder):
    newer = make_daemon("--automatic", program=NEWER)
    service = make_daemon(start=False)
    path = folder / "handed.sock"
    service.arguments = ["-c", LISTEN, str(path), str(harness.BRINED), *service.arguments]
    service.program = sys.executable
    with newer.client() as client:
        client.put(b"k", b"v")
        service.start()
        assert client.read().kind == GOAWAY
    assert newer.wait() == 0
    for place in path, service.socket:
        with harness.Client(place) as client:
            assert client.hello.makes_room is None
            assert client.get(b"k").body == b"v"


@pytest.mark.parametrize("automatic, fields", [
    (True, {"release": NEWER_NUMBER}),
    (True, {"release": SELF, "successor": SELF}),
    (True, {"release": OLDER_NUMBER, "successor": OLDER_NUMBER}),
    (True, {"successor": 0}),
    (True, {"successor": 2**64 - 1}),
    (False, {"release": NEWER_NUMBER, "successor": NEWER_NUMBER}),
], ids=["a_newer_client", "the_same", "an_older", "none", "no_release", "started_by_hand"])
def test_a_daemon_stays_for_anything_else(make_daemon, automatic, fields):
    daemon = make_daemon(*["--automatic"] * automatic)
    client, hello = ask(daemon, **fields)
    assert hello.kind == REPLY
    assert client.call(PING).kind == REPLY
    with daemon.client() as other:
        assert other.call(PING).kind == REPLY
    assert client.goaway is None
    client.socket.close()


AS_ANOTHER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import harness
os.setgroups([]); os.setgid({0}); os.setuid({0})
client = harness.Client("open.sock", hello=False)
assert client.call(harness.HELLO, {{"release": {1}, "successor": {1}}}).kind == harness.REPLY
assert client.call(harness.PING).kind == harness.REPLY
"""


def test_a_daemon_stays_when_another_user_asks(make_daemon, folder):
    uid = another_or_skip()
    daemon = make_daemon("--automatic", "--socket", str(folder / "open.sock"))
    folder.chmod(0o711)
    (folder / "open.sock").chmod(0o666)
    subprocess.run([sys.executable, "-c", AS_ANOTHER.format(uid, NEWER_NUMBER),
                    str(pathlib.Path(__file__).parent)],
                   cwd=folder, check=True, timeout=harness.DEADLINE)
    with daemon.client() as client:
        assert client.call(PING).kind == REPLY


@pytest.mark.parametrize("path_length", ["short", "long"])
def test_a_newer_daemon_takes_over_with_all_that_is_stored(make_daemon, folder, path_length):
    data = folder / "data" if path_length == "short" else folder / ("d" * 100) / ("e" * 100)
    old = make_daemon("--automatic", "--data", str(data), data=False)
    handle = os.open(data, os.O_PATH)
    socket = f"/proc/self/fd/{handle}/brine.sock"
    with harness.Client(socket) as client:
        client.put(b"k", b"v")
    new = make_daemon("--automatic", "--data", str(data), data=False, program=NEWER)
    assert old.process.wait(harness.DEADLINE) == 0
    with harness.Client(socket) as client:
        assert (client.hello.release, client.hello.makes_room) == (NEWER_NUMBER, 1)
        assert client.get(b"k").body == b"v"
    os.close(handle)
    assert new.stop() == 0


@pytest.mark.parametrize("program, old", [(OLDER, "--automatic"), (None, "--automatic"), (NEWER, None)],
                         ids=["an_older", "the_same", "one_that_its_user_started"])
def test_whoever_is_not_given_the_place_leaves_quietly(make_daemon, program, old):
    daemon = make_daemon(*[old] * bool(old))
    with daemon.client() as client:
        late = subprocess.run([str(program or harness.BRINED), "--automatic", "--data", str(daemon.data)],
                              capture_output=True, text=True, timeout=harness.DEADLINE, check=False)
        assert (late.returncode, "has its daemon already" in late.stderr) == (0, True), late.stderr
        assert client.call(PING).kind == REPLY
        assert client.goaway is None


def test_a_newer_daemon_waits_for_one_that_leaves_slowly(make_daemon):
    """The old one has a client that takes nothing, and waits for it."""
    old = make_daemon("--automatic")
    with old.client() as client:
        client.put(b"big", os.urandom(1 << 20))
        for _ in range(5):
            client.send(harness.GET, {"key": b"big"})
        with old.client() as other:
            other.call(PING)
        make_daemon("--automatic", program=NEWER)
        assert old.process.wait(harness.DEADLINE) == 0
    with old.client() as client:
        assert client.hello.release == NEWER_NUMBER


def test_what_a_client_started_leaves_after_a_while_unless_the_configuration_says_how_long(make_daemon, folder):
    (folder / ".config/brine").mkdir(parents=True)
    (folder / ".config/brine/brined.conf").write_text("idle_exit = 1s\n")
    daemon = make_daemon("--automatic")
    assert daemon.wait() == 0
    assert "idle_exit" in daemon.log()
