"""Equal clients get equal shares: fifty at once, with enough for all and without."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace

from support.graphs import answers as answered
from support.graphs import prepare
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, leases, schema, users
from jobs import make_buckets
from proofs.graph import empty
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py fairness"

LEAST = 0.99
"""Minimum of Jain's index. 1: all got the same; 1/n: one got everything."""


AT_ONCE = 5
"""Connections that work at once."""


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness; if all got nothing, they were treated alike."""
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 1.0


def one_bucket(database: Database, client: int, name: str) -> bool:
    """Fetch a bucket and answer it; returns whether there was one."""
    try:
        taken = leases.fetch(database, client, 1, name)
    except NothingToFetch:
        return False
    reports = answers.submit(database, client, [answered(lease) for lease in taken])
    return [report.status for report in reports] == ["done"]


def enough(settings: Settings, clients: int, each: int) -> Outcome:
    """On a line that does not run dry: what each client has answered at the moment when the first has answered `each`.

    Five connections work at once, and each drives its share of the clients in turn, which measures the hand-out and not
    how the machine schedules fifty threads.
    """
    outcome = Outcome("rivals at every bucket", f"{clients} clients, {AT_ONCE} at once, enough for all", COMMAND)
    with Database(settings, "fairness") as database:
        _line(database, clients, clients * each)
        counts, crashes = [0] * clients, []
        start, over = threading.Barrier(AT_ONCE), threading.Event()

        def drive(part: range) -> None:
            try:
                with Database(settings, "fairness") as own:
                    own.run_text("RETURN 1")
                    start.wait()
                    while not over.is_set():
                        for index in random.sample(part, len(part)):
                            counts[index] += one_bucket(own, index + 1, f"bucket {counts[index]}")
                        if max(counts[index] for index in part) >= each:
                            over.set()
            except Exception as problem:
                start.abort()
                over.set()
                crashes.append(repr(problem))

        threads = [threading.Thread(target=drive, args=(range(first, clients, AT_ONCE),)) for first in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return _judged(outcome, database, counts, crashes)


def scarce(settings: Settings, clients: int, rounds: int) -> Outcome:
    """In each round four buckets for five clients, who come in random order."""
    outcome = Outcome(
        "fewer buckets than clients", f"{clients} clients, {rounds} rounds in an order by chance", COMMAND
    )
    with Database(replace(settings, bucket_size=1), "fairness") as database:
        _line(database, clients, 0)
        counts = [0] * clients
        for number in range(rounds):
            users.add(database, [User(f"user{number:04}x{i:04}", None) for i in range(clients * 4 // 5)])
            make_buckets.run(database)
            for index in random.sample(range(clients), clients):
                counts[index] += one_bucket(database, index + 1, f"round {number}")
        outcome.refused = clients * rounds - sum(counts)
        return _judged(outcome, database, counts, [])


def _line(database: Database, clients: int, buckets: int) -> None:
    empty(database)
    schema.apply(database)
    prepare(database, range(1, clients + 1), buckets, size=1)


def _judged(outcome: Outcome, database: Database, counts: list[int], crashes: list[str]) -> Outcome:
    index = jain(counts)
    print(f"{outcome.injection}: {min(counts)} to {max(counts)} buckets each, Jain's index {index:.4f}")
    outcome.ok = outcome.faults = sum(counts)
    outcome.violations += crashes + broken(database.run_text)
    if index < LEAST:
        outcome.violations.append(f"Jain's index is {index:.4f}: {sorted(counts)}")
    return outcome


def run(settings: Settings, *, clients: int = 50, each: int = 20, rounds: int = 200) -> list[Outcome]:
    """Equal clients get equal shares, by Jain's index, with enough for all and without."""
    return [enough(settings, clients, each), scarce(settings, clients, rounds)]
