"""BATCH: many gets in one frame; puts and deletes together or not at all."""

import os

import pytest

import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))

GET, PUT, DELETE = (wire.COMMANDS[name] for name in ("GET", "PUT", "DELETE"))
ALONE = 2


@pytest.fixture
def daemon():
    daemon = peers.Daemon("max_size=256M")
    yield daemon
    daemon.close()


@pytest.fixture
def peer(daemon):
    return daemon.peer()


entry = wire.encode_batch_item


def put(key, value=b"v", **fields):
    return entry(PUT, {"KEY": key, **fields}, value)


def get(key, **fields):
    return entry(GET, {"KEY": key, **fields})


def delete(key, **fields):
    return entry(DELETE, {"KEY": key, **fields})


def batch(peer, *entries, **fields):
    return peer.ask("BATCH", fields, b"".join(entries))


def entries(reply):
    """[(fields by name, value)] of a reply."""
    assert reply.kind == wire.REPLY, reply
    found = []
    for kind, fields, value in wire.read_batch(reply.body):
        assert kind == wire.REPLY
        found.append(({wire.FIELD_NAMES[number]: item for number, item in fields.items()}, value))
    assert reply.named["COUNT"] == len(found)
    return found


def refused(reply, name, at=None):
    assert reply.kind == wire.ERROR and reply.named["ERROR"] == wire.ERRORS[name], reply
    if at is not None:
        assert reply.named["ENTRY"] == at


def test_puts_and_gets_of_a_batch_are_what_the_single_ones_are(peer):
    made = entries(batch(peer, *(put(b"%d" % i, b"value %d" % i, COST=i + 1) for i in range(1024))))
    assert len({fields["VERSION"] for fields, _ in made}) == 1024
    got = entries(batch(peer, *(get(b"%d" % i) for i in range(1023)), get(b"absent")))
    for i, (fields, value) in enumerate(got[:-1]):
        assert value == b"value %d" % i
        assert (fields["VERSION"], fields["COST"]) == (made[i][0]["VERSION"], i + 1)
    assert got[-1] == ({"STATUS": 1}, b"")
    assert peer.ask("GET", {"KEY": b"7"}).body == b"value 7"


def test_a_condition_that_fails_refuses_all_of_it_and_names_the_entry(peer):
    version = peer.ask("PUT", {"KEY": b"there"}, b"old").named["VERSION"]
    refused(batch(peer, put(b"a"), put(b"there", CONDITION=1)), "EXISTS", 1)
    refused(batch(peer, put(b"a"), put(b"b"), put(b"c", CONDITION=2)), "ABSENT", 2)
    refused(batch(peer, delete(b"there", VERSION=version + 1), put(b"a")), "CHANGED", 0)
    for key in (b"a", b"b", b"c"):
        assert peer.ask("GET", {"KEY": key}).named["STATUS"] == 1
    assert peer.ask("GET", {"KEY": b"there"}).body == b"old"
    assert [fields for fields, _ in entries(batch(
        peer, put(b"there", b"new", CONDITION=3, VERSION=version), delete(b"gone")))][1] == \
        {"STATUS": 1}


def test_of_several_entries_for_one_key_the_last_wins(peer):
    batch(peer, put(b"k", b"1"), put(b"k", b"2"), put(b"l"), delete(b"l"))
    assert peer.ask("GET", {"KEY": b"k"}).body == b"2"
    assert peer.ask("GET", {"KEY": b"l"}).named["STATUS"] == 1


def test_a_namespace_of_the_batch_is_that_of_all_entries(peer):
    batch(peer, put(b"k"), NAMESPACE="web")
    assert peer.ask("GET", {"KEY": b"k"}).named["STATUS"] == 1
    assert entries(batch(peer, get(b"k"), NAMESPACE="web"))[0][1] == b"v"


def test_values_that_are_too_long_for_a_reply_are_to_be_asked_for_alone(peer):
    for i in range(4):
        peer.ask("PUT", {"KEY": b"%d" % i}, os.urandom(3_000_000 if i == 2 else 50_000))
    peer.ask("SYNC")
    got = entries(batch(peer, *(get(b"%d" % i) for i in range(4))))
    assert [fields.get("STATUS") for fields, _ in got] == [None, None, ALONE, None]
    assert [len(value) for _, value in got] == [50_000, 50_000, 0, 50_000]


def test_a_reply_of_many_segments_comes_whole(peer):
    values = [os.urandom(60_000) for _ in range(200)]
    for start in range(0, 200, 100):
        entries(batch(peer, *(put(b"%d" % i, values[i]) for i in range(start, start + 100))))
    got = entries(batch(peer, *(get(b"%d" % i) for i in range(200))))
    assert [value for _, value in got] == values


def test_what_was_accepted_together_is_there_together_after_a_crash(daemon):
    peer = daemon.peer()
    for round_ in range(5):
        batch(peer, *(put(b"%d" % i, b"%d" % round_ * 1000) for i in range(500)))
    daemon.process.kill()
    daemon.process.wait()
    daemon.restart()
    peer = daemon.peer()
    got = entries(batch(peer, *(get(b"%d" % i) for i in range(500))))
    assert len({value for _, value in got}) == 1


def test_a_batch_that_waits_for_the_disk_is_on_it(daemon):
    batch(daemon.peer(), put(b"k"), put(b"l"), ACK=2)
    daemon.process.kill()
    daemon.process.wait()
    daemon.restart()
    assert [value for _, value in entries(batch(daemon.peer(), get(b"k"), get(b"l")))] == [b"v"] * 2


