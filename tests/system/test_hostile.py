"""Bytes that no honest client sends, on a raw socket: the daemon lives on and the others are served."""

import array
import os
import random
import socket
import struct
import threading

import pytest

import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))


@pytest.fixture(scope="module")
def shared():
    daemon = peers.Daemon()
    yield daemon
    daemon.close()


@pytest.fixture
def daemon(shared):
    """The shared daemon; afterwards it serves others and has no more descriptors than before."""
    shared.alive()
    shared.close_peers()
    witness = wire.Peer(peers.connect(shared.socket), peers.HUNG)  # must not notice anything
    assert witness.hello().kind == wire.REPLY
    before = shared.descriptors()
    yield shared
    shared.close_peers()
    assert witness.ask("PING").kind == wire.REPLY
    shared.alive()
    wait_until(lambda: shared.descriptors() <= before, "descriptors are left open")
    witness.close()


def wait_until(holds, otherwise):
    """Something that the daemon does on its own account: there is no event to wait for from outside."""
    import time
    deadline = time.monotonic() + peers.HUNG
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def preamble(version=1, kind=2, flags=0, id_=1, header=0, word=0):
    return wire.PREAMBLE.pack(version, kind, flags, id_, header, word)


def expect_closed(peer):
    """The end of the stream, without a reply to what was sent last."""
    try:
        assert peer.read(1) == b""
    except ConnectionResetError:
        pass
    peer.close()


BAD_PREAMBLES = {
    "version_0": preamble(version=0),
    "kind_0": preamble(kind=0),
    "a_reply": preamble(kind=wire.REPLY),
    "an_error": preamble(kind=wire.ERROR),
    "goaway": preamble(kind=wire.GOAWAY),
    "kind_255": preamble(kind=255),
    "header_over_the_limit": preamble(header=wire.HEADER_MAX + 1),
    "header_of_4_gigabytes": preamble(header=0xFFFFFFFF),
    "segment_over_the_limit": preamble(word=wire.LAST << 30 | wire.SEGMENT_MAX + 1),
    "segment_of_a_gigabyte": preamble(word=wire.MORE << 30 | 0x3FFFFFFF),
    "length_without_a_body": preamble(word=1),
    "abort_without_an_error": preamble(word=wire.ABORT << 30),
    "abort_with_a_huge_error": preamble(word=wire.ABORT << 30 | 256),
    "id_skipped": preamble(id_=2),
    "id_repeated": preamble(id_=0),
    "id_of_the_past": preamble(id_=0xFFFFFFFF),
    "second_hello": preamble(kind=1, id_=1),
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n" + b" " * 16,
}


@pytest.mark.parametrize("name", BAD_PREAMBLES)
def test_a_protocol_error_closes_the_connection(daemon, name):
    peer = daemon.peer()
    peer.send(BAD_PREAMBLES[name])
    expect_closed(peer)


FIRST_FRAMES = {
    "ping": wire.Frame("PING", 0).encode(),
    "get": wire.Frame("GET", 0, {"KEY": b"k"}).encode(),
    "hello_with_id_1": wire.Frame("HELLO", 1).encode(),
    "hello_of_version_2": wire.Frame("HELLO", 0, version=2).encode(),
    "hello_with_a_malformed_header": wire.Frame("HELLO", 0, header=b"\xc1").encode(),
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("16030100c2010000be0303") + bytes(64),
}


@pytest.mark.parametrize("name", FIRST_FRAMES)
def test_without_hello_first_the_connection_is_closed(daemon, name):
    peer = daemon.peer(hello=False)
    peer.send(FIRST_FRAMES[name])
    expect_closed(peer)


def test_what_came_before_a_protocol_error_was_done(daemon):
    peer = daemon.peer()
    peer.send(wire.Frame("PUT", 1, {"KEY": b"before", "ACK": 2}, b"x").encode() + preamble(version=0, id_=2))
    while peer.read(4096):
        pass
    other = daemon.peer()
    assert other.ask("GET", {"KEY": b"before"}).body == b"x"
    other.close()


