"""submit and fetch: who needs a second opinion, who is asked for it, and what it changes."""

from __future__ import annotations

import pytest
from support.graphs import answers, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.transactions import clients
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch
from jobs import make_buckets

NEEDS = """MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL
    RETURN u.dmcheck_needs AS why, u.dmcheck_asked AS asked, count(*) AS n"""


@pytest.mark.parametrize(
    ("share", "candm", "least", "most"),
    [
        (0.0, "NON_DM", 0, 0),
        (0.0, "DM", 60, 60),
        (1.0, "NON_DM", 60, 60),
        (1.0, "UNKNOWN", 60, 60),
        (None, "NON_DM", 2, 40),  # a quarter, give or take four standard deviations
    ],
)
def test_who_needs_another(
    database: Database, query: Query, share: float | None, candm: str, least: int, most: int
) -> None:
    """Everybody who was said to be open; of the others a share, by chance."""
    prepare(database, [1], 60, size=60)
    query("MATCH (s:DMCheckClientStats) SET s.share = $share", share=share)
    submit(database, 1, [answers(fetch(database, 1, 1, "k")[0], candm)])
    rows = query(NEEDS)
    assert least <= sum(row["n"] for row in rows) <= most
    assert {(row["why"], row["asked"]) for row in rows} <= {("dm" if candm == "DM" else "check", 1)}
    assert broken(query) == []


def test_who_is_asked_and_what_it_changes(database: Database, query: Query) -> None:
    """Not who answered, nor who has its `dm_from_id`. The answer in force stays; the lease tells both kinds apart."""
    prepare(database, [1, 3], 6, size=6)
    for id in (1, 2):
        clients.register(database, id, f"client{id}", dm_from_id=77)
    submit(database, 1, [answers(fetch(database, 1, 1, "first")[0], "DM")])
    assert make_buckets.run(database).users == 6
    assert broken(query) == []  # the bucket knows who answered
    for id in (1, 2):
        with pytest.raises(NothingToFetch):
            fetch(database, id, 1, f"again {id}")
    [lease] = fetch(database, 3, 1, "second")
    [report] = submit(database, 3, [answers(lease, "NON_DM")])
    assert (report.status, report.accepted) == ("done", 6)
    rows = query(
        """MATCH (a)-[:DM_YES]->(u:User)<-[s:DM_SECOND {candm: 'NON_DM', witness: true}]-(b)
        RETURN a.id AS first, b.id AS second, u.dmcheck_needs AS needs, count(*) AS n"""
    )
    assert rows == [{"first": 1, "second": 3, "needs": "look", "n": 6}]
    assert query("MATCH (l:DMCheckLease {client: 3}) RETURN l.first AS first, l.non_dm AS n") == [
        {"first": [0, 0, 0], "n": 6}
    ]
    assert broken(query) == []
