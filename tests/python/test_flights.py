"""get_or_set and memoize: of all that miss at once, in whatever process and thread, one computes."""

import asyncio
import concurrent.futures
import datetime
import os
import signal
import sys
import threading
import warnings

import brine
import harness
import pytest
from brine import _brine, _compute
from crew import Crew, Gate, Tally, others_wait, until

PICKLE_CODEC = 1 | 5 << 8 | sys.version_info[0] << 16 | sys.version_info[1] << 24


@pytest.fixture
def tally():
    return Tally()


def threads(count, work):
    """Runs work(number) in so many threads of this process; their results, or what they raised."""
    results = [None] * count

    def run(number):
        try:
            results[number] = work(number)
        except BaseException as error:
            results[number] = error

    running = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(harness.DEADLINE)
        assert not thread.is_alive(), "a thread hangs"
    return results


# ---- one computes


def test_of_64_processes_that_miss_at_once_one_computes_and_all_get_its_value(daemon, tally):
    def factory():
        tally.next()
        others_wait(daemon, 63)
        return ["made by", os.getpid()]

    crew = Crew(64, lambda _: cache_of(daemon).get_or_set("key", factory))
    results = crew.results()
    assert tally.count() == 1 and all(result == results[0] for result in results) and results[0][1] in crew.pids


def test_forty_processes_with_a_hundred_arguments_compute_a_hundred_times(daemon, tally):
    cache = cache_of(daemon)

    @cache.memoize(ignore=["counter"])
    def square(x, counter):
        counter.next()
        return x * x

    def work(number):
        first = number * 31 % 100
        return [square(x % 100, tally) for x in range(first, first + 100)]

    for number, result in enumerate(Crew(40, work).results()):
        first = number * 31 % 100
        assert result == [(x % 100) ** 2 for x in range(first, first + 100)]
    assert tally.count() == 100


def test_of_8_threads_that_miss_at_once_one_computes(daemon, cache):
    calls = []

    def slow():
        calls.append(1)
        others_wait(daemon, 7)
        return [1]

    assert threads(8, lambda _: cache.get_or_set("key", slow)) == [[1]] * 8 and calls == [1]


def test_a_hit_asks_once_and_computes_nothing(cache):
    cache["key"] = None
    assert cache.get_or_set("key", lambda: 1 / 0) is None
    assert cache.stats()[""]["requests_get"] == 1


def test_what_was_computed_is_stored_with_its_cost_and_its_ttl(cache):
    assert cache.get_or_set("key", lambda: {"a": 1}, "1h") == {"a": 1} == cache["key"]
    assert cache.get_or_set("key", lambda: 1 / 0, ttl="1h") == {"a": 1}


@pytest.fixture
def held(cache):
    """held(factory) computes the key "key" in a thread, up to its gate; gate.set() lets it end."""
    class Held:
        gate, results, running = threading.Event(), [], None

        def __call__(self, value, **options):
            going = threading.Event()

            def slow():
                going.set()
                assert self.gate.wait(harness.DEADLINE)
                return value

            self.running = threading.Thread(
                target=lambda: self.results.append(cache.get_or_set("key", slow, **options)), daemon=True)
            self.running.start()
            assert going.wait(harness.DEADLINE)

        def end(self):
            self.gate.set()
            self.running.join(harness.DEADLINE)
            assert not self.running.is_alive()
            return self.results

    return Held()


@pytest.mark.parametrize("wait", [0, datetime.timedelta(), 0.001, "1ms"])
def test_past_its_wait_a_caller_computes_beside(cache, held, wait):
    held("slow")
    assert cache.get_or_set("key", lambda: "beside", wait=wait) == "beside" == cache["key"]
    assert held.end() == ["slow"] and cache["key"] == "beside"


def test_what_was_deleted_while_it_was_computed_is_not_brought_back(cache, held):
    held("slow")
    cache.delete("key")
    assert held.end() == ["slow"] and "key" not in cache


