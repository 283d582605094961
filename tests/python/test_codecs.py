"""Codecs: what is stored how, what of it comes back, and that what a cache may not load is not loaded by any way."""

import collections
import enum
import importlib.util
import json
import math
import os
import pickle
import subprocess
import sys
import warnings

import brine
import pytest
from brine import _codecs
from harness import BUILD, DEADLINE
from hypothesis import given, strategies as st

THIS = sys.version_info[0] << 16 | sys.version_info[1] << 24
PICKLE_CODEC, CLOUDPICKLE_CODEC = 1 | 5 << 8 | THIS, 5 | 5 << 8 | THIS
INSTALLED = [name for name in ("pickle", "cloudpickle", "msgpack", "json", "bytes")
             if name not in _codecs._NEEDS or importlib.util.find_spec(name)]

texts = st.text(st.characters(blacklist_categories=["Cs"]))
native = st.one_of(texts, st.binary(), st.integers(-2**63, 2**63 - 1))
plain = {
    "bytes": native,
    "json": st.one_of(native, st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)), max_leaves=10)),
    "msgpack": st.one_of(native, st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-2**63, 2**64 - 1), st.floats(allow_nan=False), texts, st.binary()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.one_of(texts, st.binary(), st.integers(-9, 9)), inner)),
        max_leaves=10)),
    "pickle": st.one_of(native, st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.dates()),
        lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.frozensets(st.integers()),
                                st.dictionaries(st.text(), inner)), max_leaves=10)),
}
plain["cloudpickle"] = plain["pickle"]


