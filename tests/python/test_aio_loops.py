"""brine.aio and event loops: any number of them, one after the other, in threads, in children, of other makes."""

import asyncio
import gc
import os
import signal
import threading
import warnings

import brine
import brine.aio
import pytest
from awaiting import link_of, run, turns
from crew import Crew, until as until_true
from harness import DEADLINE


def opened(daemon, **more):
    return brine.aio.Cache(socket=daemon.socket, **{"timeout": DEADLINE, **more})


def sockets():
    """How many this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return count


def connections(cache):
    return cache.stats()[""]["connections"]


def test_a_cache_made_before_any_loop_serves_one_after_the_other(daemon, cache):
    aio = opened(daemon)
    gc.collect()  # of earlier tests
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = sockets()
        for number in range(30):
            assert run(aio.incr("n"), debug=number == 7) == number + 1
            assert not aio._links and sockets() == before
        gc.collect()
    until_true(lambda: connections(cache) == 1)


def test_a_loop_that_was_closed_carelessly_leaves_a_connection_no_longer_than_to_the_next(daemon):
    aio = opened(daemon)
    before = sockets()
    for number in range(5):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(aio.incr("n")) == number + 1
        loop.close()
    assert len(aio._links) == 1
    run(aio.get("n"))
    assert not aio._links and sockets() == before


def test_a_cache_that_is_dropped_closes_its_connections(daemon, cache):
    async def work():
        aio = opened(daemon)
        await aio.set("key", 1)
        assert connections(cache) == 2
        del aio
        gc.collect()
        await turns(3)
        await asyncio.to_thread(until_true, lambda: connections(cache) == 1)
    run(work())


def test_close_and_async_with_close_this_loops_connection_after_what_is_outstanding(daemon, cache):
    async def work():
        async with opened(daemon) as aio:
            await aio.set("key", "v")
            calls = [asyncio.create_task(aio.get("key")) for _ in range(50)]
            await turns(1)
            await aio.close()
            assert [await call for call in calls] == ["v"] * 50 and not aio._links
            assert await aio.get("key") == "v" and len(aio._links) == 1  # a later call opens another
        assert not aio._links
        await asyncio.to_thread(until_true, lambda: connections(cache) == 1)
    run(work())


def test_two_loops_in_two_threads_share_a_cache(daemon):
    aio, results, both = opened(daemon), {}, threading.Barrier(2)

    async def work(number):
        for i in range(200):
            await aio.set((number, i), [number, i])
            if i == 0:
                both.wait(DEADLINE)
        found = await asyncio.gather(*(aio.get((number, i)) for i in range(200)))
        results[number] = found == [[number, i] for i in range(200)]
        await aio.incr("n")
        assert len(aio._links) == 2 or number in results

    running = [threading.Thread(target=lambda number=number: run(work(number)), daemon=True) for number in range(2)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(DEADLINE)
    assert results == {0: True, 1: True} and run(aio.get("n")) == 2 and not aio._links


def test_a_loop_in_a_forked_child_has_a_connection_of_its_own(daemon, cache):
    aio = opened(daemon)

    async def in_child(number):
        await aio.set(number, "child's")
        return await aio.get("parent")

    async def work():
        await aio.set("parent", "parent's")
        waits = asyncio.create_task(aio.get_or_set("never", asyncio.Event().wait))
        await turns(3)
        # While this loop runs, and has a connection with something under way.
        results = await asyncio.to_thread(lambda: Crew(4, lambda number: run(in_child(number))).results())
        assert results == ["parent's"] * 4
        assert await aio.get_many(range(4)) == {number: "child's" for number in range(4)}
        assert not waits.done()
        waits.cancel()
    run(work())
    assert run(aio.get("parent")) == "parent's"


def test_a_child_that_ends_with_its_parents_loop_in_memory_leaves_the_connection_alone(daemon):
    async def work():
        async with opened(daemon) as aio:
            await aio.set("key", "v")
            pid = os.fork()
            if pid == 0:
                try:
                    link_of(aio)._loop = None
                    aio._links.clear()
                    del aio
                    gc.collect()
                finally:
                    os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert await aio.get("key") == "v" and (await aio.stats())[""]["connections"] == 1
    run(work())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
def test_after_a_change_of_the_effective_uid_calls_go_over_another_connection(played):
    os.chmod(played.path, 0o666)
    os.chmod(os.path.dirname(played.path), 0o755)

    def work(_):
        async def calls():
            async with brine.aio.Cache(socket=played.path, on_error="raise", timeout=None) as aio:
                await aio.set("key", b"v")
                os.seteuid(12345)
                try:
                    return await aio.get("key")
                finally:
                    os.seteuid(0)
        return run(calls())

    assert Crew(1, work).results() == [b"v"] and len(played.connections) == 2


def test_an_interrupt_ends_a_run_and_the_next_one_works(daemon):
    aio = opened(daemon)

    async def interrupted():
        # From inside a turn: asyncio does not wake for a signal that comes right before it waits.
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run(aio.get_or_set("key", interrupted))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not aio._links and run(aio.get_or_set("key", lambda: "next")) == "next"


def test_on_uvloop_it_is_the_same(daemon):
    uvloop = pytest.importorskip("uvloop", reason="Debian's python3-uvloop is not installed")

    async def work():
        async with opened(daemon) as aio:
            await aio.set("large", b"x" * (5 << 20))
            assert await aio.get("large") == b"x" * (5 << 20)

            async def slow():
                await turns(3)
                return ["once"]
            assert await asyncio.gather(*(aio.get_or_set("key", slow) for _ in range(50))) == [["once"]] * 50
            tasks = [asyncio.create_task(aio.get("key")) for _ in range(200)]
            await turns(1)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[1::2] == [["once"]] * 100

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work(), DEADLINE))
    left = opened(daemon)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(left.get("key")) == ["once"] and left._links
    assert not left._links
