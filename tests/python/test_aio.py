"""brine.aio.Cache: the methods of brine.Cache, awaited, over a real daemon."""

import asyncio
import inspect
import os
import pathlib
import pickle
import sys

import brine
import brine.aio
import pytest
import wire
from awaiting import link_of, run, turns, until
from harness import DEADLINE

PICKLE_CODEC = 1 | 5 << 8 | sys.version_info[0] << 16 | sys.version_info[1] << 24

# What cannot be awaited by its name: `key in cache`, cache[key].
INSTEAD = {"contains": "__contains__"}


@pytest.fixture
def over(daemon):
    """over(work) runs work(cache) on a loop, with a cache over the daemon; patient on a busy machine."""
    def start(work, **options):
        async def with_cache():
            async with brine.aio.Cache(socket=daemon.socket, **{"timeout": DEADLINE, **options}) as cache:
                return await work(cache)
        return run(with_cache())
    return start


@pytest.fixture
def over_played(played):
    def start(work, **options):
        async def with_cache():
            async with brine.aio.Cache(socket=played.path, **{"timeout": DEADLINE, **options}) as cache:
                return await work(cache)
        return run(with_cache())
    return start


# ---- the same names


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_every_method_of_cache_is_there_to_be_awaited():
    assert public(brine.aio.Cache) - set(INSTEAD) == public(brine.Cache)
    for name in public(brine.aio.Cache):
        method = getattr(brine.aio.Cache, name)
        plain = name == "memoize" or inspect.isasyncgenfunction(method)
        assert plain or inspect.iscoroutinefunction(method), name
        assert method.__doc__, name


def parameters(function):
    return [(each.name, each.kind) for each in inspect.signature(function).parameters.values()][1:]


@pytest.mark.parametrize("name", sorted(public(brine.Cache)))
def test_a_methods_parameters_are_those_of_the_plain_one(name):
    assert parameters(getattr(brine.aio.Cache, name)) == parameters(getattr(brine.Cache, name))


def test_the_arguments_are_those_of_the_plain_cache():
    assert inspect.signature(brine.aio.Cache) == inspect.signature(brine.Cache)


def test_bad_arguments_are_refused_where_they_are_written():
    with pytest.raises(ValueError, match="on_error"):
        brine.aio.Cache(on_error="ignore")
    with pytest.raises(ValueError, match="ttl"):
        brine.aio.Cache(ttl=0)
    with pytest.raises(brine.Refused, match="namespace"):
        brine.aio.Cache("a b")


def test_it_is_found_in_the_package_and_asyncio_loaded_only_then(run_python):
    done = run_python("import brine, sys\nprint('asyncio' in sys.modules, brine.aio.Cache.__name__, 'asyncio' in sys.modules)")
    assert done.out.split() == ["False", "Cache", "True"]
    with pytest.raises(AttributeError, match="nothing"):
        brine.nothing


# ---- what they do


VALUES = [None, True, 0, -2**63, 2**63, 1.5, "text", b"bytes", "", b"", [1, {"a": (2, 3)}], "x" * 70_000, os.urandom(3 << 20)]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_what_was_set_is_got(over, value):
    async def work(cache):
        await cache.set("key", value)
        return await cache.get("key", brine.MISS)

    got = over(work)
    assert type(got) is type(value) and got == value


def test_a_miss_is_the_default_and_a_stored_none_is_none(over):
    async def work(cache):
        assert await cache.get("key") is None and await cache.get("key", brine.MISS) is brine.MISS
        await cache.set("key", None)
        assert await cache.get("key", "default") is None and await cache.contains("key")
        assert not await cache.contains("other")
    over(work)


def test_both_kinds_of_cache_see_the_same(over, cache):
    async def work(other):
        cache["key"] = [1]
        assert await other.get("key") == [1]
        await other.set(("k", 1.0), [2])
        assert cache["k", 1.0] == [2]
    over(work)


