"""Every refusal: exit status 1, its code, and a graph in which nothing moved but `buckets_fault` and
`last_access_time`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import answered, counters, pass_time, picture, prepare, refusal
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS

pytestmark = pytest.mark.process

Call = Callable[..., Result]

AT_ONCE = {"DMCHECK_LEASE_SECONDS": "0", "DMCHECK_GRACE_SECONDS": "0"}
REFUSED = 1


@pytest.fixture
def given(database: Database, direct: Call) -> dict[str, Any]:
    """Clients 1 and 2 are active, 3 is not; six buckets of 5 users; client 1 holds one, whose document this is."""
    prepare(database, [1, 2, 3], 30, size=5)
    assert direct("unregister", "--id", 3, "--screen-name", "client3").status == 0
    document = direct("fetch", "--client", 1, "--count", 1, "--json").document
    assert isinstance(document, dict)
    return document


def lease_anew(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """Client 1's lease is reclaimed, and client 2 gets all that waits, that bucket among it."""
    for _ in range(2):
        assert direct(program="reclaim_leases", **AT_ONCE).status == 0
    direct("fetch", "--client", 2, "--count", 10, "--json")
    [bucket] = given["buckets"]
    assert query("MATCH (b {uuid: $b})-[:DMCHECKCLIENT]->(c) RETURN c.id AS id", b=bucket["bucket"]) == [{"id": 2}]


def refused(result: Result, code: str) -> None:
    """The call with --json ended with a refusal of that code."""
    assert (result.status, result.error["code"]) == (REFUSED, code), result.err
    assert "Traceback" not in result.err


NOBODY = [
    ("fetch", "--client", "{id}"),
    ("fetch", "--client", "{id}", "--resume"),
    ("submit", "--client", "{id}"),
    ("renew", "--client", "{id}", "--bucket", "{bucket}", "--lease", "{lease}"),
]


@pytest.mark.parametrize("id", [99, 3], ids=["unknown", "unregistered"])
@pytest.mark.parametrize("arguments", NOBODY, ids=lambda arguments: " ".join(arguments[::3]))
def test_not_registered(direct: Call, query: Query, given: dict[str, Any], arguments: tuple[str, ...], id: int) -> None:
    """Who is unknown or was unregistered neither gets nor changes anything, and asking makes nobody active."""
    [bucket] = given["buckets"]
    filled = [argument.format(id=id, bucket=bucket["bucket"], lease=bucket["lease"]) for argument in arguments]
    before = picture(query)
    refused(direct(*filled, "--json", stdin=answered(given)), "not_registered")
    assert picture(query) == before


@pytest.mark.parametrize("id", [99, 3], ids=["unknown", "unregistered"])
def test_not_registered_without_any_bucket(direct: Call, query: Query, given: dict[str, Any], id: int) -> None:
    """A submit without buckets tells such a client the same."""
    refused(direct("submit", "--client", id, "--json", stdin='{"buckets": []}'), "not_registered")


