"""Older and newer neighbours: our client beside daemons of other releases, our daemon beside clients of
other releases. The neighbours are plain Python that knows PROTOCOL.md and nothing of our code."""

import os
import subprocess

import pytest

import model
import peers
import wire

no_client = pytest.mark.skipif(bool(peers.missing("brine")), reason=str(peers.missing("brine")))
no_daemon = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))

HIT, MISS, USAGE, UNREACHABLE, REFUSED, OTHER = range(6)


class Client:
    """build/brine at a fake daemon's socket."""

    def __init__(self, answer):
        self.daemon = peers.FakeDaemon(answer)

    def __call__(self, *words, given=b"", status=HIT):
        """Runs the command; status is what it must end with (one, or several). Returns its output."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("BRINE_", "LD_PRELOAD"))}
        done = subprocess.run([peers.BUILD / "brine", "--socket", self.daemon.socket, *words], input=given,
                              env=env, capture_output=True, timeout=peers.HUNG)
        self.said = done.stderr.decode()
        expected = (status,) if isinstance(status, int) else status
        assert done.returncode in expected, (words, done.returncode, self.said)
        assert "assert" not in self.said and "Sanitizer" not in self.said
        return done.stdout

    def close(self):
        self.daemon.close()


@pytest.fixture
def client():
    """client(answer) or client() for one beside a plain daemon."""
    made = []

    def make(answer=None):
        made.append(Client(answer or model.Model().answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tour(brine):
    """Every command once, on a daemon that may say more than ours."""
    brine("put", "greeting", "--ttl", "1h", "--codec", "text", "--cost", "5s", given=b"hello")
    assert brine("get", "greeting") == b"hello"
    assert b"text" in brine("meta", "greeting")
    brine("put", "visits", "--int", "--value", "42")
    assert brine("get", "visits").strip() == b"42"
    large = os.urandom(3 << 20)
    brine("put", "large", given=large)
    assert brine("get", "large") == large
    assert sorted(brine("keys").split()) == [b"greeting", b"large", b"visits"]
    assert brine("keys", "gr").split() == [b"greeting"]
    brine("touch", "greeting", "--ttl", "2h")
    brine("touch", "absent", "--ttl", "2h", status=MISS)
    brine("put", "greeting", "--if-absent", "--value", "x", status=MISS)
    brine("del", "greeting")
    brine("del", "greeting", status=MISS)
    brine("get", "greeting", status=MISS)
    assert b"objects" in brine("stats")
    brine("sync")
    brine("flush", "--yes")
    assert brine("keys") == b""
    brine("ping")


@no_client
def test_the_client_works_with_a_daemon_of_its_own_release(client):
    tour(client())


@no_client
def test_the_client_works_with_a_newer_daemon(client):
    """More fields in every reply, all feature bits, a higher protocol, longer scan entries."""
    tour(client(model.Model(newer=True).answer))


@no_client
@pytest.mark.parametrize("lacks, words", [
    ("META", ("meta", "k")), ("TOUCH", ("touch", "k", "--ttl", "1h")), ("SCAN", ("keys",)),
    ("FLUSH", ("flush", "--yes")), ("STATS", ("stats",)), ("SYNC", ("sync",)),
])
def test_a_command_that_an_older_daemon_lacks_is_an_error_or_a_miss_and_never_hangs(client, lacks, words):
    store = model.Model(lacks=[lacks])
    brine = client(store.answer)
    brine("put", "k", "--value", "x")
    brine(*words, status=(MISS, REFUSED, OTHER))
    assert brine("get", "k") == b"x"


@no_client
def test_a_condition_that_an_older_daemon_lacks_is_not_left_away(client):
    """A plain put instead would overwrite what it promised not to touch."""
    brine = client(model.Model(lacks=["CONDITION"]).answer)
    brine("put", "k", "--value", "first")
    brine("put", "k", "--if-absent", "--value", "second", status=(REFUSED, OTHER))
    brine("put", "k", "--if-version", "7", "--value", "third", status=(REFUSED, OTHER))
    assert brine("get", "k") == b"first"


@no_client
def test_an_age_limit_that_an_older_daemon_lacks_is_not_left_away(client):
    brine = client(model.Model(lacks=["MAX_AGE"]).answer)
    brine("put", "k", "--value", "old")
    assert brine("get", "k", "--max-age", "1h", status=(MISS, REFUSED, OTHER)) == b""


@no_client
@pytest.mark.parametrize("number", [20, 31, 50, 63, 100, 127])
@pytest.mark.parametrize("words", [("get", "k"), ("put", "k", "--value", "x"), ("del", "k"), ("keys",), ("ping",)],
                         ids=lambda words: words[0])
def test_an_error_of_a_later_release_is_an_error_and_its_words_are_shown(client, number, words):
    def answer(peer, frame):
        if frame.kind == wire.COMMANDS["HELLO"]:
            return peers.reply(peer, frame, peers.HELLO)
        return peers.error(peer, frame, number, text="the moon is full")

    brine = client(answer)
    brine(*words, status=(MISS, UNREACHABLE, REFUSED, OTHER))
    if brine.said and words[0] != "del":  # which may have many keys, and names each with its error
        assert "the moon is full" in brine.said


def goaway(peer, last_id, extra=()):
    peer.send(wire.Frame("GOAWAY", 0, {"LAST_ID": last_id, **dict(extra)}))


@no_client
@pytest.mark.parametrize("executed", [0, 1, 2, 3])
@pytest.mark.parametrize("extra", [{}, {100: 1, 200: "later"}], ids=["plain", "with_more"])
def test_after_goaway_the_rest_is_sent_again_on_a_new_connection(client, executed, extra):
    """Three deletions; the daemon leaves after so many of them."""
    store = model.Model()
    done = []

    def answer(peer, frame):
        first = peer.number == 1
        if frame.kind != wire.COMMANDS["DELETE"]:
            store.answer(peer, frame)
        elif not first or frame.id <= executed:
            done.append(frame.named["KEY"])
            store.answer(peer, frame)
        if first and frame.id == executed:
            goaway(peer, executed, extra)
        return not first or frame.id < 3

    brine = client(answer)
    brine("del", "a", "b", "c", status=MISS)
    assert sorted(done) == [b"a", b"b", b"c"]


@no_client
def test_a_conditional_put_behind_goaway_is_sent_again(client):
    store = model.Model()

    def answer(peer, frame):
        if frame.kind == wire.COMMANDS["PUT"] and peer.number == 1:
            goaway(peer, 0)
            return False
        return store.answer(peer, frame)

    brine = client(answer)
    brine("put", "k", "--if-absent", "--value", "x")
    assert brine("get", "k") == b"x"


def cut_at_the_first(command, store):
    """Executes the command, and the first time hangs up instead of answering."""
    times = []

    def answer(peer, frame):
        if frame.kind != wire.COMMANDS[command]:
            return store.answer(peer, frame)
        times.append(frame)
        if len(times) == 1:
            store.reply = lambda *_: None
            store.answer(peer, frame)
            del store.reply
            return False
        return store.answer(peer, frame)

    answer.times = times
    return answer


@no_client
def test_a_plain_put_whose_answer_was_lost_is_sent_again(client):
    answer = cut_at_the_first("PUT", model.Model())
    brine = client(answer)
    brine("put", "k", "--value", "x")
    assert len(answer.times) == 2
    assert brine("get", "k") == b"x"


@no_client
def test_a_conditional_put_whose_answer_was_lost_is_not_sent_again(client):
    answer = cut_at_the_first("PUT", model.Model())
    brine = client(answer)
    brine("put", "k", "--if-absent", "--value", "x", status=(UNREACHABLE, OTHER))
    assert len(answer.times) == 1
    assert brine("get", "k") == b"x"


@no_client
@pytest.mark.parametrize("words", [("get", "k"), ("meta", "k"), ("keys",), ("stats",), ("sync",), ("ping",)],
                         ids=lambda words: words[0])
def test_a_request_that_changes_nothing_is_sent_again_when_its_answer_was_lost(client, words):
    store = model.Model()
    answer = cut_at_the_first({"keys": "SCAN"}.get(words[0], words[0].upper()), store)
    brine = client(answer)
    brine("put", "k", "--value", "x")
    brine(*words)
    first, second, *_ = answer.times
    assert first.fields == second.fields


def hit(peer, frame, segments, length):
    peers.reply(peer, frame, {"VERSION": 1, "LENGTH": length, "WRITER": os.getuid()}, segments=segments)


def with_get(on_get):
    def answer(peer, frame):
        if frame.kind == wire.COMMANDS["HELLO"]:
            return peers.reply(peer, frame, peers.HELLO)
        return on_get(peer, frame)
    return answer


@no_client
def test_a_damaged_value_is_a_miss_and_no_part_of_it_reaches_the_file(client, tmp_path):
    def on_get(peer, frame):
        hit(peer, frame, [(wire.MORE, bytes(1 << 20)), (wire.ABORT, wire.ERRORS["DAMAGED"])], 3 << 20)

    brine = client(with_get(on_get))
    target = tmp_path / "value"
    target.write_bytes(b"before")
    brine("get", "k", "-o", str(target), status=(MISS, OTHER))
    assert target.read_bytes() == b"before"
    brine("get", "k", status=(MISS, OTHER))


@no_client
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["lines", "json"])
def test_top_goes_on_when_for_a_moment_there_are_no_figures(client, words):
    """A daemon lets few requests for figures of one uid wait, and refuses the next."""
    store, asked = model.Model(), []

    def answer(peer, frame):
        if frame.kind != wire.COMMANDS["STATS"]:
            return store.answer(peer, frame)
        asked.append(frame)
        return peers.error(peer, frame, "BUSY", text="ask again") if len(asked) == 2 else store.answer(peer, frame)

    brine = client(answer)
    assert brine("top", "--interval", "100ms", "--rounds", "3", *words)
    assert len(asked) >= 3 and brine.said.count("ask again") == 1


@no_client
@pytest.mark.parametrize("command", ["stats", "top"])
def test_who_asks_for_figures_too_often_at_once_is_told_to_ask_again(client, command):
    store = model.Model()

    def answer(peer, frame):
        busy = frame.kind == wire.COMMANDS["STATS"]
        return peers.error(peer, frame, "BUSY", text="ask again") if busy else store.answer(peer, frame)

    brine = client(answer)
    assert brine(command, status=REFUSED) == b""
    assert "ask again" in brine.said


BAD_REPLIES = {
    "another_id": lambda id_: wire.Frame("REPLY", id_ + 1, {"STATUS": 1}).encode(),
    "the_same_id_again": lambda id_: wire.Frame("REPLY", 0, {"STATUS": 1}).encode(),
    "version_0": lambda id_: wire.Frame("REPLY", id_, {"STATUS": 1}, version=0).encode(),
    "a_request": lambda id_: wire.Frame("GET", id_, {"KEY": b"k"}).encode(),
    "kind_131": lambda id_: wire.Frame(131, id_, {"STATUS": 1}).encode(),
    "header_too_long": lambda id_: wire.PREAMBLE.pack(1, 128, 0, id_, 65537, 0),
    "malformed_header": lambda id_: wire.Frame("REPLY", id_, header=b"\xc1").encode(),
    "segment_too_long": lambda id_: wire.PREAMBLE.pack(1, 128, 0, id_, 0, wire.LAST << 30 | 0x100001),
    "abort_without_error": lambda id_: wire.PREAMBLE.pack(1, 128, 0, id_, 0, wire.ABORT << 30),
    "longer_than_announced": lambda id_: wire.Frame("REPLY", id_, {"VERSION": 1, "LENGTH": 3}, b"value").encode(),
    "shorter_than_announced": lambda id_: wire.Frame("REPLY", id_, {"VERSION": 1, "LENGTH": 9}, b"value").encode(),
    "a_hit_without_a_body": lambda id_: wire.Frame("REPLY", id_, {"VERSION": 1, "LENGTH": 0}).encode(),
    "cut": lambda id_: wire.Frame("REPLY", id_, {"VERSION": 1, "LENGTH": 5}, b"value").encode()[:-2],
    "nothing": lambda id_: b"",
    "text": lambda id_: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


@no_client
@pytest.mark.parametrize("name", BAD_REPLIES)
def test_what_a_daemon_may_not_say_is_an_error_and_never_a_value(client, name):
    def on_get(peer, frame):
        peer.send(BAD_REPLIES[name](frame.id))
        return False

    brine = client(with_get(on_get))
    assert brine("get", "k", status=(UNREACHABLE, OTHER)) == b""


@no_client
@pytest.mark.parametrize("hello", [
    b"", b"+PONG\r\n+PONG\r\n+PONG\r\n", wire.Frame("REPLY", 1).encode(), wire.Frame("HELLO", 0).encode(),
    wire.Frame("REPLY", 0, header=b"\xc1").encode(),
    wire.Frame("ERROR", 0, {"ERROR": wire.ERRORS["BUSY"], "TEXT": "too many"}).encode(),
    wire.Frame("ERROR", 0, {"ERROR": wire.ERRORS["FORBIDDEN"]}).encode(), wire.Frame("ERROR", 0).encode(),
], ids=["nothing", "redis", "id_1", "a_request", "malformed", "busy", "forbidden", "error_without_number"])
def test_a_bad_greeting_is_an_error(client, hello):
    def answer(peer, frame):
        peer.send(hello)
        return False

    client(answer)("get", "k", status=(UNREACHABLE, REFUSED, OTHER))


@no_client
def test_a_silent_daemon_is_given_up_after_the_timeout(client):
    client(lambda peer, frame: True)("--timeout", "300ms", "get", "k", status=UNREACHABLE)


@no_client
def test_an_early_refusal_ends_a_streamed_put(client):
    """The daemon refuses at the header; the body it reads is void."""
    def answer(peer, frame):
        raise AssertionError("the frame is read by hand")

    def serve(sock):
        peer = wire.Peer(sock, peers.HUNG)
        peers.reply(peer, peer.receive(), peers.HELLO)
        peers.reply(peer, peer.receive(), {})  # a PING: the command asks whether we are there
        start = wire.PREAMBLE.unpack(peer.read(wire.PREAMBLE.size))
        fields = wire.decode_header(peer.read(start[4]))
        assert fields[wire.FIELDS["KEY"][0]] == b"k"
        peers.error(peer, wire.Frame("PUT", start[3]), "TOO_LARGE", 1000)
        try:
            while peer.read(1 << 16):
                pass
        except ConnectionError:
            pass
        sock.close()

    brine = client(answer)
    brine.daemon.serve = serve
    brine("put", "k", given=bytes(64 << 20), status=REFUSED)
    assert "1000" in brine.said or "1,000" in brine.said


# ---- our daemon


@pytest.fixture(scope="module")
def daemon():
    daemon = peers.Daemon()
    yield daemon
    daemon.close()


@no_daemon
def test_the_daemon_serves_an_older_client(daemon):
    """One that announces nothing and uses no field that it does not need."""
    peer = wire.Peer(peers.connect(daemon.socket), peers.HUNG)
    assert peer.ask("HELLO", header=b"").kind == wire.REPLY
    assert peer.ask("PUT", {"KEY": b"old"}, b"value").kind == wire.REPLY
    assert peer.ask("GET", {"KEY": b"old"}).body == b"value"
    assert peer.ask("META", {"KEY": b"old"}).named["LENGTH"] == 5
    assert peer.ask("TOUCH", {"KEY": b"old"}).named.get("STATUS", 0) == 0
    page = peer.ask("SCAN", header=b"")
    assert b"old" in [entry["key"] for entry in wire.read_entries(page.body)]
    assert peer.ask("STATS", header=b"").body
    assert peer.ask("SYNC", header=b"").kind == wire.REPLY
    assert peer.ask("DELETE", {"KEY": b"old"}).named.get("STATUS", 0) == 0
    assert peer.ask("FLUSH", header=b"").kind == wire.REPLY
    peer.close()


@no_daemon
def test_the_daemon_serves_a_newer_client(daemon):
    """One that announces all features, tries commands of later releases, takes UNSUPPORTED for an answer,
    and sends along what may be ignored."""
    later = {128: 1, 129: "text", 130: b"bytes", 131: [1, {2: None}], 1 << 40: -1.5}
    peer = wire.Peer(peers.connect(daemon.socket), peers.HUNG)
    hello = peer.ask("HELLO", {"FEATURES": 2**64 - 1, "RELEASE": 0xFF0000, 90: [1], 63: {1: 2}, **later})
    assert hello.named["PROTOCOL"] == 1 and hello.named.get("FEATURES", 0) == 0
    for kind in range(max(wire.COMMANDS.values()) + 1, 128):
        reply = peer.ask(kind, {"KEY": b"new", 62: 1, **later}, b"a body" if kind % 2 else None)
        assert reply.named["ERROR"] == wire.ERRORS["UNSUPPORTED"]
    assert not {62, 63} & wire.FIELD_NAMES.keys()
    reply = peer.ask("GET", {"KEY": b"new", 62: 1, 63: 5, **later})
    assert (reply.named["ERROR"], reply.named["DETAIL"]) == (wire.ERRORS["UNSUPPORTED"], 62)
    assert peer.ask("PUT", {"KEY": b"new", **later}, b"value").kind == wire.REPLY
    assert peer.ask("GET", {"KEY": b"new", **later}).body == b"value"
    assert peer.ask("DELETE", {"KEY": b"new", **later}).kind == wire.REPLY
    peer.close()

