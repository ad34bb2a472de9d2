"""Races: processes, each with a connection of its own, released together; what must hold holds after every meeting."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from support.cases import named
from support.graphs import answers, counters, may_hold, prepare, together
from support.invariants import Query, broken
from support.programs import BUCKETS_PER_CLIENT

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease, Report, User
from dmcheck_cli.errors import OverQuota
from dmcheck_cli.transactions import buckets, clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release, resume
from jobs import make_buckets, raise_starved, reclaim_leases

SIZE = 5
ROUNDS = 6


# What the processes do. Each is called with its connection and the number of the round.


def fetch_all(id: int, database: Database, number: int) -> list[tuple[str, str]]:
    """Fetch until the client may hold no more; returns (bucket, lease) of each lease."""
    taken: list[tuple[str, str]] = []
    while True:
        try:
            got = fetch(database, id, 10, f"{number}-{len(taken)}")
        except OverQuota:
            return taken
        taken += [(lease.bucket, lease.lease) for lease in got]


def fetch_ten(id: int, database: Database, number: int) -> int:
    """Fetch ten buckets; returns how many were leased."""
    return len(fetch(database, id, 10, f"{number}"))


def fetch_then_give_back(id: int, database: Database, number: int) -> Any:
    """In even rounds fetch one bucket, in odd rounds give back what is held."""
    if number % 2 == 0:
        return fetch(database, id, 1, f"{number}")[0].bucket
    for lease in resume(database, id):
        release(database, id, lease.bucket, lease.lease)
    return None


def fetch_one(id: int, database: Database, number: int) -> Lease:
    """Fetch one bucket."""
    return fetch(database, id, 1, f"{number}")[0]


def answer(id: int, held: list[Lease], candm: str, database: Database, number: int) -> Report:
    """Answer the round's lease whole."""
    return submit(database, id, [answers(held[number], candm)])[0]


def answer_as(ids: list[int], held: list[Lease], database: Database, number: int) -> Report:
    """Answer the round's lease whole, as the round's client."""
    return submit(database, ids[number], [answers(held[number])])[0]


def release_pair(pairs: list[list[Lease]], order: int, database: Database, number: int) -> list[tuple[str, int]]:
    """Give the round's two leases back at once, named in this order; returns the outcome of each, and its users."""
    rows = database.run("release_lease", client=1, buckets=named(*pairs[number][::order]))
    return [(row["outcome"], row["returned"]) for row in rows]


def renew_pair(pairs: list[list[Lease]], order: int, database: Database, number: int) -> set[str]:
    """Renew the round's two leases at once, named in this order; returns the outcomes."""
    buckets = named(*pairs[number][::order])
    return {row["outcome"] for row in database.run("renew_lease", client=1, buckets=buckets, lease_seconds=7200)}


def leave(ids: list[int], database: Database, number: int) -> int:
    """Unregister the round's client; returns how many buckets were put back."""
    return clients.unregister(database, ids[number], f"client{ids[number]}")[1]


def delete(held: list[Lease], database: Database, number: int) -> int:
    """Delete two users of the round's lease."""
    return users.delete(database, [user.screen_name for user in held[number].users[:2]])[0]


def prioritize(names: list[list[str]], database: Database, number: int) -> tuple[int, int]:
    """Prioritize the round's users; returns how many were moved, and how many are under lease."""
    done = users.prioritize(database, names[number], 10, False)
    return done.prioritized, done.under_lease


def place(names: list[list[str]], database: Database, number: int) -> int:
    """Put the round's users into buckets, as make_buckets does; returns how many it placed."""
    return buckets.place(database, [names[number]]).users


def register(first: int, database: Database, number: int) -> int:
    """Register the round's client."""
    return clients.register(database, first + number, f"client{first + number}").id


def reclaim_at_once(database: Database, number: int) -> tuple[int, int]:
    """Run reclaim_leases as if the time of all leases were over."""
    with Database(replace(database.settings, lease_seconds=0, grace_seconds=0), "tests") as at_once:
        return reclaim_leases.run(at_once)


def run_jobs(job: str, database: Database, number: int) -> None:
    """Run a job several times, with its settings as they are."""
    for _ in range(4):
        if job == "make_buckets":
            make_buckets.run(database)
        else:
            reclaim_leases.run(database)


def in_turn(copy: int, mine: list[str], database: Database, number: int) -> Any:
    """One kind of work a round, all copies at the same moment; returns how much this copy did."""
    match number:
        case 0:
            return users.add(database, [User(name, None) for name in mine]).added
        case 1:
            return make_buckets.run(database).buckets
        case 2:
            return raise_starved.run(database)
        case 3:
            return len(fetch(database, 1, 4, f"copy {copy}"))
        case _:
            return reclaim_at_once(database, number)


