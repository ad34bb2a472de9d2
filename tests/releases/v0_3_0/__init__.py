"""Release 0.3.0, schema version 1, on a server of one's own: statements, unchanged, and a graph that they made.

The `.cypher` files are the texts as 0.3.0 sent them. A `Database` only carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.transactions.answers import parameters

SCHEMA = 1
LIMITS = vars(DEFAULTS) | {"buckets_per_client": 20}

USERS, SIZE = 60, 4
HOLDING, DYING, ANSWERING = 1, 2, 3
"""The clients: leases in flight; one that died and one past its time; some that were answered."""

KINDS = ("DM", "NON_DM", "UNKNOWN")


@dataclass(frozen=True)
class Lease:
    """One bucket in one client's hands."""

    bucket: str
    lease: str
    users: list[str]


@dataclass
class Graph:
    """What is in the graph. `held` are HOLDING's leases; `prioritized` users wait at priority 7, `marked` ones follow
    when their bucket comes back, `rechecked` were answered before; `answers`: who said what of whom, in force."""

    held: list[Lease] = field(default_factory=list)
    dead: list[Lease] = field(default_factory=list)
    prioritized: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    rechecked: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)


def run(database: Database, name: str, **given: Any) -> list[dict[str, Any]]:
    """Run a statement of 0.3.0. On a graph of another version those that write return no row."""
    text = (Path(__file__).parent / f"{name}.cypher").read_text("utf-8")
    return database.run_text(text, limits=LIMITS, schema=SCHEMA, **({"repeated": False} | given))


def apply(database: Database) -> None:
    """An empty graph of version 1: its constraints and indexes and no others."""
    for row in database.run_text("SHOW CONSTRAINTS YIELD name RETURN name"):
        database.run_text(f"DROP CONSTRAINT {row['name']}")
    for row in database.run_text("SHOW INDEXES YIELD name, type WHERE type = 'RANGE' RETURN name"):
        database.run_text(f"DROP INDEX {row['name']}")
    database.run_text("MATCH (n) DETACH DELETE n")
    for line in (Path(__file__).parent / "schema.cypher").read_text("utf-8").splitlines():
        database.run_text(line)
    database.run_text("CREATE (:DMCheckSchema {name: 'graph', version: $version, lock: null})", version=SCHEMA)
    database.run_text("CALL db.awaitIndexes(300)")


def fetch(database: Database, client: int, count: int) -> list[Lease]:
    """`fetch`; [] when it gets nothing."""
    given = {"client": client, "count": count, "lease_seconds": 7200, "request": uuid4().hex}
    rows = run(database, "fetch_buckets", **given)
    return [Lease(row["bucket"], row["lease"], [name for name, _ in row["users"]]) for row in rows if row["bucket"]]


def submit(database: Database, client: int, lease: Lease, only: int | None = None) -> dict[str, str]:
    """Answer the users of a lease in turn with DM, NON_DM and UNKNOWN, or the first `only`; returns what was said."""
    said = {name: KINDS[i % 3] for i, name in enumerate(lease.users[:only])}
    rows = run(
        database, "submit_answers", client=client, buckets=[parameters(Answered(lease.bucket, lease.lease, said))]
    )
    assert [row["outcome"] for row in rows if row["bucket"]] == ["accepted"]
    return said


def make(database: Database) -> Graph:
    """Fill an empty graph of version 1 with one of each thing that 0.3.0 leaves behind."""
    apply(database)
    graph = Graph()
    for id in (HOLDING, DYING, ANSWERING):
        named = {"id": id, "screen_name": f"client{id}", "capacity": None}
        run(database, "register_client", **named, dm_from_id=None, dm_from_screen_name=None)
    names = [f"user{i:02}" for i in range(USERS)]
    rows = [{"screen_name": name, "key": name, "lower": None, "id": i + 1} for i, name in enumerate(names)]
    run(database, "add_users", users=rows, replace=False, twice=[])
    run(database, "place_users", names=names[: USERS * 3 // 4], size=SIZE)
    graph.dead = fetch(database, DYING, 2)
    for lease, begun in zip(graph.dead, (2, 1), strict=True):
        _expire(database, lease)
        assert run(database, "mark_dead", lease_seconds=7200) == [{"marked": 1}]
        database.run_text("MATCH (b:DMCheckBucket) SET b.dead_datetime = b.dead_datetime - duration('PT1H')")
        if begun == 2:
            assert run(database, "release_dead", grace_seconds=900) == [{"released": 1}]
    graph.held = fetch(database, HOLDING, 3)
    early, whole, part, back = [fetch(database, ANSWERING, 1)[0] for _ in range(4)]
    graph.answers |= submit(database, ANSWERING, early)
    _judge(database, [early])
    graph.answers |= submit(database, ANSWERING, whole)
    graph.answers |= submit(database, ANSWERING, part, only=2)
    run(
        database, "release_lease", client=ANSWERING,
        buckets=[{"bucket": back.bucket, "lease": back.lease, "failed": True}],
    )  # fmt: skip
    graph.rechecked = whole.users[:2]
    graph.prioritized = [*names[-2:], *graph.rechecked]
    _prioritize(database, graph.prioritized, recheck=True)
    graph.marked = graph.held[0].users[:1]
    _prioritize(database, graph.marked)
    graph.answers = {name: said for name, said in graph.answers.items() if name not in graph.rechecked}
    database.run_text(
        """MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.priority = 100 WITH b LIMIT 1
        SET b.edit_datetime = datetime() - duration('P2D')"""
    )
    assert run(database, "raise_starved", starved_seconds=86_400, prioritized_seconds=3600) == [{"raised": 1}]
    return graph


def _judge(database: Database, leases: Sequence[Lease]) -> None:
    verdict = {
        "client": ANSWERING, "before": 0, "faults_judged": 0, "leases": [lease.lease for lease in leases], "faults": 0,
        "allowance": 11, "reason": "answered", "turnaround": 1,
    }  # fmt: skip
    assert run(database, "set_allowances", verdicts=[verdict]) == [{"judged": [ANSWERING]}]


def _prioritize(database: Database, names: list[str], recheck: bool = False) -> None:
    [row] = run(database, "prioritize_users", names=names, priority=7, size=SIZE, recheck=recheck)
    assert row["prioritized"] + row["under_lease"] == len(names)


def _expire(database: Database, lease: Lease) -> None:
    database.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.expires = datetime() - duration('PT1H')", uuid=lease.bucket
    )
