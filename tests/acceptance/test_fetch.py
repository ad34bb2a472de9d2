"""The design's test cases 8.2: fetching buckets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.graphs import answered, counters, picture, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS


def test_8_2_1_a_registered_client_fetches_a_bucket(run: Callable[..., Any], database: Database, query: Query) -> None:
    """It gets the bucket's users with their ids, under a lease of two hours; the bucket is its own in the graph."""
    names = prepare(database, [42], 5)

    done = run("fetch", "--client", 42, "--count", 1, "--json")

    assert done.status == 0
    assert done.document["client"] == 42
    [bucket] = done.document["buckets"]
    assert sorted(bucket) == ["bucket", "expires", "lease", "priority", "users"]
    assert bucket["priority"] == 100
    by_name = sorted(bucket["users"], key=lambda user: user["screen_name"])
    assert by_name == [{"screen_name": name, "id": 1000 + i, "id_str": str(1000 + i)} for i, name in enumerate(names)]
    [row] = query(
        """MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
        RETURN b.uuid AS bucket, c.id AS client, toString(datetime()) AS now"""
    )
    assert (row["bucket"], row["client"]) == (bucket["bucket"], 42)
    expires = datetime.fromisoformat(bucket["expires"])
    left = expires - datetime.fromisoformat(row["now"])
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    assert counters(query, 42) == (1, 0, 0, 0)
    assert broken(query) == []


def test_8_2_2_a_registered_client_fetches_several_buckets(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """It gets as many as it asks for, each with a lease of its own, and no user in two of them."""
    names = prepare(database, [42], 20, size=5)

    buckets = run("fetch", "--client", 42, "--count", 3, "--json").document["buckets"]

    assert len({bucket["bucket"] for bucket in buckets}) == 3
    assert len({bucket["lease"] for bucket in buckets}) == 3
    given = [user["screen_name"] for bucket in buckets for user in bucket["users"]]
    assert len(given) == len(set(given)) == 15
    assert set(given) < set(names)
    assert counters(query, 42) == (3, 0, 0, 0)
    assert broken(query) == []


@pytest.mark.parametrize("count", ["11", "0", "-1", "many"])
def test_8_2_3_a_fetch_of_too_many_buckets_is_wrong_usage(
    run: Callable[..., Any], database: Database, query: Query, count: str
) -> None:
    """More than 10 at once, or what is no number from 1 up, ends with exit status 2 and changes nothing."""
    prepare(database, [42], 12, size=1)
    before = picture(query)

    refused = run("fetch", "--client", 42, f"--count={count}", "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (2, "", "usage")
    assert picture(query) == before


def test_8_2_3_a_client_holds_no_more_than_its_capacity(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """A fetch gets only what the capacity of 10 leaves free; once all is in use it is over_quota."""
    prepare(database, [42], 14, size=1)
    assert len(run("fetch", "--client", 42, "--count", 8, "--json").document["buckets"]) == 8
    assert len(run("fetch", "--client", 42, "--count", 8, "--json").document["buckets"]) == 2
    before = picture(query, "last_access_time")

    refused = run("fetch", "--client", 42, "--count", 1, "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "over_quota")
    assert picture(query, "last_access_time") == before
    assert broken(query) == []


def test_8_2_4_an_unregistered_client_fetches(run: Callable[..., Any], database: Database, query: Query) -> None:
    """Neither a client that was never registered nor one that has unregistered gets anything; nothing changes."""
    prepare(database, [42, 43], 5)
    assert run("unregister", "--id", 43, "--screen-name", "client43").status == 0
    before = picture(query)

    for stranger in (7, 43):
        refused = run("fetch", "--client", stranger, "--json")
        assert (refused.status, refused.out, refused.error["code"]) == (1, "", "not_registered")

    assert picture(query) == before


def test_8_2_5_a_client_fetches_when_no_bucket_waits(run: Callable[..., Any], database: Database, query: Query) -> None:
    """It gets a document without buckets and exit status 3, whether there never was a bucket or another holds it."""
    prepare(database, [42, 43])
    nothing = run("fetch", "--client", 42, "--json")
    assert (nothing.status, nothing.document) == (3, {"client": 42, "buckets": []})

    prepare(database, [], 5)
    assert run("fetch", "--client", 43, "--json").status == 0
    before = picture(query, "last_access_time")
    nothing = run("fetch", "--client", 42, "--json")

    assert (nothing.status, nothing.document) == (3, {"client": 42, "buckets": []})
    assert picture(query, "last_access_time") == before
    assert counters(query, 42) == (0, 0, 0, 0)


def test_a_client_without_a_record_is_bounded_between_two_judgements(
    direct: Callable[..., Any], database: Database, query: Query
) -> None:
    """What it holds and what it answered count; `unjudged`, until judge_clients has run, or it has a record."""
    prepare(database, [42], 25, size=5)
    bound = {"DMCHECK_MAX_UNJUDGED": "2"}
    document = direct("fetch", "--client", 42, "--count", 3, "--json", **bound).document
    assert len(document["buckets"]) == 2
    for _ in range(2):
        refused = direct("fetch", "--client", 42, "--json", **bound)
        assert (refused.status, refused.error["code"], refused.error["retry_after"] >= 300) == (1, "unjudged", True)
        [told] = direct("stats", "--client", 42, "--json", **bound).document["clients"]
        assert (told["limited_by"], told["next_fetch_seconds"]) == ("unjudged", DEFAULTS.judge_seconds)
        direct("submit", "--client", 42, stdin=answered(document, "NON_DM"))
    query("MATCH (:DMCheckClient {id: 42})-[:STATS]->(s) SET s.processed_judged = 2")
    assert direct("fetch", "--client", 42, "--json", **bound).status == 0
    assert direct("fetch", "--client", 42, "--json", **bound).error["code"] == "unjudged"
    query("MATCH (:DMCheckClient {id: 42})-[:STATS]->(s) SET s.record = true")
    assert direct("fetch", "--client", 42, "--json", **bound).status == 0
