"""Marks expired leases dead, and releases those that have been dead for the grace period."""

from __future__ import annotations

from dataclasses import asdict
from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema, upgrade_1
from dmcheck_cli.transactions.buckets import Held
from jobs.options import DryRun, all_batches, app, summary, tell

SAID = {"died": "died", "released": "had been dead for the time of grace: the bucket waits again"}
"""What a line of the log says of each event."""

program = app()


@program.command(epilog="Example: dmcheck-reclaim-leases --json")
def reclaim_leases(
    dry_run: DryRun = False, as_json: Json = False, version: Version = False, log_format: Log = LogFormat.text
) -> None:
    """Mark leases dead whose time is over, and release those that have been dead for the time of grace."""
    with Database(Settings.load(), "reclaim_leases") as database:
        schema.ensure(database)
        marked, released = buckets.reclaimable(database) if dry_run else run(database)
    summary("reclaim_leases", {"marked_dead": marked, "released": released}, dry_run, as_json)


def run(database: Database) -> tuple[int, int]:
    """One round of the job; returns how many leases were marked dead, and how many were released."""
    all_batches(lambda: upgrade_1.strays(database))
    all_batches(lambda: buckets.correct_times(database))
    # Release first: a round must never release what it has marked itself, however short the grace period.
    released = all_batches(lambda: _told("released", buckets.release_dead(database)))
    all_batches(lambda: buckets.split(database))
    marked = all_batches(lambda: _told("died", buckets.mark_dead(database)))
    all_batches(lambda: buckets.forget(database))
    buckets.finish(database, "reclaim_leases")
    return marked, released


def _told(event: str, leases: list[Held]) -> int:
    """Tell the log of each lease; returns how many they are."""
    for one in leases:
        tell(event, f"bucket {one.bucket}: the lease of client {one.client} {SAID[event]}", **asdict(one))
    return len(leases)


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
