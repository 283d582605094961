"""Times to live: seconds, timedelta, or text such as "1h30m"; never zero, never negative."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Union

TTL = Union[int, float, timedelta, str]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+)(ms|[smhdw])")
# The largest that the protocol carries, less the value that means "never".
_MAX_MS = 2**63 - 1


def _text_ms(text: str, what: str) -> int:
    total, end = 0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        total += int(part[1]) * _UNITS[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise ValueError(f'{what}={text!r}: write numbers with units, such as "90s", "1h30m" or "7d" '
                         "(ms, s, m, h, d, w)")
    return total


def ttl_ms(ttl: TTL, what: str = "ttl") -> int:
    """In milliseconds, rounded up. what: the argument's name, for errors."""
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float, timedelta, str)):
        none = "None for ever" if what == "ttl" else "None"
        raise TypeError(f'{what}={ttl!r:.80}: seconds, a timedelta, a text such as "1h30m", or {none}, '
                        f"not {type(ttl).__qualname__}")
    if isinstance(ttl, str):
        ms = _text_ms(ttl, what)
    elif isinstance(ttl, timedelta):
        ms = -(-ttl // timedelta(milliseconds=1))
    elif isinstance(ttl, float) and not math.isfinite(ttl):
        raise ValueError(f"{what}={ttl!r}: use None for ever" if what == "ttl" else f"{what}={ttl!r}: too long")
    else:
        ms = math.ceil(ttl * 1000)
    if ms <= 0 and what != "ttl":
        raise ValueError(f"{what}={ttl!r}: {'zero or more' if what == 'wait' else 'more than zero'}, or None")
    if ms <= 0:
        raise ValueError(f"ttl={ttl!r}: a ttl is more than zero; delete(key) removes an object, "
                         "ttl=None keeps it for ever")
    if ms > _MAX_MS:
        raise ValueError(f"{what}={ttl!r}: that is too long; None is without a limit")
    return ms