def test_not_registered_for_unregister_and_stats(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """An id that is not known can be neither unregistered nor shown; an inactive client can be shown."""
    before = picture(query)
    refused(direct("unregister", "--id", 99, "--screen-name", "x", "--json"), "not_registered")
    refused(direct("stats", "--client", 99, "--json"), "not_registered")
    assert direct("stats", "--client", 3, "--json").document["clients"][0]["state"] == "DEACTIVE"
    assert picture(query) == before


@pytest.mark.parametrize("command", ["register", "unregister"])
@pytest.mark.parametrize("id", [1, 3], ids=["active", "inactive"])
def test_wrong_details(direct: Call, query: Query, given: dict[str, Any], command: str, id: int) -> None:
    """A known id under another name: nothing changes, whatever else was asked for."""
    more = ("--capacity", 5, "--dm-from-id", 8, "--dm-from-screen-name", "x") if command == "register" else ()
    before = picture(query)
    refused(direct(command, "--id", id, "--screen-name", "someone", *more, "--json"), "wrong_details")
    assert picture(query) == before
    # Names are the same whatever their case; what was stored first stays.
    done = direct(command, "--id", id, "--screen-name", f"@CLIENT{id}", *more, "--json")
    assert (done.status, done.document["client"]["screen_name"]) == (0, f"client{id}")


def test_over_quota(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """A client that holds as many leases as it may gets no more, dead ones among them; what it holds stays."""
    assert direct("register", "--id", 1, "--screen-name", "client1", "--capacity", 1).status == 0
    before = refusal(query)
    refused(direct("fetch", "--client", 1, "--json"), "over_quota")
    assert refusal(query) == before
    assert direct("--json", program="reclaim_leases", DMCHECK_LEASE_SECONDS="0").document["marked_dead"] == 1
    before = refusal(query)
    refused(direct("fetch", "--client", 1, "--count", 1, "--json"), "over_quota")
    assert refusal(query) == before


def test_not_owner(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """Another client's lease can be neither answered nor renewed; the owner's work is untouched."""
    [bucket] = given["buckets"]
    before = refusal(query)
    result = direct("submit", "--client", 2, "--json", stdin=answered(given))
    refused(result, "not_owner")
    assert result.document == {"client": 2, "buckets": [refused_bucket(bucket, "not_owner")]}
    mine = ("--bucket", bucket["bucket"], "--lease", bucket["lease"])
    refused(direct("renew", "--client", 2, *mine, "--json"), "not_owner")
    assert refusal(query) == before
    assert (counters(query, 1), counters(query, 2)) == ((1, 0, 0, 0), (0, 0, 1, 0))
    assert direct("submit", "--client", 1, "--json", stdin=answered(given)).status == 0


def refused_bucket(bucket: dict[str, Any], reason: str) -> dict[str, Any]:
    """What `submit` reports of a bucket that was refused."""
    return {
        "bucket": bucket["bucket"],
        "status": "refused",
        "accepted": 0,
        "returned": 0,
        "refused": [],
        "reason": reason,
    }


@pytest.mark.parametrize("finished", [False, True])
def test_lease_lost(direct: Call, query: Query, given: dict[str, Any], finished: bool) -> None:
    """Once the bucket was leased again, or finished by another, the older lease is neither answered nor renewed."""
    [bucket] = given["buckets"]
    lease_anew(direct, query, given)
    if finished:
        whole = direct("fetch", "--client", 2, "--resume", "--json").document
        assert direct("submit", "--client", 2, stdin=answered(whole, "NON_DM")).status == 0
    before = refusal(query)
    result = direct("submit", "--client", 1, "--json", stdin=answered(given))
    refused(result, "lease_lost")
    assert result.document["buckets"] == [refused_bucket(bucket, "lease_lost")]
    mine = ("--bucket", bucket["bucket"], "--lease", bucket["lease"])
    refused(direct("renew", "--client", 1, *mine, "--json"), "lease_lost")
    assert refusal(query) == before
    assert counters(query, 1) == (1, 0, 1, 1)
    assert broken(query) == []


@pytest.mark.parametrize("only", [None, 2])
def test_an_ended_lease_is_not_renewed(direct: Call, query: Query, given: dict[str, Any], only: int | None) -> None:
    """After a whole or a partial submit the lease is over."""
    [bucket] = given["buckets"]
    assert direct("submit", "--client", 1, stdin=answered(given, only=only)).status == 0
    before = refusal(query)
    mine = ("--bucket", bucket["bucket"], "--lease", bucket["lease"])
    refused(direct("renew", "--client", 1, *mine, "--json"), "lease_lost")
    assert refusal(query) == before


def test_unknown_bucket(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """A bucket that never was, and one that is gone without a trace."""
    [bucket] = given["buckets"]
    made_up = {"buckets": [{**bucket, "bucket": "never-was"}]}
    before = refusal(query)
    result = direct("submit", "--client", 1, "--json", stdin=answered(made_up))
    refused(result, "unknown_bucket")
    assert result.document["buckets"] == [refused_bucket(made_up["buckets"][0], "unknown_bucket")]
    mine = ("--bucket", "never-was", "--lease", bucket["lease"])
    refused(direct("renew", "--client", 1, *mine, "--json"), "unknown_bucket")
    assert refusal(query) == before
    query("MATCH (b {uuid: $b}) DETACH DELETE b", b=bucket["bucket"])
    query("MATCH (l:DMCheckLease {bucket: $b}) DELETE l", b=bucket["bucket"])
    refused(direct("submit", "--client", 1, "--json", stdin=answered(given)), "unknown_bucket")
    assert counters(query, 1) == (1, 0, 2, 0)


@pytest.mark.parametrize("forged", ["lease", "bucket"])
def test_a_made_up_pair_is_refused(direct: Call, query: Query, given: dict[str, Any], forged: str) -> None:
    """A guessed lease of a real bucket, and a real lease for another bucket, give nothing away."""
    [bucket] = given["buckets"]
    [other] = query(
        "MATCH (b:DMCheckBucket) WHERE b.uuid <> $b RETURN b.uuid AS uuid ORDER BY uuid LIMIT 1", b=bucket["bucket"]
    )
    pair = {**bucket, "lease": "guessed"} if forged == "lease" else {**bucket, "bucket": other["uuid"]}
    before = refusal(query)
    result = direct("submit", "--client", 1, "--json", stdin=answered({"buckets": [pair]}))
    assert (result.status, result.document["buckets"][0]["status"]) == (REFUSED, "refused")
    renewed = direct("renew", "--client", 1, "--bucket", pair["bucket"], "--lease", pair["lease"], "--json")
    assert renewed.status == REFUSED
    assert refusal(query) == before


@pytest.mark.parametrize("change", ["another answer", "one more", "one less", "none"])
@pytest.mark.parametrize("only", [None, 3])
def test_payload_changed(direct: Call, query: Query, given: dict[str, Any], only: int | None, change: str) -> None:
    """A lease that was answered cannot be answered otherwise, whether it ended whole or in part."""
    assert direct("submit", "--client", 1, stdin=answered(given, only=only)).status == 0
    before = refusal(query)
    changed = json.loads(answered(given, only=only))
    users = changed["buckets"][0]["users"]
    match change:
        case "another answer":
            users[0]["candm"] = "UNKNOWN"
        case "one more":
            users.append({"screen_name": "one_more", "candm": "DM"})
        case "one less":
            del users[0]["candm"]
        case _:
            for user in users:
                user.pop("candm", None)
    result = direct("submit", "--client", 1, "--json", stdin=json.dumps(changed))
    refused(result, "payload_changed")
    assert result.document["buckets"] == [refused_bucket(given["buckets"][0], "payload_changed")]
    assert refusal(query) == before
    assert counters(query, 1) == (1, 1, 1, 0)


def test_strangers_inside_an_accepted_bucket(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """A user who exists outside the bucket is refused by name, one who is gone is dropped; the rest counts, exit 0."""
    [bucket] = given["buckets"]
    mine = [user["screen_name"] for user in bucket["users"]]
    [stranger, *_] = [f"user{i:05}" for i in range(30) if f"user{i:05}" not in mine]
    assert direct("users", "delete", mine[0]).status == 0
    document = json.loads(answered(given))
    document["buckets"][0]["users"] += [{"screen_name": name, "candm": "DM"} for name in (stranger, "nobody")]
    result = direct("submit", "--client", 1, "--json", stdin=json.dumps(document))
    assert result.status == 0
    assert result.document["buckets"] == [
        {
            "bucket": bucket["bucket"],
            "status": "done",
            "accepted": 4,
            "returned": 0,
            "refused": [{"screen_name": stranger, "reason": "not_in_bucket"}],
        }
    ]
    assert query("MATCH ()-[:DM_YES]->(u) RETURN u.screen_name AS name ORDER BY name") == [
        {"name": name} for name in sorted(mine[1:])
    ]
    assert (
        query("MATCH (u:User {screen_name: $s})-[:INDMCHECKBUCKET]->() RETURN count(*) AS n", s=stranger)[0]["n"] == 1
    )
    assert counters(query, 1) == (1, 1, 1, 0)
    assert broken(query) == []


def test_strangers_alone_are_no_work(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """Answers for none but strangers are refused; the client keeps its lease, and nothing is stored."""
    [bucket] = given["buckets"]
    [stranger] = query(
        "MATCH (u:User)-[:INDMCHECKBUCKET]->(b) WHERE b.uuid <> $b RETURN u.screen_name AS name ORDER BY name LIMIT 1",
        b=bucket["bucket"],
    )
    document = {"buckets": [{**bucket, "users": [{"screen_name": stranger["name"], "candm": "DM"}]}]}
    result = direct("submit", "--client", 1, "--json", stdin=json.dumps(document))
    refused(result, "not_in_bucket")
    [report] = result.document["buckets"]
    assert (report["status"], report["accepted"], report["reason"]) == ("refused", 0, "not_in_bucket")
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN count(r) AS n") == [{"n": 0}]
    assert query("MATCH ()-[r:DMCHECKCLIENT]->() RETURN count(r) AS n") == [{"n": 1}]
    assert counters(query, 1) == (1, 0, 1, 0)
    assert broken(query) == []


def test_one_refused_bucket_does_not_stop_the_others(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """Exit 1 says that a bucket was refused; the accepted ones are stored and reported in the order given."""
    more = direct("fetch", "--client", 1, "--count", 1, "--json").document["buckets"]
    document = {"buckets": [given["buckets"][0], {**more[0], "bucket": "never-was"}, more[0]]}
    result = direct("submit", "--client", 1, "--json", stdin=answered(document))
    refused(result, "unknown_bucket")
    assert [report["status"] for report in result.document["buckets"]] == ["done", "refused", "done"]
    assert query("MATCH ()-[r:DM_YES]->() RETURN count(r) AS n") == [{"n": 10}]
    assert counters(query, 1) == (2, 2, 1, 0)


def test_unknown_user(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """Prioritizing nobody who is known is refused; one known name among them is enough."""
    before = picture(query)
    result = direct("prioritize", "@nobody", "noone", "--json")
    refused(result, "unknown_user")
    assert "nobody" in result.error["message"]
    assert [line for line in picture(query) if "DMCheckJob" not in line] == [
        line for line in before if "DMCheckJob" not in line
    ]
    assert direct("prioritize", "nobody", "user00000", "--json").status == 0


def test_too_many_new_clients(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """A flood of made-up clients is stopped and told when to come back; known clients are not."""
    query(
        """UNWIND range(1000, $last) AS id
        CREATE (c:DMCheckClient {id: id, screen_name: 'x', state: 'ACTIVE', create_datetime: datetime()})
        CREATE (c)-[:STATS]->(:DMCheckClientStats {
            buckets_assigned: 0, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0})""",
        last=1000 + DEFAULTS.max_new_clients_per_hour,
    )
    result = direct("register", "--id", 4, "--screen-name", "client4", "--json")
    refused(result, "too_fast")
    assert result.error["retry_after"] > 0
    assert query("MATCH (c:DMCheckClient {id: 4}) RETURN count(c) AS n") == [{"n": 0}]
    assert direct("register", "--id", 1, "--screen-name", "client1", "--json").status == 0


def test_refusals_of_real_processes(run: Callable[..., Any], query: Query, given: dict[str, Any]) -> None:
    """A refused command and a refused submit, as the shell sees them: exit 1, the error on stderr, JSON or not."""
    machine = run("fetch", "--client", 99, "--json")
    assert (machine.status, machine.out, machine.error["code"]) == (REFUSED, "", "not_registered")
    person = run("submit", "--client", 2, stdin=answered(given))
    assert person.status == REFUSED
    assert "not_owner" in person.out
    assert person.err.startswith("dmcheck: The lease of bucket")
    assert person.err.count("\n") == 1


def test_late_work_is_no_refusal(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """A dead lease, and one released but not handed out again, is still the newest: its answers are taken once."""
    pass_time(query, 8_000)
    assert direct("--json", program="reclaim_leases").document == {"marked_dead": 1, "released": 0}
    pass_time(query, 1_000)
    assert direct("--json", program="reclaim_leases").document == {"marked_dead": 0, "released": 1}
    result = direct("submit", "--client", 1, "--json", stdin=answered(given))
    assert (result.status, result.document["buckets"][0]["status"]) == (0, "done")
    assert counters(query, 1) == (1, 1, 0, 1)
    assert broken(query) == []
