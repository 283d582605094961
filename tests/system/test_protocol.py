"""The real daemon against PROTOCOL.md, sentence by sentence, on a raw socket."""

import os
import random

import pytest

import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))


@pytest.fixture(scope="module")
def daemon():
    daemon = peers.Daemon()
    yield daemon
    daemon.close()


@pytest.fixture
def peer(daemon):
    """A connection; NAMESPACE is the test's own by way of ask()."""
    peer = daemon.peer()
    yield peer
    peer.close()


_names = iter(range(1, 1 << 30))


@pytest.fixture
def space(peer):
    """ask() within a fresh namespace."""
    name = f"test-{next(_names)}"

    def ask(kind, fields=None, body=None, **more):
        return peer.ask(kind, {"NAMESPACE": name, **(fields or {})}, body, **more)

    ask.name = name
    return ask


def expect_error(reply, name, detail=None):
    assert reply.kind == wire.ERROR, reply
    assert reply.segments == [(wire.NONE, b"")]
    assert reply.named["ERROR"] == wire.ERRORS[name], reply
    if detail is not None:
        assert reply.named["DETAIL"] == detail


def put(space, key=b"k", value=b"value", **fields):
    reply = space("PUT", {"KEY": key, **fields}, value)
    assert reply.kind == wire.REPLY, reply
    return reply.named["VERSION"]


def absent(space, key=b"k"):
    return space("GET", {"KEY": key}).named.get("STATUS") == 1


# ---- HELLO and ids


def test_hello_announces_what_the_page_says(daemon):
    peer = daemon.peer(hello=False)
    reply = peer.hello()
    assert reply.kind == wire.REPLY
    assert reply.named["PROTOCOL"] == 1
    assert reply.named.get("FEATURES", 0) == 0
    assert reply.named["UID"] == os.getuid()
    assert reply.named["MAX_VALUE"] > 0
    assert {"RELEASE", "EPOCH"} <= reply.named.keys()
    peer.close()


def test_hello_needs_no_fields_and_ignores_unknown_ones(daemon):
    for fields in ({}, {28: 1, 200: [1, {2: None}], 127: b"x", "FEATURES": 2**64 - 1, "RELEASE": 1 << 23}):
        peer = daemon.peer(hello=False)
        assert peer.ask("HELLO", fields).kind == wire.REPLY
        assert peer.ask("PING").kind == wire.REPLY
        peer.close()


def test_the_epoch_stays_while_the_daemon_runs(daemon):
    epochs = set()
    for _ in range(2):
        peer = daemon.peer(hello=False)
        epochs.add(peer.hello().named["EPOCH"])
        peer.close()
    assert len(epochs) == 1


def test_requests_may_follow_hello_without_waiting(daemon):
    peer = daemon.peer(hello=False)
    peer.send(wire.Frame("HELLO", 0).encode() + wire.Frame("PUT", 1, {"KEY": b"early"}, b"x").encode()
              + wire.Frame("GET", 2, {"KEY": b"early"}).encode())
    assert [peer.receive().id for _ in range(2)] == [0, 1]
    assert peer.receive().body == b"x"
    peer.close()


def test_every_request_gets_exactly_one_reply_with_its_id(peer):
    ids = [peer.request("GET", {"KEY": b"%d" % number}) for number in range(100)]
    assert sorted(peer.receive().id for _ in ids) == ids


def test_a_later_request_sees_what_an_earlier_one_changed(peer, space):
    for number in range(100):
        value = b"%d" % number
        peer.request("PUT", {"NAMESPACE": space.name, "KEY": b"k"}, value)
        asked = peer.request("GET", {"NAMESPACE": space.name, "KEY": b"k"})
        replies = {reply.id: reply for reply in (peer.receive(), peer.receive())}
        assert replies[asked].body == value


def test_a_half_closed_connection_still_gets_its_replies(daemon):
    peer = daemon.peer()
    peer.request("PUT", {"KEY": b"last", "ACK": 2}, b"x")
    peer.request("GET", {"KEY": b"last"})
    peer.sock.shutdown(1)
    replies = [peer.receive() for _ in range(2)]
    assert {reply.kind for reply in replies} == {wire.REPLY}
    assert peer.receive() is None
    peer.close()


# ---- what is not understood


def test_an_unknown_command_is_unsupported_and_its_body_is_read(peer):
    for kind in (98, 99, 127):
        reply = peer.ask(kind, {"KEY": b"k", 28: 1, 3: 5}, bytes(3 << 20))
        expect_error(reply, "UNSUPPORTED")
        assert "DETAIL" not in reply.named
    assert peer.ask("PING").kind == wire.REPLY


