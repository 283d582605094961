"""One memoized function, as its user wants it: what memoize and its sibling in brine.aio have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ._brine import encode_tags
from ._calls import Calls
from ._code import inner_function
from ._compute import Terms, not_kept
from ._handle import Handle


class CacheInfo(NamedTuple):
    """What this process has counted of one memoized function."""

    hits: int
    """Calls that were answered with a stored result, or with one that somebody else was computing."""
    misses: int
    """Calls that this process computed."""
    unkept: int
    """Of these, how many results were not stored: condition said so, there was no daemon, pickle could not."""


class Options:
    """What a user says to memoize about one function; mistakes raise here, where the function is decorated."""

    __slots__ = ("terms", "tags", "ignore", "key", "version", "deps", "condition", "validate")

    def __init__(self, terms: Terms, *, tags: Iterable[str] | Callable[..., Iterable[str]] = (),
                 ignore: Iterable[str] = (), key: Callable[..., Any] | None = None, version: Any = None,
                 deps: Iterable[Any] = (), condition: Callable[[Any], Any] | None = None,
                 validate: Callable[..., Any] | None = None) -> None:
        """terms: without tags. The rest is as Cache.memoize takes it."""
        for name, given in (("key", key), ("condition", condition), ("validate", validate)):
            if given is not None and not callable(given):
                raise TypeError(f"{name}={given!r}: a function, not {type(given).__qualname__}")
        for name, names in (("ignore", ignore), ("tags", tags)):
            if isinstance(names, str) or not (isinstance(names, Iterable) or name == "tags" and callable(names)):
                raise TypeError(f"{name}={names!r}: a list of names, such as {name}=[{str(names)!r}]")
        ignore = tuple(ignore)
        if not all(isinstance(name, str) for name in ignore):
            raise TypeError(f"ignore={list(ignore)!r:.80}: a list of names of parameters")
        if isinstance(deps, str) or not isinstance(deps, Iterable):
            raise TypeError(f"deps={deps!r}: a list of functions, of values, and of names of globals, such as deps=[{deps!r}]")
        self.ignore = ignore
        if key is not None and self.ignore:
            raise TypeError("key= makes the whole key: leave out what ignore= names in it")
        self.terms, self.key, self.version, self.deps = terms, key, version, tuple(deps)
        self.condition, self.validate = condition, validate
        self.tags: Callable[..., Iterable[str]] | None = None
        if callable(tags):
            self.tags = tags
        elif tags:
            terms.tags = encode_tags(tags)

    def tags_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The tags of one call's result, encoded."""
        return self.terms.tags if self.tags is None else encode_tags(self.tags(*args, **kwargs))


def is_function(given: Any) -> bool:
    """Does memoize decorate it, without arguments? What stands below the wrong decorator is refused by its name."""
    return callable(given) or isinstance(given, (classmethod, property))


def check_function(function: Any, asynchronous: bool) -> None:
    """Raises TypeError for what cannot be memoized, and says what can. asynchronous: for brine.aio."""
    name = getattr(getattr(function, "fget", function), "__qualname__", repr(function))
    if isinstance(function, (staticmethod, classmethod, property)):
        raise TypeError(f"{name}: write @{type(function).__name__} above @cache.memoize(), not below it")
    inner = inner_function(function)
    if inner is None:
        raise TypeError(f"memoize takes a function written in Python, not {name}; write a def that calls it")
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"{name} is a generator, whose results are consumed once. Memoize a function that returns "
                        "a list of them")
    if inspect.iscoroutinefunction(inner) and not asynchronous:
        raise TypeError(f"{name} is async: what it returns is known only after an await. Memoize it with a "
                        "brine.aio.Cache")
    if asynchronous and not inspect.iscoroutinefunction(inner):
        raise TypeError(f"{name} is not async: memoize it with a brine.Cache, or make it an async def")


class Memo:
    """One memoized function: what a wrapper, sync or async, asks, and what it has counted."""

    def __init__(self, cache: Handle, function: Callable[..., Any], options: Options, *, asynchronous: bool = False) -> None:
        """TypeError: it cannot be memoized."""
        check_function(function, asynchronous)
        self.function, self.options = function, options
        self.calls = Calls(function, options)
        self.key = self.calls.key
        self.hits = self.misses = self.unkept = 0
        inner = inner_function(function)
        self._told = not_kept(cache, self.calls.prefix, inner.__qualname__ if inner else "")

    def not_kept(self, error: BaseException | None = None) -> None:
        """Counts a result that was not stored. error: why, where nobody was told; it may be raised."""
        self.unkept += 1
        if error is not None:
            self._told(error)

    def info(self) -> CacheInfo:
        return CacheInfo(self.hits, self.misses, self.unkept)

    def forget(self) -> None:
        """Begins to count anew."""
        self.hits = self.misses = self.unkept = 0

    def dress(self, wrapper: Any, **methods: Callable[..., Any]) -> Any:
        """Gives wrapper, a function, what a memoized one has: looks, cache_key, cache_info, and methods."""
        inner = inner_function(self.function)
        assert inner is not None
        functools.update_wrapper(wrapper, inner)
        wrapper.__wrapped__ = self.function
        wrapper.cache_key = lambda *args, **kwargs: self.key(args, kwargs)
        wrapper.cache_info = self.info
        for name, method in methods.items():
            setattr(wrapper, name, method)
        wrapper.__brine_memoized__ = (wrapper, self.function)
        return wrapper
