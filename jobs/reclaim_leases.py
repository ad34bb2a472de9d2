"""Marks expired leases dead, and releases those that have been dead for the grace period."""

from __future__ import annotations

from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema, upgrade_1
from jobs.options import DryRun, all_batches, app, summary

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
    released = all_batches(lambda: buckets.release_dead(database))
    all_batches(lambda: buckets.split(database))
    marked = all_batches(lambda: buckets.mark_dead(database))
    all_batches(lambda: buckets.forget(database))
    buckets.finish(database, "reclaim_leases")
    return marked, released


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
