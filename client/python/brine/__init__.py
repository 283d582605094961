"""Brine keeps what a program computed, for its next run and for the processes beside it.

    import brine

    cache = brine.Cache("reports")

    @cache.memoize(ttl="1d")
    def report(year): ...

Everything is stored by `brined`, this user's own daemon, which the first call starts.
"""

from ._brine import version as __version__
from ._cache import Cache
from ._errors import BrineError, BrineWarning, Conflict, Refused, Unavailable, Unpicklable
from ._keys import EncodedKey
from ._miss import MISS

__all__ = [
    "MISS",
    "BrineError",
    "BrineWarning",
    "Cache",
    "Conflict",
    "EncodedKey",
    "Refused",
    "Unavailable",
    "Unpicklable",
    "__version__",
]
