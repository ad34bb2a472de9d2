"""The loop: fetch ahead so that no COMMAND waits for the database, wait when there is nothing, shut down in order.

README.md in this folder draws its states, with the test of each arrow.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dmcheck_cli.backoff import between_requests
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.domain.verbs import Service
from dmcheck_cli.errors import CommandFailed, DmcheckError, NotConfigured, Temporary, TooFast, Unjudged, machine_lacks
from dmcheck_cli.notices import Event, logs, records
from dmcheck_cli.worker import progress
from dmcheck_cli.worker.command import Ending, reap
from dmcheck_cli.worker.fetcher import Fetcher
from dmcheck_cli.worker.holdings import Holdings
from dmcheck_cli.worker.keeping import SYNC_SECONDS, AnswerFile
from dmcheck_cli.worker.pool import MAX_FRUITLESS, Finished, HeldLease, Pool
from dmcheck_cli.worker.summary import Summary

MAX_RESUMES = 3
"""Runs that started COMMAND on a bucket of an earlier one and got no answer: whatever ended them (the machine's memory,
a crash) would end the next one, too."""

MAX_IDLE = 60.0
"""Idle seconds after which the connection is closed, to the database or to a gate: it costs memory there, and routers
on the way drop it. A COMMAND that is done sooner finds it open."""

MAX_SHUT_OUT = 900.0
"""Seconds for which a loop that was once logged in retries when its log-in is rejected: whoever changes the account's
password changes its file as well, a little later."""

MIN_SHUT_OUT_DELAY = 5.0
"""Seconds between two log-ins that are refused: three in a row lock the account for all who share it."""

LEAD = 10.0
"""Seconds before the end of a bucket, by COMMAND's own pace, at which the next one is leased. A fetch takes 0.01 s, and
some seconds while the database restarts."""

TICK = 2.0
"""Seconds between two looks at COMMAND's pace and at the clocks while leases are held."""


@dataclass(frozen=True)
class Limits:
    """What a run may do. `once`: end when no bucket waits, and work on none twice; `most`: the most buckets to work
    on."""

    jobs: int = 1
    once: bool = False
    most: float = math.inf


