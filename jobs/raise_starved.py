"""Moves buckets that have waited too long to the front, so that none waits forever while any client fetches."""

from __future__ import annotations

from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema
from jobs.options import DryRun, all_batches, app, summary, tell

program = app()


@program.command(epilog="Example: dmcheck-raise-starved")
def raise_starved(
    dry_run: DryRun = False, as_json: Json = False, version: Version = False, log_format: Log = LogFormat.text
) -> None:
    """Move buckets that have waited too long to the front."""
    with Database(Settings.load(), "raise_starved") as database:
        schema.ensure(database)
        raised = buckets.starved(database) if dry_run else run(database)
    summary("raise_starved", {"raised": raised}, dry_run, as_json)


def run(database: Database) -> int:
    """One run of the job; returns how many buckets were raised."""
    all_batches(lambda: buckets.correct_times(database))
    raised = all_batches(lambda: _told(buckets.raise_starved(database)))
    buckets.finish(database, "raise_starved")
    return raised


def _told(raised: list[str]) -> int:
    """Tell the log of each bucket; returns how many they are."""
    for bucket in raised:
        tell("raised", f"bucket {bucket}: has waited too long, and is given before others", bucket=bucket)
    return len(raised)


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
