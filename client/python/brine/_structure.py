"""Arguments by content: equal objects give equal bytes, in every process and on every run.

Format 1, which is part of each memoized key (change CALL_FORMAT with it). An encoding is a tag and what
follows; every one says itself where it ends. A *run* is a length (LEB128) and the bytes, or where they
are more than RUN_PLAIN_MAX their BLAKE2b-256. Sets and dicts are sorted by the encodings of their items, which
order totally whatever the items are. Never pickle's bytes, which differ between equal objects; never repr or
hash, which differ between processes.
"""

from __future__ import annotations

import enum
import hashlib
import os
import struct
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # an argument of such a type comes with its module: nobody else pays for it
    import datetime
    import decimal
    import pathlib
    import types
    import uuid

RUN_PLAIN_MAX = 1024
_DIGEST = 32
_MAINS = ("__main__", "__mp_main__")


def put_length(out: bytearray, length: int) -> None:
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)


def put_run(out: bytearray, data: bytes | memoryview) -> None:
    length = len(data)
    put_length(out, length)
    out += data if length <= RUN_PLAIN_MAX else hashlib.blake2b(data, digest_size=_DIGEST).digest()


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


def _put_class(out: bytearray, cls: type) -> None:
    module = sys.modules.get(cls.__module__)
    name = module_name(cls.__module__, vars(module) if module else {})
    put_run(out, f"{name}:{cls.__qualname__}".encode())


def _put_items(out: bytearray, tag: bytes, items: Iterable[Any]) -> None:
    encoded = list(items)
    out += tag
    put_length(out, len(encoded))
    for item in encoded:
        put_structure(out, item)


def _put_sorted(out: bytearray, tag: bytes, encodings: list[bytes]) -> None:
    out += tag
    put_length(out, len(encodings))
    for encoding in sorted(encodings):
        out += encoding


def encode_structure(*values: Any) -> bytes:
    out = bytearray()
    for value in values:
        put_structure(out, value)
    return bytes(out)


# ---- exact types

def _put_int(out: bytearray, value: int) -> None:
    out += b"i"
    put_run(out, value.to_bytes((value ^ value >> value.bit_length() + 1).bit_length() // 8 + 1, "big",
                                signed=True))


def _put_float(out: bytearray, value: float) -> None:
    out += b"f" + struct.pack(">d", value if value == value else float("nan"))


def _put_complex(out: bytearray, value: complex) -> None:
    out += b"c"
    _put_float(out, value.real)
    _put_float(out, value.imag)


def _put_text(out: bytearray, value: str) -> None:
    out += b"s"
    put_run(out, value.encode("utf-8", "surrogatepass"))


def _put_bytes(out: bytearray, value: bytes) -> None:
    out += b"b"
    put_run(out, value)


def _put_dict(out: bytearray, value: dict[Any, Any]) -> None:
    _put_sorted(out, b"{", [encode_structure(*pair) for pair in value.items()])


def _put_timezone(out: bytearray, value: datetime.tzinfo | None) -> None:
    if value is None:
        out += b"-"
    else:
        put_structure(out, value)


def _put_fixed_zone(out: bytearray, value: datetime.timezone) -> None:
    out += b"o"
    put_structure(out, value.utcoffset(None))
    _put_text(out, value.tzname(None))


def _put_named_zone(out: bytearray, value: Any) -> None:
    if value.key is None:  # made from a file: its rules cannot be told
        raise _no_structure(value)
    out += b"z"
    _put_text(out, value.key)


def _put_datetime(out: bytearray, value: datetime.datetime) -> None:
    out += b"t"
    _put_text(out, value.replace(tzinfo=None).isoformat())
    out.append(value.fold)
    _put_timezone(out, value.tzinfo)


def _put_time(out: bytearray, value: datetime.time) -> None:
    out += b"h"
    _put_text(out, value.replace(tzinfo=None).isoformat())
    out.append(value.fold)
    _put_timezone(out, value.tzinfo)


def _put_date(out: bytearray, value: datetime.date) -> None:
    out += b"d"
    _put_text(out, value.isoformat())


