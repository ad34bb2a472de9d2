"""Races of what operators do to clients: suspend and distrust against clients, jobs and each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from support.graphs import answers, prepare, together
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.transactions import buckets, clients, refusals, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch
from jobs import reclaim_leases

SIZE = 5
ROUNDS = 6
IDS = list(range(1, ROUNDS + 1))


def suspend(database: Database, number: int) -> int:
    """Suspend the round's client; returns how many buckets were put back."""
    return clients.suspend(database, IDS[number], "bad")[1]


def answer(held: list[Lease], ids: list[int], candm: str, database: Database, number: int) -> str:
    """Answer the round's lease whole, as the round's client; returns the status."""
    return submit(database, ids[number], [answers(held[number], candm)])[0].status


def fetch_two(database: Database, number: int) -> int:
    """Fetch two buckets as the round's client; returns how many it got."""
    return len(fetch(database, IDS[number], 2, "k2"))


def reclaim(database: Database, number: int) -> Any:
    """Run reclaim_leases as if the time of all leases were over."""
    with Database(replace(database.settings, lease_seconds=0, grace_seconds=0), "tests") as at_once:
        return reclaim_leases.run(at_once)


def distrust(id: int, database: Database, number: int) -> tuple[int, int, int]:
    """Distrust a client; returns withdrawn, kept, waiting."""
    *_, done = clients.distrust(database, id)
    return done.withdrawn, done.kept, done.waiting


def recheck(names: list[list[str]], database: Database, number: int) -> int:
    """Have the round's users checked again."""
    return users.prioritize(database, names[number], 10, True).prioritized


def place(names: list[str], database: Database, number: int) -> int:
    """Put users into buckets, as make_buckets does."""
    return buckets.place(database, names).users


def refused(database: Database, number: int) -> None:
    """Count three refusals."""
    refusals.count(database, 1, "over_quota", 3)


def open_leases(query: Query) -> list[dict[str, Any]]:
    """What suspended clients hold."""
    return query("MATCH (c:DMCheckClient) WHERE c.suspended IS NOT NULL MATCH (c)<-[:DMCHECKCLIENT]-(b) RETURN b.uuid")


def unsound(query: Query) -> list[dict[str, Any]]:
    """Users with second opinions and none in force, or with two opinions of one client; needs without asked."""
    return query(
        """MATCH (u:User) WHERE EXISTS { (u)<-[:DM_SECOND]-() } AND NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
            OR (u.dmcheck_needs IS NULL) <> (u.dmcheck_asked IS NULL)
            OR EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND u.dmcheck_needs IS NOT NULL
            OR EXISTS {
                MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-(c) WITH c, count(r) AS n WHERE n > 1 RETURN n }
            OR EXISTS { (u)-[:INDMCHECKBUCKET {second: 'dm'}]->() }
                AND NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
        RETURN u.screen_name AS name"""
    )


@pytest.mark.parametrize("rival", ["submit", "fetch", "reclaim", "suspend"])
def test_suspend_against(database: Database, query: Query, rival: str) -> None:
    """The rival was in time, or finds it suspended; the lease ends once; a suspended client holds nothing."""
    prepare(database, IDS, 3 * ROUNDS * SIZE, size=SIZE)
    held = [fetch(database, id, 1, "k")[0] for id in IDS]
    task = {"submit": partial(answer, held, IDS, "DM"), "fetch": fetch_two, "reclaim": reclaim, "suspend": suspend}[
        rival
    ]
    rounds = together(database.settings, [suspend, task], ROUNDS)
    for lease, (returned, other) in zip(held, rounds, strict=True):
        [row] = query("MATCH (l:DMCheckLease {id: $l}) RETURN l.how AS how", l=lease.lease)
        match rival:
            case "submit":
                assert (row["how"], returned) == (("answered", 0) if other == "done" else ("returned", 1))
                assert other in ("done", "suspended")
            case "fetch":
                assert (row["how"], returned) == ("returned", 1 if other == "suspended" else 3)
            case "suspend":
                assert (row["how"], sorted((returned, other))) == ("returned", [0, 1])
            case _:
                assert row["how"] in ("returned", "died")
    events = query("MATCH (e:DMCheckEvent {event: 'suspended'}) RETURN e.client AS c ORDER BY c")
    assert [one["c"] for one in events] == IDS
    assert open_leases(query) == []
    assert broken(query) == []


def _marked(query: Query, first: int) -> None:
    """As if `first` had said DM of all who are in buckets, and they waited for a witness."""
    query(
        """MATCH (u:User)-[m:INDMCHECKBUCKET]->(b), (c:DMCheckClient {id: $first})
        SET m.second = 'dm', b.heard = [$first] CREATE (c)-[:DM_YES {at: datetime()}]->(u)""",
        first=first,
    )


