"""The system that this one replaces, rewritten from its description, not from its source.

What is known about it: a client asks for two buckets; it gets the free ones by `ORDER BY rand(), priority` in one
transaction and becomes their owner in the next; answers are stored by three transactions per bucket (DM, NonDM,
unknown), each unlinking its users from every bucket, and a fourth removes the bucket; registration and ownership are
checked by separate queries. That made 21 queries and 10.5 connections per bucket, two queries per connection.

It gets the benefit of every doubt: statements are auto-commit, users are found by an index, the claim's two
transactions share a connection, and no connection waits for anything but Bolt.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from benchmark.crowd import Done, Operation, Worker

if TYPE_CHECKING:
    import neo4j

BUCKETS = 2
"""How many a client asks for at once."""

EXISTS = "MATCH (c:DMCheckClient {id: $client}) RETURN count(c) AS n"
STATE = "MATCH (c:DMCheckClient {id: $client}) RETURN c.state AS state"
COUNTERS = "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) RETURN s"
ACCESS = "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) SET s.last_access_time = datetime()"
HELD = "MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(:DMCheckClient {id: $client}) RETURN count(b) AS n"
FREE = "MATCH (b:DMCheckBucket) WHERE NOT (b)-[:DMCHECKCLIENT]->() RETURN count(b) AS n"
PICK = """
MATCH (b:DMCheckBucket) WHERE NOT (b)-[:DMCHECKCLIENT]->()
RETURN b.uuid AS uuid ORDER BY rand(), b.priority LIMIT $count
"""
ASSIGN = """
MATCH (c:DMCheckClient {id: $client})
UNWIND $uuids AS uuid
MATCH (b:DMCheckBucket {uuid: uuid})
SET b.assigned_datetime = datetime()
MERGE (b)-[:DMCHECKCLIENT]->(c)
"""
ASSIGNED = "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) SET s.buckets_assigned = s.buckets_assigned + $count"
BUCKET = "MATCH (b:DMCheckBucket {uuid: $uuid}) RETURN b.priority AS priority, b.dead_datetime AS dead"
MEMBERS = "MATCH (u:User)-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $uuid}) RETURN u.screen_name AS name, u.id AS id"
OWNER = "MATCH (:DMCheckBucket {uuid: $uuid})-[:DMCHECKCLIENT]->(c:DMCheckClient {id: $client}) RETURN count(c) AS n"
STORE = """
MATCH (c:DMCheckClient {{id: $client}})
UNWIND $names AS name
MATCH (u:User {{screen_name: name}})
MERGE (c)-[:{type}]->(u)
WITH u MATCH (u)-[r:INDMCHECKBUCKET]->()
DELETE r
"""
LEFT = "MATCH (u:User)-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $uuid}) RETURN count(u) AS n"
UNLINK = "MATCH (:User)-[r:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $uuid}) DELETE r"
REMOVE = "MATCH (b:DMCheckBucket {uuid: $uuid}) DETACH DELETE b"
PROCESSED = "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) SET s.buckets_processed = s.buckets_processed + 1"

TYPES = ("DM_YES", "DM_NO", "DM_UNKNOWN")
CHANCES = (45, 45, 10)
"""Percentages of each kind of answer, as in `ours`."""

Rows = list[dict[str, Any]]
Ask = Callable[..., Rows]
Connect = Callable[[], contextlib.AbstractContextManager[Ask]]


def as_built(worker: Worker) -> Operation:
    """With a new connection for every two queries."""

    @contextlib.contextmanager
    def connect() -> Iterator[Ask]:
        with worker.connect() as driver, driver.session(database=worker.settings.neo4j_database) as session:
            yield _asking(session, worker.client)

    return lambda: _loop(connect)


def connection_kept(worker: Worker) -> Operation:
    """With one persistent connection."""
    ask = _asking(worker.session, worker.client)
    return lambda: _loop(lambda: contextlib.nullcontext(ask))


def _loop(connect: Connect) -> Done:
    """One iteration of a client: two buckets, 21 connections, 42 queries."""
    with connect() as ask:
        ask(EXISTS), ask(STATE)
    with connect() as ask:
        ask(COUNTERS), ask(ACCESS)
    with connect() as ask:
        ask(HELD), ask(FREE)
    with connect() as ask:
        uuids = [row["uuid"] for row in ask(PICK, count=BUCKETS)]
        ask(ASSIGN, uuids=uuids)
    with connect() as ask:
        ask(COUNTERS), ask(ASSIGNED, count=len(uuids))
    handed_out = []
    for uuid in uuids:
        with connect() as ask:
            ask(BUCKET, uuid=uuid)
            names = [row["name"] for row in ask(MEMBERS, uuid=uuid)]
        _store(connect, uuid, names)
        handed_out += names
    return Done(len(uuids), handed_out)


def _store(connect: Connect, uuid: str, names: list[str]) -> None:
    found = random.choices(TYPES, CHANCES, k=len(names))
    with connect() as ask:
        ask(EXISTS), ask(STATE)
    with connect() as ask:
        ask(BUCKET, uuid=uuid), ask(OWNER, uuid=uuid)
    for type in TYPES:
        with connect() as ask:
            ask(STORE.format(type=type), names=[name for name, kind in zip(names, found, strict=True) if kind == type])
            ask(LEFT, uuid=uuid)
    with connect() as ask:
        ask(UNLINK, uuid=uuid), ask(REMOVE, uuid=uuid)
    with connect() as ask:
        ask(PROCESSED), ask(ACCESS)


def _asking(session: neo4j.Session, client: int) -> Ask:
    def ask(text: str, **parameters: Any) -> Rows:
        return session.run(text, client=client, **parameters).data()  # type: ignore[arg-type]

    return ask