def test_after_the_time_of_a_lease_another_computes_and_the_late_result_is_not_kept(daemon, cache, held):
    held("late", lease=0.01)
    with cache_of(daemon) as other:
        assert other.get_or_set("key", lambda: "in time") == "in time"
    assert held.end() == ["late"] and cache["key"] == "in time"


def cache_of(daemon, **more):
    """Patient, where the test does not say otherwise: on a busy machine a second of silence is nothing."""
    return brine.Cache(socket=daemon.socket, **{"timeout": harness.DEADLINE, **more})


# ---- failures


def test_after_two_failures_all_who_wait_compute_at_once(daemon, tally):
    gate = Gate()

    def factory():
        order = tally.next()
        if order == 0:
            others_wait(daemon, 63)
        elif order > 1:
            gate.wait()  # none of these ends before all of them have begun
        raise ValueError(order)

    def work(_):
        try:
            cache_of(daemon).get_or_set("key", factory)
        except ValueError as error:
            return error.args[0]

    crew = Crew(64, work)
    tally.reached(64)
    gate.open()
    assert sorted(crew.results()) == list(range(64))


def test_a_result_that_cannot_be_pickled_holds_nobody_up(daemon, tally):
    gate = Gate()

    def factory():
        order = tally.next()
        others_wait(daemon, 63) if order == 0 else gate.wait()
        return lambda: order

    def work(_):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cache = cache_of(daemon)
            results = [cache.get_or_set("key", factory)()]
            assert len(said) == 1 and "computed but not kept" in str(said[0].message), said
        return results[0]

    crew = Crew(64, work)
    tally.reached(64)
    gate.open()
    assert sorted(crew.results()) == list(range(64))


def test_a_result_that_cannot_be_kept_is_a_warning_once_per_function(cache):
    def opened():
        return lambda: 1

    def large():
        return bytes(20 << 20)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            assert cache.get_or_set("a", opened)() == 1 and cache.get_or_set("b", opened)() == 1
            assert len(cache.get_or_set("c", large)) == 20 << 20
            assert cache.get_or_set("d", lambda: lambda: 2)() == 2
    assert len(said) == 3 and "opened" in str(said[0].message) and "large" in str(said[1].message)
    assert all(warning.filename == __file__ for warning in said)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, ValueError])
def test_whatever_ends_a_factory_gives_the_lease_up(daemon, cache, error):
    def factory():
        raise error

    for _ in range(3):
        with pytest.raises(error):
            cache.get_or_set("key", factory)
    with cache_of(daemon) as other:
        assert other.get_or_set("key", lambda: [1]) == [1]


def test_a_turn_that_is_dropped_gives_the_lease_up(daemon, cache):
    for nested in (False, True):
        outer = cache._turn("outer", None, 0, 0, False)
        turn = cache._turn("key", outer if nested else None, 0, 0, False)
        assert turn.granted and (turn.holder == outer.holder) == nested
        del turn
        with cache_of(daemon) as other:
            other.get_or_set("key", lambda: [1])
        outer.failed()
        cache.clear()


def test_of_40_processes_that_meet_a_value_which_cannot_be_loaded_one_computes(daemon, tally):
    with harness.Client(daemon.socket) as raw:
        raw.put("key", b"no pickle", codec=PICKLE_CODEC)

    def factory():
        tally.next()
        others_wait(daemon, 39)
        return ["good"]

    def work(_):
        with pytest.warns(brine.BrineWarning, match="cannot be loaded"):
            return cache_of(daemon).get_or_set("key", factory)

    assert Crew(40, work).results() == [["good"]] * 40 and tally.count() == 1


def test_a_value_that_never_loads_is_computed_by_each(played, played_cache):
    played.plant(b"key", b"no pickle", codec=PICKLE_CODEC)
    with pytest.warns(brine.BrineWarning, match="cannot be loaded"):
        assert played_cache.get_or_set("key", lambda: [1]) == [1]
    assert played.count("GET") <= 4 and played_cache["key"] == [1]


# ---- daemons and processes that go away


