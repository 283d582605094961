"""What a client sees of a daemon that runs: commands, limits, other clients' misdeeds."""

import contextlib
import os
import socket
import struct

import pytest

import harness
from harness import (ABORT, DELETE, ERROR_KIND, FLUSH, GET, HELLO, LAST, META, MORE, PING,
                     PUT, REPLY, SCAN, STATS, SYNC, TOUCH)


def test_hello_says_who_and_what(client):
    assert client.hello.protocol == 1
    assert client.hello.uid == os.geteuid()
    assert client.hello.max_value > 0


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 100_000, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_a_value_comes_back(client, size):
    value = os.urandom(size)
    put = client.put(b"k", value, codec=2)
    assert put.kind == REPLY, put
    got = client.get(b"k")
    assert got.body == value
    assert (got.version, got.length, got.codec) == (put.version, size, 2)
    assert got.writer == os.geteuid()
    meta = client.call(META, {"key": b"k"})
    assert meta.body is None and meta.length == size


def test_an_absent_key_is_a_miss(client):
    assert client.get(b"nothing").status == 1


def test_put_conditions_are_answers(client):
    first = client.put(b"k", b"1")
    assert client.put(b"k", b"2", condition=1).error == harness.EXISTS
    assert client.put(b"l", b"2", condition=2).error == harness.ABSENT
    assert client.put(b"k", b"2", condition=3, version=first.version + 1).error == \
        harness.CHANGED
    assert client.put(b"k", b"2", condition=3, version=first.version).kind == REPLY
    assert client.get(b"k").body == b"2"


def test_delete_touch_flush_scan_sync(client):
    for i in range(10):
        client.put(b"user:%d" % i, b"v", namespace="web")
    assert client.call(TOUCH, {"namespace": "web", "key": b"user:1", "ttl": 60000}).status == 0
    assert 0 < client.get(b"user:1", namespace="web").ttl_left <= 60000
    assert client.call(DELETE, {"namespace": "web", "key": b"user:0"}).status == 0
    assert client.call(DELETE, {"namespace": "web", "key": b"user:0"}).status == 1
    seen, cursor = [], None
    while True:
        page = client.call(SCAN, {"namespace": "web", "limit": 4, "prefix": b"user:",
                                  **({"cursor": cursor} if cursor else {})})
        at, body = 0, page.body or b""
        while at < len(body):
            length, key = struct.unpack_from("<HH", body, at)
            seen.append(body[at + 40:at + 40 + key])
            at += length
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(seen) == [b"user:%d" % i for i in range(1, 10)]
    assert client.call(SYNC).kind == REPLY
    assert client.call(FLUSH, {"namespace": "web"}).status == 0
    assert client.get(b"user:1", namespace="web").status == 1


def test_stats_have_the_daemons_lines_and_the_caches(client):
    client.put(b"k", b"v", namespace="web")
    client.get(b"k", namespace="web")
    client.call(99)
    stats = client.stats()
    assert stats["", "connections"] == "1"
    assert stats["", "requests_get"] == "1"
    assert stats["", "errors_unsupported"] == "1"
    assert int(stats["", "uptime_ms"]) >= 0
    assert any(scope == "web" for scope, _ in stats)


def test_pipelined_requests_are_all_answered(client):
    client.put(b"k", b"v" * 100)
    numbers, raw = [], b""
    for i in range(5000):
        number, one = client.frame(*((GET, {"key": b"k"}) if i % 2 else
                                     (PUT, {"key": b"p%d" % i}, b"x" * 50)))
        numbers.append(number)
        raw += one
        if len(raw) > 30000:
            client.socket.sendall(raw)
            raw = b""
            for one in numbers:
                assert client.reply(one).kind == REPLY
            numbers = []


def test_what_was_put_is_there_after_a_restart(make_daemon):
    daemon = make_daemon()
    large = os.urandom(3_000_000)
    with daemon.client() as client:
        client.put(b"small", b"value")
        client.put(b"large", large)
    assert daemon.stop() == 0
    daemon.start()
    with daemon.client() as client:
        assert client.get(b"small").body == b"value"
        assert client.get(b"large").body == large
    assert daemon.stop() == 0


