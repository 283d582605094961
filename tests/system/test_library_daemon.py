"""libbrine.so with the real daemon: every call once, restarts under an open handle, large values."""

import ctypes
import os
import pathlib
import re
import signal
import threading
import time

import pytest

import harness
from clibrary import (DeleteOptions, Handle, HIT, Meta, MISS, TouchOptions, byref, pointer, size_t,
                      u64)
from clibrary import handle, library  # noqa: F401  fixtures

EXISTS, CHANGED, BAD_ARGUMENT = -65, -66, -134
NEVER = UNKNOWN = 2**64 - 1
IF_ABSENT, IF_VERSION, ACK_DISK = 1, 3, 2


def test_every_call_does_what_the_header_says(handle):
    assert handle.ping(None) == 0, handle.message()
    assert handle.read(b"k") == MISS
    result, first = handle.write(b"k", b"one", codec=2, ttl_ms=60000, cost_us=1234)
    assert (result, handle.message()) == (0, "")
    value, meta = handle.read(b"k")
    assert value == b"one"
    assert (meta.version, meta.length, meta.codec, meta.cost_us) == (first, 3, 2, 1234)
    assert 0 < meta.ttl_left_ms <= 60000 and meta.writer_uid == os.geteuid()
    assert handle.write(b"k", b"x", condition=IF_ABSENT)[0] == EXISTS
    assert "exists" in handle.message()
    result, second = handle.write(b"k", b"two", condition=IF_VERSION, version=first)
    assert result == 0 and second > first
    assert handle.write(b"k", b"x", condition=IF_VERSION, version=first)[0] == CHANGED
    assert handle.read(b"k", not_version=second) == MISS
    assert handle.read(b"k", max_age_ms=3600000)[0] == b"two"
    assert handle.read(b"k")[1].ttl_left_ms == NEVER
    assert handle.touch(b"k", size_t(1), byref(TouchOptions(ttl_ms=5000))) == 0
    meta = Meta()
    assert handle.meta(b"k", size_t(1), None, byref(meta)) == HIT
    assert meta.version == second and 0 < meta.ttl_left_ms <= 5000
    assert handle.delete(b"k", size_t(1), byref(DeleteOptions(version=first))) == CHANGED
    assert handle.delete(b"k", size_t(1), None) == 0
    assert handle.delete(b"k", size_t(1), None) == MISS
    assert handle.touch(b"k", size_t(1), None) == MISS
    assert handle.write(b"k", b"web", namespace_name=b"web")[0] == 0
    assert handle.read(b"k") == MISS
    assert handle.read(b"k", namespace_name=b"web")[0] == b"web"
    assert handle.flush(b"web") == 0
    assert handle.read(b"k", namespace_name=b"web") == MISS
    assert handle.write(b"empty", b"")[0] == 0
    assert handle.read(b"empty")[0] == b""
    assert handle.sync() == 0
    stats = pointer()
    assert handle.stats(byref(stats)) == 0
    handle.library.brine_value_release(byref(stats))


def test_a_scan_meets_each_key_once_over_many_pages(handle):
    names = {b"page:%d" % number for number in range(2500)}
    for name in names:
        assert handle.write(name, name)[0] == 0
    assert handle.write(b"other", b"x")[0] == 0
    found = handle.keys(prefix=b"page:", prefix_len=5, page=300)
    assert len(found) == 2500 and {key for key, _, _ in found} == names
    assert all(length == len(key) and not shortened for key, length, shortened in found)
    assert len(handle.keys()) == 2501


def test_a_long_text_is_one_key_however_it_ends(handle):
    key, coded = ctypes.create_string_buffer(1280), pointer()
    for end in (b"a", b"b"):
        name = b"x" * 5000 + end
        length = handle.library.brine_key_text(key, name, size_t(len(name)), byref(coded))
        assert length == 1024
        assert handle.write(ctypes.string_at(coded, length), end)[0] == 0
    assert sorted(shortened for _, _, shortened in handle.keys()) == [1, 1]
    assert handle.read(ctypes.string_at(coded, 1024))[0] == b"b"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_handle_survives_restarts_of_the_daemon(handle, daemon, number):
    for round_ in range(3):
        value = b"round %d" % round_
        assert handle.write(b"k", value, ack=ACK_DISK)[0] == 0, handle.message()
        daemon.signal(number)
        daemon.wait()
        daemon.start()
        if round_ % 2:  # what may not be sent twice is not sent into the old connection
            result, _ = handle.write(b"fresh%d" % round_, b"v", condition=IF_ABSENT)
            assert result == 0, handle.message()
        assert handle.read(b"k")[0] == value, handle.message()


class Busy(threading.Thread):
    """Puts and gets without a pause until it is stopped; what failed is in failures."""

    def __init__(self, handle, number):
        super().__init__()
        self.handle, self.key = handle, b"busy %d" % number
        self.failures, self.rounds, self.stopped = [], 0, False

    def read(self):
        got = self.handle.read(self.key)
        return got if isinstance(got, int) else got[0]

    def run(self):
        while not self.stopped:
            self.rounds += 1
            value, once = b"%d" % self.rounds, b"%s:%d" % (self.key, self.rounds)
            for call, expected in (
                    (lambda: self.handle.write(self.key, value)[0], 0),
                    (lambda: self.read(), value),
                    (lambda: self.handle.write(once, value, condition=IF_ABSENT)[0], 0),
                    (lambda: self.handle.sync(), 0)):
                result = call()
                if result != expected:
                    self.failures.append((self.rounds, result, expected, self.handle.message()))


