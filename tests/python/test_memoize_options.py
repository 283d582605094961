"""What a user may say to memoize about a function, and what the decorated function offers."""

import functools
import os
import sys
import textwrap
import warnings

import brine
import pytest

LIMIT = 3


class Settings:
    LIMIT = 7


settings = Settings()


def helper(x):
    return x + 1


def other_helper(x):
    return x + 2


@pytest.fixture
def calls():
    return []


# ---- what tells calls apart


def test_an_ignored_parameter_makes_no_difference_and_needs_no_content(cache, calls):
    @cache.memoize(ignore=["log", "debug"])
    def area(side, log=print, *, scale=1, **more):
        calls.append(side)
        return side * side * scale

    assert area(2, object()) == area(2, log=sys.stdout) == area(2, debug=object()) == area(2) == 4
    assert area(2, scale=2) == 8 and area(2, other=1) == 4 and calls == [2, 2, 2]


def test_self_can_be_ignored(cache, calls):
    class Model:
        @cache.memoize(ignore=["self"])
        def predict(self, x):
            calls.append(x)
            return x

    model = Model()
    model.lock = open(os.devnull)
    with model.lock:
        assert model.predict(1) == Model().predict(1) == 1 and calls == [1]


def test_two_sets_of_ignored_parameters_are_two_functions(cache):
    def both(a, b):
        return a, b

    assert cache.memoize(ignore=["a"])(both)(1, 2) == (1, 2)
    assert cache.memoize(ignore=["b"])(both)(2, 1) == (2, 1)


def test_a_key_function_tells_calls_apart_in_place_of_the_arguments(cache, calls):
    @cache.memoize(key=lambda document, **more: document["id"])
    def length(document, **more):
        calls.append(document["id"])
        return len(document)

    assert length({"id": 1, "lock": object()}) == length({"id": 1}) == 2
    assert length({"id": 2}) == 1 and calls == [1, 2]


def test_another_key_function_is_another_function(cache):
    def name(pair):
        return pair

    assert cache.memoize(key=lambda pair: pair[0])(name)((1, 2)) == (1, 2)
    assert cache.memoize(key=lambda pair: pair[1])(name)((2, 1)) == (2, 1)


def test_what_a_key_function_raises_is_raised(cache):
    with pytest.raises(TypeError, match="object of type object"):
        cache.memoize(key=lambda x: object())(helper)(1)
    with pytest.raises(ZeroDivisionError):
        cache.memoize(key=lambda x: 1 / 0)(helper)(1)


def test_another_version_is_another_function(cache):
    keys = [cache.memoize(version=version)(helper).cache_key(1) for version in (None, 1, "1", 2, ("model", 2), 1)]
    assert keys[1] == keys[5] and len(set(keys)) == 5


def test_a_global_that_deps_names_counts_as_it_is_at_each_call(cache, calls, monkeypatch):
    @cache.memoize(deps=["LIMIT", "settings.LIMIT"])
    def most(x):
        calls.append(x)
        return min(x, LIMIT, settings.LIMIT)

    assert most(10) == 3 and most(10) == 3
    monkeypatch.setitem(globals(), "LIMIT", 5)
    assert most(10) == 5
    monkeypatch.setattr(settings, "LIMIT", 4, raising=False)
    assert most(10) == 4 and len(calls) == 3
    monkeypatch.setitem(globals(), "LIMIT", 3)
    monkeypatch.setattr(settings, "LIMIT", 7, raising=False)
    assert most(10) == 3 and len(calls) == 3


def test_functions_and_values_in_deps_count_by_code_and_content(cache):
    def key(*deps):
        return cache.memoize(deps=deps)(helper).cache_key(1)

    memoized = cache.memoize()(other_helper)
    keys = [key(), key(helper), key(other_helper), key(1), key(1.0), key({"a", "b"}), key(helper, other_helper)]
    assert len(set(keys)) == len(keys)
    assert key(memoized) == key(other_helper) and key({"a", "b"}) == key({"b", "a"})


