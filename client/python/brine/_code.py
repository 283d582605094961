"""What a function is, so that changed code is a new key: its source without comments, else its bytecode.

What it closes over counts as it is when the function is decorated. Globals and the functions that it calls
do not count.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import sys
import textwrap
import tokenize
import types
from typing import Any

from ._cache import LOADED
from ._structure import encode_structure, module_name, put_length, put_run, put_structure

DIGEST = 16
_LAYOUT = {tokenize.INDENT: "\1", tokenize.DEDENT: "\2", tokenize.NEWLINE: "\n"}
_IGNORED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER)


def function_name(function: types.FunctionType) -> str:
    return f"{module_name(function.__module__ or '', function.__globals__)}:{function.__qualname__}"


def _significant(source: str) -> list[str]:
    """The tokens that make the function, from `def` on: neither comments nor decorators."""
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


def _source_of(code: types.CodeType) -> list[str] | None:
    """None where the source cannot be had, or may not be that of this code."""
    try:
        if os.stat(code.co_filename).st_ctime >= LOADED:
            return None
    except OSError:
        pass  # a notebook's cell or a zip file: linecache has its lines
    try:
        tokens = _significant(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, IndentationError, tokenize.TokenError, IndexError):
        return None
    # A lambda's line may hold two of them; a made-up file name may lead anywhere.
    return tokens if tokens[:2] == ["def", code.co_name] else None


def _put_bytecode(out: bytearray, code: types.CodeType) -> None:
    for part in (code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars,
                 code.co_cellvars, code.co_argcount, code.co_posonlyargcount,
                 code.co_kwonlyargcount, code.co_flags):
        put_structure(out, part)
    put_run(out, getattr(code, "co_exceptiontable", b""))
    _put_constants(out, code.co_consts)


def _put_constants(out: bytearray, constants: tuple[Any, ...]) -> None:
    put_length(out, len(constants))
    for constant in constants:
        if isinstance(constant, types.CodeType):
            out += b"C"
            _put_bytecode(out, constant)
        elif constant is ...:
            out += b"."
        elif type(constant) is tuple:
            out += b"("
            _put_constants(out, constant)
        else:
            put_structure(out, constant)


def _put_code(out: bytearray, code: types.CodeType) -> None:
    source = _source_of(code)
    if source is not None:
        out += b"S"
        put_run(out, "\0".join(source).encode("utf-8", "surrogatepass"))
    else:
        out += b"B" + encode_structure(sys.implementation.cache_tag)
        _put_bytecode(out, code)


def _put_captured(out: bytearray, value: Any, inside: list[types.FunctionType]) -> None:
    """What a function closes over: what arguments may be, and by name what is code itself."""
    wrapper, function = getattr(value, "__brine_memoized__", (None, None))
    if wrapper is value:  # not so in a decorator that copied the attributes of one
        value = function
    if isinstance(value, types.FunctionType) and value in inside:
        out += b"^"  # it calls itself
        put_length(out, inside.index(value))
    elif isinstance(value, types.FunctionType):
        out += b"f" + encode_structure(function_name(value), value.__defaults__, value.__kwdefaults__)
        _put_function(out, value, inside)
    elif isinstance(value, type):
        out += b"t" + encode_structure(value.__module__, value.__qualname__)
    elif isinstance(value, types.ModuleType):
        out += b"m" + encode_structure(value.__name__)
    elif isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, types.ModuleType):
        out += b"b" + encode_structure(value.__module__, value.__qualname__)
    else:
        put_structure(out, value)


def _put_function(out: bytearray, function: types.FunctionType, inside: list[types.FunctionType]) -> None:
    inside = [*inside, function]
    _put_code(out, function.__code__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:
            out += b"-"  # bound later
            continue
        out += b"+"
        try:
            _put_captured(out, value, inside)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__} uses {name} of the function around it, which is no part "
                            f"of a key: {error}; pass it as an argument instead") from None


def function_digest(function: types.FunctionType) -> bytes:
    out = bytearray()
    _put_function(out, function, [])
    return hashlib.blake2b(out, digest_size=DIGEST).digest()
