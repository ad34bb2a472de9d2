"""How long to wait before the next try: exponential, with full jitter, so that rivals spread out."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds, drawn from 0 up to a ceiling that doubles from `first` to `maximum`."""

    def __init__(self, first: float, maximum: float) -> None:
        self._first = self._ceiling = min(first, maximum)
        self._maximum = maximum

    def delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait now: at least `retry_after`, plus jitter that spreads the clients."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, self._maximum)
        return (retry_after or 0.0) + random.uniform(0, ceiling)

    def reset(self) -> None:
        """After a success: the next delay is short again."""
        self._ceiling = self._first


def between_tries() -> Backoff:
    """For a statement that failed or lost a race.

    Most retries follow a deadlock or a lost race, which ends when the winner commits: after 1 to 20 ms under load
    (`scripts/bench.py`). The driver's own policy waits a whole second first. The maximum of two seconds spares the
    server during a leader election or a restart, and is short compared with the limit of 30.
    """
    return Backoff(0.02, 2.0)


def between_requests(first: float = 1.0) -> Backoff:
    """For a client that got nothing, or whose database is unreachable: from `first` seconds up to a minute.

    `between_tries` covers waits below a second. Buckets are made every few minutes, so one more minute is not noticed,
    and a thousand idle clients then query the database about 33 times per second.
    """
    return Backoff(max(first, 1.0), 60.0)


def between_connections() -> Backoff:
    """For a client whose connection to a gate was lost: when the gate restarts, all have lost theirs. A log-in costs
    its host some 20 ms of a processor, so a thousand that came back at once would take it 20 s."""
    return Backoff(1.0, 8.0)