DEPENDENT = """
import brine, helpers
cache = brine.Cache()

@cache.memoize(deps=[{deps}])
def f(x):
    return helpers.helper(x)

print(f.cache_key(1).encoded.hex())
"""
HELPERS = """
def helper(x):
    return x{0}

class Helper:
    def help(self):
        return 1{0}
"""


@pytest.mark.parametrize("deps, followed", [("", False), ("helpers.helper", True), ("helpers.Helper", True), ("helpers", True),
                                            ("'helpers.helper'", True)])
def test_changed_code_of_what_deps_names_is_a_new_key(folder, run_python, deps, followed):
    def key(change):
        (folder / "helpers.py").write_text(HELPERS.format(change))
        return run_python(DEPENDENT.format(deps=deps), BRINE_DISABLE="1").out

    before = key("")
    assert (key(" + 1") != before) == followed
    assert key("  # a comment") == before


@pytest.mark.parametrize("deps", ["helpers", "helpers.Helper", "helpers.helper"])
def test_a_dependency_whose_file_changed_since_it_was_loaded_counts_by_its_bytecode(folder, run_python, deps):
    def key(loaded, later):
        (folder / "helpers.py").write_text(HELPERS.format(loaded))
        return run_python(f"import brine, pathlib, helpers\npathlib.Path(helpers.__file__).write_text({HELPERS.format(later)!r})\n"
                          + DEPENDENT.format(deps=deps), BRINE_DISABLE="1").out

    assert key("", " + 1") == key("", " + 2") != key(" + 1", " + 2")


def test_a_module_with_a_version_counts_by_it(folder, run_python):
    def key(version, code):
        (folder / "helpers.py").write_text(f"__version__ = {version!r}\n{code}")
        return run_python(DEPENDENT.format(deps="helpers"), BRINE_DISABLE="1").out

    assert key("1", "a = 1") == key("1", "a = 2") != key("2", "a = 1")


@pytest.mark.parametrize("options, way", [
    ({"ignore": "x"}, r"a list of names, such as ignore=\['x'\]"), ({"ignore": ["nothing"]}, "helper has no such parameter"),
    ({"key": 3}, "key=3: a function"), ({"key": helper, "ignore": ["x"]}, "leave out what ignore= names"),
    ({"condition": True}, "condition=True: a function"), ({"validate": "x"}, "validate='x': a function"),
    ({"deps": "LIMIT"}, r"such as deps=\['LIMIT'\]"), ({"deps": helper}, "a list"), ({"deps": [object()]}, "deps: .*type object"),
    ({"deps": [int]}, "deps: int has no code.*name a value instead"), ({"deps": [sys]}, "deps: sys has no code"),
    ({"version": object()}, "type object"), ({"tags": 3}, "tags=3: a list of names"), ({"ttl": "soon"}, "ttl='soon'"), ({"stale": 0}, "stale=0")])
def test_a_mistake_raises_where_the_function_is_decorated(cache, options, way):
    with pytest.raises((TypeError, ValueError), match=way):
        cache.memoize(**options)(helper)


def test_a_global_that_is_not_there_is_named_when_it_is_called(cache):
    with pytest.raises(TypeError, match=f"deps names 'MISSING', which module {__name__} has not"):
        cache.memoize(deps=["MISSING"])(helper)(1)


# ---- what is kept, and how long it is good


def test_a_result_that_condition_refuses_is_returned_and_not_stored(cache, calls):
    @cache.memoize(condition=lambda result: result is not None)
    def find(x):
        calls.append(x)
        return x or None

    assert [find(0), find(0), find(1), find(1)] == [None, None, 1, 1] and calls == [0, 0, 1]
    assert find.cache_info() == (1, 3, 2) and not find.check(0) and find.check(1)


def test_what_condition_raises_is_raised_and_the_next_one_computes(cache, calls):
    @cache.memoize(condition=lambda result: 1 / result)
    def number(x):
        calls.append(x)
        return x

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            number(0)
    assert calls == [0, 0] and number(1) == number(1) == 1


