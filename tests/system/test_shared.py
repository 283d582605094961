"""Shared namespaces: who may do what there, what may be stored there, and what a reload changes."""

import struct

import pytest

import harness

from harness import (BAD_NAMESPACE, DELETE, ERROR_KIND, FLUSH, GET, LAST, META, MORE, PUT, REPLY, SCAN,
                     TOO_LARGE, TOUCH)
from strangers import (BATCH, FORBIDDEN, INCR, INVALIDATE, NOT_ADMITTED, RELEASE, RESUME, TAKE, needs_uids,
                       serve)  # noqa: F401 (a fixture)

pytestmark = needs_uids

WRITER, READER, STRANGER = 61001, 61002, 61003
MODELS = f"[namespace /models]\nreaders = {READER}\nwriters = {WRITER}\n"
TAG = b"\x01t"
TOKEN = bytes(16)


def entry(kind, fields, value=b""):
    header = harness.pack_map(fields)
    return struct.pack("<BBHI", kind, 0, len(header), len(value)) + header + value


# What a client asks for, and the right that PROTOCOL.md says it needs.
ASKED = [
    ("read", GET, {"key": b"k"}, None),
    ("read", GET, {"key": b"k", "stale_ok": 1}, None),
    ("read", GET, {"key": b"none", "lease": 2, "wait": 1}, None),
    ("write", GET, {"key": b"none", "lease": 1}, None),
    ("write", GET, {"key": b"k", "refresh": 0}, None),
    ("read", META, {"key": b"k"}, None),
    ("write", META, {"key": b"k", "refresh": 5}, None),
    ("read", SCAN, {}, None),
    ("write", PUT, {"key": b"new"}, b"v"),
    ("write", PUT, {"key": b"k", "condition": 1, "or_get": 1}, b"v"),
    ("write", DELETE, {"key": b"x"}, None),
    ("write", TOUCH, {"key": b"k"}, None),
    ("write", INCR, {"key": b"n"}, None),
    ("write", INVALIDATE, {"tags": TAG}, None),
    ("write", TAKE, {"key": b"y"}, None),
    ("read", BATCH, {}, entry(GET, {"key": b"k"})),
    ("write", BATCH, {}, entry(PUT, {"key": b"b"}, b"v")),
    ("write", BATCH, {}, entry(DELETE, {"key": b"b"})),
    ("write", RELEASE, {"key": b"k", "token": TOKEN, "give_up": 1}, None),
    ("write", RESUME, {"key": b"k", "token": TOKEN}, None),
    ("write", FLUSH, {}, None),
]


def test_every_command_has_its_place_in_the_list_of_rights():
    named = {kind for _, kind, _, _ in ASKED}
    # Those that name no namespace.
    assert named | {1, 2, 10, 11} == set(range(1, 18))


@pytest.mark.parametrize("client, may", [(WRITER, ("read", "write")), (READER, ("read",)), (STRANGER, ()), (0, ())])
def test_every_command_is_refused_to_who_has_not_the_right(serve, client, may):
    daemon = serve(MODELS)
    owner = daemon.as_uid(WRITER)
    for key in (b"k", b"x", b"y"):
        owner.put(key, b"value", namespace="/models")
    peer = daemon.as_uid(client)
    for right, kind, fields, body in ASKED:
        answer = peer.call(kind, {"namespace": "/models", **fields}, body)
        if right in may:
            assert answer.kind == REPLY, (kind, fields, answer)
        else:
            assert (answer.kind, answer.error) == (ERROR_KIND, FORBIDDEN), (kind, fields, answer)
            assert f"uid {client} may not {right} in /models" in answer.text or kind == BATCH


def test_who_was_refused_has_changed_nothing(serve):
    daemon = serve(MODELS)
    owner, reader = daemon.as_uid(WRITER), daemon.as_uid(READER)
    token = owner.get(b"job", namespace="/models", lease=1).token
    for key in (b"k", b"x", b"y"):
        owner.put(key, b"value", namespace="/models", tags=TAG)
    owner.call(INCR, {"namespace": "/models", "key": b"n"})
    before = owner.call(SCAN, {"namespace": "/models"}).body
    for right, kind, fields, body in ASKED:
        if right == "write":
            reader.call(kind, {"namespace": "/models", **fields}, body)
    assert owner.call(SCAN, {"namespace": "/models"}).body == before
    assert owner.call(INCR, {"namespace": "/models", "key": b"n"}).counter == 2
    # Nobody holds what the reader asked to compute, and the writer's lease is its own.
    assert owner.get(b"none", namespace="/models", lease=1).lease == 1
    assert owner.put(b"job", b"done", namespace="/models", token=token).kind == REPLY


