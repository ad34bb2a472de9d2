"""A statement that waits for a lock while another one changes what it chose looks again behind the lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.cases import OURS, named
from support.graphs import (
    MAX_WAIT_SECONDS,
    answers,
    counters,
    pass_time,
    prepare,
    transactions,
    wait_until,
    wait_until_blocked,
)
from support.invariants import Query, broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.transactions import buckets, clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release, resume

Overtaken = Callable[..., Any]


@pytest.fixture
def overtaken(environment: dict[str, str], database: Database, query: Query) -> Overtaken:
    """Lets `work` begin behind an open transaction that has run the statement `rival`, which is committed as soon
    as `work` waits for it; returns what `work` does."""

    def blocked() -> bool:
        return bool(
            query(
                """SHOW TRANSACTIONS YIELD metaData, status
                WHERE metaData.command = 'overtaken' AND (status STARTS WITH 'Blocked' OR status = 'Closing')
                RETURN status"""
            )
        )

    def run(work: Callable[[Database], Any], rival: str, **parameters: Any) -> Any:
        with (
            transactions(environment) as [other],
            Database(database.settings, "overtaken") as mine,
            ThreadPoolExecutor(1) as pool,
        ):
            assert other.run(cypher.text(rival), OURS | parameters).data()
            running = pool.submit(work, mine)
            wait_until(lambda: running.done() or blocked())
            other.commit()
            return running.result(MAX_WAIT_SECONDS)

    return run


@pytest.fixture
def lease(database: Database) -> Lease:
    """The only bucket, in the hands of client 1; there is a client 2."""
    prepare(database, [1, 2], 3)
    return fetch(database, 1, 1, "k")[0]


def test_a_lease_that_is_being_renewed_is_not_marked_dead(overtaken: Overtaken, lease: Lease, query: Query) -> None:
    """Its time was over when the job looked, and is not any more."""
    pass_time(query, 7_300)
    renewal = {"client": 1, "buckets": named(lease), "lease_seconds": 7200}
    assert overtaken(buckets.mark_dead, "renew_lease", **renewal) == []
    assert counters(query, 1) == (1, 0, 0, 0)


def test_a_dead_lease_that_is_being_renewed_is_not_released(
    overtaken: Overtaken, lease: Lease, database: Database, query: Query
) -> None:
    """It was dead when the job looked, and lives again."""
    pass_time(query, 7_300)
    assert len(buckets.mark_dead(database)) == 1
    pass_time(query, 1_000)
    renewal = {"client": 1, "buckets": named(lease), "lease_seconds": 7200}
    assert overtaken(buckets.release_dead, "renew_lease", **renewal) == []
    assert [held.lease for held in resume(database, 1)] == [lease.lease]


def test_users_of_a_bucket_that_is_being_leased_are_not_moved(
    overtaken: Overtaken, lease: Lease, database: Database, query: Query
) -> None:
    """Their bucket waited when prioritize looked; they go with it, and are marked."""
    submit(database, 1, [answers(lease, only=1)])
    names = [user.screen_name for user in lease.users[1:]]
    done = overtaken(lambda mine: users.prioritize(mine, names, 10, False), "fetch_buckets", **for_client(2))
    assert (done.prioritized, done.under_lease) == (0, 2)
    assert {user.screen_name for user in resume(database, 2)[0].users} == set(names)
    assert broken(query) == []


def test_a_late_answer_is_refused_when_the_bucket_is_being_leased_anew(
    overtaken: Overtaken, lease: Lease, database: Database, query: Query
) -> None:
    """The older lease was the newest when submit began; the newer one is not touched."""
    release(database, 1, lease.bucket, lease.lease)
    [report] = overtaken(lambda mine: submit(mine, 1, [answers(lease)]), "fetch_buckets", **for_client(2))
    assert report.reason == "lease_lost"
    assert len(resume(database, 2)[0].users) == 3
    assert broken(query) == []


def test_a_fetch_that_loses_the_best_bucket_picks_the_next(
    overtaken: Overtaken, database: Database, query: Query
) -> None:
    """It chose the prioritized one, which another client took first: it gets the one that is left."""
    names = prepare(database, [1, 2], 6, size=3)
    users.prioritize(database, names[:3], 10, False)
    [lease] = overtaken(lambda mine: fetch(mine, 1, 1, "k"), "fetch_buckets", **for_client(2))
    assert lease.priority == 100
    assert (counters(query, 1), counters(query, 2)) == ((1, 0, 0, 0), (1, 0, 0, 0))
    assert broken(query) == []


def for_client(id: int) -> dict[str, Any]:
    """The parameters of a fetch of one bucket."""
    return {"client": id, "request": "overtaking", "count": 1, "release": "0.3.0"}


def test_deleting_a_user_who_is_just_being_put_into_a_bucket_leaves_no_empty_bucket_in_line(
    database: Database, query: Query, neo4j_environment: dict[str, str]
) -> None:
    """`users delete` looks for the buckets of its users before make_buckets has committed, waits for it, and then
    has to see the new bucket, too: nobody may be given a bucket without users."""
    clients.register(database, 1, "client1")
    users.add(database, [User("alone", None)])
    with (
        transactions(neo4j_environment) as [making],
        Database(database.settings, "deleting") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        both = {"limits": vars(DEFAULTS) | {"buckets_per_client": 20}, "schema": cypher.SCHEMA}
        making.run(cypher.text("place_users"), buckets=[["alone"]], seconds=[], **both).consume()
        deleting = pool.submit(users.delete, other, ["alone"])
        wait_until_blocked(query, "deleting")
        making.commit()
        assert deleting.result() == (1, [])
    assert broken(query) == []
