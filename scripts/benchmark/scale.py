"""The cost of a large user base and of a long line: the same work on two servers in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

from benchmark import graph
from benchmark.crowd import Crowd
from benchmark.graph import Server
from dmcheck_cli.database.connection import Database

UNCHECKED = 10_000
"""Unchecked users: the small server has no others, the large one also has 1,000,000 checked ones."""

SHORT_LINE = 100
LONG_LINE = 100_000
LINE_SIZE = 10
"""Users per bucket in these lines: a million users fill the long one."""

COUNT = 3
"""How often each client does each operation in a round: the line of the few users has 55 buckets."""

MIN_ROUNDS = 4
CLIENTS = 8


@dataclass
class Scale:
    """Seconds of every operation on the large and on the small server, by task; failures, and users handed out
    twice."""

    large: dict[str, list[float]] = field(default_factory=dict)
    small: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    doubles: int = 0
    rounds: int = 0

    def ratio(self, task: str) -> float:
        """The cost on the large server as a multiple of the small server's."""
        return median(self.large[task]) / median(self.small[task])


def users(crowd: Crowd, small: Server, large: Server, warm: float, until: float, tell: Callable[[str], None]) -> Scale:
    """Fetch and submit among many users and among few, until the clock (time.monotonic) reaches `until`.

    Work before `warm` is not counted. Both servers are already prepared.
    """
    return _run(crowd, small, large, ("ours.fetch", "ours.submit"), warm, until, tell)


def lines(crowd: Crowd, small: Server, large: Server, warm: float, until: float, tell: Callable[[str], None]) -> Scale:
    """Fetch from a long and from a short line; each lease is released again, so that both keep their length."""
    for server, line in ((small, SHORT_LINE), (large, LONG_LINE)):
        _fill(server, line)
        tell(f"a line of {line:,}")
    return _run(crowd, small, large, ("ours.fetch", "ours.release"), warm, until, tell)


def _run(
    crowd: Crowd,
    small: Server,
    large: Server,
    tasks: tuple[str, ...],
    warm: float,
    until: float,
    tell: Callable[[str], None],
) -> Scale:
    found, uncounted = Scale(), 0
    while time.monotonic() < until or found.rounds < MIN_ROUNDS:
        counts = uncounted > 0 and time.monotonic() >= warm
        sides = [(small, found.small), (large, found.large)]
        for task in tasks:
            for server, seconds in sides if found.rounds % 2 else reversed(sides):
                measured = crowd.run(server.settings, task, CLIENTS, COUNT)
                found.failures += [f"{task}: {error}" for error in measured.errors]
                found.doubles += measured.doubles
                if counts:
                    seconds.setdefault(task, []).extend(measured.latencies)
        for server, _ in sides:
            if "ours.submit" in tasks:
                graph.refill(server.database)
            else:
                graph.forget_pace(server.database)
        uncounted += not counts
        found.rounds += counts
    tell(f"two servers: {uncounted} rounds to warm up, {found.rounds} counted")
    return found


def _fill(server: Server, line: int) -> None:
    """Make the line exactly this many buckets, all waiting."""
    settings = replace(server.settings, bucket_size=LINE_SIZE, buckets_per_client=line // graph.CLIENTS + 1)
    with Database(settings, "bench") as database:
        graph.empty(database)
        graph.prepare(database, line * LINE_SIZE)
