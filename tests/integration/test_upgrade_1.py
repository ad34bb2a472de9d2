"""A graph that release 0.3.0 made, of schema version 1: what is right after `schema apply`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from releases import v0_3_0
from releases.v0_3_0 import ANSWERING, DYING, HOLDING, Graph
from support.graphs import answers, picture
from support.invariants import broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import UpgradeNeeded
from dmcheck_cli.transactions import health, leases, schema
from dmcheck_cli.transactions.answers import submit
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases

SEE = """
    CALL () { MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL
        RETURN collect([u.screen_name, u.dmcheck_needs, u.dmcheck_asked]) AS needs }
    CALL () { MATCH (c:DMCheckClient)-[:STATS]->(s) WITH c, s ORDER BY c.id
        RETURN collect([c.id, s.buckets_processed, s.processed_judged]) AS judged }
    CALL () { MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN]-() RETURN collect([u.screen_name, type(r)]) AS answers }
    RETURN needs, judged, answers"""
KINDS = {"DM": "DM_YES", "NON_DM": "DM_NO", "UNKNOWN": "DM_UNKNOWN"}


@pytest.fixture
def graph(database: Database) -> Iterator[Graph]:
    """A graph of 0.3.0; afterwards the database has our constraints and indexes again."""
    try:
        yield v0_3_0.make(database)
    finally:
        database.run_text("MATCH (n) DETACH DELETE n")
        schema.apply(database)


def is_sound(database: Database) -> None:
    """Every invariant holds, and `doctor --deep` has nothing to say."""
    assert broken(database.run_text) == []
    assert health.broken(database, lambda looked_at: None) == []


def test_it_is_upgraded_and_works_on(graph: Graph, database: Database, query: Callable) -> None:
    """Each DM in force needs a witness; what was judged is known; leases in flight go on; 0.3.0 is shut out."""
    before = picture(query)
    with pytest.raises(UpgradeNeeded, match="schema version 1"):
        leases.fetch(database, HOLDING, 1, "ours")
    assert picture(query) == before
    assert f"version {cypher.SCHEMA}" in schema.apply(database)
    is_sound(database)
    [seen] = query(SEE)
    assert sorted(seen["answers"]) == sorted([name, KINDS[said]] for name, said in graph.answers.items())
    assert sorted(seen["needs"]) == sorted([n, "dm", ANSWERING] for n, said in graph.answers.items() if said == "DM")
    assert seen["judged"] == [[HOLDING, 0, 0], [DYING, 0, 0], [ANSWERING, 3, 1]]
    unchanged = picture(query)
    assert schema.apply(database) == []
    given = {"client": HOLDING, "request": "old", "count": 1, "lease_seconds": 7200}
    assert v0_3_0.run(database, "fetch_buckets", **given) == []
    for statement, more in (
        ("place_users", {"names": ["user59"], "size": 4}),
        ("mark_dead", {"lease_seconds": 0}),
        ("release_dead", {"grace_seconds": 0}),
        ("raise_starved", {"starved_seconds": 0, "prioritized_seconds": 0}),
        ("prioritize_users", {"names": ["user59"], "priority": 1, "size": 4, "recheck": True}),
        ("submit_answers", {"client": HOLDING, "buckets": []}),
    ):
        assert v0_3_0.run(database, statement, **more) == []
    assert picture(query) == unchanged

    for job in (judge_clients, raise_starved, reclaim_leases, make_buckets):
        job.run(database)
        is_sound(database)
    held = leases.resume(database, HOLDING)
    assert {(lease.bucket, lease.lease) for lease in held} == {(lease.bucket, lease.lease) for lease in graph.held}
    assert [report.status for report in submit(database, HOLDING, [answers(lease) for lease in held])] == ["done"] * 3
    judge_clients.run(database)
    is_sound(database)
