"""Cancellation: a call that is given up takes nothing with it, and no answer ever reaches another caller."""

import asyncio
import gc
import random
import sys
import weakref

import brine
import brine.aio
import pytest
from awaiting import link_of, others_wait, run, turns, until
from harness import DEADLINE

KEYS = 200


def value_of(key):
    """Tells whose it is; every tenth takes several reads."""
    return [key, "x" * (key * 37 % 300 if key % 10 else 100_000 + key)]


async def stored(cache):
    await cache.set_many({key: value_of(key) for key in range(KEYS)})


def test_ten_thousand_awaits_cancelled_at_random_moments_mix_no_answers_up(daemon):
    seed = 20261128
    rng = random.Random(seed)
    answered = cancelled = 0

    async def call(cache, key, how):
        """Raises if the answer is another's."""
        if how == 0:
            await cache.set(key, value_of(key))
        elif how == 1:
            assert await cache.get_or_set(key, lambda: value_of(key)) == value_of(key), seed
        elif how == 2:
            pair = [key, (key + 1) % KEYS]
            assert await cache.get_many(pair) == {each: value_of(each) for each in pair}, seed
        elif how == 3:
            assert (await cache.entry(key)).value == value_of(key), seed
        else:
            assert await cache.get(key) == value_of(key), seed

    async def work():
        nonlocal answered, cancelled
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE) as cache:
            await stored(cache)
            for _ in range(100):
                tasks = [asyncio.create_task(call(cache, rng.randrange(KEYS), rng.randrange(20))) for _ in range(100)]
                order = list(range(100))
                rng.shuffle(order)
                for number in order:
                    if rng.random() < 0.2:
                        await turns(rng.randrange(4))
                    if rng.random() < 0.8:
                        tasks[number].cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    assert result is None or isinstance(result, asyncio.CancelledError), (seed, result)
                    answered += result is None
                    cancelled += result is not None
            assert (await cache.stats())[""]["connections"] == 1
            assert await cache.get_many(range(KEYS)) == {key: value_of(key) for key in range(KEYS)}
            assert link_of(cache).outstanding == 0

    run(work())
    assert answered + cancelled == 10_000 and answered > 1000 and cancelled > 1000


def test_storms_of_computations_leave_no_lease_and_no_wrong_value(daemon):
    rng = random.Random(7)

    async def factory(key):
        await turns(rng.randrange(6))
        if rng.random() < 0.2:
            raise LookupError(key)
        return value_of(key)

    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE) as cache:
            for round_ in range(40):
                def call():
                    key = rng.randrange(round_ * 10, round_ * 10 + 10)
                    return key, cache.get_or_set(key, lambda: factory(key))
                calls = [call() for _ in range(50)]
                tasks = [asyncio.create_task(coroutine) for _, coroutine in calls]
                for _ in range(40):
                    await turns(rng.randrange(5))
                    rng.choice(tasks).cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                for (key, _), result in zip(calls, results):
                    assert isinstance(result, (asyncio.CancelledError, LookupError)) or result == value_of(key)
            # Nothing is held any more: each key is computed, or there.
            for key in range(400):
                assert await cache.get_or_set(key, lambda: value_of(key)) == value_of(key)
            assert not link_of(cache)._held and link_of(cache).outstanding == 0
    run(work())


def test_a_cancelled_call_wakes_at_once_and_its_late_answer_is_dropped(played):
    import threading
    gate = played.hold["GET"] = threading.Event()
    played.plant(b"slow", b"late")
    played.plant(b"other", b"good")

    async def work():
        cache = brine.aio.Cache(socket=played.path, timeout=None)
        slow = asyncio.create_task(cache.get("slow"))
        await until(lambda: played.count("GET") == 1)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        other = asyncio.create_task(cache.get("other"))
        await turns(5)
        gate.set()
        assert await other == b"good" and link_of(cache).outstanding == 0
        await cache.close()
    run(work())


def test_a_timeout_around_a_call_leaves_the_connection_usable(played):
    import threading
    gate = played.hold["GET"] = threading.Event()
    played.plant(b"key", b"value")

    async def work():
        async with brine.aio.Cache(socket=played.path, timeout=None) as cache:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(cache.get("key"), 0.001)
            gate.set()
            assert await cache.get("key") == b"value" and len(played.connections) == 1
    run(work())


# ---- leases


def test_a_cancelled_holder_gives_its_lease_back_at_once(daemon, cache):
    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE) as aio:
            going = asyncio.Event()

            async def never():
                going.set()
                await asyncio.Event().wait()

            holder = asyncio.create_task(aio.get_or_set("key", never))
            await going.wait()
            waiter = asyncio.create_task(aio.get_or_set("key", lambda: "second"))
            await others_wait(aio, 1)
            holder.cancel()
            assert await waiter == "second"
            with pytest.raises(asyncio.CancelledError):
                await holder
            assert await aio.get("key") == "second"
    run(work())


def test_a_cancelled_waiter_waits_no_longer_and_its_turn_goes_to_the_next(daemon):
    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE) as aio:
            going, gate = asyncio.Event(), asyncio.Event()

            async def fails():
                going.set()
                await gate.wait()
                raise LookupError

            holder = asyncio.create_task(aio.get_or_set("key", fails))
            await going.wait()
            waiters = []
            for number in range(3):
                waiters.append(asyncio.create_task(aio.get_or_set("key", lambda number=number: number)))
                await others_wait(aio, number + 1)
            waiters[0].cancel()  # it is the next in line, and is granted the lease in a moment
            with pytest.raises(asyncio.CancelledError):
                await waiters[0]
            gate.set()
            with pytest.raises(LookupError):
                await holder
            assert await waiters[1] in (1, 2) and await waiters[2] in (1, 2)
    run(work())


def test_a_coroutine_that_is_thrown_away_gives_its_lease_back(daemon):
    async def work():
        async with brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE) as aio:
            async def never():
                await asyncio.Event().wait()

            coroutine = aio.get_or_set("key", never)
            steps = asyncio.create_task(turns(0))
            await steps
            future = coroutine.send(None)  # as a task would run it
            await until(future.done)
            coroutine.send(None)
            coroutine.close()
            assert await aio.get_or_set("key", lambda: "next") == "next"
    run(work())


# ---- nothing is left


def test_requests_that_were_given_up_are_freed(daemon):
    async def work():
        cache = brine.aio.Cache(socket=daemon.socket, timeout=DEADLINE)
        await cache.set("key", b"x" * 1000)

        async def storm():
            tasks = [asyncio.create_task(cache.get("key")) for _ in range(100)]
            await turns(2)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await cache.get("key")

        for _ in range(3):
            await storm()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(50):
            await storm()
        gc.collect()
        assert sys.getallocatedblocks() < before + 500
        link = weakref.ref(link_of(cache))
        await cache.close()
        await turns(3)
        gc.collect()
        assert link() is None
    run(work())
