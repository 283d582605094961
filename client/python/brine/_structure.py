"""Arguments by content: equal objects give equal bytes, in every process and on every run.

The encoding is PROTOCOL.md's, "Memoized calls", and part of each memoized key: change CALL_FORMAT with it. What is
exactly None, a number, a text, bytes, a tuple, list, dict or set is encoded in C (structure.c), and so are the parts of
everything else; here is what else there is, from those with a way of their own to those that copy and pickle can take
apart. Never pickle's bytes, which differ between equal objects; never repr or hash, which differ between processes.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import os
import sys
import types
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ._brine import encode_run, encode_structure
from ._registry import WAYS_MAX, Encode, registered, ways

if TYPE_CHECKING:  # an argument of such a type comes with its module: nobody else pays for it
    import datetime
    import decimal
    import pathlib
    import uuid

_MAINS = ("__main__", "__mp_main__")


def encode_length(length: int) -> bytes:
    out = bytearray()
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def module_name(module: str, names: dict[str, Any]) -> str:
    """A module's name that holds in other processes: __main__ is told by how it was started, since every
    script's is called so. names: its globals."""
    if module not in _MAINS:
        return module
    spec = names.get("__spec__")
    if spec is not None and spec.name not in _MAINS:
        return str(spec.name)
    file = names.get("__file__")
    return f"__main__ of {os.path.realpath(file)}" if file else "__main__"


