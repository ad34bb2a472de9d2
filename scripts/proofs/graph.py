"""The graph that a proof begins with."""

from __future__ import annotations

from dmcheck_cli.database.connection import Database


def empty(database: Database) -> None:
    """Delete every node but the one that stores the graph's version, in batches that fit into a small heap."""
    database.run_text(
        "MATCH (n) WHERE NOT n:DMCheckSchema CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS", patience=600
    )
