"""The sentinel that tells a miss from a stored None."""

from __future__ import annotations

import enum
from typing import Final


class Miss(enum.Enum):
    MISS = "MISS"

    def __repr__(self) -> str:
        return "brine.MISS"

    __str__ = __repr__


MISS: Final = Miss.MISS
"""What get(key, default=MISS) returns for a miss, and for nothing else."""