def same(value, other):
    """Equal, and of the same types all the way down."""
    if type(value) is not type(other):
        return False
    if isinstance(value, dict):
        return list(map(type, value)) == list(map(type, other)) and value == other and all(same(value[key], other[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, float):
        return value == other and math.copysign(1, value) == math.copysign(1, other)
    return value == other


def opened(played, codec, **more):
    return brine.Cache(socket=played.path, codec=codec, timeout=DEADLINE, **more)


# ---- what comes back


@pytest.mark.parametrize("codec", INSTALLED)
@given(data=st.data())
def test_a_value_comes_back_as_what_it_was(played, codec, data):
    value = data.draw(plain[codec])
    cache = opened(played, codec)
    cache["key"] = value
    cache.set_many({"many": value})
    assert same(cache["key"], value) and same(cache.get_many(["many"])["many"], value)


class Name(str):
    pass


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize("codec", INSTALLED)
@pytest.mark.parametrize("value, number, kind, stored", [
    (b"\xff\0", 0, 0, b"\xff\0"), (b"", 0, 0, b""), ("grün", 2, 0, "grün".encode()), ("", 2, 0, b""),
    (7, 6, 1, b"\7" + bytes(7)), (-2**63, 6, 1, bytes(7) + b"\x80")])
def test_bytes_texts_and_ints_are_stored_as_they_are_with_every_codec(played, codec, value, number, kind, stored):
    cache = opened(played, codec)
    cache["key"] = value
    found = played.stored(b"key")
    assert (found.codec, found.kind, found.value) == (number, kind, stored) and same(cache["key"], value)


@pytest.mark.parametrize("value", [True, None, Name("x"), Level.LOW, bytearray(b"x"), 2**63, "\ud800", 1.0])
def test_other_kinds_go_through_pickle(played, played_cache, value):
    played_cache["key"] = value
    assert played.stored(b"key").codec == PICKLE_CODEC
    assert played_cache["key"] == value and type(played_cache["key"]) is type(value)


class Buffer:
    """Hands its memory to pickle as numpy's arrays do."""

    def __init__(self, content):
        self.content = content

    def __reduce_ex__(self, protocol):
        return Buffer, (pickle.PickleBuffer(self.content),)

    def __eq__(self, other):
        return bytes(self.content) == bytes(other.content)


def test_after_a_large_value_large_ones_and_small_ones_come_back_as_they_were(played_cache):
    large = os.urandom(1 << 20)
    values = [bytearray(large), [large] * 3, {"a": bytearray(large * 5)}, [1, "x"], bytearray(large + b"x"), None,
              Buffer(bytearray(large)), Buffer(large), [Buffer(memoryview(large)[:5]), large], list(range(400_000)), bytearray(large)]
    for number, value in enumerate(values):
        played_cache[number] = value
        played_cache.set_many({("many", number): value})
    for number, value in enumerate(values):
        found = played_cache[number]
        assert type(found) is type(value) and found == value and played_cache[("many", number)] == value


def test_a_large_value_that_cannot_be_dumped_after_another_says_why(played_cache):
    played_cache["key"] = bytearray(1 << 20)
    with pytest.raises(brine.Unpicklable, match="lambda"):
        played_cache["key"] = [bytearray(1 << 20), lambda: 3]
    assert played_cache["key"] == bytearray(1 << 20)


def test_where_memory_is_short_a_large_dump_raises_memory_error(played):
    script = """
import resource, sys, brine
cache = brine.Cache(socket=sys.argv[1], timeout=60)
value = bytearray(1 << 20)
cache["key"] = value
value = [bytes(256 << 20)] * 2
limit = int(open("/proc/self/statm").read().split()[0]) * 4096 + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    cache["key"] = value
except MemoryError as error:
    print("short")
"""
    ended = subprocess.run([sys.executable, "-c", script, played.path], capture_output=True, text=True, timeout=DEADLINE)
    assert (ended.stdout, ended.stderr) == ("short\n", "")


def test_where_memory_is_short_small_values_are_stored_after_a_large_one(played):
    script = """
import resource, sys, brine
cache = brine.Cache(socket=sys.argv[1], timeout=60)
cache["key"] = bytearray(128 << 20)
limit = int(open("/proc/self/statm").read().split()[0]) * 4096 + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
cache["key"] = {"small": 1}
print(cache["key"])
"""
    ended = subprocess.run([sys.executable, "-c", script, played.path], capture_output=True, text=True, timeout=DEADLINE)
    assert (ended.stdout, ended.stderr) == ("{'small': 1}\n", "")


@pytest.mark.parametrize("codec, value, why", [
    ("json", (1, 2), "tuple"), ("json", {1: 2}, "key"), ("json", [math.nan], "JSON compliant"), ("json", {"a": b"x"}, "bytes"),
    ("json", [Level.LOW], "derived class"), ("json", {"a": collections.OrderedDict(b=1)}, "derived class"), ("json", [Name("x")], "derived class"),
    ("json", "\ud800", "surrogates"), ("json", {1, 2}, "set"), ("json", object(), "object"),
    ("msgpack", [(1, 2)], "tuple"), ("msgpack", 2**64, "range"), ("msgpack", [Name("x")], "Name"), ("msgpack", {1, 2}, "set"),
    ("bytes", 1.5, "only bytes, str and int"), ("bytes", None, "only bytes"), ("bytes", 2**63, "only bytes")])
def test_what_would_come_back_as_something_else_is_not_stored(played, codec, value, why):
    if codec not in INSTALLED:
        pytest.skip(f"{codec} is not installed")
    cache = opened(played, codec)
    for store in (lambda: cache.set("key", value), lambda: cache.set_many({"key": value}), lambda: cache.add("key", value)):
        with pytest.raises(brine.Unpicklable, match=why) as raised:
            store()
        assert f" as {codec}: " in str(raised.value) and 'codec="pickle"' in str(raised.value) and raised.value.__cause__
    assert played.objects == {}


@pytest.mark.skipif("cloudpickle" not in INSTALLED, reason="cloudpickle is not installed")
def test_cloudpickle_takes_lambdas_along(played):
    three, cache = 3, opened(played, "cloudpickle")
    cache["key"] = lambda x: x * three
    assert played.stored(b"key").codec == CLOUDPICKLE_CODEC and cache["key"](4) == 12


@pytest.mark.parametrize("value, way", [
    (lambda: 1, 'codec="cloudpickle"'), ([1, lambda: 1], "top level of a module"), ((number for number in ()), "data that")])
def test_what_cannot_be_pickled_says_the_way_out_that_fits_it(played_cache, value, way):
    with pytest.raises(brine.Unpicklable, match=way):
        played_cache["key"] = value


def test_who_stores_a_class_of_its_script_is_warned_once_and_nobody_else(daemon, run_python):
    done = run_python("""
import brine
class Thing: pass
class Other: pass
def function(): pass
cache = brine.Cache()
cache["text"] = ["__main__", "Thing", ("__main__", "x" * 300)]
cache["bytes"] = [b"\\x8c\\x08__main__\\x94\\x8c\\x05Thing"]
print("nothing yet", flush=True)
for _ in range(3):
    cache["thing"] = {"first": [Thing()]}
cache.set_many({"function": function})
cache.get_or_set("computed", Other)
assert brine.Cache(codec="bytes")
""", BRINE_SOCKET=daemon.socket)
    said = [line.split("BrineWarning: ")[1] for line in done.err.splitlines() if "BrineWarning: " in line]
    assert [line.split()[0] for line in said] == ["__main__.Thing", "__main__.function", "__main__.Other"]
    assert all('codec="cloudpickle"' in line for line in said)


# ---- what is not loaded


class Bomb:
    """Says when it is unpickled."""

    exploded = 0

    def __reduce__(self):
        return explode, ()


def explode():
    Bomb.exploded += 1
    return "boom"


def computed(number):
    return [number * 2]


WAYS = {
    "get": lambda cache, key: cache.get(key) is None,
    "get_stale": lambda cache, key: cache.get(key, stale=True) is None,
    "item": lambda cache, key: pytest.raises(KeyError, cache.__getitem__, key),
    "get_many": lambda cache, key: cache.get_many([key, "absent"]) == {},
    "pop": lambda cache, key: cache.pop(key, "nothing") == "nothing",
    "entry": lambda cache, key: cache.entry(key) is None,
    "get_or_set": lambda cache, key: cache.get_or_set(key, lambda: ["mine"]) == ["mine"] == cache[key],
    "memoize": lambda cache, key: cache.memoize(computed)(21) == [42] == cache[key],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("codec", [name for name in INSTALLED if name not in ("pickle", "bytes")])
def test_a_pickle_of_the_own_user_is_not_loaded_by_a_cache_of_another_codec(daemon, codec, way):
    Bomb.exploded = 0
    cache = brine.Cache(socket=daemon.socket, codec=codec, timeout=DEADLINE)
    key = cache.memoize(computed).cache_key(21)
    brine.Cache(socket=daemon.socket)[key] = Bomb()
    with pytest.warns(brine.BrineWarning, match=f'stored as pickle is a miss for a Cache.codec="{codec}".'):
        assert WAYS[way](cache, key)
    assert Bomb.exploded == 0 and cache.stats()["client"]["load_errors"] >= 1


@pytest.mark.parametrize("codec", [
    1 | 6 << 8 | THIS, 1 | 5 << 8 | 3 << 16 | 250 << 24, CLOUDPICKLE_CODEC, 3, 4, 0x99])
def test_of_what_a_pickle_cache_does_not_know_nothing_is_loaded(played, played_cache, codec):
    Bomb.exploded = 0
    played.plant(b"key", pickle.dumps(Bomb(), 5), codec=codec)
    with pytest.warns(brine.BrineWarning):
        assert played_cache.get("key", brine.MISS) is brine.MISS and played_cache.get_many(["key"]) == {}
    assert Bomb.exploded == 0 and played_cache._counts()["load_errors"] == 2


@pytest.mark.skipif("cloudpickle" not in INSTALLED, reason="cloudpickle is not installed")
@pytest.mark.parametrize("minor", [-1, 1])
def test_a_cloudpickle_of_another_python_is_not_loaded(played, minor):
    Bomb.exploded = 0
    cache = opened(played, "cloudpickle")
    played.plant(b"ours", pickle.dumps(Bomb(), 5), codec=CLOUDPICKLE_CODEC)
    played.plant(b"other", pickle.dumps(Bomb(), 5), codec=CLOUDPICKLE_CODEC + (minor << 24))
    with pytest.warns(brine.BrineWarning, match="same Python only"):
        assert cache.get("other") is None and Bomb.exploded == 0
    assert cache.get("ours") == "boom"


def test_a_pickle_of_an_older_python_is_loaded(played, played_cache):
    played.plant(b"key", pickle.dumps([1], 4), codec=1 | 4 << 8 | 3 << 16 | 8 << 24)
    assert played_cache["key"] == [1]


@pytest.mark.parametrize("codec, value", [
    ("json", b""), ("json", b"{"), ("json", b"\xff"), ("json", b"[" * 100_000), ("msgpack", b""), ("msgpack", b"\xc1"),
    ("msgpack", b"\xdd\xff\xff\xff\xff"), ("msgpack", b"\x91" * 100_000), ("msgpack", b"\x01\x02"), ("msgpack", b"\x81\x90\x01")])
def test_damaged_bytes_of_a_codec_are_a_miss(played, codec, value):
    if codec not in INSTALLED:
        pytest.skip(f"{codec} is not installed")
    cache = opened(played, codec)
    played.plant(b"key", value, codec={"json": 4, "msgpack": 3}[codec])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert cache.get("key", brine.MISS) is brine.MISS and cache.get("key", brine.MISS) is brine.MISS
    assert len(said) == 1 and "cannot be loaded" in str(said[0].message) and cache._counts()["load_errors"] == 2


def test_of_many_who_find_what_they_cannot_load_one_computes(daemon):
    brine.Cache(socket=daemon.socket)["key"] = {"pickled": 1}
    json_cache, calls = brine.Cache(socket=daemon.socket, codec="json"), []
    with pytest.warns(brine.BrineWarning):
        assert json_cache.get_or_set("key", lambda: calls.append(1) or {"computed": 1}) == {"computed": 1}
    assert json_cache.get_or_set("key", lambda: calls.append(1)) == {"computed": 1} and calls == [1]


# ---- names


def test_a_codec_that_there_is_not_is_told(played):
    for name in ("yaml", "", None, 3, ["pickle"]):
        with pytest.raises(ValueError, match="pickle, cloudpickle, msgpack, json, bytes"):
            opened(played, name)


@pytest.mark.parametrize("codec, module", [("msgpack", "msgpack"), ("cloudpickle", "cloudpickle")])
def test_a_codec_whose_module_is_missing_says_what_to_install(played, monkeypatch, codec, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"apt install python3-{module}"):
        opened(played, codec)
    monkeypatch.undo()


def test_nothing_is_imported_that_no_cache_asked_for(run_python):
    done = run_python("import sys, brine; brine.Cache(); print({'json', 'msgpack', 'cloudpickle'} & set(sys.modules))")
    assert done.out == "set()\n"


def test_the_cache_of_a_codec_pickles_with_it(played):
    again = pickle.loads(pickle.dumps(opened(played, "json")))
    again["key"] = [1, None]
    assert again.codec == "json" and played.stored(b"key").codec == 4


@pytest.mark.parametrize("codec", INSTALLED)
def test_the_command_line_calls_a_codec_by_the_same_name(daemon, codec):
    cache = brine.Cache(socket=daemon.socket, codec=codec, timeout=DEADLINE)
    values = [b"bytes", "text", 7] + ([[1]] if codec != "bytes" else [])
    for value in values:
        cache["key"] = value
        done = subprocess.run([BUILD / "brine", "--socket", daemon.socket, "--json", "meta", "key"], check=True, timeout=DEADLINE,
                              stdout=subprocess.PIPE)
        assert json.loads(done.stdout)["codec"].startswith(cache.entry("key").codec)
    assert cache.entry("key").codec == (codec if codec != "bytes" else "integer")
