"""Measure dmcheck against what Neo4j itself can do, the textbook's claim and the system that it replaces.

    python scripts/bench.py              under 3 minutes, on an embedded database of its own
    python scripts/bench.py --long       more rounds
    python scripts/bench.py --json       one JSON document instead of tables

All in one run, because only ratios within one run mean anything on another machine. Exit status 1 when a bucket of
ours was handed out twice or an operation of ours failed; being slow is no failure.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

from benchmark import graph, processes, report, rounds, scale
from benchmark.crowd import crowd

from dmcheck_cli import show
from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from dmcheck_cli.show import Format

SIZES = (1, 8)
"""How many clients work at the same time."""

TIMES = 12
"""How often each of them does each thing in a round: many short rounds tell more than few long ones."""

SECONDS = {1: 20.0, 8: 70.0}
"""For the rounds of the short form, by the number of clients."""


def main() -> int:
    """Run all of it; 0 unless something of ours failed."""
    arguments = _arguments()
    began = time.monotonic()

    def tell(text: str) -> None:
        show.message(f"[{time.monotonic() - began:5.0f} s] {text}")

    try:
        with _settings(arguments) as settings, Database(settings, "bench") as database:
            tell("emptying and filling the database")
            graph.empty(database)
            [row] = database.run_text("CALL dbms.components() YIELD versions RETURN versions[0] AS version")
            many = arguments.users
            results = {}
            with crowd(settings, SIZES) as everyone:
                graph.prepare(database)
                for size in SIZES:
                    most, seconds = (40, 600.0) if arguments.long else (10, SECONDS[size])
                    results[size] = rounds.run(database, everyone, size, TIMES, most, seconds, tell)
                graph.refill(database)
                process = processes.run(settings, 21 if arguments.long else 9)
                tell("measured as a process")
                again, patience = (10, graph.PATIENCE) if arguments.long else (4, 40.0)
                large = scale.run(database, everyone, many, again, patience, tell)
            if arguments.uri:
                graph.empty(database)
    except DmcheckError as problem:
        show.error(problem, arguments.json)
        return problem.exit_status
    tell("done")
    failures = [text for found in results.values() for text in found.failures] + process.failures + large.failures
    if arguments.json:
        show.document(report.document(results, large, process, failures, row["version"]))
    else:
        report.tables(results, large, process, failures, row["version"], Format(arguments.format))
    return 1 if failures else 0


@contextmanager
def _settings(arguments: argparse.Namespace) -> Iterator[Settings]:
    """Settings that lead to the database to measure on, an embedded one of our own unless a URI is given."""
    outside = Settings.load()
    if arguments.uri:
        account = {"neo4j_username": outside.neo4j_username, "neo4j_database": outside.neo4j_database}
        yield graph.quick(Settings(neo4j_uri=arguments.uri, neo4j_password=outside.password(), **account))
        return
    from dmcheck_cli.embedded import server

    with TemporaryDirectory(prefix="dmcheck-bench-") as home:
        embedded = Settings(home=home, jars_url=outside.jars_url, jars_folder=outside.jars_folder)
        running = server.ensure_running(embedded)
        try:
            found = {"neo4j_uri": running.uri, "neo4j_username": running.username, "neo4j_password": running.password}
            yield graph.quick(replace(embedded, **found))
        finally:
            server.stop(embedded)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="more rounds: some 25 minutes")
    parser.add_argument("--users", type=int, default=1_000_000, help="of the large user base; 1,000,000 unless said")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--format", choices=[one.value for one in Format if one is not Format.json], default="auto")
    parser.add_argument("--uri", help="another Neo4j (NEO4J_PASSWORD, NEO4J_USERNAME); it is EMPTIED")
    parser.add_argument("--yes-empty-it", action="store_true", help="agree that the database of --uri is emptied")
    arguments = parser.parse_args()
    if arguments.uri and not arguments.yes_empty_it:
        parser.error("--uri empties that database: add --yes-empty-it if it holds nothing of value")
    if arguments.users <= scale.FEW:
        parser.error(f"--users must be more than {scale.FEW}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