@pytest.mark.parametrize("overlap", [False, True], ids=["after_it", "while_it_leaves"])
def test_clients_at_work_notice_nothing_of_an_orderly_restart(library, make_daemon, overlap):
    """The next daemon comes after the last has gone, or waits already while it leaves."""
    daemon = make_daemon()
    handles = [Handle(library, daemon.socket, timeout_ms=10000) for _ in range(4)]
    busy = [Busy(handle, number) for number, handle in enumerate(handles)]
    for thread in busy:
        thread.start()
    try:
        for number in range(1, 6):
            rounds = [thread.rounds for thread in busy]
            until = time.monotonic() + harness.DEADLINE
            while any(thread.rounds < before + 3 for thread, before in zip(busy, rounds)):
                assert time.monotonic() < until
                time.sleep(0.001)
            old = daemon.process
            old.send_signal(signal.SIGTERM)
            if overlap:
                daemon.wait_log("leaving", times=number)
            else:
                old.wait(harness.DEADLINE)
            daemon.start()
            assert old.wait(harness.DEADLINE) == 0
    finally:
        for thread in busy:
            thread.stopped = True
        for thread in busy:
            thread.join()
    assert [thread.failures for thread in busy] == [[]] * 4
    for handle in handles:
        handle.close()


def high_water():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


def test_a_large_file_streams_both_ways_in_little_memory(handle):
    size = 96 << 20
    block = os.urandom(1 << 20)
    source, sink = os.memfd_create("source"), os.memfd_create("sink")
    try:
        for number in range(size >> 20):
            os.pwrite(source, block[number:] + block[:number], number << 20)
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before = high_water()
        meta = Meta()
        assert handle.put_fd(b"large", size_t(5), source, None, None) == 0, handle.message()
        assert handle.get_fd(b"large", size_t(5), sink, None, byref(meta)) == HIT, handle.message()
        assert meta.length == size
        assert high_water() - before < 64 << 20
        for number in range(size >> 20):
            assert os.pread(sink, 1 << 20, number << 20) == block[number:] + block[:number]
    finally:
        os.close(source)
        os.close(sink)


def test_a_stream_of_unknown_length_is_stored_whole_or_not_at_all(handle):
    upload, version = pointer(), u64()
    finish, abort = handle.library.brine_put_finish, handle.library.brine_put_abort
    write = handle.library.brine_put_write
    assert handle.put_begin(b"k", size_t(1), u64(UNKNOWN), None, byref(upload)) == 0
    for part in (b"abc", b"d" * 3000000, b""):
        assert write(upload, part, size_t(len(part))) == 0, handle.message()
    assert handle.read(b"k") == BAD_ARGUMENT  # the handle is busy
    assert finish(byref(upload), byref(version)) == 0, handle.message()
    value, meta = handle.read(b"k")
    assert value == b"abc" + b"d" * 3000000 and meta.version == version.value
    assert handle.put_begin(b"k", size_t(1), u64(UNKNOWN), None, byref(upload)) == 0
    assert write(upload, b"half", size_t(4)) == 0
    abort(byref(upload))
    assert handle.read(b"k")[0] == value
    # A value of exactly the announced length, in one small piece.
    assert handle.put_begin(b"k", size_t(1), u64(4), None, byref(upload)) == 0
    assert write(upload, b"four", size_t(4)) == 0
    assert finish(byref(upload), None) == 0, handle.message()
    assert handle.read(b"k")[0] == b"four"


def test_what_is_too_large_is_refused_with_both_sizes(library, make_daemon):
    daemon = make_daemon("--set", "max_value=2M")
    handle = Handle(library, daemon.socket)
    assert handle.write(b"k", b"x" * (3 << 20))[0] == -34
    assert str(2 << 20) in handle.message() and str(3 << 20) in handle.message()
    upload = pointer()
    handle.put_begin(b"k", size_t(1), u64(5 << 20), None, byref(upload))
    results = [library.brine_put_write(upload, b"x" * (1 << 20), size_t(1 << 20))
               for _ in range(5)]
    assert library.brine_put_finish(byref(upload), None) == -34, (results, handle.message())
    assert handle.write(b"k", b"small")[0] == 0, handle.message()
    assert handle.read(b"k")[0] == b"small"
    handle.close()


def test_a_forked_child_has_a_connection_of_its_own(handle, daemon):
    assert handle.write(b"k", b"parent")[0] == 0
    child = os.fork()
    if child == 0:
        good = handle.read(b"k")[0] == b"parent" and handle.write(b"c", b"child")[0] == 0
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert handle.read(b"c")[0] == b"child"
    assert handle.read(b"k")[0] == b"parent"
