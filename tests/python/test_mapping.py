"""Cache as a MutableMapping over a real daemon, and what else names its keys and terms."""

import collections.abc
import concurrent.futures
import os
import pickle
import sys

import brine
import pytest
from brine import _brine
from crew import Crew
from harness import DEADLINE
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

PICKLE_CODEC = 1 | 5 << 8 | sys.version_info[0] << 16 | sys.version_info[1] << 24

texts = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=3)
keys = st.one_of(texts, st.binary(max_size=2), st.integers(-2, 2), st.tuples(texts, st.integers(0, 2)))


# ---- as a mapping


def test_a_cache_is_a_mutable_mapping_that_is_always_true_and_equals_itself_alone(daemon, cache):
    assert isinstance(cache, collections.abc.MutableMapping)
    other = brine.Cache(socket=daemon.socket, timeout=DEADLINE)
    assert bool(cache) and cache == cache and cache != other and not cache == {} and len({cache, other}) == 2
    cache["a"] = 1
    assert len(cache) == 1 == len(cache.keys()) == len(cache.items()) and bool(cache)
    assert "a" in cache.keys() and ("a", 1) in cache.items() and ("a", 2) not in cache.items() and 1 in cache.values()
    assert cache.keys() & {"a", "b"} == {"a"} and dict(cache) == {"a": 1} == dict(cache.items())


class AsADict(RuleBasedStateMachine):
    """What a dict does with keys of one type each, a cache does."""

    cache = None

    @initialize()
    def empty(self):
        self.cache.clear()
        self.model = {}

    @rule(key=keys, value=st.integers())
    def store(self, key, value):
        self.cache[key] = self.model[key] = value

    @rule(key=keys)
    def remove(self, key):
        for mapping in (self.cache, self.model):
            try:
                del mapping[key]
                gone = True
            except KeyError:
                gone = False
        assert gone == (key in self.model) or key not in self.cache

    @rule(key=keys, default=st.one_of(st.none(), st.text()))
    def pop(self, key, default):
        assert self.cache.pop(key, default) == self.model.pop(key, default)

    @rule(key=keys, default=st.one_of(st.none(), st.integers(), st.lists(st.booleans())))
    def setdefault(self, key, default):
        assert self.cache.setdefault(key, default) == self.model.setdefault(key, default)

    @rule(other=st.dictionaries(keys, st.integers(), max_size=3))
    def update(self, other):
        self.cache.update(other)
        self.model.update(other)

    @rule()
    def popitem(self):
        if self.model:
            key, value = self.cache.popitem()
            assert self.model.pop(key) == value
        else:
            with pytest.raises(KeyError):
                self.cache.popitem()

    @invariant()
    def same(self):
        if hasattr(self, "model"):
            assert dict(self.cache.items()) == self.model and set(self.cache) == set(self.model)


def test_a_cache_does_what_a_dict_does(cache):
    AsADict.cache = cache
    run_state_machine_as_test(AsADict, settings=settings(max_examples=20, stateful_step_count=15))


def test_update_takes_what_a_dict_takes(cache):
    cache.update([(1, "int"), (True, "bool")], named="x")
    cache.update({"a": 1})
    cache.update(b=2)
    cache.update()
    assert cache[1] == "int" and cache[True] == "bool" and cache.get_many(["named", "a", "b"]) == {"named": "x", "a": 1, "b": 2}
    with pytest.raises((TypeError, ValueError)):
        cache.update({}, {})


def test_items_tell_keys_apart_that_a_dict_does_not(cache):
    for key in (1, 1.0, True, "1", 0.0, -0.0):
        cache[key] = repr(key)
    assert all(value == repr(key) for key, value in cache.items()) and len(list(cache.items())) == 6 == len(list(cache.values()))


def test_items_leave_out_what_goes_meanwhile(cache):
    cache.set_many({number: number for number in range(100)})
    seen = []
    for key, value in cache.items():
        seen.append(key)
        cache.clear()
    assert 1 <= len(seen) <= 100 and len(cache) == 0


