"""memoize: a function's results, kept under keys made of its name, its code and its arguments."""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from ._brine import Turn
from ._code import function_digest, function_name
from ._compute import Terms, compute, current, not_kept
from ._errors import BrineError
from ._keys import CALL_FORMAT, ENCODED_MAX, TAG_CALL, EncodedKey
from ._structure import put_run, put_structure

if TYPE_CHECKING:
    from ._cache import Cache

P = ParamSpec("P")
R = TypeVar("R")

_HEAD = ENCODED_MAX - 32
_OF_METHODS = ". Of a method, self is an argument: make its class a dataclass, or let it call a memoized function"


class Memoized(Protocol[P, R]):
    """A function as memoize returns it."""

    __wrapped__: Callable[P, R]
    __name__: str

    @overload
    def __get__(self, instance: None, owner: type, /) -> Memoized[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[..., R]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> EncodedKey:
        """The key of this call, for get, delete and the rest of Cache."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forgets this call's result. Says whether one was stored. Raises Unavailable."""


class _Calls:
    """Makes the keys of one function's calls: 0xFB, the format, the name (a run), a digest of the code, and
    the values of all parameters in order, with defaults applied."""

    def __init__(self, function: types.FunctionType) -> None:
        self.signature = inspect.signature(function, follow_wrapped=False)
        parameters = self.signature.parameters.values()
        # Positional arguments need no binding where there is nothing else to bind.
        plain = all(each.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD for each in parameters)
        self.defaults = tuple(each.default for each in parameters if each.default is not each.empty)
        self.most = len(parameters) if plain else -1
        self.least = self.most - len(self.defaults)
        out = bytearray((TAG_CALL, CALL_FORMAT))
        put_run(out, function_name(function).encode())
        self.prefix = bytes(out) + function_digest(function)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EncodedKey:
        """TypeError: the arguments do not fit the function, or one has no key."""
        values: Any
        if not kwargs and self.least <= len(args) <= self.most:
            values = args + self.defaults[len(args) - self.least:]
        else:
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values = bound.arguments.values()
        out = bytearray(self.prefix)
        for value in values:
            put_structure(out, value)
        encoded = bytes(out)
        if len(encoded) >= ENCODED_MAX:
            encoded = encoded[:_HEAD] + hashlib.blake2b(encoded, digest_size=32).digest()
        return EncodedKey(encoded)

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: TypeError) -> None:
        """Returns if the arguments do not fit the function. Otherwise raises error with the argument's name."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError:
            return
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            try:
                put_structure(bytearray(), value)
            except TypeError as why:
                method = name == "self" and name == next(iter(bound.arguments))
                raise TypeError(f"argument {name!r}: {why}" + (_OF_METHODS if method else "")) from None
        raise error


def _check(function: Any) -> None:
    name = getattr(function, "__qualname__", repr(function))
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"{name}: write @{type(function).__name__} above @cache.memoize(), not below it")
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"memoize takes a function written in Python, not {name}; write a def that calls it")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is async: what it returns is known only after an await. Memoize the plain function "
                        "that computes, or use cache.get and cache.set around the await")
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{name} is a generator, whose results are consumed once. Memoize a function that returns "
                        "a list of them")


def memoized(cache: Cache, function: Any, terms: Terms) -> Any:
    _check(function)
    calls = _Calls(function)
    told = not_kept(calls.prefix, function.__qualname__)
    ask, wait_ms, lease_ms, stale = cache._turn, terms.wait_ms, terms.lease_ms, terms.stale_ms > 0

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            key = calls.key(args, kwargs)
        except TypeError as error:
            calls.explain(args, kwargs, error)
            return function(*args, **kwargs)  # which raises its own error
        try:
            answer = ask(key, current.get(), wait_ms, lease_ms, stale)
        except BrineError as error:
            told(error)
            return function(*args, **kwargs)
        if type(answer) is not Turn:
            return answer
        return compute(answer, terms, told, function, args, kwargs)

    def cache_key(*args: Any, **kwargs: Any) -> EncodedKey:
        return calls.key(args, kwargs)

    def invalidate(*args: Any, **kwargs: Any) -> bool:
        return cache.delete(calls.key(args, kwargs))

    wrapper.cache_key = cache_key  # type: ignore[attr-defined]
    wrapper.invalidate = invalidate  # type: ignore[attr-defined]
    wrapper.__brine_memoized__ = (wrapper, function)  # type: ignore[attr-defined]
    return wrapper
