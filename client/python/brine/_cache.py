"""brine.Cache: the policy over _brine.Client, which does the asking."""

from __future__ import annotations

import math
import os
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, ParamSpec, TypeVar, overload

from . import _brine
from ._entry import Entry, entry_of
from ._errors import KINDS, Refused, Unavailable, Unpicklable, warn_once
from ._keys import Key, decode_key
from ._trust import trusted_uids, user_of
from ._ttl import TTL, ttl_ms

if TYPE_CHECKING:
    from ._memoize import Memoized

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Self = TypeVar("_Self", bound="Cache")


# A source file that changed later may no longer be what was loaded from it.
LOADED: Final = time.time()

# Takes out of a namespace's name what it may hold.
_IN_NAMES: Final = str.maketrans(
    "", "", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")

_UNSUPPORTED = 33  # errors.def
_TAGS_MAX = 16  # of one request
# Where a miss would be a wrong answer, an outage raises whatever on_error says.
_NEVER_A_MISS = frozenset({"delete", "delete_many", "clear", "invalidate", "add", "cas", "incr", "pop", "sync", "keys", "stats",
                           "ping"})
_READING = frozenset({"get", "get_many", "get_or_set", "in"})


class Cache(_brine.Client):
    """One namespace of this machine's Brine, as a mapping that outlives the program.

    namespace: default BRINE_NAMESPACE, else "default". A plain name is this user's own; one that starts
        with "/" is shared, where the daemon's configuration declares it.
    socket: of the daemon to use; default BRINE_SOCKET, else this user's own daemon, else the system's,
        else one is started for this user (not with BRINE_AUTOSTART=0).
    ttl: how long things are kept if set() does not say: seconds, timedelta, "1h30m", or None for ever.
    timeout: seconds of silence after which the daemon is taken for dead; None waits for ever.
    trust: users, by name or uid, whose pickles are loaded as this user's own are. Loading a pickle runs what its
        writer wants, so what anybody else wrote, root included, is a miss, with a warning.
    on_error: "miss": while the daemon is away, gets are misses and sets do nothing, with one warning;
        "raise": they raise Unavailable. What the daemon refuses raises Refused in both.

    Keys are str, bytes, int, float, bool, None and tuples of these; 1, 1.0, True and "1" are four keys.
    Values are whatever pickle takes. May be used by many threads, after a fork, and pickled (it opens anew where it
    is unpickled).
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        socket: str | os.PathLike[str] | None = None,
        ttl: TTL | None = None,
        trust: Iterable[str | int] = (),
        timeout: float | None = 1.0,
        on_error: Literal["miss", "raise"] = "miss",
    ) -> None:
        if on_error not in ("miss", "raise"):
            raise ValueError(f'on_error={on_error!r}: "miss" or "raise"')
        uids = trusted_uids(trust)
        self._arguments = {"namespace": namespace, "socket": socket, "ttl": ttl, "trust": uids,
                           "timeout": timeout, "on_error": on_error}
        # Taken from the environment once, so that all connections of this object agree.
        if namespace is None:
            namespace = os.environ.get("BRINE_NAMESPACE") or "default"
        _check_namespace(namespace)
        self.namespace: str = namespace
        self.on_error = on_error
        if socket is None:
            socket = os.environ.get("BRINE_SOCKET") or None
        super().__init__(
            namespace=self.namespace,
            socket=None if socket is None else os.path.abspath(socket),
            daemon=None,
            timeout_ms=_timeout_ms(timeout),
            ttl_ms=None if ttl is None else ttl_ms(ttl),
            autostart=True,
            trust=uids,
        )

    def keys(self, prefix: str = "") -> Iterator[Key]:
        """The keys of this namespace, in no order; with prefix, the str keys that start with it.

        A memoized call's key, and one of over 1,023 bytes, comes as an EncodedKey. What is stored or removed
        meanwhile is met or not; rarely a key is met twice. Raises Unavailable when the daemon goes away.
        """
        for encoded in self._scan(prefix.encode()):
            yield decode_key(encoded)

    def entry(self, key: Key, *, stale: bool = False) -> Entry | None:
        """What is stored under key: its value, and its version, size, age, ttl, stale, cost, codec and writer.

        None: nothing is, or nothing that can be loaded. With stale, an expired one inside its stale window too.
        """
        raw = self._entry(key, bool(stale))
        return None if raw is None else entry_of(raw)

    def decr(self, key: Key, by: int = 1, *, initial: int = 0,
             ttl: TTL | types.EllipsisType | None = ..., create: bool = True) -> int:
        """incr, the other way."""
        return self.incr(key, -by, initial=initial, ttl=ttl, create=create)

    def invalidate(self, *tags: str) -> None:
        """Removes everything in this namespace that was stored with one of the tags, durably, at once, however
        much it is. What is stored later stays. Raises Unavailable when the daemon does not answer."""
        if not tags:
            raise TypeError("invalidate() takes tags; clear() removes everything")
        for at in range(0, len(tags), _TAGS_MAX):
            self._invalidate(_brine.encode_tags(tags[at:at + _TAGS_MAX]))

    def __iter__(self) -> Iterator[Key]:
        return self.keys()

    def __bool__(self) -> bool:
        return True

    def get_or_set(self, key: Key, factory: Callable[[], _R], ttl: TTL | types.EllipsisType | None = ..., *, stale: TTL | None = None,
                   wait: TTL | None = None, tags: Iterable[str] = (), lease: TTL | None = None) -> _R:
        """The value stored under key; where there is none, what factory() returns, which is stored.

        One caller on the machine computes; the others, in whatever process and thread, wait and get its value.
        If it raises, or its process ends, the next one computes. This always returns what is stored or
        what factory returned, or raises what factory raised: without a daemon everybody computes, and a result
        that cannot be kept (it cannot be pickled, is too large) is returned, with one warning for each factory.

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
                tags: Iterable[str] = ..., lease: TTL | None = ...) -> Callable[[Callable[_P, _R]], Memoized[_P, _R]]: ...

    def memoize(self, ttl: Any = ..., *, stale: TTL | None = None, wait: TTL | None = None,
                tags: Iterable[str] = (), lease: TTL | None = None) -> Any:
        """Decorates a function so that each call of equal arguments is computed once, by any process.

            @cache.memoize(ttl="1d")
            def report(year, *, detail=False): ...

        The key is made of the function's name, its code, and its arguments by content (None, bool, int, float,
        complex, str, bytes, tuple, list, dict, set, frozenset, dataclasses, enums, paths, dates and times,
        Decimal, UUID, numpy arrays); other arguments raise a TypeError. Changed code is a new key;
        changed globals and changed functions that it calls are not noticed, and what it closes over counts as it
        is when it is decorated. Of a method, self is an argument like the others. An exception is not stored.

        Of callers that miss at the same time, in whatever process and thread, one computes and the others
        wait for it: stale, wait, tags and lease are those of get_or_set, which says more.

        The decorated function has `cache_key(*args, **kwargs)`, `invalidate(*args, **kwargs)`, which
        forgets one call and says whether it was stored, and `__wrapped__`.
        """
        from ._compute import Terms
        from ._memoize import memoized  # with what it imports, as slow to load as all the rest

        if callable(ttl):
            return memoized(self, ttl, Terms(..., None, None, (), None))
        terms = Terms(ttl, stale, wait, tags, lease)
        return lambda function: memoized(self, function, terms)

    def stats(self) -> dict[str, dict[str, int | float | str]]:
        """Counters by scope and name: the daemon's under "", those of your namespaces under their names, and
        under "client" what this object counted."""
        scopes: dict[str, dict[str, int | float | str]] = {}
        for scope, name, value in self._stats():
            scopes.setdefault(scope, {})[name] = _number(value)
        scopes["client"] = dict(self._counts())
        return scopes

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _reopen, (type(self), self._arguments)

    def __repr__(self) -> str:
        return f"<brine.Cache {self.namespace!r}>"

    # What _brine.Client asks when something is not as usual.

    _ttl_ms = staticmethod(ttl_ms)

    def _failed(self, number: int, kind: int, name: str, message: str, doing: str) -> None:
        """Returns where the call goes on as after a miss."""
        asked, colon, rest = message.partition(": ")
        if colon and asked.isalpha() and asked.isupper():
            message = rest  # "PUT: ..." is the protocol's word for what `doing` says
        error = KINDS[kind](f"{doing}: {message}", number, name)
        unsupported = number == _UNSUPPORTED and doing in _READING
        if not unsupported:
            if not isinstance(error, Unavailable):
                raise error
            if self.on_error == "raise" or doing in _NEVER_A_MISS:
                raise error
        warn_once(("outage", name),
                  f"the program goes on without its cache for now: {message}")

    def _not_loaded(self, key: object, why: str, error: BaseException | None, codec: int,
                    writer_uid: int) -> None:
        if why == "stranger":
            warn_once((why, writer_uid),
                      f"what {user_of(writer_uid)} wrote into namespace {self.namespace!r} is a miss for "
                      f"{user_of(os.geteuid())}: a pickle runs code when it is loaded, so only those load it who "
                      "trust its writer, by Cache(trust=[...])")
        elif why == "broken":
            kind = type(error).__qualname__
            warn_once((why, kind, str(error)[:200]),
                      f"a stored value cannot be loaded and counts as a miss, key {_short(key)}: "
                      f"{kind}: {error}")
        elif why == "too new":
            version = f"{codec >> 16 & 0xFF}.{codec >> 24}"
            warn_once((why, version),
                      f"what Python {version} stored (pickle protocol {codec >> 8 & 0xFF}) is a miss "
                      f"for this older Python, key {_short(key)}")
        else:
            warn_once((why, codec),
                      f"a value of codec {codec & 0xFF} is a miss for this release of brine, "
                      f"key {_short(key)}")

    def _not_dumped(self, value: object, error: BaseException) -> NoReturn:
        raise Unpicklable(
            f"cannot store this {type(value).__qualname__}: {error}. Functions and classes must stand at the "
            "top level of a module, not in a function or a lambda; of open files, locks, connections and "
            "generators store the data that they were made from (or leave them out in __getstate__)"
        ) from error


def _reopen(cls: type[Cache], arguments: dict[str, Any]) -> Cache:
    return cls(**arguments)


class _NoNamespace(Refused, ValueError):
    """Refused before the daemon has to."""


def _check_namespace(name: object) -> None:
    """What holds a slash is for the daemon to answer: it knows what is declared, and where the data is."""
    if not isinstance(name, str):
        raise TypeError(f'namespace={name!r}: a name such as "web", not {type(name).__qualname__}')
    bare = name.translate(_IN_NAMES)
    if "/" not in name and (bare or not 1 <= len(name) <= 64 or name[0] in ".-"):
        raise _NoNamespace(f'namespace={name!r}: a namespace is named by 1 to 64 of A-Z, a-z, 0-9, "_", "." and "-", '
                           'the first of them a letter, a digit or "_"', 36, "BAD_NAMESPACE")


def _timeout_ms(timeout: float | None) -> int:
    if timeout is None or timeout == math.inf:
        return -1
    if not timeout > 0:
        raise ValueError(f"timeout={timeout!r}: seconds, more than zero, or None to wait for ever")
    return math.ceil(timeout * 1000)


def _number(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 80 else text[:77] + "..."
