"""Cache over a daemon that the test plays: what is asked, what is made of the answers, and what is not loaded."""

import datetime
import os
import pickle
import signal
import sys
import threading
import warnings

import brine
import pytest
from brine import _brine
from hypothesis import given, strategies as st

PICKLE_CODEC = 1 | 5 << 8 | sys.version_info[0] << 16 | sys.version_info[1] << 24


def counted(cache, name):
    return cache._counts()[name]


# ---- values


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
              st.dates(), st.complex_numbers(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner)),
    max_leaves=10)


@given(value=values)
def test_a_value_comes_back_as_it_was(played_cache, value):
    played_cache["key"] = value
    found = played_cache["key"]
    assert found == value and type(found) is type(value)


def test_a_value_is_pickled_with_protocol_5(played, played_cache):
    played_cache.set("key", [1])
    stored = played.stored(b"key")
    assert stored.codec == PICKLE_CODEC and stored.kind == 0
    assert stored.value == pickle.dumps([1], 5)


@pytest.mark.parametrize("number", [0, 5, -1, 2**63 - 1, -2**63])
def test_an_int_of_64_bits_is_a_counter(played, played_cache, number):
    played_cache.set("key", number)
    stored = played.stored(b"key")
    assert (stored.kind, stored.codec & 0xFF) == (1, 6)
    assert stored.value == number.to_bytes(8, "little", signed=True)
    assert played_cache.get("key") == number


@pytest.mark.parametrize("value", [True, False, 2**63, -2**63 - 1, 5.0])
def test_other_numbers_are_pickled(played, played_cache, value):
    played_cache.set("key", value)
    assert played.stored(b"key").codec == PICKLE_CODEC
    assert played_cache.get("key") is value or played_cache.get("key") == value


def test_what_the_command_line_stores_comes_back_as_bytes_and_text(played, played_cache):
    played.plant(b"bytes", b"\xff\0", codec=0)
    played.plant(b"text", "grün".encode(), codec=2)
    assert played_cache.get_many(["bytes", "text"]) == {"bytes": b"\xff\0", "text": "grün"}


def test_a_large_value_comes_back_whole(played_cache):
    value = os.urandom(5 << 20)
    played_cache["key"] = value
    assert played_cache["key"] == value


# ---- miss and hit


def test_a_stored_none_is_told_from_a_miss(played_cache):
    assert played_cache.get("key", brine.MISS) is brine.MISS
    played_cache.set("key", None)
    assert played_cache.get("key", brine.MISS) is None
    assert played_cache.get("other") is None and played_cache.get("other", default=7) == 7


def test_miss_stays_itself_when_pickled():
    assert pickle.loads(pickle.dumps(brine.MISS)) is brine.MISS
    assert repr(brine.MISS) == str(brine.MISS) == "brine.MISS"


def test_a_cache_is_a_mapping(played_cache):
    played_cache["a"] = [1]
    assert played_cache["a"] == [1] and "a" in played_cache and "b" not in played_cache
    del played_cache["a"]
    with pytest.raises(KeyError, match="'a'"):
        played_cache["a"]
    with pytest.raises(KeyError, match="'a'"):
        del played_cache["a"]
    assert played_cache.delete("a") is False
    assert bool(played_cache)


def test_one_and_true_and_the_text_one_are_different_keys(played_cache):
    for key in (1, 1.0, True, "1", b"1"):
        played_cache[key] = repr(key)
    assert [played_cache[key] for key in (1, 1.0, True, "1", b"1")] == ["1", "1.0", "True", "'1'", "b'1'"]


def test_many_are_stored_and_found_with_the_keys_that_were_given(played_cache):
    wanted = {("user", number): [number] for number in range(700)}
    played_cache.set_many(wanted)
    assert played_cache.get_many([*wanted, "absent"]) == wanted
    assert played_cache.get_many([]) == {} and played_cache.set_many({}) is None


