"""Who the daemon believes anybody to be, who may see what, and what one user learns of another: nothing."""

import shutil
import struct

import pytest

import harness
import strangers
from harness import (DELETE, ERROR_KIND, FLUSH, GET, META, PUT, REPLY, SCAN, STATS, SYNC, TOUCH)
from strangers import BATCH, CONFIG, FORBIDDEN, INCR, INVALIDATE, TAKE, needs_uids, serve  # noqa: F401 (a fixture)

pytestmark = needs_uids

ALICE, BOB, OVERFLOW = 61001, 61002, 65534
WHOLE = "         0          0 4294967295\n"


@pytest.fixture
def serve_in(folder):
    """A daemon in the user namespace whose map this is."""
    daemons = []

    def make(uid_map, overflow=OVERFLOW):
        (folder / "map").write_text(uid_map)
        (folder / "overflow").write_text(f"{overflow}\n")
        daemon = strangers.Daemon(folder, "", program=harness.BUILD / "crash/users_main",
                                  env={"BRINE_TEST_UID_MAP": str(folder / "map"),
                                       "BRINE_TEST_OVERFLOW": str(folder / "overflow")})
        daemons.append(daemon)
        return daemon.start()

    yield make
    for daemon in daemons:
        daemon.kill()


def test_where_every_uid_is_itself_everybody_is_served(serve_in):
    daemon = serve_in(WHOLE)
    assert daemon.as_uid(ALICE).hello.uid == ALICE
    assert daemon.client().hello.uid == 0


@pytest.mark.parametrize("uid_map", [
    "0 1000 1\n", "0 0 1\n", "0 100000 65536\n", "0 0 4294967294\n", "0 0 1000\n1000 1000 4294966295\n", "", "x\n"])
def test_in_a_user_namespace_only_the_daemons_own_user_is_served(serve_in, uid_map):
    daemon = serve_in(uid_map)
    refused = daemon.as_uid(ALICE, hello=False).read()  # it does not wait for a HELLO
    assert (refused.kind, refused.error) == (ERROR_KIND, FORBIDDEN)
    assert "user namespace and serves its own user only" in refused.text
    assert daemon.client().hello.kind == REPLY
    assert "only uid 0 is served" in daemon.log() and "PrivateUsers=" in daemon.log()


def test_who_has_no_number_is_refused_and_owns_nothing(serve_in):
    for overflow in (OVERFLOW, 61003):
        daemon = serve_in(WHOLE, overflow)
        refused = daemon.as_uid(overflow, hello=False).read()
        assert (refused.kind, refused.error) == (ERROR_KIND, FORBIDDEN)
        assert "cannot tell this daemon who you are" in refused.text
        daemon.stop()


# ---- administrators

def scopes(client):
    return {scope for scope, _ in client.stats()}


def test_figures_of_others_are_for_administrators(serve):
    daemon = serve("admin_group = 7001\n[namespace /s]\nreaders = *\nwriters = 61001\n"
                   "[namespace /t]\nwriters = 61001\n")
    alice = daemon.as_uid(ALICE)
    for name in ("web", "/s", "/t"):
        alice.put(b"k", b"v", namespace=name)
    bob = daemon.as_uid(BOB)
    bob.put(b"k", b"v", namespace="mine")
    assert scopes(bob) == {"", "mine", "/s"}
    assert {name for scope, name in bob.stats() if not scope} == {"held_bytes", "quota_bytes", "max_value_bytes"}
    assert scopes(alice) == {"", "web", "/s", "/t"}
    for _ in range(50):
        for client, name in ((alice, "/s"), (bob, "mine")):
            client.get(b"k", namespace=name)
    # How long the others' took in a namespace that is shared tells what goes on there.
    assert {scope for scope, name in bob.stats() if name.startswith("latency_")} == {"mine"}
    assert ("/s", "latency_get_p99_ns") in daemon.client().stats()
    for admin in (daemon.client(), daemon.as_uid(BOB, 7001), daemon.as_uid(BOB, 5, (1, 7001))):
        assert {"", f"{ALICE}:web", "/s", "/t"} <= scopes(admin)
        assert ("", "used_bytes") in admin.stats() and ("", "connections") in admin.stats()
    admin = daemon.as_uid(BOB, 7001)
    daemon.reload("admin_group =\n[namespace /s]\nreaders = *\nwriters = 61001\n")
    assert scopes(admin) == {"", "mine", "/s"}
    # An administrator has no right to objects by that.
    assert daemon.client().put(b"k", b"v", namespace="/s").error == FORBIDDEN


def entry(kind, fields, value=b""):
    header = harness.pack_map(fields)
    return struct.pack("<BBHI", kind, 0, len(header), len(value)) + header + value


# Versions, and what is a random number. Times are the same: the daemon's clocks stand still.
MASKED = {"version", "token", "epoch"}


def masked(header):
    """The header's bytes, but for the values of these fields."""
    kept, at = header[:1], 1
    for _ in range(len(harness.unpack_map(header))):
        number, value = harness.unpack(header, at)
        _, end = harness.unpack(header, value)
        kept += header[at:value] + (b"*" if harness.NAMES.get(number) in MASKED else header[value:end])
        at = end
    return kept


def entries(kind, body):
    """What is in a page or in the reply to a batch."""
    at, found = 0, []
    while body and at < len(body):
        if kind == SCAN:
            size, = struct.unpack_from("<H", body, at)
            found.append(body[at:at + 24] + b"*" + body[at + 32:at + size])
        else:
            code, _, head, size = struct.unpack_from("<BBHI", body, at)
            size += 8 + head
            found.append((code, masked(body[at + 8:at + 8 + head]), body[at + 8 + head:at + size]))
        at += size
    return found


