"""The design's test cases 8.1: registering and unregistering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import commands_together, picture, prepare, start, transactions, wait_until_blocked, wait_until_gone
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database

CHECKER = ("--id", "42", "--screen-name", "checker", "--json")


def test_8_1_1_a_client_registers_for_the_first_time(run: Callable[..., Any], query: Query) -> None:
    """It is told that it is active, and stands in the graph with counters at zero; the @ is no part of its name."""
    done = run("register", "--id", 42, "--screen-name", "@checker", "--json")

    assert done.status == 0
    client = done.document["client"]
    assert (client["id"], client["screen_name"], client["state"], client["capacity"]) == (42, "checker", "ACTIVE", 10)
    assert client["first_registered"] == client["last_registered"]
    [row] = query(
        "MATCH (c:DMCheckClient)-[:STATS]->(s:DMCheckClientStats) RETURN properties(c) AS c, properties(s) AS s"
    )
    assert (row["c"]["id"], row["c"]["screen_name"], row["c"]["state"]) == (42, "checker", "ACTIVE")
    assert row["s"] == dict.fromkeys([f"buckets_{x}" for x in ("assigned", "processed", "fault", "dead")], 0)
    assert broken(query) == []


def test_8_1_2_a_client_registers_again_after_unregistering(run: Callable[..., Any], query: Query) -> None:
    """It is active again, the same client as before, with a later date of its last registration."""
    first = run("register", *CHECKER).document["client"]
    gone = run("unregister", *CHECKER)
    assert (gone.status, gone.document["client"]["state"], gone.document["returned"]) == (0, "DEACTIVE", 0)

    again = run("register", *CHECKER)

    assert again.status == 0
    client = again.document["client"]
    assert client["state"] == "ACTIVE"
    assert client["first_registered"] == first["first_registered"]
    assert client["last_registered"] > first["last_registered"]
    assert query("MATCH (c:DMCheckClient) RETURN count(c) AS n") == [{"n": 1}]
    assert broken(query) == []


def test_8_1_3_a_client_registers_again_without_unregistering(run: Callable[..., Any], query: Query) -> None:
    """It is told the same once more, and nothing in the graph changes."""
    first = run("register", *CHECKER)
    before = picture(query)

    again = run("register", *CHECKER)

    assert (again.status, again.document) == (0, first.document)
    assert picture(query) == before


@pytest.mark.parametrize("details", [(), ("--id", 42), ("--screen-name", "checker")], ids=["none", "no name", "no id"])
def test_8_1_4_a_client_registers_without_details(
    run: Callable[..., Any], query: Query, details: tuple[object]
) -> None:
    """A missing detail is wrong usage: exit status 2, and nobody is registered."""
    refused = run("register", *details, "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (2, "", "usage")
    assert query("MATCH (n:DMCheckClient|DMCheckClientStats) RETURN n") == []


def test_8_1_5_a_client_registers_by_the_id_of_another(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """A known id with another screen name is refused (wrong_details), even of an inactive client; nothing changes."""
    prepare(database, [42])
    query("MATCH (c:DMCheckClient) SET c.state = 'DEACTIVE'")
    before = picture(query)

    refused = run("register", "--id", 42, "--screen-name", "impostor", "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "wrong_details")
    assert picture(query) == before


@pytest.mark.parametrize(
    ("id", "name"),
    [("0", "checker"), ("-1", "checker"), ("4x2", "checker"), (str(2**63), "checker"), ("42", ""), ("42", "a" * 21)],
    ids=["zero", "negative", "no number", "beyond 64 bits", "empty name", "long name"],
)
def test_8_1_5_a_client_registers_by_what_is_no_id_or_name(
    run: Callable[..., Any], query: Query, id: str, name: str
) -> None:
    """Details that no account can have are malformed input: exit status 2, and nobody is registered."""
    refused = run("register", f"--id={id}", f"--screen-name={name}", "--json")

    assert (refused.status, refused.out) == (2, "")
    assert refused.error["code"] in ("malformed", "usage")
    assert query("MATCH (n:DMCheckClient|DMCheckClientStats) RETURN n") == []


def test_8_1_6_a_flood_of_new_clients_is_refused(run: Callable[..., Any], database: Database, query: Query) -> None:
    """After 10,000 new clients within an hour the next is sent away (too_fast, come back in so many seconds) without a
    trace in the graph; a known one still gets in."""
    prepare(database, [42])
    query(
        """UNWIND range(1001, 11000) AS id
        CREATE (:DMCheckClient {id: id, screen_name: 'flood' + id, state: 'ACTIVE', create_datetime: datetime()})
            -[:STATS]->(:DMCheckClientStats {
                buckets_assigned: 0, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0})"""
    )

    refused = run("register", "--id", 43, "--screen-name", "latecomer", "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "too_fast")
    assert refused.error["retry_after"] > 0
    assert query("MATCH (c:DMCheckClient {id: 43}) RETURN c") == []
    assert run("register", "--id", 42, "--screen-name", "client42", "--json").status == 0


def test_8_1_6_the_same_registration_many_times_at_once(environment: dict[str, str], query: Query) -> None:
    """A flood of one client's registrations leaves one client with one set of counters; every one of them succeeds."""
    results = commands_together(environment, [("register", *CHECKER)] * 6)

    assert [status for status, _, _ in results] == [0] * 6
    assert query("MATCH (c:DMCheckClient) RETURN count(c) AS n") == [{"n": 1}]
    assert broken(query) == []


@pytest.mark.parametrize(
    ("details", "code"),
    [
        (("--id", 42, "--screen-name", "impostor"), "wrong_details"),
        (("--id", 7, "--screen-name", "client42"), "not_registered"),
    ],
    ids=["another name", "an unknown id"],
)
def test_8_1_7_a_client_unregisters_with_wrong_details(
    run: Callable[..., Any], database: Database, query: Query, details: tuple[object], code: str
) -> None:
    """It is refused with exit status 1: the client stays active, and keeps the bucket that it holds."""
    prepare(database, [42], 4)
    assert run("fetch", "--client", 42, "--json").status == 0
    before = picture(query)

    refused = run("unregister", *details, "--json")

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", code)
    assert picture(query) == before
    assert broken(query) == []


def test_8_1_8_a_client_is_killed_before_the_answer_to_its_registration(
    run: Callable[..., Any], environment: dict[str, str], query: Query
) -> None:
    """Killed while the database works on it, it leaves a whole client or none; the same command again succeeds."""
    with transactions(environment) as [rival]:
        # A registration of the same id that is never committed: ours waits for how it ends.
        rival.run("CREATE (:DMCheckClient {id: 42})").consume()
        with start(environment, "register", *CHECKER) as client:
            wait_until_blocked(query, "register")
            client.kill()
    wait_until_gone(query, "register")
    assert broken(query) == []

    again = run("register", *CHECKER)

    assert (again.status, again.document["client"]["state"]) == (0, "ACTIVE")
    assert query("MATCH (c:DMCheckClient) RETURN count(c) AS n") == [{"n": 1}]
    assert broken(query) == []
