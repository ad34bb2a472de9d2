"""`client suspend` and `client resume`: a client is put aside, and comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import answered, prepare
from support.invariants import Query, broken
from support.programs import Result
from support.working import Checker

from dmcheck_cli.database.connection import Database

Call = Callable[..., Result]


@pytest.fixture
def suspended(direct: Call, database: Database) -> dict[str, Any]:
    """Client 42, suspended while it held two buckets; returns the document of its fetch."""
    prepare(database, [42, 43], 15, size=5)
    document = direct("fetch", "--client", 42, "--count", 2, "--json").document
    done = direct("client", "suspend", 42, "--reason", "says DM of everybody", "--json")
    assert done.status == 0
    client = done.document["client"]
    assert (client["state"], client["reason"]) == ("SUSPENDED", "says DM of everybody")
    assert client["suspended"].endswith("Z")
    return document


def test_it_gives_back_what_it_holds(direct: Call, query: Query, suspended: dict[str, Any]) -> None:
    """Its leases end as returned, which is no failure, and others get the buckets."""
    leases = query("MATCH (l:DMCheckLease) RETURN l.how AS how, l.excused AS excused")
    assert leases == [{"how": "returned", "excused": None}] * 2
    assert query("MATCH (b:DMCheckBucket) WHERE b.failures > 0 OR b.place IS NULL RETURN b") == []
    assert len(direct("fetch", "--client", 43, "--count", 3, "--json").document["buckets"]) == 3
    assert broken(query) == []


def test_every_verb_of_it_is_refused(direct: Call, query: Query, suspended: dict[str, Any], checker: Checker) -> None:
    """With `suspended`, exit 1, and the reason; the refusals are in the log."""
    lease = suspended["buckets"][0]
    named = ("--client", 42, "--bucket", lease["bucket"], "--lease", lease["lease"])
    for verb in (
        ("fetch", "--client", 42),
        ("fetch", "--client", 42, "--resume"),
        ("renew", *named),
        ("release", *named),
        ("register", "--id", 42, "--screen-name", "client42"),
        ("submit", "--client", 42),
        ("client", "delete", 42),
        ("client", "delete", 42, "--dry-run"),
    ):
        refused = direct(*verb, "--json", stdin=answered(suspended))
        assert (refused.status, refused.error["code"]) == (1, "suspended"), verb
        assert "says DM of everybody" in refused.error["message"]
    worked = direct("work", "--client", 42, "--once", "--json", "--", *checker("print(line)"))
    assert (worked.status, worked.error["code"]) == (1, "suspended")
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN r") == []
    assert direct("register", "--id", 42, "--screen-name", "x", "--json").error["code"] == "wrong_details"
    [event] = [e for e in direct("log", "--client", 42, "--json").document["events"] if e.get("reason") == "suspended"]
    assert (event["event"], event["count"] >= 6) == ("refused", True)


def test_unregister_works_and_the_suspension_stays(direct: Call, suspended: dict[str, Any]) -> None:
    """Who left comes back only after a resume, and then by registering."""
    left = direct("unregister", "--id", 42, "--screen-name", "client42", "--json")
    assert (left.status, left.document["returned"], left.document["client"]["state"]) == (0, 0, "SUSPENDED")
    assert direct("register", "--id", 42, "--screen-name", "client42", "--json").error["code"] == "suspended"
    assert direct("client", "resume", 42, "--json").document["client"]["state"] == "DEACTIVE"
    assert direct("fetch", "--client", 42, "--json").error["code"] == "not_registered"
    assert direct("register", "--id", 42, "--screen-name", "client42").status == 0
    assert direct("fetch", "--client", 42).status == 0


def test_both_may_be_repeated(direct: Call, query: Query, suspended: dict[str, Any]) -> None:
    """The time stays, another reason replaces the first, none keeps it; resumed twice is resumed."""
    shown = [
        direct("client", "suspend", 42, *more, "--json").document["client"]
        for more in ((), ("--reason", "another"), ())
    ]
    assert [one["reason"] for one in shown] == ["says DM of everybody", "another", "another"]
    assert len({one["suspended"] for one in shown}) == 1
    for _ in range(2):
        client = direct("client", "resume", 42, "--json").document["client"]
        assert (client["state"], client["suspended"], client["reason"]) == ("ACTIVE", None, None)
    assert direct("fetch", "--client", 42).status == 0
    events = [one["event"] for one in direct("log", "--client", 42, "--json").document["events"]]
    assert (events.count("suspended"), events.count("resumed")) == (2, 1)
    assert broken(query) == []


@pytest.mark.parametrize(("verb", "status", "code"), [
    (("suspend", 7), 1, "not_registered"),
    (("resume", 7), 1, "not_registered"),
    (("suspend", "x"), 2, "malformed"),
    (("suspend", 42, "--reason", "a\nb"), 2, "malformed"),
    (("suspend", 42, "--reason", "x" * 201), 2, "malformed"),
])  # fmt: skip
def test_refused(direct: Call, database: Database, verb: tuple[object, ...], status: int, code: str) -> None:
    """Unknown clients, and what is no id or no reason."""
    prepare(database, [42])
    refused = direct("client", *verb, "--json")
    assert (refused.status, refused.error["code"]) == (status, code)


@pytest.mark.parametrize("doubted", [None, [1.0], [1.0, 2.0, 3.0]])
def test_resume_ends_containment(direct: Call, database: Database, query: Query, doubted: list[float] | None) -> None:
    """The interval that is open ends, its counts start over, its allowance stays, and judge_clients reads again."""
    prepare(database, [42])
    query(
        """MATCH (:DMCheckClient {id: 42})-[:STATS]->(s) SET s += {contained: 3.0, doubted: $doubted, allowance: 1,
        compared: [1, 1, 1, 1], contradicted: [1, 0, 0, 0], times: [1.0], sums: [1.0, 1.0, 1.0, 1.0], record: false,
        share: 1.0, said: [1, 2, 3]}""",
        doubted=doubted,
    )
    before = query("RETURN datetime().epochMillis / 1000.0 AS now")[0]["now"]
    for _ in range(2):
        assert direct("client", "resume", 42).status == 0
    [row] = query("MATCH (:DMCheckClient {id: 42})-[:STATS]->(s) RETURN properties(s) AS s")
    kept = {name: value for name, value in row["s"].items() if not name.startswith("buckets_")}
    closed = kept.pop("doubted", [])
    assert kept == {"allowance": 1, "said": [1, 2, 3]}
    assert len(closed) % 2 == 0
    assert closed[: len(doubted or [])] == (doubted or [])
    assert doubted is None or closed[-1] >= before
    assert query("MATCH (j:DMCheckJob {name: 'judge_clients'}) RETURN j.round AS r") == [{"r": 1}]


def test_two_processes_of_one_id(direct: Call, database: Database, query: Query) -> None:
    """They are one client: what either has fetched goes back, and each is refused."""
    prepare(database, [42, 43], 10, size=5)
    documents = [direct("fetch", "--client", 42, "--count", 1, "--json").document for _ in range(2)]
    assert direct("client", "suspend", 42).status == 0
    for document in documents:
        assert direct("submit", "--client", 42, "--json", stdin=answered(document)).error["code"] == "suspended"
    assert direct("client", "resume", 42).status == 0
    # Late work: nobody has had the buckets since.
    for document in documents:
        assert (
            direct("submit", "--client", 42, "--json", stdin=answered(document)).document["buckets"][0]["accepted"] == 5
        )
    again = json.dumps(documents[0])
    assert direct("submit", "--client", 42, "--json", stdin=again).status == 1
    assert broken(query) == []