def leases_of(database: Database, id: int, count: int) -> list[Lease]:
    """Leases of one client, which may hold that many."""
    clients.register(database, id, f"client{id}", capacity=100)
    may_hold(database.run_text, id, 100)
    return [lease for i in range(count) for lease in fetch(database, id, 1, f"prepared{i}")]


def whole(held: list[Lease]) -> list[str]:
    """The names of the users of some leases."""
    return [user.screen_name for lease in held for user in lease.users]


def answered(query: Query, names: list[str]) -> Counter[tuple[str, str]]:
    """How often each of these users has each kind of answer."""
    rows = query(
        """MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u) WHERE u.screen_name IN $names
        RETURN u.screen_name AS name, type(r) AS kind""",
        names=names,
    )
    return Counter((row["name"], row["kind"]) for row in rows)


def holder(query: Query, lease: Lease) -> Any:
    """Who holds a lease's bucket, by which lease; None when nobody does."""
    rows = query("MATCH (b {uuid: $b})-[:DMCHECKCLIENT]->(c) RETURN c.id AS id, b.newest AS lease", b=lease.bucket)
    return (rows[0]["id"], rows[0]["lease"]) if rows else None


def test_16_processes_and_400_buckets(database: Database, query: Query) -> None:
    """16 processes fetch until each holds 25: 400 leases of 400 different buckets, whatever jobs run meanwhile."""
    prepare(database, range(1, 21), 400 * SIZE, size=SIZE)
    for id in range(1, 17):
        clients.register(database, id, f"client{id}", capacity=25)
        may_hold(query, id, 25)
    users.add(database, [User(f"more{i}", None) for i in range(300)])
    makers = replace(database.settings, bucket_size=SIZE, max_users_per_run=50)
    works: list[Any] = [partial(fetch_all, id) for id in range(1, 17)]
    works += [partial(run_jobs, job) for job in ("make_buckets", "reclaim_leases") for _ in range(4)]
    [outcomes] = together(makers, works)
    leases = [lease for taken in outcomes[:16] for lease in taken]
    assert [len(taken) for taken in outcomes[:16]] == [25] * 16
    assert len({bucket for bucket, _ in leases}) == len({lease for _, lease in leases}) == 400
    assert outcomes[16:] == [None] * 8
    held = query("MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c.id AS id, b.uuid AS bucket, b.newest AS lease")
    assert {(row["bucket"], row["lease"]) for row in held} == set(leases)
    assert [counters(query, id) for id in range(1, 17)] == [(25, 0, 0, 0)] * 16
    rows = query(
        """MATCH (b:DMCheckBucket)<-[:INDMCHECKBUCKET]-(u)
        RETURN b.uuid AS bucket, count(u) AS users, min(u.screen_name) STARTS WITH 'user' AS old"""
    )
    assert [row["users"] for row in rows if row["old"]] == [SIZE] * 400
    # Two runs of make_buckets may plan the same user: the second one's bucket is made without it.
    assert {row["users"] for row in rows} <= set(range(1, SIZE + 1))
    assert broken(query) == []


def test_fewer_buckets_than_processes(database: Database, query: Query) -> None:
    """Of 8 who ask for 3 buckets, 3 get one each and 5 are told that there is nothing; again and again."""
    prepare(database, range(1, 9), 3 * SIZE, size=SIZE)
    rounds = together(database.settings, [partial(fetch_then_give_back, id) for id in range(1, 9)], 2 * ROUNDS)
    for got in rounds[::2]:
        assert sorted(got).count("nothing_to_fetch") == 5
        assert len(set(got) - {"nothing_to_fetch"}) == 3
    assert sum(counters(query, id)[0] for id in range(1, 9)) == 3 * ROUNDS
    assert broken(query) == []


def test_submit_against_reclaim_and_fetch(database: Database, query: Query) -> None:
    """An answer at the edge of release is taken whole, or refused because the bucket has a newer lease; never half."""
    prepare(database, [1, 2], ROUNDS * SIZE, size=SIZE)
    held = leases_of(database, 1, ROUNDS)
    clients.register(database, 2, "client2", capacity=100)
    works = [partial(answer, 1, held, "DM"), reclaim_at_once, partial(fetch_one, 2)]
    rounds = together(database.settings, works, ROUNDS)
    taken = lost = 0
    for lease, (report, _, _) in zip(held, rounds, strict=True):
        found = answered(query, whole([lease]))
        if report.status == "done":
            taken += 1
            assert found == Counter({(name, "DM_YES"): 1 for name in whole([lease])})
            assert holder(query, lease) is None
        else:
            lost += 1
            assert (report.reason, not found) == ("lease_lost", True)
    assigned, processed, fault, dead = counters(query, 1)
    assert (assigned, processed, fault) == (ROUNDS, taken, lost)
    assert dead <= ROUNDS
    assert broken(query) == []


