"""What the page of operators says about what grows, and how it is removed by hand."""

from __future__ import annotations

import re
from pathlib import Path

from scaling.measuring import FIRST_CLIENT, KINDS, NEEDED
from support.graphs import answers, picture, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import results, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch

PAGE = Path(__file__).parents[2] / "dmcheck_cli" / "database" / "README.md"


def test_the_statement_of_the_page_deletes_old_past_answers_only(database: Database, query: Query) -> None:
    """Run as printed, and again: the answers in force, newer history and all else stay."""
    [statement] = re.findall(r"### Past answers\n.*?```cypher\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = prepare(database, [1], 6)
    for request in ("first", "second", "third"):
        if request != "first":
            users.prioritize(database, names, 10, recheck=True)
        [lease] = fetch(database, 1, 1, request)
        submit(database, 1, [answers(lease)])
    query(
        """MATCH ()-[past:DM_PAST]->(u:User) WITH u, past ORDER BY past.at WITH u, collect(past) AS both
        FOREACH (past IN both[..1] | SET past.at = past.at - duration('P2Y'))"""
    )
    assert [len(one.history) for one in results.known(database, names)] == [3] * 6
    old = "MATCH ()-[past:DM_PAST]->() WHERE past.at < datetime() - duration('P1Y') RETURN elementId(past) AS id"
    assert len(query(old)) == 6
    before, in_force = results.known(database, names), query("MATCH ()-[r:DM_YES]->() RETURN properties(r) AS r")
    query(statement)
    assert query(old) == []
    after = results.known(database, names)
    assert [one.history for one in after] == [one.history[:2] for one in before]
    assert query("MATCH ()-[r:DM_YES]->() RETURN properties(r) AS r") == in_force
    assert broken(query) == []
    left = picture(query)
    query(statement)
    assert picture(query) == left


def test_each_kind_whose_size_is_measured_is_made(database: Database, query: Query) -> None:
    """As many as the script counts."""
    prepare(database, [FIRST_CLIENT, FIRST_CLIENT + 1, FIRST_CLIENT + 2])
    count = "MATCH (n) WITH count(n) AS nodes MATCH ()-[r]->() RETURN nodes, count(r) AS links"
    [before] = query(count)
    for number, (what, _, statement) in enumerate(KINDS):
        query(statement, client=FIRST_CLIENT, first=number, count=20)
        [after] = query(count)
        more = {name: after[name] - before[name] for name in after}
        if what == "client":
            assert more == {"nodes": 40, "links": 20}
        else:
            assert sorted(more.values()) == [0, 20], what
        before = after
    assert NEEDED.keys() <= {what for what, _, _ in KINDS}
