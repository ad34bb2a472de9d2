"""Taking over what another system, or a clock that was ahead, left in the graph: what `schema apply` does."""

from __future__ import annotations

from collections.abc import Callable

from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Row
from dmcheck_cli.errors import Temporary


def adopt(database: Database) -> None:
    """Put right everything that `health.broken` names `schema apply` as the remedy for.

    In batches, each under the locks that it needs, so clients and jobs may go on meanwhile. May be repeated, also after
    a crash: what is right is left alone.
    """
    limits = database.settings.limits
    _all_batches(lambda: _count(database.run("adopt_clients")), limits.batch_adopted)
    # First those that no other step would find by their uuid, last those that taking users out has left empty.
    _all_batches(lambda: _count(database.run("adopt_buckets")), limits.batch_adopted)
    _all_slices(lambda after: _last(database.run("adopt_members", after=after, slice=limits.scan_buckets)))
    _all_batches(lambda: _count(database.run("adopt_buckets")), limits.batch_adopted)
    lease_seconds = database.settings.lease_seconds
    _all_batches(lambda: _count(database.run("correct_times", lease_seconds=lease_seconds)), limits.batch_raised)
    _all_batches(lambda: _count(database.run("correct_other_times")), limits.batch_adopted)
    _all_slices(lambda after: _last(database.run("adopt_answers", after=after, slice=limits.scan_slice)))


def _all_batches(step: Callable[[], int], batch: int) -> None:
    while step() >= batch:  # a smaller batch was the last, also if something in it cannot be put right
        pass


def _all_slices(step: Callable[[str], str | None]) -> None:
    after: str | None = ""
    while after is not None:
        after = step(after)


def _count(rows: list[Row]) -> int:
    """How many were changed: the only number in the row."""
    [count] = _row(rows).values()
    return int(count)


def _last(rows: list[Row]) -> str | None:
    last: str | None = _row(rows)["last"]
    return last


def _row(rows: list[Row]) -> Row:
    if not rows:
        raise Temporary(what="The graph is being upgraded: repeat the same command")
    return rows[0]
