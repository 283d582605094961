"""What people tell Brine about their classes: what makes two objects the same argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

Encode = Callable[[Any], bytes]

# These are encoded before anybody is asked.
BUILT_IN: Final = (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset)

WAYS_MAX: Final = 4096
ways: Final[dict[type, Encode]] = {}
"""How objects of the classes met so far are encoded: found by _structure, at most WAYS_MAX of them."""

_registered: Final[dict[type, Callable[[Any], object]]] = {}


def register_key(cls: type[T], function: Callable[[T], object]) -> None:
    """Tells memoize what makes two objects of a class the same argument: what function(object) returns.

        brine.register_key(torch.Tensor, lambda tensor: tensor.detach().cpu().numpy())

    That may be anything that has a key itself: numbers, texts, tuples of them, arrays. It holds for the classes derived
    from this one, too, each of which counts as one of its own. For a class of your own write a method __brine_key__(self)
    instead, which returns the same.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_key({cls!r}, ...): a class, not {type(cls).__qualname__}")
    if cls in BUILT_IN or cls is object:
        raise ValueError(f"register_key({cls.__name__}, ...): only classes that are not Python's own elementary ones")
    if not callable(function):
        raise TypeError(f"register_key({cls.__name__}, {function!r}): a function, not {type(function).__qualname__}")
    _registered[cls] = function
    ways.clear()


def registered(cls: type) -> Callable[[Any], object] | None:
    """The function registered for a class, or for the nearest one that it derives from."""
    return next((_registered[base] for base in cls.__mro__ if base in _registered), None)