def test_a_value_in_several_segments_needs_the_right_at_its_end_too(serve):
    daemon = serve(MODELS)
    writer = daemon.as_uid(WRITER)
    number = writer.send(PUT, {"namespace": "/models", "key": b"large"}, b"a" * 1000, MORE)
    daemon.reload(f"[namespace /models]\nreaders = {WRITER}\n")
    writer.segment(LAST, b"b" * 1000)
    assert writer.reply(number).error == FORBIDDEN
    assert writer.get(b"large", namespace="/models").status == 1


@pytest.mark.parametrize("name", ["/other", "/models/x", "/", "//models", "/.x", "./cache", "/" + 64 * "x"])
def test_what_is_not_declared_is_refused_and_says_so(serve, name):
    client = serve(MODELS).as_uid(WRITER)
    for kind, fields, body in ((PUT, {"key": b"k"}, b"v"), (GET, {"key": b"k"}, None), (SCAN, {}, None)):
        answer = client.call(kind, {"namespace": name, **fields}, body)
        assert answer.error == BAD_NAMESPACE
        assert "namespaces, not directories" in answer.text
    if name == "/other":
        assert "no shared namespace /other is declared in brined.conf" in answer.text


def test_private_and_shared_namespaces_of_one_name_are_two(serve):
    daemon = serve(MODELS)
    writer = daemon.as_uid(WRITER)
    writer.put(b"k", b"mine", namespace="models")
    writer.put(b"k", b"ours", namespace="/models")
    assert daemon.as_uid(READER).get(b"k", namespace="/models").body == b"ours"
    assert daemon.as_uid(READER).get(b"k", namespace="models").status == 1
    assert writer.get(b"k", namespace="models").body == b"mine"


def test_a_group_of_the_process_counts_whether_it_is_its_first_or_another(serve):
    daemon = serve("[namespace /models]\nreaders = @7001\nwriters = @7002, @7003\n")
    for gid, groups, right in ((7001, (), 1), (5, (7001, 9), 1), (7003, (), 2), (5, (1, 2, 7002), 2),
                               (5, (7000, 7004), 0)):
        client = daemon.as_uid(STRANGER, gid, groups)
        put = client.put(b"k", b"v", namespace="/models")
        got = client.get(b"k", namespace="/models")
        assert (put.error == FORBIDDEN) == (right < 2)
        assert (got.error == FORBIDDEN) == (right < 1)


def test_everybody_may_where_the_list_says_so(serve):
    daemon = serve(f"[namespace /models]\nreaders = *\nwriters = {WRITER}\n")
    daemon.as_uid(WRITER).put(b"k", b"v", namespace="/models")
    assert daemon.as_uid(STRANGER).get(b"k", namespace="/models").body == b"v"
    assert daemon.as_uid(STRANGER).put(b"k", b"w", namespace="/models").error == FORBIDDEN


# ---- what may be stored


def test_a_codec_that_is_not_admitted_is_refused_on_every_way_in(serve):
    client = serve(f"[namespace /json]\nwriters = {WRITER}\ncodecs = json\n").as_uid(WRITER)
    space = {"namespace": "/json"}

    def refused(answer):
        assert (answer.kind, answer.error) == (ERROR_KIND, NOT_ADMITTED), answer

    for codec in (0, 1, 1 + (5 << 8), 2, 3, 5, 6, 7, 255):
        refused(client.put(b"k", b"v", codec=codec, **space))
    number = client.send(PUT, {"key": b"k", "codec": 1, **space}, b"a", MORE)
    client.segment(LAST, b"b")
    refused(client.reply(number))
    refused(client.put(b"k", b"v" * (3 << 20), codec=1, **space))
    refused(client.call(INCR, {"key": b"n", **space}))
    refused(client.put(b"n", bytes(8), codec=6, object_kind=1, **space))
    answer = client.call(BATCH, space, entry(PUT, {"key": b"a", "codec": 4}, b"{}") +
                         entry(PUT, {"key": b"b", "codec": 1}, b"x"))
    refused(answer)
    assert answer.entry == 1
    assert client.call(SCAN, space).count == 0
    assert client.put(b"k", b"{}", codec=4, **space).kind == REPLY


