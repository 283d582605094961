"""Several users and one daemon: what one of them plants in a shared namespace, the others do not run."""

import asyncio
import os
import warnings

import brine
import brine.aio
import pytest
from brine import _compute, _memoize  # noqa: F401  (a forked child of another uid may not be able to read them)
from crew import Crew
from private import Daemon

ATTACKER, VICTIM = 12345, 12346

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

CONFIG = """
[namespace /shared]
readers = *
writers = *
"""


@pytest.fixture
def shared(folder):
    """A daemon of root's, with a socket for everybody and one namespace that all may write."""
    folder.chmod(0o711)
    config = folder / "brined.conf"
    config.write_text(CONFIG)
    daemon = Daemon(folder)
    daemon.arguments += ["--config", str(config), "--socket", str(folder / "all.sock")]
    daemon.socket = str(folder / "all.sock")
    (folder / "proof").mkdir(mode=0o777)
    (folder / "proof").chmod(0o777)
    daemon.proof = folder / "proof/ran"
    daemon.start()
    (folder / "all.sock").chmod(0o666)
    yield daemon
    daemon.stop()


def as_uid(uid, work):
    """What work() returns in a child that is this user and no other."""
    def drop(_):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", brine.BrineWarning)
            return work()
    return Crew(1, drop).result(0)


def opened(daemon, **more):
    return brine.Cache("/shared", socket=daemon.socket, on_error="raise", **more)


def aopened(daemon, **more):
    return brine.aio.Cache("/shared", socket=daemon.socket, on_error="raise", **more)


