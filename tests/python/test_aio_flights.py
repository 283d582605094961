"""brine.aio: of all that miss at once, in whatever process, thread and task, one computes; and memoize."""

import asyncio
import os
import threading
import warnings

import brine
import brine.aio
import pytest
from awaiting import link_of, others_wait, run, turns, until
from brine import _compute
from crew import Crew, Tally
from harness import DEADLINE


def opened(daemon, **more):
    return brine.aio.Cache(socket=daemon.socket, **{"timeout": DEADLINE, **more})


@pytest.fixture
def over(daemon):
    def start(work, **options):
        async def with_cache():
            async with opened(daemon, **options) as cache:
                return await work(cache)
        return run(with_cache())
    return start


# ---- get_or_set


def test_of_a_hundred_tasks_that_miss_at_once_one_computes(over):
    async def work(cache):
        calls = []

        async def slow():
            calls.append(1)
            await others_wait(cache, 99)
            return ["value"]

        results = await asyncio.gather(*(cache.get_or_set("key", slow) for _ in range(100)))
        assert results == [["value"]] * 100 and calls == [1]
        entry = await cache.entry("key")
        assert entry.cost > 0 and entry.ttl is None
    over(work)


def test_of_forty_processes_with_loops_one_computes_each_of_a_hundred(daemon):
    tally = Tally()

    async def compute(number):
        tally.next()
        await turns(1)
        return ["value", number]

    async def work():
        async with opened(daemon) as cache:
            found = await asyncio.gather(*(cache.get_or_set(number, lambda number=number: compute(number))
                                           for number in range(100)))
        return found == [["value", number] for number in range(100)]

    assert Crew(40, lambda _: run(work())).results() == [True] * 40
    assert tally.count() == 100


def test_tasks_wait_for_a_blocking_computation_and_it_for_them(daemon, cache):
    async def work():
        async with opened(daemon) as aio:
            going = threading.Event()

            def slow():
                going.set()
                run(others_wait(opened(daemon), 1))
                return "from a thread"

            thread = asyncio.create_task(asyncio.to_thread(cache.get_or_set, "a", slow))
            await until(going.is_set)
            assert await aio.get_or_set("a", lambda: 1 / 0) == "from a thread" == await thread

            async def awaited():
                await others_wait(aio, 2)
                return "from a task"

            task = asyncio.create_task(aio.get_or_set("b", awaited))
            await turns(2)
            results = await asyncio.gather(task, asyncio.to_thread(cache.get_or_set, "b", lambda: "from a thread"))
            assert results[0] == results[1]
    run(work())


def test_a_plain_factory_and_an_async_one_that_raise(over):
    async def work(cache):
        async def fails():
            raise LookupError("async")

        with pytest.raises(ZeroDivisionError):
            await cache.get_or_set("key", lambda: 1 / 0)
        with pytest.raises(LookupError):
            await cache.get_or_set("key", fails)
        assert await cache.get_or_set("key", lambda: "good", "1h") == "good" == await cache.get("key")
        assert not link_of(cache)._held
    over(work)


def test_what_cannot_be_kept_is_returned_with_one_warning(over):
    async def work(cache):
        async def make():
            return lambda: 1
        with pytest.warns(brine.BrineWarning, match="make are computed but not kept") as told:
            for _ in range(2):
                assert callable(await cache.get_or_set("key", make))
        assert len(told) == 1
    over(work)


def test_past_its_wait_a_caller_computes_beside_and_an_old_value_is_given_meanwhile(over):
    async def work(cache):
        going, gate = asyncio.Event(), asyncio.Event()

        async def slow():
            going.set()
            await gate.wait()
            return "slow"

        holder = asyncio.create_task(cache.get_or_set("key", slow, 0.001, stale="1d"))
        await going.wait()
        for wait in (0, 0.001):
            assert await cache.get_or_set("other", lambda: "hit") == "hit"
            assert await cache.get_or_set("key", lambda: "beside", 0.001, stale="1d", wait=wait) == "beside"
        gate.set()
        assert await holder == "slow"
        await until_expired(cache, "key")
        going.clear(), gate.clear()
        refresher = asyncio.create_task(cache.get_or_set("key", slow, stale="1d"))
        await going.wait()
        assert await cache.get_or_set("key", lambda: 1 / 0, stale="1d") == "beside"
        gate.set()
        assert await refresher == "slow" == await cache.get("key")
    over(work)


