"""What is given for an argument and cannot be one: the exception names the argument, what was given, and what is wanted.
Nothing is asked of a daemon: there is none."""

import asyncio
import inspect

import brine
import brine.aio
import pytest

SECONDS = r"seconds, a timedelta, a text such as"
TERMS = [
    ({"ttl": []}, TypeError, rf"ttl=\[\]: {SECONDS} .* or None for ever, not list"),
    ({"ttl": 0}, ValueError, "ttl=0: a ttl is more than zero"),
    ({"ttl": "soon"}, ValueError, "ttl='soon': write numbers with units"),
    ({"stale": b"1h"}, TypeError, rf"stale=b'1h': {SECONDS} .* or None, not bytes"),
    ({"stale": -1}, ValueError, "stale=-1: more than zero, or None"),
    ({"tags": 5}, TypeError, "tags=5: a list of tags, not int"),
    ({"tags": "tag"}, TypeError, "tags='tag': a list of tags, not one"),
    ({"tags": [5]}, TypeError, "tags: a tag is a str, not 5"),
    ({"tags": [""]}, ValueError, "tags: '': an object has at most 16 tags, of 1 to 255 bytes each"),
]
STORING = TERMS + [
    ({"ack": "never"}, ValueError, "ack='never': \"memory\" or \"disk\""),
    ({"ack": True}, ValueError, "ack=True: \"memory\" or \"disk\""),
    ({"cost": "1"}, TypeError, "cost='1': the seconds that it took to compute the value, not str"),
    ({"cost": -1}, ValueError, "cost=-1: the seconds that it took to compute the value"),
]
COUNTING = [
    ({"by": 1.5}, TypeError, "by=1.5: an int, not float"),
    ({"by": "1"}, TypeError, "by='1': an int, not str"),
    ({"by": 2**64}, OverflowError, "by=-?18446744073709551616: a counter has 64 bits"),
    ({"initial": None}, TypeError, "initial=None: an int, not NoneType"),
    ({"create": "no"}, TypeError, "create='no': True or False, not str"),
    ({"ttl": []}, TypeError, r"ttl=\[\]: "),
]
READING = [
    ({"max_age": {}}, TypeError, rf"max_age={{}}: {SECONDS}"),
    ({"max_age": 0}, ValueError, "max_age=0: more than zero, or None"),
    ({"stale": "1h"}, TypeError, "stale='1h': True or False, not str"),
]
COMPUTING = TERMS + [
    ({"wait": -1}, ValueError, "wait=-1: zero or more, or None"),
    ({"wait": True}, TypeError, f"wait=True: {SECONDS}"),
    ({"lease": 0}, ValueError, "lease=0: more than zero, or None"),
    ({"lease": []}, TypeError, rf"lease=\[\]: {SECONDS}"),
]
# Of each method: what it takes that is right, and what is wrong beside it.
METHODS = {
    "get": (("k",), READING),
    "entry": (("k",), READING[2:]),
    "get_many": ((["k"],), READING),
    "set": (("k", 1), STORING),
    "add": (("k", 1), STORING),
    "setdefault": (("k", 1), STORING),
    "cas": (("k", 1, 7), STORING),
    "set_many": (({"k": 1},), [case for case in STORING if "cost" not in case[0]]),
    "incr": (("k",), COUNTING),
    "decr": (("k",), COUNTING),
    "touch": (("k",), TERMS[:3]),
    "get_or_set": (("k", lambda: 1), COMPUTING),
    "memoize": ((), [case for case in COMPUTING if "tags" not in case[0]] + [
        ({"tags": 5}, TypeError, "tags=5: a list of names"),
        ({"tags": [5]}, TypeError, "tags: a tag is a str, not 5"),
        ({"ignore": 5}, TypeError, "ignore=5: a list of names"),
        ({"ignore": [5]}, TypeError, r"ignore=\[5\]: a list of names of parameters"),
        ({"deps": "name"}, TypeError, "deps='name': a list of functions"),
        ({"key": 5}, TypeError, "key=5: a function, not int"),
        ({"condition": 5}, TypeError, "condition=5: a function, not int"),
        ({"validate": 5}, TypeError, "validate=5: a function, not int"),
    ]),
}
# The same for what is given without a name.
POSITIONAL = [
    ("get", ([],), TypeError, r"a key is str, bytes, .*, not list"),
    ("set", (("k", {}), 1), TypeError, "a key is str, bytes, .*, not dict"),
    ("cas", ("k", 1, "7"), TypeError, "version='7': the version of an Entry, not str"),
    ("cas", ("k", 1, -7), ValueError, "version=-7: the version of an Entry, which is positive"),
    ("cas", ("k", 1, None), TypeError, "version=None: the version of an Entry, not NoneType"),
    ("get_many", (5,), TypeError, "keys=5: a list of keys, not int"),
    ("get_many", ("key",), TypeError, "keys='key': a list of keys, not one"),
    ("delete_many", (5,), TypeError, "keys=5: a list of keys, not int"),
    ("delete_many", (b"key",), TypeError, "keys=b'key': a list of keys, not one"),
    ("set_many", (5,), TypeError, r"set_many\(\) takes a mapping, such as a dict, not 5"),
    ("set_many", ([("k", 1)],), TypeError, r"takes a mapping, such as a dict, not \[\('k', 1\)\]; update\(\) takes pairs"),
    ("update", (1, 2), TypeError, r"update\(\) takes one mapping, or one list of pairs, and names; not 2 of them"),
    ("update", (5,), TypeError, r"update\(\) takes a mapping, or a list of pairs, not 5"),
    ("update", ([1],), TypeError, r"update\(\) takes a mapping, or a list of pairs, not \[1\]"),
    ("update", ([(1, 2, 3)],), TypeError, r"update\(\) takes a mapping, or a list of pairs"),
    ("invalidate", (5,), TypeError, "a tag is a str, not 5"),
    ("invalidate", (["tag"],), TypeError, r"a tag is a str, not \['tag'\]"),
    ("invalidate", (), TypeError, r"invalidate\(\) takes tags; clear\(\) removes everything"),
    ("delete_prefix", (5,), TypeError, "prefix=5: a str, bytes or a tuple, not int"),
    ("delete_prefix", ("",), ValueError, r"prefix='': .* clear\(\) removes everything"),
    ("scan", ("x" * 2000,), ValueError, "prefix='x+: more than 992 bytes, and of a longer key no more is kept"),
    ("touch", ("k", 0), ValueError, "ttl=0: a ttl is more than zero"),
    ("get_or_set", ("k", 5), TypeError, "factory=5: a function that computes the value, not int"),
]
MAKING = [
    ({"namespace": 5}, TypeError, "namespace=5: a name such as \"web\", not int"),
    ({"namespace": "a b"}, ValueError, "namespace='a b': a namespace is named by"),
    ({"socket": 5}, TypeError, "socket=5: the path of a daemon's socket, not int"),
    ({"socket": ""}, ValueError, "socket='': the path of a daemon's socket"),
    ({"socket": "a\0b"}, ValueError, r"socket='a\\x00b': the path of a daemon's socket"),
    ({"ttl": []}, TypeError, rf"ttl=\[\]: {SECONDS}"),
    ({"codec": 5}, ValueError, "codec=5: pickle, cloudpickle, msgpack, json, bytes"),
    ({"trust": 5}, TypeError, r"trust=5: a list of users, such as trust=\[5\]"),
    ({"trust": 1.5}, TypeError, "trust=1.5: a list of users"),
    ({"trust": "root"}, TypeError, "trust='root': a list of users"),
    ({"trust": [None]}, TypeError, "trust: a user is a name or a uid, not NoneType"),
    ({"trust": [-1]}, ValueError, "trust: -1 is no uid"),
    ({"timeout": "1"}, TypeError, "timeout='1': seconds, or None to wait for ever, not str"),
    ({"timeout": 0}, ValueError, "timeout=0: seconds, more than zero"),
    ({"on_error": True}, ValueError, "on_error=True: \"miss\" or \"raise\""),
]
# What takes nothing that could be wrong but a key, a prefix or a list, which are in the table.
WITHOUT_NAMES = {"clear", "close", "contains", "delete", "delete_many", "delete_prefix", "invalidate", "items", "keys",
                 "pop", "popitem", "scan", "stats", "sync", "update", "values"}
