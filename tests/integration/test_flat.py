"""scripts/flat.py on small graphs of the test database: it gives all figures, and leaves a graph as it was."""

from __future__ import annotations

import time
from contextlib import closing

import flat
from benchmark.operations import OPERATIONS, Place
from benchmark.population import Population, inserted
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database

KINDS = """MATCH (n) WHERE NOT n:DMCheckJob RETURN labels(n)[0] AS kind, count(n) AS n
    UNION ALL MATCH ()-[r]->() RETURN type(r) AS kind, count(r) AS n
    UNION ALL MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL RETURN 'needs ' + u.dmcheck_needs AS kind, count(u) AS n
    UNION ALL MATCH ()-[r]->() WHERE r.counted IS NOT NULL RETURN 'counted' AS kind, count(r) AS n"""


def test_all_figures_and_a_graph_that_is_as_it_was(database: Database, query: Query) -> None:
    """Among 1,000 users of 10 clients and 10,000 of 20; what is made is a graph as the programs themselves make it."""
    axes = {"users": [Population(1_000, 10), Population(10_000, 20)]}
    found: flat.Found = {}
    for population in axes["users"]:
        query("MATCH (n) WHERE NOT n:DMCheckSchema DETACH DELETE n")
        inserted(database, population)
        assert broken(query) == []
        before = {row["kind"]: row["n"] for row in query(KINDS)}
        assert before["DM_NO"] + before["DM_YES"] + before["DM_UNKNOWN"] == population.answers
        with closing(Place(database, population)) as place:
            found |= flat.measured([place], 0, 1, time.monotonic())
            assert broken(query) == []
            place.restore()
        assert {row["kind"]: row["n"] for row in query(KINDS)} == before
    [table] = flat.tables(axes, found)
    assert [row[0] for row in table.rows] == list(OPERATIONS)
    assert all(seconds[0] > 0 for one in found.values() for seconds in one.values())
