"""How long to wait before asking again, when there is nothing or the database is away."""

from __future__ import annotations

import random

FIRST = 1.0
"""Seconds. The statements' own retries (database/retry.py) have taken care of anything shorter."""

LONGEST = 60.0
"""Seconds. Buckets are made every few minutes: a minute more is not felt, and a thousand idle clients then ask
the database about 33 times a second."""


class Backoff:
    """Exponential, with full jitter, from `first` up to LONGEST seconds."""

    def __init__(self, first: float = FIRST) -> None:
        self._first = self._ceiling = min(max(first, FIRST), LONGEST)

    def delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait now; never less than `retry_after`, on top of which the jitter spreads the clients."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, LONGEST)
        return (retry_after or 0.0) + random.uniform(0, ceiling)

    def reset(self) -> None:
        """All is well again: the next delay is a short one."""
        self._ceiling = self._first
