"""What a function is, so that changed code is a new key: its source without comments, else its bytecode and the
version of Python.

Docstrings count: there are programs that read them. So does what a function closes over, as it is at that moment.
Globals and the functions that it calls do not count.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import os
import sys
import textwrap
import threading
import tokenize
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ._brine import encode_run, encode_structure
from ._cache import LOADED
from ._structure import encode_length, encode_name, module_name

DIGEST = 16
_TICK = 0.01  # seconds by which the times of files lag behind the clock
_LAYOUT = {tokenize.INDENT: "\1", tokenize.DEDENT: "\2", tokenize.NEWLINE: "\n"}
_IGNORED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER)


def inner_function(function: Any) -> types.FunctionType | None:
    """The function that a partial or a bound method calls in the end. None: it is not written in Python."""
    while not isinstance(function, types.FunctionType):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        else:
            return None
    return function


def function_name(function: types.FunctionType) -> str:
    return f"{module_name(function.__module__ or '', function.__globals__)}:{function.__qualname__}"


def _significant(source: str) -> list[str]:
    """The tokens that make it, from `def` on: neither comments nor its own decorators."""
    tokens: list[str] = []
    line_start, decorator, begun = True, False, False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _IGNORED:
            continue
        if line_start and not begun:
            decorator = token.string == "@"
            begun = not decorator
        line_start = token.type == tokenize.NEWLINE
        if not decorator:
            tokens.append(_LAYOUT.get(token.type, token.string))
    return tokens


def _may_have_changed(file: str | None) -> bool:
    """Since it was loaded."""
    try:
        return file is not None and os.stat(file).st_ctime >= LOADED - _TICK
    except OSError:
        return False  # a notebook's cell or a zip file: linecache has its lines


def _source_of(code: types.CodeType) -> list[str] | None:
    """None where the source cannot be had, or may not be that of this code."""
    if _may_have_changed(code.co_filename):
        return None
    try:
        tokens = _significant(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, IndentationError, tokenize.TokenError, IndexError):
        return None
    # A lambda's line may hold two of them; a made-up file name may lead anywhere.
    begin = tokens[1:3] if tokens[:1] == ["async"] else tokens[:2]
    return tokens if begin == ["def", code.co_name] else None


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=DIGEST).digest()


def _bytecode(code: types.CodeType) -> bytes:
    numbers = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return b"".join((
        encode_structure(code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars,
                         code.co_cellvars, numbers, getattr(code, "co_exceptiontable", b"")),
        encode_length(len(code.co_consts)), *map(_constant, code.co_consts)))


def _constant(constant: Any) -> bytes:
    if isinstance(constant, types.CodeType):
        return b"C" + _bytecode(constant)
    if type(constant) is tuple:
        return b"(" + encode_length(len(constant)) + b"".join(map(_constant, constant))
    return encode_structure(constant)


# By the id of a code object: reading and cutting up source takes a while, and an equal one may have another source.
_codes: dict[int, tuple[weakref.ref[types.CodeType], bytes]] = {}


def _code_digest(code: types.CodeType) -> bytes:
    known = _codes.get(id(code))
    if known is not None and known[0]() is code:
        return known[1]
    source = _source_of(code)
    if source is not None:
        digest = _digest(b"S", "\0".join(source).encode("utf-8", "surrogatepass"))
    else:
        digest = _digest(b"B", encode_structure(sys.implementation.cache_tag), _bytecode(code))

    def forget(_: object, at: int = id(code)) -> None:
        _codes.pop(at, None)

    _codes[id(code)] = weakref.ref(code, forget), digest
    return digest


# ---- functions with what they close over


class _Inside(threading.local):
    """The functions that are being encoded in this thread, outermost first."""

    def __init__(self) -> None:
        self.functions: list[types.FunctionType] = []


_inside = _Inside()


def _cell(function: types.FunctionType, name: str, cell: types.CellType) -> bytes:
    try:
        value = cell.cell_contents
    except ValueError:
        return b"-"  # bound later
    try:
        return b"+" + encode_structure(value)
    except TypeError as error:
        raise TypeError(f"{function.__qualname__} uses {name} of the function around it, which is no part "
                        f"of a key: {error}; or pass it as an argument") from None


def _code_and_cells(function: types.FunctionType) -> bytes:
    code = function.__code__
    _inside.functions.append(function)
    try:
        cells = [_cell(function, name, cell) for name, cell in zip(code.co_freevars, function.__closure__ or ())]
    finally:
        _inside.functions.pop()
    return _code_digest(code) + b"".join(cells)


def encode_function(value: types.FunctionType) -> bytes:
    """A function as an argument, or in one."""
    wrapper, memoized = getattr(value, "__brine_memoized__", (None, None))
    if wrapper is value:  # not so in a decorator that copied the attributes of one
        return encode_structure(memoized)
    if value in _inside.functions:
        return b"^" + encode_length(_inside.functions.index(value))  # it calls itself
    return (b"L" + encode_run(function_name(value).encode("utf-8", "surrogatepass"))
            + encode_structure(value.__defaults__, value.__kwdefaults__) + _code_and_cells(value))


# ---- what a memoized function is


def _whole_source(value: type | types.ModuleType) -> bytes | None:
    """The tokens of a class or module, digested. None: as in _source_of."""
    try:
        if _may_have_changed(inspect.getsourcefile(value)):
            return None
        tokens = _significant(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError, IndentationError, tokenize.TokenError):
        return None
    return b"S" + _digest("\0".join(tokens).encode("utf-8", "surrogatepass"))


def _functions_of(value: type | types.ModuleType) -> Iterator[tuple[str, types.FunctionType]]:
    module = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
    for name, member in sorted(vars(value).items()):
        member = getattr(member, "fget", member) if isinstance(member, property) else getattr(member, "__func__", member)
        if isinstance(member, types.FunctionType) and member.__module__ == module:
            yield name, member
        elif isinstance(member, type) and member is not value and member.__module__ == module and isinstance(value, types.ModuleType):
            yield from ((f"{name}.{inner}", function) for inner, function in _functions_of(member))


def _whole_code(value: type | types.ModuleType) -> bytes:
    """The source of a class or module, or the bytecode of the functions in it."""
    source = _whole_source(value)
    if source is not None:
        return source
    functions = [encode_structure(name) + _code_digest(function.__code__) for name, function in _functions_of(value)]
    if not functions:
        raise TypeError(f"deps: {value.__name__} has no code written in Python to compare; name a value instead, such as its "
                        "version")
    return b"F" + b"".join(functions)


def _dependency(value: Any) -> bytes:
    """Here the code of classes and modules counts, not their names alone."""
    if isinstance(value, type):
        return b"y" + encode_name(value) + _whole_code(value)
    if isinstance(value, types.ModuleType):
        version = getattr(value, "__version__", None)
        known = encode_structure(version) if isinstance(version, str) else _whole_code(value)
        return b"v" + encode_structure(value.__name__) + known
    try:
        return encode_structure(value)
    except TypeError as error:
        raise TypeError(f"deps: {error}") from None


def _bound_to(function: Any) -> Iterator[tuple[str, Any]]:
    """What a partial or a bound method brings along, by name."""
    while not isinstance(function, types.FunctionType):
        if isinstance(function, types.MethodType):
            yield "self", function.__self__
            function = function.__func__
        else:
            yield from ((f"argument {at + 1}", value) for at, value in enumerate(function.args))
            yield from ((f"argument {name!r}", value) for name, value in function.keywords.items())
            function = function.func


def _itself(function: Callable[..., Any], inner: types.FunctionType) -> bytes:
    if isinstance(function, types.FunctionType):
        return b"L" + _code_and_cells(function)  # its defaults are arguments
    for name, value in _bound_to(function):
        try:
            encode_structure(value)
        except TypeError as error:
            raise TypeError(f"{inner.__qualname__} is bound to {name}, which is no part of a key: {error}") from None
    return encode_structure(function)


def callable_digest(function: Callable[..., Any], deps: Iterable[Any], *more: Any) -> bytes:
    """What tells the versions of a memoized function apart. deps: names and objects. TypeError: it closes over
    something, or is bound to something, that has no key, and its name; or a dependency has none."""
    inner = inner_function(function)
    assert inner is not None
    others = [_dependency(value) for value in deps]
    return _digest(_itself(function, inner), encode_length(len(others)), *others, encode_structure(*more))
