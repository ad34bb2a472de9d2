"""Upgrades a graph of version 1 to version 2: each DM needs a witness; unjudged answers are counted."""

from __future__ import annotations

from dmcheck_cli.database.connection import Database

STEP = 2


def upgrade(database: Database) -> None:
    """Count what each client answered and was judged for, and have a second opinion asked for on each DM."""
    _slices(database, "upgrade_2_clients", 0, database.settings.limits.batch_upgraded)
    _slices(database, "upgrade_2_answers", "", database.settings.limits.scan_slice)


def _slices(database: Database, statement: str, after: int | str | None, slice: int) -> None:
    while after is not None:
        rows = database.run(statement, step=STEP, after=after, slice=slice)
        after = rows[0]["last"] if rows else None
