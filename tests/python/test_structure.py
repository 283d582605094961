"""Arguments by content: what is equal has one encoding, what differs has another, in every process."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import inspect
import math
import operator
import pathlib
import pickle
import re
import sys
import threading
import uuid
import zoneinfo
from typing import NamedTuple

import brine
import pytest
from brine import _brine
from brine._calls import _Binder
from brine._registry import _registered, ways
from brine._structure import encode_structure
from hypothesis import given, strategies as st

import plain_structure


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    left: object
    right: object


@dataclasses.dataclass
class Point:
    x: object
    y: object


@dataclasses.dataclass
class Spot:
    x: object
    y: object


class Heavy(Point):
    """Holds more than its fields."""

    def __init__(self, x, y, weight):
        super().__init__(x, y)
        self.weight = weight


class Noted(Pair):
    """Holds more than its fields."""

    def __new__(cls, left, right, note):
        made = super().__new__(cls, left, right)
        made.note = note
        return made

    def __getnewargs__(self):
        return (*self, self.note)


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Other(Plain):
    pass


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


class User:
    def __init__(self, number, connection=None):
        self.number, self.connection = number, connection or threading.Lock()

    def __brine_key__(self):
        return self.number


class Admin(User):
    pass


class Text(str):
    pass


class Foreign:
    def __init__(self, number):
        self.number, self.lock = number, threading.Lock()


class Nearer(Foreign):
    pass


@pytest.fixture
def registering():
    """Tests may register what they like."""
    yield brine.register_key
    _registered.clear()
    ways.clear()


# ---- against the plain encoder


elementary = st.one_of(st.none(), st.booleans(), st.integers(), st.integers(-2**200, 2**200), st.floats(), st.complex_numbers(),
                       st.text(), st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010)), st.binary(),
                       st.integers(1000, 1100).map("x".__mul__), st.integers(1000, 1100).map(b"x".__mul__))
elementary_keys = st.recursive(elementary, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)), max_leaves=3)
containers = st.recursive(elementary_keys, lambda inner: st.one_of(
    st.lists(inner), st.tuples(inner), st.sets(elementary_keys), st.dictionaries(elementary_keys, inner)), max_leaves=10)


@given(containers)
def test_what_is_made_in_c_is_what_the_protocol_says(value):
    assert encode_structure(value) == plain_structure.encode(value)


@pytest.mark.parametrize("value", [0, -1, 127, 128, -128, -129, 2**63 - 1, 2**63, -2**63, -2**63 - 1, 2**64, 10**400, "", "a" * 1024,
                                   "a" * 1025, b"", bytearray(b"x" * 2000), "\ud800", "é" * 600, list(range(200)), (), [], {}, set()])
def test_the_edges_are_as_the_protocol_says(value):
    assert encode_structure(value) == plain_structure.encode(value)


# ---- equal exactly when the contents are


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(), st.dates(),
                   st.datetimes(), st.times(), st.timedeltas(), st.decimals(allow_nan=False), st.uuids(), st.sampled_from(Colour),
                   st.sampled_from([Right.READ, Right.READ | Right.WRITE, Level.LOW]), st.builds(pathlib.PurePosixPath, st.just("a/b")),
                   st.builds(fractions.Fraction, st.integers(0, 9), st.just(7)), st.builds(range, st.integers(0, 9)))
hashable = st.recursive(leaves, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)), max_leaves=3)
structures = st.recursive(hashable, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.tuples(inner), st.sets(hashable, max_size=3), st.dictionaries(hashable, inner, max_size=3), st.builds(Point, inner, inner),
    st.builds(Pair, inner, inner), st.builds(Plain, a=inner, b=inner), st.builds(Slotted, inner, inner)), max_leaves=5)


def shape(value):
    """A value in words that are equal exactly for equal types and contents."""
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(shape, value))
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset(map(shape, value))
    if isinstance(value, dict):
        return dict, frozenset((shape(key), shape(item)) for key, item in value.items())
    if isinstance(value, Slotted):
        return Slotted, shape(value.a), shape(value.b)
    if isinstance(value, (Plain, Point)):
        return type(value), shape(vars(value))
    if isinstance(value, complex):
        return complex, shape(value.real), shape(value.imag)
    return type(value), repr(value)


@given(structures, structures)
def test_structures_are_encoded_alike_exactly_when_they_are_equal(first, second):
    assert (encode_structure(first) == encode_structure(second)) == (shape(first) == shape(second))


@given(structures)
def test_a_copy_is_encoded_like_what_it_is_a_copy_of(value):
    assert encode_structure(pickle.loads(pickle.dumps(value))) == encode_structure(value)


@given(st.lists(structures, max_size=3), st.lists(structures, max_size=3))
def test_no_two_lists_of_arguments_run_into_each_other(first, second):
    assert (encode_structure(*first) == encode_structure(*second)) == (shape(first) == shape(second))


PREFIX = b"\xfb\x01\x01f" + bytes(16)


def _call_key(values):
    return _brine.encode_call(PREFIX, values, brine.EncodedKey)


@given(st.lists(structures, max_size=4), st.lists(structures, max_size=4))
def test_keys_are_equal_exactly_when_the_encodings_are(first, second):
    assert (_call_key(tuple(first)) == _call_key(tuple(second))) == (encode_structure(*first) == encode_structure(*second))


@given(st.lists(st.tuples(hashable, leaves), unique_by=lambda pair: encode_structure(pair[0])))
def test_the_order_of_dicts_and_sets_does_not_count(pairs):
    # Of keys that are equal, as 1 and True are, a dict keeps the first.
    unique = list({key: (key, value) for key, value in pairs}.values())
    unique = [pair for pair in unique if any(pair[0] is key for key in dict(unique))]
    assert encode_structure(dict(unique)) == encode_structure(dict(reversed(unique)))
    assert encode_structure({key for key, _ in unique}) == encode_structure({key for key, _ in reversed(unique)})


@pytest.mark.parametrize("values", [(), (1,), (b"x" * 509,), (b"x" * 510,), (b"x" * 1000,) * 2, tuple(range(10_000))])
def test_arguments_of_up_to_512_bytes_are_the_key_and_longer_ones_their_digest(values):
    encoding = encode_structure(*values)
    expected = b"=" + encoding if len(encoding) <= 512 else b"#" + hashlib.blake2b(encoding, digest_size=32).digest()
    assert _call_key(values).encoded == PREFIX + expected


def adder(n):
    def add(x):
        return x + n
    return add


def with_default(n):
    def add(x, y=n):
        return x + y
    return add


def recursive(n):
    def down(x):
        return down(x - n) if x > n else x
    return down


def is_even(n):
    def even(x):
        return x == 0 or odd(x - n)

    def odd(x):
        return x != 0 and even(x - n)
    return even, odd


UTC = datetime.timezone.utc
DIFFERENT = [
    (1, 1.0), (1, True), (1.0, True), (0, False), ("1", 1), ("a", b"a"), (b"a", bytearray(b"a")), (None, ()), ([1], (1,)), ({1}, frozenset({1})),
    ({}, set()), (0.0, -0.0), (0j, -0j), ([[1], 2], [[1, 2]]), (["ab", "c"], ["a", "bc"]), ("a" * 1025, "a" * 1026), ("x" * 2000, b"x" * 2000),
    (Point(1, 2), Spot(1, 2)), (Point(1, 2), Pair(1, 2)), (Pair(1, 2), (1, 2)), (Point(1, 2), Point(2, 1)),
    (Heavy(1, 2, 3), Heavy(1, 2, 4)), (Heavy(1, 2, 3), Point(1, 2)),
    (Noted(1, 2, 3), Noted(1, 2, 4)), (Noted(1, 2, 3), Pair(1, 2)),
    (Colour.RED, Colour.GREEN), (Colour.RED, 1), (Level.LOW, 1), (Right.READ, Right.READ | Right.WRITE),
    (Plain(a=1), Plain(a=2)), (Plain(a=1), Plain(b=1)), (Plain(a=1), Other(a=1)), (Slotted(1, 2), Slotted(2, 1)), (Text("x"), "x"),
    (User(1), User(2)), (User(1), Admin(1)), (User(1), 1),
    (decimal.Decimal("1.0"), decimal.Decimal("1.00")), (fractions.Fraction(1, 2), 0.5),
    (datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=UTC)),
    (datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), datetime.datetime(2026, 1, 1, tzinfo=UTC)),
    (datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, fold=1)), (datetime.datetime(2026, 1, 1), datetime.date(2026, 1, 1)),
    (pathlib.Path("a"), "a"), (pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")), (uuid.UUID(int=1), uuid.UUID(int=2)),
    (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)), (collections.OrderedDict(a=1), {"a": 1}),
    (collections.Counter("a"), {"a": 1}), (collections.defaultdict(int, a=1), collections.defaultdict(list, a=1)),
    (collections.deque([1]), [1]), (collections.deque([1], 2), collections.deque([1], 3)),
    (range(3), range(4)), (slice(1), slice(2)), (re.compile("a"), re.compile("b")), (re.compile("a"), re.compile("a", re.I)), (ValueError(1), TypeError(1)),
    (adder(1), adder(2)), (with_default(1), with_default(2)), (recursive(1), recursive(2)), (adder(1), with_default(1)), is_even(1), (adder, with_default),
    (lambda x: x, lambda x: x + 1), (lambda: 1, lambda: 1.0),
    (functools.partial(adder, 1), functools.partial(adder, 2)), (functools.partial(adder, n=1), functools.partial(adder, 1)), (functools.partial(adder), adder),
    (User(1).__brine_key__, User(2).__brine_key__), ([1].count, [2].count), (str.upper, str.lower), (len, max), (int, float), (Plain, Other),
    (functools.lru_cache(adder(1)), functools.lru_cache(adder(2))), (operator.itemgetter(1), operator.itemgetter(2)), (list[int], list[str]), (re, math)]


@pytest.mark.parametrize("first, second", DIFFERENT)
def test_what_differs_is_encoded_differently(first, second):
    assert encode_structure(first) != encode_structure(second)


def test_no_two_of_all_that_differ_are_encoded_alike():
    found = {}
    for value in (value for pair in DIFFERENT for value in pair):
        found.setdefault(encode_structure(value), []).append(value)
    assert all(len({repr(value).split(" at 0x")[0] for value in values}) == 1 for values in found.values())


ALIKE = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"x", "y", "z"}, {"z", "y", "x"}), (float("nan"), -float("nan")), (User(1), User(1)), (adder(1), adder(1)),
    (recursive(2), recursive(2)), (is_even(1)[0], is_even(1)[0]), (functools.partial(adder, a=1, b=2), functools.partial(adder, b=2, a=1)),
    (Plain(a=1, b=2), Plain(b=2, a=1)), (collections.defaultdict(int, a=1, b=2), collections.defaultdict(int, b=2, a=1)),
    (functools.lru_cache(adder(1)), functools.lru_cache(adder(1))), ("a" + str(1), "a1"), ([[], []], [[]] * 2), (re.compile("a"), re.compile("a")),
    (collections.Counter("ab"), collections.Counter("ba")), (lambda x: x, lambda x: x)]


@pytest.mark.parametrize("first, second", ALIKE)
def test_what_is_equal_is_encoded_alike(first, second):
    assert encode_structure(first) == encode_structure(second)


# ---- what has no content


def endless_list():
    endless = []
    endless.append(endless)
    return endless


def endless_object():
    parent = Plain(children=[])
    parent.children.append(Plain(parent=parent))
    return parent


@pytest.mark.parametrize("value", [endless_list(), endless_object(), functools.reduce(lambda inner, _: [inner], range(100_000), [])])
@pytest.mark.parametrize("limit", [sys.getrecursionlimit(), 1_000_000])  # as programs set it: the stack has its own
def test_what_contains_itself_or_is_too_deep_says_what_to_do(value, limit):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        with pytest.raises(TypeError, match="contains itself, or is nested too deeply.*__brine_key__"):
            encode_structure(value)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("value", [object(), threading.Lock(), (number for number in ()), Foreign(1), adder(threading.Lock()),
                                   functools.partial(adder, threading.Lock()), threading.Lock().acquire, [Foreign(1)], {1: object()}, open])
def test_what_has_no_content_says_what_to_do(value):
    if value is open:
        with open(__file__) as value, pytest.raises(TypeError, match="__brine_key__"):
            encode_structure(value)
    else:
        with pytest.raises(TypeError, match="__brine_key__ method.*brine.register_key"):
            encode_structure(value)


def test_a_function_that_closes_over_what_has_no_content_names_it():
    with pytest.raises(TypeError, match="add uses n of the function around it.*type lock"):
        encode_structure(adder(threading.Lock()))


class Shrinking:
    """Changes the container that it is in."""

    def __init__(self, container):
        self.container = container

    def __brine_key__(self):
        self.container.clear()
        return 1


@pytest.mark.parametrize("kind", [list, set, dict])
def test_a_container_that_changes_meanwhile_is_told(kind):
    container = kind()
    items = [Shrinking(container) for _ in range(5)]
    for item in items:
        {list: lambda: container.append(item), set: lambda: container.add(item), dict: lambda: container.__setitem__(item, 1)}[kind]()
    with pytest.raises(RuntimeError, match="changed"):
        encode_structure(container)


# ---- what people tell about their classes


def test_a_registered_class_is_known_by_what_the_function_returns(registering):
    with pytest.raises(TypeError):
        encode_structure(Foreign(1))
    registering(Foreign, lambda foreign: foreign.number)
    assert encode_structure(Foreign(1)) == encode_structure(Foreign(1)) != encode_structure(Foreign(2))
    assert encode_structure(Nearer(1)) == encode_structure(Nearer(1)) != encode_structure(Foreign(1))
    registering(Nearer, lambda nearer: "all the same")
    assert encode_structure(Nearer(1)) == encode_structure(Nearer(2))


def test_what_is_registered_comes_before_everything_else(registering):
    registering(datetime.date, lambda date: date.year)
    registering(User, lambda user: "user")
    assert encode_structure(datetime.date(2026, 1, 1)) == encode_structure(datetime.date(2026, 5, 5))
    assert encode_structure(User(1)) == encode_structure(User(2))


@pytest.mark.parametrize("cls, function, way", [("x", len, "a class, not str"), (str, len, "elementary"), (object, id, "elementary"),
                                                (Foreign, "number", "a function, not str")])
def test_what_cannot_be_registered_says_why(registering, cls, function, way):
    with pytest.raises((TypeError, ValueError), match=way):
        registering(cls, function)


# ---- how arguments are bound


FUNCTIONS = [lambda: 0, lambda a: 0, lambda a, b=2: 0, lambda a, /, b, *, c=3, d: 0, lambda a=1, *rest, b=2, **more: 0, lambda *a, **b: 0,
             lambda a, b=2, /, c=3, **more: 0]


@given(st.sampled_from(FUNCTIONS), st.lists(st.integers(0, 3), max_size=4), st.dictionaries(st.sampled_from("abcdx"), st.integers(0, 3)),
       st.frozensets(st.sampled_from("abx")))
def test_arguments_are_bound_as_a_call_binds_them(function, args, kwargs, ignored):
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match=re.escape(str(error))):
            _Binder(signature, ignored).values(tuple(args), kwargs)
        return
    bound.apply_defaults()
    expected = []
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind == inspect.Parameter.VAR_KEYWORD:
            value = {key: item for key, item in value.items() if key not in ignored}
        if name not in ignored:
            expected.append(value)
    assert list(_Binder(signature, ignored).values(tuple(args), kwargs)) == expected


def test_of_a_dataclass_its_fields_count_and_nothing_else_that_is_set_on_it():
    @dataclasses.dataclass
    class Report:
        year: int

        def __post_init__(self):
            self.title = f"report of {self.year}"

        @functools.cached_property
        def pages(self):
            return [self.year]

    one, other = Report(2026), Report(2026)
    other.title, other.pages, other.more = "another", [1], 1
    assert encode_structure(one) == encode_structure(other) != encode_structure(Report(2027))
    other.year = 2027
    assert encode_structure(other) == encode_structure(Report(2027))
