"""While the daemon is gone, hangs, is slow, full or switched off: what is a miss, what raises, and that it passes."""

import os
import signal
import threading
import warnings

import brine
import pytest
from crew import until
from harness import DEADLINE

TIMEOUT = 0.05  # of silence, where the silence is what the test is about

# What each does where it succeeds without a cache.
MISSES = {
    "get": lambda cache: cache.get("key") is None,
    "get_many": lambda cache: cache.get_many(["key", "other"]) == {},
    "in": lambda cache: "key" not in cache,
    "set": lambda cache: cache.set("key", [1]) is None,
    "item": lambda cache: cache.__setitem__("key", [1]) is None,
    "set_many": lambda cache: cache.set_many({"key": [1]}) is None,
    "update": lambda cache: cache.update(key=[1]) is None,
    "touch": lambda cache: cache.touch("key", 5) is False,
    "entry": lambda cache: cache.entry("key") is None,
    "get_or_set": lambda cache: cache.get_or_set("key", lambda: [2]) == [2],
    "memoize": lambda cache: cache.memoize(double)(4) == 8,
}
RAISES = {
    "add": lambda cache: cache.add("key", 1),
    "incr": lambda cache: cache.incr("key"),
    "decr": lambda cache: cache.decr("key"),
    "cas": lambda cache: cache.cas("key", 1, 1),
    "pop": lambda cache: cache.pop("key", None),
    "delete": lambda cache: cache.delete("key"),
    "del": lambda cache: cache.__delitem__("key"),
    "delete_many": lambda cache: cache.delete_many(["key"]),
    "delete_prefix": lambda cache: cache.delete_prefix("k"),
    "invalidate": lambda cache: cache.invalidate("tag"),
    "clear": lambda cache: cache.clear(),
    "scan": lambda cache: list(cache),
    "len": lambda cache: len(cache),
    "sync": lambda cache: cache.sync(),
    "stats": lambda cache: cache.stats(),
}


def double(x):
    return 2 * x


class Hung:
    """A daemon that was stopped in the middle of its work: it is there, takes connections, and says nothing."""

    def __init__(self, daemon):
        self.socket, self.process = daemon.socket, daemon.process
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)


@pytest.fixture
def away(request, daemon, played):
    """The daemon as it is gone in one of the ways; gives the socket."""
    if request.param == "absent":
        yield str(daemon.folder / "nobody.sock")
    elif request.param == "killed":
        brine.Cache(socket=daemon.socket)["key"] = [0]
        daemon.kill()
        yield daemon.socket
    elif request.param == "hung":
        hung = Hung(daemon)
        yield daemon.socket
        hung.go_on()
    elif request.param == "disk full":
        played.errors.update(dict.fromkeys(("PUT", "GET", "META", "TOUCH", "DELETE", "SCAN", "FLUSH", "SYNC", "INCR", "TAKE", "INVALIDATE", "STATS",
                                            "BATCH"), 2))
        yield played.path


WAYS = ["absent", "killed", "hung", "disk full"]


@pytest.mark.parametrize("away", WAYS, indirect=True)
def test_an_outage_is_a_miss_where_a_miss_is_safe_with_one_warning(away):
    cache = brine.Cache(socket=away, timeout=TIMEOUT)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            assert [name for name, call in MISSES.items() if not call(cache)] == []
    assert len(said) == 1 and str(said[0].message).startswith("the program goes on without its cache for now: "), said
    assert cache._counts()["outages"] >= 2 * len(MISSES)


@pytest.mark.parametrize("away", WAYS, indirect=True)
def test_an_outage_raises_where_a_miss_would_be_a_wrong_answer(away):
    cache = brine.Cache(socket=away, timeout=TIMEOUT)
    for name, call in RAISES.items():
        with pytest.raises(brine.Unavailable):
            call(cache)
            raise AssertionError(name)


@pytest.mark.parametrize("away", WAYS, indirect=True)
def test_with_on_error_raise_an_outage_raises_everywhere(away):
    cache = brine.Cache(socket=away, timeout=TIMEOUT, on_error="raise")
    for name, call in MISSES.items():
        with pytest.raises(brine.Unavailable):
            call(cache)
            raise AssertionError(name)


def test_with_on_error_raise_a_daemon_that_goes_while_something_is_computed_raises(played):
    cache = brine.Cache(socket=played.path, timeout=TIMEOUT, on_error="raise")

    def compute(daemon):
        daemon.close()
        return 1

    with pytest.raises(brine.Unavailable):
        cache.memoize(ignore=["daemon"])(compute)(played)
    assert not played.objects


def test_with_on_error_raise_a_result_that_cannot_be_kept_is_returned(daemon):
    cache = brine.Cache(socket=daemon.socket, timeout=DEADLINE, on_error="raise")
    with pytest.warns(brine.BrineWarning, match="computed but not kept"):
        assert callable(cache.get_or_set("key", lambda: lambda: 1))


