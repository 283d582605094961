"""Leases, counters, batches of libbrine.so with the real daemon: one computes, the others wait, whatever happens."""

import ctypes
import signal
import threading
import time

import pytest

import harness
from clibrary import (DeleteOptions, Handle, HIT, IncrOptions, MISS, Request, byref, pointer, s64,
                      size_t)
from clibrary import handle, library  # noqa: F401  fixtures

NONE, GRANTED, ALONE, WAITED = range(4)
FAILED, CANNOT_BE_KEPT = 1, 2
GET, PUT, DELETE = 3, 4, 5
NO_WAIT = 2**64 - 1
CHANGED, ABSENT, OLD_TOKEN, OVERFLOW, NOT_A_COUNTER = -66, -64, -67, -68, -40


@pytest.fixture
def handles(library, daemon):
    """handles(n): n more handles on the daemon, with a timeout that a busy machine does not meet."""
    opened = []

    def more(count, **options):
        new = [Handle(library, daemon.socket, **{"timeout_ms": 20000, **options}) for _ in range(count)]
        opened.extend(new)
        return new

    yield more
    for one in opened:
        one.close()


class Waiter(threading.Thread):
    """Asks for a lease on "k", and computes when it is told to."""

    def __init__(self, handle, **options):
        super().__init__()
        self.handle, self.options, self.answer = handle, options, None
        self.start()

    def run(self):
        self.answer = self.handle.lease(b"k", **self.options)

    def end(self):
        self.join(harness.DEADLINE)
        assert not self.is_alive()
        return self.answer


def wait_until_parked(daemon, count, name="parked_requests"):
    until = time.monotonic() + harness.DEADLINE
    with daemon.client() as client:
        while int(client.stats().get(("", name), 0)) < count:
            assert time.monotonic() < until, client.stats()
            time.sleep(0.002)


def publish(handle, token, value=b"value"):
    return handle.write(b"k", value, token=token)[0]


def test_one_computes_and_the_others_get_its_value(daemon, handles):
    holder, *others = handles(9)
    result, state, token = holder.lease(b"k")
    assert (result, state) == (MISS, GRANTED)
    waiters = [Waiter(other) for other in others]
    wait_until_parked(daemon, 8)
    assert publish(holder, token) == 0
    assert [waiter.end()[:2] for waiter in waiters] == [(b"value", NONE)] * 8
    assert publish(holder, token) == OLD_TOKEN


def test_who_gives_up_lets_the_next_compute_and_who_cannot_keep_it_all(daemon, handles):
    holder, first, second, third = handles(4)
    token = holder.lease(b"k")[2]
    waiters = [Waiter(first), Waiter(second), Waiter(third)]
    wait_until_parked(daemon, 3)
    assert holder.release(b"k", size_t(1), None, token, FAILED) == 0
    until = time.monotonic() + harness.DEADLINE
    while not (told := [waiter for waiter in waiters if not waiter.is_alive()]):
        assert time.monotonic() < until
        time.sleep(0.001)
    result, state, token = told[0].end()
    assert (result, state) == (MISS, GRANTED)
    assert told[0].handle.release(b"k", size_t(1), None, token, CANNOT_BE_KEPT) == 0
    assert {waiter.end()[:2] for waiter in waiters if waiter is not told[0]} == {(MISS, ALONE)}
    assert holder.release(b"k", size_t(1), None, token, FAILED) == MISS


def test_a_handle_that_is_closed_passes_its_lease_on(daemon, handles, library):
    holder, (other,) = Handle(library, daemon.socket), handles(1)
    assert holder.lease(b"k")[1] == GRANTED
    waiter = Waiter(other)
    wait_until_parked(daemon, 1)
    holder.close()
    assert waiter.end()[:2] == (MISS, GRANTED)


def test_a_wait_ends_when_it_is_said_to_end_and_pings_keep_it_alive(daemon, handles):
    (holder,), (other,) = handles(1), handles(1, timeout_ms=250)
    assert holder.lease(b"k")[1] == GRANTED
    assert other.lease(b"k", wait_ms=NO_WAIT)[:2] == (MISS, WAITED)
    began = time.monotonic()
    assert other.lease(b"k", wait_ms=600)[:2] == (MISS, WAITED)
    assert time.monotonic() - began >= 0.59