@pytest.mark.parametrize("sent", [0, 1, 7, 15, 16, 20, 40])
def test_a_connection_that_ends_within_a_frame_leaves_nothing(daemon, sent):
    peer = daemon.peer()
    frame = wire.Frame("PUT", 1, {"KEY": b"half", "CODEC": 2}, b"a value that never arrives").encode()
    peer.send(frame[:sent])
    peer.sock.shutdown(socket.SHUT_WR)
    expect_closed(peer)
    other = daemon.peer()
    assert other.ask("GET", {"KEY": b"half"}).named == {"STATUS": 1}
    other.close()


def test_a_connection_that_ends_within_a_large_value_leaves_nothing(daemon):
    peer = daemon.peer()
    part = (wire.MORE, bytes(wire.SEGMENT_MAX))
    peer.send(wire.Frame("PUT", 1, {"KEY": b"half"}, segments=[part, part, part]).encode())
    peer.close()
    other = daemon.peer()
    assert other.ask("GET", {"KEY": b"half"}).named == {"STATUS": 1}
    other.close()


def test_requests_may_arrive_byte_by_byte(daemon):
    peer = daemon.peer()
    frames = wire.Frame("PUT", 1, {"KEY": b"slow", "LENGTH": 6},
                        segments=[(wire.MORE, b"val"), (wire.MORE, b""), (wire.LAST, b"ue!")]).encode()
    frames += wire.Frame("GET", 2, {"KEY": b"slow"}).encode()
    for byte in frames:
        peer.send(bytes([byte]))
    replies = {reply.id: reply for reply in (peer.receive(), peer.receive())}
    assert replies[1].kind == wire.REPLY
    assert replies[2].body == b"value!"
    peer.close()