def test_many_are_asked_without_waiting_for_each_answer(played, played_cache):
    played_cache.get_many(range(100))
    assert played.count("GET") == 100 and len(played.connections) == 1


def test_keys_come_back_as_they_were_given(played_cache):
    keys = {"text", b"bytes", 7, 7.5, True, None, ("user", 1, (None, b""))}
    for key in keys:
        played_cache[key] = 1
    found = list(played_cache)
    assert set(found) == keys and {type(key) for key in found} == {type(key) for key in keys}
    assert list(played_cache.scan("te")) == ["text"]


def test_a_shortened_key_of_a_scan_finds_its_object(played_cache):
    played_cache["a" * 2000] = "long"
    (key,) = played_cache
    assert key.shortened and played_cache[key] == "long"
    del played_cache[key]
    assert "a" * 2000 not in played_cache


def test_clear_touches_its_namespace_alone(played, played_cache):
    other = brine.Cache("other", socket=played.path)
    played_cache["key"] = other["key"] = 1
    played_cache.clear()
    assert "key" not in played_cache and "key" in other


def test_stats_come_by_scope_with_numbers_as_numbers(played_cache):
    stats = played_cache.stats()
    assert stats["daemon"] == {"uptime": 5}
    assert stats["namespace default"] == {"hit_ratio": 0.5, "name": "x"}
    assert stats["client"] == {"outages": 0, "load_errors": 0, "strangers": 0}


# ---- time to live


@pytest.mark.parametrize("ttl, ms", [
    (1, 1000), (0.25, 250), (0.0001, 1), ("1h30m", 5_400_000), ("300ms", 300), ("7d", 604_800_000), ("2w", 1_209_600_000),
    (datetime.timedelta(minutes=2), 120_000), (datetime.timedelta(microseconds=1), 1), (None, None)])
def test_a_ttl_is_seconds_or_a_timedelta_or_a_text(played, played_cache, ttl, ms):
    played_cache.set("key", "value", ttl=ttl)
    played_cache.touch("key", ttl)
    assert [fields.get("TTL") for name, fields in played.requests if name in ("PUT", "TOUCH")] == [ms, ms]


@pytest.mark.parametrize("ttl", [0, -1, 0.0, "0s", "", "5", "1h 30m", "m5", "1.5h", datetime.timedelta(0),
                                 float("nan"), float("inf"), 2**80])
def test_a_ttl_of_nothing_is_an_error(played, played_cache, ttl):
    for call in (lambda: played_cache.set("key", 1, ttl), lambda: played_cache.touch("key", ttl),
                 lambda: played_cache.set_many({"key": 1}, ttl=ttl), lambda: brine.Cache(ttl=ttl),
                 lambda: played_cache.memoize(ttl)):
        with pytest.raises(ValueError, match="ttl="):
            call()
    assert played.objects == {}


@pytest.mark.parametrize("ttl", [True, [1], b"1s"])
def test_a_ttl_of_another_type_is_a_type_error(played_cache, ttl):
    with pytest.raises(TypeError, match="ttl=.*: seconds"):
        played_cache.set("key", 1, ttl=ttl)


def test_the_ttl_of_the_cache_holds_where_none_is_given(played):
    cache = brine.Cache(socket=played.path, ttl="1m")
    cache["item"] = cache.set("set", 1) or 1
    cache.set_many({"many": 1})
    cache.set("never", 1, ttl=None)
    assert [played.stored(key).put_fields.get("TTL") for key in (b"item", b"set", b"many", b"never")] == [60_000] * 3 + [None]


# ---- what cannot be loaded or stored


class Bomb:
    """Says when it is unpickled."""

    exploded = 0

    def __reduce__(self):
        return explode, ()


def explode():
    Bomb.exploded += 1
    return "boom"


