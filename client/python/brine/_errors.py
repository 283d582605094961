"""What goes wrong, by what a program can do about it; and warnings, each said once."""

from __future__ import annotations

import os
import pickle
import sys
import types
import warnings


class BrineError(Exception):
    """An error of the cache. `number` and `name` are those of PROTOCOL.md, "Errors", if it has one."""

    def __init__(self, message: str, number: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.name = name

    def __reduce__(self) -> tuple[type, tuple[str, int, str]]:
        return type(self), (str(self), self.number, self.name)


class Unavailable(BrineError):
    """The cache cannot help just now: go on as after a miss, or try again later."""


class Refused(BrineError):
    """Asking the same way again will be refused again: too large, not allowed, a mistake."""


class Conflict(BrineError):
    """What was asked for does not hold: the object exists, is absent, or has changed."""


class Unpicklable(Refused, pickle.PicklingError):
    """This value cannot be stored, because pickle cannot take it apart."""


class BrineWarning(RuntimeWarning):
    """The program goes on, but gets less from its cache than it could."""


# By enum brine_class.
KINDS: tuple[type[BrineError], ...] = (Unavailable, Refused, Conflict)

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# More distinct warnings than a program could use; a bound, since one key names a type and an error.
_SAID_MAX = 1000
_said: set[tuple[object, ...]] = set()


def warn_once(about: tuple[object, ...], message: str) -> None:
    """Warns in the name of the program's own line, once for each `about`."""
    if about in _said or len(_said) >= _SAID_MAX:
        return
    _said.add(about)
    level = 1
    frame: types.FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, BrineWarning, stacklevel=level)
