"""Upgrades the graph of release 0.1.0 to version 1."""

from __future__ import annotations

from dmcheck_cli.database.connection import Database

STEP = 1


def upgrade(database: Database) -> None:
    """Rename the properties by which 0.1.0 draws buckets and finds a lease, turn its leases into records, and remove
    its default capacity of 10, which counts as none stated.

    Commands and jobs of 0.1.0 check no version. Repeating until nothing is found catches what they do meanwhile.
    """
    while _step(database, "upgrade_1_buckets") + _step(database, "upgrade_1_leases"):
        pass
    while _step(database, "upgrade_1_clients"):
        pass


def strays(database: Database) -> int:
    """Convert what a command of 0.1.0 that was running during the upgrade put into its own queue afterwards.

    Returns how many buckets and leases those were.
    """
    return _step(database, "upgrade_1_buckets") + _step(database, "upgrade_1_strays")


def _step(database: Database, statement: str) -> int:
    rows = database.run(statement, step=STEP)
    return int(rows[0]["upgraded"]) if rows else 0
