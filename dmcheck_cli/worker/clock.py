"""Tells when this machine slept: the wall clock has then moved, and the monotonic one has not."""

from __future__ import annotations

import time
from collections.abc import Callable

GAP = 5.0
"""Seconds by which the clocks must part. A clock that is set does no harm: leases are renewed once more."""


class Clock:
    """Whether the machine slept, or the process was stopped, since `settle` was last called."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._continued = False
        self._offset = 0.0
        self.settle()

    def jumped(self) -> bool:
        """True from a sleep on until `settle`."""
        return self._continued or abs(self._wall() - self._monotonic() - self._offset) > GAP

    def continued(self) -> None:
        """The process was stopped, for a time that no clock tells."""
        self._continued = True

    def settle(self) -> None:
        """What a sleep may have changed is known."""
        self._continued = False
        self._offset = self._wall() - self._monotonic()