@pytest.mark.parametrize("candm", ["DM", "NON_DM"])
def test_distrust_against_a_witness(database: Database, query: Query, candm: str) -> None:
    """A witness that comes first confirms, or takes its place; one that comes after is asked first. None is lost."""
    prepare(database, [50, 60], ROUNDS * SIZE, size=SIZE)
    _marked(query, 50)
    held = [fetch(database, 60, 1, f"{number}")[0] for number in range(ROUNDS)]
    rounds = together(database.settings, [partial(distrust, 50), partial(answer, held, [60] * ROUNDS, candm)], ROUNDS)
    assert [done for _, done in rounds] == ["done"] * ROUNDS
    for lease in held:
        rows = query(
            """MATCH (u:User) WHERE u.screen_name IN $names MATCH (u)<-[r]-(c)
            WITH u, r, c ORDER BY type(r), c.id WITH u, collect([type(r), c.id, r.how]) AS said
            RETURN said, count(u) AS n""",
            names=[user.screen_name for user in lease.users],
        )
        kind = "DM_YES" if candm == "DM" else "DM_NO"
        late = sorted([[kind, 60, None], ["DM_PAST", 50, "withdrawn"]])
        kept = [["DM_SECOND", 60, None], ["DM_YES", 50, None]]
        assert all(row["said"] in ([late, kept] if candm == "DM" else [late]) for row in rows), rows
        assert sum(row["n"] for row in rows) == SIZE
    [past] = query("MATCH ()-[r:DM_PAST]->() RETURN count(r) AS n")
    assert sum(withdrawn for (withdrawn, _, _), _ in rounds) == past["n"]
    assert unsound(query) == []
    assert broken(query) == []


@pytest.mark.parametrize("rival", ["own submit", "recheck", "distrust", "reclaim", "fetch"])
def test_distrust_against(database: Database, query: Query, rival: str) -> None:
    """Every answer becomes history once, whoever does it; what is said later stays; each user is somewhere."""
    names = prepare(database, [50, 60], ROUNDS * SIZE, size=SIZE)
    held = [fetch(database, 50, 1, f"{number}")[0] for number in range(ROUNDS)]
    tasks: dict[str, Any] = {
        "own submit": partial(answer, held, [50] * ROUNDS, "DM"),
        "recheck": partial(recheck, [[user.screen_name for user in lease.users] for lease in held]),
        "distrust": partial(distrust, 50),
        "reclaim": reclaim,
        "fetch": fetch_as_60,
    }
    if rival in ("reclaim", "fetch"):
        clients.unregister(database, 50, "client50")
        _marked(query, 50)
        if rival == "reclaim":
            held = [fetch(database, 60, 1, f"{number}")[0] for number in range(ROUNDS)]
    elif rival != "own submit":
        for lease in held:
            submit(database, 50, [answers(lease)])
    rounds = together(database.settings, [partial(distrust, 50), tasks[rival]], ROUNDS)
    rows = query(
        """MATCH (u:User) RETURN u.screen_name AS name, COUNT { (u)<-[:DM_PAST]-() } AS past,
        COUNT { (u)<-[:DM_YES]-() } AS force, COUNT { (u)-[:INDMCHECKBUCKET]->() } AS placed"""
    )
    assert len(rows) == len(names)
    found = Counter((row["past"], row["force"]) for row in rows)
    if rival == "own submit":
        assert set(found) <= {(0, 1), (1, 0)}
    else:
        assert found == {(1, 0): len(names)}
    withdrawn = sum(done[0] for done, _ in rounds)
    if rival == "distrust":
        withdrawn += sum(done[0] for _, done in rounds)
    if rival != "recheck":
        assert withdrawn == found[1, 0]
        assert unsound(query) == []
    assert broken(query) == []


def fetch_as_60(database: Database, number: int) -> str:
    """Fetch one bucket, and give it back."""
    try:
        [lease] = fetch(database, 60, 1, f"{number}")
        return submit(database, 60, [answers(lease, only=0)])[0].status
    except DmcheckError as problem:
        return problem.code


def test_refusals_are_counted_each(database: Database, query: Query) -> None:
    """However many are counted at once."""
    prepare(database, [1])
    together(database.settings, [refused] * 6, ROUNDS)
    [row] = query("MATCH (e:DMCheckEvent {event: 'refused'}) RETURN sum(e.count) AS n, count(e) AS nodes")
    assert row["n"] == 6 * ROUNDS * 3
    assert row["nodes"] <= 2
