"""Takes over what another system, or a clock that was ahead, left in the graph: a part of `schema apply`."""

from __future__ import annotations

from collections.abc import Callable

from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Row
from dmcheck_cli.errors import Temporary
from dmcheck_cli.transactions import users


def adopt(database: Database) -> None:
    """Repair everything for which `health.broken` names `schema apply` as the remedy.

    It works in batches, each under the locks it needs, so clients and jobs can keep running. It may be repeated, also
    after a crash: what is correct is left alone.
    """
    limits = database.settings.limits
    _all_batches(lambda: _count(database.run("adopt_clients")), limits.batch_adopted)
    # First the buckets that no other step would find by uuid; later those left empty by taking users out.
    _all_batches(lambda: _count(database.run("adopt_buckets")), limits.batch_adopted)
    _all_slices(lambda after: _last(database.run("adopt_members", after=after, slice=limits.scan_buckets)))
    _all_batches(lambda: _count(database.run("adopt_buckets")), limits.batch_adopted)
    lease_seconds = database.settings.lease_seconds
    _all_batches(lambda: _count(database.run("correct_times", lease_seconds=lease_seconds)), limits.batch_raised)
    _all_batches(lambda: _count(database.run("correct_other_times")), limits.batch_adopted)
    _all_slices(lambda after: _last(database.run("adopt_answers", after=after, slice=limits.scan_slice)))
    users.name_all(database)


def _all_batches(step: Callable[[], int], batch: int) -> None:
    while step() >= batch:  # a smaller batch is the last, even if something in it cannot be repaired
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
