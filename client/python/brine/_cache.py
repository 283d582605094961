"""brine.Cache: the policy over _brine.Client, which does the asking."""

from __future__ import annotations

import itertools
import os
import time
import types
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar, overload

from . import _brine
from ._codecs import CodecName
from ._entry import Entry, entry_of
from ._handle import Handle, negative, one_mapping
from ._keys import EncodedKey, Key, decode_key, encode_prefix
from ._miss import MISS
from ._ttl import TTL
from ._views import Items, Values

if TYPE_CHECKING:
    from ._memoize import Memoized
    from ._stats import Stats

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Self = TypeVar("_Self", bound="Cache")

# A source file that changed later may no longer be what was loaded from it.
LOADED: Final = time.time()

_TAGS_MAX: Final = 16  # of one request
_DELETE_BATCH: Final = 1000  # keys of which delete_prefix waits for the disk together


class Cache(Handle, _brine.Client, MutableMapping[Key, Any]):
    """One namespace of this machine's Brine, as a mapping that outlives the program.

    namespace: default BRINE_NAMESPACE, else "default". A plain name is this user's own; one that starts
        with "/" is shared, where the daemon's configuration declares it.
    socket: of the daemon to use; default BRINE_SOCKET, else this user's own daemon, else the system's,
        else one is started for this user (not with BRINE_AUTOSTART=0).
    ttl: how long things are kept if set() does not say: seconds, timedelta, "1h30m", or None for ever.
    timeout: seconds of silence after which the daemon is taken for dead; None waits for ever.
    codec: how values are stored: "pickle"; "cloudpickle", which takes lambdas and classes of a script along and is
        loaded by the same Python version only; "msgpack" or "json", which run no code when they are loaded, and take
        plain data; or "bytes". Bytes, str and int are stored as they are with each of them. What is stored
        with another codec is a miss.
    trust: users, by name or uid, whose pickles are loaded as this user's own are. Loading a pickle runs what its
        writer wants, so what anybody else wrote, root included, is a miss, with a warning.
    on_error: "miss": while the daemon is away, gets are misses, sets do nothing and everybody computes, with one
        warning; "raise": all of them raise Unavailable, get_or_set and memoized calls too. What the daemon refuses raises Refused in both.

    Keys are str, bytes, int, float, bool, None and tuples of these; 1, 1.0, True and "1" are four keys.
    May be used by many threads, after a fork, and pickled (it opens anew where it
    is unpickled).
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
        super().__init__(**self._settle(namespace, socket, ttl, codec, trust, timeout, on_error))

    def scan(self, prefix: str | bytes | tuple[Key, ...] = "") -> Iterator[Key]:
        """The keys of this namespace, in no order; with prefix, the str (bytes) keys that start with it, or the
        tuples whose first items it has: scan(("user", 7)) finds ("user", 7) and ("user", 7, "name").

        A memoized call's key, and one of over 1,023 bytes, comes as an EncodedKey. What is stored or removed
        meanwhile is met or not; rarely a key is met twice. Raises Unavailable when the daemon goes away.
        """
        return map(decode_key, self._scan(encode_prefix(prefix)))

    def delete_prefix(self, prefix: str | bytes | tuple[Key, ...]) -> int:
        """Removes the keys that scan(prefix) finds, durably. Says how many. What is stored meanwhile may stay: for
        what belongs together, tags and invalidate() are one step. Raises Unavailable."""
        return self._delete_scanned(encode_prefix(prefix, whole=False))

    def _delete_scanned(self, prefix: bytes) -> int:
        """prefix: of encoded keys."""
        found, deleted = self._scan(prefix), 0
        while batch := [EncodedKey(encoded) for encoded in itertools.islice(found, _DELETE_BATCH)]:
            deleted += self.delete_many(batch)
        return deleted

    def entry(self, key: Key, *, stale: bool = False) -> Entry | None:
        """What is stored under key: its value, and its version, size, age, ttl, stale, cost, codec and writer.

        None: nothing is, or nothing that can be loaded. With stale, an expired one inside its stale window too.
        """
        raw = self._entry(key, stale)
        return None if raw is None else entry_of(raw)

    def decr(self, key: Key, by: int = 1, *, initial: int = 0,
             ttl: TTL | types.EllipsisType | None = ..., create: bool = True) -> int:
        """incr, the other way."""
        return self.incr(key, negative(by), initial=initial, ttl=ttl, create=create)

    def invalidate(self, *tags: str) -> None:
        """Removes everything in this namespace that was stored with one of the tags, durably, at once, however
        much it is. What is stored later stays. Raises Unavailable when the daemon does not answer."""
        if not tags:
            raise TypeError("invalidate() takes tags; clear() removes everything")
        for at in range(0, len(tags), _TAGS_MAX):
            self._invalidate(_brine.encode_tags(tags[at:at + _TAGS_MAX]))

    # ---- as a mapping

    def __iter__(self) -> Iterator[Key]:
        return self.scan()

    def __len__(self) -> int:
        """Counts the keys by a scan: a second for a million. list(cache) does it, too."""
        return self._count()

    def keys(self) -> KeysView[Key]:
        """A view of the keys, which scan() finds by their beginnings."""
        return KeysView(self)

    def items(self) -> ItemsView[Key, Any]:
        """A view of keys and values, read 32 at a time. What goes meanwhile, or cannot be loaded, is left out."""
        return Items(self)

    def values(self) -> ValuesView[Any]:
        """A view of the values, as items() reads them."""
        return Values(self)

    def popitem(self) -> tuple[Key, Any]:
        """Removes some key, durably, and returns it with its value; of several who do, each gets another. KeyError:
        there is none. Raises Unavailable."""
        for encoded in self._scan(b""):
            value = self.pop(EncodedKey(encoded), MISS)
            if value is not MISS:
                return decode_key(encoded), value
        raise KeyError("popitem(): the cache is empty")

    def update(self, *others: Any, **named: Any) -> None:
        """Stores what the mapping, or the pairs, and the named arguments hold, as set_many does."""
        other = one_mapping(others)
        if other is not None:
            self.set_many(other)
        if named:
            self.set_many(named)

    def get_or_set(self, key: Key, factory: Callable[[], _R], ttl: TTL | types.EllipsisType | None = ..., *, stale: TTL | None = None,
                   wait: TTL | None = None, tags: Iterable[str] = (), lease: TTL | None = None) -> _R:
        """The value stored under key; where there is none, what factory() returns, which is stored.

        One caller on the machine computes; the others, in whatever process and thread, wait and get its value.
        If it raises, or its process ends, the next one computes. This always returns what is stored or
        what factory returned, or raises what factory raised: without a daemon everybody computes, and a result
        that cannot be kept (it cannot be pickled, is too large) is returned, with one warning for each factory.
        Only with on_error="raise" it raises Unavailable where the daemon is away, before computing or, if it went
        meanwhile, after.

        ttl: as in set. stale: so long after its ttl an old value is still returned at once, to callers that
            pass stale too, while one of them computes a new one before it returns.
        wait: so long at most for somebody else's computation, then compute beside it; 0 is not at all;
            None as long as it takes. tags: as in set.
        lease: after so long without a result somebody else may compute, and a later result is not stored; None:
            as long as this process lives.
        All times are seconds, timedelta, or text such as "1h30m".

        A factory may ask for other keys, and for its own: where waiting would never end it computes beside. That
        holds for the threads, pool calls, tasks and forked children that a factory starts, too; two of them that
        miss the same thing both compute it. A process that it only sends work to is on its own: give such a
        worker a `wait` where it may need what its sender computes.
        """
        from ._compute import get_or_set

        value: _R = get_or_set(self, key, factory, (ttl, stale, wait, tags, lease))
        return value

    @overload
    def memoize(self, ttl: Callable[_P, _R], /) -> Memoized[_P, _R]: ...

    @overload
    def memoize(self, ttl: TTL | None = ..., *, stale: TTL | None = ..., wait: TTL | None = ...,
                tags: Iterable[str] | Callable[..., Iterable[str]] = ..., lease: TTL | None = ..., ignore: Iterable[str] = ...,
                key: Callable[..., Any] | None = ..., version: Any = ..., deps: Iterable[Any] = ...,
                condition: Callable[[Any], Any] | None = ...,
                validate: Callable[..., Any] | None = ...) -> Callable[[Callable[_P, _R]], Memoized[_P, _R]]: ...

    def memoize(self, ttl: Any = ..., *, stale: TTL | None = None, wait: TTL | None = None,
                tags: Iterable[str] | Callable[..., Iterable[str]] = (), lease: TTL | None = None, ignore: Iterable[str] = (),
                key: Callable[..., Any] | None = None, version: Any = None, deps: Iterable[Any] = (),
                condition: Callable[[Any], Any] | None = None, validate: Callable[..., Any] | None = None) -> Any:
        """Decorates a function so that each call of equal arguments is computed once, by any process. Changed code of
        the function computes anew, and changed back it finds its old results; but neither the functions that it calls nor
        the globals that it reads are followed: name those that matter in deps, or count up version.

            @cache.memoize(ttl="1d", deps=[tokenize, "THRESHOLD"])
            def report(year, *, detail=False): ...

        Calls are told apart by the function's name and code (the tokens of its source, without comments; without source
        its bytecode and the version of Python), by what it closes over, as it was when it was decorated, and by all
        arguments by content, defaults included: numbers (1, 1.0 and True are three), texts, containers, dataclasses
        (by their fields alone: what else is set on one, as in __post_init__ or by a cached_property, makes no difference), enums, paths, dates, numpy arrays, pandas frames, functions by their code, classes by their name, and other objects
        by what pickle would store of them. A class says itself what makes its objects equal by a method __brine_key__, or
        brine.register_key says it. An argument that has no content, such as a lock, raises a TypeError. Of a method, self
        is an argument like the others. An exception is not stored.

        Of callers that miss at the same time, in whatever process and thread, one computes and the others
        wait for it: stale, wait and lease are those of get_or_set, which says more, also of what happens without a daemon.

        tags: names, or a function of the call's arguments that returns them; see invalidate.
        ignore: names of parameters that make no difference, such as ["verbose"].
        key: a function of the call's arguments; what it returns tells calls apart in their place.
        version: any value; another one is another function.
        deps: what else the result depends on. A function, class or module counts by its code (a module with a __version__
            by that), another value as it is now. A name ("THRESHOLD", "settings.LIMIT") is a global of the function's module
            that is read at each call, like one more argument.
        condition: asked with each new result; where it returns false that is returned, but not stored.
        validate: asked with the stored Entry (its value, age, version and so on) and the call's arguments before a stored
            result is used; where it returns false the result is computed anew:
            validate=lambda entry, path: time.time() - entry.age > os.stat(path).st_mtime

        The decorated function has `check(*args, **kwargs)`, which says whether a call's result is stored,
        `invalidate(*args, **kwargs)`, which forgets it and says whether it was, `cache_clear()`, which forgets all calls by
        all versions of the code, `cache_info()`: the hits, misses and unkept results of this process, `cache_key(*args,
        **kwargs)`, and `__wrapped__`. Of a method they take self as well: `Report.total.invalidate(report, 2026)`.
        """
        from ._compute import Terms
        from ._memo import Options, is_function
        from ._memoize import memoized  # with what it imports, as slow to load as all the rest

        if is_function(ttl):
            return memoized(self, ttl, Options(Terms(..., None, None, (), None)))
        options = Options(Terms(ttl, stale, wait, (), lease), tags=tags, ignore=ignore, key=key, version=version,
                          deps=deps, condition=condition, validate=validate)
        return lambda function: memoized(self, function, options)

    def stats(self) -> Stats:
        """Counters by scope and name: the daemon's under "", those of your namespaces under their names, and
        under "client" what this object counted. Printed, and in a notebook, it is a table of the namespaces."""
        from ._stats import stats_of  # with what draws the table

        return stats_of(self._stats(), self._counts())

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<brine.Cache {self.namespace!r}>"
