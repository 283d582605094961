"""items() and values() of a cache: read in batches, while others go on changing it."""

from __future__ import annotations

import itertools
from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, Any

from ._keys import EncodedKey, Key, decode_key

if TYPE_CHECKING:
    from ._cache import Cache

# Values in memory at a time: each may have max_value.
_BATCH = 32


def _pairs(cache: Cache) -> Iterator[tuple[EncodedKey, Any]]:
    """What was removed since its key was found, or cannot be loaded, is left out."""
    encoded = cache._scan(b"")
    while batch := [EncodedKey(key) for key in itertools.islice(encoded, _BATCH)]:
        # By their encodings: to a dict, 1, 1.0 and True are one.
        yield from cache.get_many(batch).items()


class Items(ItemsView[Key, Any]):
    _mapping: Cache

    def __iter__(self) -> Iterator[tuple[Key, Any]]:
        for key, value in _pairs(self._mapping):
            yield decode_key(key.encoded), value


class Values(ValuesView[Any]):
    _mapping: Cache

    def __iter__(self) -> Iterator[Any]:
        for _, value in _pairs(self._mapping):
            yield value

    def __contains__(self, value: object) -> bool:
        return any(found is value or found == value for found in self)