def test_without_pickle_no_bytes_that_run_code_go_in_or_come_out(serve):
    daemon = serve(f"[namespace /models]\nwriters = {WRITER}\n")
    client = daemon.as_uid(WRITER)
    space = {"namespace": "/models"}
    for codec in range(9):
        client.put(b"k%d" % codec, b"v", codec=codec, **space)
    daemon.reload(f"[namespace /models]\nwriters = {WRITER}\nallow_pickle = no\n")
    for codec in range(9):
        runs = codec in (1, 5, 7, 8)
        for kind in (GET, META, TAKE):
            answer = client.call(kind, {"key": b"k%d" % codec, **space})
            assert (answer.status == 1) == runs, (kind, codec)
        answer = client.put(b"k", b"v", codec=codec, **space)
        assert (answer.error == NOT_ADMITTED) == runs
        answer = client.call(TOUCH, {"key": b"k%d" % codec, **space})
        assert answer.status == 1


def test_what_is_not_admitted_any_more_is_in_no_list_and_can_be_removed_for_good(serve):
    text = f"[namespace /models]\nwriters = {WRITER}\n"
    daemon = serve(text)
    client = daemon.as_uid(WRITER)
    space = {"namespace": "/models"}
    for key, codec in ((b"json", 4), (b"kept", 1), (b"deleted", 1), (b"taken", 1), (b"batched", 1)):
        client.put(key, b"v", codec=codec, ack=2, **space)

    def keys():
        page, at, found = client.call(SCAN, space).body, 0, set()
        while page and at < len(page):
            size, length = struct.unpack_from("<HH", page, at)
            found.add(page[at + size - length:at + size])
            at += size
        return found

    assert keys() == {b"json", b"kept", b"deleted", b"taken", b"batched"}
    daemon.reload(text + "allow_pickle = no\n")
    assert keys() == {b"json"}
    assert client.call(DELETE, {"key": b"deleted", **space}).status == 0
    taken = client.call(TAKE, {"key": b"taken", **space})
    assert (taken.status, taken.body) == (1, None)
    assert client.call(BATCH, space, entry(DELETE, {"key": b"batched"})).kind == REPLY
    daemon.reload(text)
    assert keys() == {b"json", b"kept"}
    assert client.get(b"kept", **space).body == b"v"


def test_a_counter_is_a_counter_whatever_codec_it_was_put_with(serve):
    """What INCR makes of it are other bytes: codec and writer are theirs."""
    daemon = serve(f"[namespace /models]\nwriters = {WRITER} {READER}\n")
    daemon.as_uid(WRITER).put(b"n", bytes(8), codec=1, object_kind=1, namespace="/models")
    other = daemon.as_uid(READER)
    assert other.call(INCR, {"key": b"n", "namespace": "/models"}).counter == 1
    got = other.get(b"n", namespace="/models")
    assert (got.codec, got.writer, got.object_kind) == (6, READER, 1)


def test_the_default_time_to_live_is_taken_where_none_is_said(serve):
    client = serve(f"[namespace /models]\nwriters = {WRITER}\ndefault_ttl = 1h\n").as_uid(WRITER)
    space = {"namespace": "/models"}

    def left(key):
        return client.call(META, {"key": key, **space}).ttl_left

    client.put(b"put", b"v", **space)
    client.put(b"said", b"v", ttl=5000000, **space)
    client.put(b"never", b"v", ttl=1 << 63, **space)
    client.call(INCR, {"key": b"incr", **space})
    client.call(BATCH, space, entry(PUT, {"key": b"batch"}, b"v"))
    number = client.send(PUT, {"key": b"upload", **space}, b"a", MORE)
    client.segment(LAST, b"b")
    client.reply(number)
    for key in (b"put", b"incr", b"batch", b"upload"):
        assert 3500000 < left(key) <= 3600000, key
    assert 4900000 < left(b"said") <= 5000000
    assert left(b"never") is None
    client.call(TOUCH, {"key": b"said", **space})
    assert 3500000 < left(b"said") <= 3600000