@pytest.mark.parametrize("field", [28, 63, 64, 71, 90, 127])
def test_an_unknown_field_below_128_is_unsupported_and_nothing_is_done(space, field):
    expect_error(space("PUT", {"KEY": b"k", field: 0}, b"x"), "UNSUPPORTED", field)
    assert absent(space)


@pytest.mark.parametrize("kind, fields, detail", [
    ("GET", {"KEY": b"k", "TTL": 5}, 3),
    ("META", {"KEY": b"k", "LENGTH": 5}, 10),
    ("DELETE", {"KEY": b"k", "TTL": 5}, 3),
    ("TOUCH", {"KEY": b"k", "VERSION": 5}, 8),
    ("FLUSH", {"KEY": b"k"}, 2),
    ("SCAN", {"KEY": b"k"}, 2),
    ("GET", {"KEY": b"k", "STATUS": 1}, 64),
    ("GET", {"KEY": b"k", "EPOCH": 1}, 85),
])
def test_a_field_of_another_command_is_unsupported(space, kind, fields, detail):
    put(space)
    expect_error(space(kind, fields), "UNSUPPORTED", detail)
    assert not absent(space)


@pytest.mark.parametrize("kind, fields, detail", [
    ("PING", {"KEY": b"k"}, 2), ("STATS", {"NAMESPACE": "n"}, 1), ("SYNC", {"ACK": 2}, 9),
])
def test_commands_without_fields_take_none(peer, kind, fields, detail):
    expect_error(peer.ask(kind, fields), "UNSUPPORTED", detail)


def test_fields_from_128_on_are_ignored(space):
    extra = {128: None, 200: "text", 255: [1, [2]], 70000: {1: b"x"}, 2**64 - 1: 1.5}
    reply = space("PUT", {"KEY": b"k", **extra}, b"new")
    assert reply.kind == wire.REPLY
    assert space("GET", {"KEY": b"k", **extra}).body == b"new"


def test_a_frame_of_a_higher_version_is_unsupported(peer):
    reply = peer.ask("PUT", {"KEY": b"k"}, b"x", version=2)
    expect_error(reply, "UNSUPPORTED")
    assert "DETAIL" not in reply.named
    assert peer.ask("PING").kind == wire.REPLY


@pytest.mark.parametrize("flags", [1, 2, 0x8000])
def test_a_frame_with_an_unknown_flag_is_unsupported(peer, flags):
    reply = peer.ask("PUT", {"KEY": b"k"}, b"x", flags=flags)
    expect_error(reply, "UNSUPPORTED")
    assert peer.ask("PING").kind == wire.REPLY


@pytest.mark.parametrize("fields, detail", [({"CONDITION": 4}, 7), ({"ACK": 3}, 9), ({"OBJECT_KIND": 2}, 5),
                                            ({"CONDITION": 1, "OR_GET": 2}, 29)])
def test_an_unknown_value_of_a_choice_is_unsupported(space, fields, detail):
    expect_error(space("PUT", {"KEY": b"k", **fields}, b"x" * 8), "UNSUPPORTED", detail)
    assert absent(space)


# ---- keys and namespaces


@pytest.mark.parametrize("key", [
    b"k", b"\0", "é".encode() * 500, b"a" * 1023, b"\xf5", b"\xf5\x80", b"\xf6", b"\xff\xff",
    wire.encode_key("x" * 5000), wire.encode_key((1, "a", None)), wire.encode_key("é" * 5000),
])
def test_a_valid_key_is_taken(space, key):
    put(space, key, b"value")
    assert space("GET", {"KEY": key}).body == b"value"


@pytest.mark.parametrize("key", [
    b"", b"\x80", b"caf\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a" * 1025,
    b"\xf5" * 1025, b"\xff" * 1 + b"a" * 1024, b"a" * 991 + b"\xff" + bytes(32),
])
@pytest.mark.parametrize("kind", ["GET", "META", "DELETE", "TOUCH", "PUT"])
def test_a_bad_key_is_refused(space, kind, key):
    expect_error(space(kind, {"KEY": key}, b"x" if kind == "PUT" else None), "BAD_KEY")


@pytest.mark.parametrize("kind", ["GET", "META", "DELETE", "TOUCH", "PUT"])
def test_a_missing_key_is_a_bad_request(space, kind):
    expect_error(space(kind, {}, b"x" if kind == "PUT" else None), "BAD_REQUEST")