def test_of_many_who_popitem_each_gets_another(daemon, cache):
    cache.set_many({number: number for number in range(40)})

    def work(_):
        own, got = brine.Cache(socket=daemon.socket, timeout=DEADLINE), []
        while True:
            try:
                got.append(own.popitem())
            except KeyError:
                return got

    got = sum(Crew(4, work).results(), [])
    assert sorted(got) == [(number, number) for number in range(40)]


def test_of_many_who_setdefault_one_stores_and_all_get_its_value(daemon, cache):
    results = Crew(8, lambda number: brine.Cache(socket=daemon.socket, timeout=DEADLINE).setdefault("key", [number])).results()
    assert len({tuple(result) for result in results}) == 1 and cache["key"] == results[0]


def test_of_threads_and_processes_that_setdefault_each_key_has_one_winner_and_one_value(daemon, cache):
    def work(number):
        own = brine.Cache(socket=daemon.socket, timeout=DEADLINE)
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            return list(threads.map(
                lambda thread: [own.setdefault(key, (number, thread, "x" * key)) for key in range(0, 90_000, 1500)], range(4)))

    seen = sum(Crew(4, work).results(), [])
    assert len(seen) == 16
    for values in zip(*seen):
        assert len(set(values)) == 1
    assert list(seen[0]) == [cache[key] for key in range(0, 90_000, 1500)]
    assert cache.stats()["default"]["puts"] == 60


def test_setdefault_is_one_request(played, played_cache):
    assert played_cache.setdefault("key", "mine") == "mine"
    assert played_cache.setdefault("key", "late") == "mine"
    assert [(name, fields["CONDITION"], fields["OR_GET"]) for name, fields in played.requests] == [("PUT", 1, 1)] * 2


def test_setdefault_asks_once_more_without_what_it_must_not_load(played, played_cache):
    played.plant(b"key", pickle.dumps(["theirs"], 5), codec=PICKLE_CODEC, writer=12345, VERSION=77)
    with pytest.warns(brine.BrineWarning, match="runs code when it is loaded"):
        assert played_cache.setdefault("key", "mine") == "mine"
    assert [fields.get("NOT_VERSION") for _, fields in played.requests] == [None, 77]
    assert played.stored(b"key").value == b"mine"


@pytest.mark.parametrize("lacks", [{"OR_GET"}, {"OR_GET", "NOT_VERSION"}])
def test_with_an_older_daemon_setdefault_looks_first(played, played_cache, lacks):
    played.lacks = lacks
    assert played_cache.setdefault("key", "mine") == "mine"
    assert played_cache.setdefault("key", "late") == "mine"
    assert [name for name, _ in played.requests] == ["PUT", "GET", "PUT"] + ["PUT", "GET"]


def test_setdefault_has_the_terms_of_set_and_replaces_what_cannot_be_loaded(daemon, cache):
    assert cache.setdefault("none") is None and cache.get("none", 1) is None
    assert cache.setdefault("key", "value", "1h", tags=["t"], cost=2.5) == "value" and cache.setdefault("key", "other") == "value"
    entry = cache.entry("key")
    assert entry.ttl <= 3600 and entry.cost == 2.5
    cache.invalidate("t")
    assert "key" not in cache
    cache["pickled"] = {1, 2}
    with pytest.warns(brine.BrineWarning, match="stored as pickle"):
        assert brine.Cache(socket=daemon.socket, codec="json").setdefault("pickled", [1]) == [1]


