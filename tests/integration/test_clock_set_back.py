"""What a clock that was ahead leaves: stored times in the future. They count as now, and bound every wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import pass_time, prepare
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.errors import TooFast
from dmcheck_cli.transactions import buckets, clients, health, leases, schema, stats
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases

AHEAD = """MATCH (n) UNWIND keys(n) AS key WITH n, key WHERE n[key] IS :: ZONED DATETIME
    SET n[key] = n[key] + duration('P2D')"""
OTHER_TYPES = ["'yesterday'", "localdatetime()", "date()", "7", "[datetime()]", "datetime({year: 999999999})"]


def set_back(query: Callable[..., Any]) -> None:
    """As if everything so far had been written while the database's clock was two days ahead."""
    query(AHEAD)


def test_a_lease_ends_after_its_own_length(database: Database, query: Callable, sized: Callable) -> None:
    """From when the job has seen it a lease lasts as long as it was given for, is then dead, and is released."""
    prepare(database, [1], 4, size=4)
    leases.fetch(sized(lease_seconds=600), 1, 1, "k")
    set_back(query)
    assert reclaim_leases.run(database) == (0, 0)
    [lease] = leases.resume(database, 1)
    [row] = query(
        "MATCH (b:DMCheckBucket) RETURN duration.inSeconds(datetime(), b.expires).seconds AS left, b.uuid AS bucket"
    )
    assert 500 < row["left"] <= 600
    assert lease.bucket == row["bucket"]
    pass_time(query, 601)
    assert reclaim_leases.run(database) == (1, 0)
    pass_time(query, 901)
    assert reclaim_leases.run(database) == (0, 1)
    assert broken(query) == []


@pytest.mark.parametrize("property", ["assigned_datetime", "renewed_datetime", "dead_datetime", "expires"])
@pytest.mark.parametrize("value", ["datetime() + duration('P2D')", *OTHER_TYPES])
def test_no_lease_lasts_for_ever(database: Database, query: Callable, property: str, value: str) -> None:
    """Whichever of its times is in the future or no time, a lease has ended after its length and the grace."""
    prepare(database, [1], 4, size=4)
    leases.fetch(database, 1, 1, "k")
    query(f"MATCH (b:DMCheckBucket) SET b.{property} = {value}")
    leases.resume(database, 1)
    rounds = []
    for _ in range(3):
        rounds.append(reclaim_leases.run(database))
        pass_time(query, 7201)
    assert sum(released for _, released in rounds) == 1
    assert broken(query) == []


@pytest.mark.parametrize("value", ["datetime() + duration('P2D')", "null", *OTHER_TYPES])
def test_a_bucket_is_overdue_after_its_own_bound(database: Database, query: Callable, value: str) -> None:
    """A waiting bucket whose time is wrong waits for its bound from when the job has seen it, and is then raised."""
    prepare(database, [1], 4, size=4)
    query(f"MATCH (b:DMCheckBucket) SET b.edit_datetime = {value}")
    buckets.starved(database)  # a dry run works on it
    assert raise_starved.run(database) in (0, 1)  # a date of long ago would be overdue at once
    pass_time(query, 86_401)
    raise_starved.run(database)
    [row] = query("MATCH (b:DMCheckBucket) RETURN b.priority AS priority")
    assert row["priority"] < 0


@pytest.mark.parametrize("value", ["datetime() + duration('P2D')", *OTHER_TYPES])
def test_no_pause_is_longer_than_the_longest(database: Database, query: Callable, value: str) -> None:
    """A moment of the next fetch that lies further ahead than one pause, or is none, holds nobody up; `schema apply`
    puts it right."""
    prepare(database, [1], 4, size=2)
    query(f"MATCH (s:DMCheckClientStats) SET s.next_fetch = {value}")
    assert len(leases.fetch(database, 1, 1, "first")) == 1
    schema.apply(database)
    assert query("MATCH (s:DMCheckClientStats) RETURN s.next_fetch <= datetime() AS counts") == [{"counts": True}]


def test_who_must_pause_is_let_in_after_it(database: Database, query: Callable) -> None:
    """It is told so for at most `pause_seconds`."""
    prepare(database, [1], 4, size=2)
    pause = database.settings.limits.pause_seconds
    query("MATCH (s:DMCheckClientStats) SET s.next_fetch = datetime() + duration({seconds: $p})", p=pause)
    with pytest.raises(TooFast) as refused:
        leases.fetch(database, 1, 1, "first")
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= pause
    pass_time(query, pause)
    assert len(leases.fetch(database, 1, 1, "second")) == 1


def test_registrations_of_the_future_lock_nobody_out(database: Database, query: Callable) -> None:
    """However many clients were registered while the clock was ahead, a new one is registered now."""
    query(
        """UNWIND range(1, $many) AS id CREATE (:DMCheckClient {
            id: 1000 + id, screen_name: 'c' + id, state: 'DEACTIVE', create_datetime: datetime() + duration('P2D')})""",
        many=DEFAULTS.max_new_clients_per_hour,
    )
    assert clients.register(database, 1, "one").state == "ACTIVE"


def test_ages_are_never_negative(database: Database, query: Callable) -> None:
    """`stats` and `doctor` show 0 for what lies in the future."""
    prepare(database, [1], 4, size=2)
    leases.fetch(database, 1, 1, "k")
    make_buckets.run(database)
    set_back(query)
    [client], system = stats.stats(database)
    assert (client.last_access_seconds, client.oldest_lease_seconds, system.oldest_wait_seconds) == (0, 0, 0)
    assert {job.seconds_ago for job in health.health(database).jobs} == {0, None}


def test_doctor_names_what_lies_in_the_future_and_its_remedy_helps(database: Database, query: Callable) -> None:
    """Without --deep: jobs, buckets and clients with such times; after `schema apply` there is none."""
    prepare(database, [1], 4, size=2)
    leases.fetch(database, 1, 1, "k")
    for job in (make_buckets, reclaim_leases, raise_starved, judge_clients):
        job.run(database)
    assert health.health(database).problems == []
    set_back(query)
    found = health.health(database).problems
    assert len([one for one in found if "a clock was ahead" in one.what]) == 4
    assert len([one for one in found if "with a time that lies in the future" in one.what]) == 2
    assert {one.remedy for one in found} == {"dmcheck schema apply"}
    schema.apply(database)
    assert health.health(database).problems == []
    [row] = query(
        """MATCH (n) UNWIND keys(n) AS key WITH n, key WHERE n[key] > datetime() AND key <> 'expires'
        RETURN count(*) AS left"""
    )
    assert row["left"] == 0
    assert broken(query) == []


def test_what_a_statement_wrote_while_another_waited_is_not_of_the_future(database: Database, query: Callable) -> None:
    """A time that lies ahead by no more than a wait for locks explains is left as it is."""
    prepare(database, [1], 4, size=2)
    query("MATCH (b:DMCheckBucket) SET b.edit_datetime = datetime() + duration('PT50S')")
    assert buckets.correct_times(database) == 0
    assert all("has never run" in problem.what for problem in health.health(database).problems)
