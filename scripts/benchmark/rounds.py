"""The rates: every round runs all contestants, so that other load on the machine affects them equally."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmark import graph
from benchmark.crowd import Crowd, Round
from benchmark.graph import Server

MIN_ROUNDS = 3


@dataclass(frozen=True)
class Contest:
    """A task (module.function) and how it is shown.

    `buckets`: maximum buckets per operation. `takes`: whether it takes them out of the line, `given`: whether it is
    told which wait. `share`: how often a process runs it in a round, relative to the others.
    """

    title: str
    task: str
    buckets: int = 1
    takes: bool = True
    given: bool = False
    share: float = 1.0

    @property
    def details(self) -> dict[str, int]:
        """The task's arguments besides the waiting buckets."""
        return {"buckets": self.buckets} if self.task == "ours.fetch" else {}


RETURN = Contest("write and return 180 users", "plain.write_and_return", takes=False, given=True)
AGAIN = Contest("the same again", RETURN.task, takes=False, given=True)
CREATE = Contest("create 180 answers and delete a bucket", "plain.create_and_delete", given=True)
FETCH = Contest("fetch", "ours.fetch")
SUBMIT = Contest("submit", "ours.submit", takes=False)
CYCLE = Contest("fetch + submit", "ours.cycle")
OLD = Contest("old system, connection kept", "old_system.connection_kept", buckets=2, share=0.2)
OLD_AS_BUILT = Contest("old system, as built", "old_system.as_built", buckets=2, share=0.2)
CLAIM = Contest("textbook claim", "plain.claim")
FETCH_TEN = Contest("fetch of ten buckets", "ours.fetch", buckets=10, share=0.2)
SUBMIT_TEN = Contest("submit of ten buckets", "ours.submit", buckets=10, takes=False, share=0.2)
POSTGRES = Contest("plain SQL on PostgreSQL", "postgres.cycle", takes=False)

SHORT = ((RETURN,), (AGAIN,), (FETCH, SUBMIT), (CREATE,), (CYCLE,), (OLD,))
LONG = (*SHORT, (FETCH_TEN, SUBMIT_TEN), (OLD_AS_BUILT,), (CLAIM,))
"""The contests of a round, in groups; within a group the second contest needs what the first one leaves."""


@dataclass
class Results:
    """Every counted round, by contest and whether the driver had its compiled parts; the microseconds of CPU per
    operation in each, of the server and of the client; our failures; users that ours handed out twice."""

    clients: int
    rounds: dict[tuple[Contest, bool], list[Round]] = field(default_factory=dict)
    cpu: dict[tuple[Contest, bool], list[tuple[float, float]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    doubles: int = 0

    def rates(self, contest: Contest, compiled: bool = False) -> list[float]:
        """Buckets per second in each round; empty if it was not run."""
        return [one.rate for one in self.rounds.get((contest, compiled), [])]

    def latencies(self, contest: Contest, compiled: bool = False) -> list[float]:
        """Seconds of every operation of every round, sorted."""
        return sorted(seconds for one in self.rounds[contest, compiled] for seconds in one.latencies)

    def spent(self, contest: Contest, compiled: bool) -> tuple[float | None, float | None]:
        """Microseconds of CPU per operation: the server's, the client's. None if another server did the work."""
        found = self.cpu.get((contest, compiled))
        if not found:
            return None, None
        server, client = zip(*found, strict=True)
        return median(server), median(client)


@dataclass(frozen=True)
class Ring:
    """Where the rounds take place: a server, the crowds with and without compiled parts, how many of their processes
    work, how often each does each thing in a round; how to connect to a PostgreSQL, if there is one."""

    server: Server
    crowds: dict[bool, Crowd]
    clients: int
    count: int
    sql: str | None = None

    def run(
        self, groups: Sequence[tuple[Contest, ...]], warm: float, until: float, tell: Callable[[str], None]
    ) -> Results:
        """Rounds of all contests until the clock (time.monotonic) reaches `until`, at least MIN_ROUNDS.

        Rounds before `warm`, and at least one, are not counted: Java has yet to compile hot code.
        """
        uncounted, results, took = 0, Results(self.clients), 0.0
        while True:
            started = time.monotonic()
            warming = uncounted == 0 or started < warm
            done = len(next(iter(results.rounds.values()), []))
            if not warming and done >= MIN_ROUNDS and started + took > until:
                tell(f"{self.clients} clients: {uncounted} rounds to warm up, {done} counted")
                return results
            self._round(groups, results, not warming)
            uncounted += warming
            took = time.monotonic() - started

    def _round(self, groups: Sequence[tuple[Contest, ...]], results: Results, counts: bool) -> None:
        for group in groups:
            for compiled, crowd in self.crowds.items():
                for contest in group:
                    measured, cpu = self._contest(contest, crowd)
                    if contest.task.startswith("ours."):
                        results.failures += [f"{contest.title}: {error}" for error in measured.errors]
                        results.doubles += measured.doubles
                    if counts:
                        results.rounds.setdefault((contest, compiled), []).append(measured)
                        results.cpu.setdefault((contest, compiled), []).append(cpu)
        if self.sql:  # its client library has one form
            measured, _ = self._contest(POSTGRES, self.crowds[False])  # the CPU belongs to another server
            if counts:
                results.rounds.setdefault((POSTGRES, False), []).append(measured)

    def _contest(self, contest: Contest, crowd: Crowd) -> tuple[Round, tuple[float, float]]:
        times = max(round(self.count * contest.share), 2)
        details: dict[str, object] = {"connect": self.sql} if contest is POSTGRES else dict(contest.details)
        if contest.takes or contest.given:
            details |= self._line(contest, self.clients * (times + 1) * contest.buckets)
        before = self.server.cpu()
        measured = crowd.run(self.server.settings, contest.task, self.clients, times, **details)
        operations = self.clients * (times + 1) / 1e6
        cpu = ((self.server.cpu() - before) / operations, measured.cpu / operations)
        if contest is CLAIM:
            self.server.database.run_text("MATCH (b:DMCheckBucket) REMOVE b.bench_owner")
        return measured, cpu

    def _line(self, contest: Contest, needed: int) -> dict[str, object]:
        """Make sure that enough buckets wait; returns what the contest is told about them."""
        free = graph.waiting(self.server.database)
        if len(free) < needed:
            graph.refill(self.server.database)
            free = graph.waiting(self.server.database)
        return {"buckets": free, "of": self.clients} if contest.given else {}
