"""`client distrust`: what a client said is withdrawn, except what others confirm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.graphs import answers, picture, prepare
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.errors import NotRegistered
from dmcheck_cli.transactions import clients
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch

Call = Callable[..., Result]

SAID = """
    UNWIND $users AS one
    MERGE (u:User {screen_name: one.name})
    SET u.dmcheck_needs = one.needs, u.dmcheck_asked = CASE WHEN one.needs IS NOT NULL THEN 42 END
    FOREACH (x IN CASE WHEN one.bucket IS NOT NULL THEN [u] ELSE [] END |
        MERGE (b:DMCheckBucket {uuid: one.bucket}) ON CREATE SET b += {priority: 100, place: 0.5,
            edit_datetime: datetime(), heard: [42]}
        CREATE (x)-[:INDMCHECKBUCKET {second: 'dm'}]->(b))
    WITH u, one UNWIND one.said AS s
    MATCH (c:DMCheckClient {id: s[0]})
    CALL (c, u, s) {
        CREATE (c)-[r:$(s[1])]->(u)
        SET r.at = datetime() - duration({hours: s[2]}), r += s[3]
    }"""


def yes(client: int, hours: int = 1, **more: Any) -> list[Any]:
    """A DM in force."""
    return [client, "DM_YES", hours, more]


def second(client: int, candm: str, hours: int = 1, **more: Any) -> list[Any]:
    """A second opinion."""
    return [client, "DM_SECOND", hours, {"candm": candm, "witness": True, **more}]


GRAPH = [
    {"name": "alone", "said": [yes(42, 3)], "needs": "dm"},
    {"name": "marked", "said": [yes(42, 3)], "bucket": "b1"},
    {"name": "confirmed", "said": [yes(42, 3), second(43, "DM"), second(44, "NON_DM")]},
    {"name": "contradicted", "said": [yes(42, 3), second(43, "NON_DM", counted="NON_DM")]},
    {
        "name": "outvoted",
        "said": [yes(42, 3), second(43, "UNKNOWN", 2), second(44, "UNKNOWN", 1), second(45, "NON_DM", 0)],
    },
    {"name": "split", "said": [yes(42, 3), second(43, "UNKNOWN", 2), second(44, "NON_DM", 1)], "bucket": "b1"},
    {"name": "witnessed", "said": [yes(43, 3), second(42, "DM")]},
    {"name": "witnessed2", "said": [yes(43, 3), second(42, "DM")], "bucket": "b1"},
    {"name": "old", "said": [yes(42, 50)], "needs": "dm"},
    {"name": "others", "said": [yes(43, 3), second(44, "DM")]},
]  # fmt: skip


@pytest.fixture
def world(database: Database, query: Query) -> None:
    """Client 42 said DM of seven, and confirmed two."""
    prepare(database, [42, 43, 44, 45])
    query("MATCH (e:DMCheckEvent) DELETE e")
    query(SAID, users=[{"needs": None, "bucket": None, **one} for one in GRAPH])


def shown(query: Query) -> dict[str, tuple[Any, ...]]:
    """Each user: who is in force with what, second opinions, past ones, needs, mark."""
    rows = query(
        """MATCH (u:User)
        RETURN u.screen_name AS name, COLLECT {
            MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN]-(c) RETURN [c.id, type(r)]
        } AS force, COLLECT { MATCH (u)<-[r:DM_SECOND]-(c) RETURN c.id ORDER BY c.id } AS seconds, COLLECT {
            MATCH (u)<-[r:DM_PAST]-(c) RETURN [c.id, r.candm, r.how]
        } AS past, u.dmcheck_needs AS needs, COLLECT { MATCH (u)-[m:INDMCHECKBUCKET]->() RETURN m.second } AS mark,
        (u.dmcheck_needs IS NULL) = (u.dmcheck_asked IS NULL) AS both"""
    )
    assert all(row["both"] for row in rows)
    return {row["name"]: (row["force"], row["seconds"], row["past"], row["needs"], row["mark"]) for row in rows}


PAST = [[42, "DM", "withdrawn"]]
AFTER = {
    "alone": ([], [], PAST, None, []),
    "marked": ([], [], PAST, None, [None]),
    "confirmed": ([[42, "DM_YES"]], [43, 44], [], None, []),
    "contradicted": ([[43, "DM_NO"]], [], PAST, "look", []),
    "outvoted": ([[44, "DM_UNKNOWN"]], [43, 45], PAST, "look", []),
    "split": ([[44, "DM_NO"]], [43], PAST, None, ["dm"]),
    "witnessed": ([[43, "DM_YES"]], [], PAST, "look", []),
    "witnessed2": ([[43, "DM_YES"]], [], PAST, None, ["dm"]),
    "old": ([], [], PAST, None, []),
    "others": ([[43, "DM_YES"]], [44], [], None, []),
}


@pytest.mark.usefixtures("world")
def test_what_becomes_of_each(direct: Call, query: Query) -> None:
    """Confirmed: kept. Contradicted: the other answer counts at once. Nobody else: it waits. Repeated: nothing more."""
    before = picture(query)
    expected = {"client": 42, "withdrawn": 6, "kept": 1, "waiting": 3}
    assert direct("client", "distrust", 42, "--dry-run", "--json").document == expected
    assert picture(query) == before
    assert direct("client", "distrust", 42, "--json").document == expected
    assert shown(query) == AFTER
    [force] = query("MATCH (:User {screen_name: 'contradicted'})<-[r:DM_NO]-() RETURN properties(r) AS r")
    assert (force["r"]["witness"], force["r"]["counted"], set(force["r"])) == (
        True,
        "NON_DM",
        {"witness", "counted", "at"},
    )
    again = {"client": 42, "withdrawn": 0, "kept": 1, "waiting": 0}
    assert direct("client", "distrust", 42, "--json").document == again
    assert shown(query) == AFTER
    events = direct("log", "--client", 42, "--json").document["events"]
    assert [(one["event"], one["users"]) for one in events] == [("distrusted", 0), ("distrusted", 6)]
    [client] = direct("stats", "--client", 42, "--json").document["clients"]
    assert client["state"] == "ACTIVE"


@pytest.mark.usefixtures("world")
def test_what_a_contained_client_said_confirms_nothing(direct: Call, query: Query) -> None:
    """Another one's answer takes the place before it; where there is none, it stands there and needs another."""
    query("MATCH (:DMCheckClient {id: 43})-[:STATS]->(s) SET s.contained = 0.0, s.doubted = [0.0]")
    expected = {"client": 42, "withdrawn": 7, "kept": 0, "waiting": 3}
    assert direct("client", "distrust", 42, "--dry-run", "--json").document == expected
    assert direct("client", "distrust", 42, "--json").document == expected
    found = shown(query)
    assert found["confirmed"] == ([[44, "DM_NO"]], [43], PAST, "look", [])
    assert found["contradicted"] == ([[43, "DM_NO"]], [], PAST, "look", [])
    assert direct(program="judge_clients").status == 0
    assert shown(query)["contradicted"][3] == "contained"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("since", "old"), [("1 day ago", True), ("3 days ago", False)])
