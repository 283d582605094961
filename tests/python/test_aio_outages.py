"""brine.aio while the daemon is away, slow, hostile, or leaving; over a daemon that the test plays, and a real one."""

import asyncio
import os
import subprocess
import threading
import warnings

import brine
import brine.aio
import pytest
import wire
from awaiting import link_of, run, turns, until
from harness import BUILD, DEADLINE
from played import Object
from private import end_daemon_of


def opened(played, **more):
    """Patient, where the test does not say otherwise: on a busy machine a second of silence is nothing."""
    return brine.aio.Cache(socket=played.path, **{"timeout": DEADLINE, **more})


def silent(work):
    """Runs it without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", brine.BrineWarning)
        return run(work())


# ---- away


def test_without_a_daemon_gets_are_misses_with_one_warning_and_changes_raise(folder):
    async def work():
        cache = brine.aio.Cache(socket=folder / "none.sock")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert await cache.get("key", "miss") == "miss" and await cache.get_many(["a", "b"]) == {}
            assert not await cache.contains("key") and await cache.touch("key", 1) is False
            await cache.set("key", 1), await cache.set_many({"a": 1})
            assert await cache.get_or_set("key", lambda: 5) == 5
        assert len(told) == 1 and "none.sock" in str(told[0].message) and told[0].filename == __file__
        for call in (cache.delete("key"), cache.incr("n"), cache.add("a", 1), cache.cas("a", 1, 1), cache.pop("a"),
                     cache.clear(), cache.invalidate("t"), cache.sync(), cache.stats(), cache.delete_many(["a"])):
            with pytest.raises(brine.Unavailable):
                await call
        with pytest.raises(brine.Unavailable):
            async for _ in cache:
                pass
        raising = brine.aio.Cache(socket=folder / "none.sock", on_error="raise")
        for call in (raising.get("key"), raising.set("key", 1), raising.get_many(["key"]), raising.contains("key"),
                     raising.touch("key", 1), raising.set_many({"a": 1}), raising.get_or_set("key", pytest.fail),
                     raising.memoize(never)(), raising.memoize(validate=pytest.fail)(never)()):
            with pytest.raises(brine.Unavailable, match="none.sock"):
                await call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", brine.BrineWarning)
        run(work())


async def never():
    pytest.fail("it is not to be computed")


def test_while_it_is_away_no_call_looks_for_it_for_a_second_and_then_one_does(played, monkeypatch):
    path, away = played.path, played.path + ".away"
    os.rename(path, away)

    async def work():
        cache = opened(played)
        assert await cache.get("key") is None
        tries, now = [], asyncio.get_running_loop().time()
        link = link_of(cache)
        monkeypatch.setattr(type(link), "connect", lambda self, wait: tries.append(wait) or brine._brine.Wire.connect(self, wait))
        monkeypatch.setattr(link._loop, "time", lambda: now)
        for _ in range(100):
            await cache.get("key")
        assert tries == []
        now += 1.1
        for _ in range(100):
            await cache.get("key")
        assert tries == [False]
        os.rename(away, path)
        now += 1.1
        played.plant(b"key", b"back")
        assert await cache.get("key") == b"back" and tries == [False, False]
        await cache.close()
    silent(work)


def test_a_restarted_daemon_is_found_again_without_an_error(daemon):
    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE, on_error="raise") as cache:
            await cache.set("key", "v", ttl=None)
            await cache.sync()
            for number in range(3):
                calls = [asyncio.create_task(cache.get("key")) for _ in range(20)]
                await asyncio.to_thread(daemon.stop)
                await asyncio.to_thread(daemon.start)
                assert set(await asyncio.gather(*calls)) == {"v"}
                assert await cache.get("key") == "v" and await cache.incr("n") == number + 1
    run(work())


def test_a_daemon_that_is_killed_costs_no_read_and_no_put(daemon):
    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE, on_error="raise") as cache:
            await cache.set("key", "v")
            await cache.sync()
            for _ in range(3):
                daemon.kill()
                await asyncio.to_thread(daemon.start)
                await cache.set("other", 1)
                assert await cache.get("key") == "v"
    run(work())


def test_the_first_call_starts_a_daemon_while_the_loop_goes_on(folder, monkeypatch, run_python):
    done = run_python("""
import asyncio, brine.aio

async def work():
    cache = brine.aio.Cache()
    calls = [asyncio.create_task(cache.set(i, i)) for i in range(20)]
    turns = 0
    while not all(call.done() for call in calls):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3, turns
    print(len(await cache.get_many(range(20))), (await cache.stats())[""]["connections"])