KINDS = [brine.Cache, brine.aio.Cache]


@pytest.fixture(params=KINDS, ids=["sync", "async"])
def call(request, folder):
    """call(method, *args, **named), awaited where need be."""
    cache = request.param(socket=folder / "nobody.sock")

    async def awaited(method, args, named):
        result = getattr(cache, method)(*args, **named)
        if hasattr(result, "__aiter__"):
            return [each async for each in result]
        return await result if inspect.isawaitable(result) else result

    def start(method, *args, **named):
        if request.param is brine.Cache:
            return getattr(cache, method)(*args, **named)
        return asyncio.run(awaited(method, args, named))
    return start


@pytest.mark.parametrize("method, args, named, kind, message", [
    (method, args, *case) for method, (args, cases) in METHODS.items() for case in cases])
def test_an_argument_that_cannot_be_one_is_named(call, method, args, named, kind, message):
    with pytest.raises(kind, match=message):
        call(method, *args, **named)


@pytest.mark.parametrize("method, args, kind, message", POSITIONAL)
def test_so_is_one_that_is_given_by_its_place(call, method, args, kind, message):
    with pytest.raises(kind, match=message):
        call(method, *args)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("named, error, message", MAKING)
def test_so_is_one_of_the_cache_itself(kind, named, error, message):
    with pytest.raises(error, match=message):
        kind(**named)


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_of_every_method_is_in_the_table(kind):
    anything = {"self", "key", "value", "default", "keys", "mapping", "factory", "prefix", "others", "named", "args", "kwargs"}
    for name in [name for name in dir(kind) if not name.startswith("_")]:
        if name in WITHOUT_NAMES:
            continue
        takes = set(inspect.signature(getattr(kind, name)).parameters) - anything
        wrong = {argument for named, *_ in METHODS[name][1] for argument in named}
        wrong |= {"version"} if name in ("cas", "memoize") else set()  # by its place; and any value is a version of code
        assert takes <= wrong, name
    assert set(inspect.signature(kind).parameters) == {argument for named, *_ in MAKING for argument in named}


def test_a_scalar_of_numpy_is_an_int_and_a_bool_is_a_truth(daemon):
    numpy = pytest.importorskip("numpy")
    with brine.Cache(socket=daemon.socket, timeout=60) as cache:
        assert cache.incr("n", numpy.int32(5)) == 5 and cache.decr("n", numpy.uint8(2)) == 3
        assert cache.incr("n", True) == 4
