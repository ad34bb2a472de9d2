"""What Neo4j itself can do here (the ceiling), and the claim as a textbook has it. Plain driver, one session kept."""

from __future__ import annotations

import itertools
import random

from benchmark.crowd import Operation, Worker
from benchmark.graph import BUCKET_SIZE, USERS, user_name

WRITE = "MATCH (c:DMCheckClient {id: $client}) SET c.bench = $value"

WRITE_AND_RETURN = """
MATCH (b:DMCheckBucket {uuid: $bucket}) SET b.bench = $value
WITH b MATCH (b)<-[:INDMCHECKBUCKET]-(u)
RETURN collect({screen_name: u.screen_name, id: u.id}) AS users
"""

CREATE_BY_NAME = """
MATCH (c:DMCheckClient {id: $client})
UNWIND $names AS name
MATCH (u:User {screen_name: name})
CREATE (c)-[:BENCH]->(u)
"""

CLAIM = """
MATCH (b:DMCheckBucket) WHERE b.bench_owner IS NULL
WITH b LIMIT 1
SET b.bench_owner = $client
WITH b MATCH (b)<-[:INDMCHECKBUCKET]-(u)
RETURN b.uuid AS bucket, collect({screen_name: u.screen_name, id: u.id}) AS users
"""


def write(worker: Worker) -> Operation:
    """The smallest write: one property of a node of one's own."""
    session, values = worker.session, itertools.count()

    def once() -> list[str]:
        session.run(WRITE, client=worker.client, value=next(values)).consume()
        return []

    return once


def write_and_return(worker: Worker, buckets: list[str], of: int) -> Operation:
    """One write that also returns the 180 users of a bucket; each of the `of` processes has buckets of its own."""
    session, values = worker.session, itertools.count()
    mine = itertools.cycle(buckets[worker.number :: of])

    def once() -> list[str]:
        found = session.run(WRITE_AND_RETURN, bucket=next(mine), value=next(values)).single(strict=True)["users"]
        if len(found) != BUCKET_SIZE:
            raise RuntimeError(f"{len(found)} users came back")
        return []

    return once


def create_by_name(worker: Worker, of: int) -> Operation:
    """Create 180 relationships to users found by name; each of the `of` processes has users of its own."""
    session, mine = worker.session, range(worker.number, USERS, of)

    def once() -> list[str]:
        names = [user_name(i) for i in random.sample(mine, BUCKET_SIZE)]
        made = session.run(CREATE_BY_NAME, client=worker.client, names=names).consume().counters
        if made.relationships_created != BUCKET_SIZE:
            raise RuntimeError(f"{made.relationships_created} relationships were made")
        return []

    return once


def claim(worker: Worker) -> Operation:
    """Find a free bucket and set its owner: no lock, no second look."""
    session = worker.session

    def once() -> list[str]:
        record = session.run(CLAIM, client=worker.client).single(strict=True)
        return [record["bucket"]]

    return once