def test_a_body_without_end_is_refused_in_bounded_memory(daemon):
    peer = daemon.peer()
    limit = peer.ask("PING") and daemon_limit(daemon)
    before = daemon.memory()
    peer.send(wire.Frame("PUT", peer.next_id, {"KEY": b"endless"},
                         segments=[(wire.MORE, bytes(wire.SEGMENT_MAX))]).encode())
    part = struct.pack("<I", wire.segment_word(wire.MORE, bytes(wire.SEGMENT_MAX))) + bytes(wire.SEGMENT_MAX)
    for _ in range(limit // wire.SEGMENT_MAX + 200):
        peer.send(part)
    # What waits for the disk, and a commit's dirty pages.
    daemon.expect_growth_below(64 << 20, before)
    reply = peer.receive()
    assert reply.named["ERROR"] == wire.ERRORS["TOO_LARGE"]
    assert reply.named["DETAIL"] == limit
    peer.send(struct.pack("<I", wire.segment_word(wire.ABORT, 39)))
    peer.next_id += 1
    assert peer.ask("PING").kind == wire.REPLY  # one reply for the put, and no second one for its abort
    peer.close()


def daemon_limit(daemon):
    peer = daemon.peer(hello=False)
    limit = peer.hello().named["MAX_VALUE"]
    peer.close()
    return limit


def test_empty_segments_without_end_cost_nothing(daemon):
    peer = daemon.peer()
    before = daemon.memory()
    empty = struct.pack("<I", wire.segment_word(wire.MORE, b""))
    peer.send(wire.Frame("PUT", 1, {"KEY": b"empty"}, segments=[(wire.MORE, b"")]).encode())
    for _ in range(100):
        peer.send(empty * 10000)
    peer.send(struct.pack("<I", wire.segment_word(wire.LAST, b"x")) + b"x")
    peer.next_id = 2
    assert peer.receive().kind == wire.REPLY
    daemon.expect_growth_below(8 << 20, before)
    assert peer.ask("GET", {"KEY": b"empty"}).body == b"x"
    peer.close()


def test_70000_pings_without_reading_are_answered_in_bounded_memory_or_closed(daemon):
    peer = daemon.peer()
    before = daemon.memory()
    pings = b"".join(wire.Frame("PING", id_).encode() for id_ in range(1, 70001))
    peer.sock.settimeout(2)
    sent = 0
    try:
        while sent < len(pings):
            sent += peer.sock.send(pings[sent:sent + (1 << 16)])
    except (TimeoutError, ConnectionError):
        pass  # the daemon stopped reading, or closed
    daemon.expect_growth_below(16 << 20, before)
    daemon.alive()
    peer.sock.settimeout(peers.HUNG)
    rest = threading.Thread(target=send_quietly, args=(peer, pings[sent:]))
    rest.start()
    answered = 0
    try:
        for _ in range(70000):
            reply = peer.receive()
            if reply is None:
                break
            assert reply.id == answered + 1
            answered += 1
    except (ConnectionError, EOFError):
        pass
    rest.join()
    assert answered == 70000 or answered <= 65536
    peer.close()


def send_quietly(peer, data):
    try:
        peer.send(data)
    except OSError:
        pass


def test_a_client_that_does_not_read_is_held_up_alone(daemon):
    """It asks for a hundred megabytes and takes none of them."""
    value = random.Random(1).randbytes(1 << 20)
    writer = daemon.peer()
    assert writer.ask("PUT", {"KEY": b"large"}, value).kind == wire.REPLY
    before = daemon.memory()
    deaf = daemon.peer()
    asking = threading.Thread(target=send_quietly, args=(
        deaf, b"".join(wire.Frame("GET", id_, {"KEY": b"large"}).encode() for id_ in range(1, 101))))
    asking.start()
    for _ in range(50):
        assert writer.ask("GET", {"KEY": b"large"}).body == value
    daemon.expect_growth_below(48 << 20, before)
    for _ in range(100):  # and once it reads, it gets them all
        assert deaf.receive().body == value
    asking.join()
    deaf.close()
    writer.close()


def test_requests_behind_one_that_fills_the_outbox_are_not_forgotten(daemon):
    """All of them were received with one read; the first is the longest."""
    peer = daemon.peer()
    value = bytes(1 << 20)
    assert peer.ask("PUT", {"KEY": b"k"}, value).kind == wire.REPLY
    frames = [wire.Frame("GET", 2, {"KEY": b"k", 200: bytes(40000)})]
    frames += [wire.Frame("PING", id_) for id_ in range(3, 13)]
    peer.send(b"".join(frame.encode() for frame in frames))
    replies = {reply.id: reply for reply in (peer.receive() for _ in frames)}
    assert replies[2].body == value
    peer.close()


@pytest.fixture
def strict():
    """A daemon with little patience and little memory for half requests."""
    daemon = peers.Daemon("idle_timeout=200ms", "receive_size=4M")
    yield daemon
    daemon.close()


def test_idle_connections_keep_no_large_buffers(strict):
    """Each has put a megabyte before: together more than all half requests may hold."""
    value = bytes(1 << 20)
    idle = [strict.peer() for _ in range(12)]
    for peer in idle:
        assert peer.ask("PUT", {"KEY": b"k"}, value).kind == wire.REPLY
    other = strict.peer()
    for _ in range(3):
        assert other.ask("PUT", {"KEY": b"k"}, value).kind == wire.REPLY
    for peer in idle:
        assert peer.ask("PING").kind == wire.REPLY


@pytest.mark.parametrize("half", [
    b"\x01", wire.Frame("PING", 1).encode()[:15],
    wire.Frame("PUT", 1, {"KEY": b"k"}, b"value").encode()[:-1],
    wire.Frame("PUT", 1, {"KEY": b"k"}, segments=[(wire.MORE, b"value")]).encode(),
    wire.Frame("PUT", 1, {"KEY": b"k"}, segments=[(wire.MORE, bytes(1 << 20))]).encode() + b"\x00",
    wire.Frame(99, 1, segments=[(wire.MORE, b"value")]).encode(),
], ids=["a_byte", "preamble", "body", "more", "large", "discarded"])
def test_half_a_request_is_not_waited_for_for_ever(strict, half):
    idle = strict.peer()
    peer = strict.peer()
    peer.send(half)
    while peer.read(1):
        pass
    assert idle.ask("PING").kind == wire.REPLY  # who owes nothing stays


def test_a_client_that_never_reads_is_sent_away(strict):
    idle = strict.peer()
    assert idle.ask("PUT", {"KEY": b"k"}, bytes(1 << 20)).kind == wire.REPLY
    deaf = strict.peer()
    for id_ in range(1, 5):
        deaf.send(wire.Frame("GET", id_, {"KEY": b"k"}))
    before = strict.descriptors()
    wait_until(lambda: strict.descriptors() < before, "it is still connected")
    assert idle.ask("PING").kind == wire.REPLY


def test_a_trickle_of_bytes_holds_no_memory_that_others_need(strict):
    """A hundred clients send a megabyte each, a byte now and then, and never finish."""
    start = wire.Frame("PUT", 1, {"KEY": b"k"}, bytes(1 << 20)).encode()[:70000]
    slow = [strict.peer() for _ in range(100)]
    for peer in slow:
        peer.send(start)
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.05):
            for peer in slow:
                send_quietly(peer, b"\0")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        other = strict.peer()
        for _ in range(3):
            assert other.ask("PUT", {"KEY": b"whole"}, bytes(1 << 20)).kind == wire.REPLY
            assert other.ask("GET", {"KEY": b"whole"}).body == bytes(1 << 20)
    finally:
        stop.set()
        thread.join()