def encode_name(value: Any) -> bytes:
    """A class, or a function, by where it is: a run."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        raise no_structure(value)
    loaded = sys.modules.get(module)
    name = module_name(module, vars(loaded) if loaded else {})
    return encode_run(f"{name}:{value.__qualname__}".encode("utf-8", "surrogatepass"))


def no_structure(value: Any, why: str = "") -> TypeError:
    cls = type(value)
    way = (f"give its class a __brine_key__ method that returns what tells its objects apart, or tell Brine about the class "
           f"with brine.register_key({cls.__name__}, function), or pass the parts that matter")
    return TypeError(f"memoize has no key by content for an object of type {cls.__qualname__}{why}: {way}")


# ---- exact types of the standard library


def _int(value: int) -> bytes:  # of more than 64 bits
    length = (~value if value < 0 else value).bit_length() // 8 + 1
    return b"i" + encode_run(value.to_bytes(length, "big", signed=True))


def _timezone(value: datetime.tzinfo | None) -> bytes:
    return b"-" if value is None else encode_structure(value)


def _fixed_zone(value: datetime.timezone) -> bytes:
    return b"o" + encode_structure(value.utcoffset(None), value.tzname(None))


def _named_zone(value: Any) -> bytes:
    if value.key is None:
        raise no_structure(value, ", made from a file, whose rules cannot be told")
    return b"z" + encode_structure(value.key)


def _datetime(value: datetime.datetime) -> bytes:
    return (b"t" + encode_structure(value.replace(tzinfo=None).isoformat()) + bytes((value.fold,))
            + _timezone(value.tzinfo))


def _time(value: datetime.time) -> bytes:
    return (b"h" + encode_structure(value.replace(tzinfo=None).isoformat()) + bytes((value.fold,))
            + _timezone(value.tzinfo))


def _date(value: datetime.date) -> bytes:
    return b"d" + encode_structure(value.isoformat())


def _timedelta(value: datetime.timedelta) -> bytes:
    return b"l" + encode_structure((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds)


def _decimal(value: decimal.Decimal) -> bytes:
    return b"x" + encode_structure(str(value))


def _uuid(value: uuid.UUID) -> bytes:
    return b"u" + value.bytes


def _path(value: pathlib.PurePath) -> bytes:
    return b"p" + encode_structure(type(value).__name__) + encode_run(os.fsencode(value))


def _bytearray(value: bytearray) -> bytes:
    return b"B" + encode_run(value)


def _pickle_buffer(value: Any) -> bytes:  # met inside of what __reduce_ex__(5) returns
    return b"U" + encode_run(value.raw())


def _ordered(value: OrderedDict[Any, Any]) -> bytes:  # its order is what makes it one
    return b"O" + encode_structure(list(value.items()))


def _partial(value: functools.partial[Any]) -> bytes:
    return b"P" + encode_structure(value.func, value.args, value.keywords, vars(value))


def _method(value: types.MethodType) -> bytes:
    return b"M" + encode_structure(value.__self__, value.__func__)


def _class(value: type) -> bytes:
    return b"Y" + encode_name(value)


def _module(value: types.ModuleType) -> bytes:
    return b"m" + encode_structure(value.__name__)


_CachedFunction = type(functools.lru_cache(None)(len))


def _cached_function(value: Any) -> bytes:
    return b"A" + encode_structure(value.__wrapped__)


def _object(value: object) -> bytes:  # one that is equal to nothing but itself
    raise no_structure(value)


_EXACT: dict[type, Encode] = {
    int: _int,
    bytearray: _bytearray,
    OrderedDict: _ordered,
    functools.partial: _partial,
    types.MethodType: _method,
    types.ModuleType: _module,
    _CachedFunction: _cached_function,
    object: _object,
}

# Known by where they are, so that their modules need not be imported.
_ELSEWHERE: dict[tuple[str, str], Encode] = {
    ("datetime", "datetime"): _datetime,
    ("datetime", "date"): _date,
    ("datetime", "time"): _time,
    ("datetime", "timedelta"): _timedelta,
    ("datetime", "timezone"): _fixed_zone,
    ("zoneinfo", "ZoneInfo"): _named_zone,
    ("decimal", "Decimal"): _decimal,
    ("uuid", "UUID"): _uuid,
    ("pathlib", "PosixPath"): _path,
    ("pathlib", "PurePosixPath"): _path,
    ("pathlib", "PureWindowsPath"): _path,
    ("pathlib", "WindowsPath"): _path,
    ("pickle", "PickleBuffer"): _pickle_buffer,
}


# ---- kinds of types


def _enum(value: enum.Enum) -> bytes:
    # A combination of flags may have no name.
    return b"E" + encode_name(type(value)) + encode_structure(value.name if value.name is not None else value.value)


def _dataclass(value: Any) -> bytes:
    fields = sys.modules["dataclasses"].fields(value)
    parts = [b"D", encode_name(type(value)), encode_length(len(fields))]
    for field in fields:
        parts.append(encode_structure(field.name, getattr(value, field.name)))
    return b"".join(parts)


def _named_tuple(value: tuple[Any, ...]) -> bytes:
    return b"n" + encode_name(type(value)) + encode_structure(tuple(value))


def _own_key(value: Any) -> bytes:
    return b"K" + encode_name(type(value)) + encode_structure(value.__brine_key__())


def _registered_key(value: Any) -> bytes:
    function = registered(type(value))
    assert function is not None
    return b"K" + encode_name(type(value)) + encode_structure(function(value))


# ---- everything else, as copy and pickle take it apart


def _callable_name(value: Any) -> bytes:
    """What puts an object together again, by name."""
    if isinstance(value, (type, types.FunctionType)):
        return encode_name(value)
    if isinstance(value, types.BuiltinFunctionType) and (value.__self__ is None or isinstance(value.__self__, types.ModuleType)):
        return encode_name(value)
    return encode_structure(value)


def _made_of(value: Any) -> Any:
    own = copyreg.dispatch_table.get(type(value))
    try:
        return value.__reduce_ex__(5) if own is None else own(value)
    except RecursionError:
        raise
    except Exception as error:
        raise no_structure(value, f" ({error})") from error


def _reduced(value: Any) -> bytes:
    made_of = _made_of(value)
    if isinstance(made_of, str):  # a global of that name
        module = getattr(value, "__module__", None) or type(value).__module__
        return b"G" + encode_structure(module, made_of)
    function, arguments, state, items, pairs, setter = (*made_of, None, None, None, None)[:6]
    if function is getattr(copyreg, "__newobj__"):
        function, *arguments = arguments
        parts = [b"R", encode_name(function), encode_structure(tuple(arguments))]
    else:
        parts = [b"Q", _callable_name(function), encode_structure(tuple(arguments))]
    pairs = () if pairs is None else list(pairs)
    parts.append(encode_structure(
        state, [] if items is None else list(items), pairs if isinstance(value, OrderedDict) else dict(pairs), setter))
    return b"".join(parts)


# ---- which way it is


def _elsewhere(cls: type) -> Encode | None:
    for (module, name), encode in _ELSEWHERE.items():
        if getattr(sys.modules.get(module), name, None) is cls:
            return encode
    return None


def _of_libraries(cls: type) -> Encode | None:
    """Arrays and frames: of libraries that are imported already if cls is theirs."""
    if "numpy" in sys.modules:
        from ._arrays import array_way
        way = array_way(cls)
        if way is not None:
            return way
    if "pandas" in sys.modules:
        from ._frames import frame_way
        return frame_way(cls)
    return None


def _way(cls: type) -> Encode:
    """How objects of this class are encoded."""
    if registered(cls) is not None:
        return _registered_key
    if hasattr(cls, "__brine_key__"):
        return _own_key
    exact = _EXACT.get(cls) or _elsewhere(cls)
    if exact is not None:
        return exact
    if issubclass(cls, enum.Enum):
        return _enum
    # A class that only inherits from a dataclass may hold more than its fields.
    if "__dataclass_fields__" in vars(cls):
        return _dataclass
    # And so may one that derives from a named tuple, without __slots__.
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple) and not cls.__dictoffset__:
        return _named_tuple
    if issubclass(cls, type):
        return _class
    if cls is types.FunctionType:
        from ._code import encode_function
        return encode_function
    return _of_libraries(cls) or _reduced


def encode_other(value: Any) -> bytes:
    """What structure.c asks about all that it does not know."""
    cls = type(value)
    encode = ways.get(cls)
    if encode is None:
        encode = _way(cls)
        if len(ways) < WAYS_MAX:
            ways[cls] = encode
    return encode(value)
