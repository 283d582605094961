"""One Cache object in many processes: as an argument, through each way of starting one, and over forks that Python
does not see."""

import multiprocessing
import os
import signal
import threading

import brine
import pytest


def use(cache, number):
    before = cache["shared"]
    cache[number] = [before, number]
    return cache[number] == [before, number] and cache.incr("count") > 0


def keep_using(number):
    return use(inherited, number)


inherited = None


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_cache_goes_to_workers_as_an_argument(cache, method):
    cache["shared"] = "from the parent"
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert pool.starmap(use, [(cache, number) for number in range(30)]) == [True] * 30
    assert cache["count"] == 30


def test_workers_that_inherit_a_cache_in_use_have_connections_of_their_own(cache, monkeypatch):
    monkeypatch.setattr(f"{__name__}.inherited", cache)
    cache["shared"] = "from the parent"
    with multiprocessing.get_context("fork").Pool(4) as pool:
        tasks = pool.map_async(keep_using, range(200), chunksize=5)
        for number in range(1000, 1100):  # the parent goes on meanwhile
            assert use(cache, number)
        assert tasks.get(60) == [True] * 200
    assert cache["count"] == 300


def test_a_fork_in_c_is_noticed(daemon, run_python):
    # As uWSGI and other servers that embed Python do it: none of os.register_at_fork's functions is called.
    done = run_python("""
import ctypes, os
import brine
cache = brine.Cache()
cache["key"] = ["from the parent"]
scan = iter(cache)
next(scan)
child = ctypes.PyDLL(None).fork()
if child == 0:
    ok = all(cache.get("key") == ["from the parent"] for _ in range(100))
    cache["child's"] = ["from the child"]
    os._exit(0 if ok else 1)
same = all(cache.get("key") == ["from the parent"] for _ in range(100))
assert os.waitpid(child, 0)[1] == 0 and same
print(cache["child's"], list(scan))
""", BRINE_SOCKET=daemon.socket)
    assert done.out == "['from the child'] []\n"


def test_forks_while_other_threads_are_in_calls_leave_no_lock_behind(cache):
    cache["shared"] = 1
    stop, errors = threading.Event(), []

    def work(number):
        while not stop.is_set():
            if not use(cache, number):
                errors.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                os._exit(0 if use(cache, os.getpid()) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_two_interpreters_use_it_at_the_same_time(daemon, run_python):
    done = run_python(f"""
import sys, threading
import _xxsubinterpreters as interpreters
import brine
script = '''
import sys
sys.path = {{path!r}}
import brine
cache = brine.Cache(codec="json")
for number in range(200):
    cache["inside", number] = [number]
    assert cache["inside", number] == [number]
assert cache.get_or_set("computed", lambda: [1]) == [1]
try:
    cache["key"] = (1, 2)
except brine.Unpicklable:
    pass
'''.format(path=sys.path)
def inside():
    made = interpreters.create()
    interpreters.run_string(made, script)
    interpreters.destroy(made)
threads = [threading.Thread(target=inside) for _ in range(3)]
for thread in threads:
    thread.start()
cache = brine.Cache()
for number in range(200):
    cache["outside", number] = [number]
    assert cache["outside", number] == [number]
for thread in threads:
    thread.join()
print(len(list(cache.scan(("inside",)))), len(list(cache.scan(("outside",)))))
""", BRINE_SOCKET=daemon.socket)
    assert done.out == "200 200\n" and done.err == "", done.err


def test_a_signal_reaches_its_handler_while_a_call_waits(played):
    cache = brine.Cache(socket=played.path, timeout=60)
    played.hold["GET"] = threading.Event()
    called = []
    before = signal.signal(signal.SIGALRM, lambda *_: (called.append(1), played.hold["GET"].set()))
    played.plant(b"key", b"value", codec=0)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert cache.get("key") == b"value" and called == [1]  # the call went on after it
    finally:
        signal.signal(signal.SIGALRM, before)