@pytest.mark.parametrize("body", [
    b"", b"\3", b"\3\0\0\0\0\0\0\0" * 1025, b"\3\1\0\0\0\0\0\0", b"\4\0\5\0\0\0\0\0\x80",
    b"\4\0\1\0\1\0\0\0\x80", b"\1\0\0\0\0\0\0\0", b"\3\0\0\0\1\0\0\0x",
], ids=lambda body: body[:8].hex() + str(len(body)))
def test_a_body_that_is_no_batch_is_refused(peer, body):
    refused(peer.ask("BATCH", {}, body), "BAD_REQUEST")
    assert peer.ask("PING").kind == wire.REPLY


def test_gets_and_puts_are_not_mixed(peer):
    refused(batch(peer, get(b"k"), put(b"k")), "BAD_REQUEST")


@pytest.mark.parametrize("wrong, error", [
    (put(b""), "BAD_KEY"), (get(b"\xff" * 2000), "BAD_KEY"), (put(b"k", TTL=0), "BAD_REQUEST"),
    (put(b"k", NAMESPACE="x"), "UNSUPPORTED"), (get(b"k", LEASE=1), "UNSUPPORTED"),
    (put(b"k", OBJECT_KIND=1), "BAD_REQUEST"), (put(b"k", CONDITION=9), "UNSUPPORTED"),
    (get(b"k", STALE_OK=7), "UNSUPPORTED"),
])
def test_a_wrong_entry_refuses_all_of_it_and_is_named(peer, wrong, error):
    right = put(b"right") if wrong[0] == PUT else get(b"right")
    refused(batch(peer, right, wrong), error, 1)
    assert peer.ask("GET", {"KEY": b"right"}).named["STATUS"] == 1


def test_a_body_over_the_limit_is_too_large(peer):
    refused(batch(peer, *(put(b"%d" % i, bytes(1 << 20)) for i in range(9))), "TOO_LARGE")
    assert peer.ask("PING").kind == wire.REPLY


def test_a_value_of_more_than_a_segment_is_too_large_for_a_batch(peer):
    longest = bytes(wire.SEGMENT_MAX)
    assert len(entries(batch(peer, put(b"k"), put(b"l", longest)))) == 2
    reply = batch(peer, put(b"k"), put(b"l", longest + b"x"))
    refused(reply, "TOO_LARGE", 1)
    assert reply.named["DETAIL"] == wire.SEGMENT_MAX
    assert len(peer.ask("GET", {"KEY": b"l"}).body) == wire.SEGMENT_MAX


def test_an_error_that_is_about_no_entry_names_none():
    daemon = peers.Daemon("max_namespaces=1")
    peer = daemon.peer()
    batch(peer, put(b"k"))
    reply = batch(peer, put(b"k"), NAMESPACE="second")
    refused(reply, "TOO_MANY")
    assert "ENTRY" not in reply.named
    daemon.close()


def figures(peer, scope=""):
    lines = (line.split("\t") for line in peer.ask("STATS").body.decode().splitlines())
    return {name: value for at, name, value in lines if at == scope}


def test_a_value_that_has_to_be_asked_for_alone_is_one_get_and_one_hit(daemon, peer):
    assert peer.ask("PUT", {"KEY": b"long", "COST": 7, "ACK": 2}, b"x" * 200_000).kind == wire.REPLY
    daemon.close_peers()
    daemon.process.terminate()
    daemon.process.wait()
    daemon.restart()
    peer = daemon.peer()
    assert entries(batch(peer, get(b"long"))) == [({"STATUS": ALONE}, b"")]
    assert len(peer.ask("GET", {"KEY": b"long"}).body) == 200_000
    all_, own = figures(peer), figures(peer, "default")
    assert (all_["gets"], all_["hits"], own["hits"], own["saved_us"]) == ("1", "1", "1", "7")


def test_only_deletes_that_find_something_are_counted(peer):
    batch(peer, put(b"a"), put(b"b"))
    batch(peer, delete(b"absent"), put(b"c"), delete(b"a"), delete(b"b"), delete(b"absent too"))
    assert figures(peer)["deletes"] == figures(peer, "default")["deletes"] == "2"


def test_a_take_is_a_delete_and_no_get_in_the_figures(peer):
    batch(peer, put(b"a"))
    assert [peer.ask("TAKE", {"KEY": b"a"}).named.get("STATUS") for _ in range(2)] == [None, 1]
    found = figures(peer)
    assert [found[name] for name in ("gets", "hits", "misses", "deletes")] == ["0", "0", "0", "1"]


def test_an_aborted_batch_does_nothing(peer):
    id_ = peer.request("BATCH", {}, segments=[(wire.MORE, put(b"k")), (wire.ABORT, 39)])
    reply = peer.receive()
    assert reply.id == id_
    refused(reply, "ABORTED")
    assert peer.ask("GET", {"KEY": b"k"}).named["STATUS"] == 1


def test_half_a_batch_holds_bounded_memory(daemon):
    others = [daemon.peer() for _ in range(40)]
    before = daemon.memory()
    for other in others:
        other.request("BATCH", {}, segments=[(wire.MORE, bytes([PUT]) * (1 << 20))] * 4)
    daemon.alive()
    daemon.expect_growth_below(200 << 20, before)


def test_waiters_of_a_lease_are_woken_by_a_batch(daemon):
    holder, waiter, other = (daemon.peer() for _ in range(3))
    holder.ask("GET", {"KEY": b"k", "LEASE": 1})
    id_ = waiter.request("GET", {"KEY": b"k", "LEASE": 1})
    waiter.ask("PING")
    batch(other, put(b"k", b"from the batch"))
    reply = waiter.receive()
    assert (reply.id, reply.body) == (id_, b"from the batch")
