"""What the proofs have found: each defect as the shortest history that shows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from support.graphs import transactions, wait_until_blocked
from support.invariants import Query, broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.transactions import clients, users


def test_deleting_a_user_who_is_just_being_put_into_a_bucket_leaves_no_empty_bucket_in_line(
    database: Database, query: Query, neo4j_environment: dict[str, str]
) -> None:
    """`users delete` looks for the buckets of its users before make_buckets has committed, waits for it, and then
    has to see the new bucket, too: nobody may be given a bucket without users."""
    clients.register(database, 1, "client1")
    users.add(database, [User("alone", None)])
    with (
        transactions(neo4j_environment) as [making],
        Database(database.settings, "deleting") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        both = {"limits": vars(DEFAULTS), "schema": cypher.SCHEMA}
        making.run(cypher.text("place_users"), names=["alone"], size=180, **both).consume()
        deleting = pool.submit(users.delete, other, ["alone"])
        wait_until_blocked(query, "deleting")
        making.commit()
        assert deleting.result() == (1, [])
    assert broken(query) == []
