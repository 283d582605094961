"""memoize: one key for equal calls in every process, another for everything else, and never a wrong result."""

import dataclasses
import datetime
import functools
import os
import sys
import textwrap
import threading
import warnings

import brine
import pytest
from brine import _brine


@dataclasses.dataclass
class Point:
    x: object
    y: object


@pytest.fixture
def calls():
    return []


@pytest.fixture
def double(played_cache, calls):
    @played_cache.memoize()
    def double(x, y=0, *rest, scale=2, **more):
        """Doubles."""
        calls.append((x, y, rest, scale, more))
        return [x, y, rest, scale, more]
    return double


# ---- one computation


def test_a_call_is_computed_once(double, calls):
    assert double(4) == double(4) == [4, 0, (), 2, {}]
    assert len(calls) == 1


def test_every_way_of_writing_a_call_is_one_call(double, calls):
    for call in (lambda: double(1, 0), lambda: double(1), lambda: double(x=1), lambda: double(y=0, x=1),
                 lambda: double(1, scale=2), lambda: double(1, 0, scale=2)):
        call()
    assert len(calls) == 1


def test_other_arguments_are_other_calls(double, calls):
    for call in (lambda: double(1), lambda: double(True), lambda: double(1.0), lambda: double("1"), lambda: double(b"1"),
                 lambda: double(1, 2), lambda: double(1, 0, 2), lambda: double(1, scale=3), lambda: double(1, extra=3),
                 lambda: double([1]), lambda: double((1,)), lambda: double({1}), lambda: double({1: 1})):
        call(), call()
    assert len(calls) == 13


def test_a_none_is_a_result(played_cache, calls):
    @played_cache.memoize()
    def nothing():
        calls.append(1)

    assert nothing() is None and nothing() is None and calls == [1]


def test_an_exception_is_raised_and_not_kept(played, played_cache, calls):
    @played_cache.memoize
    def fails(x):
        calls.append(x)
        raise ValueError(x)

    for _ in range(2):
        with pytest.raises(ValueError, match="7"):
            fails(7)
    assert calls == [7, 7] and played.objects == {}


def test_a_recursive_function_computes_each_call_once(played_cache, calls):
    @played_cache.memoize()
    def fib(n):
        calls.append(n)
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(20) == 6765 and len(calls) == 21


def test_the_time_that_it_took_is_said_as_the_cost(played, played_cache):
    @played_cache.memoize()
    def slow():
        end = datetime.datetime.now() + datetime.timedelta(milliseconds=20)
        while datetime.datetime.now() < end:
            pass

    slow()
    assert played.stored(slow.cache_key().encoded).put_fields["COST"] >= 20_000


@pytest.mark.parametrize("given, ms", [((), 60_000), ((None,), None), (("1h",), 3_600_000), ((2,), 2000)])
def test_the_ttl_is_that_of_memoize_or_of_the_cache(played, given, ms):
    cache = brine.Cache(socket=played.path, ttl=60)

    @cache.memoize(*given)
    def one():
        return 1

    one()
    assert played.stored(one.cache_key().encoded).put_fields.get("TTL") == ms


def test_invalidate_forgets_one_call(double, calls):
    double(1), double(2)
    assert double.invalidate(1) is True and double.invalidate(1) is False
    double(1), double(2)
    assert [call[0] for call in calls] == [1, 2, 1]


def test_cache_key_is_a_key_of_the_cache(played_cache, double):
    double(3)
    key = double.cache_key(3)
    assert played_cache[key] == double(3) and key in played_cache and list(played_cache) == [key]
    assert key.function.endswith("double") and "double" in repr(key)
    with pytest.raises(TypeError):
        double.cache_key()


def test_the_wrapper_looks_like_the_function(double):
    assert double.__name__ == "double" and double.__doc__ == "Doubles." and double.__wrapped__(1) == double(1)