def test_a_value_over_the_limit_of_its_namespace_is_refused_with_the_limit(serve):
    client = serve(f"[namespace /small]\nwriters = {WRITER}\nmax_value = 8K\n"
                   f"[namespace /quota]\nwriters = {WRITER}\nquota = 1M\n").as_uid(WRITER)
    small = {"namespace": "/small"}
    ways = (lambda size: client.put(b"k", bytes(size), **small),
            lambda size: client.call(BATCH, small, entry(PUT, {"key": b"k"}, bytes(size))))
    for way in ways:
        assert way(8 << 10).kind == REPLY
        assert (way((8 << 10) + 1).error, way((8 << 10) + 1).detail) == (TOO_LARGE, 8 << 10)
    for name, limit in (("/small", 8 << 10), ("/quota", 1 << 20)):
        number = client.send(PUT, {"namespace": name, "key": b"k"}, bytes(limit), MORE)
        client.segment(LAST, b"x")
        answer = client.reply(number)
        assert (answer.error, answer.detail) == (TOO_LARGE, limit)
        answer = client.call(PUT, {"namespace": name, "key": b"k", "length": limit + 1}, b"x", MORE)
        assert (answer.error, answer.detail) == (TOO_LARGE, limit)
        client.segment(LAST, b"x")


def test_a_value_over_the_quota_of_its_user_is_refused_with_the_quota(serve):
    client = serve(f"[user {READER}]\nquota = 2M\n").as_uid(READER)
    answer = client.put(b"k", bytes((2 << 20) + 1))
    assert (answer.error, answer.detail) == (TOO_LARGE, 2 << 20)
    assert client.put(b"k", bytes(1 << 20)).kind == REPLY


# ---- who wrote it


def test_an_object_carries_the_uid_that_wrote_its_bytes(serve):
    daemon = serve(f"[namespace /models]\nwriters = {WRITER} {READER}\n")
    first, second = daemon.as_uid(WRITER), daemon.as_uid(READER)
    space = {"namespace": "/models"}

    def writer(key):
        got = first.call(META, {"key": key, **space})
        pages = first.call(SCAN, {"prefix": key, **space}).body
        assert struct.unpack_from("<I", pages, 12)[0] == got.writer
        return got.writer

    ways = {
        b"put": lambda peer, key: peer.put(key, b"v", **space),
        b"batch": lambda peer, key: peer.call(BATCH, space, entry(PUT, {"key": key}, b"v")),
        b"large": lambda peer, key: peer.put(key, bytes(3 << 20), **space),
        b"incr": lambda peer, key: peer.call(INCR, {"key": key, **space}),
    }
    for key, way in ways.items():
        assert way(first, key).kind == REPLY
        assert writer(key) == WRITER
        # The bytes stay what they are.
        second.call(TOUCH, {"key": key, "ttl": 100000, **space})
        second.get(key, refresh=50000, **space)
        assert writer(key) == WRITER
        assert way(second, key).kind == REPLY
        assert writer(key) == READER


def test_a_touch_of_what_is_not_on_the_disk_yet_keeps_the_writer(serve):
    """The change that it waits in has the record anew."""
    daemon = serve(f"[namespace /models]\nwriters = {WRITER} {READER}\n", "--set", "commit_delay=1s")
    first, second = daemon.as_uid(WRITER), daemon.as_uid(READER)
    for size in (10, 2100, 100000):
        first.put(b"k", bytes(size), namespace="/models")
        second.call(TOUCH, {"key": b"k", "ttl": 100000, "namespace": "/models"})
        assert second.get(b"k", namespace="/models").writer == WRITER


# ---- reload


def test_a_reload_takes_rights_from_who_is_connected(serve):
    daemon = serve(MODELS)
    writer, reader = daemon.as_uid(WRITER), daemon.as_uid(READER)
    writer.put(b"k", b"v", namespace="/models")
    assert reader.get(b"k", namespace="/models").body == b"v"
    daemon.reload(f"[namespace /models]\nreaders = {WRITER}\n")
    assert writer.put(b"k", b"w", namespace="/models").error == FORBIDDEN
    assert writer.get(b"k", namespace="/models").body == b"v"
    assert reader.get(b"k", namespace="/models").error == FORBIDDEN
    daemon.reload(MODELS)
    assert reader.get(b"k", namespace="/models").body == b"v"
    assert writer.put(b"k", b"w", namespace="/models").kind == REPLY


