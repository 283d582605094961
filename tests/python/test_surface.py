"""Counters, conditions, tags, batches and entries, over a real daemon."""

import datetime
import math
import os

import brine
import pytest
from crew import Crew, until


# ---- counters


def test_an_int_that_was_set_counts(cache):
    cache.set("n", 5)
    assert cache.incr("n") == 6 and cache.incr("n", 10) == 16 and cache.decr("n", 20) == -4 and cache["n"] == -4


def test_an_absent_counter_counts_as_initial_and_has_the_ttl(cache):
    assert cache.incr("n") == 1
    assert cache.incr("m", 5, initial=100, ttl="1h") == 105 and cache.incr("m", ttl=None) == 106
    assert cache.entry("n").ttl is None and 0 < cache.entry("m").ttl <= 3600
    assert cache.decr("k", initial=3) == 2


def test_an_absent_counter_is_not_made_where_that_is_forbidden(cache):
    with pytest.raises(brine.Conflict) as raised:
        cache.incr("n", create=False)
    assert raised.value.name == "ABSENT" and "n" not in cache
    cache["n"] = 1
    assert cache.incr("n", create=False) == 2 and cache.decr("n", create=False) == 1


@pytest.mark.parametrize("start, by", [(2**63 - 1, 1), (-2**63, -1), (1, 2**63 - 1)])
def test_a_counter_that_would_overflow_stays_as_it_was(cache, start, by):
    cache["n"] = start
    with pytest.raises(brine.Conflict, match="64 bits"):
        cache.incr("n", by)
    assert cache["n"] == start


@pytest.mark.parametrize("value", [True, 1.0, "1", b"12345678", [1], 2**63])
def test_what_is_no_int_does_not_count(cache, value):
    cache["n"] = value
    with pytest.raises(brine.Refused) as raised:
        cache.incr("n")
    assert raised.value.name == "NOT_A_COUNTER" and cache["n"] == value


@pytest.mark.parametrize("bad, kind", [(2**63, OverflowError), (1.0, TypeError), ("1", TypeError)])
def test_a_step_of_another_kind_is_an_error(cache, bad, kind):
    with pytest.raises(kind):
        cache.incr("n", bad)


def test_counts_of_many_processes_add_up(daemon):
    def work(_):
        cache = brine.Cache(socket=daemon.socket)
        return [cache.incr("n") for _ in range(100)]

    results = Crew(8, work).results()
    assert sorted(sum(results, [])) == list(range(1, 801))


# ---- conditions


def test_of_several_who_add_one_succeeds(daemon, cache):
    results = Crew(8, lambda number: brine.Cache(socket=daemon.socket).add("key", number)).results()
    assert results.count(True) == 1 and results[cache["key"]] is True
    assert cache.add("other", 1, ttl="1h", tags=["t"]) and not cache.add("other", 2) and cache["other"] == 1


def test_cas_stores_only_over_the_version_that_was_seen(cache):
    cache["key"] = [1]
    first = cache.entry("key").version
    assert cache.cas("key", [2], first) is True and cache["key"] == [2]
    assert cache.cas("key", [3], first) is False and cache["key"] == [2]
    cache.delete("key")
    assert cache.cas("key", [3], first) is False and "key" not in cache


def test_no_update_by_cas_is_lost(daemon, cache):
    cache["key"] = {"count": 0}

    def work(_):
        own = brine.Cache(socket=daemon.socket)
        for _ in range(20):
            while not own.cas("key", {"count": (entry := own.entry("key")).value["count"] + 1}, entry.version):
                pass

    Crew(4, work).results()
    assert cache["key"] == {"count": 80}


def test_of_several_who_pop_one_gets_it(daemon, cache):
    cache["key"] = ["value"]
    results = Crew(8, lambda _: brine.Cache(socket=daemon.socket).pop("key", "none")).results()
    assert sorted(results, key=str) == [*[["value"]], *["none"] * 7] and "key" not in cache
    with pytest.raises(KeyError, match="'key'"):
        cache.pop("key")


# ---- tags


def test_invalidating_a_tag_removes_all_that_carry_it_and_nothing_else(cache):
    cache.set("a", 1, tags=["one", "two"])
    cache.set("b", 2, tags=("two",))
    cache.set_many({"c": 3, "d": 4}, tags={"three"})
    cache.add("e", 5, tags=["four"])
    cache.get_or_set("f", lambda: 6, tags=["five"])
    cache["g"] = 7
    assert cache.cas("g", 8, cache.entry("g").version, tags=["six"])
    everything = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 8}
    assert cache.get_many([*"abcdefg"]) == everything
    for tags, gone in ((["one"], "a"), (["two"], "b"), (["none"], ""), (["three"], "cd"), (["four", "five"], "ef"),
                       ([*map(str, range(40)), "six"], "g")):
        cache.invalidate(*tags)
        for key in gone:
            del everything[key]
        assert cache.get_many([*"abcdefg"]) == everything
    cache.set("a", 9, tags=["one"])
    assert cache["a"] == 9


