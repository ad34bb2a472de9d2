"""The leases in our hands: renewed while they are needed, handed in or given back when they are not."""

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
"""Seconds between two renewals, however short leases are."""

GONE = (LeaseLost, UnknownBucket, NotOwner)


class Holdings:
    """Every lease that is held, by what is to be done with it. For one thread.

    `freed` is called when leases have ended, with the number of those whose answers were taken. `renew` and `hand_in`
    may raise Temporary: they may then be called again, and go on where they were.
    """

    def __init__(
        self, service: Service, pool: Pool, summary: Summary, say: Callable[[str], None], freed: Callable[[int], None]
    ) -> None:
        self.busy: dict[str, HeldLease] = {}  # by lease: given to the pool, not back yet
        self.answered: list[HeldLease] = []  # to be submitted
        self.unanswered: list[HeldLease] = []  # to be released
        self._parked: dict[str, HeldLease] = {}  # by lease: held, but not to be finished on in this run
        self._service = service
        self._pool = pool
        self._summary = summary
        self._say = say
        self._freed = freed

    @property
    def waits(self) -> bool:
        """Whether the database has to be told of a lease's end."""
        return bool(self.answered or self.unanswered)

    def begin(self, lease: Lease, renew_at: float) -> None:
        """Have the pool work on it."""
        held = self.busy[lease.lease] = HeldLease(lease, renew_at)
        self._pool.put(held)

    def park(self, lease: Lease, renew_at: float) -> None:
        """Keep it from coming back at once; it is given back in the end."""
        self._parked[lease.lease] = HeldLease(lease, renew_at)

    def give_back(self, found: Iterable[Lease]) -> None:
        """Have these released."""
        self.unanswered += [HeldLease(lease, math.inf) for lease in found]

    def give_back_all(self) -> None:
        """Have everything released that has no answer: the pool has ended."""
        # What was leased at the very moment of the stop has not reached the pool any more.
        self.unanswered += [held for held in self.busy.values() if not held.dropped]
        self.unanswered += self._parked.values()
        self.busy, self._parked = {}, {}

    def due(self) -> float:
        """When the next renewal is."""
        return min((held.renew_at for held in self._kept()), default=math.inf)

    def renew(self) -> None:
        """Renew what is due; end the COMMAND of what is no longer ours."""
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
        """All that has to be renewed. What COMMAND does is bounded by its timeout, so this is, too."""
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
    """When a lease that is taken or renewed now has to be renewed: twice more before its time is over."""
    return time.monotonic() + max(service.lease_seconds / 3, MIN_RENEWAL_SECONDS)