def test_a_method_of_a_dataclass_is_keyed_by_its_fields(played_cache, calls):
    @dataclasses.dataclass
    class Square:
        side: int

        @played_cache.memoize()
        def area(self):
            calls.append(self.side)
            return self.side ** 2

    assert [Square(2).area(), Square(3).area(), Square(2).area()] == [4, 9, 4] and calls == [2, 3]


def test_a_long_call_has_a_key_that_fits(double, calls):
    double("a" * 5000), double("a" * 5000), double("a" * 5001)
    assert len(calls) == 2 and len(double.cache_key(["a"] * 2000).encoded) < 512


# ---- what cannot be done


async def asynchronous():
    pass


async def asynchronous_generator():
    yield


def generator():
    yield


@pytest.mark.parametrize("function, way", [
    (asynchronous, "async.*await.*brine.aio.Cache"), (asynchronous_generator, "generator.*list"), (generator, "generator.*list"), (len, "write a def"),
    (staticmethod(generator), "above"), (functools.partial(int), "write a def"), (3, "write a def")])
def test_what_cannot_be_memoized_says_what_to_do(played_cache, function, way):
    with pytest.raises(TypeError, match=way):
        played_cache.memoize()(function)


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
@pytest.mark.parametrize("module", [brine, brine.aio])
def test_memoize_above_another_decorator_says_how_to_turn_them_round(played, kind, module):
    cache = module.Cache(socket=played.path)
    for memoize in (cache.memoize, cache.memoize(ttl="1h")):
        with pytest.raises(TypeError, match=f"^generator: write @{kind.__name__} above @cache.memoize"):
            memoize(kind(generator))


@pytest.mark.parametrize("argument", [object(), threading.Lock(), (number for number in ()), [object()], {object(): 1}, Point(1, object()),
                                      type("Local", (), {"__reduce__": lambda self: 1 / 0})()])
def test_an_argument_without_content_says_what_to_do(double, calls, argument):
    with pytest.raises(TypeError, match="argument 'x': .*__brine_key__ method.*brine.register_key.*the parts that matter"):
        double(argument)
    assert calls == []


def test_an_argument_that_contains_itself_is_told(double):
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="itself"):
        double(endless)


def test_a_call_that_does_not_fit_raises_the_functions_own_error(double):
    with pytest.raises(TypeError, match=r"double\(\) missing 1 required positional argument: 'x'"):
        double()


def test_a_result_that_cannot_be_kept_is_returned_with_one_warning(played_cache):
    @played_cache.memoize()
    def opened(x):
        return lambda: x

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert opened(1)() == 1 and opened(2)() == 2 and opened(1)() == 1
    assert len(said) == 1 and "opened" in str(said[0].message) and said[0].filename == __file__


@pytest.mark.parametrize("command, error", [("PUT", 34), ("GET", 37), ("PUT", 2), ("GET", 6)])
def test_whatever_the_daemon_says_the_result_is_returned(played, played_cache, command, error):
    played.errors[command] = error

    @played_cache.memoize()
    def three():
        return 3

    with pytest.warns(brine.BrineWarning):
        assert three() == 3


def test_without_a_daemon_the_result_is_returned(folder):
    with pytest.warns(brine.BrineWarning):
        assert brine.Cache(socket=folder / "nobody.sock").memoize()(one)() == 1


def one():
    return 1


# ---- processes


KEYS = """
import dataclasses, enum, pathlib, datetime, decimal, uuid
import brine

cache = brine.Cache()

class Colour(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Point:
    x: object

def around(n):
    @cache.memoize()
    def inner(*args):
        return n
    return inner

@cache.memoize()
def function(*args, **kwargs):
    return 1

sets = {frozenset({"a", "b"}), frozenset({"c", "d", "e"}), frozenset()}
arguments = [sets, {"one": 1, "two": {"x", "y", "z"}}, Colour.RED, Point({"p", "q"}), {Colour.RED: {1, "1", None}},
             pathlib.Path("a"), datetime.datetime(2026, 1, 2), decimal.Decimal("1.5"), uuid.UUID(int=7), 1.5, 2j]
print(function.cache_key(*arguments, key=sets).encoded.hex())
print(around({"captured", "set", "of", "text"}).cache_key(1).encoded.hex())
print(cache.memoize()(lambda x: x in {"constant", "set", "of", "text"}).cache_key(1).encoded.hex())
"""