@pytest.mark.parametrize("name", ["default", "a", "_x", "9.lives", "A-b_c.d", "x" * 64])
def test_a_valid_namespace_is_taken(peer, name):
    assert peer.ask("PUT", {"NAMESPACE": name, "KEY": b"k"}, name.encode()).kind == wire.REPLY
    assert peer.ask("GET", {"NAMESPACE": name, "KEY": b"k"}).body == name.encode()


def test_no_namespace_is_the_default_one(peer):
    peer.ask("PUT", {"NAMESPACE": "default", "KEY": b"same"}, b"x")
    assert peer.ask("GET", {"KEY": b"same"}).body == b"x"


@pytest.mark.parametrize("name", ["", ".x", "-x", "x" * 65, "a b", "a:b", "é", "/models", "/", "a\0", "a\n"])
@pytest.mark.parametrize("kind", ["GET", "PUT", "SCAN", "FLUSH"])
def test_a_bad_namespace_is_refused(peer, kind, name):
    fields = {"NAMESPACE": name, **({} if kind in ("SCAN", "FLUSH") else {"KEY": b"k"})}
    expect_error(peer.ask(kind, fields, b"x" if kind == "PUT" else None), "BAD_NAMESPACE")


@pytest.mark.parametrize("name", ["./cache", "/tmp/cache", "a/b", "~/cache", "../x"])
def test_a_path_is_told_that_there_are_no_directories(daemon, peer, name):
    reply = peer.ask("GET", {"NAMESPACE": name, "KEY": b"k"})
    expect_error(reply, "BAD_NAMESPACE")
    assert "Brine has namespaces, not directories; your data is in " in reply.named["TEXT"]
    assert daemon.folder in reply.named["TEXT"]


# ---- GET, META, PUT


def test_a_hit_tells_everything(space):
    version = put(space, b"k", b"hello", TTL=60000, CODEC=0x0B030501, COST=250000)
    reply = space("GET", {"KEY": b"k"})
    named = reply.named
    assert reply.body == b"hello"
    assert named["VERSION"] == version
    assert named["CODEC"] == 0x0B030501
    assert named.get("OBJECT_KIND", 0) == 0
    assert named["LENGTH"] == 5
    assert named.get("AGE", 0) < 60000
    assert 0 < named["TTL_LEFT"] <= 60000
    assert named["WRITER"] == os.getuid()
    assert named["COST"] == 250000
    assert named.get("STATUS", 0) == 0
    meta = space("META", {"KEY": b"k"})
    assert meta.segments == [(wire.NONE, b"")]
    for name in ("VERSION", "CODEC", "LENGTH", "WRITER", "COST"):
        assert meta.named[name] == named[name]


def test_what_was_not_said_is_absent(space):
    put(space)
    named = space("GET", {"KEY": b"k"}).named
    assert "TTL_LEFT" not in named
    assert "COST" not in named
    assert named.get("CODEC", 0) == 0


def test_a_miss_has_status_1_and_no_body(space):
    for kind in ("GET", "META"):
        reply = space(kind, {"KEY": b"k"})
        assert reply.kind == wire.REPLY
        assert reply.named == {"STATUS": 1}
        assert reply.segments == [(wire.NONE, b"")]


def test_an_empty_value_is_a_value(space):
    put(space, b"k", b"")
    reply = space("GET", {"KEY": b"k"})
    assert reply.segments == [(wire.LAST, b"")]
    assert reply.named.get("LENGTH", 0) == 0


def test_a_put_without_a_body_is_a_bad_request(space):
    expect_error(space("PUT", {"KEY": b"k"}), "BAD_REQUEST")
    assert absent(space)


@pytest.mark.parametrize("kind", ["PING", "GET", "META", "DELETE", "TOUCH", "SCAN", "FLUSH", "STATS", "SYNC"])
@pytest.mark.parametrize("body", [b"", b"x", bytes(2 << 20)], ids=["empty", "small", "large"])
def test_a_body_where_none_belongs_is_a_bad_request(peer, kind, body):
    fields = {"KEY": b"k"} if kind in ("GET", "META", "DELETE", "TOUCH") else {}
    expect_error(peer.ask(kind, fields, body), "BAD_REQUEST")
    assert peer.ask("PING").kind == wire.REPLY


