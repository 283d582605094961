"""Clients that keep to the protocol and think of nobody else: the others do not notice them."""

import os
import struct
import time

import pytest

import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))

MIB = 1 << 20


@pytest.fixture
def daemon(request):
    daemon = peers.Daemon(*getattr(request, "param", ()))
    yield daemon
    daemon.close()


def figures(peer):
    lines = (line.split("\t") for line in peer.ask("STATS").body.decode().splitlines())
    return {name: int(value) for scope, name, value in lines if not scope and value.isdigit()}


def wait_until(holds, otherwise):
    """The writer's own doing: there is no event to wait for from outside."""
    deadline = time.monotonic() + peers.HUNG
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def fill(peer, mebibytes, prefix=b"fill"):
    for number in range(mebibytes):
        assert peer.ask("PUT", {"KEY": prefix + b"%d" % number}, os.urandom(900_000)).kind == wire.REPLY


def test_a_value_that_never_ends_is_made_room_for_like_any_other(daemon):
    peer = daemon.peer()
    fill(peer, 70)
    endless = daemon.peer()
    endless.send(wire.Frame("PUT", 1, {"KEY": b"endless"}, segments=[(wire.MORE, bytes(MIB))]).encode())
    for _ in range(14):
        endless.send(struct.pack("<I", wire.MORE << 30 | MIB) + bytes(MIB))

    def made_room():
        now = figures(peer)
        return now["reclaimable_bytes"] > 12 * MIB and now["used_bytes"] <= now["limit_bytes"]

    wait_until(made_room, "the store stays above its limit while a value arrives")
