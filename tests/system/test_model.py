"""Random requests to the real daemon and to a dict: both must give the same answers, also in batches that
leave with one write, and after restarts."""

import concurrent.futures
import os
import random
import threading

import pytest

import model
import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))

KEYS = [b"a", b"ab", b"\0", b"\xf6\x01", b"k" * 1023, wire.encode_key("long" * 500), wire.encode_key((1, None)),
        wire.encode_key("long" * 500 + "er"), "schlüssel".encode(), b"\xf5" + bytes(range(256))]
SIZES = [0, 1, 8, 100, 1900, 2000, 2037, 2038, 4080, 4081, 30000, 65520, 65521, 200000, 1 << 20, (1 << 20) + 1]
# What differs by nature.
TIMES = ("AGE", "TTL_LEFT")


class Caught:
    """Takes the model's reply."""

    def send(self, frame):
        self.frame = frame


class Pair:
    """The real daemon and the model, and which of their versions mean the same."""

    def __init__(self, chance, daemon, spaces=("one", "two", None)):
        self.chance, self.daemon, self.spaces = chance, daemon, spaces
        self.peer = self.daemon.peer()
        self.model = model.Model()
        self.model.max_value = 128 << 20
        self.real = {}  # the model's version: the daemon's

    def restart(self):
        self.daemon.close_peers()
        self.daemon.process.terminate()
        assert self.daemon.process.wait(peers.HUNG) == 0, self.daemon.said()
        self.daemon.restart()
        self.peer = self.daemon.peer()

    def versions(self):
        """One to ask with: of the model and of the daemon."""
        known = self.chance.choice([*list(self.real)[-30:], 1])
        return known, self.real.get(known, 1)

    def request(self, kind, fields, body, segments):
        """Sends to the daemon; returns (id, the model's reply)."""
        theirs, ours = dict(fields), dict(fields)
        for name in ("VERSION", "NOT_VERSION"):
            if name in fields:
                ours[name], theirs[name] = fields[name]
        caught = Caught()
        self.model.answer(caught, wire.Frame(kind, 0, ours, body, segments=segments))
        return wire.Frame(kind, self.peer.next_id, theirs, body, segments=segments), caught.frame

    def run(self, requests):
        """Sends all of them with one write, and compares the answers."""
        expected, data = {}, b""
        for request in requests:
            frame, answer = self.request(*request)
            expected[frame.id] = (request, answer)
            self.peer.next_id += 1
            data += frame.encode()
        # Who does not read while it writes may wait for ever (PROTOCOL.md, "Flow").
        writing = threading.Thread(target=self.peer.send, args=(data,))
        writing.start()
        for _ in requests:
            reply = self.peer.receive()
            assert reply is not None, "the daemon closed the connection:\n" + self.daemon.said()
            self.compare(*expected.pop(reply.id), reply)
        writing.join()

    def compare(self, request, expected, reply):
        said = (request[0], {name: value if name != "KEY" else value[:20] for name, value in request[1].items()})
        assert reply.kind == expected.kind, (said, reply, expected)
        theirs, ours = reply.named, expected.named
        if reply.kind == wire.ERROR:
            # A body that was given up is refused for whatever is noticed first.
            given_up = ours["ERROR"] == wire.ERRORS["ABORTED"]
            assert given_up or theirs["ERROR"] == ours["ERROR"], (said, reply)
            return
        if request[0] == "SCAN":
            self.compare_pages(reply, expected)
            return
        assert {name in theirs for name in TIMES[1:]} == {name in ours for name in TIMES[1:]}, (said, reply, expected)
        if "VERSION" in ours:
            assert self.real.setdefault(ours["VERSION"], theirs["VERSION"]) == theirs["VERSION"], said
        for name in (theirs.keys() | ours.keys()) - {"VERSION", *TIMES}:
            assert theirs.get(name, 0) == ours.get(name, 0), (said, name, reply, expected)
        assert reply.body == expected.body, (said, "the value")

    def compare_pages(self, reply, expected):
        def known(page, versions):
            return sorted((entry["key"], entry["flags"], entry["codec"], entry["length"],
                           versions.get(entry["version"], entry["version"]), entry["ttl_left"] is None)
                          for entry in wire.read_entries(page.body or b""))

        assert "CURSOR" not in reply.named and "CURSOR" not in expected.named
        assert known(reply, {}) == known(expected, self.real)