def test_counters_conditions_and_takes(over):
    async def work(cache):
        assert (await cache.incr("n"), await cache.incr("n", 4, ttl="1h"), await cache.decr("n", 2)) == (1, 5, 3)
        assert await cache.incr("m", initial=10) == 11
        with pytest.raises(brine.Conflict):
            await cache.incr("absent", create=False)
        with pytest.raises(brine.Refused):
            await cache.set("list", []), await cache.incr("list")
        assert await cache.add("key", 1) is True and await cache.add("key", 2) is False
        entry = await cache.entry("key")
        assert entry.value == 1 and entry.codec == "integer" and entry.writer == os.geteuid() and entry.ttl is None
        assert await cache.cas("key", [2], entry.version) is True and await cache.cas("key", [3], entry.version) is False
        assert await cache.entry("absent") is None
        assert await cache.touch("key", "1h") is True and 0 < (await cache.entry("key")).ttl <= 3600
        assert await cache.pop("key") == [2] and await cache.pop("key", "gone") == "gone"
        with pytest.raises(KeyError):
            await cache.pop("key")
        assert await cache.delete("n") is True and await cache.delete("n") is False
    over(work)


def test_ages_tags_and_ttls(over):
    async def work(cache):
        await cache.set("a", [1], tags=["t", "u"])
        await cache.set("b", [2], "1h", stale="1d", tags=("u",))
        await cache.invalidate("t")
        assert await cache.get("a") is None and await cache.get("b", stale=True, max_age="1h") == [2]
        await cache.invalidate(*(f"x{i}" for i in range(40)), "u")
        assert await cache.get("b") is None
        with pytest.raises(TypeError):
            await cache.invalidate()
        with pytest.raises(ValueError, match="ttl"):
            await cache.set("a", 1, 0)
    over(work)


def test_many_keys_at_once(over):
    async def work(cache):
        await cache.set_many({("k", i): [i] for i in range(700)}, ttl="1h", tags=["t"])
        found = await cache.get_many([("k", i) for i in range(0, 1400, 2)])
        assert found == {("k", i): [i] for i in range(0, 700, 2)}
        assert await cache.delete_many(("k", i) for i in range(600, 800)) == 100
        await cache.set("text", "v")
        assert {key async for key in cache} == {("k", i) for i in range(600)} | {"text"}
        assert [key async for key in cache.scan("te")] == ["text"]
        assert {key async for key in cache.scan(("k",))} == {("k", i) for i in range(600)} and await cache.delete_prefix(("k", 7)) == 1
        await cache.invalidate("t")
        assert [key async for key in cache] == ["text"]
        await cache.clear()
        assert [key async for key in cache.keys()] == []
    over(work)


def test_one_key_is_no_list_of_keys_and_pairs_are_no_mapping(over):
    async def work(cache):
        for call, message in ((cache.get_many("abc"), "keys='abc': a list of keys, not one"), (cache.delete_many(b"abc"), "a list of keys"),
                              (cache.set_many([("a", 1)]), "takes a mapping")):
            with pytest.raises(TypeError, match=message):
                await call
    over(work)


def test_as_a_mapping(over):
    async def work(cache):
        assert await cache.setdefault("key", [1], "1h", tags=["t"], ack="disk", cost=1.5) == [1] == await cache.setdefault("key", [2])
        assert (await cache.entry("key")).cost == 1.5 and await cache.setdefault("none") is None
        found = await asyncio.gather(*(cache.setdefault("one", number) for number in range(20)))
        assert len(set(found)) == 1
        await cache.update({"a": 1}, b=2), await cache.update([(1, "int"), (True, "bool")])
        assert {key async for key in cache.keys()} == {"key", "none", "one", "a", "b", 1, True}
        pairs = [(type(key), key, value) async for key, value in cache.items()]
        assert len(pairs) == 7 and (bool, True, "bool") in pairs and (int, 1, "int") in pairs
        assert sorted([repr(value) async for value in cache.values()]) == sorted(repr(value) for _, _, value in pairs)
        popped = [await cache.popitem() for _ in range(7)]
        assert sorted(map(repr, popped)) == sorted(repr((key, value)) for _, key, value in pairs)
        with pytest.raises(KeyError):
            await cache.popitem()
        with pytest.raises(ValueError, match="ack"):
            await cache.set("key", 1, ack="never")
    over(work)


