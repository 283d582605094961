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


def _text_ms(text: str) -> int:
    total, end = 0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        total += int(part[1]) * _UNITS[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise ValueError(f'ttl={text!r}: write numbers with units, such as "90s", "1h30m" or "7d" '
                         "(ms, s, m, h, d, w)")
    return total


def ttl_ms(ttl: TTL) -> int:
    """In milliseconds, rounded up."""
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float, timedelta, str)):
        raise TypeError(f"a ttl is seconds, a timedelta, a text such as \"1h30m\", or None for ever, "
                        f"not {type(ttl).__qualname__}")
    if isinstance(ttl, str):
        ms = _text_ms(ttl)
    elif isinstance(ttl, timedelta):
        ms = -(-ttl // timedelta(milliseconds=1))
    elif isinstance(ttl, float) and not math.isfinite(ttl):
        raise ValueError(f"ttl={ttl!r}: use None for ever")
    else:
        ms = math.ceil(ttl * 1000)
    if ms <= 0:
        raise ValueError(f"ttl={ttl!r}: a ttl is more than zero; delete(key) removes an object, "
                         "ttl=None keeps it for ever")
    if ms > _MAX_MS:
        raise ValueError(f"ttl={ttl!r}: that is too long; ttl=None keeps it for ever")
    return ms
