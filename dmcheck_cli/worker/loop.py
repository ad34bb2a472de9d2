"""The loop: hold leases enough that no COMMAND waits for the database, keep them, hand in what was answered."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import (
    CommandFailed,
    DmcheckError,
    LeaseLost,
    NothingToFetch,
    NotOwner,
    OverQuota,
    Temporary,
    TooFast,
    UnknownBucket,
)
from dmcheck_cli.limits import MOST_BUCKETS_PER_FETCH
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, leases
from dmcheck_cli.transactions.answers import Answered
from dmcheck_cli.transactions.leases import Lease
from dmcheck_cli.worker.backoff import Backoff
from dmcheck_cli.worker.child import Ending
from dmcheck_cli.worker.crew import Crew, Held, Worked
from dmcheck_cli.worker.tally import Tally

MOST_FAILURES = 5
"""COMMANDs in a row that failed without a single answer: the next would, too, and each keeps a bucket from others."""

SHORTEST_RENEWAL = 1.0
"""Seconds between two renewals, however short leases are."""

LONGEST_IDLE = 60.0
"""Seconds without need for the database after which the connection is closed: it would cost the server memory, and
routers on the way forget it."""

GONE = (LeaseLost, UnknownBucket, NotOwner)


@dataclass(frozen=True)
class Limits:
    """What a run may do. `once`: end when no bucket waits, and work on none twice; `most`: buckets to work on."""

    jobs: int = 1
    once: bool = False
    most: float = math.inf


class Loop:
    """Owns every lease that is held. All of it runs in one thread, save `stop`, `kill` and `state`."""

    def __init__(
        self, settings: Settings, client: int, crew: Crew, limits: Limits, say: Callable[[str], None] = print
    ) -> None:
        self.tally = Tally()
        self.say = say
        self._settings = settings
        self._client = client
        self._crew = crew
        self._limits = limits
        self._database = Database(settings, "work")
        self._stopped = threading.Event()
        self._stopped_at = math.inf
        self._busy: dict[str, Held] = {}  # by lease: given to the crew, not back yet
        self._parked: dict[str, Held] = {}  # by lease: held, but not to be worked on in this run
        self._answered: list[Held] = []  # to be submitted
        self._unanswered: list[Held] = []  # to be released
        self._given = 0
        self._seen: set[str] = set()  # buckets that were begun, where none is to be begun twice
        self._request: str | None = None  # of a fetch whose outcome is not known
        self._nothing: DmcheckError | None = None  # why the last fetch gave nothing
        self._fruitless = 0
        self._why = ""
        self._resumed = False
        self._idle, self._outage = Backoff(), Backoff()
        self._fetch_at = self._reach_at = 0.0

    def stop(self) -> None:
        """Come to an orderly end: COMMANDs are ended, what was answered is submitted, the rest released."""
        self._stopped_at = min(self._stopped_at, time.monotonic())
        self._stopped.set()
        self._crew.stop()

    def state(self) -> str:
        """A line about this moment."""
        running = self._crew.running()
        heard = sum(held.conversation.heard for held in running)
        asked = sum(len(held.lease.users) for held in running)
        parts = [
            f"client {self._client}",
            f"{self.tally.buckets:,} buckets and {self.tally.users:,} users done",
            f"{len(running)} in work ({heard:,} of {asked:,} users)",
            f"{max(len(self._busy) - len(running), 0)} waiting",
        ]
        trouble = self.tally.trouble()
        return "; ".join(parts if trouble == "-" else [*parts, trouble])

    def run(self) -> None:
        """Work until there is a reason to end, then put everything in order.

        Raises CommandFailed; NothingToFetch or OverQuota when `once` found nothing to do; Temporary when answers
        could not be handed in at the end; whatever else the database refuses, at once.
        """
        self._crew.start()
        try:
            while not self._over():
                self._turn()
                self._wait()
            self.stop()
            self._crew.join()
            self._close()
        finally:
            self._crew.stop()
            self._crew.join()
            self._database.close()
        if self._fruitless >= MOST_FAILURES or (self._limits.once and self._fruitless and not self.tally.users):
            raise CommandFailed(times=self._fruitless, why=self._why)
        if self._limits.once and not self._given and self._nothing is not None:
            raise self._nothing

    def _over(self) -> bool:
        if self._stopped.is_set() or self._fruitless >= MOST_FAILURES:
            return True
        if self._busy or self._answered or self._unanswered or not self._resumed:
            return False
        exhausted = isinstance(self._nothing, NothingToFetch | OverQuota)
        return self._given >= self._limits.most or (self._limits.once and exhausted)

    def _turn(self) -> None:
        """What the database has to be told or asked now. Its being away costs time, and nothing else."""
        if time.monotonic() < self._reach_at:
            return
        try:
            self._resume()
            self._hand_in()
            self._renew()
            self._fetch()
        except Temporary as problem:
            self._reach_at = time.monotonic() + self._outage.delay(problem.retry_after)
            self.tally.failed("temporary")
            kept = f"; the answers of {len(self._answered)} buckets are kept" if self._answered else ""
            self.say(f"{problem.message}{kept}")
        else:
            self._outage.reset()

    def _wait(self) -> None:
        """Until something has happened or is due."""
        if self._over():
            return
        due = [held.renew_at for held in self._held()]
        if self._room() > 0:
            due.append(self._fetch_at)
        if self._answered or self._unanswered or not self._resumed:
            due.append(0.0)
        until = max(min(due, default=math.inf), self._reach_at)
        seconds = max(until - time.monotonic(), 0.0)
        if seconds > LONGEST_IDLE:
            self._database.close()
        try:
            worked = self._crew.worked.get(timeout=None if math.isinf(seconds) else seconds)
            while True:  # together with all that has come meanwhile, which then costs one submit
                if worked is not None:
                    self._take_back(worked)
                worked = self._crew.worked.get_nowait()
        except queue.Empty:
            pass

    def _resume(self) -> None:
        if self._resumed:
            return
        try:
            for lease in leases.resume(self._database, self._client):
                self._take(lease, renew_at=0.0)  # it may be about to end, or dead
        except NothingToFetch:
            pass
        self._resumed = True

    def _room(self) -> int:
        """How many buckets more to lease: each job has one at work and one that waits."""
        wanted = min(2 * self._limits.jobs - len(self._busy), MOST_BUCKETS_PER_FETCH)
        return int(min(wanted, self._limits.most - self._given))

    def _fetch(self) -> None:
        count = self._room()
        if count <= 0 or time.monotonic() < self._fetch_at or self._stopped.is_set():
            return
        # After an unknown outcome the same request again: what it leased must not be leased in vain.
        self._request = self._request or os.urandom(16).hex()
        renew_at = self._renewal()
        try:
            found = leases.fetch(self._database, self._client, count, self._request)
        except (NothingToFetch, OverQuota, TooFast) as nothing:
            self._request = None
            if type(nothing) is not type(self._nothing) and not self._limits.once:
                self.say(nothing.message)
            self._nothing = nothing
            self._pause(nothing.retry_after)
        else:
            self._request = self._nothing = None
            for lease in found:
                self._take(lease, renew_at)

    def _take(self, lease: Lease, renew_at: float) -> None:
        held = Held(lease, renew_at)
        if self._given >= self._limits.most or lease.bucket in self._seen:
            self._parked[lease.lease] = held
            return
        if not lease.users:
            self._unanswered.append(held)  # they were all deleted
            return
        self._given += 1
        if self._limits.once:
            self._seen.add(lease.bucket)
        self._busy[lease.lease] = held
        self._crew.put(held)

    def _take_back(self, worked: Worked) -> None:
        held, said = worked.held, worked.held.conversation
        del self._busy[held.lease.lease]
        self.tally.noticed(said)
        failed = worked.ending in (Ending.failed, Ending.timed_out)
        if failed:
            self.tally.failed(worked.ending)
            self.say(f"bucket {held.lease.bucket}: COMMAND failed: {worked.why}")
        if held.dropped:
            return
        if said.answers:
            self._answered.append(held)
            self._fruitless = 0
            return
        self._unanswered.append(held)
        if worked.ending is Ending.done and not said.undecided:
            self.tally.failed("no_answers")
            worked = replace(worked, why="it said nothing that makes sense")
            failed = True
        if failed:
            self._fruitless += 1
            self._why = worked.why
        elif worked.ending is Ending.done:
            # It could tell of nobody here. The bucket waits again, and would come back at once.
            self.say(f"bucket {held.lease.bucket}: COMMAND could tell of none of its users")
            self._pause()

    def _hand_in(self) -> None:
        if self._answered:
            handed = [Answered(x.lease.bucket, x.lease.lease, x.conversation.answers) for x in self._answered]
            reports = answers.submit(self._database, self._client, handed)
            for held, report in zip(self._answered, reports, strict=True):
                if report.status == "refused":
                    self._lost(held, str(report.reason))
                    continue
                self.tally.buckets += 1
                self.tally.users += report.accepted
                self.say(f"bucket {held.lease.bucket}: {report.accepted} of {len(held.lease.users)} users answered")
                self._idle.reset()
            self._answered = []
            self._freed()
        while self._unanswered:
            self._release(self._unanswered[0])
            del self._unanswered[0]
            self._freed()

    def _release(self, held: Held) -> None:
        try:
            leases.release(self._database, self._client, held.lease.bucket, held.lease.lease)
        except GONE as gone:
            self._lost(held, gone.code)

    def _renew(self) -> None:
        for held in self._held():
            if held.renew_at > time.monotonic():
                continue
            renew_at = self._renewal()
            try:
                leases.renew(self._database, self._client, held.lease.bucket, held.lease.lease)
                held.renew_at = renew_at
            except GONE as gone:
                self._parked.pop(held.lease.lease, None)
                self._crew.drop(held)
                self._lost(held, gone.code)

    def _held(self) -> list[Held]:
        """All that has to be renewed. What COMMAND does is bounded by its timeout, so this is, too."""
        return [held for held in (*self._busy.values(), *self._parked.values()) if not held.dropped]

    def _renewal(self) -> float:
        return time.monotonic() + max(self._settings.lease_seconds / 3, SHORTEST_RENEWAL)

    def _lost(self, held: Held, reason: str) -> None:
        self.tally.failed("lease_lost")
        self.say(f"bucket {held.lease.bucket} is no longer ours ({reason})")

    def _pause(self, retry_after: float | None = None) -> None:
        self._fetch_at = time.monotonic() + self._idle.delay(retry_after)

    def _freed(self) -> None:
        """Leases have ended: a client that held all that it may hold can have others."""
        if isinstance(self._nothing, OverQuota):
            self._nothing = None
            self._fetch_at = 0.0

    def _close(self) -> None:
        """Hand in and give back all that is held, within DMCHECK_TIMEOUT_SECONDS from the moment of the stop."""
        while not self._crew.worked.empty():
            worked = self._crew.worked.get()
            if worked is not None:
                self._take_back(worked)
        # What was leased at the very moment of the stop has not reached the crew any more.
        self._unanswered += [held for held in self._busy.values() if not held.dropped]
        self._busy = {}
        left = self._settings.timeout_seconds - (time.monotonic() - self._stopped_at)
        hurried = replace(self._settings, timeout_seconds=max(math.ceil(left), 1))
        self._database.close()
        with Database(hurried, "work") as self._database:
            if self._request is not None:
                self._settle(self._request)
            self._unanswered += self._parked.values()
            self._parked = {}
            self._hand_in()

    def _settle(self, request: str) -> None:
        """What a fetch leased whose answer never came is given back, too."""
        try:
            found = leases.fetch(self._database, self._client, 1, request)
        except (NothingToFetch, OverQuota, TooFast):
            return
        self._unanswered += [Held(lease, math.inf) for lease in found]
