"""A graph that 0.1.0 made: one of each thing that it leaves behind, by its own commands and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dmcheck_cli.database.connection import Database
from releases import v0_1_0
from releases.v0_1_0 import Answered, Lease, Report

USERS = 160
SIZE = 5
"""Users in a bucket."""

FETCHING, DYING, ANSWERING, EARNING, GONE = 1, 2, 3, 4, 5
"""The clients: leases in flight; leases that died; leases that ended; much earned; unregistered."""

CAPACITIES = {FETCHING: None, DYING: 7, ANSWERING: None, EARNING: 500, GONE: None}
EARNED = 14
"""What EARNING may hold: each of four buckets that it answered at once brought it one more."""

PRIORITY = 7
CURSOR = "user100"
KINDS = ("DM", "NON_DM", "UNKNOWN")
DAY = 86_400


@dataclass(frozen=True)
class Submitted(Answered):
    """One that was taken, and what was reported."""

    report: Report


@dataclass
class Graph:
    """What is in the graph. `held` are leases in flight, all of the request `request`; `dead` died long ago and
    `dying` is past its time; `released` was given back. `whole`, `partial` and `strange` (which named somebody
    outside the bucket) were taken. `prioritized` users wait in buckets of PRIORITY, `marked` ones go there when their
    bucket comes back, and `raised` (uuids) waited too long."""

    request: str = "a request"
    held: list[Lease] = field(default_factory=list)
    dead: list[Lease] = field(default_factory=list)
    dying: list[Lease] = field(default_factory=list)
    released: list[Lease] = field(default_factory=list)
    whole: list[Submitted] = field(default_factory=list)
    partial: list[Submitted] = field(default_factory=list)
    strange: list[Submitted] = field(default_factory=list)
    prioritized: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    rechecked: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)


def make(database: Database) -> Graph:
    """Fill an empty graph; it has the constraints and indexes of 0.1.0 then, and no version, whatever it had before."""
    without_version(database)
    graph = Graph()
    with Database(replace(database.settings, bucket_size=SIZE, max_users_per_run=USERS * 3 // 4), "v0.1.0") as old:
        for id, capacity in CAPACITIES.items():
            v0_1_0.register(old, id, f"client{id}", capacity)
        v0_1_0.add_users(old, [(f"user{i:03}", i or None) for i in range(USERS)])
        v0_1_0.make_buckets(old)
        v0_1_0.finish(old, "make_buckets", CURSOR)
        _let_some_die(old, graph)
        graph.held = v0_1_0.fetch(old, FETCHING, 6, graph.request)
        v0_1_0.fetch(old, GONE, 2, "given back")
        v0_1_0.unregister(old, GONE, f"client{GONE}")
        _end_some(old, graph)  # last: nobody takes what it gives back
        _prioritize(old, graph)
        _raise(old, graph)
    return graph


def without_version(database: Database) -> None:
    """Take away the version, and the constraints and indexes that 0.1.0 does not have; create those that it has."""
    database.run_text("MATCH (graph:DMCheckSchema) DELETE graph")
    for line in v0_1_0.others(database):
        database.run_text(line)
    v0_1_0.apply(database)


def _end_some(old: Database, graph: Graph) -> None:
    """EARNING answers four buckets whole; ANSWERING one in part, one with a stranger, and gives one back."""
    for number in range(4):
        [lease] = v0_1_0.fetch(old, EARNING, 1, f"earned {number}")
        graph.whole.append(_submit(old, EARNING, lease, [user.screen_name for user in lease.users]))
    part, strange, back = v0_1_0.fetch(old, ANSWERING, 3, "answered")
    graph.partial = [_submit(old, ANSWERING, part, [user.screen_name for user in part.users[:2]])]
    graph.strange = [_submit(old, ANSWERING, strange, [strange.users[0].screen_name, *_unplaced(old, 1)])]
    v0_1_0.release(old, ANSWERING, back.bucket, back.lease)
    graph.released = [back]


def _let_some_die(old: Database, graph: Graph) -> None:
    """Of three leases two are marked dead, and have been for a day; the third is past its time."""
    *graph.dead, dying = v0_1_0.fetch(old, DYING, 3, "died")
    graph.dying = [dying]
    for lease in graph.dead:
        _expire(old, lease)
    assert v0_1_0.mark_dead(old) == len(graph.dead)
    old.run_text(
        "MATCH (b:DMCheckBucket) SET b.dead_datetime = b.dead_datetime - duration({seconds: $seconds})", seconds=DAY
    )
    _expire(old, dying)


def _prioritize(old: Database, graph: Graph) -> None:
    """Users in no bucket and users in one go to a bucket of PRIORITY; users under lease will; an answer is history."""
    placed = old.run_text(
        """MATCH (u:User)-[:INDMCHECKBUCKET]->(b:DMCheckBucket) WHERE b.lease IS NULL
        RETURN u.screen_name AS name LIMIT 3"""
    )
    graph.prioritized = _unplaced(old, 3) + [row["name"] for row in placed]
    v0_1_0.prioritize(old, graph.prioritized, PRIORITY)
    graph.marked = [user.screen_name for user in graph.held[0].users[:2]]
    v0_1_0.prioritize(old, graph.marked, PRIORITY)
    graph.rechecked = list(graph.whole[0].answers)[:2]
    v0_1_0.prioritize(old, graph.rechecked, PRIORITY, recheck=True)


def _raise(old: Database, graph: Graph) -> None:
    """Two ordinary buckets have waited for two days."""
    rows = old.run_text(
        """MATCH (b:DMCheckBucket) WHERE b.ready IS NOT NULL AND b.lease IS NULL AND b.priority = 100 WITH b LIMIT 2
        SET b.edit_datetime = datetime() - duration({seconds: $seconds}) RETURN b.uuid AS uuid""",
        seconds=2 * DAY,
    )
    graph.raised = [row["uuid"] for row in rows]
    assert v0_1_0.raise_starved(old) == len(graph.raised)


def _submit(old: Database, client: int, lease: Lease, names: list[str]) -> Submitted:
    submitted = Answered(lease.bucket, lease.lease, {name: KINDS[i % 3] for i, name in enumerate(names)})
    [report] = v0_1_0.submit(old, client, [submitted])
    return Submitted(submitted.bucket, submitted.lease, submitted.answers, report)


def _unplaced(old: Database, count: int) -> list[str]:
    """Users who are in no bucket and not checked."""
    rows = old.run_text(
        """MATCH (u:User) WHERE NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND NOT EXISTS { (u)<--(:DMCheckClient) }
        RETURN u.screen_name AS name LIMIT $count""",
        count=count,
    )
    return [row["name"] for row in rows]


def _expire(old: Database, lease: Lease) -> None:
    old.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.expires = datetime() - duration('PT1H')", uuid=lease.bucket
    )
