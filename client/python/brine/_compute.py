"""One computes, the others wait: what get_or_set and memoize do on a miss, and who belongs to a computation."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, thread as _pools
from contextvars import ContextVar
from datetime import timedelta
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from ._brine import Turn, encode_tags
from ._errors import BrineError, Unavailable, warn_once
from ._ttl import TTL, ttl_ms

if TYPE_CHECKING:
    from ._cache import Cache
    from ._handle import Handle
    from ._keys import Key
    from ._memo import Options

# The computation that this code is part of.
current: ContextVar[Turn | None] = ContextVar("brine_turn", default=None)

NO_WAIT = 2**64 - 1  # brine.h


class Terms:
    """How one function's results are kept, and how long others wait for them."""

    __slots__ = ("ttl", "stale_ms", "tags", "wait_ms", "lease_ms")

    def __init__(self, ttl: Any, stale: TTL | None, wait: TTL | None, tags: Iterable[str], lease: TTL | None) -> None:
        """ttl: ... for the cache's own."""
        if ttl is not ... and ttl is not None:
            ttl_ms(ttl)  # a mistake shows where it was made
        self.ttl = ttl
        self.stale_ms = 0 if stale is None else ttl_ms(stale, "stale")
        self.tags = encode_tags(tags) if tags else b""
        self.wait_ms = 0 if wait is None else wait_ms(wait)
        self.lease_ms = 0 if lease is None else ttl_ms(lease, "lease")


def wait_ms(wait: TTL) -> int:
    if wait in (0, timedelta()) and not isinstance(wait, bool):
        return NO_WAIT
    return ttl_ms(wait, "wait")


def compute(turn: Turn, terms: Terms, unkept: Callable[[BaseException | None], None], function: Callable[..., Any],
            args: tuple[Any, ...], kwargs: dict[str, Any], options: Options | None = None) -> Any:
    """Returns what function returns, or raises what it raises. unkept: told when the result is not kept, and why if
    nobody else was told; what it raises is raised. options: of a memoized function."""
    try:
        tags = terms.tags if options is None else options.tags_of(args, kwargs)
        outer = current.set(turn)
        started = perf_counter_ns()
        try:
            value = function(*args, **kwargs)
        finally:
            current.reset(outer)
        cost_us = max(1, (perf_counter_ns() - started) // 1000)
        wanted = options is None or options.condition is None or options.condition(value)
        try:
            if not wanted or not turn.publish(value, cost_us, terms.ttl, terms.stale_ms, tags):
                turn.cannot_keep()
                unkept(None)
        except (BrineError, MemoryError) as error:
            turn.cannot_keep()
            unkept(error)
        return value
    except BaseException:
        turn.failed()
        raise


def not_kept(cache: Handle, about: object, name: str) -> Callable[[BaseException | None], None]:
    """A function that warns, once, that results are not kept, and why; or raises it, if it is an outage and cache raises
    those."""
    def told(error: BaseException | None) -> None:
        if isinstance(error, Unavailable) and cache.on_error == "raise":
            raise error
        if error is not None:
            warn_once(("not kept", about), f"results of {name} are computed but not kept: {error}")
    return told


def told_of(cache: Handle, factory: Callable[[], Any]) -> Callable[[BaseException | None], None]:
    # The code, because each call may come with a lambda of its own.
    code = getattr(factory, "__code__", None)
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return not_kept(cache, code or (getattr(factory, "__module__", None), name), name)


_UNTOLD = (..., None, None, (), None)
_PLAIN = Terms(*_UNTOLD)


def terms_of(given: tuple[Any, ...], factory: object) -> Terms:
    """Of get_or_set. given: as Terms takes them."""
    if not callable(factory):
        raise TypeError(f"factory={factory!r:.80}: a function that computes the value, not {type(factory).__qualname__}")
    return _PLAIN if given == _UNTOLD else Terms(*given)


def get_or_set(cache: Cache, key: Key, factory: Callable[[], Any], given: tuple[Any, ...]) -> Any:
    """given: as Terms takes them."""
    terms = terms_of(given, factory)
    try:
        answer = cache._turn(key, current.get(), terms.wait_ms, terms.lease_ms, terms.stale_ms > 0)
    except BrineError as error:
        told_of(cache, factory)(error)
        return factory()
    if type(answer) is not Turn:
        return answer
    return compute(answer, terms, told_of(cache, factory), factory, (), {})


# ---- who belongs to a computation
#
# Tasks and asyncio.to_thread() copy the context, and with it `current`. A new thread and a pool's worker start
# with an empty one (by default, in every Python so far): a computation that waits for a thread which asks for
# what the computation holds would wait for ever. So both get it here. Outside of computations nothing is changed.


def _inside(turn: Turn, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    outer = current.set(turn)
    try:
        return function(*args, **kwargs)
    finally:
        current.reset(outer)


_start, _submit = threading.Thread.start, ThreadPoolExecutor.submit


def start(self: threading.Thread) -> None:
    turn = current.get()
    # A pool's worker lives longer than what it was started for.
    if turn is not None and getattr(self, "_target", None) is not getattr(_pools, "_worker", None):
        run = self.run

        def run_inside() -> None:
            del self.__dict__["run"]
            current.set(turn)
            run()

        self.__dict__["run"] = run_inside
    _start(self)


def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    turn = current.get()
    if turn is None:
        return _submit(self, fn, *args, **kwargs)
    return _submit(self, _inside, turn, fn, *args, **kwargs)


start.__doc__, start.__qualname__ = _start.__doc__, _start.__qualname__
submit.__doc__, submit.__qualname__ = _submit.__doc__, _submit.__qualname__
setattr(threading.Thread, "start", start)
setattr(ThreadPoolExecutor, "submit", submit)


def _before_fork() -> None:
    turn = current.get()
    if turn is not None:
        turn.share()


# A child of a computation belongs to it as long as the parent computes; it learns the end from memory they share.
os.register_at_fork(before=_before_fork)