def test_a_refusal_raises_and_the_connection_goes_on(over):
    async def work(cache):
        with pytest.raises(brine.Refused, match="one has 30000[0-9]+ bytes"):
            await cache.set("key", os.urandom(30_000_000))
        with pytest.raises(brine.Unpicklable, match="lambda"):
            await cache.set("key", lambda: 1)
        for bad in (object(), [1], {}):
            with pytest.raises(TypeError):
                await cache.get(bad)
        await cache.set("key", "v")
        assert await cache.get("key") == "v"
    over(work)


def test_stats_and_sync(over):
    async def work(cache):
        await cache.set("key", 1)
        await cache.sync()
        stats = await cache.stats()
        assert stats["default"]["objects"] == 1 and stats["client"]["outages"] == 0
    over(work)


def test_a_thousand_calls_at_once_go_over_one_connection(over, played):
    async def work(cache):
        results = await asyncio.gather(*(cache.incr("n") for _ in range(1000)))
        assert sorted(results) == list(range(1, 1001))
        assert (await cache.stats())[""]["connections"] == 1
    over(work)


def test_values_of_megabytes_leave_the_loop_its_turns(over):
    async def work(cache):
        array = os.urandom(8 << 20)
        passed, others = [], [asyncio.create_task(turns(10_000))]
        await cache.set("array", array)
        passed.append(others[0].done())
        others.append(asyncio.create_task(cache.get("array")))
        # The value comes in parts of at most a mebibyte, with a turn of the loop between two of them.
        count = 0
        while not others[1].done():
            await asyncio.sleep(0)
            count += 1
        assert others[1].result() == array and count >= 8
        many = await asyncio.gather(*(cache.set(i, array) for i in range(4)))
        assert many == [None] * 4
        assert set((await cache.get_many(range(4))).values()) == {array}
        others[0].cancel()
    over(work)


# ---- more than fits


def test_beyond_its_bound_calls_wait_their_turn(over_played, played):
    import threading
    gate = played.hold["GET"] = threading.Event()

    async def work(cache):
        calls = [asyncio.create_task(cache.get(str(i))) for i in range(3000)]
        await until(lambda: link_of(cache).outstanding == 1024)
        await turns(20)
        assert link_of(cache).outstanding == 1024 and link_of(cache).wanted
        calls[1500].cancel()  # of those in line
        calls[10].cancel()
        gate.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 2
        assert results.count(None) == 2998 and played.count("GET") == 2999
        assert link_of(cache).outstanding == 0 and not link_of(cache).wanted
    over_played(work, timeout=None)


def test_values_that_are_not_stored_yet_are_bounded(over_played, played):
    import threading
    gate = played.hold["PUT"] = threading.Event()

    async def work(cache):
        calls = [asyncio.create_task(cache.set(str(i), bytes(1 << 20))) for i in range(30)]
        calls.append(asyncio.create_task(cache.set("large", bytes(10 << 20))))
        await until(lambda: link_of(cache).outstanding == 8)
        await turns(20)
        assert link_of(cache).outstanding == 8
        gate.set()
        await asyncio.gather(*calls)
        assert len(played.objects) == 31
    over_played(work, timeout=None)


# ---- whose and what


def test_what_a_stranger_wrote_is_a_miss_unless_trusted(over_played, played):
    played.plant(b"key", pickle.dumps(["theirs"], 5), codec=PICKLE_CODEC, writer=12345)

    async def work(cache):
        return await cache.get("key", "miss"), await cache.get_many(["key"]), await cache.entry("key")

    with pytest.warns(brine.BrineWarning, match="12345") as told:
        assert over_played(work) == ("miss", {}, None)
    assert len(told) == 1 and told[0].filename == __file__
    assert over_played(work, trust=[12345])[:2] == (["theirs"], {"key": ["theirs"]})


