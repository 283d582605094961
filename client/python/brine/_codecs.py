"""How values are written: what a cache's codec= names. Bytes, texts and ints of 64 bits need none; every cache
stores them as they are."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

PROTOCOL: Final = 5
"""Of pickle: the latest that every Python takes which Brine runs on."""

CodecName = Literal["pickle", "cloudpickle", "msgpack", "json", "bytes"]

# PROTOCOL.md, "Values".
NUMBERS: Final = {"bytes": 0, "pickle": 1, "text": 2, "msgpack": 3, "json": 4, "cloudpickle": 5, "integer": 6}
NAMES: Final = {number: name for name, number in NUMBERS.items()}
_NEEDS: Final = {"cloudpickle": ("cloudpickle", "python3-cloudpickle"), "msgpack": ("msgpack", "python3-msgpack")}


class Codec(NamedTuple):
    """What _brine.Client takes."""

    number: int
    dumps: Callable[..., bytes]
    protocol: int | None
    """The second argument of dumps; None: it takes none."""
    loads: Callable[[Any], Any]
    dumps_large: Callable[[object, int], memoryview] | None = None
    """Dumps what is expected to come to about so many bytes, a megabyte or more; None: dumps does it."""

    @property
    def name(self) -> str:
        return codec_name(self.number)


def codec_name(number: int) -> str:
    """As people write it; the 24 bits above the id are not shown."""
    return NAMES.get(number & 0xFF, f"codec {number & 0xFF}")


def codec_named(name: str) -> Codec:
    """Raises ValueError for a name that there is not, ModuleNotFoundError where its module is not installed."""
    make = _MAKERS.get(name) if isinstance(name, str) else None
    if make is None:
        raise ValueError(f"codec={name!r}: {', '.join(_MAKERS)}")
    try:
        return make()
    except ModuleNotFoundError as error:
        module, package = _NEEDS.get(name, ("", ""))
        if error.name != module:
            raise
        raise ModuleNotFoundError(
            f'codec="{name}" needs the module {module}, which this Python does not have: '
            f"apt install {package}, or pip install {module}", name=module) from None


def _of_this_python(name: str) -> int:
    return NUMBERS[name] | PROTOCOL << 8 | sys.version_info[0] << 16 | sys.version_info[1] << 24


def _pickle() -> Codec:
    return Codec(_of_this_python("pickle"), pickle.dumps, PROTOCOL, pickle.loads, _dump_large)


def _dump_large(value: object, expected: int) -> memoryview:
    """pickle.dumps moves its result to fresh memory as it grows, at a page fault for each 4 KiB, which takes longer than
    the copying. A pickle that is written to a file hands large buffers over as they are."""
    from brine._pages import Pages

    pages = Pages(expected)
    pickle.Pickler(pages, PROTOCOL).dump(value)
    return pages.written()


def _cloudpickle() -> Codec:
    import cloudpickle  # type: ignore[import]

    return Codec(_of_this_python("cloudpickle"), cloudpickle.dumps, PROTOCOL, cloudpickle.loads)


# ---- without pickle: what would come back as something else is not stored

_JSON_CHANGES: Final = ("JSON would give it back changed: a tuple becomes a list, a key a str, and an object of a derived "
                        "class one of its base")


def _msgpack() -> Codec:
    import msgpack  # type: ignore[import]

    def loads(memory: Any) -> Any:
        return msgpack.unpackb(memory, raw=False, strict_map_key=False)

    def dumps(value: object) -> bytes:
        # Strict: tuples and derived classes are refused.
        dumped: bytes = msgpack.packb(value, use_bin_type=True, strict_types=True)
        return dumped

    return Codec(NUMBERS["msgpack"], dumps, None, loads)


def _json() -> Codec:
    import json

    # What json writes for an infinity or a NaN is not JSON.
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def loads(memory: Any) -> Any:
        return json.loads(str(memory, "utf-8"))

    def check(value: Any) -> None:
        kind = type(value)
        if kind is dict:
            if any(type(key) is not str for key in value):
                raise TypeError(_JSON_CHANGES)
            for item in value.values():
                check(item)
        elif kind is list:
            for item in value:
                check(item)
        elif value is not None and kind not in (str, int, float, bool):
            raise TypeError(_JSON_CHANGES)

    def dumps(value: object) -> bytes:
        text = encoder.encode(value)  # first, because it also tells what contains itself
        check(value)
        return text.encode()

    return Codec(NUMBERS["json"], dumps, None, loads)


def _bytes() -> Codec:
    def dumps(value: object) -> bytes:
        raise TypeError('with codec="bytes" only bytes, str and int are stored')

    def loads(memory: Any) -> Any:
        raise TypeError("nothing but bytes, str and int is loaded")

    return Codec(NUMBERS["bytes"], dumps, None, loads)


_MAKERS: Final[dict[str, Callable[[], Codec]]] = {
    "pickle": _pickle, "cloudpickle": _cloudpickle, "msgpack": _msgpack, "json": _json, "bytes": _bytes}
