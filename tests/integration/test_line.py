"""Which buckets are in line, at what place, and since when they wait."""

from __future__ import annotations

from dataclasses import replace

from support.graphs import (
    answers,
    pass_time,
    prepare,
)
from support.invariants import Query, broken
from support.programs import BUCKETS_PER_CLIENT

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.transactions import buckets, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.buckets import Made
from dmcheck_cli.transactions.leases import fetch, release
from dmcheck_cli.transactions.stats import stats
from jobs import raise_starved


def test_buckets_do_not_come_in_the_order_in_which_they_were_made(database: Database, query: Query) -> None:
    """Neither that order nor its reverse; by chance, one in 1,800,000 runs would say otherwise."""
    prepare(database, [1, 2], 40, size=1)
    rows = query("MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid ORDER BY toInteger(split(elementId(b), ':')[2])")
    made = {row["uuid"]: number for number, row in enumerate(rows)}
    taken = [made[fetch(database, 1, 1, f"{i}")[0].bucket] for i in range(10)]
    assert taken not in (sorted(taken), sorted(taken, reverse=True))


def test_fetches_draw_from_the_whole_line_not_from_its_front(database: Database, query: Query) -> None:
    """Twenty of 200 buckets: not all of them were among the first 84, which is where the front of the line would end.
    By chance, one run in 40 million would say otherwise."""
    prepare(database, list(range(1, 11)), 200, size=1)
    rows = query("MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid ORDER BY b.place")
    places = {row["uuid"]: number for number, row in enumerate(rows)}
    taken = [places[fetch(database, id, 1, f"{i}")[0].bucket] for id in range(1, 11) for i in range(2)]
    assert (len(places), max(taken) >= DEFAULTS.window + 20) == (200, True)


def test_a_bucket_given_back_gets_a_place_in_line_by_chance(database: Database, query: Query) -> None:
    """Not the place that it had, nor one for all that were given back: no client can tell who will get it."""
    prepare(database, [1], 10, size=1)
    place = "MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid, b.place AS place"
    before = {row["uuid"]: row["place"] for row in query(place)}
    submit(database, 1, [answers(lease, only=0) for lease in fetch(database, 1, 10, "k")])
    after = {row["uuid"]: row["place"] for row in query(place)}
    assert after.keys() == before.keys()
    assert len({*before.values(), *after.values()}) == 20


def test_users_who_are_offered_beyond_the_room_stay_waiting(database: Database, query: Query) -> None:
    """Makers that looked at the same moment together make no more buckets than the clients can use: the one that places
    last finds how many there are by then, and leaves the rest in no bucket."""
    prepare(database, [1])
    offered = [[f"{half}{i:02}" for i in range(15)] for half in ("one", "two")]
    users.add(database, [User(name, None) for names in offered for name in names])
    with Database(replace(database.settings, bucket_size=1), "tests") as sized:
        assert [buckets.place(sized, [[name] for name in names]) for names in [*offered, offered[1]]] == [
            Made(15, 15),
            Made(BUCKETS_PER_CLIENT - 15, BUCKETS_PER_CLIENT - 15),
            Made(0, 0),
        ]
    assert len(list(users.pending(database))) == 30 - BUCKETS_PER_CLIENT
    assert broken(query) == []


def test_who_is_prioritized_again_goes_on_waiting(database: Database, query: Query) -> None:
    """At 99, half an hour later at 98: overdue an hour after the first. Of two waits that come together, the longer
    one counts."""
    names = prepare(database, [1], 6, size=3)
    users.prioritize(database, names[:2], 99, False)
    pass_time(query, 1_000)
    users.prioritize(database, names[2:4], 99, False)
    pass_time(query, 800)
    users.prioritize(database, names[:4], 98, False)
    assert 1_800 <= (stats(database)[1].prioritized.oldest_seconds or 0) <= 1_860
    pass_time(query, 1_700)
    assert raise_starved.run(database) == 0
    pass_time(query, 100)
    assert raise_starved.run(database) == 1
    [lease] = fetch(database, 1, 1, "k")
    assert sorted(user.screen_name for user in lease.users) == names[:4]
    assert broken(query) == []


def test_an_ordinary_wait_does_not_count_for_a_prioritized_one(database: Database, query: Query) -> None:
    """Nearly a day in an ordinary bucket, then prioritized: overdue an hour later, not at once."""
    names = prepare(database, [1], 3)
    pass_time(query, 80_000)
    users.prioritize(database, names, 10, False)
    pass_time(query, 3_500)
    assert raise_starved.run(database) == 0
    pass_time(query, 100)
    assert raise_starved.run(database) == 1


def test_who_is_prioritized_under_lease_in_a_raised_bucket_stays_in_it(database: Database, query: Query) -> None:
    """It comes before any priority that can be asked for: given back, its users wait there, together, as before."""
    names = prepare(database, [1], 3)
    pass_time(query, 86_500)
    assert raise_starved.run(database) == 1
    [lease] = fetch(database, 1, 1, "k")
    done = users.prioritize(database, names[:1], 0, False)
    assert (done.prioritized, done.under_lease) == (0, 1)
    assert release(database, 1, lease.bucket, lease.lease) == 3
    [again] = fetch(database, 1, 2, "k2")
    assert (again.bucket, again.priority, len(again.users)) == (lease.bucket, lease.priority, 3)
    assert again.priority < 0
    assert broken(query) == []
