"""What Neo4j itself can do here, and the textbook claim. One session is kept, no rule is checked."""

from __future__ import annotations

import itertools

from benchmark.crowd import Done, Operation, Worker
from benchmark.graph import BUCKET_SIZE

WRITE_AND_RETURN = """
MATCH (b:DMCheckBucket {uuid: $bucket}) SET b.bench = $value
WITH b MATCH (b)<-[:INDMCHECKBUCKET]-(u)
RETURN collect({screen_name: u.screen_name, id: u.id}) AS users
"""

CREATE_AND_DELETE = """
MATCH (c:DMCheckClient {id: $client})
MATCH (b:DMCheckBucket {uuid: $bucket})
CALL (b) { MATCH (u)-[:INDMCHECKBUCKET]->(b) RETURN collect(u) AS users }
FOREACH (u IN users | CREATE (c)-[:DM_YES {at: datetime()}]->(u))
WITH b, size(users) AS members
DETACH DELETE b
RETURN members
"""

CLAIM = """
MATCH (b:DMCheckBucket) WHERE b.bench_owner IS NULL
WITH b LIMIT 1
SET b.bench_owner = $client
WITH b MATCH (b)<-[:INDMCHECKBUCKET]-(u)
RETURN collect(u.screen_name) AS users
"""


def write_and_return(worker: Worker, buckets: list[str], of: int) -> Operation:
    """One write that also returns the 180 users of a bucket; each of the `of` processes has buckets of its own."""
    session, values = worker.session, itertools.count()
    mine = itertools.cycle(buckets[worker.number :: of])

    def once() -> Done:
        found = session.run(WRITE_AND_RETURN, bucket=next(mine), value=next(values)).single(strict=True)["users"]
        _check(len(found))
        return Done(1)

    return once


def create_and_delete(worker: Worker, buckets: list[str], of: int) -> Operation:
    """Create 180 answers and delete their bucket; each of the `of` processes has buckets of its own."""
    session, mine = worker.session, iter(buckets[worker.number :: of])

    def once() -> Done:
        result = session.run(CREATE_AND_DELETE, client=worker.client, bucket=next(mine))
        _check(result.single(strict=True)["members"])
        return Done(1)

    return once


def claim(worker: Worker) -> Operation:
    """Find a free bucket and set its owner: no lock, no recheck."""
    session = worker.session

    def once() -> Done:
        return Done(1, session.run(CLAIM, client=worker.client).single(strict=True)["users"])

    return once


def _check(users: int) -> None:
    if users != BUCKET_SIZE:
        raise RuntimeError(f"{users} users instead of {BUCKET_SIZE}")
