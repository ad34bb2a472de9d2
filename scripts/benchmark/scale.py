"""What a large user base costs: the same work among few users, then among many checked ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from benchmark import graph
from benchmark.crowd import Crowd
from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets
from jobs import make_buckets

FEW = 10_000
"""Users that nobody has checked; all there are at first."""

TASKS = ("plain.write", "ours.fetch", "ours.submit")


@dataclass(frozen=True)
class Scale:
    """Seconds of each of TASKS among few and among many users; what one fruitless make_buckets cost.

    The two cannot alternate, so each is the median of its best round: what else the machine does only ever adds.
    """

    many: int
    few_seconds: dict[str, float]
    many_seconds: dict[str, float]
    load_seconds: float
    search_users: int
    search_seconds: float
    failures: list[str]

    def ratio(self, task: str) -> float:
        """The cost among many users, the cost among few being one."""
        return self.many_seconds[task] / self.few_seconds[task]


def run(
    database: Database, crowd: Crowd, many: int, rounds: int, patience: float, tell: Callable[[str], None]
) -> Scale:
    """Empty the database, measure with FEW users, add checked ones up to `many`, measure again.

    On a slow machine there will be fewer than `many`: none are added after `patience` seconds.
    """
    graph.empty(database)
    graph.prepare(database, FEW)
    failures: list[str] = []
    few = _measure(database, crowd, rounds, failures)
    tell(f"measured among {FEW:,} users; adding {many - FEW:,} checked ones")
    started = time.perf_counter()
    many = FEW + graph.add_checked(database, many - FEW, patience)
    loaded = time.perf_counter() - started
    tell(f"{many:,} users, added in {loaded:.0f} s")
    found = _measure(database, crowd, rounds, failures)
    _fill(database)
    settings = replace(database.settings, scan_users_per_run=Settings().scan_users_per_run)
    search = min(many, settings.scan_users_per_run)
    with Database(settings, "bench") as usual:
        buckets.plan(usual)  # connects
        started = time.perf_counter()
        made = make_buckets.run(usual)
        seconds = time.perf_counter() - started
    if made.users:
        failures.append(f"make_buckets was to find nobody, and placed {made.users} users")
    return Scale(many, few, found, loaded, search, seconds, failures)


def _measure(database: Database, crowd: Crowd, rounds: int, failures: list[str]) -> dict[str, float]:
    medians: dict[str, list[float]] = {task: [] for task in TASKS}
    for number in range(rounds + 1):
        free = _fill(database)
        for task in TASKS:
            measured = crowd.run(task, 1, free - 3)
            failures += measured.errors
            if number:  # the first round warms up
                medians[task].append(median(measured.latencies))
    return {task: min(found) for task, found in medians.items()}


def _fill(database: Database) -> int:
    graph.forget_work(database)
    names = [graph.user_name(number) for number in range(FEW)]
    for first in range(0, FEW, 10 * graph.BUCKET_SIZE):
        buckets.place(database, names[first : first + 10 * graph.BUCKET_SIZE])
    return len(graph.waiting(database))
