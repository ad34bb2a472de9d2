"""Taking over what another system, or a clock that was ahead, left in the graph: what `schema apply` does."""

from __future__ import annotations

from collections.abc import Callable

from dmcheck_cli.database.connection import Database
from dmcheck_cli.limits import BATCH_ADOPTED, BATCH_RAISED, DEFAULT_PRIORITY, MAX_SKEW_SECONDS, SCAN_BUCKETS, SCAN_SLICE
from dmcheck_cli.transactions import buckets


def adopt(database: Database) -> None:
    """Put right everything that `health.broken` names `schema apply` as the remedy for.

    In batches, each under the locks that it needs, so clients and jobs may go on meanwhile. May be repeated, also after
    a crash: what is right is left alone.
    """
    _all_batches(lambda: _clients(database))
    # First those that no other step would find by their uuid, last those that taking users out has left empty.
    _all_batches(lambda: _buckets(database))
    _members(database)
    _all_batches(lambda: _buckets(database))
    _all_batches(lambda: buckets.correct_times(database), BATCH_RAISED)
    _all_batches(lambda: _other_times(database))
    _answers(database)


def _all_batches(step: Callable[[], int], batch: int = BATCH_ADOPTED) -> None:
    while step() >= batch:  # a smaller batch was the last, also if something in it cannot be put right
        pass


def _clients(database: Database) -> int:
    [row] = database.run("adopt_clients", batch=BATCH_ADOPTED)
    return int(row["adopted"])


def _buckets(database: Database) -> int:
    [row] = database.run("adopt_buckets", default_priority=DEFAULT_PRIORITY, batch=BATCH_ADOPTED)
    return int(row["adopted"])


def _other_times(database: Database) -> int:
    [row] = database.run("correct_other_times", skew_seconds=MAX_SKEW_SECONDS, batch=BATCH_ADOPTED)
    return int(row["corrected"])


def _members(database: Database) -> None:
    after: str | None = ""
    while after is not None:
        [row] = database.run("adopt_members", after=after, slice=SCAN_BUCKETS)
        after = row["last"]


def _answers(database: Database) -> None:
    after: str | None = ""
    while after is not None:
        [row] = database.run("adopt_answers", after=after, slice=SCAN_SLICE)
        after = row["last"]
