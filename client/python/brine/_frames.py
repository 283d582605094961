"""pandas' frames, series and indexes by content: columns, index, dtypes and names. Not by their pickled state, in
which the layout of their blocks and what they were cut out of differ between equal ones."""

from __future__ import annotations

from typing import Any

import numpy
import pandas  # type: ignore[import]

from ._arrays import encode_array
from ._brine import encode_structure
from ._registry import Encode
from ._structure import no_structure

_MASKED = "biuf"  # kinds of what an array with a mask holds


def _array(values: Any) -> bytes:
    """One of pandas' own arrays."""
    dtype = values.dtype
    name = encode_structure(str(dtype))
    if isinstance(dtype, pandas.CategoricalDtype):
        return (b"C" + encode_structure(bool(dtype.ordered)) + _index(dtype.categories)
                + encode_array(numpy.asarray(values.codes)))
    if isinstance(dtype, pandas.DatetimeTZDtype):
        return b"Z" + name + encode_array(numpy.asarray(values, dtype=f"M8[{dtype.unit}]"))
    if isinstance(dtype, pandas.PeriodDtype):
        return b"P" + name + encode_array(numpy.asarray(values.asi8))
    if isinstance(dtype, pandas.IntervalDtype):
        return b"I" + name + _index(values.left) + _index(values.right)
    missing = numpy.asarray(values.isna())
    numbers = getattr(dtype, "numpy_dtype", None)
    if numbers is not None and numbers.kind in _MASKED:  # what lies behind the mask is anything
        return b"M" + name + encode_array(missing) + encode_array(values.to_numpy(numbers, na_value=0))
    # Whatever it is called: texts, Arrow's types, and other people's.
    return b"E" + name + encode_array(missing) + encode_array(numpy.asarray(values, dtype=object)[~missing])


def _column(values: Any) -> bytes:
    """What a series or a plain index holds."""
    if isinstance(values.dtype, numpy.dtype):
        return encode_array(values.to_numpy())
    return _array(values.array)


def _index(value: Any) -> bytes:
    """Equal also for a range and for the numbers that it stands for."""
    names = encode_structure(list(value.names))
    if isinstance(value, pandas.MultiIndex):
        levels = [_column(value.get_level_values(level)) for level in range(value.nlevels)]
        return b"m" + names + encode_structure(len(levels)) + b"".join(levels)
    # A function may ask for the frequency of times.
    return b"i" + names + encode_structure(getattr(value, "freqstr", None)) + _column(value)


def _series(value: Any) -> bytes:
    return b"S" + encode_structure(value.name, value.attrs) + _index(value.index) + _column(value)


def _frame(value: Any) -> bytes:
    columns = [_column(value.iloc[:, at]) for at in range(value.shape[1])]
    return b"W" + encode_structure(value.attrs) + _index(value.index) + _index(value.columns) + b"".join(columns)


def _whole_index(value: Any) -> bytes:
    return b"I" + _index(value)


def _whole_array(value: Any) -> bytes:
    return b"J" + _array(value)


def _derived(value: Any) -> bytes:  # it means more than its columns
    raise no_structure(value)


def frame_way(cls: type) -> Encode | None:
    if cls is pandas.DataFrame:
        return _frame
    if cls is pandas.Series:
        return _series
    if issubclass(cls, pandas.Index) and cls.__module__.startswith("pandas."):
        return _whole_index
    if issubclass(cls, pandas.api.extensions.ExtensionArray) and cls.__module__.startswith("pandas."):
        return _whole_array
    if issubclass(cls, (pandas.DataFrame, pandas.Series, pandas.Index)):
        return _derived
    return None
