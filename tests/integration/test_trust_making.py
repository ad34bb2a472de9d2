"""make_buckets and second opinions: who is counted as waiting, and who is asked without need."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.graphs import answers, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import Unjudged
from dmcheck_cli.transactions import clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.buckets import Made
from dmcheck_cli.transactions.leases import fetch
from jobs import judge_clients, make_buckets

Sized = Callable[..., Database]


def add(database: Database, count: int, prefix: str) -> None:
    """Users without an answer."""
    users.add(database, [User(f"{prefix}{i:03}", None) for i in range(count)])


def say(database: Database, client: int, count: int, answer: str = "DM") -> None:
    """The client takes so many buckets and gives all the same answer."""
    submit(database, client, [answers(lease, answer) for lease in fetch(database, client, count, f"{client}")])


def needing(query: Query) -> list[tuple[str, int]]:
    """Needs and who was asked first, of those who are in no bucket."""
    rows = query("MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL RETURN u.dmcheck_needs AS n, u.dmcheck_asked AS a")
    return [(row["n"], row["a"]) for row in rows]


def test_nobody_waits_whom_nobody_may_check(database: Database, query: Query, sized: Sized) -> None:
    """Their places go to others; a run that makes none says why; who is in a bucket for a second opinion does not hide
    that others wait."""
    small = sized(bucket_size=8)
    prepare(database, [1], 8, size=8)
    say(database, 1, 1)
    made = make_buckets.run(small)
    assert (made, made.waiting, made.reason) == (Made(0, 0), 0, "nobody_waits")
    add(database, 20, "new")
    assert make_buckets.run(sized(bucket_size=8, max_users_per_run=16)) == Made(2, 16)
    clients.register(database, 2, "client2")
    assert make_buckets.run(small).users == 12
    assert needing(query) == []
    made = make_buckets.run(small)
    assert (made, made.waiting, made.reason) == (Made(0, 0), 0, "nobody_waits")
    add(database, 1, "more")
    made = make_buckets.run(sized(max_users_per_run=0))
    assert (made, made.waiting) == (Made(0, 0), 1)
    assert broken(query) == []


@pytest.mark.parametrize(
    "leave",
    [
        "MATCH (c:DMCheckClient {id: 2}) SET c.state = 'DEACTIVE'",
        "MATCH (c:DMCheckClient {id: 2}) SET c.suspended = datetime()",
        "MATCH (:DMCheckClient {id: 2})-[:STATS]->(s) SET s.contained = 5.0, s.doubted = [5.0], s.allowance = 1",
        "MATCH (c:DMCheckClient) SET c.dm_from_id = 5 WITH * MATCH (b:DMCheckBucket) WHERE b.heard = [1] "
        "SET b.sources = [5]",
    ],
)
def test_a_bucket_that_nobody_may_take_is_taken_apart(
    database: Database, query: Query, sized: Sized, leave: str
) -> None:
    """Its second opinions are needed as before; the others in it wait for everybody; an empty one goes."""
    prepare(database, [1, 2], 8, size=8)
    say(database, 1, 1)
    add(database, 15, "new")
    small = sized(bucket_size=8)
    assert make_buckets.run(small).users == 23
    assert (needing(query), make_buckets.run(small)) == ([], Made(0, 0))
    query(leave)
    assert make_buckets.run(small) == Made(0, 0)
    assert needing(query) == [("dm", 1)] * 8
    rows = query("MATCH (u)-[m:INDMCHECKBUCKET]->(b) RETURN count(u) AS n, count(m.second) AS m, count(b.heard) AS h")
    assert rows == [{"n": 15, "m": 0, "h": 0}]
    assert sum(len(lease.users) for lease in fetch(database, 1, 10, "k")) == 15
    assert broken(query) == []


def test_a_newcomer_is_bounded_until_it_is_judged(database: Database, sized: Sized) -> None:
    """What it holds and what it answered since count; then it goes on after the job. 0 is no bound."""
    prepare(database, [1], 30, size=1)
    small = sized(max_unjudged=4)
    first = fetch(small, 1, 3, "a")
    submit(small, 1, [answers(lease, "NON_DM") for lease in first[:2]])
    assert len(fetch(small, 1, 10, "b")) == 1
    with pytest.raises(Unjudged) as refused:
        fetch(small, 1, 1, "c")
    assert 300 <= (refused.value.retry_after or 0) <= 450
    assert len(fetch(small, 1, 1, "b")) == 1
    assert len(fetch(sized(max_unjudged=0), 1, 2, "d")) == 2
    judge_clients.run(database)
    with pytest.raises(Unjudged):  # four are held
        fetch(small, 1, 1, "e")
    submit(small, 1, [answers(first[2], "NON_DM")])
    with pytest.raises(Unjudged):
        fetch(small, 1, 1, "f")
    judge_clients.run(database)
    assert len(fetch(small, 1, 10, "g")) == 1
