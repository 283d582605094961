"""brine for asyncio: the same cache, awaited.

    import brine.aio

    cache = brine.aio.Cache("reports")

    @cache.memoize(ttl="1d")
    async def report(year): ...

Everything happens on the event loop, over one connection for each loop, without threads; only a daemon that has to be
started, or is of an older release and makes room, is started from one. Values are dumped and loaded on the loop as well,
and pickle holds the interpreter meanwhile: that takes long for lists of millions of objects, not for bytes and arrays.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from itertools import islice
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar, overload

from . import _brine
from ._codecs import CodecName
from ._entry import Entry, entry_of
from ._errors import Conflict
from ._handle import Handle, negative, one_mapping
from ._keys import EncodedKey, Key, decode_key, encode_prefix
from ._link import UNSUPPORTED, Link, renew
from ._miss import MISS
from ._stats import Stats, stats_of
from ._ttl import TTL

if TYPE_CHECKING:
    from ._awaited import Memoized
    from ._brine import Request, _Ack as Ack

__all__ = ["Cache"]

_P = ParamSpec("_P")
_D = TypeVar("_D")
_K = TypeVar("_K")
_R = TypeVar("_R")
_Self = TypeVar("_Self", bound="Cache")

_TAGS_MAX: Final = 16  # of one request
_RUN_MAX: Final = 256  # requests of get_many and its like that are under way at once
_VALUES_MAX: Final = 32  # that items() has in memory at a time
_SETDEFAULT_MAX: Final = 100  # each attempt that fails was overtaken by somebody else's change


def _listed(keys: Iterable[_K]) -> tuple[_K, ...]:
    """A text is no list of keys: its letters are hardly meant."""
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"keys={keys!r:.80}: a list of keys, not one")
    if not isinstance(keys, Iterable):
        raise TypeError(f"keys={keys!r:.80}: a list of keys, not {type(keys).__qualname__}")
    return tuple(keys)


def _kept(tags: Iterable[str]) -> Iterable[str]:
    """For more than one request. What is no list of tags is refused where they are encoded."""
    return tuple(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else tags


class Cache(Handle, _brine.AsyncClient):
    """One namespace of this machine's Brine, for coroutines: what brine.Cache is, with await.

    The arguments are those of brine.Cache, and so are the methods, their errors, and what happens while the daemon is
    away. `await cache.contains(key)` stands for `key in cache`, `async for key in cache` for iterating over it.

    It may be made before any loop runs, and used by many loops, in many threads: each has a connection of its own, which
    is closed with the loop, or by close(), or at the end of `async with`. Any number of calls may be under way at once;
    beyond 1,024 of a loop, or 8 MiB of values that are not stored yet, they wait their turn (and at most 4,096 wait for
    computations). A call that is cancelled is given up at once; what it asked for may be done all the same, and
    what waited for a computation keeps its place among the 4,096 until that is over, for a minute at most.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        socket: str | os.PathLike[str] | None = None,
        ttl: TTL | None = None,
        codec: CodecName = "pickle",
        trust: Iterable[str | int] = (),
        timeout: float | None = 1.0,
        on_error: Literal["miss", "raise"] = "miss",
    ) -> None:
        settled = self._settle(namespace, socket, ttl, codec, trust, timeout, on_error)
        super().__init__(**settled)
        self._renew = partial(renew, settled)
        self._timeout = math.inf if timeout is None else timeout
        self._links: dict[asyncio.AbstractEventLoop, Link] = {}

    # ---- one key

    @overload
    async def get(self, key: Key, *, max_age: TTL | None = ..., stale: bool = ...) -> Any | None: ...

    @overload
    async def get(self, key: Key, default: _D, *, max_age: TTL | None = ..., stale: bool = ...) -> Any | _D: ...

    async def get(self, key: Key, default: Any = None, *, max_age: TTL | None = None, stale: bool = False) -> Any:
        """The value stored under key, or default, as brine.Cache.get."""
        request = self._ask_get(key, max_age, stale)
        await self._ask(request)
        return request.value(default)

    async def contains(self, key: Key) -> bool:
        """Is something stored under key?"""
        return await self._change(self._ask_contains(key))

    async def entry(self, key: Key, *, stale: bool = False) -> Entry | None:
        """What is stored under key and what is known of it, as brine.Cache.entry."""
        request = self._ask_get(key, None, stale)
        await self._ask(request)
        raw = request.entry()
        return None if raw is None else entry_of(raw)

    async def set(self, key: Key, value: object, ttl: TTL | EllipsisType | None = ..., *, stale: TTL | None = None,
                  tags: Iterable[str] = (), ack: Ack | None = None, cost: float | None = None) -> None:
        """Stores value under key, as brine.Cache.set."""
        await self._change(self._ask_put("set", key, value, 0, ttl, stale, tags, ack, cost))

    async def add(self, key: Key, value: object, ttl: TTL | EllipsisType | None = ..., *, stale: TTL | None = None,
                  tags: Iterable[str] = (), ack: Ack | None = None, cost: float | None = None) -> bool:
        """Stores value if nothing is stored under key, and says whether it did, as brine.Cache.add."""
        return await self._change(self._ask_put("add", key, value, 0, ttl, stale, tags, ack, cost))

    async def cas(self, key: Key, value: object, version: int, ttl: TTL | EllipsisType | None = ..., *,
                  stale: TTL | None = None, tags: Iterable[str] = (), ack: Ack | None = None,
                  cost: float | None = None) -> bool:
        """Compares the version and swaps the value, as brine.Cache.cas."""
        return await self._change(self._ask_put("cas", key, value, version, ttl, stale, tags, ack, cost))

    async def setdefault(self, key: Key, default: Any = None, ttl: TTL | EllipsisType | None = ..., *,
                         stale: TTL | None = None, tags: Iterable[str] = (), ack: Ack | None = None,
                         cost: float | None = None) -> Any:
        """What is stored under key, or else default, which is stored: one atomic request, as brine.Cache.setdefault."""
        terms = ttl, stale, _kept(tags), ack, cost
        request = self._ask_put("setdefault", key, default, 0, *terms)
        for _ in range(_SETDEFAULT_MAX):
            await self._ask(request)
            if request.result == UNSUPPORTED:
                return await self._set_default(key, default, terms)
            value = request.found(default)
            if value is not request:
                return value
        raise Conflict("setdefault: others change this key all the time", 66, "CHANGED")

    async def _set_default(self, key: Key, default: Any, terms: Any) -> Any:
        """The same with a daemon that cannot do it in one request."""
        for _ in range(_SETDEFAULT_MAX):
            look = self._ask_get(key, None, False)
            await self._ask(look)
            value = look.value(MISS)
            if value is not MISS:
                return value
            how = "cas" if look.version else "add"  # over what cannot be loaded, or where nothing is
            if await self._change(self._ask_put(how, key, default, look.version, *terms)):
                return default
        raise Conflict("setdefault: others change this key all the time", 66, "CHANGED")

    async def incr(self, key: Key, by: int = 1, *, initial: int = 0, ttl: TTL | EllipsisType | None = ...,
                   create: bool = True) -> int:
        """Adds to the int stored under key, and returns the sum, as brine.Cache.incr."""
        request = self._ask_incr(key, by, initial, ttl, create)
        await self._ask(request)
        return request.count()

    async def decr(self, key: Key, by: int = 1, *, initial: int = 0, ttl: TTL | EllipsisType | None = ...,
                   create: bool = True) -> int:
        """incr, the other way."""
        return await self.incr(key, negative(by), initial=initial, ttl=ttl, create=create)

    @overload
    async def pop(self, key: Key) -> Any: ...

    @overload
    async def pop(self, key: Key, default: _D) -> Any | _D: ...

    async def pop(self, key: Key, default: Any = ...) -> Any:
        """Removes key, durably, and returns its value, as brine.Cache.pop."""
        request = self._ask_pop(key)
        await self._ask(request)
        value = request.value(MISS)
        if value is not MISS:
            return value
        if default is ...:
            raise KeyError(key)
        return default

    async def touch(self, key: Key, ttl: TTL | None) -> bool:
        """Gives what is stored under key a new time to live, counted from now. Says whether it was there."""
        return await self._change(self._ask_touch(key, ttl))

    async def delete(self, key: Key, /) -> bool:
        """Removes key, durably. Says whether it was there. Raises Unavailable."""
        return await self._change(self._ask_delete(key))

    # ---- many keys

    async def get_many(self, keys: Iterable[_K], *, max_age: TTL | None = None, stale: bool = False) -> dict[_K, Any]:
        """A dict of those keys that are stored, with their values."""
        found: dict[_K, Any] = {}
        left = iter(_listed(keys))
        while run := tuple(islice(left, _RUN_MAX)):
            request = self._ask_gets(run, max_age, stale)
            await self._ask(request)
            alone = request.gets(found)
            if alone:
                await self._get_each(alone, max_age, stale, found)
        return found

    async def _get_each(self, keys: Iterable[_K], max_age: TTL | None, stale: bool, found: dict[_K, Any]) -> None:
        """What is too large for one answer, and what a daemon is asked for that knows no such questions."""
        run = [(key, self._ask_get(key, max_age, stale)) for key in keys]
        await self._ask_all([request for _, request in run])
        for key, request in run:
            value = request.value(MISS)
            if value is not MISS:
                found[key] = value

    async def set_many(self, mapping: Mapping[Any, object], ttl: TTL | EllipsisType | None = ..., *,
                       stale: TTL | None = None, tags: Iterable[str] = (), ack: Ack | None = None) -> None:
        """Stores each item of mapping, as set does, with few waits. Each is stored or not by itself."""
        if not hasattr(mapping, "items"):
            raise TypeError(f"set_many() takes a mapping, such as a dict, not {mapping!r:.80}; update() takes pairs too")
        tags, left = _kept(tags), iter(tuple(mapping.items()))
        while run := [self._ask_put("set", key, value, 0, ttl, stale, tags, ack, None)
                      for key, value in islice(left, _RUN_MAX)]:
            await self._ask_all(run)
            for request in run:
                request.done()

    async def update(self, *others: Any, **named: Any) -> None:
        """Stores what the mapping, or the pairs, and the named arguments hold, as set_many does."""
        other = one_mapping(others)
        if other is not None:
            await self.set_many(other)
        if named:
            await self.set_many(named)

    async def delete_many(self, keys: Iterable[Key], /) -> int:
        """Removes each of the keys, durably, with few waits. Says how many were there. Raises Unavailable."""
        count, left = 0, iter(_listed(keys))
        while run := [self._ask_delete(key) for key in islice(left, _RUN_MAX)]:
            await self._ask_all(run)
            count += sum([request.done() for request in run])
        return count

    async def delete_prefix(self, prefix: str | bytes | tuple[Key, ...]) -> int:
        """Removes the keys that scan(prefix) finds, durably, as brine.Cache.delete_prefix. Says how many."""
        return await self._delete_all(encode_prefix(prefix, whole=False))

    async def popitem(self) -> tuple[Key, Any]:
        """Removes some key, durably, and returns it with its value, as brine.Cache.popitem."""
        async for page in self._pages(b""):
            for encoded in page:
                value = await self.pop(EncodedKey(encoded), MISS)
                if value is not MISS:
                    return decode_key(encoded), value
        raise KeyError("popitem(): the cache is empty")

    # ---- the keys

    async def scan(self, prefix: str | bytes | tuple[Key, ...] = "") -> AsyncIterator[Key]:
        """The keys of this namespace, in no order, as brine.Cache.scan: `async for key in cache.scan("page:")`."""
        async for page in self._pages(encode_prefix(prefix)):
            for encoded in page:
                yield decode_key(encoded)

    def __aiter__(self) -> AsyncIterator[Key]:
        return self.scan()

    async def keys(self) -> AsyncIterator[Key]:
        """scan(), by the name that mappings have."""
        async for key in self.scan():
            yield key

    async def items(self) -> AsyncIterator[tuple[Key, Any]]:
        """Keys and values, read 32 at a time. What goes meanwhile, or cannot be loaded, is left out."""
        async for page in self._pages(b""):
            left = iter(page)
            while batch := [EncodedKey(encoded) for encoded in islice(left, _VALUES_MAX)]:
                for key, value in (await self.get_many(batch)).items():
                    yield decode_key(key.encoded), value

    async def values(self) -> AsyncIterator[Any]:
        """The values, as items() reads them."""
        async for _, value in self.items():
            yield value

    async def invalidate(self, *tags: str) -> None:
        """Removes everything in this namespace that was stored with one of the tags, as brine.Cache.invalidate."""
        if not tags:
            raise TypeError("invalidate() takes tags; clear() removes everything")
        for at in range(0, len(tags), _TAGS_MAX):
            await self._change(self._ask_invalidate(tags[at:at + _TAGS_MAX]))

    async def clear(self) -> None:
        """Removes everything in this namespace, durably, at once."""
        await self._change(self._ask_clear())

    # ---- one computes, the others wait

    async def get_or_set(self, key: Key, factory: Callable[[], Awaitable[_R] | _R], ttl: TTL | EllipsisType | None = ..., *,
                         stale: TTL | None = None, wait: TTL | None = None, tags: Iterable[str] = (),
                         lease: TTL | None = None) -> _R:
        """The value stored under key; where there is none, what factory() returns, or what awaiting it gives, which
        is stored.

        One caller on the machine computes; the others, in whatever process, thread and task, wait and get its
        value. All else is as with brine.Cache.get_or_set. A computation that is cancelled gives its turn to the
        next; a caller that is cancelled while it waits waits no longer.
        """
        from ._awaited import get_or_set

        value: _R = await get_or_set(self, key, factory, (ttl, stale, wait, tags, lease))
        return value

    @overload
    def memoize(self, ttl: Callable[_P, Coroutine[Any, Any, _R]], /) -> Memoized[_P, _R]: ...

    @overload
    def memoize(
        self, ttl: TTL | None = ..., *, stale: TTL | None = ..., wait: TTL | None = ...,
        tags: Iterable[str] | Callable[..., Iterable[str]] = ..., lease: TTL | None = ..., ignore: Iterable[str] = ...,
        key: Callable[..., Any] | None = ..., version: Any = ..., deps: Iterable[Any] = ...,
        condition: Callable[[Any], Any] | None = ..., validate: Callable[..., Any] | None = ...,
    ) -> Callable[[Callable[_P, Coroutine[Any, Any, _R]]], Memoized[_P, _R]]: ...

    def memoize(self, ttl: Any = ..., *, stale: TTL | None = None, wait: TTL | None = None,
                tags: Iterable[str] | Callable[..., Iterable[str]] = (), lease: TTL | None = None, ignore: Iterable[str] = (),
                key: Callable[..., Any] | None = None, version: Any = None, deps: Iterable[Any] = (),
                condition: Callable[[Any], Any] | None = None, validate: Callable[..., Any] | None = None) -> Any:
        """Decorates an `async def` so that each call of equal arguments is computed once, by any process.

            @cache.memoize(ttl="1d")
            async def report(year, *, detail=False): ...

        All of it is as with brine.Cache.memoize: what makes the key, what is noticed when code changes, and the
        arguments (the functions among them are plain ones). Of the decorated function's methods `check`, `invalidate` and
        `cache_clear` are awaited.
        """
        from ._awaited import memoized
        from ._compute import Terms
        from ._memo import Options, is_function

        if is_function(ttl):
            return memoized(self, ttl, Options(Terms(..., None, None, (), None)))
        options = Options(Terms(ttl, stale, wait, (), lease), tags=tags, ignore=ignore, key=key, version=version,
                          deps=deps, condition=condition, validate=validate)
        return lambda function: memoized(self, function, options)

    # ---- the whole

    async def stats(self) -> Stats:
        """Counters by scope and name, as brine.Cache.stats."""
        request = self._ask_stats()
        await self._ask(request)
        return stats_of(request.stats(), self._counts())

    async def sync(self) -> None:
        """Returns when all that was stored before is on the disk."""
        await self._change(self._ask_sync())

    async def close(self) -> None:
        """Closes the connection of the running loop, after what is outstanding; who waits for a computation, and a later
        call, opens another."""
        link = self._links.get(asyncio.get_running_loop())
        if link is not None:
            await link.drain()
            link.end()

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<brine.aio.Cache {self.namespace!r}>"

    # ---- asking

    async def _ask(self, request: Request) -> None:
        """Returns when request has its answer; an outage is one, too."""
        link = self._links.get(asyncio.get_running_loop()) or self._link()
        future = link.ask(request)
        if future is not None:
            try:
                await future
            except BaseException:
                link.abandon(request)
                raise
            if not request.again:
                return
        await link.insist(request)

    async def _change(self, request: Request) -> bool:
        """Says whether it did."""
        await self._ask(request)
        return request.done()

    async def _ask_all(self, requests: list[Request]) -> None:
        link = self._link()
        try:
            for request in requests:
                if link.wanted or not link.post(request):
                    await link.insist(request)
            for request in requests:
                future = link.wait(request)
                if future is not None:
                    await future
                if request.again:
                    await link.insist(request)
        except BaseException:
            for request in requests:
                link.abandon(request)
            raise

    async def _pages(self, prefix: bytes) -> AsyncIterator[list[bytes]]:
        """The encoded keys that begin so."""
        request, more = self._ask_scan(prefix), True
        while more:
            await self._ask(request)
            page, more = request.page(), request.more
            yield page

    async def _delete_all(self, prefix: bytes) -> int:
        count = 0
        async for page in self._pages(prefix):
            count += await self.delete_many([EncodedKey(encoded) for encoded in page])
        return count

    def _link(self) -> Link:
        """The running loop's."""
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            for other, its in tuple(self._links.items()):
                if other.is_closed():  # not in good order
                    its.end()
            # It knows the table and not the Cache: one that nobody uses is not kept by its connections.
            link = self._links[loop] = Link(self, loop, self._timeout, self._renew, partial(self._links.pop, loop, None))
        return link

    def __del__(self) -> None:
        # In whatever thread.
        for link in tuple(getattr(self, "_links", {}).values()):
            link.end_soon()
