"""The calls of one function as keys."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

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


class _Binder:
    """Puts a call's arguments into the order of the parameters, defaults filled in: inspect.Signature.bind, which takes
    longer than a hit, for one function and with ignored parameters left out."""

    def __init__(self, signature: inspect.Signature, ignored: frozenset[str]) -> None:
        self.signature, self.ignored = signature, ignored
        parameters = list(signature.parameters.values())
        self.defaults = [self._default(each) for each in parameters]
        self.most = sum(each.kind <= each.POSITIONAL_OR_KEYWORD for each in parameters)
        self.places = {each.name: at for at, each in enumerate(parameters)
                       if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        kinds = [each.kind for each in parameters]
        self.rest = kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else -1
        self.more = kinds.index(inspect.Parameter.VAR_KEYWORD) if inspect.Parameter.VAR_KEYWORD in kinds else -1
        self.required = [at for at, default in enumerate(self.defaults) if default is inspect.Parameter.empty]
        self.kept = [at for at, each in enumerate(parameters) if each.name not in ignored]
        self.names = [parameters[at].name for at in self.kept]
        # Without all that, what is given by position only needs its defaults.
        self.plain = len(parameters) == self.most == len(self.kept)
        self.least = len(self.required)

    @staticmethod
    def _default(parameter: inspect.Parameter) -> Any:
        if parameter.kind == parameter.VAR_POSITIONAL:
            return ()
        return {} if parameter.kind == parameter.VAR_KEYWORD else parameter.default

    def values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """TypeError: they do not fit."""
        given = len(args)
        if self.plain and not kwargs and self.least <= given <= self.most:
            return (*args, *self.defaults[given:])
        values = [*args[:self.most], *self.defaults[min(given, self.most):]]
        fits = given <= self.most or self.rest >= 0
        if given > self.most and fits:
            values[self.rest] = args[self.most:]
        if not fits or kwargs and not self._take_named(values, min(given, self.most), kwargs):
            self.refuse(args, kwargs)
        for at in self.required:
            if values[at] is inspect.Parameter.empty:
                self.refuse(args, kwargs)
        return tuple([values[at] for at in self.kept])

    def _take_named(self, values: list[Any], given: int, kwargs: dict[str, Any]) -> bool:
        """False: one of them is no parameter, or was given by position already."""
        more = {}
        for name, value in kwargs.items():
            at = self.places.get(name, -1)
            if at >= given:
                values[at] = value
            elif at < 0 <= self.more:
                more[name] = value
            else:
                return False
        if more:
            values[self.more] = {name: value for name, value in more.items() if name not in self.ignored}
        return True

    def refuse(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NoReturn:
        self.signature.bind(*args, **kwargs)  # which raises, and says why
        raise TypeError("these arguments do not fit")


class Calls:
    """Makes the keys of one function's calls (PROTOCOL.md, "Memoized calls")."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        inner = inner_function(function)
        assert inner is not None
        ignored = frozenset(options.ignore)
        self.binder = _Binder(inspect.signature(function, follow_wrapped=False), ignored)
        for name in ignored - self.binder.signature.parameters.keys():
            if self.binder.more < 0:
                raise TypeError(f"ignore={name!r}: {inner.__qualname__} has no such parameter")
        self.values = self.binder.values if options.key is None else self._made
        self.make = options.key
        self.globals = [_Global(name, function) for name in options.deps if isinstance(name, str)]
        self.all_versions = bytes((TAG_CALL, CALL_FORMAT)) + encode_run(_bounded(function_name(inner)))
        """What the keys of all versions of this function begin with."""
        self.prefix = self.all_versions + callable_digest(
            function, options.deps, options.version, sorted(ignored), options.key)

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        assert self.make is not None
        return self.make(*args, **kwargs),

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EncodedKey:
        """TypeError: the arguments do not fit the function, or one has no key."""
        values = self.values(args, kwargs)
        if self.globals:
            values = (*values, *(each.value() for each in self.globals))
        return encode_call(self.prefix, values, EncodedKey)

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: TypeError) -> None:
        """After a TypeError of key(): returns if the arguments do not fit the function, which says so itself when it is
        called. Otherwise raises error, with the argument's name where it is about one."""
        try:
            self.binder.signature.bind(*args, **kwargs)
        except TypeError:
            return
        if self.make is not None:
            raise error
        for name, value in zip(self.binder.names, self.binder.values(args, kwargs)):
            try:
                encode_structure(value)
            except TypeError as why:
                method = name == "self" and name == self.binder.names[0]
                raise TypeError(f"argument {name!r}: {why}" + (_OF_METHODS if method else "")) from None
        raise error


def _bounded(name: str) -> bytes:
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) <= NAME_MAX:
        return encoded
    return encoded[:NAME_MAX - 32] + hashlib.blake2b(encoded, digest_size=16).hexdigest().encode()