def test_keys_are_equal_in_every_process(run_python):
    found = {run_python(KEYS, PYTHONHASHSEED=str(seed), BRINE_DISABLE="1").out for seed in range(5)}
    assert len(found) == 1


def test_a_script_and_its_spawned_workers_have_the_same_keys(run_python):
    done = run_python("""
import multiprocessing
import brine

@brine.Cache().memoize()
def function(x):
    return x

def key(x):
    return function.cache_key(x).encoded

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(key, (1,)) == key(1))
""", BRINE_DISABLE="1")
    assert done.out == "True\n"


# ---- code


def key_of(folder, run_python, source, name="mod.py"):
    """The key of f(1), where source is a module's; each in a process of its own, as a changed file is."""
    (folder / name).write_text("import brine\ncache = brine.Cache()\n" + textwrap.dedent(source))
    return run_python("import mod\nprint(mod.f.cache_key(1).encoded.hex())", BRINE_DISABLE="1").out


PLAIN = """
@cache.memoize()
def f(x):
    y = x + 1
    return y
"""


@pytest.mark.parametrize("source", [
    "\n\n\n" + PLAIN, PLAIN.replace("+ 1", "+ 1  # a comment"), PLAIN.replace("memoize()", "memoize(ttl=60)"),
    PLAIN.replace("    y =", "    # a line of its own\n\n    y ="), PLAIN.replace("x + 1", "x  +  1"),
    PLAIN.replace("memoize()", "memoize")])
def test_comments_blanks_and_decorators_are_no_code(folder, run_python, source):
    assert key_of(folder, run_python, PLAIN) == key_of(folder, run_python, source)


@pytest.mark.parametrize("source", [
    PLAIN.replace("+ 1", "+ 2"), PLAIN.replace("f(x)", "f(x, z=1)"), PLAIN.replace("return y", "return x"),
    PLAIN.replace("    y =", "    'A docstring, which some programs read.'\n    y ="), PLAIN.replace("    return y", "    if y:\n        pass\n    return y"), PLAIN.replace("return y", "return 'y'")])
def test_changed_code_is_another_key(folder, run_python, source):
    assert key_of(folder, run_python, PLAIN) != key_of(folder, run_python, source)


def test_what_an_indent_holds_counts(folder, run_python):
    one = "@cache.memoize()\ndef f(x):\n    if x:\n        x = 1\n    x = 2\n    return x\n"
    other = "@cache.memoize()\ndef f(x):\n    if x:\n        x = 1\n        x = 2\n    return x\n"
    assert key_of(folder, run_python, one) != key_of(folder, run_python, other)


def test_a_source_that_changed_since_it_was_loaded_does_not_speak_for_the_code(folder, run_python):
    source = "import brine\ncache = brine.Cache()\ndef make():\n    @cache.memoize()\n    def f(x):\n        return x + {}\n    return f\n"
    (folder / "mod.py").write_text(source.format(1))
    changed = run_python("import mod, pathlib\npathlib.Path(mod.__file__).write_text(" + repr(source.format(2)) + ")\n"
                         "print(mod.make().cache_key(1).encoded.hex())", BRINE_DISABLE="1").out
    fresh = run_python("import mod\nprint(mod.make().cache_key(1).encoded.hex())", BRINE_DISABLE="1").out
    assert changed != fresh


def test_functions_without_source_are_told_by_their_bytecode(played_cache):
    def make(source):
        names = {}
        exec(source, names)
        return played_cache.memoize()(names["f"]).cache_key(1)

    assert make("def f(x): return x + 1") == make("def f(x): return x + 1  # again")
    assert make("def f(x): return x + 1") != make("def f(x): return x + 2")
    assert make("def f(x): return [i for i in (1, 2)]") != make("def f(x): return [i + 1 for i in (1, 2)]")
    assert make("def f(x): return x, (1, (2, ...))") != make("def f(x): return x, (1, (3, ...))")


