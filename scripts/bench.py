"""Measure dmcheck against what Neo4j itself can do, and against the system that it replaces.

    python scripts/bench.py              within 240 seconds, on embedded servers of its own
    python scripts/bench.py --long       also 1 and 50 clients, ten buckets at once, long lines, an export,
                                         PostgreSQL: 20 minutes
    python scripts/bench.py --sight      only what operators look at: stats, stats --watch and report, with 1,000,000
                                         users and 2,000 clients and with a hundredth of that: 11 minutes
    python scripts/bench.py --json       one JSON document instead of tables

The contestants alternate within one run, on the same machine, with the same form of the driver, and each figure is the
ratio of the medians of all rounds: only such ratios mean anything on another machine. The quartiles beside them, and
the figure of a contest against itself, show the noise. Exit status 1 when a user was handed out twice or one of our
operations failed; being slow is no failure.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from environment import enter

enter()

from benchmark import export, graph, library, postgres, processes, report, rounds, scale, sight, start
from benchmark.crowd import crowds
from benchmark.graph import BUCKET_SIZE, CLIENTS, LINE
from benchmark.report import MAIN, Findings
from benchmark.rounds import Ring

from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format

COUNT = {1: 40, 8: 8, 50: 3}
"""How often each client does each operation in a round, by the number of clients."""

SHORT_ENDS = {
    "loading": 70.0,
    "scale warm": 75.0,
    "scale": 92.0,
    "rounds warm": 150.0,
    "rounds": 192.0,
    "processes": 212.0,
}
"""Seconds from the start of the run until each part begins to count, and until its last round begins; everything ends
within 240."""

LONG_SECONDS = {
    "loading": 600.0,
    "scale warm": 60.0,
    "scale": 180.0,
    "rounds warm": 60.0,
    "rounds": 300.0,
    "processes": 60.0,
}
"""With --long: seconds from the start of that part."""

Tell = Callable[[str], None]


def main() -> int:
    """Run all of it; 0 unless something of ours failed."""
    arguments = _arguments()
    began = time.monotonic()

    def tell(text: str) -> None:
        show.message(f"[{time.monotonic() - began:5.0f} s] {text}")

    try:
        if arguments.sight:
            return _look(arguments, tell)
        findings = _run(arguments, began, tell)
    except DmcheckError as problem:
        show.error(problem, arguments.json)
        return problem.exit_status
    tell("done")
    if arguments.json:
        show.document(report.document(findings))
    else:
        report.tables(findings, Format(arguments.format))
    return 1 if findings.failures or findings.doubles else 0


def _look(arguments: argparse.Namespace, tell: Tell) -> int:
    found = sight.run(arguments.users, tell)
    if arguments.json:
        show.document(sight.document(found))
    else:
        sight.tables(found, Format(arguments.format))
    return 1 if found.failures or found.doubles else 0


class Schedule:
    """When each part begins to count, and when it begins its last round, in time.monotonic seconds."""

    def __init__(self, began: float, long: bool) -> None:
        self._began = began
        self._long = long

    def span(self, part: str) -> tuple[float, float]:
        """Both for a part that begins now."""
        now = time.monotonic()
        if self._long:
            return now + LONG_SECONDS[f"{part} warm"], now + LONG_SECONDS[part]
        return self._began + SHORT_ENDS[f"{part} warm"], self._began + SHORT_ENDS[part]

    def end(self, part: str) -> float:
        """The end time for a part that counts from its start."""
        return time.monotonic() + LONG_SECONDS[part] if self._long else self._began + SHORT_ENDS[part]


def _run(arguments: argparse.Namespace, began: float, tell: Tell) -> Findings:
    schedule = Schedule(began, arguments.long)
    sizes = (1, MAIN, CLIENTS) if arguments.long else (MAIN,)
    left_out = [] if library.installed() else [f"all with {library.EXTRA}, which is not installed"]
    with graph.servers(2) as (server, large), crowds(sizes) as both:
        database, plain = server.database, both[False]
        for one in (server, large):
            graph.prepare(one.database, scale.UNCHECKED)
        tell(f"two servers with {scale.UNCHECKED:,} users each")
        many = scale.UNCHECKED + graph.add_checked(
            large.database, arguments.users - scale.UNCHECKED, schedule.end("loading")
        )
        tell(f"{many:,} users on one of them")
        if many < arguments.users:
            left_out.append(f"{arguments.users:,} users: this machine was too slow to add more than {many:,} in time")
        of_users = scale.users(plain, server, large, *schedule.span("scale"), tell)
        exported = export.run(large.settings) if arguments.long else None
        line = scale.lines(plain, server, large, *schedule.span("scale"), tell) if arguments.long else None
        graph.empty(database)
        graph.prepare(database, LINE * BUCKET_SIZE)
        results = {}
        with _postgres(arguments.long, left_out) as sql:
            for size in sizes:
                groups = rounds.LONG if arguments.long and size == MAIN else rounds.SHORT
                ring = Ring(server, both, size, COUNT[size], sql if size == MAIN else None)
                results[size] = ring.run(groups, *schedule.span("rounds"), tell)
        graph.refill(database)
        measured = processes.run(server.settings, 31 if arguments.long else 9, schedule.end("processes"))
        tell("measured as a process")
        started = start.run(server, plain, MAIN)
        [row] = database.run_text("CALL dbms.components() YIELD versions RETURN versions[0] AS version")
    return Findings(row["version"], many, results, of_users, measured, started, line, exported, left_out)


@contextmanager
def _postgres(wanted: bool, left_out: list[str]) -> Iterator[str | None]:
    """How to connect to our own PostgreSQL; None if it is not wanted or not installed, which `left_out` then says."""
    lacking = postgres.missing()
    if wanted and lacking:
        left_out.append(f"{rounds.CYCLE.title} / {rounds.POSTGRES.title}: {lacking} is not installed")
    if wanted and not lacking:
        with postgres.running() as how:
            yield how
    else:
        yield None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="measure more, and more often")
    parser.add_argument("--sight", action="store_true", help="measure stats, stats --watch and report, nothing else")
    parser.add_argument("--users", type=int, default=1_000_000, help="of the large user base; 1,000,000 unless said")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--format", choices=[one.value for one in Format if one is not Format.json], default="auto")
    arguments = parser.parse_args()
    if arguments.users <= scale.UNCHECKED:
        parser.error(f"--users must be more than {scale.UNCHECKED}")
    if arguments.sight and arguments.users < sight.MIN_USERS:
        parser.error(f"--users must be at least {sight.MIN_USERS} with --sight")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