def test_bad_requests_are_refused_and_the_connection_goes_on(client, daemon):
    cases = [
        (PUT, {"key": b"k", "ttl": 0}, b"v", harness.BAD_REQUEST, None),
        (PUT, {"key": b"k", "codec": 1 << 32}, b"v", harness.BAD_REQUEST, None),
        (PUT, {"key": b"k", "condition": 4}, b"v", harness.UNSUPPORTED, 7),
        (PUT, {"key": b"k", "object_kind": 1}, b"v", harness.BAD_REQUEST, None),
        (PUT, {"key": b"k", "length": 2}, b"v", harness.BAD_REQUEST, None),
        (PUT, {"key": b"k"}, None, harness.BAD_REQUEST, None),
        (PUT, {"key": b"k", 28: 1}, b"v", harness.UNSUPPORTED, 28),
        (GET, {"key": b"k", "ttl": 5}, None, harness.UNSUPPORTED, 3),
        (GET, {"key": b"k", "status": 5}, None, harness.UNSUPPORTED, 64),
        (GET, {"key": b"k"}, b"body", harness.BAD_REQUEST, None),
        (GET, {"key": b""}, None, harness.BAD_KEY, None),
        (GET, {"key": b"\xc3"}, None, harness.BAD_KEY, None),
        (GET, {}, None, harness.BAD_REQUEST, None),
        (GET, {"key": b"k", "namespace": "a b"}, None, harness.BAD_NAMESPACE, None),
        (GET, {"key": b"k", "namespace": "x" * 65}, None, harness.BAD_NAMESPACE, None),
        (SCAN, {"limit": 0}, None, harness.BAD_REQUEST, None),
        (SCAN, {"limit": 4097}, None, harness.BAD_REQUEST, None),
        (SCAN, {"cursor": b"x" * 65}, None, harness.BAD_REQUEST, None),
        (99, {}, b"body", harness.UNSUPPORTED, None),
    ]
    for kind, fields, body, error, detail in cases:
        got = client.call(kind, fields, body)
        assert (got.error, got.detail) == (error, detail), (kind, fields, got)
    assert client.get(b"k", **{}).status == 1
    got = client.get(b"k", namespace="./cache")
    assert got.error == harness.BAD_NAMESPACE
    assert got.text == ("Brine has namespaces, not directories; your data is in "
                        f"{daemon.data}")
    ignored = client.call(GET, {"key": b"k", 200: 7})
    assert ignored.status == 1


def test_a_value_over_the_limit_is_refused_with_the_limit(make_daemon):
    daemon = make_daemon("--set", "max_size=64M", "--set", "max_value=2M")
    with daemon.client() as client:
        assert client.hello.max_value == 2 << 20
        number = client.send(PUT, {"key": b"k", "length": 3 << 20}, b"x" * (1 << 20), MORE)
        got = client.reply(number)
        assert (got.error, got.detail) == (harness.TOO_LARGE, 2 << 20)
        client.segment(ABORT, error=harness.ABORTED)
        number = client.send(PUT, {"key": b"k"}, b"x" * (1 << 20), MORE)
        client.segment(MORE, b"x" * (1 << 20))
        client.segment(LAST, b"x")
        assert client.reply(number).error == harness.TOO_LARGE
        assert client.call(PING).kind == REPLY


def test_an_aborted_put_stores_nothing(client):
    number = client.send(PUT, {"key": b"k"}, b"x" * 1000, MORE)
    client.segment(ABORT, error=harness.ABORTED)
    assert client.reply(number).error == harness.ABORTED
    assert client.get(b"k").status == 1


@pytest.mark.parametrize("raw", [
    bytes(16), b"\x01\x02" + bytes(14), b"GET / HTTP/1.1\r\n\r\n",
    b"\x01\x01" + bytes(6) + b"\xff\xff\xff\xff" + bytes(4), os.urandom(4096),
])
def test_hostile_bytes_end_only_their_own_connection(daemon, client, raw):
    with daemon.client(hello=False) as hostile:
        hostile.socket.sendall(raw)
        hostile.socket.shutdown(socket.SHUT_WR)
        try:
            assert hostile.socket.recv(100) == b""
        except ConnectionResetError:
            pass
    assert client.call(PING).kind == REPLY


def test_half_a_request_is_dropped_after_the_idle_timeout(make_daemon):
    daemon = make_daemon("--set", "idle_timeout=100ms")
    with daemon.client() as idle, daemon.client() as half:
        half.socket.sendall(b"\x01\x02\x00")
        assert half.socket.recv(1) == b""
        assert idle.call(PING).kind == REPLY


def test_a_client_that_reads_nothing_does_not_hold_up_another(daemon, client):
    client.put(b"big", os.urandom(1 << 20))
    with daemon.client() as greedy:
        greedy.socket.setblocking(False)
        try:
            while True:
                greedy.socket.send(greedy.frame(GET, {"key": b"big"})[1])
        except BlockingIOError:
            pass
        for _ in range(100):
            assert client.call(PING).kind == REPLY


def test_too_many_clients_are_told_so(make_daemon):
    daemon = make_daemon("--set", "max_connections=4")
    clients = [daemon.client() for _ in range(4)]
    with daemon.client(hello=False) as late:
        with contextlib.suppress(BrokenPipeError):
            late.send(HELLO)
        frame = late.read()
        assert (frame.kind, frame.error) == (ERROR_KIND, harness.BUSY)
        # HELLO may come when the daemon has closed already: a reset then, behind the answer.
        with pytest.raises((harness.Closed, ConnectionResetError)):
            late.read()
    clients.pop().socket.close()
    for client in clients:
        assert client.call(PING).kind == REPLY
        client.socket.close()


def test_without_descriptors_idle_clients_make_room(make_daemon):
    daemon = make_daemon("--set", "max_connections=100000", descriptors=200)
    clients = [daemon.client() for _ in range(150)]
    assert clients[-1].call(PING).kind == REPLY
    with pytest.raises((harness.Closed, ConnectionError)):
        clients[0].call(PING)
    assert "no descriptor is left" in daemon.log()
    for client in clients:
        client.socket.close()