def waiting_crew(daemon, tally, gate, waiters, **options):
    """A holder (0), in its factory until the gate opens, and others, who wait for it."""
    def factory():
        if tally.next() == 0:
            gate.wait()
        return ["made by", os.getpid()]

    holding = Gate()

    def work(number):
        if number:
            holding.wait()
        cache = cache_of(daemon, **options)

        def first():
            holding.open()
            return factory()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cache.get_or_set("key", factory if number else first)

    crew = Crew(1 + waiters, work)
    others_wait(daemon, waiters)
    return crew


def test_when_its_daemon_is_killed_everybody_computes(daemon, tally):
    gate = Gate()
    crew = waiting_crew(daemon, tally, gate, 16, timeout=0.3)
    daemon.kill()
    tally.reached(17)
    gate.open()
    assert sorted(result[1] for result in crew.results()) == sorted(crew.pids)


def test_when_its_daemon_stands_still_everybody_computes(daemon, tally):
    gate = Gate()
    crew = waiting_crew(daemon, tally, gate, 16, timeout=0.3)
    daemon.signal(signal.SIGSTOP)
    try:
        tally.reached(17)
        gate.open()
        assert sorted(result[1] for result in crew.results()) == sorted(crew.pids)
    finally:
        daemon.signal(signal.SIGCONT)


def test_a_restart_costs_no_computation(daemon, tally):
    gate = Gate()
    crew = waiting_crew(daemon, tally, gate, 16, timeout=30)
    daemon.stop()
    daemon.start()
    gate.open()
    assert [result[1] for result in crew.results()] == [crew.pids[0]] * 17 and tally.count() == 1


def test_the_next_one_computes_when_the_holder_is_killed(daemon, tally):
    crew = waiting_crew(daemon, tally, Gate(), 8)
    crew.kill(0)
    first, *others = crew.results()
    assert first is None and tally.count() == 2 and len({result[1] for result in others}) == 1


