"""The calls of one function as keys."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ._brine import encode_call, encode_run, encode_structure
from ._code import callable_digest, function_name, inner_function
from ._keys import CALL_FORMAT, TAG_CALL, EncodedKey

if TYPE_CHECKING:
    from ._memo import Options

NAME_MAX = 256  # bytes
_OF_METHODS = (". Of a method, self is an argument: give its class __brine_key__, leave it out with ignore=[\"self\"], "
               "or let it call a memoized function")


class _Global:
    """A global of the function's module that counts as if it were an argument; "settings.LIMIT" is one, too."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, *self.attributes = name.split(".")
        inner = inner_function(function)
        assert inner is not None
        self.names, self.module = inner.__globals__, inner.__module__

    def value(self) -> Any:
        if self.name not in self.names:
            raise TypeError(f"deps names {self.name!r}, which module {self.module} has not")
        value = self.names[self.name]
        for attribute in self.attributes:
            value = getattr(value, attribute)
        return value


class Calls:
    """Makes the keys of one function's calls (PROTOCOL.md, "Memoized calls")."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        inner = inner_function(function)
        assert inner is not None
        self.make, self.ignored = options.key, frozenset(options.ignore)
        self._take_signature(inspect.signature(function, follow_wrapped=False), inner.__qualname__)
        self.globals = [_Global(name, function) for name in options.deps if isinstance(name, str)]
        self.all_versions = bytes((TAG_CALL, CALL_FORMAT)) + encode_run(_bounded(function_name(inner)))
        """What the keys of all versions of this function begin with."""
        self.prefix = self.all_versions + callable_digest(
            function, options.deps, options.version, sorted(self.ignored), options.key)

    def _take_signature(self, signature: inspect.Signature, name: str) -> None:
        parameters = signature.parameters.values()
        kinds = [each.kind for each in parameters]
        for ignored in self.ignored - signature.parameters.keys():
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                raise TypeError(f"ignore={ignored!r}: {name} has no such parameter")
        # Positional arguments need no binding where there is nothing else to bind.
        plain = not self.ignored and all(kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds)
        self.signature = signature
        self.more = next((each.name for each in parameters if each.kind == each.VAR_KEYWORD), None)
        self.defaults = tuple(each.default for each in parameters if each.default is not each.empty)
        self.most = len(parameters) if plain else -1
        self.least = self.most - len(self.defaults)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments that count by the names of their parameters, all of them. TypeError: they do not fit."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        counting = {name: value for name, value in bound.arguments.items() if name not in self.ignored}
        if self.ignored and self.more in counting:
            counting[self.more] = {name: value for name, value in counting[self.more].items()
                                   if name not in self.ignored}
        return counting

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if self.make is not None:
            return self.make(*args, **kwargs),
        if not kwargs and self.least <= len(args) <= self.most:
            return args + self.defaults[len(args) - self.least:]
        return tuple(self._bound(args, kwargs).values())

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EncodedKey:
        """TypeError: the arguments do not fit the function, or one has no key."""
        values = self._values(args, kwargs)
        if self.globals:
            values = (*values, *(each.value() for each in self.globals))
        return encode_call(self.prefix, values, EncodedKey)

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: TypeError) -> None:
        """After a TypeError of key(): returns if the arguments do not fit the function, which says so itself when it is
        called. Otherwise raises error, with the argument's name where it is about one."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError:
            return
        if self.make is not None:
            raise error
        bound = self._bound(args, kwargs)
        for name, value in bound.items():
            try:
                encode_structure(value)
            except TypeError as why:
                method = name == "self" and name == next(iter(bound))
                raise TypeError(f"argument {name!r}: {why}" + (_OF_METHODS if method else "")) from None
        raise error


def _bounded(name: str) -> bytes:
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) <= NAME_MAX:
        return encoded
    return encoded[:NAME_MAX - 32] + hashlib.blake2b(encoded, digest_size=16).hexdigest().encode()