def test_half_requests_on_many_connections_do_not_stop_the_others(daemon):
    halves = []
    for length in range(1, 65):
        peer = daemon.peer()
        frame = wire.Frame("PUT", 1, {"KEY": b"k" * length}, bytes(1 << 20)).encode()
        peer.send(frame[:length * 1000])
        halves.append(peer)
    other = daemon.peer()
    large = bytes(1 << 20)
    assert other.ask("PUT", {"KEY": b"whole"}, b"x").kind == wire.REPLY
    assert other.ask("GET", {"KEY": b"whole"}).body == b"x"
    assert other.ask("PUT", {"KEY": b"large"}, large).kind == wire.REPLY
    assert other.ask("GET", {"KEY": b"large"}).body == large


def test_beyond_max_connections_a_client_is_told_and_the_others_are_served():
    daemon = peers.Daemon("max_connections=20")
    try:
        admitted = [daemon.peer() for _ in range(20)]
        for _ in range(30):
            peer = wire.Peer(peers.connect(daemon.socket), peers.HUNG)
            send_quietly(peer, wire.Frame("HELLO", 0).encode() + wire.Frame("PING", 1).encode())
            try:
                reply = peer.receive()
                if reply is not None:
                    assert reply.named["ERROR"] == wire.ERRORS["BUSY"]
                    assert peer.receive() is None
            except ConnectionError:
                pass
            peer.close()
        assert all(peer.ask("PING").kind == wire.REPLY for peer in admitted)
        admitted.pop().close()
        wait_until(lambda: admits(daemon), "the room of one that left is not given to another")
    finally:
        daemon.close()


def admits(daemon):
    peer = wire.Peer(peers.connect(daemon.socket), peers.HUNG)
    try:
        return peer.hello().kind == wire.REPLY
    except (AssertionError, ConnectionError):
        return False
    finally:
        peer.close()


def send_with_descriptors(peer, data, count):
    descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    try:
        peer.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("count", [1, 2, 253])
def test_descriptors_that_nobody_asked_for_are_closed(daemon, count):
    peer = daemon.peer()
    before = daemon.descriptors()
    for id_ in range(1, 21):
        send_with_descriptors(peer, wire.Frame("PING", id_).encode(), count)
        assert peer.receive().id == id_
    assert daemon.descriptors() == before
    peer.close()


def test_descriptors_within_a_frame_are_closed(daemon):
    peer = daemon.peer()
    before = daemon.descriptors()
    frame = wire.Frame("PUT", 1, {"KEY": b"k"}, b"value").encode()
    send_with_descriptors(peer, frame[:10], 3)
    send_with_descriptors(peer, frame[10:20], 3)
    send_with_descriptors(peer, frame[20:], 3)
    assert peer.receive().id == 1
    assert daemon.descriptors() == before
    peer.close()