@pytest.mark.parametrize("kinds", [("DM", "DM", "DM"), ("DM", "NON_DM", "UNKNOWN")], ids=["same", "different"])
def test_submits_of_one_lease(database: Database, query: Query, kinds: tuple[str, ...]) -> None:
    """The same answers get the same report, counted once; of different ones exactly one document is taken."""
    prepare(database, [1], ROUNDS * SIZE, size=SIZE)
    held = leases_of(database, 1, ROUNDS)
    rounds = together(database.settings, [partial(answer, 1, held, kind) for kind in kinds], ROUNDS)
    for lease, reports in zip(held, rounds, strict=True):
        good = [report for report in reports if report.status == "done"]
        bad = [report.reason for report in reports if report.status != "done"]
        assert good == [Report(lease.bucket, "done", SIZE)] * len(good)
        assert (len(good), bad) == ((3, []) if len(set(kinds)) == 1 else (1, ["payload_changed"] * 2))
    assert sum(answered(query, whole(held)).values()) == ROUNDS * SIZE
    assert counters(query, 1) == (ROUNDS, ROUNDS, 0 if len(set(kinds)) == 1 else 2 * ROUNDS, 0)
    assert broken(query) == []


def test_unregister_against_submit(database: Database, query: Query) -> None:
    """Either the answers were in time, or the client is not registered and its bucket waits whole."""
    ids = list(range(1, ROUNDS + 1))
    prepare(database, ids, ROUNDS * SIZE, size=SIZE)
    held = [lease for id in ids for lease in fetch(database, id, 1, "k")]
    rounds = together(database.settings, [partial(answer_as, ids, held), partial(leave, ids)], ROUNDS)
    for lease, (report, returned) in zip(held, rounds, strict=True):
        in_time = report != "not_registered"
        assert (returned, sum(answered(query, whole([lease])).values())) == ((0, SIZE) if in_time else (1, 0))
        assert holder(query, lease) is None
    assert query("MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' RETURN count(c) AS n") == [{"n": 0}]
    assert broken(query) == []


def test_prioritize_against_fetch(database: Database, query: Query) -> None:
    """Each user is either moved at once, or under lease and marked to move; no user is lost or doubled."""
    names = prepare(database, [1], ROUNDS * SIZE, size=SIZE)
    chosen = [names[i::ROUNDS] for i in range(ROUNDS)]
    works = [partial(prioritize, chosen), partial(fetch_one, 1)]
    rounds = together(database.settings, works, ROUNDS)
    for moved, _ in rounds:
        assert sum(moved) == SIZE
    rows = query(
        """MATCH (u:User)-[m:INDMCHECKBUCKET]->(b) RETURN u.screen_name AS name, b.priority AS priority,
        EXISTS { (b)-[:DMCHECKCLIENT]->() } AS leased, m.priority AS wanted"""
    )
    assert sorted(row["name"] for row in rows) == names
    assert all(row["priority"] == 10 or (row["leased"] and row["wanted"] == 10) for row in rows)
    assert broken(query) == []


def test_prioritize_against_make(database: Database, query: Query) -> None:
    """Users in no bucket yet, wanted by both at once, end up in one bucket, of the priority that was asked for."""
    prepare(database, [1])
    chosen = [[f"bare{i}{j}" for j in range(SIZE)] for i in range(ROUNDS)]
    users.add(database, [User(name, None) for names in chosen for name in names])
    settings = replace(database.settings, bucket_size=2)
    works = [partial(prioritize, chosen), partial(place, chosen), partial(place, chosen)]
    rounds = together(settings, works, ROUNDS)
    for moved, one, other in rounds:
        assert moved == (SIZE, 0)
        assert one + other in (0, SIZE)
    rows = query("MATCH (u:User)-[:INDMCHECKBUCKET]->(b) RETURN u.screen_name AS name, b.priority AS priority")
    assert sorted(row["name"] for row in rows) == sorted(name for names in chosen for name in names)
    assert {row["priority"] for row in rows} == {10}
    assert broken(query) == []