def test_a_waiter_without_a_wish_to_compute_gets_what_is_put(daemon, handles):
    (putter, other) = handles(2)
    waiter = Waiter(other, only_wait=1)
    wait_until_parked(daemon, 1)
    assert putter.write(b"k", b"put")[0] == 0
    assert waiter.end()[:2] == (b"put", NONE)


def test_a_circle_of_computations_computes_alone(daemon, handles):
    one, other = handles(2)
    assert one.lease(b"a", holder=1)[1] == GRANTED
    assert other.lease(b"k", holder=2)[1] == GRANTED
    waiter = Waiter(one, holder=1)  # holds a, waits for k
    wait_until_parked(daemon, 1)
    assert other.lease(b"a", holder=2)[:2] == (MISS, ALONE)
    assert other.release(b"k", size_t(1), None, b"x" * 16, FAILED) == MISS
    other.close()
    other.brine = pointer()
    assert waiter.end()[:2] == (MISS, GRANTED)


def test_the_stale_value_serves_while_one_refreshes(daemon, handles):
    holder, other = handles(2)
    assert holder.write(b"k", b"old", ttl_ms=1, stale_ms=3600000)[0] == 0
    until = time.monotonic() + harness.DEADLINE
    while holder.read(b"k") != MISS:
        assert time.monotonic() < until
    value, meta = holder.read(b"k", stale_ok=1)
    assert value == b"old" and meta.stale_ms > 0
    result, state, token = holder.lease(b"k", stale_ok=1)
    assert (result, state) == (b"old", GRANTED)
    assert other.lease(b"k", stale_ok=1)[:2] == (b"old", NONE)
    assert publish(holder, token, b"new") == 0
    assert other.lease(b"k", stale_ok=1)[:2] == (b"new", NONE)


def restart(daemon, number):
    daemon.signal(number)
    daemon.wait()
    daemon.start()


def test_an_orderly_restart_loses_neither_the_lease_nor_those_who_wait(daemon, handles):
    holder, *others = handles(4)
    token = holder.lease(b"k")[2]
    waiters = [Waiter(other) for other in others]
    wait_until_parked(daemon, 3)
    restart(daemon, signal.SIGTERM)
    assert publish(holder, token) == 0, holder.message()
    assert [waiter.end()[:2] for waiter in waiters] == [(b"value", NONE)] * 3


def test_a_crash_makes_one_of_those_who_wait_compute(daemon, handles):
    holder, *others = handles(4)
    token = holder.lease(b"k")[2]
    waiters = [Waiter(other) for other in others]
    wait_until_parked(daemon, 3)
    restart(daemon, signal.SIGKILL)
    until = time.monotonic() + harness.DEADLINE
    while not (told := [waiter for waiter in waiters if not waiter.is_alive()]):
        assert time.monotonic() < until
        time.sleep(0.001)
    result, state, fresh = told[0].end()
    assert (result, state) == (MISS, GRANTED)
    assert publish(holder, token) == OLD_TOKEN
    assert publish(told[0].handle, fresh, b"fresh") == 0
    assert {waiter.end()[:2] for waiter in waiters if waiter is not told[0]} == {(b"fresh", NONE)}


def test_a_handle_that_waits_for_one_key_keeps_its_lease_on_another_through_a_restart(daemon, handles):
    both, other = handles(2)
    mine = both.lease(b"mine")[2]
    token = other.lease(b"k")[2]
    waiter = Waiter(both)
    wait_until_parked(daemon, 1)
    restart(daemon, signal.SIGTERM)
    assert publish(other, token) == 0, other.message()
    assert waiter.end()[:2] == (b"value", NONE)
    assert both.write(b"mine", b"v", token=mine)[0] == 0, both.message()


def incr(handle, delta=1, key=b"n", **options):
    value = s64()
    result = handle.incr(key, size_t(len(key)), s64(delta), byref(IncrOptions(**options)), byref(value))
    return value.value if result == 0 else result


