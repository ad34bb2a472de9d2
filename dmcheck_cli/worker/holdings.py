"""The leases we hold: renewed while they are needed, submitted or released when they are not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from dmcheck_cli.domain.model import Answered, Lease
from dmcheck_cli.errors import LeaseLost, NotOwner, UnknownBucket
from dmcheck_cli.service import Service
from dmcheck_cli.worker.pool import HeldLease, Pool
from dmcheck_cli.worker.summary import Summary

MIN_RENEWAL_SECONDS = 1.0
"""The fewest seconds between two renewals, however short leases are."""

GONE = (LeaseLost, UnknownBucket, NotOwner)


class Holdings:
    """All leases held, grouped by what is to be done with them. Use it from one thread only.

    `freed` is called when leases have ended, with the number whose answers were accepted. If `renew` or `hand_in`
    raises Temporary, it can be called again and continues where it stopped.
    """

    def __init__(
        self, service: Service, pool: Pool, summary: Summary, say: Callable[[str], None], freed: Callable[[int], None]
    ) -> None:
        self.busy: dict[str, HeldLease] = {}  # by lease: given to the pool, not yet back
        self.answered: list[HeldLease] = []  # to be submitted
        self.unanswered: list[HeldLease] = []  # to be released
        self._parked: dict[str, HeldLease] = {}  # by lease: held, but not to be worked on in this run
        self._service = service
        self._pool = pool
        self._summary = summary
        self._say = say
        self._freed = freed

    @property
    def waits(self) -> bool:
        """Whether any lease is waiting to be submitted or released."""
        return bool(self.answered or self.unanswered)

    def begin(self, lease: Lease, renew_at: float) -> None:
        """Have the pool work on it."""
        held = self.busy[lease.lease] = HeldLease(lease, renew_at)
        self._pool.put(held)

    def park(self, lease: Lease, renew_at: float) -> None:
        """Hold it so that it is not leased again at once; it is released at the end."""
        self._parked[lease.lease] = HeldLease(lease, renew_at)

    def give_back(self, found: Iterable[Lease]) -> None:
        """Queue these for release."""
        self.unanswered += [HeldLease(lease, math.inf) for lease in found]

    def give_back_all(self) -> None:
        """Queue everything unanswered for release; the pool has ended."""
        # A lease taken at the instant of the stop may never have reached the pool.
        self.unanswered += [held for held in self.busy.values() if not held.dropped]
        self.unanswered += self._parked.values()
        self.busy, self._parked = {}, {}

    def due(self) -> float:
        """When the next renewal is due."""
        return min((held.renew_at for held in self._kept()), default=math.inf)

    def renew(self) -> None:
        """Renew what is due; end the COMMAND of any lease that is no longer ours."""
        for held in self._kept():
            if held.renew_at > time.monotonic():
                continue
            renew_at = next_renewal(self._service)
            try:
                self._service.renew(held.lease.bucket, held.lease.lease)
                held.renew_at = renew_at
            except GONE as gone:
                self._parked.pop(held.lease.lease, None)
                self._pool.drop(held)
                self._lost(held, gone.code)

    def hand_in(self) -> None:
        """Submit what is answered, release what is not."""
        if self.answered:
            handed = [Answered(x.lease.bucket, x.lease.lease, x.conversation.answers) for x in self.answered]
            reports = self._service.submit(handed)
            accepted = 0
            for held, report in zip(self.answered, reports, strict=True):
                if report.status == "refused":
                    self._lost(held, str(report.reason))
                    continue
                accepted += 1
                self._summary.buckets += 1
                self._summary.users += report.accepted
                self._say(f"bucket {held.lease.bucket}: {report.accepted} of {len(held.lease.users)} users answered")
            self.answered = []
            self._freed(accepted)
        while self.unanswered:
            self._release(self.unanswered[0])
            del self.unanswered[0]
            self._freed(0)

    def _kept(self) -> list[HeldLease]:
        """All leases to renew. COMMAND is bounded by its timeout, so renewing is bounded, too."""
        return [held for held in (*self.busy.values(), *self._parked.values()) if not held.dropped]

    def _release(self, held: HeldLease) -> None:
        try:
            self._service.release(held.lease.bucket, held.lease.lease)
        except GONE as gone:
            self._lost(held, gone.code)

    def _lost(self, held: HeldLease, reason: str) -> None:
        self._summary.failed("lease_lost")
        self._say(f"bucket {held.lease.bucket} is no longer ours ({reason})")


def next_renewal(service: Service) -> float:
    """When to renew a lease taken or renewed now: early enough for two renewals before it expires."""
    return time.monotonic() + max(service.lease_seconds / 3, MIN_RENEWAL_SECONDS)
