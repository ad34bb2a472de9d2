"""From the graph of release 0.1.0 to version 1."""

from __future__ import annotations

from dmcheck_cli.database.connection import Database

STEP = 1


def upgrade(database: Database) -> None:
    """Rename what 0.1.0 draws buckets from and knows a lease by; make its leases records; what it took for a stated
    capacity of 10 was no statement.

    Commands and jobs of 0.1.0 check no version. What they do meanwhile is found by going on until nothing is.
    """
    while _step(database, "upgrade_1_buckets") + _step(database, "upgrade_1_leases"):
        pass
    while _step(database, "upgrade_1_clients"):
        pass


def strays(database: Database) -> int:
    """Take back what a command of 0.1.0 that was running during the upgrade has put into its own line afterwards.

    Returns how many buckets and leases those were.
    """
    return _step(database, "upgrade_1_buckets") + _step(database, "upgrade_1_leases")


def _step(database: Database, statement: str) -> int:
    rows = database.run(statement, step=STEP)
    return int(rows[0]["upgraded"]) if rows else 0
