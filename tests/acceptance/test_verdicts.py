"""What follows from all answers on a user: verdict, confidence, why; in `users show` and `users export`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import prepare
from support.invariants import Query
from support.programs import Result

from dmcheck_cli.database.connection import Database

Call = Callable[..., Result]

# By name: (client, answer, seconds ago, kind), first to last. Clients 1 to 3 have records; 4 is contained since 100
# seconds ago and doubted since 1,000; 5 has no record and the `dm_from_id` of 1.
WORLD: dict[str, list[tuple[int, str, int, str]]] = {
    "lone_dm": [(1, "DM", 500, "answer")],
    "open": [(1, "DM", 500, "answer"), (2, "DM", 400, "second")],
    "one_person": [(1, "DM", 500, "answer"), (5, "DM", 400, "second")],
    "closed": [(2, "NON_DM", 500, "answer")],
    "gone": [(2, "UNKNOWN", 500, "answer")],
    "some": [(1, "DM", 500, "answer"), (2, "NON_DM", 400, "second")],
    "overruled": [(1, "NON_DM", 500, "overruled"), (2, "DM", 400, "answer"), (3, "DM", 300, "second")],
    "liars": [(4, "NON_DM", 500, "answer")],
    "before": [(4, "NON_DM", 2_000, "answer")],
    "confirmed_by_liar": [(1, "DM", 500, "answer"), (4, "DM", 400, "second")],
    "past": [(1, "DM", 900, "withdrawn"), (2, "NON_DM", 800, "rechecked"), (3, "NON_DM", 700, "answer")],
    "again": [(2, "NON_DM", 800, "rechecked")],
    "nobody": [],
}
VERDICTS = {
    "lone_dm": "unconfirmed", "open": "open", "one_person": "unconfirmed", "closed": "closed", "gone": "not_found",
    "some": "open_to_some", "overruled": "open", "liars": "unconfirmed", "before": "closed",
    "confirmed_by_liar": "unconfirmed", "past": "closed", "again": "unchecked", "nobody": "unchecked",
}  # fmt: skip
IN_FORCE = {"DM": "DM_YES", "NON_DM": "DM_NO", "UNKNOWN": "DM_UNKNOWN"}


def tell(query: Query, name: str, said: list[tuple[int, str, int, str]]) -> None:
    """Store what clients said about a user."""
    query("MERGE (:User:DMCheckName {screen_name: $name})", name=name)
    for client, answer, ago, kind in said:
        past = kind in ("withdrawn", "rechecked")
        stored = IN_FORCE[answer] if kind == "answer" else "DM_PAST" if past else "DM_SECOND"
        query(
            """MATCH (c:DMCheckClient {id: $client}), (u:User {screen_name: $name})
            CREATE (c)-[r:$($kind)]->(u) SET r = $set, r.at = datetime() - duration({seconds: $ago})""",
            client=client,
            name=name,
            kind=stored,
            ago=ago,
            set={
                "candm": None if kind == "answer" else answer,
                "witness": True if kind == "second" else None,
                "overruled": True if kind == "overruled" else None,
                "how": kind if kind == "withdrawn" else None,
            },
        )


@pytest.fixture
def world(database: Database, query: Query) -> None:
    """Five clients and the users of WORLD."""
    prepare(database, [1, 2, 3, 4, 5])
    query(
        """MATCH (c:DMCheckClient)-[:STATS]->(s)
        SET c.dm_from_id = CASE WHEN c.id IN [1, 5] THEN 77 END,
            s.record = CASE WHEN c.id <= 3 THEN true END, s.compared = [100, 200, 50, 50],
            s.contradicted = CASE c.id WHEN 4 THEN [60, 10, 10, 10] ELSE [0, 0, 0, 0] END, s.said = [100, 880, 20]
        WITH c, s, datetime().epochMillis / 1000.0 AS now WHERE c.id = 4
        SET s.contained = now - 100, s.doubted = [now - 1000]"""
    )
    for name, said in WORLD.items():
        tell(query, name, said)


@pytest.mark.usefixtures("world")
class TestVerdicts:
    """One graph, asked in every way."""

    def test_show_concludes_from_all_opinions_that_count(self, direct: Call) -> None:
        """Each verdict; history newest first, each answer with its kind."""
        shown = direct("users", "show", *WORLD, "--json").document["users"]
        assert {user["screen_name"]: user["verdict"] for user in shown} == VERDICTS
        for user in shown:
            assert [(one["client"], one["answer"], one["kind"]) for one in user["history"]] == [
                (client, answer, kind) for client, answer, _, kind in WORLD[user["screen_name"]][::-1]
            ]
            assert (user["verdict"] == "unchecked") == (user["confidence"] == 0)
            assert 0 <= user["confidence"] <= 1
        sure = {user["screen_name"]: user["confidence"] for user in shown}
        assert sure["lone_dm"] < 0.99 < sure["open"]
        assert sure["one_person"] == sure["lone_dm"] == sure["confirmed_by_liar"]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("lone_dm", "a DM needs a second client"),
            ("open", "2 say DM"),
            ("liars", "Only contained clients have answered"),
            ("nobody", "Nobody has answered."),
        ],
    )
    def test_one_sentence_says_why(self, direct: Call, name: str, said: str) -> None:
        """For people, beside the table; scripts get one table."""
        assert said in direct("users", "show", name).out
        rows = list(csv.DictReader(io.StringIO(direct("users", "show", name, "--format", "csv").out)))
        assert [row["verdict"] for row in rows] == [VERDICTS[name]]

    def test_export_says_the_same_as_show(self, direct: Call) -> None:
        """Of everybody who has an answer in force; chosen by verdict and by answer."""
        shown = {user["screen_name"]: user for user in direct("users", "show", *WORLD, "--json").document["users"]}
        told = [json.loads(line) for line in direct("users", "export").out.splitlines()]
        assert [one["screen_name"] for one in told] == sorted(name for name in WORLD if shown[name]["answer"])
        for one in told:
            assert one == {key: shown[one["screen_name"]][key] for key in one}

        def chosen(*options: str) -> list[str]:
            return [json.loads(line)["screen_name"] for line in direct("users", "export", *options).out.splitlines()]

        assert chosen("--verdict", "open") == ["open", "overruled"]
        assert chosen("--verdict", "OPEN_TO_SOME", "--verdict", "not_found") == ["gone", "some"]
        assert chosen("--verdict", "unconfirmed", "--answer", "non_dm") == ["liars"]
        refused = direct("users", "export", "--verdict", "maybe")
        assert (refused.status, refused.out) == (2, "")
        assert "open_to_some" in refused.err

    def test_what_others_stored_breaks_nothing(self, direct: Call, query: Query) -> None:
        """Times that are none, answers that are none, counts that are none, clients without an id."""
        before = [json.loads(line)["screen_name"] for line in direct("users", "export").out.splitlines()]
        query("MATCH ()-[r]->(:User) SET r.at = CASE WHEN rand() < 0.5 THEN 'yesterday' END")
        query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s += {compared: ['x'], contradicted: 3, said: [0.5]}")
        query("MATCH (:DMCheckClient {id: 3})-[:STATS]->(s) DETACH DELETE s")
        query("MATCH (c:DMCheckClient {id: 2}) REMOVE c:DMCheckClient, c.id")
        for command in (("users", "show", *WORLD, "--json"), ("stats", "--json"), ("users", "export")):
            result = direct(*command)
            assert result.status == 0, result.err
        assert [json.loads(line)["screen_name"] for line in result.out.splitlines()] == before


def opinions(query: Query, name: str) -> list[dict[str, Any]]:
    """What is stored about a user, by client."""
    return query(
        """MATCH (c)-[r]->(:User {screen_name: $name})
        RETURN c.id AS client, type(r) AS kind, r.candm AS candm, r.how AS how, r.at IS NULL AS lost ORDER BY client""",
        name=name,
    )
