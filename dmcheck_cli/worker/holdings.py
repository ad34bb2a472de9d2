"""The leases we hold: renewed while they are needed, submitted or released when they are not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from dmcheck_cli import notices
from dmcheck_cli.domain.model import Answered, Lease
from dmcheck_cli.domain.verbs import Service
from dmcheck_cli.errors import LeaseLost, NotOwner, UnknownBucket
from dmcheck_cli.worker.keeping import AnswerFile
from dmcheck_cli.worker.pool import HeldLease, Pool
from dmcheck_cli.worker.summary import Summary

MIN_RENEWAL_SECONDS = 1.0
"""The fewest seconds between two renewals, however short leases are."""

GONE = (LeaseLost, UnknownBucket, NotOwner)


class Holdings:
    """All leases held, grouped by what is to be done with them. Use it from one thread only.

    `freed` is called when leases have ended, with the number whose answers were accepted. If `renew` or a method that
    hands in raises Temporary, it can be called again and continues where it stopped.
    """

    def __init__(
        self,
        service: Service,
        pool: Pool,
        file: AnswerFile,
        summary: Summary,
        say: Callable[[str], None],
        freed: Callable[[int], None],
    ) -> None:
        self.busy: dict[str, HeldLease] = {}  # by lease: given to the pool, not yet back
        self.answered: list[HeldLease] = []  # to be submitted
        self.unanswered: list[HeldLease] = []  # to be released
        self._parked: dict[str, HeldLease] = {}  # by lease: held, but not to be worked on in this run
        self._service = service
        self._pool = pool
        self._file = file
        self._summary = summary
        self._say = say
        self._freed = freed

    @property
    def waits(self) -> bool:
        """Whether any lease is waiting to be submitted or released."""
        return bool(self.answered or self.unanswered)

    @property
    def holds(self) -> bool:
        """Whether there is any lease to be renewed."""
        return bool(self.busy or self._parked)

    def begin(self, lease: Lease, taken: float | None) -> None:
        """Have the pool work on it. `taken`: when it was leased; None if that was in an earlier run: it must be renewed
        first."""
        held = self.busy[lease.lease] = self._held(lease, taken)
        self._pool.put(held)

    def begin_again(self, held: HeldLease) -> None:
        """Have the pool work once more on one that is back without an answer."""
        held.start_over()
        self.busy[held.lease.lease] = held
        self._pool.put(held)

    def park(self, lease: Lease, taken: float | None) -> None:
        """Hold it so that it is not leased again at once; it is released at the end."""
        self._parked[lease.lease] = self._held(lease, taken)

    def give_back(self, found: Iterable[Lease], failed: bool = False) -> None:
        """Queue these for release; `failed`: because COMMAND failed on them."""
        for lease in found:
            held = self._held(lease, 0.0)
            held.failed = failed
            self.unanswered.append(held)

    def give_back_all(self) -> None:
        """Queue everything unanswered for release; the pool has ended."""
        # A lease taken at the instant of the stop may never have reached the pool.
        self.unanswered += [held for held in self.busy.values() if not held.dropped]
        self.unanswered += self._parked.values()
        self.busy, self._parked = {}, {}

    def give_back_waiting(self, until: float) -> list[HeldLease]:
        """Queue those for release that no COMMAND was started on and that will not last long enough after `until`;
        returns them."""
        found = [held for held in self._pool.waiting() if held.sure_until < until and self._pool.withdraw(held)]
        for held in found:
            del self.busy[held.lease.lease]
        self.unanswered += found
        return found

    def due(self) -> float:
        """When the next renewal is due."""
        return min((held.renew_at for held in self._kept()), default=math.inf)

    def doubt_all(self) -> None:
        """Trust in no lease, and start nothing on it, until it is renewed."""
        for held in (*self.busy.values(), *self._parked.values()):
            held.renew_at = held.sure_until = 0.0

    def renew(self) -> None:
        """Renew what is due; end the COMMAND of any lease that is no longer ours."""
        for held in self._kept():
            if held.renew_at > time.monotonic():
                continue
            asked = time.monotonic()
            try:
                self._service.renew(held.lease.bucket, held.lease.lease)
                held.renew_at, held.sure_until = self._times(asked)
                self._pool.renewed()
                self._note(held, "renewed")
            except GONE as gone:
                self._parked.pop(held.lease.lease, None)
                self._pool.drop(held)
                self._lost(held, gone.code)

    def hand_in_earlier(self) -> None:
        """Submit what an earlier run has kept."""
        earlier = [one for one in self._file.earlier.values() if one.answers]
        if not earlier:
            return
        reports = self._service.submit([one.answered() for one in earlier])
        for one, report in zip(earlier, reports, strict=True):
            if report.status == "refused":
                self._summary.failed("lease_lost")
                late = f"{len(one.answers)} kept answers come too late"
                said = f"bucket {one.bucket}: {late} ({report.reason}), and are dropped"
                lost = {"bucket": one.bucket, "lease": one.lease, "reason": str(report.reason)}
                self._say(notices.Event(said, "lease_lost", "warning", **lost))
                continue
            self._summary.buckets += 1
            self._summary.users += report.accepted
            if not notices.is_quiet():
                said = f"bucket {one.bucket}: {report.accepted} kept answers handed in"
                known: dict[str, Any] = {"bucket": one.bucket, "lease": one.lease, "answers": report.accepted}
                self._say(notices.Event(said, "submitted", **known))
        self._file.ended([one.lease for one in earlier])
        self._file.earlier = {lease: one for lease, one in self._file.earlier.items() if not one.answers}

    def hand_in(self) -> None:
        """Submit what is answered, release what is not."""
        if self.answered:
            handed = [Answered(x.lease.bucket, x.lease.lease, x.conversation.answers) for x in self.answered]
            reports = self._service.submit(handed)
            self._file.ended([held.lease.lease for held in self.answered])
            accepted = 0
            for held, report in zip(self.answered, reports, strict=True):
                if report.status == "refused":
                    self._too_late(held, str(report.reason))
                    continue
                accepted += 1
                self._summary.buckets += 1
                self._summary.users += report.accepted
                if not notices.is_quiet():
                    said = f"bucket {held.lease.bucket}: {report.accepted} of {len(held.lease.users)} users answered"
                    self._say(_event(held, said, "submitted", answers=report.accepted))
            self.answered = []
            self._freed(accepted)
        while self.unanswered:
            self._release(self.unanswered[0])
            del self.unanswered[0]
            self._freed(0)

    def _held(self, lease: Lease, taken: float | None) -> HeldLease:
        renew_at, sure_until = (0.0, 0.0) if taken is None else self._times(taken)
        return HeldLease(lease, self._file, renew_at, sure_until, resumed=taken is None)

    def _times(self, taken: float) -> tuple[float, float]:
        """When to renew a lease taken or renewed then: early enough for two renewals before it expires; and until when
        it is ours without one."""
        seconds = self._service.lease_seconds
        return taken + max(seconds / 3, MIN_RENEWAL_SECONDS), taken + max(seconds * 2 / 3, 2 * MIN_RENEWAL_SECONDS)

    def _kept(self) -> list[HeldLease]:
        """The leases to renew: none while no COMMAND is at work, or about to be. COMMAND is bounded by its timeout, so
        renewing is bounded, too."""
        if not self._pool.running() and time.monotonic() < self._pool.paused_until():
            return []
        parked = self._parked.values() if self.busy else ()
        return [held for held in (*self.busy.values(), *parked) if not held.dropped]

    def _release(self, held: HeldLease) -> None:
        try:
            self._service.release(held.lease.bucket, held.lease.lease, held.failed)
            self._note(held, "released", failed=held.failed)
        except GONE as gone:
            self._lost(held, gone.code)
        self._file.ended([held.lease.lease])

    def _too_late(self, held: HeldLease, reason: str) -> None:
        if not held.dropped:  # else that was counted and said before
            self._lost(held, reason)
        said = f"bucket {held.lease.bucket}: {len(held.conversation.answers)} answers come too late, and are dropped"
        self._say(_event(held, said, "answers_dropped", "warning", reason=reason))

    def _lost(self, held: HeldLease, reason: str) -> None:
        self._summary.failed("lease_lost")
        said = f"bucket {held.lease.bucket} is no longer ours ({reason})"
        self._say(_event(held, said, "lease_lost", "warning", reason=reason))

    def _note(self, held: HeldLease, event: str, **known: Any) -> None:
        """What only a log has."""
        if notices.records():
            self._say(_event(held, f"bucket {held.lease.bucket}: {event}", event, **known))


def _event(held: HeldLease, text: str, event: str, level: str = "info", **known: Any) -> notices.Event:
    return notices.Event(text, event, level, bucket=held.lease.bucket, lease=held.lease.lease, **known)
