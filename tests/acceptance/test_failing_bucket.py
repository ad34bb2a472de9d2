"""A bucket on which leases keep failing: its users go on in smaller ones, until the one that fails is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from support.graphs import answers, counters, pass_time, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.transactions import clients
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release
from jobs import judge_clients, make_buckets, reclaim_leases

End = Callable[[Database, int, Lease], object]


def empty(database: Database, client: int, lease: Lease) -> object:
    """COMMAND printed nothing."""
    return submit(database, client, [answers(lease, only=0)])


def failed(database: Database, client: int, lease: Lease) -> object:
    """COMMAND failed, and `work` gives the bucket back."""
    return release(database, client, lease.bucket, lease.lease, failed=True)


def died(database: Database, client: int, lease: Lease) -> object:
    """Nothing is ever heard of it again."""
    pass_time(database.run_text, 7_300)
    reclaim_leases.run(database)
    pass_time(database.run_text, 1_000)
    return reclaim_leases.run(database)


def by_hand(database: Database, client: int, lease: Lease) -> object:
    """Given back by who had other plans."""
    return release(database, client, lease.bucket, lease.lease)


def unregistered(database: Database, client: int, lease: Lease) -> object:
    """Returned with its client."""
    clients.unregister(database, client, f"client{client}")
    return clients.register(database, client, f"client{client}")


def meet(database: Database, client: int, name: str, end: End) -> int | None:
    """The client answers whatever it is given, but for the bucket of one user: that lease ends as told. Returns the
    size of that bucket, None if it did not get it."""
    taken = fetch(database, client, 10, uuid4().hex)
    met = [lease for lease in taken if any(user.screen_name == name for user in lease.users)]
    submit(database, client, [answers(lease, "NON_DM") for lease in taken if lease not in met])
    for lease in met:
        end(database, client, lease)
    return len(met[0].users) if met else None


@pytest.mark.parametrize("end", [empty, failed, died])
def test_one_user_costs_nine_leases(database: Database, query: Query, direct: Callable, end: End) -> None:
    """180, 18, 2 and 1: then the user is set aside, and everybody else was answered. `users retry` puts it back."""
    names = prepare(database, [1, 2, 3], 180)
    bad = names[77]
    query("MATCH (s:DMCheckClientStats) SET s.share = 0.0")  # nobody needs a second opinion
    sizes = [meet(database, 1 + turn % 3, bad, end) for turn in range(9)]
    assert sizes == [180] * 3 + [18] * 2 + [2] * 2 + [1] * 2
    rows = query("MATCH (u:User) WHERE NOT EXISTS { (u)<-[:DM_NO]-() } RETURN u.screen_name AS n, u.dmcheck_aside AS a")
    assert [(row["n"], row["a"] is not None) for row in rows if row["a"]] == [(bad, True)]
    assert query("MATCH (u:User {screen_name: $bad}) WHERE (u)-[:INDMCHECKBUCKET]->() RETURN u", bad=bad) == []
    excused = query("MATCH (l:DMCheckLease) WHERE l.excused RETURN l.client AS c, count(l) AS n ORDER BY c")
    assert [(row["c"], row["n"]) for row in excused] == [(1, 2), (2, 3), (3, 3)]
    made = make_buckets.run(database)
    assert (made.buckets, made.waiting, made.reason) == (0, 0, "nobody_waits")
    assert broken(query) == []
    told = direct("users", "retry", f"@{bad.upper()}", "nobody", names[0], "--json")
    assert (told.status, told.document) == (0, {"retried": 1, "unknown": ["nobody"]})
    assert direct("users", "retry", "--json").document == {"retried": 0, "unknown": []}
    assert make_buckets.run(database).users == 1


def test_a_request_for_another_opinion_is_not_lost(database: Database, query: Query, direct: Callable) -> None:
    """Whoever fails on it five times cannot end it: the user is set aside, and `users retry` asks again."""
    prepare(database, [1, 2, 3], 4, size=4)
    [lease] = fetch(database, 1, 1, "first")
    submit(database, 1, [answers(lease, "DM")])
    with Database(replace(database.settings, bucket_size=4), "tests") as small:
        for _ in range(5):
            make_buckets.run(small)
            for again in fetch(small, 2, 10, uuid4().hex):
                empty(small, 2, again)
        make_buckets.run(small)
        judge_clients.run(small)
        assert query("MATCH (u:User) RETURN count(u.dmcheck_aside) AS aside, count(u.dmcheck_needs) AS needs") == [
            {"aside": 4, "needs": 0}
        ]
        assert direct("stats", "--json").document["system"]["users_set_aside"] == 4
        shown = direct("users", "show", "user00000", "--json").document["users"][0]
        assert (shown["state"], shown["verdict"], shown["set_aside"][-1]) == ("checked", "unconfirmed", "Z")
        # Looking at them again changes nothing.
        query("MATCH (u:User) SET u.dmcheck_needs = 'look', u.dmcheck_asked = 1")
        judge_clients.run(small)
        assert make_buckets.run(small).buckets == 0
        assert broken(query) == []
        assert direct("users", "retry", "--json").document["retried"] == 4
        make_buckets.run(small)
        [third] = fetch(small, 3, 10, uuid4().hex)
        submit(small, 3, [answers(third, "NON_DM")])
        judge_clients.run(small)
    assert direct("users", "show", "user00000", "--json").document["users"][0]["verdict"] == "open_to_some"
    assert broken(query) == []


def test_retry_of_all(database: Database, query: Query, direct: Callable) -> None:
    """In batches. Until then `users show` says of each that it is set aside, and since when; it counts as waiting."""
    prepare(database, [1])
    query("UNWIND range(1, 2000) AS i CREATE (:User {screen_name: 'u' + i, dmcheck_aside: datetime()})")
    assert make_buckets.run(database).reason == "nobody_waits"
    [aside] = direct("users", "show", "u7", "--json").document["users"]
    assert (aside["state"], aside["answer"], aside["set_aside"][-1]) == ("waiting", None, "Z")
    assert "set aside" in direct("users", "show", "u7", "--format", "csv").out
    assert "2000" in direct("users", "retry").out
    assert "set_aside" not in direct("users", "show", "u7", "--json").document["users"][0]
    assert make_buckets.run(database).users == 2000


@pytest.mark.parametrize("end", [by_hand, unregistered])
def test_ends_that_do_not_count(database: Database, query: Query, end: End) -> None:
    """Neither do they, nor do they restart a count."""
    names = prepare(database, [1, 2], 20)
    for turn in range(5):
        assert meet(database, 1 + turn % 2, names[0], end) == 20
    assert meet(database, 1, names[0], failed) == 20
    assert meet(database, 2, names[0], end) == 20
    assert meet(database, 1, names[0], failed) == 20
    assert meet(database, 2, names[0], failed) == 20
    assert query("MATCH (b:DMCheckBucket) RETURN count(b) AS n") == [{"n": 10}]
    assert broken(query) == []


def test_an_answer_begins_the_count_anew(database: Database, query: Query) -> None:
    """Also one that comes late."""
    names = prepare(database, [1, 2], 20)
    for turn in range(3):
        for _ in range(2):
            [lease] = fetch(database, 1, 1, f"{turn}{_}")
            died(database, 1, lease)
        left = {user.screen_name for user in lease.users}
        assert submit(database, 1, [answers(lease, only=1)])[0].accepted == 1
        assert len(left) == 20 - turn
    assert query("MATCH (b:DMCheckBucket) RETURN b.failures AS n, b.failed_by AS by") == [{"n": None, "by": None}]
    assert counters(query, 1) == (6, 3, 0, 6)
    assert len(names) == 20


def test_late_answers_for_a_bucket_that_was_split_are_refused(database: Database, query: Query) -> None:
    """Its users are in others."""
    prepare(database, [1], 20)
    for turn in range(3):
        [lease] = fetch(database, 1, 1, f"{turn}")
        died(database, 1, lease)
    [report] = submit(database, 1, [answers(lease)])
    assert (report.status, report.reason) == ("refused", "unknown_bucket")
    assert query("MATCH ()-[r:DM_YES]->() RETURN count(r) AS n") == [{"n": 0}]


def test_who_meets_a_failing_bucket_second_is_not_judged_by_it(database: Database, query: Query) -> None:
    """The first client loses leases; for the others such a lease is none of their facts."""
    names = prepare(database, [1, 2], 18)
    for client in (1, 2, 2):
        assert meet(database, client, names[0], died) == 18
    judge_clients.run(database)
    rows = query("MATCH (c:DMCheckClient)-[:STATS]->(s) RETURN s.allowance AS n ORDER BY c.id")
    assert rows[0]["n"] == 5
    assert rows[1]["n"] in (None, 10)


def test_what_a_crash_left_is_split_later(database: Database, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spent bucket is out of line; doctor is content with it, `schema apply` leaves it, and the jobs split it."""
    names = prepare(database, [1], 20)
    monkeypatch.setattr("dmcheck_cli.transactions.buckets.split", lambda database, buckets=None: 0)
    for _ in range(3):
        meet(database, 1, names[0], failed)
    monkeypatch.undo()
    line = "MATCH (b:DMCheckBucket) RETURN count(b) AS n, count(b.place) AS waiting"
    assert query(line) == [{"n": 1, "waiting": 0}]
    assert query("MATCH (b:DMCheckBucket) RETURN b.failures AS n") == [{"n": 3}]
    assert database.run("check_buckets") == []
    database.run("adopt_buckets")
    assert query(line) == [{"n": 1, "waiting": 0}]
    make_buckets.run(database)
    assert query(line) == [{"n": 10, "waiting": 10}]
    assert broken(query) == []