def test_validate_decides_whether_a_stored_result_is_still_good(cache, calls):
    asked, good = [], True

    def validate(entry, x, *, y=0):
        asked.append((entry.value, entry.age >= 0, entry.cost > 0, x, y))
        return good

    @cache.memoize(validate=validate)
    def add(x, *, y=0):
        calls.append(x)
        return x + y + len(calls)

    assert add(1, y=2) == 4 and asked == []
    assert add(1, y=2) == 4 and asked == [(4, True, True, 1, 2)]
    good = False
    assert add(1, y=2) == 5 and add(1, y=2) == 6 and len(calls) == 3
    good = True
    assert add(1, y=2) == 6 and add.cache_info() == (2, 3, 0)


def test_a_file_that_changed_makes_its_result_invalid(cache, folder, calls):
    import time

    @cache.memoize(validate=lambda entry, path: time.time() - entry.age > os.stat(path).st_mtime)
    def words(path):
        calls.append(path)
        return path.read_text().split()

    path = folder / "text"
    path.write_text("one two")
    os.utime(path, (1, 1))
    assert words(path) == words(path) == ["one", "two"] and len(calls) == 1
    path.write_text("three")
    os.utime(path, (time.time() + 1000,) * 2)
    assert words(path) == ["three"] and len(calls) == 2


def test_validate_is_asked_about_a_stale_value_too(cache, calls):
    good = True

    @cache.memoize(ttl="1ms", stale="1h", validate=lambda entry: good)
    def number():
        calls.append(1)
        return len(calls)

    def expired():
        from crew import until
        until(lambda: cache.entry(number.cache_key()) is None)

    assert number() == 1
    expired()
    assert number() == 2  # this one refreshes it
    expired()
    good = False
    assert number() == 3


@pytest.mark.parametrize("tags", [["page"], lambda user, **more: [f"user {user}", "page"]])
def test_tags_may_be_made_of_the_arguments(cache, calls, tags):
    @cache.memoize(tags=tags)
    def page(user, **more):
        calls.append(user)
        return user

    page(1), page(2)
    cache.invalidate("user 1")
    page(1), page(2)
    assert calls == ([1, 2, 1] if callable(tags) else [1, 2])
    cache.invalidate("page")
    page(1), page(2)
    assert calls[-2:] == [1, 2]


def test_what_a_function_of_tags_raises_is_raised_and_nobody_waits_for_it(cache):
    @cache.memoize(tags=lambda x: [1 / x])
    def number(x):
        return x

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            number(0)


# ---- what it offers


