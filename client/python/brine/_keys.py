"""Keys on the way back: what a scan finds, as the objects that were used as keys."""

from __future__ import annotations

import operator
import struct
import sys
from typing import Union

from . import _brine

# A key is one of these or a tuple of keys.
Key = Union[str, bytes, int, float, bool, None, "tuple[Key, ...]", "EncodedKey"]

ENCODED_MAX = 1024  # exactly so long is a shortened key: its head and its hash
HEAD_MAX = ENCODED_MAX - 32
TAG_BYTES, TAG_INT, TAG_FLOAT, TAG_BOOL, TAG_NONE, TAG_TUPLE, TAG_CALL = range(0xF5, 0xFC)
CALL_FORMAT = 1


class EncodedKey(_brine.EncodedKey):
    """A key that is known only as the bytes that travel: of a memoized call, or one that was shortened.

    It is used like any other key. `encoded` holds the bytes.
    """

    __slots__ = ()

    @property
    def shortened(self) -> bool:
        """Whether only the head of the original key and its hash are left."""
        return len(self.encoded) == ENCODED_MAX

    @property
    def function(self) -> str | None:
        """The name of the memoized function, if this is a call's key."""
        if self.encoded[:2] != bytes((TAG_CALL, CALL_FORMAT)):
            return None
        try:
            length, start = _read_length(self.encoded, 2)
        except IndexError:
            return ""  # any program may have stored it
        return self.encoded[start:start + length].decode("utf-8", "replace")

    def __repr__(self) -> str:
        if self.function is not None:
            return f"<EncodedKey of a call of {self.function}, {self.encoded[-8:].hex()}>"
        if self.shortened:
            return f"<EncodedKey {self.encoded[:40]!r}..., shortened>"
        return f"EncodedKey({self.encoded!r})"


def _read_length(encoded: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number and where it ends. IndexError when it is cut."""
    value = shift = 0
    while True:
        byte = encoded[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _items(encoded: bytes) -> tuple[Key, ...]:
    at, items = 1, []
    while at < len(encoded):
        length, at = _read_length(encoded, at)
        if at + length > len(encoded):
            raise ValueError("a tuple's item is cut")
        items.append(_decode(encoded[at:at + length]))
        at += length
    return tuple(items)


def _decode(encoded: bytes) -> Key:
    tag = encoded[0] if encoded else 0
    if tag < TAG_BYTES:
        return encoded.decode("utf-8")
    if tag == TAG_BYTES:
        return encoded[1:]
    if tag == TAG_INT:
        return int.from_bytes(encoded[1:], "big", signed=True)
    if tag == TAG_FLOAT:
        value: float = struct.unpack(">d", encoded[1:])[0]
        return value
    if tag == TAG_BOOL and encoded[1:] in (b"\0", b"\1"):
        return encoded[1:] == b"\1"
    if tag == TAG_NONE and len(encoded) == 1:
        return None
    if tag == TAG_TUPLE:
        return _items(encoded)
    raise ValueError("not a key of this release")


def decode_key(encoded: bytes) -> Key:
    """The object that a key was made of, or an EncodedKey where that cannot be told.

    The bytes may be any program's: what does not read as this release writes it stays encoded.
    """
    if len(encoded) != ENCODED_MAX:
        try:
            key = _decode(encoded)
            if _brine.encode_key(key) == encoded:
                return key
        except (ValueError, IndexError, struct.error, RecursionError, TypeError):
            pass
    return EncodedKey(encoded)


def encode_prefix(prefix: str | bytes | tuple[Key, ...], whole: bool = True) -> bytes:
    """How the encodings of the keys begin that begin with it. whole: may it be empty, so that every key does?"""
    if not isinstance(prefix, (str, bytes, tuple)):
        raise TypeError(f"prefix={prefix!r:.80}: a str, bytes or a tuple, not {type(prefix).__qualname__}")
    if prefix == "":
        if not whole:
            raise ValueError("prefix='': an empty one is that of every key; clear() removes everything")
        return b""
    encoded = _brine.encode_key(prefix)
    if len(encoded) > HEAD_MAX:
        raise ValueError(f"prefix={prefix!r:.80}: more than {HEAD_MAX} bytes, and of a longer key no more is kept")
    return encoded


def plain_scalar(value: object) -> int | float | bool | None:
    """What key.c makes of a scalar of numpy's: Python's bool, int or float of the same value. None: it is no such
    thing, or has no such value (a date, a long double)."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return None
    if isinstance(value, numpy.bool_):
        return bool(value)
    if isinstance(value, numpy.integer) and not isinstance(value, numpy.timedelta64):
        return operator.index(value)
    if isinstance(value, (numpy.float16, numpy.float32, numpy.float64)):
        return float(value)
    return None