def test_a_mapping_without_a_daemon_raises_rather_than_seem_empty(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    for call in (lambda: len(cache), lambda: list(cache.items()), lambda: list(cache.values()), cache.popitem,
                 lambda: cache.delete_prefix("a"), lambda: 1 in cache.values()):
        with pytest.raises(brine.Unavailable):
            call()
    with pytest.raises(brine.Unavailable):
        cache.setdefault("key", 1)


# ---- prefixes


def test_scan_finds_by_the_beginning(cache):
    cache.set_many({key: 1 for key in (
        "user", "user:1", "users", "us", b"user:1", b"us", ("user", 1), ("user", 1, "name"), ("user", 2), ("users",), 1, None)})
    assert set(cache.scan("user")) == {"user", "user:1", "users"} and set(cache.scan(b"us")) == {b"user:1", b"us"}
    assert set(cache.scan(("user",))) == {("user", 1), ("user", 1, "name"), ("user", 2)}
    assert set(cache.scan(("user", 1))) == {("user", 1), ("user", 1, "name")}
    assert set(cache.scan(())) == {key for key in cache if isinstance(key, tuple)} and len(list(cache.scan())) == 12
    assert cache.delete_prefix(("user", 1)) == 2 and cache.delete_prefix("user:") == 1 and cache.delete_prefix("none") == 0
    assert len(cache) == 9 and ("user", 2) in cache


def test_prefixes_reach_into_long_keys(cache):
    cache["a" * 2000] = 1
    assert len(list(cache.scan("a" * 992))) == 1 and cache.delete_prefix("a" * 500) == 1
    cache.set_many({f"many {number}": 1 for number in range(2500)})
    assert cache.delete_prefix("many ") == 2500 and len(cache) == 0


@pytest.mark.parametrize("prefix, kind", [(1, TypeError), (None, TypeError), (["a"], TypeError), ("a" * 993, ValueError), (([],), TypeError)])
def test_what_is_no_prefix_is_told(cache, prefix, kind):
    for call in (cache.scan, cache.delete_prefix):
        with pytest.raises(kind):
            call(prefix)


def test_an_empty_prefix_deletes_nothing(cache):
    cache["key"] = 1
    with pytest.raises(ValueError, match="clear"):
        cache.delete_prefix("")
    assert "key" in cache


# ---- terms


def test_what_was_acknowledged_by_the_disk_survives_a_kill(daemon, cache):
    cache.set("one", [1], ack="disk")
    cache.set_many({"two": 2}, ack="disk")
    assert cache.add("three", 3, ack="disk") and cache.cas("three", 4, cache.entry("three").version, ack="disk")
    daemon.kill()
    daemon.start()
    assert brine.Cache(socket=daemon.socket, timeout=DEADLINE).get_many(["one", "two", "three"]) == {"one": [1], "two": 2, "three": 4}


@pytest.mark.parametrize("terms, kind", [
    ({"ack": "yes"}, ValueError), ({"ack": 1}, ValueError), ({"cost": -1}, ValueError), ({"cost": float("nan")}, ValueError),
    ({"cost": "1"}, TypeError), ({"cost": 1e300}, ValueError), ({"cost": float("inf")}, ValueError)])
def test_wrong_terms_are_told(cache, terms, kind):
    with pytest.raises(kind):
        cache.set("key", 1, **terms)
    assert "key" not in cache


def test_the_cost_is_kept(cache):
    cache.set("key", 1, cost=0.25, ack="memory")
    assert cache.entry("key").cost == 0.25 and cache.set("key", 1, cost=None, ack=None) is None and cache.entry("key").cost is None


# ---- keys of numpy


def test_a_scalar_of_numpy_is_the_key_of_what_it_equals():
    numpy = pytest.importorskip("numpy")
    for scalar, plain in ((numpy.int64(7), 7), (numpy.uint64(2**64 - 1), 2**64 - 1), (numpy.int8(-1), -1), (numpy.float64(0.1), 0.1),
                          (numpy.float32(0.5), 0.5), (numpy.float16(2), 2.0), (numpy.bool_(True), True), (numpy.str_("x"), "x"),
                          (numpy.bytes_(b"x"), b"x")):
        assert _brine.encode_key(scalar) == _brine.encode_key(plain)
        assert _brine.encode_key(("a", scalar)) == _brine.encode_key(("a", plain))


def test_what_numpy_has_beyond_these_is_no_key():
    numpy = pytest.importorskip("numpy")
    for value in (numpy.timedelta64(1), numpy.datetime64(1, "ns"), numpy.complex64(1), numpy.longdouble(1), numpy.array(1), numpy.array([1]),
                  numpy.void(b"x")):
        with pytest.raises(TypeError, match="make one of the parts"):
            _brine.encode_key(value)


def test_keys_of_numpy_come_back_as_plain_ones(cache):
    numpy = pytest.importorskip("numpy")
    cache[numpy.int32(3), numpy.bool_(False)] = "x"
    (key,) = cache
    assert key == (3, False) and list(map(type, key)) == [int, bool]
