"""Processes that keep their connections and are released together, over and over."""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType
from typing import Any

from support.graphs import MAX_WAIT_SECONDS
from support.invariants import INVARIANTS, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.graph import empty
from proofs.history import Operation, Recorder, read
from proofs.outcome import Outcome
from proofs.workload import CONTEXT

Task = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments after the Actor of the process that runs it."""

ALL_AT_ONCE = " UNION ALL ".join(INVARIANTS.values())

SPREAD = 0.004
"""Seconds within which rivals start: they then meet in every phase of their transactions, which take about as long."""

NEVER_EXPECTED = ("database_refused", "error", "not_configured", "schema_missing")
"""Codes of refusals that no rival can cause."""


class Crew:
    """`size` processes. Use it as a context manager."""

    def __init__(self, settings: Settings, size: int) -> None:
        # Keep a reference: otherwise a barrier is gone before a slow-starting process has opened it.
        self.barriers = [CONTEXT.Barrier(parties) for parties in range(1, size + 1)]
        ends = [CONTEXT.Pipe() for _ in range(size)]
        self.settings = settings
        self.lines = [ours for ours, _ in ends]
        self.processes = [
            CONTEXT.Process(target=_serve, args=(settings, theirs, self.barriers), daemon=True) for _, theirs in ends
        ]

    def __enter__(self) -> Crew:
        for process in self.processes:
            process.start()
        for line in self.lines:
            _answer(line)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for line in self.lines:
            with suppress(OSError):
                line.send(None)
            line.close()
        for process in self.processes:
            process.join(1)
            process.kill()
            process.join()

    def race(self, folder: Path, settings: Settings, tasks: Sequence[Task]) -> list[str]:
        """Run each task in its own process, all released together; returns the tracebacks of crashes."""
        for line, task in zip(self.lines, tasks, strict=False):
            line.send((folder, settings, len(tasks), task))
        answers = [_answer(line) for line in self.lines[: len(tasks)]]
        return [answer for answer in answers if answer]


class Arena:
    """Rounds of one race, each on its own graph, judged and counted in `outcome`."""

    def __init__(self, crew: Crew, database: Database, outcome: Outcome) -> None:
        self.crew, self.database, self.outcome = crew, database, outcome

    def round(
        self, scene: Callable[[Actor], Sequence[Task]], extra: Callable[[list[Operation]], list[str]] | None = None
    ) -> None:
        """Set the scene, release its tasks, and judge; `extra` returns further violations in the operations."""
        query = self.database.run_text
        empty(self.database)
        with tempfile.TemporaryDirectory() as name:
            before, after = Path(name, "before"), Path(name, "race")
            before.mkdir()
            after.mkdir()
            recorder = Recorder(before)
            try:
                tasks = scene(Actor(self.database, recorder))
                crashes = self.crew.race(after, self.database.settings, tasks)
            finally:
                recorder.close()
            raced = read(after)
            found = contradictions(read(before) + raced, query)
        if query(ALL_AT_ONCE):
            found += broken(query)
        found += [f"crashed: {crash}" for crash in crashes] + (extra(raced) if extra else [])
        found += [
            f"{x.kind} ended as {x.outcome}, which no rival is a reason for"
            for x in raced
            if x.unknown or x.outcome in NEVER_EXPECTED
        ]
        self.outcome.count(raced)
        self.outcome.faults += bool(raced) and max(x.began for x in raced) < min(x.ended for x in raced)
        self.outcome.violations += [f"{text} -- {_told(raced)}" for text in found]


def _told(operations: list[Operation]) -> str:
    """The shortest history that shows it: what ran together, and each result."""
    return "; ".join(f"{x.kind} {x.client or ''} {x.arguments} -> {x.outcome} {x.result}" for x in operations)


def _answer(line: Connection) -> str:
    assert line.poll(MAX_WAIT_SECONDS), "a process of the crew hangs"
    return str(line.recv())


def _serve(settings: Settings, line: Connection, barriers: list[Barrier]) -> None:
    chance = random.Random()
    with Database(settings, "race") as database:
        database.run_text("RETURN 1")  # connect first, so that the start is fair
        line.send("")
        while (order := line.recv()) is not None:
            folder, database.settings, parties, (function, arguments) = order
            recorder = Recorder(folder)
            crash = ""
            barriers[parties - 1].wait(MAX_WAIT_SECONDS)
            time.sleep(chance.random() * SPREAD)
            try:
                function(Actor(database, recorder), *arguments)
            except DmcheckError:
                pass  # recorded in the history
            except Exception:
                crash = traceback.format_exc()
            recorder.close()
            line.send(crash)


def at_once(settings: Settings) -> Settings:
    """Small buckets and the usual times, so that each scene decides what has expired."""
    return replace(settings, bucket_size=3)