@pytest.mark.parametrize("size", [1, 2000, 2038, 4080, 65520, 65521, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_a_value_of_any_size_comes_back(space, size):
    value = random.Random(size).randbytes(size)
    put(space, b"k", value)
    reply = space("GET", {"KEY": b"k"})
    assert reply.body == value
    assert reply.named["LENGTH"] == size


@pytest.mark.parametrize("sizes", [[0, 0, 0], [1, 1, 1], [0, 5], [1000, 0, 2000], [1 << 20, 1], [1, 1 << 20, 1 << 20, 0]])
@pytest.mark.parametrize("announced", [False, True])
def test_segments_may_have_any_length(space, sizes, announced):
    value = random.Random(repr(sizes)).randbytes(sum(sizes))
    segments, at = [], 0
    for size in sizes:
        segments.append((wire.MORE, value[at:at + size]))
        at += size
    segments[-1] = (wire.LAST, segments[-1][1])
    fields = {"KEY": b"k", **({"LENGTH": len(value)} if announced else {})}
    assert space("PUT", fields, segments=segments).kind == wire.REPLY
    assert space("GET", {"KEY": b"k"}).body == value


@pytest.mark.parametrize("length, body", [(4, b"value"), (6, b"value"), (0, b"x"), (1, b""), (3 << 20, bytes(2 << 20)),
                                          (2 << 20, bytes(3 << 20))])
def test_a_body_of_another_length_than_announced_is_a_bad_request(space, length, body):
    put(space, b"k", b"old")
    expect_error(space("PUT", {"KEY": b"k", "LENGTH": length}, body), "BAD_REQUEST")
    assert space("GET", {"KEY": b"k"}).body == b"old"


@pytest.mark.parametrize("parts", [[], [b"half"], [bytes(1 << 20)] * 3])
def test_an_aborted_body_stores_nothing(space, parts):
    put(space, b"k", b"old")
    segments = [(wire.MORE, part) for part in parts] + [(wire.ABORT, 39)]
    expect_error(space("PUT", {"KEY": b"k"}, segments=segments), "ABORTED")
    assert space("GET", {"KEY": b"k"}).body == b"old"


def test_a_value_over_the_limit_is_refused_with_the_limit(daemon, space):
    fresh = daemon.peer(hello=False)
    limit = fresh.hello().named["MAX_VALUE"]
    fresh.close()
    for length in (limit + 1, 2**63, 2**64 - 2):
        reply = space("PUT", {"KEY": b"k", "LENGTH": length}, segments=[(wire.MORE, b"x"), (wire.ABORT, 39)])
        expect_error(reply, "TOO_LARGE", limit)
    assert absent(space)


def test_a_put_replaces_all_that_was_said_of_the_object(space):
    put(space, b"k", b"12345678", TTL=60000, CODEC=6, COST=5, OBJECT_KIND=1)
    put(space, b"k", b"new")
    named = space("GET", {"KEY": b"k"}).named
    assert "TTL_LEFT" not in named and "COST" not in named
    assert named.get("CODEC", 0) == 0 and named.get("OBJECT_KIND", 0) == 0


def test_versions_grow_and_are_never_given_twice(space):
    versions = [put(space) for _ in range(50)]
    assert versions == sorted(set(versions))
    space("DELETE", {"KEY": b"k"})
    assert put(space) > versions[-1]


def test_put_only_if_absent(space):
    version = put(space, CONDITION=1)
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 1}, b"other"), "EXISTS")
    assert space("GET", {"KEY": b"k"}).named["VERSION"] == version


@pytest.mark.parametrize("size", [0, 10, 30_000, 1 << 20, 3_000_000])
def test_a_put_or_get_is_answered_with_what_is_there(space, size):
    value = random.Random(size).randbytes(size)
    ask = {"KEY": b"k", "CONDITION": 1, "OR_GET": 1}
    stored = space("PUT", {**ask, "CODEC": 77, "COST": 9}, value)
    assert (stored.named["STATUS"], stored.segments) == (1, [(wire.NONE, b"")])
    for mine in (b"mine", random.Random(1).randbytes(2_000_000)):
        found = space("PUT", {**ask, "TTL": 1, "TAGS": b"\x01t"}, mine)
        assert "STATUS" not in found.named and found.body == value
        assert {name: found.named[name] for name in ("VERSION", "LENGTH", "CODEC", "COST", "WRITER")} == {
            "VERSION": stored.named["VERSION"], "LENGTH": size, "CODEC": 77, "COST": 9, "WRITER": os.getuid()}
    replaced = space("PUT", {**ask, "NOT_VERSION": stored.named["VERSION"]}, b"mine")
    assert replaced.named["STATUS"] == 1
    assert space("GET", {"KEY": b"k"}).body == b"mine"


def test_of_many_who_put_or_get_exactly_one_stores_and_all_have_its_value(daemon, space):
    crowd = [daemon.peer() for _ in range(8)]
    for key in range(50):
        fields = {"NAMESPACE": space.name, "KEY": b"%d" % key, "CONDITION": 1, "OR_GET": 1}
        for at, peer in enumerate(crowd):
            peer.request("PUT", fields, b"%d" % at)
        replies = [peer.receive() for peer in crowd]
        stored = [at for at, reply in enumerate(replies) if reply.named.get("STATUS") == 1]
        assert len(stored) == 1, replies
        assert {reply.body for at, reply in enumerate(replies) if at not in stored} == {b"%d" % stored[0]}
    for peer in crowd:
        peer.close()


