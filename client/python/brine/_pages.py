"""Memory in large pages, for what is written piece by piece."""

from __future__ import annotations

import mmap
from pickle import PickleBuffer
from typing import Any, Final

LARGE_PAGE: Final = 2 << 20
SPARE: Final = 1 << 12
"""Beside the bytes that are expected: values that are alike differ a little in length."""


def _whole_pages(size: int) -> int:
    return -(-size // LARGE_PAGE) * LARGE_PAGE  # also the only sizes that the kernel puts where large pages begin


def _map(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, _whole_pages(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes: {error.strerror}") from None


class Pages:
    """A file in memory, as far as a pickler needs one. Raises MemoryError where there is no more."""

    def __init__(self, expected: int) -> None:
        self._end = 0
        try:
            self._memory = _map(expected + SPARE)
        except MemoryError:
            self._memory = _map(1)  # what is expected may be far more than what comes
        self._ask_for_large()

    def _ask_for_large(self) -> None:
        try:
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        except (AttributeError, OSError):
            pass  # a kernel that was built without them: small ones do

    def write(self, data: Any) -> int:
        """A pickler's frames are bytes; large buffers come as what holds them."""
        source = data.raw() if isinstance(data, PickleBuffer) else memoryview(data).cast("B")
        with source:
            end = self._end + source.nbytes
            if end > len(self._memory):
                self._grow(end)
            self._memory[self._end : end] = source
            self._end = end
            return source.nbytes

    def _grow(self, needed: int) -> None:
        try:
            self._memory.resize(_whole_pages(max(needed, 2 * len(self._memory))))
        except OSError as error:
            raise MemoryError(f"no memory for {needed} bytes: {error.strerror}") from None
        self._ask_for_large()

    def written(self) -> memoryview:
        """What was written; the memory goes with the last view of it."""
        return memoryview(self._memory)[: self._end]
