"""Takes over what another system, or a clock that was ahead, left in the graph: a part of `schema apply`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Row
from dmcheck_cli.errors import Temporary
from dmcheck_cli.transactions import users

TOLD = 10_000
"""So many things that were taken over are worth a line to a person who waits."""

Tell = Callable[[str], None]
"""Is given a sentence for a person who waits."""


def adopt(database: Database, tell: Tell = lambda text: None) -> Counter[str]:
    """Repair everything for which `health.broken` names `schema apply` as the remedy.

    It works in batches, each under the locks it needs, so clients and jobs can keep running. It may be repeated, also
    after a crash: what is correct is left alone. Returns how much of what another system left was taken over, by kind:
    `times` (nodes with times as texts or without a zone, and times that were in the future or none), `answers` (of the
    old types), `clients`, `buckets`, `members` (users who were in a bucket that they should not be in, or in several),
    `opinions` (users with several answers in force, or with a need of another opinion that contradicts the rest).
    """
    limits = database.settings.limits
    changed = Counter[str]()

    def took(kind: str, count: int) -> int:
        before, changed[kind] = changed[kind], changed[kind] + count
        if before // TOLD < changed[kind] // TOLD:
            tell(f"{changed[kind]:,} {kind} taken over")
        return count

    def take_over(kind: str, run: Callable[[], list[Row]], size: int = limits.batch_adopted) -> None:
        _all_batches(lambda: took(kind, _count(run())), size)

    def take_over_slices(kind: str, run: Callable[[str], list[Row]]) -> None:
        after: str | None = ""
        while after is not None:
            row = _row(run(after))
            took(kind, row["corrected"])
            after = row["last"]

    # Before their times, which are read only of clients with counters.
    take_over("clients", lambda: database.run("adopt_clients"))
    take_over("times", lambda: database.run("adopt_moments"))
    take_over("answers", lambda: database.run("adopt_old_answers"))
    # First the buckets that no other step would find by uuid; later those left empty by taking users out.
    take_over("buckets", lambda: database.run("adopt_buckets"))
    take_over_slices("members", lambda after: database.run("adopt_members", after=after, slice=limits.scan_buckets))
    _all_batches(lambda: _count(database.run("adopt_buckets")), limits.batch_adopted)
    lease_seconds = database.settings.lease_seconds
    take_over("times", lambda: database.run("correct_times", lease_seconds=lease_seconds), limits.batch_raised)
    take_over("times", lambda: database.run("correct_other_times"))
    take_over_slices("opinions", lambda after: database.run("adopt_answers", after=after, slice=limits.scan_slice))
    users.name_all(database)
    return +changed


def merge(database: Database, tell: Tell = lambda text: None) -> None:
    """Join the nodes of one client id: several that no constraint forbade, or one whose id is a text beside another."""
    if database.run("merge_clients"):
        tell("Clients have several nodes each, which are joined")
        while database.run("merge_clients"):
            pass


def _all_batches(step: Callable[[], int], batch: int) -> None:
    while step() >= batch:  # a smaller batch is the last, even if something in it cannot be repaired
        pass


def _count(rows: list[Row]) -> int:
    """How many were changed: the only number in the row."""
    [count] = _row(rows).values()
    return int(count)


def _row(rows: list[Row]) -> Row:
    if not rows:
        raise Temporary(what="The graph is being upgraded: repeat the same command")
    return rows[0]