def batches(played):
    """The played daemon answers batches of gets: "alone" is to be asked for by itself, at "broken" the answer ends."""
    def batch(fields, body):
        answers = []
        for kind, asked, _ in wire.read_batch(body):
            key = asked[wire.FIELDS["KEY"][0]]
            assert kind == wire.COMMANDS["GET"]
            found = played.objects.get(("default", key))
            if key == b"broken":
                answers.append(wire.encode_batch_item(wire.ERROR, {"ERROR": wire.ERRORS["INTERNAL"]}))
            elif found is None or key == b"alone":
                answers.append(wire.encode_batch_item(wire.REPLY, {"STATUS": 1 if found is None else 2}))
            else:
                answers.append(wire.encode_batch_item(wire.REPLY, found.meta(), found.value))
        return {"COUNT": len(answers)}, b"".join(answers)

    played.batch = batch


def test_get_many_asks_for_256_keys_in_one_request(over_played, played):
    batches(played)
    for number in range(0, 600, 2):
        played.plant(b"%d" % number, b"value %d" % number)
    found = over_played(lambda cache: cache.get_many((str(number) for number in range(600)), max_age=60, stale=True))
    assert found == {str(number): b"value %d" % number for number in range(0, 600, 2)}
    assert [name for name, _ in played.requests] == ["BATCH"] * 3


def test_get_many_asks_alone_for_what_is_long_and_for_what_failed(over_played, played):
    batches(played)
    for key in (b"a", b"alone", b"b", b"broken", b"c"):
        played.plant(key, key.upper())
    assert over_played(lambda cache: cache.get_many(["a", "alone", "b", "broken", "c", "none"])) == {
        "a": b"A", "alone": b"ALONE", "b": b"B", "broken": b"BROKEN", "c": b"C"}
    assert [name for name, _ in played.requests] == ["BATCH"] + ["GET"] * 4


def test_get_many_from_a_daemon_without_batches_asks_for_each_key(over_played, played):
    played.plant(b"a", b"A")
    assert over_played(lambda cache: cache.get_many(["a", "none"])) == {"a": b"A"}
    assert [name for name, _ in played.requests] == ["BATCH", "GET", "GET"]


def test_in_a_batch_too_what_a_stranger_wrote_is_a_miss(over_played, played):
    batches(played)
    played.plant(b"key", pickle.dumps(["theirs"], 5), codec=PICKLE_CODEC, writer=12345)
    with pytest.warns(brine.BrineWarning, match="runs code"):
        assert over_played(lambda cache: cache.get_many(["key"])) == {}
    assert over_played(lambda cache: cache.get_many(["key"]), trust=[12345]) == {"key": ["theirs"]}
    assert played.count("GET") == 0


def test_get_many_brings_values_of_all_sizes(over):
    async def work(cache):
        values = {("size", size): bytes(size) for size in (0, 1, 70_000, 2_000_000)}
        values |= {("kind", number): value for number, value in enumerate([None, 5, "text", [1, {2}], True])}
        await cache.set_many(values)
        await cache.sync()
        assert await cache.get_many([*values, "none", "x" * 3000]) == values
        with pytest.raises(TypeError, match="a key is"):
            await cache.get_many(["fine", ["list"]])
    over(work)


def test_setdefault_is_one_request(over_played, played):
    async def work(cache):
        return [await cache.setdefault("key", "mine"), await cache.setdefault("key", "late")]

    assert over_played(work) == ["mine", "mine"]
    assert [(name, fields.get("OR_GET")) for name, fields in played.requests] == [("PUT", 1)] * 2


def test_setdefault_asks_once_more_without_what_it_must_not_load(over_played, played):
    played.plant(b"key", pickle.dumps(["theirs"], 5), codec=PICKLE_CODEC, writer=12345, VERSION=77)
    with pytest.warns(brine.BrineWarning):
        assert over_played(lambda cache: cache.setdefault("key", "mine")) == "mine"
    assert [fields.get("NOT_VERSION") for _, fields in played.requests] == [None, 77]
    assert played.stored(b"key").value == b"mine"


