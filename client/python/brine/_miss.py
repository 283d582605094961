"""The sentinel that tells a miss from a stored None."""

from __future__ import annotations

import enum
from typing import Final


class Miss(enum.Enum):
    MISS = "MISS"

    def __repr__(self) -> str:
        return "brine.MISS"

    def __str__(self) -> str:
        return repr(self)


MISS: Final = Miss.MISS
"""What get(key, default=MISS) returns for a miss, and for nothing else."""