def _put_timedelta(out: bytearray, value: datetime.timedelta) -> None:
    out += b"l"
    _put_int(out, (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds)


def _put_decimal(out: bytearray, value: decimal.Decimal) -> None:
    out += b"x"
    _put_text(out, str(value))


def _put_uuid(out: bytearray, value: uuid.UUID) -> None:
    out += b"u" + value.bytes


def _put_path(out: bytearray, value: pathlib.PurePath) -> None:
    out += b"p"
    _put_text(out, type(value).__name__)
    put_run(out, os.fsencode(value))


_EXACT: dict[type, Callable[[bytearray, Any], None]] = {
    type(None): lambda out, value: out.extend(b"N"),
    bool: lambda out, value: out.extend(b"T" if value else b"F"),
    int: _put_int,
    float: _put_float,
    complex: _put_complex,
    str: _put_text,
    bytes: _put_bytes,
    tuple: lambda out, value: _put_items(out, b"(", value),
    list: lambda out, value: _put_items(out, b"[", value),
    dict: _put_dict,
    set: lambda out, value: _put_sorted(out, b"<", [encode_structure(item) for item in value]),
    frozenset: lambda out, value: _put_sorted(out, b">", [encode_structure(item) for item in value]),
}

# Known by where they are, so that their modules need not be imported: they move to _EXACT when one is met.
_ELSEWHERE: dict[str, dict[str, Callable[[bytearray, Any], None]]] = {
    "datetime": {"datetime": _put_datetime, "date": _put_date, "time": _put_time, "timedelta": _put_timedelta,
                 "timezone": _put_fixed_zone},
    "zoneinfo": {"ZoneInfo": _put_named_zone},
    "decimal": {"Decimal": _put_decimal},
    "uuid": {"UUID": _put_uuid},
    "pathlib": {"PosixPath": _put_path, "PurePosixPath": _put_path, "PureWindowsPath": _put_path},
}


def _find(cls: type) -> Callable[[bytearray, Any], None] | None:
    for module, classes in _ELSEWHERE.items():
        for name, put in classes.items():
            if getattr(sys.modules.get(module), name, None) is cls:
                _EXACT[cls] = put
                return put
    return None


# ---- kinds of types

def _put_enum(out: bytearray, value: enum.Enum) -> None:
    out += b"E"
    _put_class(out, type(value))
    # A combination of flags may have no name.
    put_structure(out, value.name if value.name is not None else value.value)


def _put_dataclass(out: bytearray, value: Any) -> None:
    fields = sys.modules["dataclasses"].fields(value)
    out += b"D"
    _put_class(out, type(value))
    put_length(out, len(fields))
    for field in fields:
        _put_text(out, field.name)
        put_structure(out, getattr(value, field.name))


def _put_named_tuple(out: bytearray, value: tuple[Any, ...]) -> None:
    out += b"n"
    _put_class(out, type(value))
    _put_items(out, b"(", value)


def _put_array(out: bytearray, value: Any, numpy: types.ModuleType) -> None:
    if value.dtype.hasobject or value.dtype.names is not None:
        raise TypeError(f"an array of dtype {value.dtype} has no key by content; pass its columns, or lists")
    out += b"a"
    _put_text(out, value.dtype.str)
    _put_items(out, b"(", map(int, value.shape))
    flat = numpy.ascontiguousarray(value).reshape(-1)
    put_run(out, memoryview(flat.view(numpy.uint8)) if flat.nbytes else b"")


def _put_other(out: bytearray, value: Any) -> None:
    cls = type(value)
    numpy = sys.modules.get("numpy")
    if isinstance(value, enum.Enum):
        _put_enum(out, value)
    # A class that only inherits from a dataclass may hold more than its fields.
    elif "__dataclass_fields__" in vars(cls):
        _put_dataclass(out, value)
    elif isinstance(value, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        _put_named_tuple(out, value)
    elif numpy is not None and cls is numpy.ndarray:
        _put_array(out, value, numpy)
    elif numpy is not None and isinstance(value, numpy.generic):
        out += b"g"
        _put_array(out, numpy.asarray(value), numpy)
    else:
        raise _no_structure(value)


def _no_structure(value: Any) -> TypeError:
    name = type(value).__qualname__
    plain = next((base for base in (str, bytes, int, float, dict, list, set, tuple) if isinstance(value, base)),
                 None)
    way = (f"pass {plain.__name__}(...) of it" if plain is not None else
           "pass the parts that matter (numbers, texts, tuples, a dataclass)")
    return TypeError(f"memoize has no key by content for an object of type {name}: {way}, or memoize a smaller function")


def put_structure(out: bytearray, value: Any) -> None:
    put = _EXACT.get(type(value)) or _find(type(value))
    try:
        if put is not None:
            put(out, value)
        else:
            _put_other(out, value)
    except RecursionError:
        raise TypeError(f"memoize has no key by content for this {type(value).__qualname__}: it contains "
                        "itself, or is nested too deeply") from None
