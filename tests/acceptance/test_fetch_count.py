"""How many buckets a fetch leases that names no count, and how many a client may hold: what it stated, up to 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import may_hold, prepare
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database

Run = Callable[..., Result]

ME = 42


@pytest.fixture
def line(database: Database) -> None:
    """Thirty buckets of one user each wait; two clients that stated nothing are active."""
    prepare(database, [ME, 43], 30, size=1)


def state(run: Run, capacity: int | None) -> None:
    """Register, as a volunteer does."""
    stated = () if capacity is None else ("--capacity", capacity)
    assert run("register", "--id", ME, "--screen-name", f"client{ME}", *stated).status == 0


def fetched(run: Run, *arguments: object) -> int:
    """How many buckets a fetch gets; 0 when the client holds all that it may."""
    done = run("fetch", "--client", ME, *arguments, "--json")
    if done.status == 0:
        return len(done.document["buckets"])
    assert (done.status, done.out, done.error["code"]) == (1, "", "over_quota")
    assert 60 <= done.error["retry_after"] <= 90
    return 0


@pytest.mark.parametrize(
    ("capacity", "counts"),
    [
        (None, [2, 2, 2, 2, 2, 0]),
        (1, [1, 0]),
        (3, [3, 0]),
        (10, [10, 0]),
        (500, [10, 0]),
    ],
)
@pytest.mark.usefixtures("line")
def test_a_fetch_takes_what_the_client_stated_else_two(
    run: Run, query: Query, capacity: int | None, counts: list[int]
) -> None:
    """At most 10, whatever it stated; one fetch after the other, until the client holds all that it may."""
    state(run, capacity)
    assert [fetched(run) for _ in counts] == counts
    assert broken(query) == []


@pytest.mark.parametrize(("capacity", "counts"), [(None, [7, 3, 0]), (3, [3, 0]), (500, [7, 3, 0])])
@pytest.mark.usefixtures("line")
def test_a_count_that_is_named_counts_within_what_it_may_hold(
    run: Run, capacity: int | None, counts: list[int]
) -> None:
    """A count of 7 gets 7, or what the client may still hold."""
    state(run, capacity)
    assert [fetched(run, "--count", 7) for _ in counts] == counts


@pytest.mark.usefixtures("line")
def test_who_has_earned_more_may_hold_more(run: Run, query: Query) -> None:
    """Of 500 stated, 13 earned: ten, three, none. Of nothing stated, ten, whatever was earned."""
    may_hold(query, ME, 13)
    assert [fetched(run, "--count", 10) for _ in range(2)] == [10, 0]
    state(run, 500)
    assert [fetched(run) for _ in range(2)] == [3, 0]


@pytest.mark.usefixtures("line")
def test_dead_leases_count_until_they_are_released(run: Run, query: Query) -> None:
    """A client whose three leases died gets nothing; once they are released, three again."""
    state(run, 3)
    assert fetched(run) == 3
    assert run("--json", program="reclaim_leases", DMCHECK_LEASE_SECONDS="0").document["marked_dead"] == 3
    assert fetched(run) == 0
    assert run("--json", program="reclaim_leases", DMCHECK_GRACE_SECONDS="0").document["released"] == 3
    assert fetched(run) == 3
    assert broken(query) == []


@pytest.mark.usefixtures("line")
def test_what_is_shown_of_who_stated_nothing(run: Run) -> None:
    """Its capacity is shown as 10: what it may hold until it states less, or earns more."""
    shown = run("register", "--id", ME, "--screen-name", f"client{ME}", "--json").document["client"]
    assert shown["capacity"] == 10
    [client] = run("stats", "--client", ME, "--json").document["clients"]
    assert (client["capacity"], client["allowance"]) == (10, 10)
    assert fetched(run) == 2


@pytest.mark.parametrize(("capacity", "count"), [(10, 2), (3, 3), (500, 10)])
@pytest.mark.usefixtures("line")
def test_the_default_of_release_0_1_0_was_no_statement(run: Run, query: Query, capacity: int, count: int) -> None:
    """Its clients have a capacity of 10 unless they stated another: after the upgrade, 10 counts as nothing stated."""
    query("MATCH (c:DMCheckClient {id: $id}) SET c.capacity = $capacity", id=ME, capacity=capacity)
    query("MATCH (graph:DMCheckSchema) DELETE graph")
    assert run("schema", "apply", "--json").document == {"applied": ["version 1", "version 2"]}
    assert fetched(run) == count


@pytest.mark.usefixtures("line")
def test_ten_that_is_stated_after_the_upgrade_is_a_statement(run: Run) -> None:
    """Also where it was stated once, and a later registration says nothing of it; and a smaller one replaces it."""
    state(run, 10)
    state(run, None)
    assert run("schema", "apply", "--json").document == {"applied": []}
    assert fetched(run) == 10


def test_the_count_in_the_help(direct: Callable[..., Any]) -> None:
    """`fetch --help` says what the default is, `register --help` what stating a capacity does."""
    told = " ".join(direct("fetch", "--help", COLUMNS="200").out.split())
    assert "default: what the client stated as its capacity (at most 10), else 2" in told
    told = " ".join(direct("register", "--help", COLUMNS="200").out.split())
    assert "How many leases it can hold; unless said, it may hold 10 and fetches 2 at a time" in told
