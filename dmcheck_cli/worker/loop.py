"""The loop: fetch ahead so that no COMMAND waits for the database, wait when there is nothing, shut down in order."""

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
"""Consecutive COMMANDs that failed without a single answer: the next would fail too, and each keeps a bucket from
others."""

MAX_IDLE = 60.0
"""Idle seconds after which the database connection is closed: it would cost the server memory, and routers on the way
drop it."""


@dataclass(frozen=True)
class Limits:
    """What a run may do. `once`: end when no bucket waits, and work on none twice; `most`: the most buckets to work
    on."""

    jobs: int = 1
    once: bool = False
    most: float = math.inf


class Loop:
    """Decides what to do next. Everything runs in one thread, except `stop` and `state`."""

    def __init__(self, service: Service, client: int, pool: Pool, limits: Limits, timeout_seconds: int) -> None:
        self.summary = Summary()
        self._say: Callable[[str], None] = print  # replaced by `run`
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
        self._seen: set[str] = set()  # with `once`: buckets already started, none of which is started twice
        self._fruitless = 0
        self._why = ""
        self._resumed = False
        # After a restart Neo4j re-plans every statement. If all clients reconnect at once, no plan is ready within the
        # time limit, so back off in proportion to it.
        self._outage = between_requests(timeout_seconds / 2)
        self._reach_at = 0.0

    def stop(self) -> None:
        """Shut down in order: COMMANDs are ended, answers are submitted, the rest is released."""
        self._stopped_at = min(self._stopped_at, time.monotonic())
        self._stopped.set()
        self._pool.stop()

    def state(self) -> str:
        """The current state in one line."""
        running = self._pool.running()
        waiting = max(len(self._holdings.busy) - len(running), 0)
        return progress.line(self._client, self.summary, running, waiting)

    def run(self, say: Callable[[str], None]) -> None:
        """Work until there is a reason to stop, then submit or release everything; `say` tells people what happens.

        Raises CommandFailed; NothingToFetch or OverQuota when `once` found nothing to do; Temporary when the last
        answers could not be submitted; any other refusal by the database, at once.
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
        """Make the database calls that are due. An outage costs time, but nothing else."""
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
        """Wait until something happens or is due."""
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
            while True:  # take everything that has arrived, which then costs one submit
                if finished is not None:
                    self._take_back(finished)
                finished = self._pool.finished.get_nowait()
        except queue.Empty:
            pass

    def _resume(self) -> None:
        if self._resumed:
            return
        for lease in self._fetcher.resume():
            self._take(lease, renew_at=0.0)  # it may be about to expire, or dead
        self._resumed = True

    def _room(self) -> int:
        """How many more buckets to lease: each job has one in work and one waiting."""
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
            self._holdings.give_back([lease])  # all of them were deleted
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
            # COMMAND could not decide about anyone here. The bucket waits again, and would come back at once.
            self._say(f"bucket {held.lease.bucket}: COMMAND could tell of none of its users")
            self._fetcher.pause()

    def _close(self) -> None:
        """Submit or release everything held, within DMCHECK_TIMEOUT_SECONDS of the stop."""
        while not self._pool.finished.empty():
            finished = self._pool.finished.get()
            if finished is not None:
                self._take_back(finished)
        self._holdings.give_back_all()
        left = self._timeout_seconds - (time.monotonic() - self._stopped_at)
        self._service.hurry(max(math.ceil(left), 1))
        self._holdings.give_back(self._fetcher.settle())
        self._holdings.hand_in()