async def until_expired(cache, key):
    async def look():
        while (entry := await cache.entry(key, stale=True)) is None or entry.stale is None:
            await asyncio.sleep(0.002)
    await asyncio.wait_for(look(), DEADLINE)


def test_a_wait_that_is_longer_than_one_request_goes_on(over, monkeypatch):
    from brine import _link
    monkeypatch.setattr(_link, "_PARK_MS", 2)

    async def work(cache):
        going, gate = asyncio.Event(), asyncio.Event()

        async def slow():
            going.set()
            await gate.wait()
            return "value"

        holder = asyncio.create_task(cache.get_or_set("key", slow))
        await going.wait()
        waiter = asyncio.create_task(cache.get_or_set("key", lambda: 1 / 0))
        await others_wait(cache, 4)
        assert not waiter.done()
        gate.set()
        assert await waiter == "value" == await holder
    over(work)


# ---- computations inside computations


def test_a_computation_that_asks_for_its_own_key_computes_beside(over):
    async def work(cache):
        async def outer():
            inner = await cache.get_or_set("key", lambda: "inner")
            return [inner, "outer"]
        assert await cache.get_or_set("key", outer) == ["inner", "outer"]
    over(work)


def test_a_circle_of_two_computations_does_not_hang(over):
    async def work(cache):
        both = asyncio.Barrier(2)

        async def compute(own, other):
            await both.wait()
            return [own, await cache.get_or_set(other, lambda: "beside")]

        results = await asyncio.gather(cache.get_or_set("a", lambda: compute("a", "b")),
                                       cache.get_or_set("b", lambda: compute("b", "a")))
        assert [result[0] for result in results] == ["a", "b"]
    over(work)


def test_tasks_threads_and_blocking_calls_of_a_computation_belong_to_it(over, cache):
    async def work(aio):
        async def compute():
            mine = _compute.current.get().holder

            async def task():
                await aio.get_or_set("t", lambda: 1)
                return _compute.current.get().holder
            nested = []
            await aio.get_or_set("u", lambda: nested.append(_compute.current.get().holder))
            found = {mine, *nested, await asyncio.create_task(task()), await asyncio.to_thread(lambda: _compute.current.get().holder)}
            # Waiting for its own key would never end, on a loop and off it.
            assert await asyncio.to_thread(cache.get_or_set, "key", lambda: "beside") == "beside"
            assert cache.get_or_set("key", lambda: "again") == "beside"
            return len(found)

        await aio.delete("key")
        assert await aio.get_or_set("key", compute) == 1
        assert _compute.current.get() is None
    over(work)


def test_a_task_that_outlives_its_computation_is_on_its_own(over):
    async def work(cache):
        gate, started = asyncio.Event(), []

        async def later():
            await gate.wait()
            return await cache.get_or_set("inner", lambda: _compute.current.get().holder)

        async def compute():
            started.append((asyncio.create_task(later()), _compute.current.get().holder))
            return 1

        await cache.get_or_set("key", compute)
        gate.set()
        task, holder = started[0]
        assert await task != holder
    over(work)


# ---- memoize


def test_a_memoized_coroutine_function_computes_once_and_answers_like_a_plain_one(over):
    async def work(cache):
        calls = []

        @cache.memoize(ttl="1h", ignore=["verbose"], tags=["t"])
        async def double(x, *, verbose=False):
            "Twice."
            calls.append(x)
            await turns(1)
            return [2 * x]

        assert asyncio.iscoroutinefunction(double) and double.__doc__ == "Twice." and double.__name__ == "double"
        assert await double(3) == await double(x=3, verbose=True) == [6] and calls == [3]
        assert await asyncio.gather(*(double(i % 5) for i in range(50))) == [[2 * (i % 5)] for i in range(50)]
        assert sorted(calls) == [0, 1, 2, 3, 4]
        assert await double.check(3) and not await double.check(99) and await cache.contains(double.cache_key(3))
        assert double.cache_info().misses == 5 and double.cache_info().hits == 47
        assert await double.invalidate(3) is True and await double.invalidate(3) is False
        assert await double(3) == [6] and calls.count(3) == 2
        assert await double.cache_clear() == 5 and double.cache_info() == (0, 0, 0) and not await double.check(1)
        assert await double.__wrapped__(1) == [2]
    over(work)