class Plant:
    """A pickle that leaves a file behind where it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def computed(number):
    return number * 2


def plant(daemon, *keys):
    def work():
        with opened(daemon) as cache:
            for key in keys:
                cache.set(key, Plant(daemon.proof))
                cache.set("the last", "is there")
    as_uid(ATTACKER, work)


def popped(cache):
    """All that popitem gives, until there is nothing left."""
    found = []
    with pytest.raises(KeyError):
        while True:
            found.append(cache.popitem())
    return found


async def apopped(cache):
    found = []
    with pytest.raises(KeyError):
        while True:
            found.append(await cache.popitem())
    return found


WAYS = {
    "get": lambda cache: cache.get("planted") is None,
    "get_stale": lambda cache: cache.get("planted", stale=True) is None,
    "get_many": lambda cache: cache.get_many(["planted", "absent"]) == {},
    "pop": lambda cache: cache.pop("planted", "nothing") == "nothing",
    "entry": lambda cache: cache.entry("planted") is None,
    "get_or_set": lambda cache: cache.get_or_set("planted", lambda: "mine") == "mine",
    "get_or_set_stale": lambda cache: cache.get_or_set("planted", lambda: "mine", stale="1h") == "mine",
    "memoize": lambda cache: cache.memoize(computed)(21) == 42,
    "get_max_age": lambda cache: cache.get("planted", max_age="1h") is None,
    "setdefault": lambda cache: cache.setdefault("planted", "mine") == "mine",
    "items": lambda cache: list(cache.items()) == [("the last", "is there")],
    "values": lambda cache: list(cache.values()) == ["is there"],
    "popitem": lambda cache: popped(cache) == [("the last", "is there")],
    "scan": lambda cache: "planted" in list(cache.scan()) and "planted" in cache and "planted" in cache.keys(),
}


async def every(generator):
    return [one async for one in generator]


async def acomputed(number):
    return number * 2


# The same for asyncio; each is awaited.
ASYNC_WAYS = {
    "get": lambda cache: cache.get("planted"),
    "get_stale": lambda cache: cache.get("planted", stale=True),
    "get_many": lambda cache: cache.get_many(["planted", "absent"]),
    "pop": lambda cache: cache.pop("planted", None),
    "entry": lambda cache: cache.entry("planted"),
    "get_or_set": lambda cache: cache.get_or_set("planted", lambda: "mine"),
    "get_or_set_stale": lambda cache: cache.get_or_set("planted", lambda: "mine", stale="1h"),
    "memoize": lambda cache: cache.memoize(acomputed)(21),
    "setdefault": lambda cache: cache.setdefault("planted", "mine"),
    "items": lambda cache: every(cache.items()),
    "values": lambda cache: every(cache.values()),
    "popitem": lambda cache: apopped(cache),
}
ASYNC_GETS = {
    "get": None, "get_stale": None, "get_many": {}, "pop": None, "entry": None, "get_or_set": "mine",
    "get_or_set_stale": "mine", "memoize": 42, "setdefault": "mine", "items": [("the last", "is there")],
    "values": ["is there"], "popitem": [("the last", "is there")],
}
# What gives no value that somebody else may have stored.
GIVES_NONE = {"add", "cas", "clear", "close", "contains", "decr", "delete", "delete_many", "delete_prefix", "incr",
              "invalidate", "keys", "scan", "set", "set_many", "stats", "sync", "touch", "update"}


@pytest.mark.parametrize("kind, ways", [(brine.Cache, WAYS), (brine.aio.Cache, ASYNC_WAYS)], ids=["sync", "async"])
def test_every_method_that_gives_a_value_is_tried_on_a_planted_one(kind, ways):
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public - GIVES_NONE <= set(ways)


def item(cache):
    with pytest.raises(KeyError):
        cache["planted"]
    return True


@pytest.mark.parametrize("way", [*WAYS, "item"])
@pytest.mark.parametrize("victim", [VICTIM, 0])
def test_a_pickle_that_another_user_planted_is_never_loaded(shared, way, victim):
    def call_key():
        # Of who reads no source (a checkout in somebody's home) it is another one: made of the bytecode.
        with opened(shared) as cache:
            return cache.memoize(computed).cache_key(21)

    plant(shared, "planted", as_uid(victim, call_key))

    def work():
        with opened(shared) as cache:
            return (item if way == "item" else WAYS[way])(cache), cache.stats()["client"]["strangers"]

    done, strangers = as_uid(victim, work)
    assert done and not shared.proof.exists()
    # Where all keys are read, the memoized call's is among them.
    assert strangers == 0 if way == "scan" else strangers >= 1


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_a_pickle_that_another_user_planted_is_never_loaded_by_asyncio_either(shared, way):
    async def key():
        async with aopened(shared) as cache:
            return cache.memoize(acomputed).cache_key(21)

    plant(shared, "planted", as_uid(VICTIM, lambda: asyncio.run(key())))

    async def use():
        async with aopened(shared) as cache:
            got = await ASYNC_WAYS[way](cache)
            return got, (await cache.stats())["client"]["strangers"]

    got, strangers = as_uid(VICTIM, lambda: asyncio.run(use()))
    assert got == ASYNC_GETS[way] and not shared.proof.exists()
    assert strangers >= 1


def test_a_pickle_of_a_user_who_is_trusted_by_name_is_loaded(shared):
    plant(shared, "planted")

    def work():
        with opened(shared, trust=[ATTACKER]) as cache:
            return cache.get("planted")

    as_uid(VICTIM, work)
    assert shared.proof.exists()


def test_what_root_wrote_is_loaded_only_by_those_who_name_root(shared):
    with opened(shared) as cache:
        cache.set("root's", Plant(shared.proof))

    def work(**more):
        with opened(shared, **more) as cache:
            return cache.get("root's", "nothing")

    assert as_uid(VICTIM, work) == "nothing" and not shared.proof.exists()
    as_uid(VICTIM, lambda: work(trust=["root"]))
    assert shared.proof.exists()


def test_who_computes_instead_of_a_stranger_is_read_by_the_same_user(shared):
    plant(shared, "planted")

    def work():
        with opened(shared) as cache:
            cache.get_or_set("planted", lambda: ["mine"])
            return cache.entry("planted")

    entry = as_uid(VICTIM, work)
    assert entry.value == ["mine"] and entry.writer == VICTIM


@pytest.mark.parametrize("forks", [False, True], ids=["in place", "in a forked child"])
def test_a_process_that_was_root_and_dropped_it_writes_as_who_it_is_then(shared, forks):
    with opened(shared) as cache:
        cache.set("before", [0])

        def drop(_):
            with opened(shared) as own:
                used = cache if forks else own
                if not forks:
                    used.set("as root", [1])
                os.setgroups([])
                os.setresgid(VICTIM, VICTIM, VICTIM)
                os.setresuid(VICTIM, VICTIM, VICTIM)
                used.set("after", [2])
                return used.entry("after").writer

        assert Crew(1, drop).result(0) == VICTIM
        assert cache.entry("before").writer == 0


def test_counters_of_strangers_are_read_and_counted(shared):
    with opened(shared) as cache:
        assert cache.incr("count") == 1

    def work():
        with opened(shared) as cache:
            return cache.incr("count", 41), cache.get("count"), cache.entry("count").writer

    assert as_uid(VICTIM, work) == (42, 42, VICTIM)
