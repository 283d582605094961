"""Brine keeps what a program computed, for its next run and for the processes beside it.

    import brine

    cache = brine.Cache("reports")

    @cache.memoize(ttl="1d")
    def report(year): ...

Everything is stored by `brined`, this user's own daemon, which the first call starts.
"""

import importlib as _importlib
import sys as _sys
import types as _types

# Before anything that an older Python fails to load, with an error that names no reason.
if _sys.version_info < (3, 11):
    raise ImportError("brine needs Python 3.11 or later; this is Python %d.%d, %s"
                      % (_sys.version_info[0], _sys.version_info[1], _sys.executable))

from ._brine import version as __version__
from ._cache import Cache
from ._entry import Entry
from ._errors import BrineError, BrineWarning, Conflict, Refused, Unavailable, Unpicklable
from ._keys import EncodedKey
from ._miss import MISS
from ._registry import register_key


def __getattr__(name: str) -> _types.ModuleType:
    if name != "aio":
        # With both, Python asks: did you mean ...?
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=_sys.modules[__name__])
    return _importlib.import_module(".aio", __name__)  # with asyncio, which not everybody wants to wait for


# Tracebacks name what a program writes into its except clause.
for _kind in (Entry, BrineError, BrineWarning, Conflict, Refused, Unavailable, Unpicklable):
    _kind.__module__ = __name__

__all__ = [
    "MISS",
    "BrineError",
    "BrineWarning",
    "Cache",
    "Conflict",
    "EncodedKey",
    "Entry",
    "Refused",
    "Unavailable",
    "Unpicklable",
    "__version__",
    "register_key",
]