def test_results_of_memoize_go_by_their_tag(cache):
    @cache.memoize("1h", tags=["reports"])
    def report(year):
        return os.urandom(8)

    first = report(1)
    assert report(1) == first
    cache.invalidate("reports")
    assert report(1) != first


@pytest.mark.parametrize("tags, kind", [("one", TypeError), ([1], TypeError), ([""], ValueError), (["x" * 256], ValueError),
                                        ([str(i) for i in range(17)], ValueError), ([b"x"], TypeError), (5, TypeError)])
def test_tags_of_another_kind_are_told(cache, tags, kind):
    for call in (lambda: cache.set("key", 1, tags=tags), lambda: cache.set_many({"key": 1}, tags=tags), lambda: cache.add("key", 1, tags=tags),
                 lambda: cache.cas("key", 1, 1, tags=tags)):
        with pytest.raises(kind):
            call()
    assert "key" not in cache
    with pytest.raises(TypeError, match="clear"):
        cache.invalidate()


# ---- how old


def test_a_stale_value_is_given_to_those_who_accept_it(cache):
    cache.set("key", "old", ttl="1ms", stale="1h")
    cache.set_many({"many": "old"}, ttl="1ms", stale=datetime.timedelta(hours=1))
    until(lambda: cache.get("key") is None and cache.get("many") is None)
    assert cache.get("key", stale=True) == "old" and cache.get_many(["key", "many"], stale=True) == {"key": "old", "many": "old"}
    assert cache.entry("key") is None and "key" not in cache
    entry = cache.entry("key", stale=True)
    assert entry.value == "old" and entry.stale > 0


def test_what_is_older_than_was_asked_for_is_a_miss(cache):
    cache["key"] = [1]
    until(lambda: cache.get("key", max_age="1ms") is None)
    assert cache.get("key", max_age="1h") == [1] == cache["key"]
    assert cache.get_many(["key"], max_age=0.001) == {} and cache.get_many(["key"], max_age=3600) == {"key": [1]}
    for bad in (0, -1, "x"):
        with pytest.raises(ValueError, match="max_age"):
            cache.get("key", max_age=bad)


# ---- entries, and many at once


def test_an_entry_tells_what_is_known_of_an_object(cache):
    cache.set("key", [1], ttl=60)
    entry = cache.entry("key")
    assert entry.value == [1] and entry.codec == "pickle" and entry.writer == os.geteuid() and entry.size > 5
    assert 0 <= entry.age <= entry.age + entry.ttl <= 61 and entry.stale is None and entry.cost is None
    cache["key"] = 7
    later = cache.entry("key")
    assert later.codec == "integer" and later.ttl is None and later.version != entry.version and later.size == 8
    cache.get_or_set("computed", lambda: math.factorial(3000) and "x")
    assert cache.entry("computed").cost > 0
    assert cache.entry("nothing") is None


def test_many_are_deleted_and_counted(cache):
    cache.set_many({number: number for number in range(600)})
    assert cache.delete_many(range(500, 700)) == 100 and cache.delete_many(["none"]) == 0 == cache.delete_many([])
    assert len(list(cache)) == 500


# ---- without a daemon


def test_where_a_miss_would_be_a_wrong_answer_an_outage_raises(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    for call in (lambda: cache.add("key", 1), lambda: cache.cas("key", 1, 1), lambda: cache.incr("key"), lambda: cache.decr("key"),
                 lambda: cache.pop("key", 1), lambda: cache.invalidate("tag"), lambda: cache.delete_many(["key"])):
        with pytest.raises(brine.Unavailable):
            call()
    with pytest.warns(brine.BrineWarning):
        assert cache.entry("key") is None


def test_switched_off_nothing_is_kept_and_nothing_raises(folder, monkeypatch):
    monkeypatch.setenv("BRINE_DISABLE", "1")
    cache = brine.Cache(socket=folder / "nobody.sock")
    assert cache.incr("n") == 1 == cache.incr("n") and cache.incr("n", 2, initial=5) == 7
    assert cache.pop("key", 3) == 3 and cache.add("key", 1) is True and cache.invalidate("t") is None and cache.entry("key") is None
    assert cache.get_or_set("key", lambda: 4) == 4
    with pytest.raises(OverflowError):
        cache.incr("n", 1, initial=2**63 - 1)