def test_counters_count_what_several_add(handles, handle):
    assert incr(handle, only_if_present=1) == ABSENT
    assert incr(handle, 5, initial=10) == 15
    others = handles(4)
    threads = [threading.Thread(target=lambda other=other: [incr(other, -1) for _ in range(50)])
               for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert incr(handle, 0) == 15 - 200
    assert handle.read(b"n")[0] == (-185).to_bytes(8, "little", signed=True)
    assert incr(handle, -2**63) == OVERFLOW and incr(handle, 0) == -185
    handle.write(b"text", b"text")
    assert incr(handle, key=b"text") == NOT_A_COUNTER


def test_of_several_who_take_one_gets_it(handles, handle):
    def take(one, **options):
        value = pointer()
        result = one.take(b"k", size_t(1), byref(DeleteOptions(**options)), byref(value))
        return one.taken(value)[0] if result == HIT else result

    version = handle.write(b"k", b"only one")[1]
    assert take(handle, version=version + 1) == CHANGED
    got = []
    threads = [threading.Thread(target=lambda other=other: got.append(take(other))) for other in handles(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == [MISS] * 3 + [b"only one"]


def test_objects_that_share_a_tag_are_gone_at_once(handle):
    def tags(*names):
        space, length = ctypes.create_string_buffer(4096), size_t()
        for name in names:
            assert handle.library.brine_tags_add(space, byref(length), name, size_t(len(name))) == 0
        return {"tags": space.raw[:length.value], "tags_len": length.value}

    def invalidate(*names):
        run = tags(*names)
        return handle.invalidate(run["tags"], size_t(run["tags_len"]), None, 0)

    handle.write(b"page:1", b"1", **tags(b"user:7", b"page"))
    handle.write(b"page:2", b"2", **tags(b"user:8", b"page"))
    puts = [request(PUT, b"batch%d" % number, b"v", **tags(b"user:7")) for number in range(20)]
    assert handle.many("many", puts)[1] == [0] * 20
    assert invalidate(b"user:7", b"nobody") == 0, handle.message()
    assert handle.read(b"page:1") == MISS and handle.read(b"page:2")[0] == b"2"
    assert handle.many("many", [request(GET, put.key) for put in puts])[1] == [MISS] * 20
    handle.write(b"page:1", b"again", **tags(b"user:7"))
    assert handle.read(b"page:1")[0] == b"again"
    token = handle.lease(b"leased")[2]
    assert handle.write(b"leased", b"v", token=token, stale_ms=5, **tags(b"page"))[0] == 0
    assert invalidate(b"page") == 0
    assert handle.read(b"leased") == MISS and handle.read(b"page:2") == MISS


def request(command, key, value=b"", **fields):
    return Request(command=command, key=key, key_len=len(key), value=value, value_len=len(value), **fields)


def test_a_batch_is_stored_whole_or_not_at_all(handle):
    puts = [request(PUT, b"b%d" % number, b"v%d" % number) for number in range(1000)]
    assert handle.many("batch", puts, None, 0) == (0, [0] * 1000), handle.message()
    gets = [request(GET, b"b%d" % number) for number in range(1001)]
    result, got = handle.many("batch", gets, None, 0)
    assert (result, got) == (0, [b"v%d" % number for number in range(1000)] + [MISS])
    version = handle.read(b"b1")[1].version
    mixed = [request(PUT, b"b0", b"new"), request(DELETE, b"b1", version=version + 1), request(DELETE, b"b2")]
    assert handle.many("batch", mixed, None, 0)[0] == CHANGED
    assert "(entry 1)" in handle.message()
    assert handle.read(b"b0")[0] == b"v0" and handle.read(b"b2")[0] == b"v2"
    mixed[1].version = version
    assert handle.many("batch", mixed, None, 0) == (0, [0, 0, 0])
    assert handle.read(b"b0")[0] == b"new" and handle.read(b"b1") == MISS == handle.read(b"b2")


def test_many_small_ones_and_long_ones_come_back_each(handle):
    values = [b"x" * (size * 1000) for size in range(100)] + [b"y" * 3000000]
    puts = [request(PUT, b"m%d" % number, value) for number, value in enumerate(values)]
    assert handle.many("many", puts) == (0, [0] * 101), handle.message()
    gets = [request(GET, b"m%d" % number) for number in range(101)]
    assert handle.many("many", gets) == (0, values)
    assert handle.many("batch", gets, None, 0) == (0, values)
    deletes = [request(DELETE, b"m%d" % number) for number in range(100)]
    assert handle.many("many", deletes) == (0, [0] * 100)
    assert handle.many("many", gets)[1] == [MISS] * 100 + [values[100]]