def test_changed_back_it_finds_its_old_results(folder, run_python, daemon):
    def run(source):
        (folder / "mod.py").write_text("import brine\ncache = brine.Cache()\n" + source)
        return run_python("import mod\nprint(mod.f(1), mod.f.cache_info().hits)", BRINE_SOCKET=str(daemon.socket)).out

    assert [run(source) for source in (PLAIN, PLAIN, PLAIN.replace("+ 1", "+ 2"), PLAIN)] == ["2 0\n", "2 1\n", "3 0\n", "2 1\n"]


def test_a_function_of_a_long_name_has_a_key_that_names_it(played_cache):
    def function(x):
        return x

    function.__qualname__ = "n" * 2000
    encoded = played_cache.memoize()(function).cache_key("x" * 500).encoded
    function.__qualname__ = "n" * 2001
    assert len(encoded) < 1024 and encoded != played_cache.memoize()(function).cache_key("x" * 500).encoded
    assert b"n" * 200 in encoded and brine.EncodedKey(encoded).function.startswith(f"{__name__}:nnn")


def test_two_lambdas_of_one_line_are_two_functions(played_cache):
    one, two = played_cache.memoize()(lambda x: x + 1), played_cache.memoize()(lambda x: x + 2)
    assert (one(1), two(1)) == (2, 3)


def test_functions_that_close_over_different_values_are_different(played_cache):
    def adder(n):
        @played_cache.memoize()
        def add(x):
            return x + n
        return add

    assert [adder(1)(1), adder(2)(1), adder([1][0])(1)] == [2, 3, 2]
    assert adder(1).cache_key(1) == adder(1).cache_key(1) != adder(2).cache_key(1)


def test_one_function_under_two_decorators_is_two(played_cache):
    def times(n):
        def decorate(function):
            @functools.wraps(function)
            def wrapper(x):
                return n * function(x)
            return wrapper
        return decorate

    def base(x):
        return x

    def twice(x):
        return 2 * x

    memoize = played_cache.memoize()
    assert [memoize(function)(5) for function in (base, times(2)(base), times(3)(base), times(3)(twice), times(3)(memoize(twice)),
                                                  times(2)(times(3)(base)))] == [5, 10, 15, 30, 30, 30]


def test_what_a_function_may_not_close_over_is_told_when_it_is_decorated(played_cache):
    lock = object()

    def locked(x):
        return lock, x

    with pytest.raises(TypeError, match="locked uses lock of the function around it.*pass it as an argument"):
        played_cache.memoize()(locked)


def test_main_of_two_scripts_are_two_programs(run_python):
    source = "import brine\n@brine.Cache().memoize()\ndef f(x): return x\nprint(f.cache_key(1).encoded.hex())"
    keys = [run_python(source, name=name, BRINE_DISABLE="1").out for name in ("one.py", "two.py", "one.py")]
    assert keys[0] == keys[2] != keys[1]


def test_a_call_key_is_typed_and_names_its_function(double):
    encoded = double.cache_key(1).encoded
    assert encoded[:2] == b"\xfb\x01" and b"double" in encoded and _brine.encode_key(double.cache_key(1)) == encoded
    assert f"{__name__}:double" == double.cache_key(1).function.replace("double.<locals>.", "")


def test_an_argument_without_content_is_named_and_self_explained(played_cache):
    class Plain:
        def __init__(self):
            self.lock = threading.Lock()

        @played_cache.memoize
        def find(self, title, limit=object()):
            return title

    with pytest.raises(TypeError, match="argument 'self': .* type lock.*ignore=.*self.*, or let it call"):
        Plain().find("one")
    with pytest.raises(TypeError, match="argument 'limit': .* type object") as raised:
        Plain.find(1, "one")
    assert "or let it call" not in str(raised.value)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'title'"):
        Plain.find(Plain())