asyncio.run(work())
""", BRINE_AUTOSTART="1", BRINE_DATA=str(folder / "data"))
    try:
        assert done.out.split() == ["20", "1"] and not done.err
    finally:
        end_daemon_of(folder / "data")


def test_the_daemon_that_an_older_release_started_makes_room_while_the_loop_goes_on(folder, run_python):
    data = folder / "data"
    old = subprocess.Popen([BUILD / "releases/brined-0.0.1", "--automatic", "--data", data])
    try:
        done = run_python("""
import asyncio, pathlib, sys, brine.aio

log = pathlib.Path(sys.argv[1], "brined.log")  # of a daemon that a client started

async def work():
    cache = brine.aio.Cache(on_error="raise", timeout=20)
    while not log.exists() or "listening at" not in log.read_text():
        await cache.set("key", "value")
        assert await cache.get("key") == "value" and await cache.add("new", 1) and await cache.pop("new") == 1
        await asyncio.sleep(0.01)
    print(await cache.get("key"))

asyncio.run(work())
""", data, BRINE_AUTOSTART="1", BRINE_DATA=str(data))
        assert done.out.split() == ["value"] and not done.err
        assert old.wait(DEADLINE) == 0
    finally:
        old.kill()
        old.wait()
        end_daemon_of(data)


def test_a_daemon_of_an_older_release_is_asked_once_and_not_again_on_the_next_connection(played):
    hello = played.hello
    played.hello = lambda fields, body: ({**hello(fields, body)[0], "RELEASE": 1}, None)

    async def work():
        cache = opened(played)
        assert await cache.get("key") is None
        await until(lambda: played.count("PING") == 1)  # it says nothing of making room: a blocking client lets it be
        played.stops = {"GET": 1}
        assert await cache.get("key") is None
        await cache.close()
    run(work())
    assert played.count("PING") == 1 and played.count("GET") == 3


def test_a_daemon_of_this_release_is_not_asked(played):
    async def work():
        async with opened(played) as cache:
            await cache.get("key")
    run(work())
    assert [name for name, _ in played.requests] == ["GET"]


# ---- slow


def test_a_silent_daemon_costs_one_timeout_and_then_nothing_for_a_while(played):
    gate = played.hold["GET"] = threading.Event()

    async def work():
        cache = opened(played, timeout=0.05)
        assert await asyncio.gather(*(cache.get("key", i) for i in range(10))) == list(range(10))
        asked = played.count("GET")
        assert await cache.get("key", "miss") == "miss" and played.count("GET") == asked and not link_of(cache).connected
        await cache.close()
    silent(work)
    gate.set()


def test_of_all_who_ask_a_daemon_that_hangs_one_waits_and_the_pauses_grow(played):
    gate = played.hold["GET"] = threading.Event()
    played.plant(b"key", b"v")

    async def work():
        cache = opened(played, timeout=0.2)
        assert await cache.get("key") is None
        link = link_of(cache)
        for silences in (1, 2, 3):
            assert link._retry_at - link._loop.time() <= 2 ** (silences - 1) and link._silences == silences
            link._retry_at, asked = 0.0, played.count("GET")
            calls = [asyncio.create_task(cache.get("key", number)) for number in range(10)]
            many = asyncio.create_task(cache.get_many(["key", "other"]))
            assert await many == {} and [await call for call in calls] == list(range(10)) and played.count("GET") == asked + 1
        gate.set()
        link._retry_at = 0.0
        assert await cache.get("key") == b"v" == await cache.get("key") and link._silences == 0 and not link.wanted
        await cache.close()
    silent(work)
    gate.set()


def test_what_was_answered_while_the_loop_was_held_up_is_no_silence(played, monkeypatch):
    sent, send = threading.Event(), wire.Peer.send

    def tell(peer, frame):
        send(peer, frame)
        sent.set()

    async def work():
        async with opened(played, timeout=2, on_error="raise") as cache:
            await cache.set("key", b"v")
            monkeypatch.setattr(wire.Peer, "send", tell)
            call = asyncio.create_task(cache.get("key"))
            await turns(1)
            assert sent.wait(DEADLINE)
            threading.Event().wait(2.1)  # as a computation on the loop would
            assert await call == b"v"
    run(work())


def test_who_waits_for_a_computation_makes_sure_of_the_daemon_by_pings(played):
    reply, parked = played._reply, []

    def park(command, frame):
        if "LEASE" not in frame.named:
            return reply(command, frame)
        parked.append(frame.id)
        return b""

    played._reply = park

    async def work():
        async with opened(played, timeout=2, on_error="raise") as cache:
            waiter = asyncio.create_task(cache.get_or_set("key", lambda: 1 / 0))
            await until(lambda: played.count("PING") == 1)
            assert not waiter.done() and link_of(cache).outstanding == 0
            found = Object(b"value").meta()
            wire.Peer(played.connections[0], timeout=None).send(wire.Frame("REPLY", parked[0], found, b"value"))
            assert await waiter == b"value" and len(played.connections) == 1
    run(work())


# ---- cut off


def test_what_may_be_sent_again_is_and_what_may_not_is_an_error(played):
    async def work():
        cache = opened(played, on_error="raise")
        played.plant(b"key", b"v")
        for command, call in (("GET", cache.get("key")), ("PUT", cache.set("a", 1))):
            played.stops[command] = 1
            assert await call in (b"v", None) and played.count(command) == 2
        for command, call in (("PUT", cache.add("a", 1)), ("TAKE", cache.pop("key"))):
            played.stops[command], before = 1, played.count(command)
            with pytest.raises(brine.Unavailable) as raised:
                await call
            assert raised.value.name == "CUT_OFF" and played.count(command) == before + 1
        await cache.close()
    run(work())


def test_a_daemon_that_ends_under_each_sending_is_asked_twice(played):
    played.stop_at = "GET"

    async def work():
        cache = opened(played, on_error="raise")
        with pytest.raises(brine.Unavailable, match="closed the connection"):
            await cache.get("key")
        assert played.count("GET") == 2
        await cache.close()
    run(work())


def test_a_put_that_was_cut_off_and_then_refused_may_have_been_done(played):
    async def work():
        cache = opened(played, on_error="raise")
        played.stops["PUT"], played.errors["PUT"] = 1, wire.ERRORS["DISK_FULL"]
        with pytest.raises(brine.Unavailable) as raised:
            await cache.set("key", 1)
        assert raised.value.name == "CUT_OFF"
        await cache.close()
    run(work())


def test_an_idle_connection_that_was_closed_costs_what_cannot_be_repeated_nothing(played):
    async def work():
        cache = opened(played, on_error="raise")
        await cache.set("key", b"v")
        for connection in played.connections:
            connection.shutdown(2)
        assert await cache.add("other", 1) is True and len(played.connections) == 2
        await cache.close()
    run(work())


def test_an_older_daemon_is_asked_without_what_it_does_not_know(played):
    def old_get(fields, body, get=played.get):
        if "LEASE" in fields:
            raise Unsupported(wire.FIELDS["LEASE"][0])
        return get(fields, body)

    class Unsupported(Exception):
        pass

    reply = played._reply

    def answer(command, frame):
        try:
            return reply(command, frame)
        except Unsupported as field:
            return wire.Frame("ERROR", frame.id, {"ERROR": wire.ERRORS["UNSUPPORTED"], "DETAIL": field.args[0]})

    played.get, played._reply = old_get, answer

    async def work():
        async with opened(played, on_error="raise", timeout=DEADLINE) as cache:
            assert await cache.get_or_set("key", lambda: [1]) == [1] == await cache.get("key")
            with pytest.raises(brine.Refused):
                await cache.incr("n")
    run(work())


# ---- hostile


def test_an_answer_that_is_none_ends_the_connection_and_is_an_outage(played):
    reply = played._reply
    played._reply = lambda command, frame: b"\xff" * 64 if command == "GET" else reply(command, frame)

    async def work():
        cache = opened(played, on_error="raise")
        with pytest.raises(brine.Unavailable) as raised:
            await asyncio.gather(*(cache.get("key") for _ in range(5)))
        assert raised.value.name == "BAD_PEER" and not link_of(cache).connected
        await cache.close()
    run(work())


def test_replies_in_another_order_reach_their_callers(played):
    """The daemon answers what it was asked in reverse, several at a time."""
    kept, lock, reply = [], threading.Lock(), played._reply

    def reverse(command, frame):
        if command != "GET":
            return reply(command, frame)
        with lock:
            kept.append(reply(command, frame))
            if len(kept) < 50:
                return b""
            return b"".join(each.encode() for each in reversed(kept))

    for i in range(50):
        played.plant(str(i).encode(), b"value of %d" % i)
    played._reply = reverse

    async def work():
        async with opened(played, timeout=None) as cache:
            results = await asyncio.gather(*(cache.get(str(i)) for i in range(50)))
            assert results == [b"value of %d" % i for i in range(50)]
    run(work())