def test_since(direct: Call, query: Query, since: str, old: bool) -> None:
    """What it said before stays; an answer without a time, too."""
    query("MATCH (:User {screen_name: 'alone'})<-[r:DM_YES]-() REMOVE r.at")
    done = direct("client", "distrust", 42, "--since", since, "--json").document
    assert (done["withdrawn"], done["kept"]) == (4 if old else 5, 1)
    assert (shown(query)["old"][0] != []) == old
    assert shown(query)["alone"][0] == [[42, "DM_YES"]]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("slice", [1, 2, 3, 10])
def test_in_parts_and_interrupted(database: Database, query: Query, slice: int) -> None:
    """The sums and the graph are the same, however many batches it takes, and where a first run was interrupted."""
    limits = replace(DEFAULTS, batch_withdrawn=slice)
    with Database(replace(database.settings, limits=limits), "tests") as small:
        assert next(clients.distrust(small, 42)).withdrawn <= slice
        *_, rest = clients.distrust(small, 42)
    assert rest.kept == 1
    assert shown(query) == AFTER
    assert sum(row["n"] for row in query("MATCH (e:DMCheckEvent) RETURN e.users AS n")) == 6
    assert sum(row["n"] for row in query("MATCH (e:DMCheckEvent) RETURN e.seconds AS n")) == 2


