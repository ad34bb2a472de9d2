"""The upgrade under load, in its short form."""

from __future__ import annotations

from proofs.upgrade import side_by_side

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import schema


def test_clients_of_both_releases_run_while_the_graph_is_upgraded(database: Database) -> None:
    """Nothing is lost, given twice or counted twice; afterwards 0.1.0 gets and gives nothing; doctor is content."""
    try:
        side_by_side(database.settings, users=3000, old=2, new=2, seconds=0, size=20).check()
    finally:
        database.run_text("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS")
        schema.apply(database)