@pytest.mark.parametrize("number, name", [(34, "TOO_LARGE"), (37, "FORBIDDEN"), (41, "NOT_ADMITTED"), (38, "TOO_MANY")])
@pytest.mark.parametrize("on_error", ["miss", "raise"])
def test_a_refusal_is_no_outage(played, number, name, on_error):
    cache = brine.Cache(socket=played.path, on_error=on_error)
    played.errors["PUT"] = number
    for call in (lambda: cache.set("key", 1), lambda: cache.__setitem__("key", 1), lambda: cache.set_many({"key": 1}),
                 lambda: cache.add("key", 1), lambda: cache.setdefault("key", 1)):
        with pytest.raises(brine.Refused) as raised:
            call()
        assert raised.value.name == name
    assert cache._counts()["outages"] == 0 and cache.get("key") is None


def test_what_is_refused_is_computed_and_not_kept(played):
    cache = brine.Cache(socket=played.path)
    played.errors["PUT"] = 34
    with pytest.warns(brine.BrineWarning, match="not kept"):
        assert cache.get_or_set("key", lambda: [2]) == [2]


def test_a_daemon_that_is_cut_off_then_absent_then_silent_is_one_outage_and_a_full_disk_another(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for number, name in ((130, "CUT_OFF"), (128, "UNREACHABLE"), (129, "TIMED_OUT"), (2, "DISK_FULL"), (2, "DISK_FULL")):
            cache._failed(number, 0, name, f"as in {name}", "get")
    assert [str(warning.message).split(": ")[1] for warning in said] == ["as in CUT_OFF", "as in DISK_FULL"]


# ---- the breaker


def test_a_killed_daemon_costs_no_connection_for_a_while_and_is_found_when_it_is_back(daemon):
    cache = brine.Cache(socket=daemon.socket)
    cache.set("key", [1], ack="disk")
    daemon.kill()
    with pytest.warns(brine.BrineWarning):
        for _ in range(10_000):  # at a second each this would not end
            assert cache.get("key") is None
    daemon.start()
    until(lambda: cache.get("key") == [1])


def test_a_hung_daemon_is_waited_for_by_one_call_of_many_and_found_when_it_goes_on(daemon):
    cache = brine.Cache(socket=daemon.socket, timeout=TIMEOUT)
    cache.set("key", [1], ack="disk")
    hung = Hung(daemon)
    with pytest.warns(brine.BrineWarning):
        assert cache.get("key") is None
        assert all(cache.get("key") is None for _ in range(10_000))
    hung.go_on()
    until(lambda: cache.get("key") == [1])
    assert cache.get("key") == [1]


def test_what_one_thread_waited_for_in_vain_the_others_do_not_wait_for(played):
    cache = brine.Cache(socket=played.path, timeout=TIMEOUT)
    threads, ready = 8, threading.Barrier(9)

    def connect():
        cache.get("key")
        ready.wait(60)

    crew = [threading.Thread(target=connect) for _ in range(threads)]
    played.hold["GET"] = threading.Event()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cache.get("key") is None
        asked = played.count("GET")
        for thread in crew:
            thread.start()
        ready.wait(60)
        for thread in crew:
            thread.join()
    played.hold.pop("GET").set()
    assert asked == 1 == played.count("GET") and cache._counts()["outages"] == 9


def test_the_answer_that_came_too_late_reaches_nobody(played):
    played.plant(b"one", b"1", codec=0)
    played.plant(b"two", b"2", codec=0)
    cache = brine.Cache(socket=played.path, timeout=TIMEOUT)
    gate = played.hold["GET"] = threading.Event()
    with pytest.warns(brine.BrineWarning):
        assert cache.get("one") is None
    del played.hold["GET"]
    gate.set()
    until(lambda: cache.get("two") is not None)
    assert cache.get("two") == b"2" and cache.get("one") == b"1"


def test_a_slow_daemon_within_the_timeout_is_waited_for(played):
    played.plant(b"key", b"value", codec=0)
    cache = brine.Cache(socket=played.path, timeout=60)
    gate = played.hold["GET"] = threading.Event()
    timer = threading.Timer(0.05, gate.set)
    timer.start()
    assert cache.get("key") == b"value" and cache._counts()["outages"] == 0
    timer.join()


# ---- switched off


def test_switched_off_everything_is_a_miss_or_done_and_nothing_is_said(played, monkeypatch):
    monkeypatch.setenv("BRINE_DISABLE", "1")
    cache = brine.Cache(socket=played.path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [name for name, call in MISSES.items() if name != "touch" and not call(cache)] == []
        assert cache.delete_many(["key"]) in (0, 1) and cache.delete_prefix("k") == 0 == len(cache) and list(cache.items()) == []
        assert cache.clear() is None and cache.invalidate("tag") is None and cache.sync() is None
        assert cache.add("key", 1) and cache.incr("key") == 1 and cache.pop("key", 7) == 7 and cache.setdefault("key", 3) == 3
        cache.update(a=1)
        with pytest.raises(KeyError):
            cache["key"]
        with pytest.raises(KeyError):
            cache.popitem()
    assert played.connections == []
