"""The design's test cases 8.5: clients, jobs and importers at work at the same time, each in a process of its own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from support.graphs import Work, answers, commands_together, counters, prepare, together
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.transactions import clients, leases, users
from dmcheck_cli.transactions.answers import submit
from jobs import make_buckets


def test_8_5_1_two_clients_join_at_almost_the_same_time(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """They register and fetch at the same moment: each gets buckets, and no bucket and no user goes to both."""
    prepare(database, [1], 60, size=3)
    registered = commands_together(
        environment, [("register", "--id", id, "--screen-name", f"joins{id}", "--json") for id in (42, 43)]
    )
    assert [status for status, _, _ in registered] == [0, 0]

    outcomes = together(database.settings, [partial(_fetch, 42, 10), partial(_fetch, 43, 10)])

    first, second = outcomes[0]
    assert first
    assert second
    given = Counter(name for lease in first + second for name in lease)
    assert len(given) == 3 * len(first + second)
    assert set(given.values()) == {1}
    assert broken(query) == []


def test_8_5_2_a_client_joins_later(run: Callable[..., Any], database: Database, query: Query) -> None:
    """It gets other users than the client that came before it, which keeps what it has."""
    prepare(database, [42], 30, size=3)
    early = run("fetch", "--client", 42, "--count", 6, "--json").document["buckets"]
    assert run("register", "--id", 43, "--screen-name", "latecomer").status == 0

    late = run("fetch", "--client", 43, "--count", 10, "--json").document["buckets"]

    assert len(late) == 4
    assert not {b["bucket"] for b in early} & {b["bucket"] for b in late}
    assert len({user["screen_name"] for b in early + late for user in b["users"]}) == 30
    kept = run("fetch", "--client", 42, "--resume", "--json").document["buckets"]
    assert {(b["bucket"], b["lease"]) for b in kept} == {(b["bucket"], b["lease"]) for b in early}
    assert broken(query) == []


def test_8_5_3_buckets_are_made_while_older_ones_are_handed_out(database: Database, query: Query) -> None:
    """Two jobs make buckets while two clients take from the older pool: every lease is whole and goes to one client,
    and every user is in one bucket in the end."""
    prepare(database, range(1, 6), 200, size=10)
    query("UNWIND range(0, 399) AS i CREATE (:User {screen_name: 'new' + i})")

    outcomes = together(
        replace(database.settings, bucket_size=10), [_make, _make, partial(_fetch, 1, 1), partial(_fetch, 2, 1)], 8
    )

    given = [lease for _, _, first, second in outcomes for lease in first + second]
    assert len(given) == 16
    assert [len(lease) for lease in given] == [10] * 16
    assert len({name for lease in given for name in lease}) == 160
    assert sum(first + second for first, second, _, _ in outcomes) == 400
    assert query("MATCH (u:User)-[:INDMCHECKBUCKET]->() RETURN count(u) AS n") == [{"n": 600}]
    assert broken(query) == []


def test_8_5_4_clients_come_and_go(database: Database, query: Query) -> None:
    """Five clients register, take a bucket, answer it, part of it or not at all, and leave, again and again, until all
    is done: every user has one answer, no bucket is left, and the counters say what happened."""
    prepare(database, [1, 2, 3], 300, size=6)
    query("MATCH (c:DMCheckClient) SET c.state = 'DEACTIVE'")

    [outcome] = together(database.settings, [partial(_come_and_go, id) for id in range(42, 47)])

    assert sum(processed for _, processed in outcome) >= 50
    for id, (assigned, processed) in zip(range(42, 47), outcome, strict=True):
        assert counters(query, id) == (assigned, processed, 0, 0)
    assert query("MATCH (u:User)<-[r:DM_YES]-() RETURN count(u) AS users, count(r) AS answers") == [
        {"users": 300, "answers": 300}
    ]
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert broken(query) == []


def test_8_5_5_users_are_added_while_buckets_are_made(database: Database, query: Query) -> None:
    """Two importers, which add some users twice, and two jobs, each at its own speed: afterwards one more run of the
    job finds who is left, and every user is in exactly one bucket of at most the size that was set."""
    prepare(database, range(1, 21))
    sized = replace(database.settings, bucket_size=7)
    works: list[Work] = [partial(_add, 0), partial(_add, 50), _make, _make]

    outcomes = together(sized, works, 5)

    with Database(sized, "tests") as again:
        left = make_buckets.run(again).users
    assert sum(first + second for first, second, _, _ in outcomes) == 550
    assert sum(third + fourth for _, _, third, fourth in outcomes) + left == 550
    rows = query("MATCH (b:DMCheckBucket)<-[:INDMCHECKBUCKET]-(u) RETURN b.uuid AS bucket, count(u) AS n")
    assert sum(row["n"] for row in rows) == 550
    assert max(row["n"] for row in rows) <= 7
    assert broken(query) == []


def _fetch(client: int, count: int, database: Database, number: int) -> list[list[str]]:
    """The names under each lease that the client was given."""
    given = leases.fetch(database, client, count, f"{client} {number}")
    return [[user.screen_name for user in lease.users] for lease in given]


def _make(database: Database, number: int) -> int:
    return make_buckets.run(database).users


def _add(first: int, database: Database, number: int) -> int:
    """Adds a hundred users, and the other importer adds half of them, too; returns how many were new."""
    names = [f"import{i:05}" for i in range(number * 100 + first, number * 100 + first + 100)]
    return users.add(database, [User(name, None) for name in names]).added


def _come_and_go(id: int, database: Database, number: int) -> tuple[int, int]:
    """One client's life; returns how many buckets it was given and how many of its submits were accepted."""
    chance, assigned, processed = random.Random(id), 0, 0
    while True:
        clients.register(database, id, f"client{id}")
        try:
            [lease] = leases.fetch(database, id, 1, f"{assigned}")
        except NothingToFetch:
            # What others hold may come back: done only when no bucket is left at all.
            if not database.run_text("MATCH (b:DMCheckBucket) RETURN b.uuid LIMIT 1"):
                return assigned, processed
            continue
        assigned += 1
        fate = chance.random()
        if fate < 0.8:
            [report] = submit(database, id, [answers(lease, only=None if fate < 0.5 else 2)])
            assert report.status in ("done", "partial")
            processed += 1
        clients.unregister(database, id, f"client{id}")