def test_put_only_if_present(space):
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 2}, b"x"), "ABSENT")
    assert absent(space)
    put(space)
    put(space, value=b"new", CONDITION=2)
    assert space("GET", {"KEY": b"k"}).body == b"new"


def test_put_only_if_the_version_matches(space):
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 3, "VERSION": 1}, b"x"), "ABSENT")
    first = put(space)
    second = put(space, value=b"second", CONDITION=3, VERSION=first)
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 3, "VERSION": first}, b"x"), "CHANGED")
    reply = space("GET", {"KEY": b"k"})
    assert (reply.body, reply.named["VERSION"]) == (b"second", second)


def test_conditions_hold_for_streamed_values_too(space):
    put(space, b"k", b"old")
    large = bytes(3 << 20)
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 1}, large), "EXISTS")
    expect_error(space("PUT", {"KEY": b"no", "CONDITION": 2}, large), "ABSENT")
    expect_error(space("PUT", {"KEY": b"k", "CONDITION": 3, "VERSION": 1}, large), "CHANGED")
    assert space("GET", {"KEY": b"k"}).body == b"old"


@pytest.mark.parametrize("fields", [
    {"CONDITION": 3}, {"VERSION": 5}, {"CONDITION": 1, "VERSION": 5}, {"TTL": 0}, {"CODEC": 1 << 32},
    {"OBJECT_KIND": 1}, {"OR_GET": 1}, {"OR_GET": 1, "CONDITION": 2}, {"CONDITION": 1, "NOT_VERSION": 5},
])
def test_a_put_that_makes_no_sense_is_a_bad_request(space, fields):
    expect_error(space("PUT", {"KEY": b"k", **fields}, b"1234567"), "BAD_REQUEST")
    assert absent(space)


@pytest.mark.parametrize("ack", [0, 1, 2])
def test_every_acknowledgement_mode_is_taken(space, ack):
    put(space, ACK=ack)
    assert space("TOUCH", {"KEY": b"k", "ACK": ack}).kind == wire.REPLY
    assert space("DELETE", {"KEY": b"k", "ACK": ack}).kind == wire.REPLY
    assert space("FLUSH", {"ACK": ack}).kind == wire.REPLY
    assert absent(space)


def test_a_counter_is_eight_bytes_with_its_kind(space):
    put(space, b"k", (-2).to_bytes(8, "little", signed=True), OBJECT_KIND=1, CODEC=6)
    reply = space("GET", {"KEY": b"k"})
    assert reply.named["OBJECT_KIND"] == 1
    assert int.from_bytes(reply.body, "little", signed=True) == -2


@pytest.mark.parametrize("length", [None, 0, 5, 8, 9])
@pytest.mark.parametrize("body", [b"", b"1234567", b"123456789"], ids=len)
def test_a_counter_of_another_length_is_refused_in_segments_too(space, length, body):
    fields = {"KEY": b"k", "OBJECT_KIND": 1, **({} if length is None else {"LENGTH": length})}
    for segments in ([(wire.MORE, b""), (wire.LAST, body)], [(wire.MORE, body), (wire.LAST, b"")]):
        expect_error(space("PUT", fields, segments=segments), "BAD_REQUEST")
    assert absent(space)


def test_not_version_and_max_age_make_an_object_absent_for_one_get(space):
    version = put(space)
    assert space("GET", {"KEY": b"k", "NOT_VERSION": version}).named == {"STATUS": 1}
    assert space("META", {"KEY": b"k", "NOT_VERSION": version}).named == {"STATUS": 1}
    assert space("GET", {"KEY": b"k", "NOT_VERSION": version + 1}).body == b"value"
    for age in (3600000, 2**63, 2**64 - 2, 2**64 - 1):
        assert space("GET", {"KEY": b"k", "MAX_AGE": age}).body == b"value"
    assert not absent(space)


def test_an_expired_object_is_absent(space):
    put(space, TTL=1)
    peers_wait(lambda: absent(space))
    assert space("META", {"KEY": b"k"}).named == {"STATUS": 1}
    assert space("TOUCH", {"KEY": b"k"}).named == {"STATUS": 1}
    assert space("DELETE", {"KEY": b"k"}).named == {"STATUS": 1}
    assert space("SCAN").named["COUNT"] == 0
    put(space, CONDITION=1)