def test_with_an_older_daemon_setdefault_looks_first(over_played, played):
    async def work(cache):
        return [await cache.setdefault("key", "mine"), await cache.setdefault("key", "late")]

    played.lacks = {"OR_GET"}
    assert over_played(work) == ["mine", "mine"]
    assert [name for name, _ in played.requests] == ["PUT", "GET", "PUT"] + ["PUT", "GET"]


def test_what_cannot_be_loaded_is_a_miss_with_one_warning(over_played, played):
    played.plant(b"key", b"no pickle", codec=PICKLE_CODEC)

    async def work(cache):
        assert await cache.get("key", "miss") == "miss" and await cache.get("key") is None
        assert cache._counts()["load_errors"] == 2

    with pytest.warns(brine.BrineWarning, match="cannot be loaded") as told:
        over_played(work)
    assert len(told) == 1


def test_switched_off_it_keeps_nothing_and_touches_no_socket(monkeypatch, folder):
    monkeypatch.setenv("BRINE_DISABLE", "1")

    async def work():
        cache = brine.aio.Cache(socket=folder / "none.sock", on_error="raise")
        await cache.set("key", 1)
        await cache.set_many({"a": 1})
        assert await cache.get("key") is None and not await cache.contains("key") and await cache.get_many(["a"]) == {}
        assert await cache.get_or_set("key", lambda: 7) == 7 and await cache.incr("n", 5) == 5
        assert [key async for key in cache] == []
        await cache.invalidate("t"), await cache.clear(), await cache.sync()
        with pytest.raises(brine.Unavailable, match="BRINE_DISABLE"):
            await cache.stats()
        await cache.close()
    run(work())


# ---- the object


def test_it_is_pickled_by_its_arguments_and_has_an_identity(daemon, over):
    cache = brine.aio.Cache("web", socket=daemon.socket, ttl="1h", trust=[1])
    other = pickle.loads(pickle.dumps(cache))
    assert type(other) is brine.aio.Cache and other.namespace == "web" and other != cache and hash(other) != hash(cache)
    assert bool(cache) and repr(cache) == "<brine.aio.Cache 'web'>"


def test_the_types_of_a_program_that_uses_it_are_as_they_run(folder):
    mypy = pytest.importorskip("mypy.api")
    program = folder / "program.py"
    program.write_text("""
import brine.aio

cache = brine.aio.Cache()

class Shelf:
    @cache.memoize(ttl="1h")
    async def find(self, title: str) -> list[int]:
        return [len(title)]

@cache.memoize
async def double(x: int) -> int:
    return 2 * x

async def make() -> list[int]:
    return [1]

async def work() -> None:
    found: list[int] = await Shelf().find("one")
    forgotten: bool = await double.invalidate(3)
    computed: list[int] = await cache.get_or_set("key", make, "1h", stale="1d", wait=0, tags=["t"])
    plain: list[int] = await cache.get_or_set("key", lambda: [1])
    counted: int = await cache.incr("n", 2, ttl=...)
    keys = [key async for key in cache]
    async with cache as same:
        await same.set("key", [1])
    await double("three")
""")
    told, _, _ = mypy.run(["--strict", "--no-incremental", "--cache-dir", os.devnull, str(program)])
    assert "Found 1 error" in told and ":27: error: " in told, told


def test_the_stubs_name_what_the_types_have(cache):
    import ast
    tree = ast.parse((pathlib.Path(brine.__file__).parent / "_brine.pyi").read_text())
    stubs = {node.name: {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
             | {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
             for node in tree.body if isinstance(node, ast.ClassDef)}
    for kind in (brine._brine.AsyncClient, brine._brine.Request, brine._brine.Wire):
        own = {name for name in vars(kind) if not name.startswith("__")}
        assert own == {name for name in stubs[kind.__name__] if not name.startswith("__")}
