"""Client processes that start each task at the same moment, and their measurements."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from benchmark import library
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    import neo4j

FIRST_CLIENT = 1000
"""The id of the first process's client; the others follow."""

MAX_LAP_SECONDS = 300.0
"""A process that has not answered by then is stuck."""


@dataclass(frozen=True)
class Done:
    """What one operation did: how many buckets it handled, and the screen names of the users it was handed."""

    buckets: int = 0
    users: list[str] = field(default_factory=list)


Operation = Callable[[], Done]
"""One thing to time."""


@dataclass
class Worker:
    """What one client process uses at one server; opened when a task asks for it, and kept."""

    number: int
    settings: Settings
    held: list[list[Lease]] = field(default_factory=list)
    """The leases from each fetch."""
    kept: dict[str, Any] = field(default_factory=dict)
    """State of other tasks."""

    @property
    def client(self) -> int:
        """The id of this process's client."""
        return FIRST_CLIENT + self.number

    @property
    def database(self) -> Database:
        """Our own connection to the database."""
        if "database" not in self.kept:
            self.kept["database"] = Database(self.settings, "bench")
        database: Database = self.kept["database"]
        return database

    @property
    def session(self) -> neo4j.Session:
        """A plain session of the driver."""
        if "session" not in self.kept:
            self.kept["driver"] = driver = self.connect()
            self.kept["session"] = driver.session(database=self.settings.neo4j_database)
        session: neo4j.Session = self.kept["session"]
        return session

    def connect(self) -> neo4j.Driver:
        """A plain driver, as in its manual."""
        from neo4j import GraphDatabase

        return GraphDatabase.driver(
            self.settings.neo4j_uri or "",
            auth=(self.settings.neo4j_username, self.settings.password() or ""),
            notifications_min_severity="OFF",
        )


@dataclass(frozen=True)
class Lap:
    """One process's part of a round: when its clock ran (on the machine's monotonic clock), the seconds of each
    successful operation, the buckets it handled, errors; and, including the time before its clock ran, the users it was
    handed and the seconds of CPU it used."""

    begin: float = 0.0
    end: float = 0.0
    latencies: list[float] = field(default_factory=list)
    buckets: int = 0
    users: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cpu: float = 0.0


@dataclass(frozen=True)
class Round:
    """What all processes did together: buckets per second, each operation's seconds, users handed out twice, errors;
    seconds of CPU that the clients used."""

    rate: float
    latencies: list[float]
    doubles: int
    errors: list[str]
    cpu: float = 0.0


class Crowd:
    """Processes that live for the whole run, so that none of them measures its own start."""

    def __init__(self, sizes: tuple[int, ...], compiled: bool) -> None:
        context = multiprocessing.get_context("spawn")
        # Keep a reference: otherwise a barrier may be destroyed before a process has started.
        self._barriers = {size: context.Barrier(size) for size in sizes}
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(max(sizes)):
            ours, theirs = context.Pipe()
            arguments = (number, compiled, self._barriers, theirs)
            process = context.Process(target=_live, args=arguments, daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, settings: Settings, task: str, size: int, count: int, early: bool = True, **details: Any) -> Round:
        """Let `size` processes do `task` (module.function) `count` times each at the server in the settings, all
        starting at the same moment. `early`: once before the clock runs."""
        for pipe in self._pipes[:size]:
            pipe.send((settings, task, size, count, early, details))
        laps = [self._lap(pipe) for pipe in self._pipes[:size]]
        users = [user for lap in laps for user in lap.users]
        latencies = [seconds for lap in laps for seconds in lap.latencies]
        return Round(
            rate=sum(lap.buckets for lap in laps) / (max(lap.end for lap in laps) - min(lap.begin for lap in laps)),
            latencies=latencies,
            doubles=len(users) - len(set(users)),
            errors=[error for lap in laps for error in lap.errors],
            cpu=sum(lap.cpu for lap in laps),
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
        if not pipe.poll(MAX_LAP_SECONDS):
            raise RuntimeError("a client process does not answer")
        lap: Lap = pipe.recv()
        if not lap.latencies:
            raise RuntimeError(f"a client process could do nothing at all: {lap.errors[:1]}")
        return lap


@contextlib.contextmanager
def crowds(sizes: tuple[int, ...]) -> Iterator[dict[bool, Crowd]]:
    """A crowd with the plain driver (False), and one with its compiled parts (True) if they are installed."""
    with contextlib.ExitStack() as stack:
        kinds = [False, True] if library.installed() else [False]
        yield {compiled: stack.enter_context(contextlib.closing(Crowd(sizes, compiled))) for compiled in kinds}


def _live(number: int, compiled: bool, barriers: dict[int, Any], pipe: Connection) -> None:
    library.choose(compiled)
    workers: dict[str | None, Worker] = {}
    with contextlib.suppress(EOFError, KeyboardInterrupt):  # the parent has ended, or interrupts us
        while (order := pipe.recv()) is not None:
            settings, task, size, count, early, details = order
            worker = workers.setdefault(settings.neo4j_uri, Worker(number, settings))
            module, name = task.split(".")
            try:
                operation = getattr(import_module(f"benchmark.{module}"), name)(worker, **details)
                pipe.send(_timed(operation, barriers[size], count, early))
            except Exception as error:  # any failure of a task must reach the waiting parent
                pipe.send(Lap(errors=[repr(error)]))


def _timed(operation: Operation, barrier: Any, count: int, early: bool) -> Lap:
    latencies: list[float] = []
    users: list[str] = []
    errors: list[str] = []
    buckets = 0
    used = time.process_time()

    def once() -> None:
        nonlocal buckets
        started = time.monotonic()
        try:
            done = operation()
        except Exception as error:  # counted and shown; the others go on
            errors.append(repr(error))
        else:
            latencies.append(time.monotonic() - started)
            buckets += done.buckets
            users.extend(done.users)

    # Once before the clock runs: between rounds the graph changes so much that Neo4j re-plans its statements.
    if early:
        once()
        latencies.clear()
        buckets = 0
    barrier.wait(MAX_LAP_SECONDS)
    begin = time.monotonic()
    for _ in range(count):
        once()
    return Lap(begin, time.monotonic(), latencies, buckets, users, errors, time.process_time() - used)