def test_descriptors_with_the_flag_are_closed_too(daemon):
    peer = daemon.peer()
    before = daemon.descriptors()
    send_with_descriptors(peer, wire.Frame("PUT", 1, {"KEY": b"k"}, b"value", flags=1).encode(), 1)
    reply = peer.receive()
    assert reply.named["ERROR"] == wire.ERRORS["UNSUPPORTED"]
    assert daemon.descriptors() == before
    peer.next_id = 2
    assert peer.ask("PING").kind == wire.REPLY
    peer.close()


def test_descriptors_are_closed_on_a_connection_that_says_nothing_else(daemon):
    peer = daemon.peer(hello=False)
    send_with_descriptors(peer, b"\x01", 5)
    peer.close()  # the fixture counts


HEADERS = {
    "not_msgpack": b"\xc1",
    "not_a_map": b"\x90",
    "cut": b"\x82\x02\xc4\x05ab",
    "trailing": b"\x81\x02\xc4\x01a\x00",
    "key_twice": b"\x82\x02\xc4\x01a\x02\xc4\x01b",
    "map_of_4_billion": b"\xdf\xff\xff\xff\xff",
    "map_of_65535": b"\xde\xff\xff",
    "array_of_4_billion": b"\x81\xcc\x82\xdd\xff\xff\xff\xff",
    "deep": b"\x81\xcc\x82" + b"\x91" * 60000 + b"\xc0",
    "bin_of_4_gigabytes": b"\x81\x02\xc6\xff\xff\xff\xff",
    "key_is_a_number": b"\x81\x02\x05",
    "ttl_is_negative": b"\x82\x02\xc4\x01a\x03\xff",
    "full_of_zeros": bytes(65536),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_malformed_header_is_refused_and_the_connection_goes_on(daemon, name):
    peer = daemon.peer()
    reply = peer.ask("GET", header=HEADERS[name])
    assert reply.named["ERROR"] == wire.ERRORS["BAD_REQUEST"]
    assert reply.body is None
    reply = peer.ask("PUT", header=HEADERS[name], body=b"the body is read and forgotten")
    assert reply.named["ERROR"] == wire.ERRORS["BAD_REQUEST"]
    assert peer.ask("PING").kind == wire.REPLY
    peer.close()


def test_any_bytes_after_hello_leave_the_daemon_alive(daemon):
    seed = int(os.environ.get("BRINE_SEED", random.randrange(1 << 32)))
    print(f"BRINE_SEED={seed}")
    chance = random.Random(seed)
    frame = wire.Frame("PUT", 1, {"KEY": b"key", "TTL": 1000, "CODEC": 1}, b"value" * 20).encode()
    frame += wire.Frame("GET", 2, {"KEY": b"key"}).encode() + wire.Frame("SCAN", 3, {"LIMIT": 3}).encode()
    for _ in range(300):
        data = bytearray(frame)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        peer = daemon.peer()
        send_quietly(peer, bytes(data))
        peer.sock.shutdown(socket.SHUT_WR)
        try:
            while (reply := peer.receive()) is not None:
                assert reply.kind in (wire.REPLY, wire.ERROR)
        except (ConnectionError, EOFError):
            pass
        peer.close()


def test_a_thousand_connections_come_and_go(daemon):
    before = daemon.memory()
    for _ in range(10):
        crowd = [daemon.peer() for _ in range(100)]
        for peer in crowd:
            peer.close()
    daemon.expect_growth_below(16 << 20, before)


def test_scans_whose_pages_nobody_reads_hold_bounded_memory(daemon):
    peer = daemon.peer()
    for i in range(3000):
        peer.request("PUT", {"KEY": b"%d" % i + b"k" * 900}, b"")
    for _ in range(3000):
        assert peer.receive().kind == wire.REPLY
    before = daemon.memory()
    others = [daemon.peer() for _ in range(16)]
    for other in others:
        for _ in range(64):
            other.request("SCAN", {"LIMIT": 4096})
    daemon.alive()
    daemon.expect_growth_below(100 << 20, before)
