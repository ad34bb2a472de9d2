"""`schema apply` takes over the graph that an older system left, and `doctor --deep` sees what it mends."""

from __future__ import annotations

from collections.abc import Callable

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import health, leases, schema, stats


def test_an_older_graph_is_taken_over(database: Database, query: Callable) -> None:
    """Users end in one bucket each, the more urgent one; checked users in none; every bucket is in line or gone."""
    query("UNWIND range(1, 6) AS i CREATE (:User {screen_name: 'u' + i})")
    query(
        """CREATE (late:DMCheckBucket {uuid: 'late', priority: 100}), (soon:DMCheckBucket {uuid: 'soon', priority: 10}),
                  (:DMCheckBucket {uuid: 'empty', priority: 100}),
                  (c:DMCheckClient {id: 5, screen_name: 'five', state: 'ACTIVE'})
           WITH late, soon, c MATCH (u:User) CREATE (u)-[:INDMCHECKBUCKET]->(late)
           WITH u, soon, c WHERE u.screen_name <= 'u3' CREATE (u)-[:INDMCHECKBUCKET]->(soon)
           WITH u, c WHERE u.screen_name = 'u1' CREATE (c)-[:DM_YES]->(u)"""
    )
    seen: list[int] = []
    wrong = [problem.what for problem in health.broken(database, seen.append)]
    assert sum(seen) == 6
    assert wrong == [
        "buckets neither held nor in line: 3, such as empty",
        "clients with no counters, or with several nodes of them: 1, such as 5",
        "users in several buckets: 3, such as u1",
    ]

    schema.apply(database)

    assert health.broken(database, seen.append) == []
    taken = leases.fetch(database, 5, 10, "all")
    assert [(lease.bucket, sorted(user.screen_name for user in lease.users)) for lease in taken] == [
        ("soon", ["u2", "u3"]),
        ("late", ["u4", "u5", "u6"]),
    ]
    _, system = stats.stats(database)
    assert (system.users_total, system.users_checked, system.users_leased) == (6, 1, 5)


def test_taking_over_a_graph_in_use_changes_nothing(database: Database, query: Callable) -> None:
    """A lease that an older system gave is kept until reclaim_leases releases it; a repeat changes nothing."""
    query(
        """CREATE (u:User {screen_name: 'u'})-[:INDMCHECKBUCKET]->(b:DMCheckBucket
                  {uuid: 'held', priority: 100, assigned_datetime: datetime()})
                  -[:DMCHECKCLIENT]->(:DMCheckClient {id: 5, screen_name: 'five', state: 'ACTIVE'})"""
    )
    schema.apply(database)
    schema.apply(database)
    [row] = query(
        "MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c)-[:STATS]->(s) RETURN b.place AS ready, count(s) AS nodes"
    )
    assert row == {"ready": None, "nodes": 1}