def test_delete_against_submit(database: Database, query: Query) -> None:
    """A user who goes takes the answer along, before or after it came; the others' answers are stored."""
    prepare(database, [1], ROUNDS * SIZE, size=SIZE)
    held = leases_of(database, 1, ROUNDS)
    rounds = together(database.settings, [partial(answer, 1, held, "DM"), partial(delete, held)], ROUNDS)
    for lease, (report, deleted) in zip(held, rounds, strict=True):
        assert (report.status, report.refused, deleted) == ("done", [], 2)
        assert SIZE - 2 <= report.accepted <= SIZE
        left = whole([lease])[2:]
        assert answered(query, whole([lease])) == Counter({(name, "DM_YES"): 1 for name in left})
    assert query("MATCH (n:User) RETURN count(n) AS n") == [{"n": ROUNDS * (SIZE - 2)}]
    assert query("MATCH (n:DMCheckBucket) RETURN count(n) AS n") == [{"n": 0}]
    assert counters(query, 1) == (ROUNDS, ROUNDS, 0, 0)
    assert broken(query) == []


def test_registering_one_id_8_times(database: Database, query: Query) -> None:
    """Eight processes register the same new client: all succeed, and it is there once, with one node of counters."""
    rounds = together(database.settings, [partial(register, 100)] * 8, ROUNDS)
    assert rounds == [[100 + number] * 8 for number in range(ROUNDS)]
    rows = query("MATCH (c:DMCheckClient) RETURN c.id AS id, COUNT { (c)-[:STATS]->() } AS stats ORDER BY id")
    assert rows == [{"id": 100 + number, "stats": 1} for number in range(ROUNDS)]
    assert broken(query) == []


def test_everything_four_times(database: Database, query: Query) -> None:
    """Four copies at once of users add, make_buckets, raise_starved, fetch and reclaim_leases do it once in all."""
    clients.register(database, 1, "client1", capacity=10)
    everyone = [f"user{i:03}" for i in range(200)]
    # Overlapping lists in different orders: each user is in two or three of them.
    lists = [everyone[:120], everyone[80:][::-1], everyone[40:160][::-1], everyone[::2] + everyone[1::4]]
    settings = replace(database.settings, bucket_size=SIZE, starved_seconds=0)
    works = [partial(in_turn, copy, mine) for copy, mine in enumerate(lists)]
    added, made, raised, fetched, *reclaimed = together(settings, works, 6)
    assert sum(added) == len(everyone)
    assert sum(made) == BUCKETS_PER_CLIENT
    assert sum(raised) == BUCKETS_PER_CLIENT
    leases = sum(got for got in fetched if isinstance(got, int))
    assert leases == 10  # the capacity; who came too late was told so
    assert {got for got in fetched if isinstance(got, str)} <= {"over_quota"}
    # A copy that is late in the first round may release what another one marked in it.
    assert [sum(counts) for counts in zip(*reclaimed[0], *reclaimed[1], strict=True)] == [leases, leases]
    assert counters(query, 1) == (leases, 0, 0, leases)
    assert query(
        "MATCH (b:DMCheckBucket) RETURN count(b) AS n, max(b.priority) < $p AS all", p=DEFAULTS.default_priority
    ) == [{"n": BUCKETS_PER_CLIENT, "all": True}]
    assert broken(query) == []


def test_two_clients_that_ask_for_half_of_all_get_it_in_two_fetches(database: Database, query: Query) -> None:
    """Twenty buckets, two clients that fetch ten at the same moment: one gets ten, the other what it did not lose, at
    least one; its next fetch gets the rest."""
    for _ in range(3):
        query("MATCH (n) WHERE NOT n:DMCheckSchema DETACH DELETE n")
        prepare(database, [1, 2], 20, size=1)
        [given] = together(database.settings, [partial(fetch_ten, id) for id in (1, 2)])
        assert max(given) == 10
        assert min(given) > 0
        for id, got in enumerate(given, 1):
            assert got == 10 or len(fetch(database, id, 10, "rest")) == 10 - got
        assert broken(query) == []


def test_two_leases_renewed_and_given_back_at_once(database: Database, query: Query) -> None:
    """Both are given back, each once, in whatever order they were named; the one that came first with both has renewed
    them."""
    prepare(database, [1], 2 * SIZE * ROUNDS, size=SIZE)
    held = leases_of(database, 1, 2 * ROUNDS)
    pairs = [held[2 * number : 2 * number + 2] for number in range(ROUNDS)]
    works = [partial(work, pairs, order) for work in (release_pair, renew_pair) for order in (1, -1)]
    for one, other, *renewals in together(database.settings, works, ROUNDS):
        assert one == other == [("released", SIZE)] * 2
        assert all(renewal in ({"renewed"}, {"lease_lost"}) for renewal in renewals)
    assert [holder(query, lease) for lease in held] == [None] * len(held)
    assert counters(query, 1) == (2 * ROUNDS, 0, 0, 0)
    assert broken(query) == []
