"""How long to wait before the next try: exponential, with full jitter, so that rivals spread out."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds, drawn from 0 up to a ceiling that doubles from `first` to `maximum`."""

    def __init__(self, first: float, maximum: float) -> None:
        self._first = self._ceiling = min(first, maximum)
        self._maximum = maximum

    def delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait now; never less than `retry_after`, on top of which the jitter spreads the clients."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, self._maximum)
        return (retry_after or 0.0) + random.uniform(0, ceiling)

    def reset(self) -> None:
        """All is well again: the next delay is a short one."""
        self._ceiling = self._first


def between_tries() -> Backoff:
    """For a statement that failed or lost a race.

    Most retries follow a deadlock or a lost race, which is over as soon as the winner has committed: a commit took 1 to
    20 ms under load (`scripts/bench.py`), where the driver's own policy waits a whole second first. Two seconds spare
    the server during a leader election or a restart, and are short against the limit of 30.
    """
    return Backoff(0.02, 2.0)


def between_requests(first: float = 1.0) -> Backoff:
    """For a client that got nothing, or whose database is away: from `first` seconds up to a minute.

    Anything shorter than a second, `between_tries` has taken care of. Buckets are made every few minutes: a minute more
    is not felt, and a thousand idle clients then ask the database about 33 times a second.
    """
    return Backoff(max(first, 1.0), 60.0)
