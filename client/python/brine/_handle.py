"""What every kind of Cache is made of, and what it does when something is not as usual."""

from __future__ import annotations

import math
import operator
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NoReturn

from ._codecs import NUMBERS, CodecName, codec_name, codec_named
from ._errors import KINDS, Refused, Unavailable, Unpicklable, warn_once
from ._trust import trusted_uids, user_of
from ._ttl import TTL, ttl_ms

# Takes out of a namespace's name what it may hold.
_IN_NAMES: Final = str.maketrans(
    "", "", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")

_TIMEOUT_MAX_MS: Final = 2**53
_UNSUPPORTED: Final = 33  # errors.def
_OWN_ERRORS: Final = 128  # from here on libbrine says them, not the daemon
# Where a miss would be a wrong answer, an outage raises whatever on_error says.
_NEVER_A_MISS: Final = frozenset({
    "delete", "delete_many", "clear", "invalidate", "add", "cas", "incr", "pop", "setdefault", "sync", "scan", "stats", "ping"})
_READING: Final = frozenset({"get", "get_many", "get_or_set", "in"})


class Handle:
    """The arguments of a Cache, checked, and the methods that C calls when something is not as usual: _ttl_ms,
    _failed, _not_loaded, _not_dumped, _of_script. A class that derives from it derives from one of _brine's, too."""

    namespace: str
    on_error: Literal["miss", "raise"]
    codec: CodecName
    _arguments: dict[str, Any]

    def _settle(
        self,
        namespace: str | None,
        socket: str | os.PathLike[str] | None,
        ttl: TTL | None,
        codec: CodecName,
        trust: Iterable[str | int],
        timeout: float | None,
        on_error: Literal["miss", "raise"],
    ) -> dict[str, Any]:
        """Keeps them for pickling. Returns what the __init__ of _brine's class takes."""
        if on_error not in ("miss", "raise"):
            raise ValueError(f'on_error={on_error!r}: "miss" or "raise"')
        uids = trusted_uids(trust)
        self._arguments = {"namespace": namespace, "socket": socket, "ttl": ttl, "codec": codec, "trust": uids,
                           "timeout": timeout, "on_error": on_error}
        # Taken from the environment once, so that all connections of this object agree.
        if namespace is None:
            namespace = os.environ.get("BRINE_NAMESPACE") or "default"
        _check_namespace(namespace)
        path = os.environ.get("BRINE_SOCKET") or None if socket is None else _path(socket)
        self.namespace, self.on_error, self.codec = namespace, on_error, codec
        return {
            "namespace": namespace,
            "socket": None if path is None else os.path.abspath(path),
            "daemon": None,
            "timeout_ms": _timeout_ms(timeout),
            "ttl_ms": None if ttl is None else ttl_ms(ttl),
            "autostart": True,
            "trust": uids,
            "codec": tuple(codec_named(codec)),
        }

    # It stands for a store, which its contents do not make another one.

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _reopen, (type(self), self._arguments)

    # ---- what C asks

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
        # Absent, cut off and silent are stations of one outage; that the disk is full is another.
        warn_once(("outage", "away" if number >= _OWN_ERRORS else name),
                  f"the program goes on without its cache for now: {message}")

    def _not_loaded(self, key: object, why: str, error: BaseException | None, codec: int,
                    writer_uid: int) -> None:
        """It is a miss, and said once."""
        name, version = codec_name(codec), f"{codec >> 16 & 0xFF}.{codec >> 24}"
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
        elif why == "other python":
            ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
            bound = f"this older Python {ours}" if name == "pickle" else f"Python {ours}: it is for the same Python only"
            warn_once((why, name, version),
                      f"what Python {version} stored ({name}, protocol {codec >> 8 & 0xFF}) is a miss "
                      f"for {bound}, key {_short(key)}")
        elif NUMBERS.get(name, 0) not in (0, NUMBERS["text"], NUMBERS["integer"]):
            warn_once((why, self.codec, name),
                      f'what is stored as {name} is a miss for a Cache(codec="{self.codec}"), key {_short(key)}; '
                      f'a Cache(codec="{name}") loads it')
        else:
            warn_once((why, codec),
                      f"a value of {name if name.startswith('codec') else 'codec ' + name} is a miss for this release "
                      f"of brine, key {_short(key)}")

    def _of_script(self, name: str) -> None:
        """A pickle names it as __main__'s: what is called so is another module in each program."""
        warn_once(("script", name),
                  f"__main__.{name} is stored by this name, which only this script has: for every other program the value "
                  f'is a miss. Put {name} into a module of its own, or use Cache(codec="cloudpickle")')

    def _not_dumped(self, value: object, error: BaseException) -> NoReturn:
        code = "<lambda>" in str(error) or "<locals>" in str(error)
        if self.codec == "pickle" and code:
            way = ("A function or class is stored by its name: put it at the top level of a module, or use "
                   'Cache(codec="cloudpickle"), which stores its code')
        elif self.codec in ("pickle", "cloudpickle"):
            way = ("Of open files, locks, connections and generators store the data that they were made from, or leave "
                   "them out in __getstate__")
        else:
            way = f'Store it in the kinds that {self.codec} has, or use Cache(codec="pickle")'
        raise Unpicklable(f"cannot store this {type(value).__qualname__} as {self.codec}: {error}. {way}") from error


def _reopen(cls: type[Handle], arguments: dict[str, Any]) -> Handle:
    return cls(**arguments)


class _NoNamespace(Refused, ValueError):
    """Refused before the daemon has to."""


def _check_namespace(name: object) -> None:
    """What holds a slash is for the daemon to answer: it knows what is declared, and where the data is."""
    if not isinstance(name, str):
        raise TypeError(f'namespace={name!r}: a name such as "web", not {type(name).__qualname__}')
    bare = name.translate(_IN_NAMES)
    if "/" not in name and (bare or not 1 <= len(name) <= 64 or name[0] in ".-"):
        raise _NoNamespace(f'namespace={_short(name)}: a namespace is named by 1 to 64 of A-Z, a-z, 0-9, "_", "." and "-", '
                           'the first of them a letter, a digit or "_"', 36, "BAD_NAMESPACE")


def _path(socket: object) -> str:
    if not isinstance(socket, (str, bytes, os.PathLike)):
        raise TypeError(f"socket={socket!r:.80}: the path of a daemon's socket, not {type(socket).__qualname__}")
    path = os.fsdecode(socket)
    if not path or "\0" in path:
        raise ValueError(f"socket={socket!r:.80}: the path of a daemon's socket")
    return path


def negative(by: Any) -> int:
    """What decr gives to incr."""
    try:
        return -operator.index(by)
    except TypeError:
        raise TypeError(f"by={by!r:.80}: an int, not {type(by).__qualname__}") from None


def one_mapping(others: tuple[Any, ...]) -> Any:
    """What update() was given without a name, with items(), or None."""
    if len(others) > 1:
        raise TypeError(f"update() takes one mapping, or one list of pairs, and names; not {len(others)} of them")
    if not others or hasattr(others[0], "items"):
        return others[0] if others else None
    try:
        return Pairs([(key, value) for key, value in others[0]])
    except (TypeError, ValueError):
        raise TypeError(f"update() takes a mapping, or a list of pairs, not {others[0]!r:.80}") from None


class Pairs:
    """Pairs, as set_many takes them, of keys that a dict need not tell apart."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        self.pairs = pairs

    def items(self) -> list[tuple[Any, Any]]:
        return self.pairs


def _timeout_ms(timeout: float | None) -> int:
    if timeout is None or timeout == math.inf:
        return -1
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout={timeout!r}: seconds, or None to wait for ever, not {type(timeout).__qualname__}")
    if timeout * 1000 > _TIMEOUT_MAX_MS:
        raise ValueError(f"timeout={timeout!r}: that is too long; None waits for ever")
    if not timeout > 0:
        raise ValueError(f"timeout={timeout!r}: seconds, more than zero, or None to wait for ever")
    return math.ceil(timeout * 1000)


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 80 else text[:77] + "..."
