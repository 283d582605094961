"""Clients that keep to the protocol and think of nobody else: the others do not notice them."""

import os
import resource
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


def cut_short(peer):
    """Reads the rest of a reply whose preamble was read: the error at the end of its body."""
    header_len, word = struct.unpack("<II", peer.preamble[8:])
    peer.read(header_len)
    while word >> 30 == wire.MORE:
        peer.read(word & (1 << 30) - 1)
        word = struct.unpack("<I", peer.read(4))[0]
    return word & 255 if word >> 30 == wire.ABORT else None


def test_a_slow_reader_of_deleted_values_does_not_hold_up_who_needs_their_room(daemon):
    peer, other = daemon.peer(), daemon.peer()
    readers = []
    for number in range(3):
        key = {"KEY": b"slow%d" % number}
        assert peer.ask("PUT", key, bytes(15 * MIB)).kind == wire.REPLY
        readers.append(daemon.peer())
        readers[-1].send(wire.Frame("GET", 1, key).encode())
        readers[-1].preamble = readers[-1].read(16)
        readers[-1].next_id = 2
        assert peer.ask("DELETE", key).named == {"STATUS": 0}
    # None of them reads any further, and 45 of 60 MiB are theirs.
    fill(other, 70)

    def made_room():
        fill(other, 1)
        now = figures(other)
        return now["used_bytes"] <= now["limit_bytes"] and now["reclaimable_bytes"] < 15 * MIB

    wait_until(made_room, "deleted values are kept for those who read them, and nobody else has room")
    # The readers are told, and their connections go on.
    for reader in readers:
        assert cut_short(reader) == wire.ERRORS["BUSY"]
        assert reader.ask("PING").kind == wire.REPLY


def drained(peer):
    """Throws away what it is sent, until it is sent nothing for a moment."""
    peer.sock.setblocking(False)
    try:
        while peer.sock.recv(1 << 20):
            pass
    except BlockingIOError:
        pass
    peer.sock.settimeout(peers.HUNG)


def test_thousands_who_wait_for_a_lease_do_not_make_the_daemon_busy_for_others(daemon):
    holder, crowd, other = daemon.peer(), daemon.peer(), daemon.peer()
    lease = {"KEY": b"computed", "LEASE": 1}
    assert "TOKEN" in holder.ask("GET", lease).named
    for _ in range(20):
        crowd.send(b"".join(wire.Frame("GET", crowd.next_id + number, lease).encode() for number in range(1000)))
        crowd.next_id += 1000
        drained(crowd)
    wait_until(lambda: figures(other)["parked_requests"] > 5000, "they do not wait")
    assert other.ask("PUT", {"KEY": b"k", "ACK": 2}, b"x").kind == wire.REPLY


def test_many_greedy_connections_do_not_make_the_daemon_busy_for_others(daemon):
    greedy, other = [daemon.peer() for _ in range(8)], daemon.peer()
    for peer in greedy:
        peer.frames = b"".join(wire.Frame("PUT", peer.next_id + number, {"KEY": b"g%d" % number, "ACK": 2}, b"x").encode()
                               for number in range(4000))
        peer.sock.setblocking(False)
    busy, most = 0, 0
    for round_ in range(40):
        for peer in greedy:
            try:
                peer.frames = peer.frames[peer.sock.send(peer.frames):]
            except BlockingIOError:
                pass
        busy += other.ask("PUT", {"KEY": b"other"}, b"x").kind == wire.ERROR
        most = max(most, figures(other)["parked_requests"])
    assert not busy and figures(other)["refused_busy"] == 0


@pytest.mark.skipif(bool(peers.KEPT), reason="a sanitizer does not live without memory")
@pytest.mark.parametrize("spare", [0, 4 * MIB])
def test_without_memory_requests_are_refused_and_the_daemon_goes_on(daemon, spare):
    def limit(bytes_):
        resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (bytes_, resource.RLIM_INFINITY))

    with open(f"/proc/{daemon.process.pid}/statm") as statm:
        limit(int(statm.read().split()[0]) * resource.getpagesize() + spare)
    peer, stored = None, {}
    for number in range(45):
        key, value = b"m%d" % number, os.urandom([100, 60_000, 900_000][number % 3])
        try:
            peer = peer or daemon.peer()
            reply = peer.ask("PUT", {"KEY": key, "ACK": 2 if number % 10 == 0 else 1}, value)
        except (OSError, AssertionError):  # closed: there is no memory for the request, or for the connection
            peer = None
            continue
        if reply.kind == wire.REPLY:
            stored[key] = value
        else:
            assert reply.named["ERROR"] in (wire.ERRORS["NO_MEMORY"], wire.ERRORS["BUSY"]), reply
    limit(resource.RLIM_INFINITY)
    daemon.alive()
    peer = daemon.peer()
    assert peer.ask("PUT", {"KEY": b"after", "ACK": 2}, b"x").kind == wire.REPLY
    for key, value in stored.items():
        reply = peer.ask("GET", {"KEY": key})
        assert reply.body in (value, None), key
