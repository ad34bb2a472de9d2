"""Client processes that are released together, and what they measured."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import neo4j

from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions.leases import Lease

FIRST_CLIENT = 1000
"""The id of the first process's client; the next ones follow."""

LONGEST_LAP = 300.0
"""Seconds. A process that has not answered by then never will."""

Operation = Callable[[], list[str]]
"""One thing to time. Returns the uuids of the buckets that it was handed, for those tasks that hand out buckets."""


@dataclass
class Worker:
    """What one client process works with; opened when a task asks for it, and kept."""

    number: int
    settings: Settings
    held: list[Lease] = field(default_factory=list)
    _driver: neo4j.Driver | None = None
    _session: neo4j.Session | None = None
    _database: Database | None = None

    @property
    def client(self) -> int:
        """The id of this process's client."""
        return FIRST_CLIENT + self.number

    @property
    def database(self) -> Database:
        """Our own way to the database."""
        if self._database is None:
            self._database = Database(self.settings, "bench")
        return self._database

    @property
    def session(self) -> neo4j.Session:
        """A plain session of the driver."""
        if self._session is None:
            self._driver = self.connect()
            self._session = self._driver.session(database=self.settings.neo4j_database)
        return self._session

    def connect(self) -> neo4j.Driver:
        """A plain driver as its manual shows it."""
        return neo4j.GraphDatabase.driver(
            self.settings.neo4j_uri or "",
            auth=(self.settings.neo4j_username, self.settings.password() or ""),
            notifications_min_severity="OFF",
        )


@dataclass(frozen=True)
class Lap:
    """One process's part of a round: how long it took, each operation's seconds, buckets handed out before and while
    the clock ran, errors."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """What all processes did together. `rate`: buckets a second for tasks that hand them out, else operations."""

    rate: float
    latencies: list[float]
    doubles: int
    errors: list[str]


class Crowd:
    """Processes that live through the whole run, so that none of them measures its own start."""

    def __init__(self, settings: Settings, sizes: tuple[int, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        # Kept: a barrier is gone once nobody here refers to it, which may be before a process has started.
        self._barriers = {size: context.Barrier(size) for size in sizes}
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(max(sizes)):
            ours, theirs = context.Pipe()
            process = context.Process(target=_live, args=(number, settings, self._barriers, theirs), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, task: str, size: int, count: int, **details: Any) -> Round:
        """Let `size` processes do `task` (module.function) `count` times each, all starting at the same moment."""
        for pipe in self._pipes[:size]:
            pipe.send((task, size, count, details))
        laps = [self._lap(pipe) for pipe in self._pipes[:size]]
        buckets = [bucket for lap in laps for bucket in lap.buckets]
        handed_out = buckets + [bucket for lap in laps for bucket in lap.early]
        latencies = [seconds for lap in laps for seconds in lap.latencies]
        return Round(
            rate=(len(buckets) or len(latencies)) / max(lap.seconds for lap in laps),
            latencies=latencies,
            doubles=len(handed_out) - len(set(handed_out)),
            errors=[error for lap in laps for error in lap.errors],
        )

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.send(None)
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    def _lap(self, pipe: Connection) -> Lap:
        if not pipe.poll(LONGEST_LAP):
            raise RuntimeError("a client process does not answer")
        lap: Lap = pipe.recv()
        if not lap.latencies:
            raise RuntimeError(f"a client process could do nothing at all: {lap.errors[:1]}")
        return lap


@contextlib.contextmanager
def crowd(settings: Settings, sizes: tuple[int, ...]) -> Iterator[Crowd]:
    """A crowd that is gone when the block ends."""
    everyone = Crowd(settings, sizes)
    try:
        yield everyone
    finally:
        everyone.close()


def _live(number: int, settings: Settings, barriers: dict[int, Any], pipe: Connection) -> None:
    worker = Worker(number, settings)
    with contextlib.suppress(EOFError, KeyboardInterrupt):  # the parent is gone, or tells us by its own end
        while (order := pipe.recv()) is not None:
            task, size, count, details = order
            module, name = task.split(".")
            try:
                operation = getattr(import_module(f"benchmark.{module}"), name)(worker, **details)
                pipe.send(_timed(operation, barriers[size], count))
            except Exception as error:  # whatever stops a task must reach the one who waits for it
                pipe.send(Lap(errors=[repr(error)]))


def _timed(operation: Operation, barrier: Any, count: int) -> Lap:
    latencies: list[float] = []
    buckets: list[str] = []
    errors: list[str] = []

    def once() -> list[str]:
        try:
            return operation()
        except Exception as error:  # counted and shown; the others go on
            errors.append(repr(error))
            return []

    # Once before the clock runs: between rounds the graph changes so much that Neo4j plans its statements anew.
    early = once()
    barrier.wait(LONGEST_LAP)
    begin = time.perf_counter()
    for _ in range(count):
        started = time.perf_counter()
        buckets += once()
        latencies.append(time.perf_counter() - started)
    return Lap(time.perf_counter() - begin, latencies, early, buckets, errors)