def peers_wait(holds):
    import time
    deadline = time.monotonic() + peers.HUNG
    while not holds():
        assert time.monotonic() < deadline


@pytest.mark.parametrize("ttl", [2**63, 2**64 - 1])
def test_a_time_to_live_beyond_all_calendars_is_never(space, ttl):
    put(space, TTL=ttl)
    assert not absent(space)
    assert space("TOUCH", {"KEY": b"k", "TTL": ttl}).kind == wire.REPLY
    assert not absent(space)


def test_refresh_starts_the_time_to_live_anew(space):
    version = put(space, TTL=3600000)
    reply = space("GET", {"KEY": b"k", "REFRESH": 7200000})
    assert reply.body == b"value" and reply.named["TTL_LEFT"] <= 3600000
    named = space("GET", {"KEY": b"k"}).named
    assert 3600000 < named["TTL_LEFT"] <= 7200000
    assert named["VERSION"] == version


# ---- DELETE, TOUCH, FLUSH, SYNC, PING


def test_delete_tells_whether_it_was_there(space):
    put(space)
    assert space("DELETE", {"KEY": b"k"}).named.get("STATUS", 0) == 0
    assert absent(space)
    assert space("DELETE", {"KEY": b"k"}).named == {"STATUS": 1}


def test_delete_of_another_version_is_refused(space):
    version = put(space)
    expect_error(space("DELETE", {"KEY": b"k", "VERSION": version + 1}), "CHANGED")
    assert not absent(space)
    assert space("DELETE", {"KEY": b"k", "VERSION": version}).named.get("STATUS", 0) == 0
    assert space("DELETE", {"KEY": b"k", "VERSION": version}).named == {"STATUS": 1}


def test_touch_changes_the_time_to_live_and_nothing_else(space):
    version = put(space, CODEC=2)
    reply = space("TOUCH", {"KEY": b"k", "TTL": 60000})
    assert (reply.named.get("STATUS", 0), reply.named["VERSION"]) == (0, version)
    named = space("GET", {"KEY": b"k"}).named
    assert 0 < named["TTL_LEFT"] <= 60000
    assert (named["VERSION"], named["CODEC"]) == (version, 2)
    assert space("TOUCH", {"KEY": b"k"}).named["VERSION"] == version
    assert "TTL_LEFT" not in space("GET", {"KEY": b"k"}).named
    assert space("TOUCH", {"KEY": b"other"}).named == {"STATUS": 1}


def test_touch_with_ttl_0_is_a_bad_request(space):
    put(space)
    expect_error(space("TOUCH", {"KEY": b"k", "TTL": 0}), "BAD_REQUEST")


def test_touch_works_on_large_values(space):
    value = random.Random(3).randbytes(3 << 20)
    put(space, b"k", value)
    assert space("TOUCH", {"KEY": b"k", "TTL": 60000}).kind == wire.REPLY
    assert space("GET", {"KEY": b"k"}).body == value


def test_flush_empties_one_namespace(daemon, space):
    for number in range(20):
        put(space, b"%d" % number)
    other = daemon.peer()
    other.ask("PUT", {"NAMESPACE": "stays", "KEY": b"k"}, b"x")
    assert space("FLUSH").named.get("STATUS", 0) == 0
    assert all(absent(space, b"%d" % number) for number in range(20))
    assert space("SCAN").named["COUNT"] == 0
    assert other.ask("GET", {"NAMESPACE": "stays", "KEY": b"k"}).body == b"x"
    put(space, b"after")
    assert not absent(space, b"after")
    other.close()


# ---- tags


def tags(*names):
    return b"".join(bytes([len(name)]) + name for name in names)


def invalidate(space, *names, **fields):
    reply = space("INVALIDATE", {"TAGS": tags(*names), **fields})
    assert (reply.kind, reply.named) == (wire.REPLY, {"STATUS": 0}), reply


@pytest.mark.parametrize("size", [0, 100, 1900, 5000, 200_000])
def test_invalidating_a_tag_makes_all_that_carry_it_absent(space, size):
    put(space, b"red", b"x" * size, TAGS=tags(b"red"))
    put(space, b"both", b"x" * size, TAGS=tags(b"blue", b"red"))
    put(space, b"blue", b"x" * size, TAGS=tags(b"blue"))
    put(space, b"none", b"x" * size)
    assert not absent(space, b"both")
    invalidate(space, b"red", b"green")
    assert [absent(space, key) for key in (b"red", b"both", b"blue", b"none")] == [True, True, False, False]
    for kind in ("GET", "META", "DELETE", "TOUCH"):
        assert space(kind, {"KEY": b"red"}).named["STATUS"] == 1
    assert space("SCAN").named["COUNT"] == 2
    expect_error(space("PUT", {"KEY": b"red", "CONDITION": 2}, b""), "ABSENT")
    put(space, b"red", TAGS=tags(b"red"), CONDITION=1)
    assert not absent(space, b"red")


