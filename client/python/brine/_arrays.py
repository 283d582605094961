"""numpy's arrays and scalars by content: dtype, shape, and the items in C order, however they lie in memory."""

from __future__ import annotations

from typing import Any

import numpy

from ._brine import encode_run, encode_structure
from ._registry import Encode
from ._structure import no_structure

# Kinds of dtype whose bytes are their content: of bool, numbers and times, and of texts of one size.
_NUMBERS, _BYTES = "biufcmM", "SU"


def encode_array(value: Any) -> bytes:
    """Equal also for a view, a transposed copy and a memmap. Copies an array that is not C-contiguous."""
    return b"a" + encode_structure(tuple(map(int, value.shape))) + _items(value)


def _items(value: Any) -> bytes:
    dtype = value.dtype
    if dtype.names is not None:  # what lies between the fields is anything
        parts = [b"r", encode_structure(len(dtype.names))]
        for name in dtype.names:
            parts.append(encode_structure(name) + encode_array(value[name]))
        return b"".join(parts)
    if dtype.kind in _NUMBERS and dtype.char not in "gG":
        return b"n" + encode_structure(dtype.str) + encode_run(_bytes_of(value), True)
    if dtype.kind in _BYTES:
        return b"n" + encode_structure(dtype.str) + encode_run(_bytes_of(value))
    if dtype.hasobject:
        return b"o" + encode_structure(value.ravel().tolist())
    raise TypeError(f"memoize has no key by content for an array of dtype {dtype}: pass it as one that has, such as by "
                    'astype("f8")')


def _bytes_of(value: Any) -> Any:
    flat = numpy.ascontiguousarray(value).reshape(-1)
    return flat.view(numpy.uint8) if flat.nbytes else b""


def _scalar(value: Any) -> bytes:
    return b"g" + encode_array(numpy.asarray(value))


def _derived(value: Any) -> bytes:  # it means more than its items, such as a mask
    raise no_structure(value)


def array_way(cls: type) -> Encode | None:
    if cls is numpy.ndarray or cls is numpy.memmap:
        return encode_array
    if issubclass(cls, numpy.ndarray):
        return _derived
    return _scalar if issubclass(cls, numpy.generic) else None