def tour(client):
    """Every command, as a stranger might try it; yields the replies, masked."""

    def ask(kind, fields=(), body=None):
        frame = client.call(kind, dict(fields), body)
        held = entries(kind, frame.body) if kind in (SCAN, BATCH) else frame.body
        return kind, frame.kind, masked(frame.header), held

    yield masked(client.hello.header)
    for name in ("default", "web"):
        space = {"namespace": name}
        for number in range(40):
            yield ask(PUT, {"key": b"key %d" % number, **space}, b"v" * (10 + 100 * number))
        yield ask(PUT, {"key": b"large", "tags": b"\x01t", **space}, bytes(300000))
        yield ask(GET, {"key": b"key 7", **space})
        yield ask(GET, {"key": b"secret", **space})
        yield ask(GET, {"key": b"wanted", "lease": 1, **space})
        yield ask(META, {"key": b"large", **space})
        yield ask(DELETE, {"key": b"secret", **space})
        yield ask(DELETE, {"key": b"key 9", **space})
        yield ask(TOUCH, {"key": b"key 8", "ttl": 10**9, **space})
        yield ask(TAKE, {"key": b"key 6", **space})
        yield ask(INCR, {"key": b"count", **space})
        yield ask(INVALIDATE, {"tags": b"\x01t", **space})
        yield ask(BATCH, space, entry(PUT, {"key": b"b"}, b"v") + entry(DELETE, {"key": b"secret"}))
        yield ask(BATCH, space, entry(GET, {"key": b"b"}) + entry(GET, {"key": b"secret"}))
        for fields in ({"limit": 4096}, {"limit": 7}, {"prefix": b"secret"}):
            yield ask(SCAN, {**fields, **space})
        for kind in (strangers.RELEASE, strangers.RESUME):
            yield ask(kind, {"key": b"wanted", "token": bytes(16), "give_up": 1, **space}
                      if kind == strangers.RELEASE else {"key": b"wanted", "token": bytes(16), **space})
    yield ask(PUT, {"key": b"k", "namespace": "/nowhere"}, b"v")
    yield ask(harness.PING)
    yield ask(SYNC)
    yield ask(STATS)
    yield ask(CONFIG)
    for name in ("default", "web"):
        yield ask(FLUSH, {"namespace": name})
        yield ask(SCAN, {"namespace": name})
    yield ask(STATS)


def test_the_tour_leaves_no_command_out():
    class Recorder:
        def __init__(self):
            self.kinds, self.hello = {harness.HELLO}, harness.Frame(REPLY, 0, {}, None, 0)

        def call(self, kind, _fields, _body):
            self.kinds.add(kind)
            return harness.Frame(REPLY, 0, {}, None, 0)

    recorder = Recorder()
    list(tour(recorder))
    assert recorder.kinds == set(range(1, 19))


def fill(client, thousands):
    for name in ("default", "web", "secret"):
        client.put(b"secret", b"s" * 1000, namespace=name)
        client.get(b"wanted", lease=1, namespace=name)
    for number in range(thousands):
        body = b"".join(entry(PUT, {"key": b"secret %d" % (1000 * number + i)}, b"s" * (i % 700)) for i in range(1000))
        assert client.call(BATCH, {}, body).kind == REPLY
    client.call(SYNC)


def test_every_reply_is_the_same_byte_for_byte_whether_another_user_has_nothing_or_much(serve, folder):
    """Two stores with one secret, by which their keys are ordered (copies of an empty one), and one time."""
    (folder / "clock").write_bytes(struct.pack("<qqqq", 10**15, 10**12, 18 * 10**14, 1))
    daemon = serve("", "--set", "max_size=256M", program=harness.BUILD / "crash/clock_main",
                   env={"BRINE_TEST_CLOCK": str(folder / "clock")})
    daemon.stop()
    shutil.copytree(daemon.data, folder / "empty")
    said = []
    for thousands in (0, 100):
        shutil.rmtree(daemon.data)
        shutil.copytree(folder / "empty", daemon.data)
        daemon.start()
        if thousands:
            fill(daemon.as_uid(ALICE), thousands)
        said.append(list(tour(daemon.as_uid(BOB))))
        daemon.stop()
    for alone, beside in zip(*said):
        assert alone == beside
    assert len(said[0]) == len(said[1])


def pages_of_a_scan(serve, thousands):
    """Pages that listing a hundred keys touches beside so many thousand objects of another user; and all pages."""
    daemon = serve("", "--set", "max_size=1G")
    bob = daemon.as_uid(BOB)
    for number in range(100):
        bob.put(b"key %d" % number, b"v" * 100, namespace="web")
    fill(daemon.as_uid(ALICE), thousands)
    daemon.stop()
    path = daemon.data / "v1/data.mdb"
    if not strangers.forget_pages(path):
        pytest.skip("this file system keeps a file in memory that nobody uses")
    daemon.start()
    bob = daemon.as_uid(BOB)
    bob.get(b"absent", namespace="web")
    before = strangers.pages_in_memory(path)
    page = bob.call(SCAN, {"namespace": "web", "limit": 4096})
    assert page.count == 100 and page.cursor is None
    return strangers.pages_in_memory(path) - before, path.stat().st_size // 4096


def test_listing_ones_keys_touches_no_page_of_what_another_has(serve):
    """A hundred records of some 250 bytes are ten leaves and what leads there."""
    touched, there = pages_of_a_scan(serve, 20)
    assert there > 1000 and touched <= 20, (touched, there)
