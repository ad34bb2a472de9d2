"""Fetches buckets: resumes held leases, repeats a request of unknown outcome, and backs off after a refusal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from dmcheck_cli import notices
from dmcheck_cli.backoff import between_requests
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.domain.verbs import Service
from dmcheck_cli.errors import DmcheckError, NothingToFetch, OverQuota, TooFast, Unjudged

REFUSALS = (NothingToFetch, OverQuota, TooFast, Unjudged)


class Fetcher:
    """What one client knows about its fetches. `at`: when the next one makes sense, on the clock of time.monotonic();
    `refusal`: why the last one got nothing, None if it got something; `once`: do not wait for more buckets."""

    def __init__(self, service: Service, once: bool, say: Callable[[str], None]) -> None:
        self.at = 0.0
        self.refusal: DmcheckError | None = None
        self._service = service
        self._once = once
        self._say = say
        self._said: type[DmcheckError] | None = None
        self._request: str | None = None  # of a fetch whose outcome is unknown
        self._backoff = between_requests()

    @property
    def exhausted(self) -> bool:
        """Whether no bucket waits, or none that this client may have. A client that was too fast only has to wait."""
        return isinstance(self.refusal, NothingToFetch | OverQuota | Unjudged)

    def resume(self) -> list[Lease]:
        """The leases that the client already holds."""
        try:
            return self._service.resume()
        except NothingToFetch:
            return []

    def fetch(self, count: int) -> list[Lease]:
        """Up to `count` buckets, or none.

        Raises Temporary; the next call then repeats the same request, so that no lease is lost.
        """
        repeated = self._request is not None
        self._request = self._request or os.urandom(16).hex()
        try:
            found = self._service.fetch(count, self._request)
        except REFUSALS as refusal:
            self._request = None
            # A repeated request may be empty because its leases have ended; other buckets may still be waiting.
            if not (repeated and isinstance(refusal, NothingToFetch)):
                self._refused(refusal)
            return []
        self._request = self.refusal = None
        if notices.records():
            for lease in found:
                known: dict[str, Any] = {"bucket": lease.bucket, "lease": lease.lease, "users": len(lease.users)}
                self._say(notices.Event(f"bucket {lease.bucket}: fetched", "fetched", **known))
        # A client that may hold less than it wants is refused after each bucket; this is reported only the first time.
        if self._said is not OverQuota or len(found) == count:
            self._said = None
        return found

    def pause(self, retry_after: float | None = None) -> None:
        """Postpone the next fetch, longer each time."""
        self.at = time.monotonic() + self._backoff.delay(retry_after)

    def postpone(self, until: float) -> None:
        """Fetch nothing before `until`, on the clock of time.monotonic(); what waits then is another question."""
        self.refusal = None
        self.at = max(self.at, until)

    def freed(self, accepted: int) -> None:
        """Leases have ended, `accepted` of them with answers: a client that was at its limit can lease others."""
        if accepted:
            self._backoff.reset()
        if isinstance(self.refusal, OverQuota):
            self.refusal = None
            self.at = 0.0

    def settle(self) -> list[Lease]:
        """The leases of a fetch whose answer never arrived."""
        if self._request is None:
            return []
        try:
            return self._service.fetch(1, self._request)
        except REFUSALS:
            return []

    def _refused(self, refusal: DmcheckError) -> None:
        news = type(refusal) is not self._said and not (
            self._once and isinstance(refusal, NothingToFetch | OverQuota | Unjudged)
        )
        if news or notices.records():
            again = refusal.retry_after
            self._say(notices.Event(refusal.message, "refused", reason=refusal.code, retry_after=again))
        self._said = type(refusal)
        self.refusal = refusal
        self.pause(refusal.retry_after)
