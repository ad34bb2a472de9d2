"""Fetcher for buckets: what is held already, by which request, and when again after one that got nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from dmcheck_cli.backoff import between_requests
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.errors import DmcheckError, NothingToFetch, OverQuota, TooFast
from dmcheck_cli.service import Service

REFUSALS = (NothingToFetch, OverQuota, TooFast)


class Fetcher:
    """What one client knows of its fetches. `at`: when the next makes sense, on the clock of time.monotonic();
    `refusal`: why the last one got nothing, None if it got something; `once`: nobody waits for more buckets."""

    def __init__(self, service: Service, once: bool, say: Callable[[str], None]) -> None:
        self.at = 0.0
        self.refusal: DmcheckError | None = None
        self._service = service
        self._once = once
        self._say = say
        self._said: type[DmcheckError] | None = None
        self._request: str | None = None  # of a fetch whose outcome is not known
        self._backoff = between_requests()

    @property
    def exhausted(self) -> bool:
        """Whether nothing waits, or nothing that this client may have. Who was too fast has only to wait."""
        return isinstance(self.refusal, NothingToFetch | OverQuota)

    def resume(self) -> list[Lease]:
        """What the client holds from before."""
        try:
            return self._service.resume()
        except NothingToFetch:
            return []

    def fetch(self, count: int) -> list[Lease]:
        """Up to `count` buckets, or none.

        Raises Temporary: the next call then asks by the same request, so that nothing is leased in vain.
        """
        repeated = self._request is not None
        self._request = self._request or os.urandom(16).hex()
        try:
            found = self._service.fetch(count, self._request)
        except REFUSALS as refusal:
            self._request = None
            # Of a repeated request nothing may be left because its leases have ended: others may wait all the same.
            if not (repeated and isinstance(refusal, NothingToFetch)):
                self._refused(refusal)
            return []
        self._request = self.refusal = None
        # Who may hold less than it wants is refused after each bucket; it is told when that begins.
        if self._said is not OverQuota or len(found) == count:
            self._said = None
        return found

    def pause(self, retry_after: float | None = None) -> None:
        """Ask later, each time later than the time before."""
        self.at = time.monotonic() + self._backoff.delay(retry_after)

    def freed(self, accepted: int) -> None:
        """Leases have ended, `accepted` of them with answers: who held all that it may hold can have others."""
        if accepted:
            self._backoff.reset()
        if isinstance(self.refusal, OverQuota):
            self.refusal = None
            self.at = 0.0

    def settle(self) -> list[Lease]:
        """What a fetch leased whose answer never came."""
        if self._request is None:
            return []
        try:
            return self._service.fetch(1, self._request)
        except REFUSALS:
            return []

    def _refused(self, refusal: DmcheckError) -> None:
        news = type(refusal) is not self._said and not (self._once and isinstance(refusal, NothingToFetch | OverQuota))
        if news:
            self._say(refusal.message)
        self._said = type(refusal)
        self.refusal = refusal
        self.pause(refusal.retry_after)
