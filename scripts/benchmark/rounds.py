"""The rates: everything that is compared happens in every round, so that what else the machine does hits all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmark import graph
from benchmark.crowd import Crowd, Round
from dmcheck_cli.database.connection import Database


@dataclass(frozen=True)
class Contest:
    """A task as it is shown. `share`: how often a process does it in a round, against the others."""

    task: str
    title: str
    share: float = 1.0
    ours: bool = False


CONTESTS = (
    Contest("plain.write", "a trivial write", share=4),
    Contest("plain.write_and_return", "a write that returns 180 users"),
    Contest("plain.create_by_name", "180 relationships to users found by name"),
    Contest("ours.fetch", "fetch of a bucket of 180", ours=True),
    Contest("ours.submit", "submit of 180 answers", ours=True),
    Contest("ours.cycle", "fetch + submit", ours=True),
    Contest("plain.claim", "textbook claim (MATCH free, SET)"),
    Contest("old_system.as_built", "old system, as it was built", share=0.2),
    Contest("old_system.connection_kept", "old system, one connection kept", share=0.2),
)


@dataclass
class Results:
    """Every round of every contest, by (task, clients), and users/s of make_buckets; failed operations of ours."""

    rounds: dict[tuple[str, int], list[Round]] = field(default_factory=dict)
    placed: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def rate(self, task: str, clients: int) -> float:
        """The median of the rounds' rates."""
        return median(one.rate for one in self.rounds[task, clients])

    def ratio(self, task: str, other: str, clients: int) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.rounds[task, clients], self.rounds[other, clients], strict=True)
        return median(one.rate / two.rate for one, two in pairs)

    def latencies(self, task: str, clients: int) -> list[float]:
        """Seconds of every operation of every round, in order of size."""
        return sorted(seconds for one in self.rounds[task, clients] for seconds in one.latencies)

    def doubles(self, task: str, clients: int) -> int:
        """Buckets that were handed out twice."""
        return sum(one.doubles for one in self.rounds[task, clients])


def run(
    database: Database, crowd: Crowd, clients: int, count: int, rounds: int, seconds: float, tell: Callable[[str], None]
) -> Results:
    """Up to `rounds` rounds of all contests, at least three, and no further ones after `seconds`.

    A round that nobody counts goes first: Java compiles what is used often.
    """
    begin = time.monotonic()
    _round(database, crowd, clients, count, Results())
    results = Results()
    for number in range(1, rounds + 1):
        _round(database, crowd, clients, count, results)
        spent = time.monotonic() - begin
        tell(f"{clients} client{'s'[: clients > 1]}: round {number} of at most {rounds}, {spent:.0f} s")
        if number >= 3 and spent + spent / (number + 1) > seconds:
            break
    return results


def _round(database: Database, crowd: Crowd, clients: int, count: int, results: Results) -> None:
    for contest in CONTESTS:
        task, times = contest.task, max(round(count * contest.share), 2)
        details = {}
        if task in ("plain.write_and_return", "plain.create_by_name"):
            details["of"] = clients
        needed = clients * (times + 1) * (2 if task.startswith("old_system") else 1)
        if task not in ("plain.write", "plain.create_by_name", "ours.submit"):
            free = graph.waiting(database)
            if len(free) < needed:
                users, seconds = graph.refill(database)
                results.placed.append(users / seconds)
                free = graph.waiting(database)
            if task == "plain.write_and_return":
                details["buckets"] = free
        measured = crowd.run(task, clients, times, **details)
        results.rounds.setdefault((task, clients), []).append(measured)
        if contest.ours:
            results.failures += measured.errors
            results.failures += [f"{contest.title}: {measured.doubles} buckets twice"] * bool(measured.doubles)
        if task == "plain.claim":
            database.run_text("MATCH (b:DMCheckBucket) WHERE b.bench_owner IS NOT NULL REMOVE b.bench_owner")
        if task == "plain.create_by_name":
            graph.forget_plain(database)