def random_put(pair, chance):
    fields = {}
    size = chance.choice(SIZES)
    if chance.random() < 0.3:
        fields["TTL"] = chance.choice([3600000, 86400000, 1 << 62, 1 << 63])
    if chance.random() < 0.3:
        fields["CODEC"] = chance.randrange(1 << 32)
    if chance.random() < 0.2:
        fields["COST"] = chance.randrange(1, 1 << 40)
    if chance.random() < 0.1:
        fields["OBJECT_KIND"] = chance.choice([0, 1, 2])
    if chance.random() < 0.1:
        fields["LENGTH"] = chance.choice([size, size, size + 1])
    if chance.random() < 0.1:
        fields["ACK"] = chance.choice([0, 1, 2, 2, 3])
    if chance.random() < 0.4:
        fields["CONDITION"] = chance.choice([0, 1, 2, 3, 3])
        if fields["CONDITION"] == 3:
            fields["VERSION"] = pair.versions()
    value = chance.randbytes(size)
    if chance.random() < 0.7:
        return "PUT", fields, value, None
    cuts = sorted(chance.randrange(size + 1) for _ in range(chance.randrange(4)))
    parts = [value[start:end] for start, end in zip([0, *cuts], [*cuts, size])]
    segments = [(wire.MORE, piece) for part in parts for _, piece in wire.cut(part)]
    last = (wire.LAST, segments.pop()[1]) if chance.random() < 0.9 else (wire.ABORT, 39)
    return "PUT", fields, None, [*segments, last]


def random_request(pair, chance, key):
    kind = chance.choices(["GET", "META", "PUT", "DELETE", "TOUCH"], [30, 5, 40, 10, 8])[0]
    fields, body, segments = {}, None, None
    if kind == "PUT":
        kind, fields, body, segments = random_put(pair, chance)
    elif kind in ("GET", "META"):
        if chance.random() < 0.1:
            fields["NOT_VERSION"] = pair.versions()
        if chance.random() < 0.1:
            fields["MAX_AGE"] = 3600000
        if chance.random() < 0.1:
            fields["REFRESH"] = chance.choice([0, 3600000, 1 << 63])
    elif kind == "DELETE":
        if chance.random() < 0.5:
            fields["VERSION"] = pair.versions()
        fields["ACK"] = chance.choice([1, 1, 1, 2])
    elif chance.random() < 0.7:
        fields["TTL"] = chance.choice([3600000, 86400000, 1 << 63])
    space = chance.choice(pair.spaces)
    return kind, {**fields, **({"NAMESPACE": space} if space else {}), "KEY": key}, body, segments


def everything(pair):
    """All keys and all values, as both have them."""
    for space in pair.spaces:
        name = {"NAMESPACE": space} if space else {}
        pair.run([("SCAN", {**name, "LIMIT": 4096}, None, None)])
        for key in KEYS:
            pair.run([("GET", {**name, "KEY": key}, None, None)])
            pair.run([("META", {**name, "KEY": key}, None, None)])


@pytest.fixture
def daemon():
    daemon = peers.Daemon("max_size=512M")
    yield daemon
    daemon.close()


@pytest.fixture
def chance():
    seed = int(os.environ.get("BRINE_SEED", random.randrange(1 << 32)))
    print(f"BRINE_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def pair(daemon, chance):
    return Pair(chance, daemon)


def test_the_daemon_answers_as_a_dict_would(pair):
    for step in range(1200):
        pair.run([random_request(pair, pair.chance, pair.chance.choice(KEYS))])
        if step % 400 == 399:
            everything(pair)
    space = {"NAMESPACE": "one"}
    pair.run([("FLUSH", space, None, None)])
    everything(pair)


def test_batches_that_leave_with_one_write_are_answered_as_one_by_one(pair):
    """Of one key at most one request in each: another may overtake one that waits for the disk."""
    run_batches(pair, 120)


def run_batches(pair, count):
    for _ in range(count):
        keys = pair.chance.sample(KEYS, pair.chance.randrange(2, len(KEYS)))
        pair.run([random_request(pair, pair.chance, key) for key in keys])
    everything(pair)


def test_clients_at_the_same_time_do_not_meet_in_each_others_namespaces(daemon, chance):
    pairs = [Pair(random.Random(chance.random()), daemon, (f"one-{number}", f"two-{number}"))
             for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        for done in [pool.submit(run_batches, pair, 40) for pair in pairs]:
            done.result()


def test_what_was_acknowledged_is_there_after_a_restart(pair):
    for _ in range(4):
        for _ in range(100):
            pair.run([random_request(pair, pair.chance, pair.chance.choice(KEYS))])
        pair.restart()
        everything(pair)