def test_a_reload_knows_the_groups_that_a_client_had_when_it_connected(serve):
    daemon = serve("[namespace /a]\nreaders = @7001\n[namespace /b]\nreaders = @7002\n")
    client = daemon.as_uid(STRANGER, 7002)
    assert client.get(b"k", namespace="/b").status == 1
    daemon.reload("[namespace /b]\nreaders = @7003, @7002\n[namespace /a]\nreaders = @7004\n")
    assert client.get(b"k", namespace="/b").status == 1
    assert client.get(b"k", namespace="/a").error == FORBIDDEN


def test_a_lease_passes_on_when_its_holder_may_not_write_any_more(serve):
    text = f"[namespace /models]\nwriters = {WRITER} {READER}\n"
    daemon = serve(text)
    holder, waiter = daemon.as_uid(WRITER), daemon.as_uid(READER)
    token = holder.get(b"k", namespace="/models", lease=1).token
    number = waiter.send(GET, {"key": b"k", "namespace": "/models", "lease": 1})
    waiter.call(harness.PING)
    daemon.reload(f"[namespace /models]\nwriters = {READER}\nreaders = {WRITER}\n")
    answer = waiter.reply(number)
    assert answer.lease == 1
    assert holder.put(b"k", b"late", namespace="/models", token=token).error == FORBIDDEN
    assert waiter.put(b"k", b"v", namespace="/models", token=answer.token).kind == REPLY


def test_who_waits_where_it_may_not_any_more_is_answered_and_granted_nothing(serve):
    daemon = serve(f"[namespace /models]\nwriters = {WRITER} {READER}\nreaders = {STRANGER}\n")
    holder, computing, watching = (daemon.as_uid(uid) for uid in (WRITER, READER, STRANGER))
    holder.get(b"k", namespace="/models", lease=1)
    compute = computing.send(GET, {"key": b"k", "namespace": "/models", "lease": 1})
    watch = watching.send(GET, {"key": b"k", "namespace": "/models", "lease": 2})
    for client in (computing, watching):
        client.call(harness.PING)
    daemon.reload(f"[namespace /models]\nwriters = {WRITER}\nreaders = {READER}\n")
    assert computing.reply(compute).error == FORBIDDEN
    assert watching.reply(watch).error == FORBIDDEN
    assert holder.put(b"k", b"v", namespace="/models").kind == REPLY
    assert computing.get(b"k", namespace="/models").body == b"v"


def test_a_file_with_an_error_leaves_everything_as_it_was(serve):
    daemon = serve(MODELS)
    writer = daemon.as_uid(WRITER)
    token = writer.get(b"k", namespace="/models", lease=1).token
    daemon.reload(MODELS.replace("readers", "reeders"), good=False)
    assert "brined.conf:2: a section [namespace /NAME] has no `reeders'" in daemon.log()
    assert writer.put(b"k", b"v", namespace="/models", token=token).kind == REPLY


def test_what_is_not_declared_any_more_is_out_of_reach_and_there_again_when_it_is(serve):
    daemon = serve(MODELS)
    writer = daemon.as_uid(WRITER)
    writer.put(b"k", b"v", namespace="/models", ack=2)
    daemon.reload("")
    assert writer.get(b"k", namespace="/models").error == BAD_NAMESPACE
    daemon.stop()
    daemon.start()
    writer = daemon.as_uid(WRITER)
    assert writer.get(b"k", namespace="/models").error == BAD_NAMESPACE
    daemon.reload(MODELS)
    assert writer.get(b"k", namespace="/models").body == b"v"


def test_the_check_finds_what_the_start_would_find(folder):
    file = folder / "x.conf"
    for text, said in (("[namespace /a]\nreaders = no-such-user\n", "there is no user `no-such-user'"),
                       ("[namespace /a]\nquota = 5G\n", "has neither readers nor writers"),
                       ("admin_group = no-such-group\n", "there is no group `no-such-group'")):
        file.write_text(text)
        done = harness.run("--config", str(file), "--check-config")
        assert done.returncode == 1 and said in done.stderr, done
    file.write_text(MODELS)
    assert harness.run("--config", str(file), "--check-config").returncode == 0
