"""One stored object, with what the daemon knows of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._codecs import codec_name

_NEVER = 2**64 - 1  # brine.h
_NOBODY = 2**32 - 1


class Entry(NamedTuple):
    """What Cache.entry returns. Times are seconds."""

    value: Any
    version: int
    """Another one after each change: for cas."""
    size: int
    """Bytes, as stored."""
    age: float
    """Since it was stored."""
    ttl: float | None
    """What is left; None: for ever."""
    stale: float | None
    """Since it expired; None: it is fresh."""
    cost: float | None
    """What computing it took; None: not said."""
    codec: str
    """As what it is stored: "bytes", "text" or "integer", or one of Cache's codecs."""
    writer: int | None
    """The uid that stored it."""


def entry_of(raw: tuple[Any, ...]) -> Entry:
    value, version, size, age_ms, left_ms, stale_ms, cost_us, kind, codec, writer = raw
    number = 6 if kind == 1 else codec & 0xFF
    return Entry(
        value, version, size, age_ms / 1000,
        None if left_ms == _NEVER else left_ms / 1000,
        stale_ms / 1000 if stale_ms else None,
        cost_us / 1_000_000 if cost_us else None,
        codec_name(number),
        None if writer == _NOBODY else writer)
