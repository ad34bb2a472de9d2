"""The threads that work on buckets: each takes the next waiting bucket, so it never waits for the database."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from dmcheck_cli.domain.model import Lease
from dmcheck_cli.errors import PASSING
from dmcheck_cli.worker.clock import Clock
from dmcheck_cli.worker.command import Command, Ending
from dmcheck_cli.worker.keeping import AnswerFile
from dmcheck_cli.worker.overheard import Overheard
from dmcheck_cli.worker.protocol import Conversation

FIRST_PAUSE, MAX_PAUSE = 5.0, 900.0
"""Seconds after a COMMAND that said "later" without saying when; doubled each time up to the length of the platform's
own window of 15 minutes."""

MAX_FRUITLESS = 5
"""COMMANDs in a row that may answer nothing. No more than these are started before the first answer, and `work` ends
after them: a wrong COMMAND is started no more often."""

MIN_PAUSE = 1.0
"""Seconds of the shortest pause: sources say 0 when they round down, and COMMANDs would be started without end."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at whether a lease has been renewed since the machine slept."""


@dataclass(eq=False)
class HeldLease:
    """A lease we hold. Times are on the clock of time.monotonic(). `renew_at`: when to renew it; `sure_until`: it is
    ours until then, whatever happens; `dropped`: it is no longer ours; `resumed`: it is of an earlier run."""

    lease: Lease
    file: AnswerFile
    renew_at: float
    sure_until: float
    resumed: bool = False
    dropped: bool = False
    failed: bool = False
    began: float = 0.0
    conversation: Conversation = field(init=False)

    def __post_init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Forget what was said about it."""
        self.conversation = Conversation(self.lease.users, partial(self.file.answered, self.lease))


@dataclass(frozen=True)
class Finished:
    """The outcome of one bucket; `why` explains a bad ending; `seconds`: how long COMMAND ran."""

    held: HeldLease
    ending: Ending
    why: str
    seconds: float = 0.0


class Pool:
    """`jobs` threads that run `command`, from `start` until `stop`.

    Their results arrive in `finished`; a None there only wakes the waiting thread, an exception is what ended one of
    ours. `environment`: what `command` is started with. `overhear`, if it is set before `start`, takes each line that
    a COMMAND writes on stderr, with its lease, from any thread.
    """

    overhear: Callable[[HeldLease, str], None] | None = None

    def __init__(
        self,
        command: list[str],
        jobs: int,
        timeout: float,
        kill_after: float,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.finished: SimpleQueue[Finished | BaseException | None] = SimpleQueue()
        self.clock = clock or Clock()
        self._command = command
        self._timeout = timeout
        self._kill_after = kill_after
        self._environment = environment
        self._changed = threading.Condition()  # guards all below, and each HeldLease's `dropped`
        self._waiting: deque[HeldLease] = deque()
        self._running: dict[HeldLease, Command] = {}
        self._stopping = False
        self._not_before = 0.0
        self._tries = 0  # COMMANDs started while none had answered anything yet
        self._proven = False
        self._pause = FIRST_PAUSE
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, held: HeldLease) -> None:
        """Queue one more bucket."""
        with self._changed:
            self._waiting.append(held)
            self._changed.notify_all()

    def running(self) -> list[HeldLease]:
        """The leases that COMMANDs are working on now."""
        with self._changed:
            return list(self._running)

    def waiting(self) -> list[HeldLease]:
        """The leases that no COMMAND was started on yet."""
        with self._changed:
            return list(self._waiting)

    def paused_until(self) -> float:
        """When the next COMMAND may start; in the past while there is no pause."""
        with self._changed:
            return self._not_before

    def renewed(self) -> None:
        """Leases were renewed: what waited for that may start."""
        with self._changed:
            self._changed.notify_all()

    def withdraw(self, held: HeldLease) -> bool:
        """Take back a bucket that no COMMAND was started on; False when it is too late for that."""
        with self._changed:
            if held not in self._waiting:
                return False
            self._waiting.remove(held)
            return True

    def drop(self, held: HeldLease) -> None:
        """Do not start this bucket, or end the COMMAND that is working on it."""
        with self._changed:
            held.dropped = True
            if held in self._running:
                self._running[held].cancel()
            self._changed.notify_all()

    def was_no_try(self) -> None:
        """A COMMAND that has answered nothing is no sign of a wrong one. Whoever counts failures says so, since a lease
        can be lost after its COMMAND has ended."""
        with self._changed:
            self._tries -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End all COMMANDs, and start no others; returns at once. May be called from any thread."""
        with self._changed:
            if self._stopping:
                return
            self._stopping = True
            for child in self._running.values():
                child.cancel()
            self._changed.notify_all()
        self.finished.put(None)

    def join(self) -> None:
        """After `stop`, wait until all COMMANDs have ended, for as long as `kill_after` allows them."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def kill(self) -> None:
        """Kill all COMMANDs at once, even if that loses answers. May be called from any thread."""
        with self._changed:
            self._stopping = True
            for child in self._running.values():
                child.kill()

    def _work(self) -> None:
        try:
            while (held := self._next()) is not None:
                self.finished.put(self._run(held))
        except BaseException as error:
            self.finished.put(error)

    def _next(self) -> HeldLease | None:
        """The next bucket, once it may be started; None at the end."""
        with self._changed:
            while not self._stopping:
                seconds = None
                if self._waiting:
                    seconds = self._seconds_until(self._waiting[0])
                    if seconds <= 0:
                        self._tries += 1
                        return self._waiting.popleft()
                self._changed.wait(seconds)
        return None

    def _seconds_until(self, held: HeldLease) -> float:
        now = time.monotonic()
        if held.dropped:
            return 0.0
        if not self._proven and self._tries >= MAX_FRUITLESS:
            return LOOK_AGAIN
        if now < self._not_before:
            return self._not_before - now
        if now < held.sure_until and not self.clock.jumped():
            return 0.0
        self.finished.put(None)  # have it renewed first: nothing is asked for a lease that may be lost
        return LOOK_AGAIN

    def _run(self, held: HeldLease) -> Finished:
        """Whatever goes wrong is a failure of this bucket."""
        held.began = time.monotonic()
        try:
            command = Command(
                self._command,
                held.conversation,
                self._timeout,
                self._kill_after,
                environment=self._environment,
                overheard=Overheard(partial(self.overhear, held)) if self.overhear is not None else None,
            )
        except OSError as error:
            return self._ended(held, Ending.later if error.errno in PASSING else Ending.failed, str(error.strerror))
        try:
            with self._changed:
                unwanted = self._stopping or held.dropped
                if not unwanted:
                    self._running[held] = command
            if unwanted:
                return Finished(held, Ending.cancelled, "")
            if held.resumed:
                held.file.resumed(held.lease)
            return self._ended(held, command.run(), command.why)
        except Exception as error:
            return self._ended(held, Ending.failed, f"{type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._running.pop(held, None)
            command.close()

    def _ended(self, held: HeldLease, ending: Ending, why: str) -> Finished:
        now = time.monotonic()
        with self._changed:
            self._proven = self._proven or bool(held.conversation.answers)
            if ending is Ending.later:
                self._postpone(now, held.conversation.retry_after)
            elif held.conversation.answers:
                self._pause = FIRST_PAUSE
        return Finished(held, ending, why, now - held.began)

    def _postpone(self, now: float, told: float | None) -> None:
        """Start no COMMAND for as long as one was told, or longer each time. Of several that say so at the same moment,
        one lengthens the pause."""
        if told is None and now >= self._not_before:
            told, self._pause = self._pause, min(self._pause * 2, MAX_PAUSE)
        if told is not None:
            self._not_before = max(self._not_before, now + max(told, MIN_PAUSE))
