"""When to run a statement again after an error, and after how long."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_DELAY = 0.02
"""Seconds. Most retries follow a deadlock or a lost race, which is over as soon as the winner has committed: a
commit took 1 to 20 ms under load (`scripts/bench.py`). The driver's own policy waits a whole second first."""

LONGEST_DELAY = 2.0
"""Seconds. Long enough for a leader election or a restart not to be hammered, short against the 30 s limit."""


def delays() -> Iterator[float]:
    """Seconds to wait before each further try, for ever: doubling, with full jitter so that rivals spread out."""
    ceiling = FIRST_DELAY
    while True:
        yield random.uniform(0, ceiling)
        ceiling = min(ceiling * 2, LONGEST_DELAY)