class Loop:
    """Decides what to do next. Everything runs in one thread, except `stop`, `continued` and `state`."""

    def __init__(
        self,
        service: Service,
        client: int,
        pool: Pool,
        file: AnswerFile,
        limits: Limits,
        timeout_seconds: int,
    ) -> None:
        self.summary = Summary()
        self._say: Callable[[str], None] = print  # replaced by `run`
        self._service = service
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._pool = pool
        self._file = file
        self._limits = limits
        self._stopped = threading.Event()
        self._stopped_at = math.inf
        self._fetcher = Fetcher(service, limits.once, self._tell)
        self._holdings = Holdings(service, pool, file, self.summary, self._tell, self._fetcher.freed)
        self._given = 0
        self._seen: set[str] = set()  # with `once`: buckets already started; none is started twice
        self._fruitless = 0
        self._why = ""
        self._objected = False
        self._failed = False
        self._resumed = False
        self._seconds: float | None = None  # that the last COMMAND took for its bucket
        # After a restart Neo4j re-plans every statement. If all clients reconnect at once, no plan is ready within the
        # time limit, so back off in proportion to it.
        self._outage = between_requests(timeout_seconds / 2)
        self._reach_at = 0.0
        self._used_at = time.monotonic()  # the connection, last
        self._shut_out_since = math.inf

    def stop(self) -> None:
        """Shut down in order: COMMANDs are ended, answers are submitted, the rest is released."""
        self._stopped_at = min(self._stopped_at, time.monotonic())
        self._stopped.set()
        self._pool.stop()

    def continued(self) -> None:
        """The process was stopped, for who knows how long, and goes on."""
        self._pool.clock.continued()
        self._pool.finished.put(None)

    def state(self) -> str:
        """The current state in one line."""
        running = self._pool.running()
        waiting = max(len(self._holdings.busy) - len(running), 0)
        return progress.line(self._client, self.summary, running, waiting)

    def run(self, say: Callable[[str], None]) -> None:
        """Work until there is a reason to stop, then submit or release everything; `say` tells people what happens. It
        must not wait for them.

        Raises CommandFailed; NothingToFetch, OverQuota or Unjudged when `once` found nothing; Temporary when the last
        answers could not be submitted; NotConfigured when the database does not let it in, at once or no longer; any
        other refusal by the database, at once. Answers that were not submitted are then in the file.
        """
        self._say = self._file.say = lambda text: say(self._of_client(text))
        if logs():
            self._pool.overhear = self._overhear
        try:
            self._pool.start()
            while not self._over():
                self._turn()
                self._wait()
            self._end_in_order()
        except DmcheckError:
            raise
        except Exception:
            # A defect, or the machine lacks something. What is held must not stay held.
            self._end_in_order()
            raise
        finally:
            self._pool.stop()
            self._pool.join()
            self._file.sync()
            self._service.close()
            if records():
                buckets, users = self.summary.buckets, self.summary.users
                self._say(Event("work has ended", "stopped", buckets=buckets, answers=users))
        if self._fruitless >= MAX_FRUITLESS or (self._limits.once and self._failed and not self.summary.users):
            raise CommandFailed(
                what=f"COMMAND was started {self._fruitless} times in a row without a single answer ({self._why}); the "
                "buckets were given back"
            )
        if self._limits.once and not self._given and not self.summary.buckets and self._fetcher.refusal is not None:
            raise self._fetcher.refusal
        if self._limits.once and isinstance(self._fetcher.refusal, Unjudged):
            say(self._fetcher.refusal.message)  # buckets may still wait

    def _tell(self, text: str) -> None:
        self._say(text)

    def _of_client(self, text: str) -> Event:
        """For a log, which client it is about."""
        said = text if isinstance(text, Event) else Event(text, "trouble", "warning")
        said.known.setdefault("client", self._client)
        return said

    def _overhear(self, held: HeldLease, text: str) -> None:
        self._say(Event(text, "command_stderr", bucket=held.lease.bucket, lease=held.lease.lease))

    def _over(self) -> bool:
        if self._stopped.is_set() or self._fruitless >= MAX_FRUITLESS:
            return True
        if self._holdings.busy or self._holdings.waits or not self._resumed:
            return False
        return self._given >= self._limits.most or (self._limits.once and self._fetcher.exhausted)

    def _turn(self) -> None:
        """Make the database calls that are due. An outage costs time, but nothing else."""
        if self._pool.clock.jumped():
            self._holdings.doubt_all()
            self._pool.clock.settle()
            self._reach_at = 0.0
        if time.monotonic() < self._reach_at:
            return
        if not self._resumed or self._holdings.waits or self._holdings.due() <= time.monotonic():
            self._used_at = time.monotonic()
        try:
            self._resume()
            self._holdings.renew()
            self._holdings.hand_in()
            self._fetch()
        except (Temporary, TooFast) as problem:  # too fast for a gate, which bounds all requests
            self._reach_at = time.monotonic() + self._outage.delay(problem.retry_after)
            self._cannot_reach(problem)
        except NotConfigured as problem:
            self._shut_out_since = min(self._shut_out_since, time.monotonic())
            if not self._resumed or time.monotonic() - self._shut_out_since > MAX_SHUT_OUT:
                raise
            self._reach_at = time.monotonic() + MIN_SHUT_OUT_DELAY + self._outage.delay()
            self._service.close()  # the next try reads the password again
            self._cannot_reach(problem)
        except Exception as error:
            lacking = machine_lacks(error)
            if lacking is None:
                raise
            self._reach_at = time.monotonic() + self._outage.delay()
            self._cannot_reach(lacking)
        else:
            self._outage.reset()
            self._shut_out_since = math.inf

    def _cannot_reach(self, problem: DmcheckError) -> None:
        self.summary.failed("temporary")
        waiting = len(self._holdings.answered)
        kept = f"; the answers of {waiting} buckets are kept" if waiting else ""
        self._say(Event(f"{problem.message}{kept}", "cannot_reach", "warning", reason=problem.code))
        self._file.sync()

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
        if time.monotonic() - self._used_at > MAX_IDLE:
            self._service.close()
        if self._holdings.holds:
            seconds = min(seconds, TICK)
        else:
            seconds = min(seconds, max(self._pool.paused_until() - time.monotonic(), TICK), MAX_IDLE)
        try:
            finished = self._pool.finished.get(timeout=seconds)
            while True:  # take everything that has arrived, which then costs one submit
                if isinstance(finished, BaseException):
                    raise finished
                if finished is not None:
                    self._take_back(finished)
                finished = self._pool.finished.get_nowait()
        except queue.Empty:
            pass
        reap()
        self._file.sync(SYNC_SECONDS)

    def _resume(self) -> None:
        """What an earlier run left: first its answers, then its leases."""
        if self._resumed:
            return
        self._holdings.hand_in_earlier()
        for lease in self._fetcher.resume():
            begun = self._file.earlier.get(lease.lease)
            if begun is not None and begun.resumed >= MAX_RESUMES:
                self._say(
                    f"bucket {lease.bucket} was resumed {begun.resumed} times without an answer, and is given back"
                )
                self._holdings.give_back([lease], failed=True)
                continue
            self._take(lease, None)
        self._file.ended(set(self._file.earlier) - set(self._holdings.busy))
        self._resumed = True
        if self._file.elsewhere:
            self._say(
                f"{self._file.elsewhere} answers for another database are kept in {self._file.path}: with the settings "
                f"of that one, `dmcheck submit --client {self._client} {self._file.path}` hands them in"
            )

    def _room(self) -> int:
        """How many more buckets to lease: one for each job, and the next for each whose own is nearly done."""
        if time.monotonic() < self._pool.paused_until():
            return 0
        running = self._pool.running()
        soon = sum(self._left(held) < LEAD for held in running)
        if self._seconds is not None and self._seconds < LEAD:
            soon += self._limits.jobs - len(running)
        wanted = min(self._limits.jobs + soon - len(self._holdings.busy), DEFAULTS.max_fetch)
        return int(min(wanted, self._limits.most - self._given))

    def _left(self, held: HeldLease) -> float:
        """In how many seconds COMMAND will be done with this bucket, by its pace, or else by that of the one before."""
        elapsed = time.monotonic() - held.began
        heard = held.conversation.heard
        if heard:
            return elapsed / heard * (len(held.lease.users) - heard)
        return math.inf if self._seconds is None else self._seconds - elapsed

    def _fetch(self) -> None:
        count = self._room()
        if count <= 0 or time.monotonic() < self._fetcher.at or self._stopped.is_set():
            return
        asked = self._used_at = time.monotonic()
        for lease in self._fetcher.fetch(count):
            self._take(lease, asked)

    def _take(self, lease: Lease, taken: float | None) -> None:
        if not lease.users or self._given >= self._limits.most:
            self._holdings.give_back([lease])  # all of its users were deleted, or there is no room for it
            return
        if lease.bucket in self._seen:
            self._holdings.park(lease, taken)
            return
        self._given += 1
        if self._limits.once:
            self._seen.add(lease.bucket)
        self._holdings.begin(lease, taken)

    def _take_back(self, finished: Finished) -> None:
        held, said = finished.held, finished.held.conversation
        del self._holdings.busy[held.lease.lease]
        self.summary.noticed(said)
        if said.problem and not self._objected:
            self._objected = True
            self._say(f"bucket {held.lease.bucket}: in COMMAND's output {said.problem}")
        failed = finished.ending in (Ending.failed, Ending.timed_out)
        if failed:
            self.summary.failed(finished.ending)
            text = f"bucket {held.lease.bucket}: COMMAND failed: {finished.why}"
            known = {"bucket": held.lease.bucket, "lease": held.lease.lease}
            self._say(Event(text, "command_failed", "warning", **known))
        elif finished.ending is Ending.done:
            self._seconds = finished.seconds
        if said.answers:
            # Also those of a lease that cannot be renewed: unless its bucket was leased again, they are taken.
            self._holdings.answered.append(held)
            self._fruitless = 0
        elif held.dropped:
            self._pool.was_no_try()
            self._file.ended([held.lease.lease])
        elif finished.ending is Ending.later:
            self._pool.was_no_try()
            self._holdings.begin_again(held)
        else:
            self._unanswered(finished, failed)
        if finished.ending is Ending.later:
            self._mind_the_pause(finished.why)

    def _unanswered(self, finished: Finished, failed: bool) -> None:
        """A bucket without one valid answer."""
        held = finished.held
        self._holdings.unanswered.append(held)
        if finished.ending is Ending.done and not held.conversation.undecided:
            self.summary.failed("no_answers")
            finished = replace(finished, why="it said nothing that makes sense")
            failed = True
        if failed:
            held.failed = self._failed = True
        elif finished.ending is Ending.done:
            # COMMAND could not decide about anyone here. The bucket waits again, and would come back at once.
            self._say(f"bucket {held.lease.bucket}: COMMAND answered for none of its users")
            self._fetcher.pause()
        if failed or finished.ending is Ending.done:
            self._fruitless += 1
            self._why = "; ".join(filter(None, (finished.why, held.conversation.objection)))

    def _mind_the_pause(self, why: str) -> None:
        """COMMAND said "later": keep the leases that last until then, and give the others back."""
        until = self._pool.paused_until()
        returned = self._holdings.give_back_waiting(until)
        for held in returned:
            self._given -= 1
            self._seen.discard(held.lease.bucket)
        if returned:
            self._fetcher.postpone(until)
        seconds = max(until - time.monotonic(), 0.0)
        said = f"COMMAND is to be started again later ({why}): in {seconds:.0f} seconds"
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        self._say(Event(said, "paused", until=at.isoformat(timespec="milliseconds").replace("+00:00", "Z")))

    def _end_in_order(self) -> None:
        """End all COMMANDs, then submit or release everything held, within DMCHECK_TIMEOUT_SECONDS of the stop."""
        self.stop()
        self._pool.join()
        while not self._pool.finished.empty():
            finished = self._pool.finished.get()
            if isinstance(finished, Finished):
                self._take_back(finished)
        self._holdings.give_back_all()
        self._file.sync()
        left = self._timeout_seconds - (time.monotonic() - self._stopped_at)
        self._service.hurry(max(math.ceil(left), 1))
        self._holdings.give_back(self._fetcher.settle())
        self._holdings.hand_in()
