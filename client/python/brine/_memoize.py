"""memoize: a function's results, kept under keys made of its name, its code and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from ._brine import Turn
from ._compute import compute, current
from ._errors import BrineError
from ._keys import EncodedKey
from ._memo import CacheInfo, Memo, Options

if TYPE_CHECKING:
    from ._cache import Cache

P = ParamSpec("P")
R = TypeVar("R")


class Memoized(Protocol[P, R]):
    """A function as memoize returns it. Of a method, self is the first argument of all these."""

    __wrapped__: Callable[P, R]
    __name__: str

    @overload
    def __get__(self, instance: None, owner: type, /) -> Memoized[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[..., R]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> EncodedKey:
        """The key of this call, for get, delete and the rest of Cache."""

    def check(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Says whether this call's result is stored, by this version of the code."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forgets this call's result. Says whether one was stored. Raises Unavailable."""

    def cache_clear(self) -> int:
        """Forgets all results of this function, those of its other versions too, and what cache_info counted. Says
        how many there were. Raises Unavailable: some of them may then be gone."""

    def cache_info(self) -> CacheInfo:
        """What this process has counted: hits, misses, unkept."""


def _ask_valid(cache: Cache, memo: Memo, key: EncodedKey, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The stored value, which must please validate, or a Turn."""
    terms, validate = memo.options.terms, memo.options.validate
    assert validate is not None
    entry = cache.entry(key, stale=terms.stale_ms > 0)
    valid = entry is None or validate(entry, *args, **kwargs)
    if entry is not None and entry.stale is None and valid:
        return entry.value
    # Others may have replaced it meanwhile: theirs is good.
    return cache._turn(key, current.get(), terms.wait_ms, terms.lease_ms, terms.stale_ms > 0 and valid,
                       0 if entry is None or valid else entry.version)


def _forget_all(cache: Cache, memo: Memo) -> int:
    count = cache._delete_scanned(memo.calls.all_versions)
    memo.forget()
    return count


def memoized(cache: Cache, function: Any, options: Options) -> Any:
    memo = Memo(cache, function, options)
    make_key, valid, terms = memo.calls.key, options.validate, options.terms
    ask, wait_ms, lease_ms, stale = cache._turn, terms.wait_ms, terms.lease_ms, terms.stale_ms > 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            key = make_key(args, kwargs)
        except TypeError as error:
            memo.calls.explain(args, kwargs, error)
            return function(*args, **kwargs)  # which raises its own error
        try:
            if valid is None:
                answer = ask(key, current.get(), wait_ms, lease_ms, stale)
            else:
                answer = _ask_valid(cache, memo, key, args, kwargs)
        except BrineError as error:
            memo.misses += 1
            memo.not_kept(error)
            return function(*args, **kwargs)
        if type(answer) is not Turn:
            memo.hits += 1
            return answer
        memo.misses += 1
        return compute(answer, terms, memo.not_kept, function, args, kwargs, options)

    return memo.dress(
        wrapper,
        check=lambda *args, **kwargs: make_key(args, kwargs) in cache,
        invalidate=lambda *args, **kwargs: cache.delete(make_key(args, kwargs)),
        cache_clear=lambda: _forget_all(cache, memo))