@pytest.mark.parametrize("ack", [1, 2])
def test_an_invalidation_reaches_its_own_namespace_alone(daemon, space, ack):
    other = daemon.peer()
    put(space, TAGS=tags(b"red"))
    other.ask("PUT", {"NAMESPACE": "tagged", "KEY": b"k", "TAGS": tags(b"red")}, b"x")
    invalidate(space, b"red", ACK=ack)
    assert absent(space)
    assert other.ask("GET", {"NAMESPACE": "tagged", "KEY": b"k"}).body == b"x"
    # Of a namespace that nobody has made yet, nothing is there anyway.
    assert other.ask("INVALIDATE", {"NAMESPACE": "nobody", "TAGS": tags(b"red")}).named == {"STATUS": 0}
    other.close()


def test_sixteen_tags_of_255_bytes_are_taken(space):
    names = [bytes([number]) * 255 for number in range(16)]
    put(space, b"k" * 1023, b"x" * 3000, TAGS=tags(*names), TTL=100_000)
    assert not absent(space, b"k" * 1023)
    invalidate(space, *names)
    assert absent(space, b"k" * 1023)


@pytest.mark.parametrize("field", [b"", b"\0", b"\2a", b"\1a\0", b"\1a\5b", b"\xff" * 255, b"\1a" * 17],
                         ids=["empty", "no byte", "short", "empty tag", "second short", "too long", "too many"])
def test_a_list_of_tags_that_is_none_is_refused(space, field):
    reply = space("INVALIDATE", {"TAGS": field})
    expect_error(reply, "BAD_REQUEST")
    assert reply.named["TEXT"] == "TAGS must be 1 to 16 tags of 1 to 255 bytes"
    expect_error(space("PUT", {"KEY": b"k", "TAGS": field}, b""), "BAD_REQUEST")
    assert absent(space)


def test_invalidate_needs_tags(space):
    expect_error(space("INVALIDATE"), "BAD_REQUEST")
    expect_error(space("INVALIDATE", {"TAGS": tags(b"a"), "ACK": 3}), "UNSUPPORTED", 9)
    expect_error(space("INVALIDATE", {"TAGS": tags(b"a"), "KEY": b"k"}), "UNSUPPORTED", 2)
    expect_error(space("GET", {"KEY": b"k", "TAGS": tags(b"a")}), "UNSUPPORTED", 18)


def test_an_acknowledged_invalidation_survives_kill_9():
    own = peers.Daemon()
    try:
        peer = own.peer()
        for number in range(300):
            peer.ask("PUT", {"KEY": b"%d" % number, "TAGS": tags(b"odd" if number % 2 else b"even")}, b"x" * 100)
        peer.ask("SYNC")
        assert peer.ask("INVALIDATE", {"TAGS": tags(b"odd")}).named == {"STATUS": 0}
        own.process.kill()
        own.process.wait()
        own.restart()
        peer = own.peer()
        there = [number for number in range(300)
                 if peer.ask("GET", {"KEY": b"%d" % number}).named.get("STATUS") != 1]
        assert there == list(range(0, 300, 2))
    finally:
        own.close()


def test_sync_and_ping_have_empty_replies(peer):
    peer.ask("PUT", {"KEY": b"k"}, b"x")
    for kind in ("PING", "SYNC"):
        reply = peer.ask(kind)
        assert (reply.kind, reply.named, reply.segments) == (wire.REPLY, {}, [(wire.NONE, b"")])


# ---- SCAN and STATS


def scan(space, **fields):
    """All entries, page by page, and the sizes of the pages."""
    entries, pages, cursor = [], [], {}
    while True:
        reply = space("SCAN", {**fields, **cursor})
        assert reply.kind == wire.REPLY, reply
        page = list(wire.read_entries(reply.body or b""))
        assert reply.named["COUNT"] == len(page)
        assert (reply.body is None) == (not page)
        assert len(page) <= fields.get("LIMIT", 256)
        entries += page
        pages.append(len(page))
        if "CURSOR" not in reply.named:
            return entries
        assert 1 <= len(reply.named["CURSOR"]) <= 64
        cursor = {"CURSOR": reply.named["CURSOR"]}