def test_methods_conditions_and_validation_of_memoized_coroutines(over):
    async def work(cache):
        import dataclasses
        calls = []

        @dataclasses.dataclass(frozen=True)
        class Shelf:
            size: int

            @cache.memoize(condition=lambda value: value is not None, validate=lambda entry, self, title: title != "stale")
            async def find(self, title):
                calls.append(title)
                return None if title == "none" else [self.size, title]

        shelf = Shelf(3)
        for title in ("a", "none", "stale"):
            for _ in range(2):
                await shelf.find(title)
        assert calls == ["a", "none", "none", "stale", "stale"]
        assert await Shelf.find.invalidate(shelf, "a") is True
        with pytest.raises(TypeError, match="missing"):
            await shelf.find()
    over(work)


def test_what_is_no_coroutine_function_is_refused_where_it_is_decorated():
    cache = brine.aio.Cache()

    async def generator():
        yield 1

    def plain():
        return 1

    with pytest.raises(TypeError, match="generator"):
        cache.memoize(generator)
    with pytest.raises(TypeError, match="brine.Cache"):
        cache.memoize()(plain)
    with pytest.raises(TypeError, match="brine.aio"):
        brine.Cache().memoize(asyncio.sleep)


def test_a_memoized_function_computes_without_a_daemon(folder):
    async def work():
        cache = brine.aio.Cache(socket=folder / "none.sock")

        @cache.memoize
        async def double(x):
            return 2 * x

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert [await double(2), await double(2)] == [4, 4] and await cache.get_or_set("key", lambda: 5) == 5
        assert len(told) == 1 and double.cache_info().unkept == 2
    run(work())


# ---- leases and connections


def test_a_lease_outlives_its_connection(daemon, cache):
    """A restart of the daemon in the middle of a computation: nobody computes it beside."""
    async def work():
        async with opened(daemon) as aio:
            going, gate = asyncio.Event(), asyncio.Event()

            async def slow():
                going.set()
                await gate.wait()
                return "once"

            holder = asyncio.create_task(aio.get_or_set("key", slow))
            await going.wait()
            await asyncio.to_thread(daemon.stop)
            await asyncio.to_thread(daemon.start)
            assert await aio.get("key") is None  # connects anew, and takes the lease up again
            waiter = asyncio.create_task(aio.get_or_set("key", lambda: "twice"))
            await others_wait(aio, 1)
            gate.set()
            assert await asyncio.gather(holder, waiter) == ["once", "once"]
    run(work())


def test_who_waits_goes_on_waiting_through_a_restart(daemon):
    async def work():
        async with opened(daemon) as aio, opened(daemon) as other:
            going, gate = asyncio.Event(), asyncio.Event()

            async def slow():
                going.set()
                await gate.wait()
                return "once"

            holder = asyncio.create_task(aio.get_or_set("key", slow))
            await going.wait()
            waiter = asyncio.create_task(other.get_or_set("key", lambda: "twice"))
            await others_wait(aio, 1)
            await asyncio.to_thread(daemon.stop)
            await asyncio.to_thread(daemon.start)
            await aio.get("x")
            await others_wait(aio, 1)
            gate.set()
            assert await asyncio.gather(holder, waiter) == ["once", "once"]
    run(work())


def test_a_computation_in_a_forked_child_publishes_nothing(daemon):
    async def work():
        async with opened(daemon) as aio:
            async def fork():
                pid = os.fork()
                if pid == 0:
                    os._exit(0 if _compute.current.get().publishing(1, 1, None, 0, b"") is None else 1)
                return os.waitpid(pid, 0)[1]
            assert await aio.get_or_set("key", fork) == 0
    run(work())
