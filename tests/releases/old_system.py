"""A graph as the system before dmcheck left it, written from the description of its data, at any size."""

from __future__ import annotations

from collections.abc import Callable

MIN_USERS = 100
BATCH = 5_000

CLIENTS = """
UNWIND range(1, 5) AS i
CREATE (c:DMCheckClient {id: i, screen_name: 'old' + i, state: 'ACTIVE',
                         create_datetime: '2020-07-11_09:19:48.546000', edit_datetime: localdatetime()})
CREATE (c)-[:STATS]->(:DMCheckClientStats {buckets_assigned: 4, buckets_processed: 1, buckets_fault: 0,
                                           buckets_dead: 0, last_access_time: '2020-07-11_09:19:48.546000'})
"""
"""Five clients; of each, the times are a text and one without a zone."""

TWICE = """
CREATE (c:DMCheckClient {id: 1, screen_name: 'old1', state: 'DEACTIVE',
                         create_datetime: '2020-07-01_00:00:00.000000'})
CREATE (c)-[:STATS]->(:DMCheckClientStats {buckets_assigned: 3, buckets_processed: 2, buckets_fault: 1,
                                           buckets_dead: 0})
"""
"""Another node of client 1: together it has 7 assigned, 3 processed, 1 fault."""

USERS = """
UNWIND range($first, $last) AS i
CREATE (:User {screen_name: 'old_user' + i, id: i})
"""

ANSWERS = [
    f"MATCH (c:DMCheckClient {{id: {client}, state: 'ACTIVE'}}) UNWIND range($first, $last) AS i WITH c, i "
    f"WHERE i % 10 = {rest} MATCH (u:User {{screen_name: 'old_user' + i}}) CREATE (c)-[:{kind}]->(u)"
    for client, rest, kind in ((1, 0, "DM"), (2, 1, "NonDM"), (3, 2, "NONDM"), (4, 3, "NONEXIST"), (5, 0, "NonDM"))
]
"""Four tenths of the users are answered; of these, those that end in 0 have two answers that contradict each other."""

BUCKETS = """
UNWIND range($first, $last, 100) AS start
CREATE (b:DMCheckBucket {id: 'bucket' + start, priority: 100, edit_datetime: '2020-07-11_09:19:48.546000'})
WITH b, start
UNWIND range(start, start + 99) AS i
WITH b, i WHERE i % 10 IN [4, 5, 6]
MATCH (u:User {screen_name: 'old_user' + i})
CREATE (u)-[:INDMCHECKBUCKET]->(b)
"""
"""Three tenths of the users wait in buckets keyed by `id`."""

AGAIN = """
UNWIND range($first, $last, 100) AS start
MATCH (u:User {screen_name: 'old_user' + (start + 3)})
CREATE (u)-[:INDMCHECKBUCKET]->(:DMCheckBucket {id: 'again' + start, priority: 10,
                                                edit_datetime: '2020-07-11_09:19:48.546000'})
"""
"""One of a hundred is in another bucket, too, which is more urgent."""

FLIGHT = """
MATCH (b:DMCheckBucket), (c:DMCheckClient {id: 2})
WHERE b.id IN ['bucket1', 'bucket101']
SET b.assigned_datetime = '2020-07-11_09:19:48.546000',
    b.dead_datetime = CASE b.id WHEN 'bucket101' THEN '2020-07-11_11:19:48.546000' END
CREATE (b)-[:DMCHECKCLIENT]->(c)
"""
"""Two buckets in flight, the second of them dead."""


def fill(query: Callable[..., object], users: int) -> None:
    """Make the graph, with `users` users (a multiple of 100), through `query(statement, **parameters)`."""
    if users < MIN_USERS or users % MIN_USERS:
        raise ValueError(f"users: a multiple of {MIN_USERS}")
    query("CREATE INDEX old_user IF NOT EXISTS FOR (n:User) ON (n.screen_name)")
    query("CALL db.awaitIndexes(60)")
    query(CLIENTS)
    for first in range(1, users + 1, BATCH):
        for statement in (USERS, *ANSWERS, BUCKETS, AGAIN):
            query(statement, first=first, last=min(first + BATCH - 1, users))
    query(FLIGHT)
    query(TWICE)
