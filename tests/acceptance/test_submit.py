"""The design's test cases 8.3: handing in answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import (
    answered,
    counters,
    pass_time,
    picture,
    prepare,
    refusal,
    start,
    transactions,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database

ANSWERS = """
    MATCH (c:DMCheckClient)-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u)
    RETURN u.screen_name AS name, type(r) AS answer, c.id AS client"""


def test_8_3_1_a_client_answers_its_own_bucket(run: Callable[..., Any], database: Database, query: Query) -> None:
    """Each answer becomes a relationship of its kind from the client to the user; the bucket is gone, and counted."""
    prepare(database, [42], 3)
    document = run("fetch", "--client", 42, "--json").document
    [bucket] = document["buckets"]
    kinds = {"DM": "DM_YES", "NON_DM": "DM_NO", "UNKNOWN": "DM_UNKNOWN"}
    for user, candm in zip(bucket["users"], kinds, strict=True):
        user["candm"] = candm

    done = run("submit", "--client", 42, "--json", stdin=json.dumps(document))

    assert done.status == 0
    report = {"bucket": bucket["bucket"], "status": "done", "accepted": 3, "returned": 0, "refused": []}
    assert done.document == {"client": 42, "buckets": [report]}
    stored = {row["name"]: (row["answer"], row["client"]) for row in query(ANSWERS)}
    assert stored == {user["screen_name"]: (kinds[user["candm"]], 42) for user in bucket["users"]}
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert counters(query, 42) == (1, 1, 0, 0)
    assert broken(query) == []


def test_8_3_2_a_client_answers_a_bucket_that_it_does_not_own(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """It is refused with not_owner and exit status 1, and only its faults count up; the owner then answers as if
    nothing had been."""
    prepare(database, [42, 43], 3)
    document = answered(run("fetch", "--client", 42, "--json").document)
    before = refusal(query)

    refused = run("submit", "--client", 43, "--json", stdin=document)

    assert (refused.status, refused.error["code"]) == (1, "not_owner")
    [report] = refused.document["buckets"]
    assert (report["status"], report["reason"], report["accepted"]) == ("refused", "not_owner", 0)
    assert refusal(query) == before
    assert counters(query, 43) == (0, 0, 1, 0)
    assert counters(query, 42) == (1, 0, 0, 0)
    assert run("submit", "--client", 42, "--json", stdin=document).document["buckets"][0]["status"] == "done"
    assert broken(query) == []


def test_8_3_3_an_unregistered_client_answers_the_bucket_that_was_its_own(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Once it has unregistered its answers are refused (not_registered), and its users wait for another client."""
    prepare(database, [42], 3)
    document = answered(run("fetch", "--client", 42, "--json").document)
    assert run("unregister", "--id", 42, "--screen-name", "client42", "--json").document["returned"] == 1
    before = picture(query)

    refused = run("submit", "--client", 42, "--json", stdin=document)

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "not_registered")
    assert picture(query) == before
    assert query(ANSWERS) == []
    assert broken(query) == []


def test_8_3_4_an_unregistered_client_answers_a_bucket_of_another(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """A client that nobody knows is refused (not_registered), and leaves no trace in the graph."""
    prepare(database, [42], 3)
    document = answered(run("fetch", "--client", 42, "--json").document)
    before = picture(query)

    refused = run("submit", "--client", 7, "--json", stdin=document)

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "not_registered")
    assert picture(query) == before


