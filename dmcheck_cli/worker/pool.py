"""The threads that work on buckets: each takes the next waiting bucket, so it never waits for the database."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from queue import SimpleQueue

from dmcheck_cli.domain.model import Lease
from dmcheck_cli.worker.command import Command, Ending
from dmcheck_cli.worker.protocol import Conversation


@dataclass(eq=False)
class HeldLease:
    """A lease we hold. `renew_at` is on the clock of time.monotonic(); `dropped`: it is no longer ours."""

    lease: Lease
    renew_at: float
    conversation: Conversation = field(init=False)
    dropped: bool = False

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.lease.users)


@dataclass(frozen=True)
class Finished:
    """The outcome of one bucket; `why` explains a bad ending."""

    held: HeldLease
    ending: Ending
    why: str


class Pool:
    """`jobs` threads that run `command`, from `start` until `stop`. Their results arrive in `finished`; a None there
    only wakes the waiting thread."""

    def __init__(self, command: list[str], jobs: int, timeout: float, kill_after: float) -> None:
        self.finished: SimpleQueue[Finished | None] = SimpleQueue()
        self._command = command
        self._timeout = timeout
        self._kill_after = kill_after
        self._waiting: SimpleQueue[HeldLease | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the two below, and each HeldLease's `dropped`
        self._running: dict[HeldLease, Command] = {}
        self._stopping = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, held: HeldLease) -> None:
        """Queue one more bucket."""
        self._waiting.put(held)

    def running(self) -> list[HeldLease]:
        """The leases that COMMANDs are working on now."""
        with self._lock:
            return list(self._running)

    def drop(self, held: HeldLease) -> None:
        """Do not start this bucket, or end the COMMAND that is working on it."""
        with self._lock:
            held.dropped = True
            if held in self._running:
                self._running[held].cancel()

    def stop(self) -> None:
        """End all COMMANDs, and start no others; returns at once. May be called from any thread."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            for child in self._running.values():
                child.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        self.finished.put(None)

    def join(self) -> None:
        """After `stop`, wait until all COMMANDs have ended, for as long as `kill_after` allows them."""
        for thread in self._threads:
            thread.join()

    def kill(self) -> None:
        """Kill all COMMANDs at once, even if that loses answers. May be called from any thread."""
        with self._lock:
            self._stopping = True
            for child in self._running.values():
                child.kill()

    def _work(self) -> None:
        while (held := self._waiting.get()) is not None:
            child = Command(self._command, held.conversation, self._timeout, self._kill_after)
            with self._lock:
                unwanted = self._stopping or held.dropped
                if not unwanted:
                    self._running[held] = child
            ending = Ending.cancelled if unwanted else child.run()
            with self._lock:
                self._running.pop(held, None)
            child.close()
            self.finished.put(Finished(held, ending, child.why))