@pytest.mark.usefixtures("world")
def test_its_users_are_checked_again(direct: Call, database: Database, query: Query) -> None:
    """Whoever waits is handed out, not marked, and its next answer is in force; the graph is sound."""
    assert direct("client", "distrust", 42).status == 0
    assert direct(program="make_buckets").status == 0
    found = [lease for number in range(2) for lease in fetch(database, 45, 1, f"{number}")]
    names = {user.screen_name for lease in found for user in lease.users}
    assert {"alone", "marked", "old"} <= names
    submit(database, 45, [answers(lease, "NON_DM") for lease in found])
    force = shown(query)
    assert [force[name][0] for name in ("alone", "marked", "old")] == [[[45, "DM_NO"]]] * 3
    problems = direct("doctor", "--deep", "--json").document["problems"]
    assert [one for one in problems if "has never run" not in one["what"]] == []
    assert broken(query) == []


@pytest.mark.usefixtures("world")
def test_whom_it_takes(direct: Call, database: Database) -> None:
    """A suspended or inactive client, too; an unknown one is refused, a WHEN that is none is malformed."""
    clients.suspend(database, 42)
    clients.unregister(database, 42, "client42")
    assert direct("client", "distrust", 42, "--json").document["withdrawn"] == 6
    assert direct("client", "distrust", 7, "--json").error["code"] == "not_registered"
    assert direct("client", "distrust", 7, "--dry-run", "--json").error["code"] == "not_registered"
    malformed = direct("client", "distrust", 42, "--since", "x", "--json")
    assert (malformed.status, malformed.error["code"]) == (2, "malformed")
    with pytest.raises(NotRegistered):
        next(clients.distrust(database, 7))
    assert direct("client", "resume", 42).status == 0
    deleted = direct("client", "delete", 42, "--json")
    assert (deleted.status, deleted.document["answers"]) == (0, 1)


@pytest.mark.usefixtures("world")
def test_delete_leaves_nothing_that_names_it(direct: Call, query: Query) -> None:
    """Nor its source: in buckets, needs, events and refusals."""
    query("MATCH (c:DMCheckClient {id: 42}) SET c.id = 424242, c.dm_from_id = 434343")
    query(
        """MATCH (b:DMCheckBucket) SET b.heard = [424242, 43], b.sources = [434343, 7], b.failed_by = 424242
        WITH count(*) AS n MATCH (u:User) WHERE u.dmcheck_asked = 42 SET u.dmcheck_asked = 424242"""
    )
    direct("client", "suspend", 424242, "--reason", "424242 lies")
    direct("fetch", "--client", 424242)
    direct("client", "resume", 424242)
    assert direct("client", "delete", 424242).status == 0
    whole = query("MATCH (n) RETURN properties(n) AS all UNION ALL MATCH ()-[n]->() RETURN properties(n) AS all")
    assert [row for row in whole if "424242" in str(row) or "434343" in str(row)] == []
    assert query("MATCH (b:DMCheckBucket) RETURN b.heard AS h, b.sources AS s") == [{"h": [43], "s": [7]}]
    assert query("MATCH (u:User {dmcheck_needs: 'dm'}) RETURN DISTINCT u.dmcheck_asked AS a") == [{"a": 0}]
    events = direct("log", "--json").document["events"]
    assert {(one["event"], one["client"]) for one in events} == {
        (event, None) for event in ("suspended", "refused", "resumed")
    }  # fmt: skip