@pytest.mark.parametrize("codec", [PICKLE_CODEC, 1, 0x99, 5])
def test_a_pickle_of_another_uid_is_never_loaded(played, played_cache, codec):
    Bomb.exploded = 0
    played.plant(b"key", pickle.dumps(Bomb(), 5), codec=codec, writer=os.geteuid() + 1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert played_cache.get("key", brine.MISS) is brine.MISS
        assert played_cache.get_many(["key"]) == {}
        with pytest.raises(KeyError):
            played_cache["key"]
    assert Bomb.exploded == 0 and len(said) == 1
    assert counted(played_cache, "strangers") + counted(played_cache, "load_errors") == 3


def test_a_pickle_without_a_writer_is_never_loaded(played, played_cache):
    Bomb.exploded = 0
    played.plant(b"key", pickle.dumps(Bomb(), 5), codec=PICKLE_CODEC)
    played.stored(b"key").meta = lambda: {"CODEC": PICKLE_CODEC, "LENGTH": len(played.stored(b"key").value), "VERSION": 1}
    with pytest.warns(brine.BrineWarning):
        assert played_cache.get("key") is None
    assert Bomb.exploded == 0


def test_a_pickle_of_our_own_is_loaded(played, played_cache):
    Bomb.exploded = 0
    played.plant(b"key", pickle.dumps(Bomb(), 5), codec=PICKLE_CODEC)
    assert played_cache.get("key") == "boom" and Bomb.exploded == 1


def test_a_pickle_of_a_trusted_user_is_loaded_and_of_no_other(played):
    Bomb.exploded = 0
    friend = os.geteuid() + 1
    played.plant(b"friend's", pickle.dumps(Bomb(), 5), codec=PICKLE_CODEC, writer=friend)
    played.plant(b"stranger's", pickle.dumps(Bomb(), 5), codec=PICKLE_CODEC, writer=friend + 1)
    with brine.Cache(socket=played.path, trust=[friend]) as cache:
        again = pickle.loads(pickle.dumps(cache))
        assert cache.get("friend's") == again.get("friend's") == "boom" and Bomb.exploded == 2
        with pytest.warns(brine.BrineWarning, match=f"what .*uid {friend + 1}.* wrote .*trust="):
            assert cache.get("stranger's") is None
    assert Bomb.exploded == 2


@pytest.mark.parametrize("trust, says", [
    ("www-data", "a list of users"), (33, "a list of users"), (["no-such-user-here"], "has no user"),
    ([True], "not bool"), ([b"root"], "not bytes"), ([-1], "no uid"), ([2**32 - 1], "no uid"),
    ([65534], "nobody"), (["nobody"], "nobody"), ([61184], "DynamicUser"), (range(1000, 1065), "64 at most"),
])
def test_trust_refuses_what_it_cannot_mean(trust, says):
    with pytest.raises((TypeError, ValueError), match=says):
        brine.Cache(trust=trust)


def test_trust_takes_users_by_name():
    from brine._trust import trusted_uids

    assert trusted_uids(["root", "www-data", 0, 1000]) == (0, 33, 1000)


def test_plain_bytes_of_another_uid_are_no_danger(played, played_cache):
    played.plant(b"key", b"\x80\x05", codec=0, writer=os.geteuid() + 1)
    assert played_cache.get("key") == b"\x80\x05"


class Raises:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return throw, (type(self.error), self.error.args)


def throw(kind, args):
    raise kind(*args)


UNLOADABLE = {
    "empty": b"", "cut": pickle.dumps(list(range(100)), 5)[:-20], "rubbish": b"\xff" * 50, "no stop": b"\x80\x05",
    "text": b"hello world", "no module": b"\x80\x05\x8c\x0bno_module_x\x8c\x01x\x93.", "stack": b"\x80\x05\x30.",
    "no attribute": b"\x80\x05\x8c\x02os\x8c\x07no_such\x93.", "bad utf-8": b"\x80\x05\x8c\x02\xff\xff.",
    "huge claim": b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "frame": b"\x80\x05\x95\xff\x00\x00\x00\x00\x00\x00\x00N.",
    **{f"raises {error!r}": pickle.dumps(Raises(error), 5) for error in (
        ValueError("x"), RecursionError("deep"), ImportError("y"), ZeroDivisionError(), OSError(2, "gone"), StopIteration())},
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_value_that_cannot_be_loaded_is_a_miss_that_is_warned_about_once(played, played_cache, name):
    played.plant(b"key", UNLOADABLE[name], codec=PICKLE_CODEC)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            assert played_cache.get("key", brine.MISS) is brine.MISS
    assert len(said) == 1 and said[0].category is brine.BrineWarning and said[0].filename == __file__
    assert counted(played_cache, "load_errors") == 3
    assert played.stored(b"key")  # another release may load it: it stays


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_what_is_no_fault_of_the_value_is_raised(played, played_cache, error):
    played.plant(b"key", pickle.dumps(Raises(error), 5), codec=PICKLE_CODEC)
    with pytest.raises(type(error)):
        played_cache.get("key")
    assert counted(played_cache, "load_errors") == 0


@pytest.mark.parametrize("codec", [
    1 | 6 << 8 | 3 << 16 | 11 << 24, 1 | 5 << 8 | 3 << 16 | 250 << 24, 1 | 5 << 8 | 4 << 16])
def test_a_pickle_of_a_later_python_or_protocol_is_not_tried(played, played_cache, codec):
    Bomb.exploded = 0
    played.plant(b"key", pickle.dumps(Bomb(), 5), codec=codec)
    with pytest.warns(brine.BrineWarning, match="older Python"):
        assert played_cache.get("key") is None
    assert Bomb.exploded == 0 and counted(played_cache, "load_errors") == 1


@pytest.mark.parametrize("codec, kind, value", [(3, 0, b"\x01"), (6, 1, b"short"), (2, 0, b"\xff")])
def test_a_value_of_a_shape_that_is_not_known_is_a_miss(played, played_cache, codec, kind, value):
    played.plant(b"key", value, codec=codec, kind=kind)
    with pytest.warns(brine.BrineWarning):
        assert played_cache.get("key") is None
    assert counted(played_cache, "load_errors") == 1


@pytest.mark.parametrize("value", [lambda: 1, threading.Lock(), sys.__stdin__, (number for number in ())])
def test_a_value_that_cannot_be_dumped_raises_with_the_cause_and_the_way_out(played, played_cache, value):
    for store in (lambda: played_cache.set("key", value), lambda: played_cache.__setitem__("key", value),
                  lambda: played_cache.set_many({"key": value})):
        with pytest.raises(brine.Unpicklable, match="top level of a module|data that they were made from") as raised:
            store()
        assert raised.value.__cause__ is not None
        assert isinstance(raised.value, (brine.Refused, pickle.PicklingError))
    assert played.objects == {}


# ---- errors


def test_while_the_daemon_is_away_gets_are_misses_and_sets_do_nothing(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert cache.get("key", brine.MISS) is brine.MISS and "key" not in cache
        cache.set("key", 1)
        cache.set_many({"key": 1})
        assert cache.get_many(["key"]) == {} and cache.touch("key", 5) is False
    assert [warning.category for warning in said] == [brine.BrineWarning]
    assert str(folder / "nobody.sock") in str(said[0].message)
    assert counted(cache, "outages") == 6


def test_what_must_not_be_missed_raises_while_the_daemon_is_away(folder):
    cache = brine.Cache(socket=folder / "nobody.sock")
    for call in (lambda: cache.delete("key"), cache.clear, cache.sync, cache.stats, lambda: list(cache),
                 lambda: cache.__delitem__("key")):
        with pytest.raises(brine.Unavailable, match="nobody.sock"):
            call()


def test_on_error_raise_raises_outages(folder):
    cache = brine.Cache(socket=folder / "nobody.sock", on_error="raise")
    for call in (lambda: cache.get("key"), lambda: cache.set("key", 1), lambda: "key" in cache,
                 lambda: cache.get_many(["key"]), lambda: cache.set_many({"key": 1}), lambda: cache.touch("key", 1)):
        with pytest.raises(brine.Unavailable) as raised:
            call()
    assert raised.value.name == "UNREACHABLE" and raised.value.number == 128


@pytest.mark.parametrize("number, name", [(34, "TOO_LARGE"), (37, "FORBIDDEN")])
def test_a_refusal_raises_and_says_which(played, played_cache, number, name):
    played.errors["PUT"] = number
    for store in (lambda: played_cache.set("key", 1), lambda: played_cache.set_many({"key": 1})):
        with pytest.raises(brine.Refused) as raised:
            store()
        assert (raised.value.number, raised.value.name) == (number, name)
    assert pickle.loads(pickle.dumps(raised.value)).name == name


def test_a_get_that_the_daemon_does_not_support_is_a_miss(played, played_cache):
    played.errors["GET"] = 33
    with pytest.warns(brine.BrineWarning):
        assert played_cache.get("key") is None


def test_a_daemon_that_comes_back_is_used_again(folder, played):
    cache = brine.Cache(socket=played.path)
    cache["key"] = 1
    played.close()
    with pytest.warns(brine.BrineWarning):
        assert cache.get("key") is None
    os.unlink(played.path)
    type(played)(played.path).plant(b"key", b"again", codec=0)
    # Each try within the first second fails at once; a new object does not wait for it.
    assert brine.Cache(socket=played.path)["key"] == b"again"


def test_the_switch_off_touches_no_socket(played, monkeypatch):
    monkeypatch.setenv("BRINE_DISABLE", "1")
    cache = brine.Cache(socket=played.path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.set("key", 1)
        cache.set_many({"key": 1})
        assert cache.get("key") is None and "key" not in cache and cache.get_many(["key"]) == {} and list(cache) == []
        cache.delete("key"), cache.clear(), cache.sync()

        @cache.memoize()
        def double(x):
            return 2 * x

        assert double(4) == 8
    assert played.connections == [] and played.requests == []


@pytest.mark.parametrize("arguments", [
    {"namespace": ""}, {"namespace": "x" * 200}, {"socket": "/x" * 5000}, {"timeout": 0}, {"timeout": -1},
    {"on_error": "ignore"}, {"timeout": float("nan")}, {"timeout": 1e30}])
def test_a_wrong_argument_is_an_error_at_once(arguments):
    with pytest.raises(ValueError):
        brine.Cache(**arguments)


def test_a_class_that_forgets_its_base_is_told(played):
    class Forgetful(brine.Cache):
        def __init__(self):
            pass

    for call in (lambda: Forgetful().get("x"), lambda: Forgetful().set("x", 1), lambda: Forgetful().clear(),
                 lambda: "x" in Forgetful(), lambda: Forgetful().get_many([]), lambda: list(_brine.Client._scan(Forgetful(), b""))):
        with pytest.raises(RuntimeError, match="__init__"):
            call()


@pytest.mark.parametrize("call, message", [
    (lambda cache: cache.get(), "misses its argument 'key'"), (lambda cache: cache.get(1, 2, 3), "at most 2"),
    (lambda cache: cache.get("a", key="b"), "twice"), (lambda cache: cache.set("a"), "'value'"),
    (lambda cache: cache.get("a", fallback=1), "no parameter 'fallback'"),
    (lambda cache: cache.get_many("abc"), "keys='abc': a list of keys, not one"), (lambda cache: cache.delete_many(b"abc"), "a list of keys"),
    (lambda cache: cache.set_many([("a", 1)]), "takes a mapping"), (lambda cache: brine.Cache(timeout="5s"), "timeout='5s': seconds")])
def test_wrong_calls_say_what_is_wrong(played_cache, call, message):
    with pytest.raises(TypeError, match=message):
        call(played_cache)


def test_everything_may_be_given_by_name(played_cache):
    played_cache.set(key="a", value=1, ttl=5)
    assert played_cache.get(key="a", default=2) == 1 and played_cache.touch(key="a", ttl=None)


@pytest.mark.parametrize("call", [
    lambda cache: brine.Cache("x" * 100_000), lambda cache: cache.set("key", 1, tags=["x" * 100_000]),
    lambda cache: cache.get_many("x" * 100_000), lambda cache: cache.set_many(["x" * 100_000])])
def test_an_error_shows_the_beginning_of_what_is_too_long(played_cache, call):
    with pytest.raises((TypeError, ValueError)) as raised:
        call(played_cache)
    assert len(str(raised.value)) < 400


def test_a_typo_in_a_name_of_the_module_is_asked_about(run_python):
    assert "Did you mean: 'Cache'" in run_python("import brine\nbrine.Cach()", check=False).err


# ---- the object itself


def test_a_cache_pickles_and_opens_anew(played):
    cache = brine.Cache("space", socket=played.path, ttl="1m", timeout=2.5, on_error="raise")
    cache["key"] = [1]
    again = pickle.loads(pickle.dumps(cache))
    assert again["key"] == [1] and again.namespace == "space" and again.on_error == "raise"
    assert again != cache and cache == cache and len({cache, again, cache}) == 2
    assert repr(again) == "<brine.Cache 'space'>"


def test_the_environment_names_socket_and_namespace(played, monkeypatch):
    monkeypatch.setenv("BRINE_SOCKET", played.path)
    monkeypatch.setenv("BRINE_NAMESPACE", "mine")
    cache = brine.Cache()
    monkeypatch.setenv("BRINE_SOCKET", "/nowhere")
    cache["key"] = 1
    assert played.stored(b"key", "mine") and cache.namespace == "mine"


def test_a_closed_cache_opens_again(played):
    with brine.Cache(socket=played.path) as cache:
        cache["key"] = 1
    assert cache["key"] == 1 and len(played.connections) == 2


def test_threads_get_their_own_answers(played_cache):
    for number in range(8):
        played_cache[number] = [number] * 100
    wrong = []

    def work(number):
        for _ in range(50):
            if played_cache[number] != [number] * 100:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_other_threads_run_while_one_waits(played, played_cache):
    played.hold["GET"] = threading.Event()
    waiting = threading.Thread(target=played_cache.get, args=("key",))
    waiting.start()
    while not played.count("GET"):
        os.sched_yield()
    assert "key" not in played_cache  # asked and answered meanwhile
    played.hold["GET"].set()
    waiting.join()


def test_a_signal_ends_the_wait(played):
    cache = brine.Cache(socket=played.path, timeout=None)
    played.hold["GET"] = threading.Event()
    main = threading.main_thread().ident

    def interrupt():
        while not played.count("GET"):
            os.sched_yield()
        # Until the main thread waits for good, a signal may come too early to break the wait off.
        while not done.wait(0.05):
            signal.pthread_kill(main, signal.SIGUSR1)

    class Woken(Exception):
        pass

    def on_signal(number, frame):
        raise Woken

    done = threading.Event()
    before = signal.signal(signal.SIGUSR1, on_signal)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Woken):
            cache.get("key")
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        done.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    played.hold["GET"].set()
    assert cache.get("key") is None  # on a connection that nobody's answer is left on


def test_a_forked_child_uses_no_connection_of_its_parent(played, played_cache):
    played_cache["key"] = [1]
    child = os.fork()
    if child == 0:
        os._exit(0 if played_cache.get("key") == [1] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert played_cache.get("key") == [1] and len(played.connections) == 2


def test_a_scan_that_is_given_up_gives_its_connection_back(played_cache, played):
    played_cache.set_many({number: 1 for number in range(10)})
    for _ in range(30):
        next(iter(played_cache))
    assert len(played.connections) == 1


def test_a_subinterpreter_has_a_module_of_its_own(played, run_python):
    done = run_python(f"""
import _xxsubinterpreters as interpreters
script = '''
import sys
sys.path = {sys.path!r}
import brine
cache = brine.Cache(socket={played.path!r})
cache["key"] = ["from inside"]
assert cache["key"] == ["from inside"]
try:
    cache.set("key", lambda: 1)
except brine.Unpicklable:
    print("done", flush=True)
'''
for _ in range(3):
    inside = interpreters.create()
    interpreters.run_string(inside, script)
    interpreters.destroy(inside)
import brine
print(brine.Cache(socket={played.path!r})["key"])
""")
    assert done.out.split("\n")[:4] == ["done"] * 3 + ["['from inside']"]


def test_the_stubs_name_all_that_is_there():
    import ast
    import pathlib
    tree = ast.parse((pathlib.Path(brine.__file__).parent / "_brine.pyi").read_text())
    stub = {node.name: {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
            for node in tree.body if isinstance(node, ast.ClassDef)}
    for kind in (_brine.Client, _brine.EncodedKey, _brine.Scan):
        own = {name for name, value in vars(kind).items()
               if callable(value) and name not in ("__new__", "__lt__", "__le__", "__gt__", "__ge__", "__module__", "__hash__")}
        assert own - stub[kind.__name__] == set()
    assert (pathlib.Path(brine.__file__).parent / "py.typed").exists()
    assert all(hasattr(brine, name) for name in brine.__all__)


def test_the_types_of_a_program_that_uses_it_are_as_they_run(folder):
    mypy = pytest.importorskip("mypy.api")
    program = folder / "program.py"
    program.write_text("""
import brine

cache = brine.Cache()

class Shelf:
    @cache.memoize(ttl="1h")
    def find(self, title: str) -> list[int]:
        return [len(title)]

@cache.memoize
def double(x: int) -> int:
    return 2 * x

found: list[int] = Shelf().find("one")
forgotten: bool = double.invalidate(3)
computed: list[int] = cache.get_or_set("key", lambda: [1], "1h", stale="1d", wait=0, tags=["t"])
counted: int = cache.incr("n", 2, ttl=...)
entry = cache.entry("key")
left: float | None = entry.ttl if entry else None
double("three")
""")
    limit = sys.getrecursionlimit()
    told, _, _ = mypy.run(["--strict", "--no-incremental", "--cache-dir", os.devnull, str(program)])
    sys.setrecursionlimit(limit)  # it raises it
    assert "Found 1 error" in told and ":21: error: " in told, told


def test_an_older_python_is_told_which_one_it_takes(run_python):
    done = run_python("import sys\nsys.version_info = (3, 10, 4)\nimport brine", check=False)
    assert "ImportError: brine needs Python 3.11 or later; this is Python 3.10, " + sys.executable in done.err


def test_errors_are_named_as_an_except_clause_names_them(played):
    assert {f"{kind.__module__}.{kind.__qualname__}" for kind in (
        brine.BrineError, brine.Refused, brine.Unavailable, brine.Conflict, brine.Unpicklable, brine.BrineWarning)} == {
        "brine.BrineError", "brine.Refused", "brine.Unavailable", "brine.Conflict", "brine.Unpicklable",
        "brine.BrineWarning"}
    error = pickle.loads(pickle.dumps(brine.Refused("too large", 34, "TOO_LARGE")))
    assert type(error) is brine.Refused and error.name == "TOO_LARGE"


@pytest.mark.parametrize("name", ["a b", "", "x" * 65, "-web", ".web", "caf\u00e9"])
def test_a_name_that_no_namespace_can_have_is_refused_where_it_is_written(name):
    with pytest.raises(brine.Refused, match="64 of A-Z") as raised:
        brine.Cache(name)
    assert raised.value.name == "BAD_NAMESPACE" and repr(name) in str(raised.value)


def test_a_namespace_of_another_type_is_a_type_error():
    with pytest.raises(TypeError, match="namespace=3"):
        brine.Cache(3)
