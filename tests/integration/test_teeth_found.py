"""What only a planted bug (`scripts/teeth.py`) showed to be untested."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import pytest
from cases import OURS, named
from proofs import network, proxy
from support.graphs import (
    MAX_WAIT_SECONDS,
    answers,
    counters,
    pass_time,
    prepare,
    refusal,
    start,
    transactions,
    wait_until,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease, Report, User
from dmcheck_cli.transactions import buckets, clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.buckets import Made
from dmcheck_cli.transactions.leases import fetch, release, resume
from dmcheck_cli.transactions.stats import stats
from jobs import judge_clients, raise_starved

Overtaken = Callable[..., Any]


def test_deleting_all_users_of_a_held_bucket_leaves_the_lease_to_its_client(database: Database, query: Query) -> None:
    """The client still holds it, with nobody in it, and its answers are no fault: they are for users who are gone."""
    prepare(database, [1], 6, size=3)
    [lease] = fetch(database, 1, 1, "k")
    assert users.delete(database, [user.screen_name for user in lease.users]) == (3, [])
    assert [(held.lease, held.users) for held in resume(database, 1)] == [(lease.lease, [])]
    assert submit(database, 1, [answers(lease)]) == [Report(lease.bucket, "done")]
    assert counters(query, 1)[2] == 0
    assert broken(query) == []


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
    """Makers that looked at the same moment together make no more buckets than the clients can use: whoever places
    last finds how many there are by then, and leaves the rest in no bucket."""
    prepare(database, [1])
    offered = [[f"{half}{i:02}" for i in range(15)] for half in ("one", "two")]
    users.add(database, [User(name, None) for names in offered for name in names])
    with Database(replace(database.settings, bucket_size=1), "tests") as sized:
        assert [buckets.place(sized, names) for names in [*offered, offered[1]]] == [
            Made(15, 15),
            Made(DEFAULTS.buckets_per_client - 15, DEFAULTS.buckets_per_client - 15),
            Made(0, 0),
        ]
    assert len(list(users.pending(database))) == 30 - DEFAULTS.buckets_per_client
    assert broken(query) == []


def test_a_document_of_two_buckets_is_stored_whole_or_not_at_all(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """While a submit waits for its second bucket, nothing of the first is to be seen, nor when it is killed there."""
    prepare(database, [1], 6, size=3)
    pair = fetch(database, 1, 2, "k")
    document = {"buckets": [{**asdict(lease), "users": answers_of(lease)} for lease in pair]}
    before = refusal(query)
    with transactions(environment) as [rival]:
        rival.run("MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.uuid = b.uuid", uuid=pair[1].bucket).consume()
        with start(environment, "submit", "--client", 1, stdin=json.dumps(document)) as client:
            wait_until_blocked(query, "submit")
            assert refusal(query) == before
            client.kill()
    wait_until_gone(query, "submit")
    assert query("MATCH (:DMCheckClient)-[:DM_YES]->(u) RETURN count(u) AS n")[0]["n"] in (0, 6)
    assert broken(query) == []


@pytest.mark.parametrize(("stated", "earned"), [(3, 10), (12, 12)])
def test_no_more_is_earned_than_can_be_held(database: Database, query: Query, stated: int, earned: int) -> None:
    """Nor than ten: who has answered well for long comes down as fast as anybody else when its leases die."""
    prepare(database, [1], 15, size=1)
    clients.register(database, 1, "client1", capacity=stated)
    for number in range(15):
        submit(database, 1, [answers(lease) for lease in fetch(database, 1, 1, f"{number}")])
    judge_clients.run(database)
    assert query("MATCH (s:DMCheckClientStats) RETURN s.allowance AS allowance") == [{"allowance": earned}]


def answers_of(lease: Lease) -> list[dict[str, str]]:
    """The users of a lease as a checker hands them on."""
    return [{"screen_name": user.screen_name, "candm": "DM"} for user in lease.users]


def test_a_refusal_whose_answer_was_lost_is_counted_once(database: Database, query: Query) -> None:
    """The connection is cut after the commit; our own second try is refused as well, and is no second fault."""
    prepare(database, [1, 2], 3)
    [lease] = fetch(database, 1, 1, "k")
    with (
        proxy.Proxy(network.port_of(database.settings), proxy.always(proxy.RESET_AFTER, 1)) as lying,
        Database(replace(database.settings, neo4j_uri=lying.uri), "tests") as far,
    ):
        assert submit(far, 2, [answers(lease)])[0].reason == "not_owner"
        assert lying.fired[proxy.RESET_AFTER] == 1
    assert counters(query, 2) == (0, 0, 1, 0)


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


class TestOvertaken:
    """A statement that has made its choice, and waits for a lock while another one changes what it chose, looks again
    behind the lock."""

    @pytest.fixture
    def overtaken(self, environment: dict[str, str], database: Database, query: Query) -> Overtaken:
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
    def lease(self, database: Database) -> Lease:
        """The only bucket, in the hands of client 1; there is a client 2."""
        prepare(database, [1, 2], 3)
        return fetch(database, 1, 1, "k")[0]

    def test_a_lease_that_is_being_renewed_is_not_marked_dead(
        self, overtaken: Overtaken, lease: Lease, query: Query
    ) -> None:
        """Its time was over when the job looked, and is not any more."""
        pass_time(query, 7_300)
        renewal = {"client": 1, "buckets": named(lease), "lease_seconds": 7200}
        assert overtaken(buckets.mark_dead, "renew_lease", **renewal) == 0
        assert counters(query, 1) == (1, 0, 0, 0)

    def test_a_dead_lease_that_is_being_renewed_is_not_released(
        self, overtaken: Overtaken, lease: Lease, database: Database, query: Query
    ) -> None:
        """It was dead when the job looked, and lives again."""
        pass_time(query, 7_300)
        assert buckets.mark_dead(database) == 1
        pass_time(query, 1_000)
        renewal = {"client": 1, "buckets": named(lease), "lease_seconds": 7200}
        assert overtaken(buckets.release_dead, "renew_lease", **renewal) == 0
        assert [held.lease for held in resume(database, 1)] == [lease.lease]

    def test_users_of_a_bucket_that_is_being_leased_are_not_moved(
        self, overtaken: Overtaken, lease: Lease, database: Database, query: Query
    ) -> None:
        """Their bucket waited when prioritize looked; they go with it, and are marked."""
        submit(database, 1, [answers(lease, only=1)])
        names = [user.screen_name for user in lease.users[1:]]
        done = overtaken(lambda mine: users.prioritize(mine, names, 10, False), "fetch_buckets", **for_client(2))
        assert (done.prioritized, done.under_lease) == (0, 2)
        assert {user.screen_name for user in resume(database, 2)[0].users} == set(names)
        assert broken(query) == []

    def test_a_late_answer_is_refused_when_the_bucket_is_being_leased_anew(
        self, overtaken: Overtaken, lease: Lease, database: Database, query: Query
    ) -> None:
        """The older lease was the newest when submit began; the newer one is not touched."""
        release(database, 1, lease.bucket, lease.lease)
        [report] = overtaken(lambda mine: submit(mine, 1, [answers(lease)]), "fetch_buckets", **for_client(2))
        assert report.reason == "lease_lost"
        assert len(resume(database, 2)[0].users) == 3
        assert broken(query) == []

    def test_a_fetch_that_loses_the_best_bucket_picks_the_next(
        self, overtaken: Overtaken, database: Database, query: Query
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
    return {"client": id, "request": "overtaking", "count": 1, "lease_seconds": 7200}