def test_a_release_that_did_not_reach_the_daemon_holds_nothing_later(daemon):
    cache = cache_of(daemon, timeout=0.2)

    def factory():
        daemon.signal(signal.SIGSTOP)
        raise ValueError

    with pytest.raises(ValueError):
        cache.get_or_set("key", factory)
    daemon.signal(signal.SIGCONT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        until(lambda: cache.set("other", 1) or cache.get("other") == 1)
    with cache_of(daemon) as other:
        assert other.get_or_set("key", lambda: [1]) == [1]


def test_a_signal_ends_a_wait_for_a_computation(daemon, cache, held):
    held(1)
    main = threading.get_ident()

    def interrupt():
        others_wait(daemon, 1)
        signal.pthread_kill(main, signal.SIGINT)

    # Who runs in the background of a shell has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupter = threading.Thread(target=interrupt, daemon=True)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_set("key", lambda: 2)
        interrupter.join(harness.DEADLINE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert held.end() == [1] and cache["key"] == 1


# ---- forks


@pytest.mark.parametrize("leave", [lambda: "of the child", lambda: sys.exit(0)])
def test_a_forked_child_ends_no_lease_of_its_parents(daemon, cache, leave):
    parent, children = os.getpid(), []

    def factory():
        children.append(os.fork())
        if children == [0]:
            return leave()
        os.waitpid(children[0], 0)
        with cache_of(daemon) as other:
            turn = other._turn("key", None, _compute.NO_WAIT, 0, False)
            assert not turn.granted
        return "of the parent"

    try:
        result = cache.get_or_set("key", factory)
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert result == "of the parent" == cache["key"]


def test_a_child_that_is_forked_while_others_wait_works_on(daemon, cache, held):
    held(1)
    waiter = threading.Thread(target=cache.get_or_set, args=("key", pytest.fail), daemon=True)
    waiter.start()
    others_wait(daemon, 1)
    crew = Crew(1, lambda _: (cache.get_or_set("other", lambda: 2), cache.get_or_set("key", lambda: 3, wait=0)))
    assert crew.results() == [(2, 3)]
    waiter.join(harness.DEADLINE)
    assert held.end() == [1] and cache["key"] == 3


# ---- computations inside computations


def test_two_processes_that_need_each_others_key_both_end(daemon):
    begun = [Gate(), Gate()]

    def work(number):
        cache = cache_of(daemon)
        mine, others = ("a", "b") if number == 0 else ("b", "a")

        def factory():
            begun[number].open()
            begun[1 - number].wait()
            return [mine, cache.get_or_set(others, lambda: ["inner", others])]

        return cache.get_or_set(mine, factory)

    assert [result[0] for result in Crew(2, work).results()] == ["a", "b"]


def in_a_thread(work):
    result, = threads(1, lambda _: work())
    return result


def in_a_thread_of_a_thread(work):
    return in_a_thread(lambda: in_a_thread(work))


def in_a_new_pool(work):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return pool.submit(work).result(harness.DEADLINE)


OLD_POOL = concurrent.futures.ThreadPoolExecutor(4)


def in_an_old_pool(work):
    return OLD_POOL.submit(work).result(harness.DEADLINE)


def mapped_by_a_pool(work):
    result, = OLD_POOL.map(lambda _: work(), [1], timeout=harness.DEADLINE)
    return result


def in_a_task(work):
    async def inner():
        return work()

    async def outer():
        return await asyncio.create_task(inner())

    return asyncio.run(outer())


def to_a_thread(work):
    return asyncio.run(asyncio.wait_for(asyncio.to_thread(work), harness.DEADLINE))


def in_the_loops_executor(work):
    async def outer():
        return await asyncio.get_running_loop().run_in_executor(None, work)

    return asyncio.run(outer())


def in_a_forked_child(work):
    return Crew(1, lambda _: work()).result(0)


WAYS = [lambda work: work(), in_a_thread, in_a_thread_of_a_thread, in_a_new_pool, in_an_old_pool, mapped_by_a_pool, in_a_task, to_a_thread,
        in_the_loops_executor, in_a_forked_child]


@pytest.mark.parametrize("way", WAYS)
def test_a_computation_may_ask_for_its_own_key_and_for_others(cache, way):
    list(OLD_POOL.map(int, range(4)))  # its threads are there before
    inside = []

    def factory():
        if inside:
            return "inner"
        inside.append(1)
        return ["outer", way(lambda: cache.get_or_set("key", factory)), way(lambda: cache.get_or_set("other", lambda: "second"))]

    assert cache.get_or_set("key", factory) == ["outer", "inner", "second"]


@pytest.mark.parametrize("way", WAYS)
def test_a_computation_may_need_what_another_computes_that_needs_it(cache, way):
    """a asks for b, which another thread computes; that one asks for a."""
    begun = {"a": threading.Event(), "b": threading.Event()}

    def work(number):
        mine, others = "ab"[number], "ba"[number]

        def factory():
            begun[mine].set()
            assert begun[others].wait(harness.DEADLINE)
            return [mine, *way(lambda: cache.get_or_set(others, lambda: ["beside"]))]

        return cache.get_or_set(mine, factory)

    results = threads(2, work)
    assert [result[0] for result in results] == ["a", "b"] and ["beside"] in [result[1:] for result in results]


def test_what_outlives_the_computation_that_started_it_is_on_its_own(daemon, cache):
    made = []

    def factory():
        made.append(concurrent.futures.ThreadPoolExecutor(2))
        barrier = threading.Barrier(2)
        for future in [made[0].submit(barrier.wait) for _ in range(2)]:
            future.result(harness.DEADLINE)
        threading.Thread(target=late, daemon=True).start()
        return 1

    calls, gate, results = [], threading.Event(), []

    def slow():
        calls.append(1)
        others_wait(daemon, 2)
        return "slow"

    def late():
        assert gate.wait(harness.DEADLINE)
        results.append(cache.get_or_set("slow", slow))

    cache.get_or_set("key", factory)
    gate.set()
    futures = [made[0].submit(cache.get_or_set, "slow", slow) for _ in range(2)]
    assert [future.result(harness.DEADLINE) for future in futures] == ["slow"] * 2
    until(lambda: results)
    assert results == ["slow"] and len(calls) == 1
    made[0].shutdown()


def test_deep_recursion_holds_one_connection(cache):
    @cache.memoize()
    def down(n):
        return n and 1 + down(n - 1)

    assert down(200) == 200
    assert cache.stats()[""]["connections_total"] <= 3 and down.cache_key(7) in cache


def test_a_connection_that_holds_a_lease_is_lent_to_nobody(daemon, cache):
    turn = cache._turn("held", None, 0, 0, False)
    assert turn.granted
    cache.close()
    assert threads(4, lambda number: cache.get_or_set(number, lambda: number)) == [0, 1, 2, 3]
    cache.close()
    with cache_of(daemon) as other:
        beside = other._turn("held", None, _compute.NO_WAIT, 0, False)
        assert not beside.granted
    assert turn.publish([1], 5, ..., 0, b"") is True and cache["held"] == [1]
    assert not turn.granted and turn.failed() is None


# ---- stale values


def test_while_one_refreshes_the_others_get_the_stale_value_at_once(cache, held):
    assert cache.get_or_set("key", lambda: "old", ttl="1ms", stale="1h") == "old"
    until(lambda: cache.get("key") is None)
    held("new", ttl="1h", stale="1h")
    assert cache.get_or_set("key", lambda: 1 / 0, "1h", stale="1h") == "old"
    assert cache.get("key") is None
    assert held.end() == ["new"] and cache["key"] == "new"


def test_a_refresh_that_fails_raises_and_lets_another_refresh(cache):
    assert cache.get_or_set("key", lambda: "old", ttl="1ms", stale="1h") == "old"
    until(lambda: cache.get("key") is None)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", lambda: 1 / 0, stale="1h")
    assert cache.get_or_set("key", lambda: "new", "1h", stale="1h") == "new" == cache["key"]


# ---- arguments


@pytest.mark.parametrize("bad, kind", [
    ({"ttl": 0}, ValueError), ({"stale": -1}, ValueError), ({"wait": -1}, ValueError), ({"wait": False}, TypeError), ({"lease": 0}, ValueError),
    ({"tags": "one"}, TypeError), ({"tags": [1]}, TypeError), ({"tags": [""]}, ValueError), ({"tags": [str(i) for i in range(17)]}, ValueError)])
def test_a_wrong_argument_is_told_before_anything_is_computed(cache, bad, kind):
    for call in (lambda: cache.get_or_set("key", pytest.fail, **bad), lambda: cache.memoize(**bad)):
        with pytest.raises(kind):
            call()


def test_a_key_that_is_none_is_told(cache):
    with pytest.raises(TypeError):
        cache.get_or_set(["list"], pytest.fail)


def test_without_a_daemon_everybody_computes(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    with pytest.warns(brine.BrineWarning):
        assert cache.get_or_set("key", lambda: [1]) == [1]


def test_holders_of_two_processes_differ(cache):
    mine = cache._turn("a", None, 0, 0, False).holder
    assert len({mine, *Crew(3, lambda _: cache._turn("b", None, 0, 0, False).holder).results()}) == 4
    assert isinstance(cache._turn("c", None, 0, 0, False), _brine.Turn)


def test_forked_workers_that_outlive_the_computation_that_made_them_are_on_their_own(daemon, cache, tally):
    over, crews = Gate(), []

    def work(_):
        over.wait()
        return cache.get_or_set("slow", slow)

    def slow():
        tally.next()
        others_wait(daemon, 7)
        return ["slow", os.getpid()]

    def factory():
        crews.append(Crew(8, work))
        return 1

    assert cache.get_or_set("key", factory) == 1
    for _ in range(8):
        over.open()
    results = crews[0].results()
    assert tally.count() == 1 and all(result == results[0] for result in results)


def test_a_child_belongs_to_its_parents_computation_while_that_runs(cache):
    def factory():
        # Its own key and, after it was waited for, another fork's.
        return [in_a_forked_child(lambda: cache.get_or_set("key", lambda: "inner")) for _ in range(2)]

    assert cache.get_or_set("key", factory) == ["inner", "inner"]
