"""The loop: fetch ahead so that no COMMAND waits for the database, wait when there is nothing, end in order."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dmcheck_cli.backoff import between_requests
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.errors import CommandFailed, Temporary
from dmcheck_cli.service import Service
from dmcheck_cli.worker import progress
from dmcheck_cli.worker.command import Ending
from dmcheck_cli.worker.fetcher import Fetcher
from dmcheck_cli.worker.holdings import Holdings, next_renewal
from dmcheck_cli.worker.pool import Finished, Pool
from dmcheck_cli.worker.summary import Summary

MAX_FAILURES = 5
"""COMMANDs in a row that failed without a single answer: the next would, too, and each keeps a bucket from others."""

MAX_IDLE = 60.0
"""Seconds without need for the database after which the connection is closed: it would cost the server memory, and
routers on the way forget it."""


@dataclass(frozen=True)
class Limits:
    """What a run may do. `once`: end when no bucket waits, and work on none twice; `most`: buckets to work on."""

    jobs: int = 1
    once: bool = False
    most: float = math.inf


class Loop:
    """Decides what is to be done next. All of it runs in one thread, save `stop` and `state`."""

    def __init__(self, service: Service, client: int, pool: Pool, limits: Limits, timeout_seconds: int) -> None:
        self.summary = Summary()
        self._say: Callable[[str], None] = print  # until `run` is told
        self._service = service
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._pool = pool
        self._limits = limits
        self._stopped = threading.Event()
        self._stopped_at = math.inf
        self._fetcher = Fetcher(service, limits.once, self._tell)
        self._holdings = Holdings(service, pool, self.summary, self._tell, self._fetcher.freed)
        self._given = 0
        self._seen: set[str] = set()  # buckets that were begun, where none is to be begun twice
        self._fruitless = 0
        self._why = ""
        self._resumed = False
        # A database that just came back plans each statement anew for everyone who asks meanwhile. If all ask at once,
        # nobody's plan may be ready within the time limit; so who has waited for that long spreads out as widely.
        self._outage = between_requests(timeout_seconds / 2)
        self._reach_at = 0.0

    def stop(self) -> None:
        """Come to an orderly end: COMMANDs are ended, what was answered is submitted, the rest released."""
        self._stopped_at = min(self._stopped_at, time.monotonic())
        self._stopped.set()
        self._pool.stop()

    def state(self) -> str:
        """A line about this moment."""
        running = self._pool.running()
        waiting = max(len(self._holdings.busy) - len(running), 0)
        return progress.line(self._client, self.summary, running, waiting)

    def run(self, say: Callable[[str], None]) -> None:
        """Work until there is a reason to end, then put everything in order; `say` tells people what happens.

        Raises CommandFailed; NothingToFetch or OverQuota when `once` found nothing to do; Temporary when answers
        could not be handed in at the end; whatever else the database refuses, at once.
        """
        self._say = say
        self._pool.start()
        try:
            while not self._over():
                self._turn()
                self._wait()
            self.stop()
            self._pool.join()
            self._close()
        finally:
            self._pool.stop()
            self._pool.join()
            self._service.close()
        if self._fruitless >= MAX_FAILURES or (self._limits.once and self._fruitless and not self.summary.users):
            raise CommandFailed(times=self._fruitless, why=self._why)
        if self._limits.once and not self._given and self._fetcher.refusal is not None:
            raise self._fetcher.refusal

    def _tell(self, text: str) -> None:
        self._say(text)

    def _over(self) -> bool:
        if self._stopped.is_set() or self._fruitless >= MAX_FAILURES:
            return True
        if self._holdings.busy or self._holdings.waits or not self._resumed:
            return False
        return self._given >= self._limits.most or (self._limits.once and self._fetcher.exhausted)

    def _turn(self) -> None:
        """What the database has to be told or asked now. Its being away costs time, and nothing else."""
        if time.monotonic() < self._reach_at:
            return
        try:
            self._resume()
            self._holdings.hand_in()
            self._holdings.renew()
            self._fetch()
        except Temporary as problem:
            self._reach_at = time.monotonic() + self._outage.delay(problem.retry_after)
            self.summary.failed("temporary")
            waiting = len(self._holdings.answered)
            kept = f"; the answers of {waiting} buckets are kept" if waiting else ""
            self._say(f"{problem.message}{kept}")
        else:
            self._outage.reset()

    def _wait(self) -> None:
        """Until something has happened or is due."""
        if self._over():
            return
        due = [self._holdings.due()]
        if self._room() > 0:
            due.append(self._fetcher.at)
        if self._holdings.waits or not self._resumed:
            due.append(0.0)
        until = max(min(due), self._reach_at)
        seconds = max(until - time.monotonic(), 0.0)
        if seconds > MAX_IDLE:
            self._service.close()
        try:
            finished = self._pool.finished.get(timeout=None if math.isinf(seconds) else seconds)
            while True:  # together with all that has come meanwhile, which then costs one submit
                if finished is not None:
                    self._take_back(finished)
                finished = self._pool.finished.get_nowait()
        except queue.Empty:
            pass

    def _resume(self) -> None:
        if self._resumed:
            return
        for lease in self._fetcher.resume():
            self._take(lease, renew_at=0.0)  # it may be about to end, or dead
        self._resumed = True

    def _room(self) -> int:
        """How many buckets more to lease: each job has one at work and one that waits."""
        wanted = min(2 * self._limits.jobs - len(self._holdings.busy), DEFAULTS.max_fetch)
        return int(min(wanted, self._limits.most - self._given))

    def _fetch(self) -> None:
        count = self._room()
        if count <= 0 or time.monotonic() < self._fetcher.at or self._stopped.is_set():
            return
        renew_at = next_renewal(self._service)
        for lease in self._fetcher.fetch(count):
            self._take(lease, renew_at)

    def _take(self, lease: Lease, renew_at: float) -> None:
        if self._given >= self._limits.most or lease.bucket in self._seen:
            self._holdings.park(lease, renew_at)
            return
        if not lease.users:
            self._holdings.give_back([lease])  # they were all deleted
            return
        self._given += 1
        if self._limits.once:
            self._seen.add(lease.bucket)
        self._holdings.begin(lease, renew_at)

    def _take_back(self, finished: Finished) -> None:
        held, said = finished.held, finished.held.conversation
        del self._holdings.busy[held.lease.lease]
        self.summary.noticed(said)
        failed = finished.ending in (Ending.failed, Ending.timed_out)
        if failed:
            self.summary.failed(finished.ending)
            self._say(f"bucket {held.lease.bucket}: COMMAND failed: {finished.why}")
        if held.dropped:
            return
        if said.answers:
            self._holdings.answered.append(held)
            self._fruitless = 0
            return
        self._holdings.unanswered.append(held)
        if finished.ending is Ending.done and not said.undecided:
            self.summary.failed("no_answers")
            finished = replace(finished, why="it said nothing that makes sense")
            failed = True
        if failed:
            self._fruitless += 1
            self._why = finished.why
        elif finished.ending is Ending.done:
            # It could tell of nobody here. The bucket waits again, and would come back at once.
            self._say(f"bucket {held.lease.bucket}: COMMAND could tell of none of its users")
            self._fetcher.pause()

    def _close(self) -> None:
        """Hand in and give back all that is held, within DMCHECK_TIMEOUT_SECONDS from the moment of the stop."""
        while not self._pool.finished.empty():
            finished = self._pool.finished.get()
            if finished is not None:
                self._take_back(finished)
        self._holdings.give_back_all()
        left = self._timeout_seconds - (time.monotonic() - self._stopped_at)
        self._service.hurry(max(math.ceil(left), 1))
        self._holdings.give_back(self._fetcher.settle())
        self._holdings.hand_in()