def test_8_3_5_a_client_answers_for_part_of_its_bucket(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """The answers that are there are kept; the other users wait in their bucket, and the next client gets just them."""
    prepare(database, [42, 43], 10)
    document = run("fetch", "--client", 42, "--json").document
    given = [user["screen_name"] for user in document["buckets"][0]["users"]]

    done = run("submit", "--client", 42, "--json", stdin=answered(document, only=6))

    [report] = done.document["buckets"]
    assert (done.status, report["status"], report["accepted"], report["returned"]) == (0, "partial", 6, 4)
    assert {row["name"] for row in query(ANSWERS)} == set(given[:6])
    assert counters(query, 42) == (1, 1, 0, 0)
    assert broken(query) == []
    [rest] = run("fetch", "--client", 43, "--json").document["buckets"]
    assert rest["bucket"] == document["buckets"][0]["bucket"]
    assert rest["lease"] != document["buckets"][0]["lease"]
    assert {user["screen_name"] for user in rest["users"]} == set(given[6:])


def test_8_3_6_a_client_answers_for_a_user_who_is_not_in_its_bucket(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """That answer is refused (not_in_bucket) and counted as a fault, the others are taken, and the exit status is 0;
    the user stays, unanswered, in the bucket of the client that holds it."""
    prepare(database, [42, 43], 6, size=3)
    mine = run("fetch", "--client", 42, "--count", 1, "--json").document
    [other] = run("fetch", "--client", 43, "--count", 1, "--json").document["buckets"]
    stranger = other["users"][0]
    mine["buckets"][0]["users"].append(stranger)

    done = run("submit", "--client", 42, "--json", stdin=answered(mine))

    [report] = done.document["buckets"]
    assert (done.status, report["status"], report["accepted"]) == (0, "done", 3)
    assert report["refused"] == [{"screen_name": stranger["screen_name"], "reason": "not_in_bucket"}]
    assert stranger["screen_name"] not in {row["name"] for row in query(ANSWERS)}
    assert counters(query, 42) == (1, 1, 1, 0)
    [still] = run("fetch", "--client", 43, "--resume", "--json").document["buckets"]
    assert sorted(user["screen_name"] for user in still["users"]) == sorted(
        user["screen_name"] for user in other["users"]
    )
    assert broken(query) == []


@pytest.mark.parametrize(
    "rival",
    [
        "MATCH (u:User {screen_name: 'user00002'}) DETACH DELETE u",
        "MATCH (u:User {screen_name: 'user00002'}) SET u.id = 1",
    ],
    ids=["in the statement", "in the commit"],
)
def test_8_3_7_a_client_is_killed_before_the_answer_to_its_submit(
    run: Callable[..., Any], environment: dict[str, str], database: Database, query: Query, rival: str
) -> None:
    """Killed while its answers are being stored, it leaves all of them or none; the same submit again is accepted, and
    counts once."""
    prepare(database, [42], 5)
    document = answered(run("fetch", "--client", 42, "--json").document)
    with transactions(environment) as [other]:
        other.run(rival).consume()  # never committed: the submit gets stuck in the middle of its work
        with start(environment, "submit", "--client", 42, "--json", stdin=document) as client:
            wait_until_blocked(query, "submit")
            client.kill()
    wait_until_gone(query, "submit")
    assert len(query(ANSWERS)) in (0, 5)
    assert broken(query) == []

    again = run("submit", "--client", 42, "--json", stdin=document)

    [report] = again.document["buckets"]
    assert (again.status, report["status"], report["accepted"]) == (0, "done", 5)
    assert len(query(ANSWERS)) == 5
    assert counters(query, 42) == (1, 1, 0, 0)
    assert broken(query) == []


def test_8_3_7_a_client_repeats_a_submit_whose_report_it_never_saw(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """The same answers again get the same report, also part answers whose bucket was leased again; nothing changes."""
    prepare(database, [42, 43], 5)
    document = answered(run("fetch", "--client", 42, "--json").document, only=2)
    lost = run("submit", "--client", 42, "--json", stdin=document)
    assert run("fetch", "--client", 43, "--json").status == 0
    before = picture(query, "last_access_time")

    again = run("submit", "--client", 42, "--json", stdin=document)

    assert (again.status, again.document) == (0, lost.document)
    assert picture(query, "last_access_time") == before


def test_8_3_8_a_client_never_answers_the_bucket_that_it_was_given(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """After two hours its lease is marked dead, a quarter of an hour later the bucket waits again, and the next client
    gets the same users; the first has one dead bucket on its account and none processed."""
    prepare(database, [42, 43], 3)
    [lost] = run("fetch", "--client", 42, "--json").document["buckets"]
    assert run("--json", program="reclaim_leases").document == {"marked_dead": 0, "released": 0}
    pass_time(query, 7201)
    assert run("--json", program="reclaim_leases").document == {"marked_dead": 1, "released": 0}
    assert run("fetch", "--client", 43, "--json").status == 3
    pass_time(query, 901)
    assert run("--json", program="reclaim_leases").document == {"marked_dead": 0, "released": 1}

    [bucket] = run("fetch", "--client", 43, "--json").document["buckets"]

    assert bucket["bucket"] == lost["bucket"]
    assert bucket["lease"] != lost["lease"]
    assert counters(query, 42) == (1, 0, 0, 1)
    assert counters(query, 43) == (1, 0, 0, 0)
    assert broken(query) == []