@pytest.mark.parametrize("limit", [None, 1, 7, 4096])
def test_a_scan_gives_every_key_once(space, limit):
    keys = {b"key-%d" % number for number in range(60)}
    for key in keys:
        put(space, key)
    found = [entry["key"] for entry in scan(space, **({"LIMIT": limit} if limit else {}))]
    assert len(found) == len(keys) and set(found) == keys


def test_a_scan_sees_a_change_that_was_just_acknowledged(space):
    put(space, b"a", ACK=2)
    put(space, b"b", ACK=1)
    assert {entry["key"] for entry in scan(space)} == {b"a", b"b"}
    space("DELETE", {"KEY": b"a", "ACK": 1})
    assert {entry["key"] for entry in scan(space)} == {b"b"}


def test_entries_tell_what_meta_tells(space):
    version = put(space, b"k", b"12345678", OBJECT_KIND=1, CODEC=6, TTL=60000)
    entry, = scan(space)
    assert 0 < entry.pop("ttl_left") <= 60000
    assert entry == {"key": b"k", "flags": 2, "codec": 6, "writer": os.getuid(), "length": 8, "version": version}
    put(space, b"k", b"x")
    entry, = scan(space)
    assert entry["ttl_left"] is None and entry["flags"] == 0


def test_a_shortened_key_is_marked(space):
    long, plain = wire.encode_key("x" * 2000), b"y" * 1023
    put(space, long)
    put(space, plain)
    assert {entry["key"]: entry["flags"] for entry in scan(space)} == {long: 1, plain: 0}


def test_a_scan_gives_only_keys_with_the_prefix(space):
    for key in (b"a", b"ab", b"abc", b"b", b"\xf5ab"):
        put(space, key)
    assert {entry["key"] for entry in scan(space, PREFIX=b"ab", LIMIT=1)} == {b"ab", b"abc"}
    assert {entry["key"] for entry in scan(space, PREFIX=b"\xf5")} == {b"\xf5ab"}
    assert scan(space, PREFIX=b"z" * 1024) == []
    assert len(scan(space, PREFIX=b"")) == 5


def test_a_page_of_long_keys_needs_several_segments(space):
    keys = {wire.encode_key("%04d" % number + "x" * 2000) for number in range(1200)}
    for key in keys:
        put(space, key, b"")
    found = [entry["key"] for entry in scan(space, LIMIT=4096)]
    assert len(found) == len(keys) and set(found) == keys


@pytest.mark.parametrize("fields", [
    {"LIMIT": 0}, {"LIMIT": 4097}, {"LIMIT": 2**64 - 1}, {"PREFIX": b"x" * 1025}, {"CURSOR": b"x" * 65},
    {"CURSOR": b"not one of ours"}, {"CURSOR": bytes(64)},
])
def test_a_scan_that_makes_no_sense_is_a_bad_request(space, fields):
    put(space)
    expect_error(space("SCAN", fields), "BAD_REQUEST")


def test_stats_are_lines_of_three_words(space, peer):
    put(space)
    reply = peer.ask("STATS")
    lines = reply.body.decode().splitlines()
    assert reply.body.endswith(b"\n")
    assert all(len(line.split("\t")) == 3 and line.split("\t")[1] for line in lines)
    assert {""} < {line.split("\t")[0] for line in lines}
    assert any(line.split("\t")[0].split(":")[-1] == space.name for line in lines)


# ---- the end


def test_at_sigterm_a_client_is_told_what_was_executed():
    daemon = peers.Daemon()
    peer = daemon.peer()
    last = peer.request("PUT", {"KEY": b"k"}, b"x")
    assert peer.receive().id == last
    daemon.process.terminate()
    frame = peer.receive()
    if frame is not None:
        assert (frame.kind, frame.id) == (wire.GOAWAY, 0)
        assert frame.named["LAST_ID"] == last
        assert frame.segments == [(wire.NONE, b"")]
        assert peer.receive() is None
    peer.close()
    daemon.close()


def test_objects_survive_the_daemon_and_the_epoch_does_not():
    daemon = peers.Daemon()
    try:
        peer = daemon.peer(hello=False)
        epoch = peer.hello().named["EPOCH"]
        version = peer.ask("PUT", {"KEY": b"k", "TTL": 3600000}, b"x").named["VERSION"]
        peer.close()
        daemon.process.terminate()
        assert daemon.process.wait(peers.HUNG) == 0
        daemon.restart()
        peer = daemon.peer(hello=False)
        assert peer.hello().named["EPOCH"] != epoch
        assert peer.ask("GET", {"KEY": b"k"}).body == b"x"
        assert peer.ask("PUT", {"KEY": b"k"}, b"y").named["VERSION"] > version
        peer.close()
    finally:
        daemon.close()