def test_cache_info_counts_hits_misses_and_what_was_not_kept(cache):
    @cache.memoize
    def pair(x):
        return x, (lambda: x) if x == 2 else None

    assert pair.cache_info() == (0, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (0, 0, 0, 1, 2, 2):
            pair(x)
    info = pair.cache_info()
    assert info == (2, 4, 2) and (info.hits, info.misses, info.unkept) == info


def test_without_a_daemon_every_call_is_a_miss_that_was_not_kept(folder):
    function = brine.Cache(socket=folder / "nobody.sock").memoize(helper)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert function(1) == function(1) == 2
    assert function.cache_info() == (0, 2, 2)


def test_check_says_whether_a_call_is_stored(cache):
    function = cache.memoize(helper)
    assert function.check(1) is False
    function(1)
    assert function.check(1) is True and function.check(x=1) is True and function.check(2) is False
    assert function.cache_info() == (0, 1, 0)


def test_cache_clear_forgets_every_version_and_nothing_else(cache):
    def version(number):
        @cache.memoize(version=number)
        def function(x):
            return number, x
        return function

    def function_of_a_longer_name(x):
        return x

    one, two, other = version(1), version(2), cache.memoize(function_of_a_longer_name)
    for x in range(3):
        one(x), two(x), other(x), one(["long"] * 1000 + [x])
    cache["mine"] = 1
    assert one.cache_clear() == 9
    assert not one.check(0) and not two.check(0) and other.check(0) and cache["mine"] == 1
    assert one.cache_info() == (0, 0, 0) and one.cache_clear() == 0


def test_cache_clear_forgets_more_than_one_page_of_keys(cache):
    function = cache.memoize(helper)
    cache.set_many({function.cache_key(x): x for x in range(2500)})
    assert function.cache_clear() == 2500 and len(list(cache)) == 0


def test_invalidate_forgets_the_current_version_alone(cache):
    one, two = (cache.memoize(version=version)(helper) for version in (1, 2))
    one(1), two(1)
    assert one.invalidate(1) is True and one.invalidate(1) is False and two.check(1)


def test_without_a_daemon_what_forgets_raises(folder):
    function = brine.Cache(socket=folder / "nobody.sock").memoize(helper)
    with pytest.raises(brine.Unavailable):
        function.invalidate(1)
    with pytest.raises(brine.Unavailable):
        function.cache_clear()


# ---- methods, partials


class Account:
    def __init__(self, number):
        self.number = number


def test_a_method_is_keyed_by_what_self_holds(cache, calls):
    class Report(Account):
        @cache.memoize
        def total(self, year=2026):
            calls.append(self.number)
            return self.number + year

    assert [Report(1).total(), Report(1).total(2026), Report(2).total()] == [2027, 2027, 2028] and calls == [1, 2]
    assert Report.total.check(Report(1)) and Report.total.invalidate(Report(1), 2026) and not Report.total.check(Report(1))


def test_static_and_class_methods_are_memoized_below_their_decorator(cache, calls):
    class Report:
        @staticmethod
        @cache.memoize
        def double(x):
            calls.append(x)
            return 2 * x

        @classmethod
        @cache.memoize
        def named(cls, x):
            calls.append(x)
            return cls.__name__, x

    assert [Report.double(1), Report().double(1), Report.named(2), Report.named(2)] == [2, 2, ("Report", 2), ("Report", 2)]
    assert calls == [1, 2] and Report.double.check(1)


class Scale:
    called = []

    def __init__(self, factor):
        self.factor = factor

    def times(self, x):
        self.called.append(x)
        return self.factor * x


def add(x, y):
    Scale.called.append((x, y))
    return x + y


def test_a_bound_method_and_a_partial_are_functions_of_what_they_are_bound_to(cache):
    Scale.called.clear()
    for _ in range(2):
        assert [cache.memoize()(functools.partial(add, 1))(2), cache.memoize()(functools.partial(add, 2))(2),
                cache.memoize()(functools.partial(add, y=1))(2)] == [3, 4, 3]
        assert [cache.memoize()(Scale(2).times)(5), cache.memoize()(Scale(3).times)(5)] == [10, 15]
    assert len(Scale.called) == 5
    assert cache.memoize()(functools.partial(add, 1)).__name__ == "add"


@pytest.mark.parametrize("bound, named", [(functools.partial(helper, object()), "helper is bound to argument 1"), (functools.partial(helper, x=object()), "argument 'x'"),
                                          (Account(object()).__init__, "Account.__init__ is bound to self"), (functools.partial(Account(object()).__init__, 1), "self")])
def test_what_is_bound_to_something_without_content_is_told_when_it_is_decorated(cache, bound, named):
    with pytest.raises(TypeError, match=named + ", which is no part of a key.*type object.*__brine_key__"):
        cache.memoize()(bound)


def test_a_memoized_function_can_be_pickled_by_name(folder, run_python):
    (folder / "work.py").write_text(textwrap.dedent("""
        import brine
        @brine.Cache().memoize()
        def f(x):
            return x
    """))
    done = run_python("import pickle, work\nprint(pickle.loads(pickle.dumps(work.f)) is work.f)", BRINE_DISABLE="1")
    assert done.out == "True\n"
