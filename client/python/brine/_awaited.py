"""One computes, the others wait, on an event loop: get_or_set and memoize of brine.aio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import isawaitable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar, overload

from ._brine import Turn
from ._compute import Terms, current, terms_of, told_of
from ._errors import BrineError
from ._keys import EncodedKey
from ._memo import CacheInfo, Memo, Options

if TYPE_CHECKING:
    from ._brine import Request
    from ._keys import Key
    from .aio import Cache

P = ParamSpec("P")
R = TypeVar("R")

# A stored value that cannot be loaded is asked for again without it, so often.
_LOADS_MAX: Final = 4
_OLD_TOKEN: Final = -67  # errors.def


async def take_turn(cache: Cache, key: Key, terms: Terms, *, stale: bool, not_version: int = 0) -> Any:
    """What is stored under key, or a Turn to compute it."""
    request = cache._ask_turn(key, current.get(), terms.lease_ms, stale, not_version)
    link, answer = cache._link(), None
    for tries in range(1, _LOADS_MAX + 1):
        await link.insist_on_turn(request, terms.wait_ms)
        answer = request.turn(tries == _LOADS_MAX)
        if answer is not request:
            break
    return answer


async def compute(cache: Cache, turn: Turn, terms: Terms, unkept: Callable[[BaseException | None], None],
                  function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
                  options: Options | None = None) -> Any:
    """Returns what function returns, or what awaiting that gives; or raises what either raises. unkept: told when the
    result is not kept, and why if nobody else was told; what it raises is raised. options: of a memoized function."""
    link, last = cache._link(), None
    link.hold(turn)
    try:
        tags = terms.tags if options is None else options.tags_of(args, kwargs)
        outer = current.get()
        current.set(turn)
        started = perf_counter_ns()
        try:
            value = function(*args, **kwargs)
            if isawaitable(value):
                value = await value
        finally:
            current.set(outer)  # not reset(): a coroutine may be closed in another context
        cost_us = max(1, (perf_counter_ns() - started) // 1000)
        wanted = options is None or options.condition is None or options.condition(value)
        try:
            if not wanted or not await _is_kept(
                    cache, turn.publishing(value, cost_us, terms.ttl, terms.stale_ms, tags)):
                last = turn.giving_up(False)
                unkept(None)
        except (BrineError, MemoryError) as error:
            last = turn.giving_up(False)
            unkept(error)
        return value
    except BaseException:
        last = turn.giving_up(True)
        raise
    finally:
        turn.end()
        link.let_go(turn, last)


async def _is_kept(cache: Cache, request: Request | None) -> bool:
    if request is None:
        return True  # another process's
    await cache._ask(request)
    # With a token that is old the key was deleted or stored meanwhile: what was computed is not to be kept.
    return request.result == _OLD_TOKEN or request.done()


async def get_or_set(cache: Cache, key: Key, factory: Callable[[], Any], given: tuple[Any, ...]) -> Any:
    """given: as Terms takes them."""
    terms = terms_of(given, factory)
    try:
        answer = await take_turn(cache, key, terms, stale=terms.stale_ms > 0)
    except BrineError as error:
        told_of(cache, factory)(error)
        value = factory()
        return await value if isawaitable(value) else value
    if type(answer) is not Turn:
        return answer
    return await compute(cache, answer, terms, told_of(cache, factory), factory, (), {})


# ---- memoize


class Memoized(Protocol[P, R]):
    """A coroutine function as memoize returns it. Of a method, self is the first argument of all these."""

    __wrapped__: Callable[P, Coroutine[Any, Any, R]]
    __name__: str

    @overload
    def __get__(self, instance: None, owner: type, /) -> Memoized[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[..., Coroutine[Any, Any, R]]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> EncodedKey:
        """The key of this call, for get, delete and the rest of Cache."""

    async def check(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Says whether this call's result is stored, by this version of the code."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forgets this call's result. Says whether one was stored. Raises Unavailable."""

    async def cache_clear(self) -> int:
        """Forgets all results of this function, those of its other versions too, and what cache_info counted. Says
        how many there were. Raises Unavailable: some of them may then be gone."""

    def cache_info(self) -> CacheInfo:
        """What this process has counted: hits, misses, unkept."""


async def _ask_valid(cache: Cache, memo: Memo, key: EncodedKey, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The stored value, which must please validate, or a Turn."""
    terms, validate = memo.options.terms, memo.options.validate
    assert validate is not None
    entry = await cache.entry(key, stale=terms.stale_ms > 0)
    valid = entry is None or validate(entry, *args, **kwargs)
    if entry is not None and entry.stale is None and valid:
        return entry.value
    # Others may have replaced it meanwhile: theirs is good.
    return await take_turn(cache, key, terms, stale=terms.stale_ms > 0 and valid,
                           not_version=0 if entry is None or valid else entry.version)


def memoized(cache: Cache, function: Any, options: Options) -> Any:
    memo = Memo(cache, function, options, asynchronous=True)
    make_key, valid, terms = memo.calls.key, options.validate, options.terms

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            key = make_key(args, kwargs)
        except TypeError as error:
            memo.calls.explain(args, kwargs, error)
            return await function(*args, **kwargs)  # which raises its own error
        try:
            if valid is None:
                answer = await take_turn(cache, key, terms, stale=terms.stale_ms > 0)
            else:
                answer = await _ask_valid(cache, memo, key, args, kwargs)
        except BrineError as error:
            memo.misses += 1
            memo.not_kept(error)
            return await function(*args, **kwargs)
        if type(answer) is not Turn:
            memo.hits += 1
            return answer
        memo.misses += 1
        return await compute(cache, answer, terms, memo.not_kept, function, args, kwargs, options)

    async def check(*args: Any, **kwargs: Any) -> bool:
        return await cache.contains(make_key(args, kwargs))

    async def invalidate(*args: Any, **kwargs: Any) -> bool:
        return await cache.delete(make_key(args, kwargs))

    async def cache_clear() -> int:
        count = await cache._delete_all(memo.calls.all_versions)
        memo.forget()
        return count

    return memo.dress(wrapper, check=check, invalidate=invalidate, cache_clear=cache_clear)
